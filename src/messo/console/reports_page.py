"""Messages of which people say that they were not meant for them."""

from starlette.responses import Response
from starlette.routing import Route

from messo.base import clock
from messo.console.csv_export import MOST
from messo.console.sent_services import Chosen, choose
from messo.console.visit import Visit, institution_page
from messo.messages.reports import Report, reports

_PAGE = 50
_STEP = 500  # rows of a file that are asked for at once
_STEPS = MOST // _STEP


def routes() -> list[Route]:
    """For whoever may send."""
    return [
        institution_page("/reports", "console.reports", "send", show_reports, ("GET", "POST")),
    ]


async def show_reports(visit: Visit) -> Response:
    """The newest first. A form finds a service, where there are too many for one list."""
    chosen = await choose(visit)
    if chosen.must_pick:
        return visit.page("reports.html", chosen=chosen, found=None)
    if visit.wants_csv:
        return await _csv(visit, chosen)
    found = await reports(visit.conn, chosen.ids, visit.query("before") or None, _PAGE)
    is_first = not visit.query("before")
    return visit.page("reports.html", chosen=chosen, found=found, is_first=is_first)


async def _csv(visit: Visit, chosen: Chosen) -> Response:
    rows: list[Report] = []
    before: str | None = None
    for _step in range(_STEPS):
        found = await reports(visit.conn, chosen.ids, before, _STEP)
        rows += found.rows
        before = found.next
        if before is None:
            break
    _ = visit.texts.text
    header = [_("Reported"), _("Message"), _("Service"), _("Id of the service")]
    cells: list[list[object]] = [
        [clock.to_wire(row.reported_at), row.message_id, row.service_name, row.service_id]
        for row in rows
    ]
    return visit.csv("reports", header, cells)
