"""Pairs of keys on a page: when each was made and used last, read and renewed with a question first.

The same for the keys of a service, of a group, and of the institution itself.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from starlette.responses import Response

from messo.base import clock
from messo.base.db import Row
from messo.base.http import Problem
from messo.console.explained import gettext
from messo.console.service_shown import writing_manager
from messo.console.visit import Visit
from messo.operations import record
from messo.pages.languages import Texts, in_rome
from messo.services import keys
from messo.services.key_uses import list_keys
from messo.services.keys import SLOTS
from messo.services.services import NotAcceptedError

SLOT_NAMES = {"primary": gettext("Primary key"), "secondary": gettext("Secondary key")}


@dataclass(frozen=True)
class Owner:
    """Whose keys: `path` is their page below the institution's home; `name` as people call it."""

    id: str
    name: str
    path: str
    kind: Literal["service", "group", "institution"]


FindOwner = Callable[[Visit], Awaitable[Owner]]
ShowPage = Callable[[Visit, Owner, dict[str, str]], Awaitable[Response]]


def used(texts: Texts, used_at: datetime | None) -> str:
    """When a key was used last, as exactly as it is noted: to the hour."""
    if used_at is None:
        return texts.text("not used yet")
    now, hour = in_rome(clock.now()), in_rome(used_at)
    if (now - hour).total_seconds() < 3600:  # noqa: PLR2004  seconds of an hour
        return texts.text("in the last hour")
    if now.date() == hour.date():
        return texts.text("today after %(hour)s", hour=texts.hour(used_at))
    return texts.text("on %(day)s after %(hour)s", day=texts.day(used_at), hour=texts.hour(used_at))


async def pairs(visit: Visit, *owners: str) -> dict[str, list[dict[str, Any]]]:
    """The slots of each of these owners, without the keys."""
    found = await list_keys(visit.conn, owners)
    return {owner: [slot_shown(visit, row) for row in rows] for owner, rows in found.items()}


def slot_shown(visit: Visit, row: Row) -> dict[str, Any]:
    """One slot in words."""
    name = SLOT_NAMES[row["slot"]]
    return {
        **row,
        "name": visit.texts.text(name),
        "used": used(visit.texts, row["used_at"]),
    }


async def reveal(visit: Visit, owner: Owner) -> dict[str, str]:
    """Both keys in clear, and a note of who read them. `Problem` 404 where there are none."""
    pair = await keys.read_pair(visit.conn, visit.site.secrets, owner.id)
    if not pair:
        raise _no_keys()
    await record(visit.conn, visit.actor, "key.read", owner.id)
    return pair


async def ask_renewal(visit: Visit, owner: Owner, error: str = "") -> Response:
    """What renewing a key means, with what is known of its use, and the question."""
    slot = _slot(visit)
    slots = (await pairs(visit, owner.id))[owner.id]
    if not slots:
        raise _no_keys()
    return visit.page(
        "key_renew.html",
        400 if error else 200,
        owner=owner,
        slot=next(one for one in slots if one["slot"] == slot),
        other=next(one for one in slots if one["slot"] != slot),
        error=error,
    )


async def renew(visit: Visit, owner: Owner) -> Response:
    """A new key in this slot, shown once, in this answer."""
    slot = _slot(visit)
    error = ""
    if not visit.form.ticked("sure"):
        error = gettext("Tick the box first: the old key ends at once.")
    elif visit.form.get("made") != await _made(visit, owner, slot):
        error = gettext("Somebody renewed this key a moment ago: it is a new one already.")
    if error:
        return await ask_renewal(visit, owner, visit.texts.text(error))
    try:
        key = await keys.rotate(visit.conn, visit.site.secrets, visit.actor, owner.id, slot)
    except NotAcceptedError:
        raise _no_keys() from None
    name = visit.texts.text(SLOT_NAMES[slot])
    return visit.page("key_new.html", owner=owner, slot_name=name, key=key)


async def _made(visit: Visit, owner: Owner, slot: str) -> str:
    """When the key in this slot was made, as the form has it; "" where there is none."""
    rows = (await list_keys(visit.conn, [owner.id]))[owner.id]
    return next((row["created_at"].isoformat() for row in rows if row["slot"] == slot), "")


def handlers(find: FindOwner, show: ShowPage) -> tuple[Callable[[Visit], Awaitable[Response]], ...]:
    """The functions of an owner's page, of showing its keys, of the question, and of renewing."""

    async def masked(visit: Visit) -> Response:
        writing_manager(visit)
        return await show(visit, await find(visit), {})

    async def in_clear(visit: Visit) -> Response:
        writing_manager(visit)
        owner = await find(visit)
        return await show(visit, owner, await reveal(visit, owner))

    async def question(visit: Visit) -> Response:
        writing_manager(visit)
        return await ask_renewal(visit, await find(visit))

    async def renewed(visit: Visit) -> Response:
        writing_manager(visit)
        return await renew(visit, await find(visit))

    return masked, in_clear, question, renewed


def _slot(visit: Visit) -> str:
    slot = visit.form.get("slot") if visit.request.method == "POST" else visit.query("slot")
    if slot not in SLOTS:
        raise Problem(404, "Not found", "A key is the primary or the secondary one.")
    return slot


def _no_keys() -> Problem:
    return Problem(404, "Keys not found", "There are no such keys.")
