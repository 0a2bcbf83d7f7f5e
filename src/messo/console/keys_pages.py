"""Keys: the institution's manage keys, its groups, and the two keys of each service."""

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from messo.base.db import Row
from messo.base.http import Problem
from messo.console import key_group_pages, key_shown
from messo.console.csv_export import moment
from messo.console.explained import gettext
from messo.console.key_shown import Owner, handlers
from messo.console.service_shown import manager_of, writing_manager
from messo.console.visit import Visit, institution_page
from messo.pages.edge import redirect
from messo.services import groups, owned, payload

_POST = ("POST",)
_DONE = {
    "networks": gettext("Done: the list of addresses is in force within a second."),
    "deleted": gettext("Done: the group is deleted, and its keys with it."),
}
_WRONG = gettext(
    "Write one IPv4 address or network on each line, as 192.0.2.7 or 192.0.2.0/24, at most 100 "
    "of them."
)


def routes() -> list[Route]:
    """Keys are for admins alone."""
    _, in_clear, question, renewed = handlers(_institution, _show_institution)
    masked_s, in_clear_s, question_s, renewed_s = handlers(_service, _show_service)
    return [
        institution_page("/keys", "console.keys", "administer", show),
        institution_page("/keys/show", "console.keys_show", "administer", in_clear, _POST),
        institution_page("/keys/renew", "console.keys_ask", "administer", question),
        institution_page("/keys/renew", "console.keys_renew", "administer", renewed, _POST),
        institution_page(
            "/keys/networks", "console.keys_networks", "administer", put_networks, _POST
        ),
        *key_group_pages.routes(),
        institution_page("/services/{id}/keys", "console.service_keys", "administer", masked_s),
        institution_page(
            "/services/{id}/keys/show", "console.service_keys_show", "administer", in_clear_s, _POST
        ),
        institution_page(
            "/services/{id}/keys/renew", "console.service_keys_ask", "administer", question_s
        ),
        institution_page(
            "/services/{id}/keys/renew",
            "console.service_keys_renew",
            "administer",
            renewed_s,
            _POST,
        ),
    ]


async def show(visit: Visit) -> Response:
    """The manage keys and the groups; `format=csv`: all of these keys, without the keys."""
    writing_manager(visit)
    owner = await _institution(visit)
    return (
        await _csv(visit, owner) if visit.wants_csv else await _show_institution(visit, owner, {})
    )


async def put_networks(visit: Visit) -> Response:
    """Where the institution's own manage keys are taken from."""
    manager = writing_manager(visit)
    typed = visit.form.get("networks")
    try:
        await groups.put_networks(visit.conn, manager, typed.split())
    except Problem as problem:
        if problem.field != "authorized_cidrs":
            raise
        owner = await _institution(visit)
        error = visit.texts.text(_WRONG)
        return await _institution_page(visit, owner, {}, networks=typed, error=error)
    return redirect(f"{visit.here}/keys?done=networks")


async def _institution(visit: Visit) -> Owner:
    return Owner(visit.access.institution_id, visit.access.name, "/keys", "institution")


async def _show_institution(visit: Visit, owner: Owner, clear: dict[str, str]) -> Response:
    networks = await groups.read_networks(visit.conn, manager_of(visit))
    return await _institution_page(visit, owner, clear, networks="\n".join(networks))


async def _institution_page(
    visit: Visit, owner: Owner, clear: dict[str, str], *, networks: str, error: str = ""
) -> Response:
    rows, found = await _groups(visit, owner)
    return visit.page(
        "keys.html",
        400 if error else 200,
        owner=owner,
        slots=found[owner.id],
        clear=clear,
        networks=networks,
        error=error,
        rows=[{**row, "slots": found[row["id"]]} for row in rows],
        done=visit.done(_DONE),
    )


async def _groups(
    visit: Visit, owner: Owner
) -> tuple[Sequence[Row], dict[str, list[dict[str, Any]]]]:
    rows = await groups.list_all(visit.conn, manager_of(visit))
    return rows, await key_shown.pairs(visit, owner.id, *(row["id"] for row in rows))


async def _csv(visit: Visit, owner: Owner) -> Response:
    rows, found = await _groups(visit, owner)
    text = visit.texts.text
    names = {owner.id: owner.name, **{row["id"]: row["name"] for row in rows}}
    header = [
        text("Whose"),
        text("Key"),
        text("Made"),
        text("Last used, beginning of the hour"),
    ]
    lines: list[list[object]] = [
        [
            names[whose],
            slot["name"],
            moment(slot["created_at"]),
            moment(slot["used_at"]),
        ]
        for whose, slots in found.items()
        for slot in slots
    ]
    return visit.csv("keys", header, lines)


async def _service(visit: Visit) -> Owner:
    row = await owned.find_live(visit.conn, manager_of(visit), visit.request.path_params["id"])
    name = payload.read(row["data"]).name
    return Owner(row["id"], name, f"/services/{row['id']}/keys", "service")


async def _show_service(visit: Visit, owner: Owner, clear: dict[str, str]) -> Response:
    slots = (await key_shown.pairs(visit, owner.id))[owner.id]
    return visit.page("keys_of_service.html", owner=owner, slots=slots, clear=clear)
