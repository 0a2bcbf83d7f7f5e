"""Pages: templates filled in, and the headers that every page carries."""

from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from messo.inbox.assets import asset_url, ours
from messo.inbox.languages import Texts
from messo.messages.characters import without_tricks


def environment() -> Environment:
    """The templates of this room. A name that nobody passed is an error."""
    made = Environment(
        loader=PackageLoader("messo.inbox"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["shown"] = without_tricks  # of what institutions wrote
    made.globals["asset"] = asset_url
    made.globals["asset_remark"] = ours().remark
    return made


def headers(issuer: str) -> dict[str, str]:
    """Headers of every page. `issuer`: where logging out may lead, after our own form."""
    there = "://".join(urlsplit(issuer)[:2]) if issuer else ""
    return {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            "font-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self' {there}; report-uri /csp-report"
        ),
        # Nobody between us and the citizen keeps a page, and a shared computer's "back" asks anew.
        "Cache-Control": "private, no-cache, max-age=0",
        "Vary": "Cookie, Accept-Language, HX-Request",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
        "Strict-Transport-Security": "max-age=15552000; includeSubDomains",
    }


class Renderer:
    """Fills in templates, with what every page needs."""

    def __init__(self, issuer: str) -> None:
        self.templates = environment()
        self.headers = headers(issuer)

    def __call__(self, template: str, texts: Texts, status: int = 200, **values: Any) -> Response:  # noqa: ANN401
        html = self.templates.get_template(template).render(**texts.context(), **values)
        return HTMLResponse(html, status, self.headers)
