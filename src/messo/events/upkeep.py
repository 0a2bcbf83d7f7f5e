"""What this room forgets by itself: what webhooks have not taken, and figures, once they are old."""

from messo.base import clock
from messo.base.db import Connection
from messo.events import figures
from messo.events.feed import KEPT
from messo.events.log import queries

_AT_ONCE = 10_000


async def forget_old(conn: Connection) -> bool:
    """The periodic step: delete a bounded number of what is old; True if more may be left."""
    before = clock.now() - KEPT
    more = await figures.forget_old(conn, _AT_ONCE)
    for bucket in range(conn.buckets):
        gone = await conn.run(
            queries.forget_retries_before, bucket=bucket, before=before, limit=_AT_ONCE
        )
        more = more or gone == _AT_ONCE
    return more
