"""The way into the console and out of it: the first page, login, logout."""

from starlette.responses import Response
from starlette.routing import Route

from messo.console import explained, roles_shown
from messo.console.explained import gettext
from messo.console.visit import HOME, Afterwards, Visit, log_in_at, open_page, person_page
from messo.login import LoginError, local_path
from messo.pages.edge import redirect
from messo.people.members import memberships_of
from messo.people.sessions import close_session
from messo.people.staff_login import log_in


def routes() -> list[Route]:
    """The first page is another one for whoever is logged in."""
    return [
        person_page(HOME, "console.home", show_home, stranger=show_landing),
        open_page(f"{HOME}/login", "console.begin", begin),
        open_page(f"{HOME}/callback", "console.finish", finish),
        person_page(f"{HOME}/logout", "console.end", end, ("POST",), stranger=leave_stranger),
    ]


async def show_landing(visit: Visit) -> Response:
    """What this is, and a button."""
    return visit.page("landing.html", can_log_in=visit.site.flow.is_configured)


async def show_home(visit: Visit) -> Response:
    """Who you are, and where."""
    return visit.page(
        "home.html",
        memberships=await memberships_of(visit.conn, visit.visitor.login),
        roles=roles_shown.shown(visit.texts),
        done=visit.done({"joined": gettext("Done: you are in.")}),
    )


async def begin(visit: Visit) -> Response:
    """Off to the identity provider."""
    try:
        address, pending = await visit.site.flow.begin(
            _within(visit.request.query_params.get("return_to", HOME))
        )
    except LoginError as error:
        return _failed(visit, error)
    response = redirect(address)
    response.headers.append("set-cookie", visit.site.web.written_pending(pending))
    return response


async def finish(visit: Visit) -> Response:
    """Back from the identity provider, with a session, or with the reason why there is none."""
    site = visit.site
    try:
        finished = await site.flow.finish(
            dict(visit.request.query_params), visit.cookie(site.web.pending_cookie)
        )
    except LoginError as error:
        response = _failed(visit, error)
    else:
        before = visit.cookie(site.web.session_cookie)
        async with site.pool.transaction() as conn:
            token = await log_in(conn, site.web, finished.identity, before)
        response = redirect(_within(finished.return_to))
        response.headers.append("set-cookie", site.web.written(site.web.session_cookie, token))
    response.headers.append("set-cookie", site.web.written(site.web.pending_cookie, "", 0))
    return response


async def end(visit: Visit) -> Afterwards:
    """Log out here, then at the provider, which sends the browser back to the first page."""
    web = visit.site.web
    await close_session(visit.conn, visit.cookie(web.session_cookie))

    async def leave() -> Response:
        response = redirect(await visit.site.flow.logout_url() or HOME)
        for name in (web.session_cookie, web.invitation_cookie):
            response.headers.append("set-cookie", web.written(name, "", 0))
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    return leave


async def leave_stranger(_: Visit) -> Response:
    """Whoever is not logged in is out already."""
    return redirect(HOME)


def _failed(visit: Visit, error: LoginError) -> Response:
    status = 503 if error.reason in {"provider_down", "not_configured"} else 403
    again = "" if error.reason == "not_configured" else log_in_at(_within(error.return_to))
    about = explained.LOGIN.get(error.reason, "")
    return visit.problem(status, "login", about=about, again=again)


def _within(path: str) -> str:
    """A path of the console, or else its first page."""
    local = local_path(path)
    return local if local == HOME or local.startswith((f"{HOME}/", f"{HOME}?")) else HOME
