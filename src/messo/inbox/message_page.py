"""One message: read, acted upon, put into a calendar, printed, or sent back as not meant for me."""

from dataclasses import replace
from datetime import datetime

from starlette.responses import Response
from starlette.routing import Route

from messo.base.http import Problem
from messo.inbox import calendar
from messo.inbox.message_shown import Letter, show_letter
from messo.inbox.payment_shown import look
from messo.inbox.remote_page import is_remote, show_remote
from messo.inbox.rendering import page_headers
from messo.inbox.visit import Afterwards, Visit, citizen_page
from messo.messages import mailbox
from messo.messages.mailbox import Message
from messo.pages.edge import redirect
from messo.payments.live import SOON_S
from messo.services import catalog


def routes() -> list[Route]:
    """Addresses carry the message's id and nothing of its recipient."""
    return [
        citizen_page("/messages/{id}", "inbox.message", show),
        citizen_page("/messages/{id}/due.ics", "inbox.calendar", show_due_date),
        citizen_page("/messages/{id}/not-for-me", "inbox.not_for_me", ask_not_for_me),
        citizen_page("/messages/{id}/not-for-me", "inbox.report", report, methods=("POST",)),
    ]


async def show(visit: Visit) -> Response | Afterwards:
    """The message. Opening it marks it read: one that its institution serves, once it is there."""
    message = await _read(visit)
    line = message.line
    letter = Letter(message, await catalog.read_service(visit.conn, line.service_id))
    is_shown = visit.request.method == "GET"  # HEAD asks without showing
    if is_shown and not line.is_read and not is_remote(letter):
        await mailbox.mark(visit.conn, visit.fiscal_code, [line.id], read=True)
    if is_shown and (is_remote(letter) or line.payment):
        return lambda: _ask_and_show(visit, letter)
    return show_letter(visit, letter)


async def _ask_and_show(visit: Visit, letter: Letter) -> Response:
    """What others are asked for: how the notice stands, and what the institution serves."""
    line = letter.message.line
    if line.payment:
        letter = replace(letter, payment=await look(visit, line, SOON_S))
    return await show_remote(visit, letter) if is_remote(letter) else show_letter(visit, letter)


async def show_due_date(visit: Visit) -> Response:
    """The due date as an iCalendar file."""
    line = (await _read(visit)).line
    due: datetime | None = line.due_date
    if due is None:
        raise Problem(404, "Not found", "")
    address = f"{visit.site.settings.public_url}/messages/{line.id}"
    return Response(
        calendar.ics(line.id, line.subject, line.organization_name, due, address),
        headers={
            **page_headers(""),
            "Content-Type": "text/calendar; charset=utf-8",
            "Content-Disposition": f'attachment; filename="{line.id}.ics"',
        },
    )


async def ask_not_for_me(visit: Visit) -> Response:
    """What saying so does, before it is done."""
    message = await _read(visit)
    return visit.page("not_for_me.html", line=message.line)


async def report(visit: Visit) -> Response:
    """Tell the sender that this is not for me, and put it out of sight."""
    message_id = visit.request.path_params["id"]
    if not await mailbox.report_not_for_me(visit.conn, visit.fiscal_code, message_id):
        raise Problem(404, "Not found", "")
    await mailbox.mark(visit.conn, visit.fiscal_code, [message_id], archived=True)
    return redirect("/?done=reported-1")


async def _read(visit: Visit) -> Message:
    message = await mailbox.read_message(
        visit.conn, visit.fiscal_code, visit.request.path_params["id"]
    )
    if message is None:
        raise Problem(404, "Not found", "")
    return message
