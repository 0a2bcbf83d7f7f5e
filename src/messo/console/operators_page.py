"""Who operates this installation: naming somebody, taking the role away, ending somebody's logins."""

from starlette.responses import Response
from starlette.routing import Route

from messo.base.forms import short_text
from messo.console.csv_export import moment
from messo.console.explained import gettext
from messo.console.visit import HOME, Visit, operator_page
from messo.operations import operators, record
from messo.pages.edge import redirect
from messo.people.sessions import close_all
from messo.people.staff_claims import is_login

_LONGEST = 200  # characters of a login
_DONE = {
    "added": gettext("Done: they operate this installation from now on."),
    "there": gettext("Nothing changed: they operate this installation already."),
    "removed": gettext("Done: they operate this installation no more, from their next click."),
    "unknown": gettext("Nothing changed: nobody of this name operates this installation."),
    "ended": gettext("Done: they are logged out in every browser."),
    "nobody": gettext("Nothing changed: nobody is logged in by this name."),
}


def routes() -> list[Route]:
    """The pages of this file. Logins stand in no address: many are people's own."""
    return [
        operator_page("/operators", "console.operators", show),
        operator_page("/operators/new", "console.operators.add", add, ("POST",)),
        operator_page("/operators/removal", "console.operators.remove", remove, ("POST",)),
        operator_page("/operators/logout", "console.operators.logout", log_out, ("POST",)),
    ]


async def show(visit: Visit) -> Response:
    """Who they are."""
    if visit.wants_csv:
        _ = visit.texts.text
        rows = await operators.listed(visit.conn)
        told: list[list[object]] = [[row["login"], moment(row["added_at"])] for row in rows]
        return visit.csv("operators", [_("Login"), _("Since")], told)
    return await _page(visit)


async def add(visit: Visit) -> Response:
    """Name another one by their login."""
    login = short_text(visit.form.get("login"), _LONGEST + 1)
    if wrong := _refusal(visit, login):
        return await _page(visit, 400, {"login": wrong}, login=login)
    added = await operators.add(visit.conn, visit.actor, login)
    return redirect(f"{visit.here}/operators?done={'added' if added else 'there'}")


async def remove(visit: Visit) -> Response:
    """Take the role away; one at least keeps it."""
    login = visit.form.get("who")
    became = await operators.remove_unless_last(visit.conn, visit.actor, login)
    if became == "last":
        alert = visit.texts.text(
            "Not removed: this is the only operator, and nobody could let another one in. Add "
            "somebody else first."
        )
        return await _page(visit, 409, alert=alert)
    if became == "removed" and login == visit.visitor.login:
        return redirect(HOME)
    return redirect(f"{visit.here}/operators?done={became}")


async def log_out(visit: Visit) -> Response:
    """End all logins of somebody, an operator or not."""
    login = short_text(visit.form.get("whose"), _LONGEST + 1)
    if wrong := _refusal(visit, login):
        return await _page(visit, 400, {"whose": wrong}, whose=login)
    ended = await close_all(visit.conn, login)
    if ended:
        subject = visit.site.secrets.keyed_hash(f"people.login:{login}")
        await record(visit.conn, visit.actor, "people.logout", subject, logins=ended)
    if login == visit.visitor.login:
        return redirect(HOME)
    return redirect(f"{visit.here}/operators?done={'ended' if ended else 'nobody'}")


async def _page(
    visit: Visit,
    status: int = 200,
    errors: dict[str, str] | None = None,
    *,
    login: str = "",
    whose: str = "",
    alert: str = "",
) -> Response:
    rows = await operators.listed(visit.conn)
    return visit.page(
        "operators.html",
        status,
        rows=rows,
        errors=errors or {},
        login=login,
        whose=whose,
        alert=alert,
        done=visit.done(_DONE),
    )


def _refusal(visit: Visit, login: str) -> str:
    """Why nobody can ever log in as that; empty if somebody can."""
    if len(login) > _LONGEST or not is_login(login):
        return visit.texts.text(
            "Nobody can log in as that: a login has no spaces and no invisible characters."
        )
    if visit.site.settings.staff_claim == "email" and login != login.lower():
        return visit.texts.text("Logins are e-mail addresses here, in lower case.")
    return ""
