"""Pages: templates filled in."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from messo.messages.characters import without_tricks
from messo.pages.assets import asset_url, ours
from messo.pages.headers import headers
from messo.pages.languages import Texts


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


def page_headers(issuer: str) -> dict[str, str]:
    """Nobody between us and the citizen keeps a page, and a shared computer's "back" asks anew."""
    return headers(issuer, "private, no-cache, max-age=0", "same-origin")


class Renderer:
    """Fills in templates, with what every page needs."""

    def __init__(self, issuer: str) -> None:
        self.templates = environment()
        self.headers = page_headers(issuer)

    def __call__(self, template: str, texts: Texts, status: int = 200, **values: Any) -> Response:  # noqa: ANN401
        html = self.templates.get_template(template).render(**texts.context(), **values)
        return HTMLResponse(html, status, self.headers)
