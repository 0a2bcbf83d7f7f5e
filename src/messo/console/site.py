"""The console's pages put together: one line per file of pages."""

from starlette.responses import Response
from starlette.routing import BaseRoute

from messo.console import (
    audit_page,
    citizens_page,
    clients_pages,
    configurations_pages,
    entrance,
    failed_pages,
    figures_page,
    held_pages,
    institutions_pages,
    invitation_page,
    keys_pages,
    limits_page,
    operate_overview,
    operators_page,
    overview_page,
    people_pages,
    queues_page,
    reports_page,
    reviews_pages,
    sent_pages,
    services_pages,
    webhooks_pages,
    write_page,
)
from messo.console.visit import HOME, Visit, open_page


def routes() -> list[BaseRoute]:
    """Every page, and the last resort for addresses of the console that lead nowhere."""
    return [
        *entrance.routes(),
        *invitation_page.routes(),
        *overview_page.routes(),
        *write_page.routes(),
        *sent_pages.routes(),
        *reports_page.routes(),
        *figures_page.routes(),
        *services_pages.routes(),
        *limits_page.routes(),
        *people_pages.routes(),
        *keys_pages.routes(),
        *configurations_pages.routes(),
        *webhooks_pages.routes(),
        *clients_pages.routes(),
        *operate_overview.routes(),
        *reviews_pages.routes(),
        *institutions_pages.routes(),
        *held_pages.routes(),
        *failed_pages.routes(),
        *queues_page.routes(),
        *operators_page.routes(),
        *citizens_page.routes(),
        *audit_page.routes(),
        open_page(f"{HOME}/{{rest:path}}", "console.nothing", show_nothing, ("GET", "POST")),
    ]


async def show_nothing(visit: Visit) -> Response:
    """There is nothing here."""
    return visit.problem(404, "nothing")
