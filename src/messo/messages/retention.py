"""What this room forgets, and when: idempotency keys and the guard's recipients."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from messo.base import clock
from messo.base.db import Connection
from messo.messages import guard
from messo.messages.submit import queries

_AT_ONCE = 20_000
_KEYS_AT_LEAST = timedelta(hours=24)  # what institutions are promised


def keys_kept(hours: int) -> timedelta:
    """How long an Idempotency-Key is remembered, where the setting says so many hours."""
    return max(_KEYS_AT_LEAST, timedelta(hours=hours))


def forget(keep_keys: timedelta) -> Callable[[Connection], Awaitable[bool]]:
    """The periodic step: delete a bounded number of what is too old; True if more may be left."""

    async def run(conn: Connection) -> bool:
        more = await guard.forget_old(conn, _AT_ONCE)
        for bucket in range(conn.buckets):
            gone = await conn.run(
                queries.forget_idempotency_keys,
                bucket=bucket,
                before=clock.now() - keep_keys,
                limit=_AT_ONCE,
            )
            more = more or gone == _AT_ONCE
        return more

    return run
