"""From a draft to an approved version: what is checked at once, and what people decide.

A review that is asked for is decided in the same transaction where that is possible: a version that
lacks something is rejected, and one that changes nothing of weight is approved. The rest waits in a
queue for an operator. A version in review never disturbs the live one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from messo.base.db import Connection, Row
from messo.base.http import Problem
from messo.base.parameters import storable
from messo.operations import record
from messo.services import owned, payload, review_checks, versions
from messo.services.directory import Manager
from messo.services.lifecycle import PUBLICATION, approved_state
from messo.services.payload import Data
from messo.services.services import queries

# What a person looks at before citizens see it; all else may change without.
WEIGHTY = ("name", "description", "metadata.scope")
AT_ONCE = "review"  # who decides what needs no person, as the audit log calls it
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Reviewed:
    """A version that waits for a decision, beside the live one."""

    id: str
    institution_name: str
    fiscal_code: str
    submitted_at: datetime
    version: int
    auto_publish: bool
    live: Data | None
    asked: Data


async def submit(
    conn: Connection,
    manager: Manager,
    service_id: str,
    *,
    auto_publish: bool,
    most: int,
    version: int | None = None,
) -> None:
    """Ask for the review of a draft. `most`: the largest payment of what is approved, euro cents.

    `Problem` 409 if it is no draft; what `owned.hold` raises.
    """
    # First, as everybody does who compares names: two of one name are not approved at once.
    await conn.row(queries.hold_institution, id=manager.institution_id)
    held = await owned.hold(conn, manager, service_id, version)
    await versions.move(conn, held, "submit", actor=manager.actor, auto_publish=auto_publish)
    await record(conn, manager.actor, "service.submit", service_id, auto_publish=auto_publish)
    now = await owned.hold(conn, manager, service_id)
    data = payload.read(now["data"])
    reasons = [*review_checks.shortcomings(data), *await _same_name(conn, now, data)]
    if reasons:
        await versions.move(conn, now, "reject", actor=AT_ONCE, reason="\n".join(reasons))
        await record(conn, AT_ONCE, "service.reject", service_id)
    elif now["state"] in PUBLICATION and not _is_weighty(payload.of_live(now), data):
        await _approve(conn, now, most, AT_ONCE)
        await record(conn, AT_ONCE, "service.approve", service_id)


async def withdraw(
    conn: Connection, manager: Manager, service_id: str, version: int | None = None
) -> None:
    """Take a draft back before it is decided. `Problem` 409 if none is in review."""
    held = await owned.hold(conn, manager, service_id, version)
    await versions.move(conn, held, "withdraw", actor=manager.actor)
    await record(conn, manager.actor, "service.withdraw", service_id)


async def list_page(conn: Connection, after: tuple[int, str] | None, limit: int) -> Sequence[Row]:
    """What waits for a decision, the longest first; `after`: the place of the last one seen."""
    microseconds, service_id = after or (0, "")
    return await conn.rows(
        queries.list_reviews,
        at=_EPOCH + microseconds * _MICROSECOND,
        id=service_id,
        limit=limit,
    )


def place(row: Row) -> tuple[int, str]:
    """Where a row of `list_page` is in the queue: microseconds since 1970, and its id."""
    return (row["changed_at"] - _EPOCH) // _MICROSECOND, row["id"]


async def read(conn: Connection, service_id: str) -> Reviewed:
    """What is to be decided. `Problem` 404 if there is no such service, 409 if it is not in review."""
    held = _to_decide(await owned.find(conn, service_id), service_id)
    return Reviewed(
        id=held["id"],
        institution_name=held["institution_name"],
        fiscal_code=held["fiscal_code"],
        submitted_at=held["changed_at"],
        version=held["version"],
        auto_publish=held["auto_publish"],
        live=payload.of_live(held) if held["state"] in PUBLICATION else None,
        asked=payload.read(held["data"]),
    )


async def approve(
    conn: Connection, actor: str, service_id: str, version: int, most: int
) -> Literal["published", "approved", "waits"]:
    """Approve the version that was looked at; what has become of it. `most`: its largest payment.

    `Problem` 404, or 409 if it is not in review, another version by now, or its name is taken.
    """
    if storable(service_id):
        await conn.row(queries.hold_institution_of, id=service_id)
    held = await _hold(conn, service_id, version)
    if taken := await _same_name(conn, held, payload.read(held["data"])):
        raise Problem(409, "Conflict", taken[0])
    became = await _approve(conn, held, most, actor)
    await record(conn, actor, "service.approve", service_id, version=version)
    return became


async def reject(conn: Connection, actor: str, service_id: str, version: int, reason: str) -> None:
    """Reject the version that was looked at. `reason`: what its institution reads.

    `Problem` 404, or 409 if it is not in review or another version by now.
    """
    held = await _hold(conn, service_id, version)
    await versions.move(conn, held, "reject", actor=actor, reason=reason)
    await record(conn, actor, "service.reject", service_id, version=version)


async def find_released(conn: Connection, manager: Manager, service_id: str) -> Row:
    """The live version. `Problem` 404 if none was ever approved; what `owned.find_live` raises."""
    row = await owned.find_live(conn, manager, service_id)
    _must_be_approved(row)
    return row


async def release(
    conn: Connection, manager: Manager, service_id: str, *, most: int, version: int | None = None
) -> None:
    """Let citizens see the approved version. Done twice it is done once. `most`: as in `approve`.

    `Problem` 404 if none was ever approved, 409 if its name is taken; what `owned.hold` raises.
    """
    await conn.row(queries.hold_institution, id=manager.institution_id)
    held = await owned.hold(conn, manager, service_id, version)
    _must_be_approved(held)
    if held["waits"]:
        data = _with_most(held, most)
        if taken := await _same_name(conn, held, data):
            raise Problem(409, "Conflict", taken[0])
        await conn.run(queries.wait_no_more, id=service_id)
        await versions.write_live(conn, service_id, "published", data, manager.actor)
    elif held["state"] == "published":
        return
    else:
        await versions.set_live_state(conn, held, "published", manager.actor)
    await record(conn, manager.actor, "service.release", service_id)


async def unpublish(
    conn: Connection, manager: Manager, service_id: str, version: int | None = None
) -> None:
    """List it no longer; it goes on sending. Done twice it is done once.

    `Problem` 404 if none was ever approved; what `owned.hold` raises.
    """
    held = await owned.hold(conn, manager, service_id, version)
    _must_be_approved(held)
    if held["state"] == "published":
        await versions.set_live_state(conn, held, "approved", manager.actor)
        await record(conn, manager.actor, "service.unpublish", service_id)


async def _hold(conn: Connection, service_id: str, version: int) -> Row:
    held = _to_decide(await owned.find_held(conn, service_id), service_id)
    if held["version"] != version:
        raise Problem(
            409,
            "Conflict",
            "It is another version by now: look at it again, then decide.",
            field="version",
        )
    return held


def _to_decide(row: Row | None, service_id: str) -> Row:
    if row is None:
        raise owned.not_found(service_id)
    if row["status"] != "submitted":
        raise Problem(409, "Conflict", f"It is not in review: it is {row['status']}.")
    return row


async def _approve(
    conn: Connection, held: Row, most: int, actor: str
) -> Literal["published", "approved", "waits"]:
    """Approve a version whose row is held, and put it in its place unless it waits."""
    state, waits = approved_state(held["state"], auto_publish=held["auto_publish"])
    await versions.move(conn, held, "approve", actor=actor, waits=waits)
    if waits:
        return "waits"
    await versions.write_live(conn, held["id"], state, _with_most(held, most), actor)
    return state


async def _same_name(conn: Connection, held: Row, data: Data) -> list[str]:
    """Whether another service of the institution, approved or waiting to be, has this name."""
    other = await conn.value(
        queries.find_same_name,
        institution_id=held["institution_id"],
        id=held["id"],
        name=data.name,
    )
    if other is None:
        return []
    italian = f"un altro vostro servizio si chiama già così ({other})"
    return [f"name: {italian} · another service of yours has this name already ({other})"]


def _with_most(held: Row, most: int) -> Data:
    """The working version with the amount that an approval gives it, whatever was asked."""
    data = payload.read(held["data"])
    data.max_allowed_payment_amount = most
    return data


def _is_weighty(live: Data, asked: Data) -> bool:
    return any(name in WEIGHTY for name in review_checks.differences(live, asked))


def _must_be_approved(held: Row) -> None:
    if held["state"] not in PUBLICATION:
        raise owned.no_item(held["id"], "no version of it was approved yet")
