"""The way in and out: the front page, login, logout."""

from urllib.parse import quote

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from messo.base.db import Connection
from messo.base.forms import read_form, short_text
from messo.inbox import message_list
from messo.inbox.sessions import log_out
from messo.inbox.visit import Visit, citizen_page, open_page
from messo.login import LoginError, Session
from messo.pages.edge import redirect


def routes() -> list[Route]:
    """The front page is the inbox for whoever is logged in."""
    return [
        citizen_page("/", "inbox.list", message_list.show, stranger=show_landing),
        open_page("/login", "login.begin", begin),
        open_page("/login/callback", "login.finish", finish),
        open_page("/logout", "login.end", end, methods=("POST",)),
        open_page("/logged-out", "login.ended", show_ended),
    ]


async def show_landing(visit: Visit) -> Response:
    """What this is, for whoever comes by."""
    return visit.page("landing.html", can_log_in=visit.site.flow.is_configured)


async def begin(visit: Visit) -> Response:
    """Off to the identity provider."""
    return_to = short_text(visit.request.query_params.get("return_to", "/"), 500)
    try:
        address, pending = await visit.site.flow.begin(return_to, None)
    except LoginError as error:
        return failed(visit, error)
    response = RedirectResponse(address, 303, {"Cache-Control": "no-store"})
    visit.site.web.set_pending(response, pending)
    return response


async def finish(visit: Visit) -> Response:
    """Back from the identity provider: a session here, or a code for the application that asked."""
    site, request = visit.site, visit.request
    try:
        finished = await site.flow.finish(
            dict(request.query_params), request.cookies.get(site.web.pending_cookie, "")
        )
    except LoginError as error:
        response = redirect(error.redirect) if error.redirect else failed(visit, error)
        site.web.clear_pending(response)
        return response
    async with site.pool.transaction() as conn:
        if finished.client is not None:
            address = await site.flow.mint_code(conn, finished)
            response = redirect(address)
        else:
            await _make_room(visit, conn, finished.identity.fiscal_code)
            await site.welcome(conn, finished.identity)
            token = await site.web.open_session(
                conn,
                finished.identity,
                request.headers.get("user-agent", ""),
                request.cookies.get(site.web.session_cookie),
            )
            response = redirect(finished.return_to)
            site.web.set_session(response, token)
    site.web.clear_pending(response)
    return response


async def _make_room(visit: Visit, conn: Connection, fiscal_code: str) -> None:
    """Somebody else was logged in at this browser: that ends here, and where it led."""
    before = visit.session
    if before is not None and before.fiscal_code != fiscal_code:
        await log_out(conn, visit.site.secrets, before.fiscal_code, before.id)


async def end(visit: Visit) -> Response:
    """Log out here, then at the provider, which sends the browser back to a page of ours."""
    site, session = visit.site, visit.session
    form = await read_form(visit.request)
    if session is None:
        return redirect("/logged-out")
    if not site.web.is_csrf_token(session, form.get("csrf")):
        return visit.error(403, "form")
    return await leave(visit, session)


async def leave(visit: Visit, session: Session, back: str | None = None) -> Response:
    """End this login, with its notices and the logins that it gave elsewhere.

    `back`: where the browser goes then, if not to the provider, to log out there.
    """
    site = visit.site
    async with site.pool.transaction() as conn:
        await log_out(conn, site.secrets, session.fiscal_code, session.id)
    # The provider may have to be asked where that is: no connection is held meanwhile.
    response = redirect(back or await site.flow.logout_url() or "/logged-out")
    site.web.clear_session(response)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


async def show_ended(visit: Visit) -> Response:
    """Done."""
    return visit.page("logged_out.html")


def failed(visit: Visit, error: LoginError) -> Response:
    """No login, why, and the way to another try."""
    status = 503 if error.reason in {"provider_down", "not_configured"} else 403
    # Who came for another site goes back to where its question waits.
    is_for_site = error.return_to.startswith("/sso/")
    again = (
        error.return_to if is_for_site else f"/login?return_to={quote(error.return_to, safe='')}"
    )
    return visit.page("login_failed.html", status, why=error.reason, again=again)
