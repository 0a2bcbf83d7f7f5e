"""Where a citizen is logged in, and how to end it: one place, or all of them."""

from starlette.responses import Response
from starlette.routing import Route

from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.base.forms import short_text
from messo.inbox.visit import Visit, citizen_page
from messo.login import list_sessions
from messo.notifications.channels import devices
from messo.pages.edge import redirect
from messo.sso import logout


def routes() -> list[Route]:
    """Also before the first steps are done: whoever logged in may log out."""
    return [
        citizen_page("/sessions", "sessions.list", show, before_welcome=True),
        citizen_page("/sessions", "sessions.end", end, methods=("POST",), before_welcome=True),
    ]


async def show(visit: Visit) -> Response:
    """Every open session, the one of this visit first."""
    here = visit.session.id if visit.session else ""
    found = await list_sessions(visit.conn, visit.fiscal_code, visit.site.limits)
    return visit.page(
        "sessions.html",
        sessions=sorted(found, key=lambda session: session.id != here),
        here=here,
        done=visit.request.query_params.get("done", ""),
    )


async def log_out(
    conn: Connection, secrets: Secrets, fiscal_code: str, session_id: str | None
) -> bool:
    """Close one session of this citizen, or all, with its notices and the logins that it gave.

    False if there is none.
    """
    closed = await logout.log_out(conn, secrets, fiscal_code, session_id)
    if session_id is None:
        await devices.log_out_everywhere(conn, fiscal_code)
    else:
        await devices.log_out_device(conn, fiscal_code, session_id)
    return closed


async def end(visit: Visit) -> Response:
    """End one session, or all of them. Another citizen's is as if it did not exist."""
    if visit.form.get("action") == "everywhere":
        await log_out(visit.conn, visit.site.secrets, visit.fiscal_code, None)
        return _gone(visit)
    session_id = short_text(visit.form.get("id"), 26)
    if not await log_out(visit.conn, visit.site.secrets, visit.fiscal_code, session_id):
        return visit.error(404, "problem")
    if visit.session is not None and visit.session.id == session_id:
        return _gone(visit)
    return redirect("/sessions?done=closed-1")


def _gone(visit: Visit) -> Response:
    response = redirect("/")
    visit.site.web.clear_session(response)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response
