"""What operators look at: one service with its history, and how much is suspended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from messo.base.db import Connection, Row
from messo.services import owned
from messo.services.services import queries

_MOST = 50  # of a history


@dataclass(frozen=True)
class Overseen:
    """A service as `owned` finds it, and what operators alone ask: suspensions."""

    row: Row
    suspended_at: datetime | None
    institution_suspended_at: datetime | None


async def look(conn: Connection, service_id: str) -> Overseen:
    """A service, deleted or not. `Problem` 404 if there is none."""
    row = await owned.find(conn, service_id)
    if row is None:
        raise owned.not_found(service_id)
    more = await conn.row(queries.look_at_service, id=service_id)
    assert more is not None, "services are never removed"  # noqa: S101
    return Overseen(row, more["suspended_at"], more["institution_suspended_at"])


async def history(conn: Connection, service_id: str) -> Sequence[Row]:
    """`kind`, `value`, `reason`, `at` of what became of it lately, newest first."""
    return await conn.rows(queries.history_down, id=service_id, beyond=None, limit=_MOST)


async def count_suspended(conn: Connection) -> tuple[int, int]:
    """How many institutions and how many services are suspended now."""
    row = await conn.row(queries.count_suspended)
    return (row["institutions"], row["services"]) if row else (0, 0)
