"""The console's pages put together: one line per file of pages."""

from starlette.responses import Response
from starlette.routing import BaseRoute

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.console import entrance, invitation_page
from messo.console.rendering import AssetUrl, Renderer
from messo.console.visit import HOME, Site, Visit, open_page
from messo.login import Flow, web_limits
from messo.people.staff_claims import Staff
from messo.people.staff_web import StaffWeb
from messo.settings import Settings


def make(
    pool: Pool, secrets: Secrets, settings: Settings, flow: Flow[Staff], asset_url: AssetUrl
) -> Site:
    """What pages need, from what the process has. `asset_url`: of the style sheets of the pages."""
    web = StaffWeb(secrets, settings.public_url, web_limits(settings))
    return Site(pool, secrets, flow, web, Renderer(flow.issuer, asset_url))


def routes() -> list[BaseRoute]:
    """Every page, and the last resort for addresses of the console that lead nowhere."""
    return [
        *entrance.routes(),
        *invitation_page.routes(),
        open_page(f"{HOME}/{{rest:path}}", "console.nothing", show_nothing, ("GET", "POST")),
    ]


async def show_nothing(visit: Visit) -> Response:
    """There is nothing here."""
    return visit.problem(404, "nothing")
