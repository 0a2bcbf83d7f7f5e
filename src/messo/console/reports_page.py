"""Messages of which people say that they were not meant for them."""

from starlette.responses import Response
from starlette.routing import Route

from messo.console.csv_export import MOST, moment
from messo.console.sent_services import Chosen, choose
from messo.console.visit import Visit, institution_page
from messo.messages.reports import reports

_PAGE = 50


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
    found = await reports(visit.conn, chosen.ids, limit=MOST)
    _ = visit.texts.text
    header = [
        _("Reported"),
        _("Subject"),
        _("Recipient"),
        _("Message"),
        _("Service"),
        _("Id of the service"),
    ]
    cells: list[list[object]] = [
        [
            *(moment(row.reported_at), row.subject, row.fiscal_code, row.message_id),
            *(row.service_name, row.service_id),
        ]
        for row in found.rows
    ]
    return visit.csv("reports", header, cells)
