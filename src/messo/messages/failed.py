"""Messages that could not be decided for 7 days, and putting them back to work: for operators.

Operators look into nothing of citizens: no recipient, no subject.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from messo.base import clock, work
from messo.base.db import Connection, Row
from messo.base.wire import ULID
from messo.messages.submit import PROCESS, queries
from messo.operations import record

MOST_AT_ONCE = 1000
_ULID = re.compile(ULID)
_LAST = "~"  # above every id


@dataclass(frozen=True)
class FailedRow:
    """One FAILED message; names as they are now, empty if the service is gone."""

    id: str
    service_id: str
    service_name: str
    institution_name: str
    created_at: datetime


@dataclass(frozen=True)
class FailedPage:
    """Newest first. `next`: the `before` of the page that follows, None at the end."""

    rows: Sequence[FailedRow]
    next: str | None


async def failed_messages(
    conn: Connection, before: str | None = None, limit: int = 50
) -> FailedPage:
    """FAILED messages of all services. A `before` that is no id is as none."""
    rows = await conn.rows(
        queries.page_of_failed,
        buckets=list(range(conn.buckets)),
        before=before.upper() if before is not None and _ULID.match(before) else _LAST,
        limit=limit + 1,
    )
    shown = [FailedRow(**row) for row in rows[:limit]]
    return FailedPage(shown, shown[-1].id if len(rows) > limit else None)


async def count_failed(conn: Connection, most: int) -> int:
    """How many FAILED messages there are, counted no further than this."""
    return int(
        await conn.value(queries.count_failed_up_to, buckets=list(range(conn.buckets)), most=most)
    )


async def replay(conn: Connection, actor: str, message_ids: Sequence[str]) -> int:
    """Queue those of these messages that are FAILED again (audited); how many they were.

    In the caller's transaction. At most 1,000 ids: `ValueError` if more.
    """
    if len(message_ids) > MOST_AT_ONCE:
        raise ValueError(f"more than {MOST_AT_ONCE} messages")
    taken = await conn.rows(
        queries.take_these_failed,
        buckets=list(range(conn.buckets)),
        ids=[message_id for message_id in message_ids if _ULID.match(message_id)],
    )
    await queue_again(conn, actor, taken)
    return len(taken)


async def queue_again(conn: Connection, actor: str, taken: Sequence[Row]) -> None:
    """Messages that were FAILED until a moment ago, back to work (audited).

    `taken`: their `bucket`, `id` and `service_id`, in the transaction that took them.
    """
    if not taken:
        return
    await work.queue_across(
        conn,
        [row["bucket"] for row in taken],
        PROCESS,
        [row["id"] for row in taken],
        [work.lane_of(row["service_id"]) for row in taken],
        clock.now(),
    )
    await record(conn, actor, "messages.replay", PROCESS, count=len(taken))
