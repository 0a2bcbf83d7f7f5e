"""The people of an institution: who may do what, other roles, away with somebody, and leaving."""

from collections.abc import Sequence

from starlette.responses import Response
from starlette.routing import Route

from messo.base.db import Row
from messo.base.http import Problem
from messo.console import people_invitations, roles_shown
from messo.console.csv_export import MOST, moment
from messo.console.explained import gettext
from messo.console.refusals_shown import refused
from messo.console.roles_shown import role_of, roles
from messo.console.visit import HOME, Visit, institution_page
from messo.pages.edge import redirect
from messo.people import invitations, members
from messo.people.member_list import find, page_of

_PAGE = 50
_LAST_ADMIN = "Last admin"
_DONE = {
    "role": gettext("Done: the new role holds from now on."),
    "removed": gettext("Done: they are out, and can do nothing here any more."),
    "invited": gettext("Done: the invitation is on its way by mail."),
    "withdrawn": gettext("Done: the link of that invitation leads nowhere now."),
}


def routes() -> list[Route]:
    """All pages of people. Whoever is of an institution may leave it, whatever their role."""
    one = "/people/{member}"
    return [
        institution_page("/people", "console.people", "administer", show_all),
        *people_invitations.routes(),
        institution_page(one, "console.person", "administer", show),
        institution_page(f"{one}/role", "console.person_role", "administer", set_role, ("POST",)),
        institution_page(f"{one}/delete", "console.person_removing", "administer", ask_removal),
        institution_page(f"{one}/delete", "console.person_remove", "administer", remove, ("POST",)),
        institution_page("/leave", "console.leaving", "read", ask_leave),
        institution_page("/leave", "console.leave", "read", leave, ("POST",)),
    ]


async def show_all(visit: Visit) -> Response:
    """A page of them, with what the institution has invited; or all in a file."""
    institution = visit.access.institution_id
    if visit.wants_csv:
        rows, _ = await page_of(visit.conn, institution, "", MOST)
        return _file(visit, rows)
    people, beyond = await page_of(visit.conn, institution, visit.query("after"), _PAGE)
    return visit.page(
        "people.html",
        people=people,
        roles={role: (label, sentence) for role, label, sentence in roles(visit.texts)},
        invited=await invitations.list_open(visit.conn, institution),
        by_mail=visit.site.invite is not None,
        next=visit.link(after=beyond) if beyond else "",
        first=visit.link(after=None) if visit.query("after") else "",
        done=visit.done(_DONE),
    )


async def show(visit: Visit) -> Response:
    """Somebody, and the form that gives them another role."""
    row = await _member(visit)
    return _person_page(visit, row, row["role"], "")


async def set_role(visit: Visit) -> Response:
    """Another role, at once. The institution's people are held, so nobody is the last admin twice."""
    row = await _member(visit)
    wanted = role_of(visit.form.get("role"))
    if wanted is None:
        return _person_page(visit, row, row["role"], visit.texts.text("Choose a role."))
    try:
        async with visit.conn.transaction():
            await members.change_role(
                visit.conn, visit.actor, visit.access.institution_id, row["id"], wanted
            )
    except Problem as problem:
        if problem.title != _LAST_ADMIN:
            raise
        return _person_page(visit, row, wanted, refused(visit, problem))
    if _is_oneself(visit, row) and wanted != "admin":
        return redirect(visit.here)  # this page is not for them any more
    return redirect(f"{visit.here}/people?done=role")


async def ask_removal(visit: Visit) -> Response:
    """What it means for them."""
    return _removal_page(visit, await _member(visit), "")


async def remove(visit: Visit) -> Response:
    """Take them off, once that was ticked."""
    row = await _member(visit)
    if not visit.form.ticked("sure"):
        return _removal_page(visit, row, visit.texts.text("Tick this to go on."))
    error = await _remove(visit, row["id"])
    if error:
        return _removal_page(visit, row, error)
    if _is_oneself(visit, row):
        return redirect(HOME)
    return redirect(f"{visit.here}/people?done=removed")


async def ask_leave(visit: Visit) -> Response:
    """Leaving: for everybody, also while the institution is suspended."""
    return visit.page("people_leave.html", error="")


async def leave(visit: Visit) -> Response:
    """Leave, once that was ticked."""
    if not visit.form.ticked("sure"):
        error = visit.texts.text("Tick this to go on.")
        return visit.page("people_leave.html", 400, error=error)
    # Everybody may leave, so the page has not held the institution: two admins must not both go.
    await members.lock_people(visit.conn, visit.access.institution_id)
    error = await _remove(visit, visit.actor.removeprefix("member:"))
    if error:
        return visit.page("people_leave.html", 409, error=error)
    return redirect(HOME)


async def _remove(visit: Visit, member_id: str) -> str:
    """Take somebody off; why not, if they are the last admin."""
    try:
        async with visit.conn.transaction():
            await members.remove_member(
                visit.conn, visit.actor, visit.access.institution_id, member_id
            )
    except Problem as problem:
        if problem.title != _LAST_ADMIN:
            raise
        return refused(visit, problem)
    return ""


async def _member(visit: Visit) -> Row:
    """Who is named in the path. `Problem` 404 for somebody else's."""
    return await find(visit.conn, visit.access.institution_id, visit.request.path_params["member"])


def _is_oneself(visit: Visit, row: Row) -> bool:
    return visit.actor == f"member:{row['id']}"


def _person_page(visit: Visit, row: Row, chosen: str, error: str) -> Response:
    return visit.page(
        "people_one.html",
        400 if error else 200,
        one=row,
        chosen=chosen,
        roles=roles(visit.texts),
        is_oneself=_is_oneself(visit, row),
        errors={"role": error} if error else {},
    )


def _removal_page(visit: Visit, row: Row, error: str) -> Response:
    return visit.page(
        "people_remove.html",
        400 if error else 200,
        one=row,
        is_oneself=_is_oneself(visit, row),
        error=error,
    )


def _file(visit: Visit, rows: Sequence[Row]) -> Response:
    _ = visit.texts.text
    names = roles_shown.shown(visit.texts)
    lines: list[list[object]] = [
        [
            row["name"],
            row["login"],
            row["email"],
            names[row["role"]],
            moment(row["added_at"]),
        ]
        for row in rows
    ]
    return visit.csv("people", [_("Name"), _("Login"), _("Email"), _("Role"), _("Since")], lines)
