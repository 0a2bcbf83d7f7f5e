"""The reminders about one message: what is planned, what was sent, and why not."""

from starlette.responses import Response
from starlette.routing import Route

from messo.base.http import Problem
from messo.inbox.visit import Visit, citizen_page
from messo.messages import mailbox
from messo.notifications.channels import devices
from messo.pages.edge import redirect
from messo.recipients import Wishes, amend
from messo.reminders.shown import explain

_HOURS = 24


def routes() -> list[Route]:
    """And the form among the preferences."""
    return [
        citizen_page("/messages/{id}/reminders", "inbox.reminders", show),
        citizen_page("/preferences/reminders", "preferences.reminders", change, methods=("POST",)),
    ]


async def show(visit: Visit) -> Response:
    """All of them, in order."""
    message_id = visit.request.path_params["id"]
    message = await mailbox.read_message(visit.conn, visit.fiscal_code, message_id)
    found = message and await explain(visit.conn, visit.fiscal_code, message.line.id)
    if message is None or found is None:
        raise Problem(404, "Not found", "")
    known = await devices.list_devices(visit.conn, visit.fiscal_code)
    return visit.page("reminders_page.html", line=message.line, found=found, has_device=bool(known))


async def change(visit: Visit) -> Response:
    """Whether to be reminded, and when not."""
    since, until = _hour(visit, "quiet_from"), _hour(visit, "quiet_until")
    if since is None or until is None or since == until:
        since = until = None
    await amend(
        visit.conn,
        visit.fiscal_code,
        Wishes(
            reminder_status="ENABLED" if visit.form.ticked("reminders") else "DISABLED",
            quiet_from=since,
            quiet_until=until,
        ),
    )
    return redirect("/preferences?done=saved-1")


def _hour(visit: Visit, name: str) -> int | None:
    """A whole hour of the form, in minutes of the day; None where none was chosen."""
    text = visit.form.get(name)
    if not text.isascii() or not text.isdigit() or len(text) > 2:  # noqa: PLR2004
        return None
    return int(text) * 60 if int(text) < _HOURS else None
