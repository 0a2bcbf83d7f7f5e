"""The people of an institution, as operators help it out with them."""

from collections.abc import Sequence
from http import HTTPStatus

from starlette.responses import Response
from starlette.routing import Route

from messo.base.db import Row
from messo.base.forms import short_text
from messo.base.http import Problem
from messo.console import institution_page, roles_shown
from messo.console.csv_export import moment
from messo.console.refusals_shown import refused
from messo.console.roles_shown import role_of
from messo.console.visit import Visit, operator_page
from messo.pages.edge import redirect
from messo.people import invitations, members


def routes() -> list[Route]:
    """The pages of this file."""
    people = "/institutions/{institution}/people"
    person = f"{people}/{{member_id}}"
    return [
        operator_page(people, "console.institution.people", show_file),
        operator_page(person, "console.institution.person", show),
        operator_page(f"{person}/role", "console.institution.role", change_role, ("POST",)),
        operator_page(f"{person}/removal", "console.institution.remove", remove, ("POST",)),
        operator_page(
            "/institutions/{institution}/invitations",
            "console.institution.invite",
            invite,
            ("POST",),
        ),
        operator_page(
            "/institutions/{institution}/invitations/{invitation_id}/withdrawal",
            "console.institution.withdraw",
            withdraw,
            ("POST",),
        ),
    ]


async def show_file(visit: Visit) -> Response:
    """The people as a file; as a page they are on the one of their institution."""
    found = await institution_page.find(visit)
    if not visit.wants_csv:
        return redirect(f"{_at(visit)}#people")
    _, roles = visit.texts.text, roles_shown.shown(visit.texts)
    rows = await members.list_members(visit.conn, found.institution_id)
    return visit.csv(
        "people",
        [_("Name"), _("E-mail"), _("Role"), _("Here since")],
        [[row["name"], row["email"], roles[row["role"]], moment(row["added_at"])] for row in rows],
    )


async def show(visit: Visit) -> Response:
    """One of them: the role, and taking them off."""
    return await _page(visit)


async def change_role(visit: Visit) -> Response:
    """Give somebody another role."""
    wanted = visit.request.path_params
    role = role_of(visit.form.get("role"))
    if role is None:
        return await _page(visit, 400, visit.texts.text("Choose a role."))
    await members.lock_people(visit.conn, wanted["institution"])
    try:
        async with visit.conn.transaction():
            changed = await members.change_role(
                visit.conn, visit.actor, wanted["institution"], wanted["member_id"], role
            )
    except Problem as problem:
        return await _page(visit, problem.status, _refusal(visit, problem))
    return redirect(f"{_at(visit)}?done={'role' if changed else 'same'}")


async def remove(visit: Visit) -> Response:
    """Take somebody off; the last admin where that is meant."""
    wanted = visit.request.path_params
    await members.lock_people(visit.conn, wanted["institution"])
    if not visit.form.ticked("sure"):
        return await _page(visit, 400, visit.texts.text("Tick the box first, so that it is meant."))
    try:
        async with visit.conn.transaction():
            await members.remove_member(
                visit.conn,
                visit.actor,
                wanted["institution"],
                wanted["member_id"],
                may_be_last=visit.form.ticked("last"),
            )
    except Problem as problem:
        return await _page(visit, problem.status, _refusal(visit, problem))
    return redirect(f"{_at(visit)}?done=removed")


async def invite(visit: Visit) -> Response:
    """Invite an address; the link itself is shown where there is no mail."""
    wanted, site = visit.request.path_params["institution"], visit.site
    email, role = short_text(visit.form.get("email"), 300), role_of(visit.form.get("role"))
    typed = {"email": email, "role": visit.form.get("role")}
    if role is None:
        wrong = {"role": visit.texts.text("Choose a role.")}
        return await institution_page.page(visit, 400, errors=wrong, typed=typed)
    inviter = invitations.Inviter(visit.actor, visit.visitor.name)
    try:
        async with visit.conn.transaction():
            invited = await invitations.invite(
                visit.conn, site.secrets, inviter, wanted, email, role, site.invite
            )
    except Problem as problem:
        wrong = {"email": _refusal(visit, problem)}
        return await institution_page.page(visit, problem.status, errors=wrong, typed=typed)
    if site.invite is not None:
        return redirect(f"{_at(visit)}?done=invited")
    return visit.page(
        "institution_link.html",
        invitation=invited.invitation,
        link_to_hand_over=invitations.link_to(site.settings.public_url, invited.token),
        back=_at(visit),
    )


async def withdraw(visit: Visit) -> Response:
    """End an open invitation."""
    wanted = visit.request.path_params
    await members.lock_people(visit.conn, wanted["institution"])
    await invitations.withdraw(
        visit.conn, visit.actor, wanted["institution"], wanted["invitation_id"]
    )
    return redirect(f"{_at(visit)}?done=withdrawn")


async def _page(visit: Visit, status: int = 200, alert: str = "") -> Response:
    found = await institution_page.find(visit)
    rows = await members.list_members(visit.conn, found.institution_id)
    person = _among(rows, visit.request.path_params["member_id"])
    admins = [row["id"] for row in rows if row["role"] == "admin"]
    return visit.page(
        "institution_person.html",
        status,
        found=found,
        at=_at(visit),
        one=person,
        roles=roles_shown.shown(visit.texts),
        is_last_admin=admins == [person["id"]],
        alert=alert,
    )


def _among(rows: Sequence[Row], member_id: str) -> Row:
    for row in rows:
        if row["id"] == member_id:
            return row
    raise Problem(404, "Not found", "The institution has nobody with this id.")


def _refusal(visit: Visit, problem: Problem) -> str:
    """Why not. Raises it again if there is nobody of this id."""
    if problem.status == HTTPStatus.NOT_FOUND:
        raise problem
    return refused(visit, problem)


def _at(visit: Visit) -> str:
    return f"{visit.here}/institutions/{visit.request.path_params['institution']}"
