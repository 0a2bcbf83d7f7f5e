"""Institutions for operators: the list of them, and a new one."""

import re
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from messo.base.forms import short_text
from messo.console import (
    csv_export,
    institution_changes,
    institution_page,
    institution_people,
    institution_permissions,
    institution_services,
)
from messo.console.explained import gettext
from messo.console.visit import Visit, operator_page
from messo.pages.edge import redirect
from messo.people.institution_list import list_institutions
from messo.people.invitations import Inviter, invite, link_to
from messo.recipients.email import is_address
from messo.services import Permission, keys, payload
from messo.services.permissions import DEFAULT
from messo.services.services import NotAcceptedError, create_institution

_A_PAGE = 50
_LONGEST_NAME = 200
_FISCAL_CODE = re.compile(r"[0-9]{11}\Z", re.ASCII)
_TAKEN = gettext("An institution with this fiscal code is here already.")


def routes() -> list[Route]:
    """The pages of institutions."""
    return [
        operator_page("/institutions", "console.institutions", show_list),
        operator_page("/institutions/new", "console.institution.new", make, ("GET", "POST")),
        *institution_page.routes(),
        *institution_changes.routes(),
        *institution_people.routes(),
        *institution_services.routes(),
    ]


async def show_list(visit: Visit) -> Response:
    """All institutions by name, or those that somebody looks for."""
    search, after = visit.query("search"), visit.query("after")
    only_suspended = visit.query("state") == "suspended"
    limit = csv_export.MOST if visit.wants_csv else _A_PAGE + 1
    rows = await list_institutions(
        visit.conn,
        search,
        suspended=only_suspended,
        after="" if visit.wants_csv else after,
        limit=limit,
    )
    if visit.wants_csv:
        return _file(visit, rows)
    shown = rows[:_A_PAGE]
    return visit.page(
        "institutions.html",
        rows=shown,
        search=search,
        only_suspended=only_suspended,
        next=visit.link(after=shown[-1]["id"]) if len(rows) > _A_PAGE else "",
        first=visit.link(after=None) if after else "",
    )


async def make(visit: Visit) -> Response:
    """A new institution: the form, and what is made of it."""
    if visit.request.method == "GET":
        given = {"fiscal_code": "", "name": "", "email": "", "admin": ""}
        return _form(visit, given, set(DEFAULT), {})
    form = visit.form
    given = {
        "fiscal_code": short_text(form.get("fiscal_code"), 50).replace(" ", ""),
        "name": short_text(form.get("name"), 1000),
        "email": short_text(form.get("email"), 300),
        "admin": short_text(form.get("admin"), 300),
    }
    wanted = set(form.all("permission")) & set(Permission)
    if errors := _errors(visit, given):
        return _form(visit, given, wanted, errors)
    try:
        async with visit.conn.transaction():
            return await _make(visit, given, wanted)
    except NotAcceptedError:  # all else was looked at
        return _form(visit, given, wanted, {"fiscal_code": visit.texts.text(_TAKEN)})


async def _make(visit: Visit, given: dict[str, str], wanted: set[str]) -> Response:
    site, actor = visit.site, visit.actor
    made = await create_institution(
        visit.conn,
        actor,
        given["fiscal_code"],
        payload.one_line(given["name"]),
        given["email"],
        sorted(wanted),
    )
    # Its admins find them in their console; they are nobody else's to see.
    await keys.create_pair(visit.conn, site.secrets, actor, made, None)
    inviter = Inviter(actor, visit.visitor.name)
    invited = await invite(
        visit.conn, site.secrets, inviter, made, given["admin"], "admin", site.invite
    )
    if site.invite is not None:
        return redirect(f"{visit.here}/institutions/{made}?done=made")
    link = link_to(site.settings.public_url, invited.token)
    return visit.page(
        "institution_link.html",
        invitation=invited.invitation,
        link_to_hand_over=link,
        back=f"{visit.here}/institutions/{made}",
    )


def _errors(visit: Visit, given: dict[str, str]) -> dict[str, str]:
    _, errors = visit.texts.text, {}
    if not _FISCAL_CODE.match(given["fiscal_code"]):
        errors["fiscal_code"] = _("An organisation's fiscal code is 11 digits.")
    name = payload.one_line(given["name"])
    if not name or len(name) > _LONGEST_NAME:
        errors["name"] = _("A name is one line of up to 200 visible characters.")
    for member in ("email", "admin"):
        if not is_address(given[member]):
            errors[member] = _("This is not an e-mail address.")
    return errors


def _form(
    visit: Visit, given: dict[str, str], wanted: set[str], errors: dict[str, str]
) -> Response:
    return visit.page(
        "institution_new.html",
        400 if errors else 200,
        given=given,
        errors=errors,
        permissions=institution_permissions.listed(visit.texts, wanted),
    )


def _file(visit: Visit, rows: Any) -> Response:  # noqa: ANN401  rows
    _ = visit.texts.text
    return visit.csv(
        "institutions",
        [
            _("Institution"),
            _("Name"),
            _("Fiscal code"),
            _("E-mail"),
            _("Services"),
            _("People"),
            _("Suspended since"),
            _("Here since"),
        ],
        [
            [
                row["id"],
                row["name"],
                row["fiscal_code"],
                row["email"],
                row["services"],
                row["people"],
                csv_export.moment(row["suspended_at"]),
                csv_export.moment(row["created_at"]),
            ]
            for row in rows
        ],
    )
