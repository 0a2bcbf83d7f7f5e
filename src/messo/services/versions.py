"""The two versions of a service, and its history: what writes and reads their rows.

The working version is a row of services.lifecycle, the live one a row of services.service.
"""

from typing import Any

from msgspec import UNSET

from messo.base import clock
from messo.base.db import Connection, Row
from messo.services import manage_wire as wire
from messo.services import payload
from messo.services.lifecycle import PUBLICATION, Action, after
from messo.services.payload import Data, Shown
from messo.services.services import changed, queries, remember


async def move(
    conn: Connection,
    held: Row,
    action: Action,
    *,
    actor: str,
    data: Data | None = None,
    reason: str | None = None,
    auto_publish: bool = False,
    waits: bool = False,
) -> None:
    """Move a working version whose row is held. `Problem` 409 if its state does not allow it.

    `data` replaces what is there. `actor`: whose doing it is, as the audit log calls them.
    """
    status = after(action, held["status"])
    kept = held["data"] if data is None else payload.stored(data)
    now = clock.now()
    await conn.run(
        queries.move,
        id=held["id"],
        status=status,
        data=kept,
        reason=reason,
        auto_publish=auto_publish,
        waits=waits,
        now=now,
    )
    await remember(conn, held["id"], now, ["lifecycle"], [status], kept, reason, actor=actor)


async def write_live(conn: Connection, service_id: str, state: str, data: Data, actor: str) -> None:
    """Put a version in the place of the live one; in force within a second."""
    now = clock.now()
    await conn.run(queries.write_live, id=service_id, state=state, now=now, **payload.live(data))
    if publication := PUBLICATION.get(state):
        kept = payload.stored(data)
        await remember(conn, service_id, now, ["publication"], [publication], kept, actor=actor)
    await changed(conn)


async def set_live_state(conn: Connection, held: Row, state: str, actor: str) -> None:
    """Publish, hide or delete the live version as it is; in force within a second."""
    now = clock.now()
    await conn.run(queries.set_live_state, id=held["id"], state=state, now=now)
    if publication := PUBLICATION.get(state):
        data = payload.stored(payload.of_live(held))
        await remember(conn, held["id"], now, ["publication"], [publication], data, actor=actor)
    await changed(conn)


def working(row: Row) -> wire.ServiceLifecycle:
    """The working version as the API shows it."""
    reason = UNSET if row["reason"] is None else row["reason"]
    return wire.ServiceLifecycle(
        status=wire.LifecycleStatus(row["status"], reason),
        **payload.members(payload.read(row["data"]), _shown(row, row["changed_at"])),
    )


def published(row: Row) -> wire.ServicePublication:
    """The live version as the API shows it."""
    return wire.ServicePublication(
        status=PUBLICATION[row["state"]],
        **payload.members(payload.of_live(row), _shown(row, row["live_at"])),
    )


def item(held: Row, row: Row) -> wire.HistoryItem:
    """A row of a service's history as the API shows it."""
    reason = UNSET if row["reason"] is None else row["reason"]
    return wire.HistoryItem(
        status=wire.HistoryStatus(row["kind"], row["value"], reason),
        **payload.members(payload.read(row["data"]), _shown(held, row["at"])),
    )


def _shown(row: Row, at: Any) -> Shown:  # noqa: ANN401  a column
    return Shown(
        id=row["id"],
        at=at,
        institution_name=row["institution_name"],
        fiscal_code=row["fiscal_code"],
        group_id=row["group_id"],
    )
