"""What this room forgets and gives out: of erased citizens everything, of everybody what is old."""

from datetime import datetime, timedelta
from typing import Any

from messo.base import clock
from messo.base.db import Connection
from messo.reminders.facts import queries
from messo.reminders.rules import day_of

_KEEP = timedelta(days=90)
_AT_ONCE = 10_000


async def erase(conn: Connection, fiscal_code: str, _before: datetime) -> None:
    """Part of erasing a citizen. What came in since is planned anew, where they enrol again."""
    await conn.run(
        queries.erase_reminders, bucket=conn.bucket(fiscal_code), fiscal_code=fiscal_code
    )


async def export(conn: Connection, fiscal_code: str) -> list[dict[str, Any]]:
    """A citizen's reminders, for the archive of their data."""
    rows = await conn.rows(
        queries.reminders_of_citizen, bucket=conn.bucket(fiscal_code), fiscal_code=fiscal_code
    )
    return [dict(row) for row in rows]


async def forget_old(conn: Connection) -> bool:
    """The periodic step: delete a bounded number of what is old; True if more may be left."""
    before, more = day_of(clock.now() - _KEEP), False
    for bucket in range(conn.buckets):
        gone = await conn.run(
            queries.forget_reminders, bucket=bucket, before=before, limit=_AT_ONCE
        )
        more = more or gone == _AT_ONCE
    return more
