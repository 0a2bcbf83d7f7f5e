"""Groups of services: each with keys of its own, and with a list of addresses for them."""

from dataclasses import dataclass
from http import HTTPStatus

from starlette.responses import Response
from starlette.routing import Route

from messo.base.db import Row
from messo.base.http import Problem
from messo.base.parameters import storable
from messo.console import key_shown
from messo.console.explained import gettext
from messo.console.key_shown import Owner, handlers
from messo.console.service_shown import manager_of, writing_manager
from messo.console.visit import Visit, institution_page
from messo.pages.edge import redirect
from messo.services import groups

_POST = ("POST",)
_PATH = "/keys/groups"
_DONE = {
    "made": gettext(
        "Done: the group is there, with two keys of its own. Now move services into it."
    ),
    "saved": gettext("Done: in force within a second."),
}
_TAKEN = gettext("Your institution has a group of this name already.")
_WRONG = {
    "name": gettext("Write a name of at most 100 characters on one line."),
    "authorized_cidrs": gettext(
        "Write one IPv4 address or network on each line, as 192.0.2.7 or 192.0.2.0/24, at most "
        "100 of them."
    ),
}
_UNSURE = gettext("Tick the box first: a group that is deleted does not come back.")


@dataclass(frozen=True)
class _Typed:
    """The form of a group. `errors`: by field, in the visitor's language."""

    name: str
    networks: str
    errors: dict[str, str]


def routes() -> list[Route]:
    """`new` before what takes any id."""
    masked, in_clear, question, renewed = handlers(_owner, _show)
    one = f"{_PATH}/{{group}}"
    return [
        institution_page(f"{_PATH}/new", "console.group_new", "administer", show_new),
        institution_page(f"{_PATH}/new", "console.group_make", "administer", make, _POST),
        institution_page(one, "console.group", "administer", masked),
        institution_page(one, "console.group_save", "administer", save, _POST),
        institution_page(f"{one}/show", "console.group_keys", "administer", in_clear, _POST),
        institution_page(f"{one}/renew", "console.group_ask", "administer", question),
        institution_page(f"{one}/renew", "console.group_renew", "administer", renewed, _POST),
        institution_page(f"{one}/delete", "console.group_end", "administer", ask_delete),
        institution_page(f"{one}/delete", "console.group_delete", "administer", delete, _POST),
    ]


async def show_new(visit: Visit) -> Response:
    """An empty form."""
    writing_manager(visit)
    return visit.page("keys_group_new.html", typed=_Typed("", "", {}))


async def make(visit: Visit) -> Response:
    """A new group with its keys, or the form again."""
    manager = writing_manager(visit)
    name, networks = _fields(visit)
    try:
        made = await groups.create(visit.conn, visit.site.secrets, manager, name, networks.split())
    except Problem as problem:
        typed = _Typed(name, networks, _errors(visit, problem))
        return visit.page("keys_group_new.html", problem.status, typed=typed)
    return redirect(f"{visit.here}{_PATH}/{made['id']}?done=made")


async def save(visit: Visit) -> Response:
    """Another name, another list of addresses."""
    manager, row = writing_manager(visit), await _read(visit)
    name, networks = _fields(visit)
    try:
        await groups.change(visit.conn, manager, row["id"], name, networks.split())
    except Problem as problem:
        typed = _Typed(name, networks, _errors(visit, problem))
        return await _page(visit, row, typed, {}, problem.status)
    return redirect(f"{visit.here}{_PATH}/{row['id']}?done=saved")


async def ask_delete(visit: Visit) -> Response:
    """What deleting means, and the question."""
    writing_manager(visit)
    return visit.page("keys_group_delete.html", group=await _read(visit), error="")


async def delete(visit: Visit) -> Response:
    """Delete an empty group for good."""
    manager, row = writing_manager(visit), await _read(visit)
    if not visit.form.ticked("sure"):
        return visit.page(
            "keys_group_delete.html",
            HTTPStatus.BAD_REQUEST,
            group=row,
            error=visit.texts.text(_UNSURE),
        )
    await groups.delete(visit.conn, manager, row["id"])
    return redirect(f"{visit.here}/keys?done=deleted")


async def _read(visit: Visit) -> Row:
    wanted = visit.request.path_params["group"]
    if not storable(wanted):
        raise Problem(404, "Group not found", "There is no such group.")
    return await groups.read(visit.conn, manager_of(visit), wanted)


async def _owner(visit: Visit) -> Owner:
    row = await _read(visit)
    return Owner(row["id"], row["name"], f"{_PATH}/{row['id']}", "group")


async def _show(visit: Visit, owner: Owner, clear: dict[str, str]) -> Response:
    row = await groups.read(visit.conn, manager_of(visit), owner.id)
    return await _page(
        visit, row, _Typed(row["name"], "\n".join(row["authorized_cidrs"]), {}), clear
    )


async def _page(
    visit: Visit, row: Row, typed: _Typed, clear: dict[str, str], status: int = 200
) -> Response:
    slots = (await key_shown.pairs(visit, row["id"]))[row["id"]]
    return visit.page(
        "keys_group.html",
        status,
        group=row,
        owner=Owner(row["id"], row["name"], f"{_PATH}/{row['id']}", "group"),
        slots=slots,
        clear=clear,
        typed=typed,
        done=visit.done(_DONE),
    )


def _fields(visit: Visit) -> tuple[str, str]:
    return visit.form.get("name").strip(), visit.form.get("networks")


def _errors(visit: Visit, problem: Problem) -> dict[str, str]:
    """What to say at the fields; what is about none of them goes on."""
    if problem.field not in _WRONG:
        raise problem
    taken = problem.status == HTTPStatus.CONFLICT
    return {problem.field: visit.texts.text(_TAKEN if taken else _WRONG[problem.field])}
