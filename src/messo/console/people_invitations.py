"""Inviting somebody to an institution, once more, and taking an invitation back."""

from starlette.responses import Response
from starlette.routing import Route

from messo.base.forms import short_text
from messo.base.http import Problem
from messo.console import roles_shown
from messo.console.csv_export import moment
from messo.console.refusals_shown import refused
from messo.console.roles_shown import role_of, roles
from messo.console.visit import Visit, institution_page
from messo.pages.edge import redirect
from messo.people import invitations
from messo.people.invitations import Inviter
from messo.people.roles import Role

_LONGEST = 254
_REFUSED = frozenset({400, 409, 429})  # what the form can do something about


def routes() -> list[Route]:
    """A form of its own, and two buttons beside each open invitation."""
    invite, one = "/people/invite", "/people/invitations/{invitation}"
    return [
        institution_page(invite, "console.inviting", "administer", show_form),
        institution_page(invite, "console.invite", "administer", send, ("POST",)),
        institution_page("/people/invitations", "console.invitations", "administer", show_all),
        institution_page(
            f"{one}/again", "console.invite_again", "administer", send_again, ("POST",)
        ),
        institution_page(f"{one}/withdraw", "console.withdraw", "administer", withdraw, ("POST",)),
    ]


async def show_form(visit: Visit) -> Response:
    """An address and a role."""
    return _form_page(visit, "", "", {})


async def send(visit: Visit) -> Response:
    """Invite: by mail, or with a link that is shown this once where there is no mail."""
    email = short_text(visit.form.get("email"), _LONGEST + 1)
    role = role_of(visit.form.get("role"))
    if role is None:
        return _form_page(visit, email, "", {"role": visit.texts.text("Choose a role.")})
    return await _invite(visit, email, role)


async def show_all(visit: Visit) -> Response:
    """The open ones, for a file; the page of people shows them, too."""
    rows = await invitations.list_open(visit.conn, visit.access.institution_id)
    _ = visit.texts.text
    names = roles_shown.shown(visit.texts)
    header = [_("Email"), _("Role"), _("Sent"), _("Good until")]
    lines: list[list[object]] = [
        [
            row["email"],
            names[row["role"]],
            moment(row["created_at"]),
            moment(row["expires_at"]),
        ]
        for row in rows
    ]
    return visit.csv("invitations", header, lines)


async def send_again(visit: Visit) -> Response:
    """The same once more, with a new link: that of the mail before ends."""
    wanted = visit.request.path_params["invitation"]
    rows = await invitations.list_open(visit.conn, visit.access.institution_id)
    for row in rows:
        if row["id"] == wanted:
            return await _invite(visit, row["email"], row["role"])
    raise Problem(404, "Not found", "Your institution has no invitation with this id.")


async def withdraw(visit: Visit) -> Response:
    """Its link leads nowhere from now on."""
    await invitations.withdraw(
        visit.conn,
        visit.actor,
        visit.access.institution_id,
        visit.request.path_params["invitation"],
    )
    return redirect(f"{visit.here}/people?done=withdrawn")


async def _invite(visit: Visit, email: str, role: Role) -> Response:
    site = visit.site
    try:
        async with visit.conn.transaction():
            made = await invitations.invite(
                visit.conn,
                site.secrets,
                Inviter(visit.actor, visit.visitor.name),
                visit.access.institution_id,
                email,
                role,
                site.invite,
            )
    except Problem as problem:
        if problem.status not in _REFUSED:
            raise
        return _form_page(visit, email, role, {"email": refused(visit, problem)}, problem.status)
    if site.invite is not None:
        return redirect(f"{visit.here}/people?done=invited")
    link = invitations.link_to(site.settings.public_url, made.token)
    return visit.page("people_link.html", 201, once=link, invitation=made.invitation)


def _form_page(
    visit: Visit, email: str, role: str, errors: dict[str, str], status: int = 400
) -> Response:
    return visit.page(
        "people_invite.html",
        status if errors else 200,
        email=email,
        role=role,
        roles=roles(visit.texts),
        by_mail=visit.site.invite is not None,
        errors=errors,
    )
