"""Dead letters of all webhooks: for operators, who see how many, not what they say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from messo.base import clock
from messo.base.db import Connection, Row
from messo.events.log import queries
from messo.events.replay import AT_ONCE, may_be_told

COUNTED = 10_000  # more are counted as so many and one


@dataclass(frozen=True)
class DeadTotal:
    """A webhook with dead letters; names are empty where the service is gone.

    `host`: of its address, whose rest may hold secrets. `letters`: 10,001 stands for more than
    10,000. `stopped_why`: as in `wire.Webhook`, None while it is on.
    """

    webhook_id: str
    host: str
    state: str
    stopped_why: str | None
    service_id: str
    service_name: str
    institution_id: str
    institution_name: str
    letters: int
    oldest_at: datetime
    last_error: str


@dataclass(frozen=True)
class DeadTotals:
    """The oldest webhook first. `next`: the `after` of the page that follows, None at the end."""

    rows: Sequence[DeadTotal]
    next: str | None


async def dead_totals(conn: Connection, after: str = "", limit: int = 50) -> DeadTotals:
    """The webhooks that have dead letters."""
    rows = await conn.rows(
        queries.dead_totals,
        buckets=list(range(conn.buckets)),
        after=after,
        limit=limit + 1,
        most=COUNTED + 1,
    )
    shown = [_total(row) for row in rows[:limit]]
    return DeadTotals(shown, shown[-1].webhook_id if len(rows) > limit else None)


async def count_dead(conn: Connection, most: int) -> int:
    """How many dead letters there are, counted no further than this."""
    return int(await conn.value(queries.count_dead, buckets=list(range(conn.buckets)), most=most))


async def replay_dead(conn: Connection, webhook: Row, at_once: int = AT_ONCE) -> tuple[int, bool]:
    """Queue a webhook's dead letters again, the oldest first; how many, and whether some are left.

    The webhook is locked (`find_locked`). What may not be told any more stays dead, and goes when
    its time is over.
    """
    bucket = conn.bucket(webhook["service_id"])
    found = await conn.rows(
        queries.list_dead,
        bucket=bucket,
        service_id=webhook["service_id"],
        id=webhook["id"],
        after=0,
        limit=at_once + 1,
    )
    told = await may_be_told(conn, webhook, found[:at_once])
    await conn.run(
        queries.replay_events,
        bucket=bucket,
        id=webhook["id"],
        positions=[row["position"] for row in told],
        message_ids=[row["message_id"] for row in told],
        now=clock.now(),
    )
    return len(told), len(found) > at_once


def _total(row: Row) -> DeadTotal:
    values = dict(row)
    return DeadTotal(host=urlsplit(values.pop("url")).hostname or "", **values)
