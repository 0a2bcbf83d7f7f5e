"""What the mass guard does to one institution, for its own people."""

from dataclasses import dataclass
from datetime import datetime

from messo.base import clock
from messo.base.db import Connection
from messo.messages.guard import WINDOW, allowances
from messo.messages.submit import queries


@dataclass(frozen=True)
class Guarded:
    """`contents`: stopped within the last day, the last of them at `held_at`.

    `allowed_until`: an operator lets the institution past the guard until then, if one does.
    """

    contents: int
    held_at: datetime | None
    allowed_until: datetime | None


async def guarded(conn: Connection, institution_id: str) -> Guarded:
    """How the institution stands with the guard now."""
    now = clock.now()
    row = await conn.row(
        queries.held_lately,
        buckets=list(range(conn.buckets)),
        institution_id=institution_id,
        since=now - WINDOW,
    )
    assert row is not None, "a count has a row"  # noqa: S101
    until = [
        one["until"]
        for one in await allowances(conn)
        if one["institution_id"] == institution_id and one["until"] > now
    ]
    return Guarded(row["contents"], row["held_at"], max(until, default=None))
