"""What this room forgets: of erased citizens their part in it, of everybody what is old."""

from datetime import datetime, timedelta

from messo.base import clock
from messo.base.buckets import short_hash
from messo.base.db import Connection
from messo.payments import ledger
from messo.payments.ledger import queries
from messo.payments.notices import Notice

_KEEP_DEAD = timedelta(days=30)
_AT_ONCE = 10_000


async def erase(conn: Connection, fiscal_code: str, before: datetime) -> None:
    """Part of erasing a citizen; before the messages themselves, by which notices are found."""
    rows = await conn.rows(
        queries.notices_of_citizen,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        before=before,
    )
    if not rows:
        return
    keys = {
        "buckets": [conn.bucket(row["payee"] + row["number"]) for row in rows],
        "payees": [row["payee"] for row in rows],
        "numbers": [row["number"] for row in rows],
    }
    # First of all: another citizen's message may just be bringing one of these notices. The delete
    # would wait for it too, and then not see that it carries the notice.
    await ledger.lock(conn, [Notice(row["payee"], row["number"]) for row in rows])
    await conn.run(
        queries.drop_carriers,
        **keys,
        recipient=short_hash(fiscal_code),
        message_ids=[row["id"] for row in rows],
    )
    await conn.run(queries.drop_uncarried, **keys)
    sweep_at = clock.now() + ledger.UNCLAIMED
    await conn.run(queries.blank_uncarried, **keys, sweep_at=sweep_at)


async def forget_old(conn: Connection) -> bool:
    """The periodic step: delete a bounded number of what is old; True if more may be left."""
    now = clock.now()
    buried = await conn.run(queries.forget_dead_letters, before=now - _KEEP_DEAD, limit=_AT_ONCE)
    more = buried == _AT_ONCE
    for bucket in range(conn.buckets):
        gone = await conn.run(queries.forget_unclaimed, bucket=bucket, now=now, limit=_AT_ONCE)
        more = more or gone == _AT_ONCE
    return more
