"""Pages of the console: templates filled in, and the headers that every page carries."""

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from messo.console.texts import TEXTS, Language, day

AssetUrl = Callable[[str], str]  # the address of a static file, by its name


class Renderer:
    """Fills in templates. A name that nobody passed is an error."""

    def __init__(self, issuer: str, asset_url: AssetUrl) -> None:
        """`issuer`: where logging out may lead, after our own form; empty: nowhere."""
        self._templates = Environment(
            loader=PackageLoader("messo.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["asset"] = asset_url
        self._headers = _headers(issuer)

    def __call__(self, template: str, language: Language, status: int, **values: Any) -> Response:  # noqa: ANN401
        html = self._templates.get_template(template).render(
            language=language, t=TEXTS[language], day=partial(day, language=language), **values
        )
        return HTMLResponse(html, status, self._headers)


def _headers(issuer: str) -> dict[str, str]:
    there = "://".join(urlsplit(issuer)[:2]) if issuer else ""
    return {
        # No scripts at all.
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
            "base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self' {there}; report-uri /csp-report"
        ),
        "Cache-Control": "no-store",
        "Vary": "Cookie, Accept-Language",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
        "Strict-Transport-Security": "max-age=15552000; includeSubDomains",
    }
