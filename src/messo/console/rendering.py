"""Pages of the console: templates filled in."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from messo.console import plots
from messo.messages.characters import without_tricks
from messo.pages.assets import asset_url, ours
from messo.pages.headers import headers
from messo.pages.languages import Texts


class Renderer:
    """Fills in templates. A name that nobody passed is an error."""

    def __init__(self, issuer: str) -> None:
        """`issuer`: where logging out may lead, after our own form; empty: nowhere."""
        self._templates = Environment(
            loader=PackageLoader("messo.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["shown"] = without_tricks  # of what others wrote
        self._templates.globals.update(
            asset=asset_url, asset_remark=ours().remark, bars=plots.bars, lines=plots.lines
        )
        self._headers = {
            **headers(issuer, "no-store", "no-referrer"),
            "X-Robots-Tag": "noindex",
        }

    def __call__(self, template: str, texts: Texts, status: int, **values: Any) -> Response:  # noqa: ANN401
        html = self._templates.get_template(template).render(**texts.context(), **values)
        return HTMLResponse(html, status, self._headers)
