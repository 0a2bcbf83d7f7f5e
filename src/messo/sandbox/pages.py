"""What the pages of the sandbox have in common: frame, style sheets, language and headers."""

import re
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_ITALIAN = re.compile(r"\s*it\b", re.IGNORECASE)
_environment = Environment(
    loader=PackageLoader("messo.sandbox"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def template(name: str) -> Template:
    """A page, by the name of its file."""
    return _environment.get_template(name)


def language_of(request: Request) -> str:
    """`it` where the browser prefers it, or else `en`."""
    return "it" if _ITALIAN.match(request.headers.get("accept-language", "")) else "en"


def headers(*, style: str = "'self'", form_action: str = "'none'") -> dict[str, str]:
    """Of an answer with a page. Both are sources of a content security policy."""
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src {style}; img-src data:; base-uri 'none'; "
            f"frame-ancestors 'none'; form-action {form_action}"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Vary": "Accept-Language",
    }


def style_sheet(path: str, name: str) -> Route:
    """The style sheet of this file name, below `path`."""

    async def serve(_: Request) -> Response:
        css = resources.files("messo.sandbox").joinpath("static", name).read_bytes()
        return Response(css, headers={"X-Content-Type-Options": "nosniff"}, media_type="text/css")

    return Route(f"{path}/{name}", serve)
