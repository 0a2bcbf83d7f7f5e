"""What one webhook did not take, for people: what is tried again, and dead letters sent once more."""

from collections.abc import Sequence

from messo.base import clock
from messo.base.db import Connection, Row
from messo.events import wire
from messo.events.log import queries
from messo.events.replay import AT_ONCE, may_be_told


async def waiting(
    conn: Connection, webhook: Row, after: int, limit: int
) -> tuple[Sequence[Row], int | None]:
    """What one webhook is to be tried with again, after a position; and where a next page begins.

    A page may be empty although there is a next one: what may not be told any more is not shown.
    """
    rows = await conn.rows(
        queries.list_waiting,
        bucket=conn.bucket(webhook["service_id"]),
        service_id=webhook["service_id"],
        id=webhook["id"],
        after=after,
        limit=limit + 1,
    )
    told = await may_be_told(conn, webhook, rows[:limit])
    return told, rows[limit - 1]["position"] if len(rows) > limit else None


async def send_again(
    conn: Connection, webhook: Row, positions: Sequence[int] | None, at_once: int = AT_ONCE
) -> wire.Replayed:
    """Queue dead letters again, those at these positions or all, at most `at_once`; how many.

    The webhook is locked (`find_locked`). What is no dead letter any more is left out.
    """
    bucket = conn.bucket(webhook["service_id"])
    found = await conn.rows(
        queries.find_dead,
        bucket=bucket,
        service_id=webhook["service_id"],
        id=webhook["id"],
        positions=None if positions is None else list(positions),
        limit=at_once,
    )
    told = await may_be_told(conn, webhook, found)
    await conn.run(
        queries.replay_events,
        bucket=bucket,
        id=webhook["id"],
        positions=[row["position"] for row in told],
        message_ids=[row["message_id"] for row in told],
        now=clock.now(),
    )
    return wire.Replayed(len(told))
