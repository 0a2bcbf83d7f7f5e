"""What this room forgets and gives out: of erased citizens everything, of everybody what is old."""

from datetime import datetime, timedelta
from typing import Any

from messo.base import clock, work
from messo.base.db import Connection
from messo.reminders.facts import queries
from messo.reminders.plan import REPLAN
from messo.reminders.rules import day_of

_KEEP = timedelta(days=90)
_AT_ONCE = 10_000


async def erase(conn: Connection, fiscal_code: str, before: datetime) -> None:
    """Part of erasing a citizen; not of who has enrolled again since that moment."""
    bucket = conn.bucket(fiscal_code)
    await work.forget(conn, bucket, REPLAN, fiscal_code)
    await conn.run(queries.erase_reminders, bucket=bucket, fiscal_code=fiscal_code, before=before)


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
