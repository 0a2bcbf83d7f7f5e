"""Deciding, a set at a time: PROCESSED into the inbox, or REJECTED with its reason. Once."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from messo import events
from messo.base import clock, metrics, work
from messo.base.db import Connection, Pool, Row
from messo.messages.decide import PENDING_GRACE
from messo.messages.failed import queue_again
from messo.messages.submit import PROCESS, queries

GIVE_UP_AFTER = timedelta(days=7)
_REPLAY_AT_ONCE = 1000


# Steps to queue, and for which of the messages that are PROCESSED.
FollowUps = Mapping[str, Callable[[Row], bool]]


def every(_: Row) -> bool:
    """A step for each message."""
    return True


def with_notice(row: Row) -> bool:
    """A step for messages that carry a payment notice."""
    return bool(row["has_notice"])


def to_remind_of(row: Row) -> bool:
    """A step for messages without a notice whose citizen wants to be reminded of what they got."""
    return bool(row["wants_reminders"]) and not row["has_notice"]


def step(follow_ups: FollowUps | None = None) -> work.Step:
    """The step that decides."""

    async def run(conn: Connection, bucket: int, ids: list[str]) -> Callable[[], None]:
        return await process(conn, bucket, ids, follow_ups)

    return work.Step(PROCESS, run, postponed)


async def process(
    conn: Connection, bucket: int, ids: list[str], follow_ups: FollowUps | None = None
) -> Callable[[], None]:
    """Decide these messages. One that is decided already is left as it is.

    Answers what to count once the transaction is committed.
    """
    now = clock.now()
    decided = await conn.rows(
        queries.decide_messages,
        bucket=bucket,
        ids=ids,
        now=now,
        fresh_after=now - PENDING_GRACE,
    )
    if len(decided) < len(ids) and await conn.value(
        queries.any_undecided, bucket=bucket, ids=ids, decided=[row["id"] for row in decided]
    ):
        # Its sender's snapshot is missing: halving the batch finds it and makes it visible.
        raise LookupError("a message of the batch cannot be decided")
    rejected = [row["id"] for row in decided if row["status"] == "REJECTED"]
    await events.append(
        conn,
        bucket,
        [row["status"].lower() for row in decided],
        [row["id"] for row in decided],
        [row["service_id"] for row in decided],
        now,
    )
    if rejected:
        await conn.run(queries.delete_contents, bucket=bucket, ids=rejected)
    kept = [row for row in decided if row["status"] == "PROCESSED"]
    for name, applies in (follow_ups or {}).items():
        those = [row for row in kept if applies(row)]
        if those:
            lanes = [work.lane_of(row["service_id"]) for row in those]
            await work.queue(conn, bucket, name, [row["id"] for row in those], lanes, now)

    def count() -> None:
        metrics.decided.labels("processed").inc(len(kept))
        metrics.decided.labels("rejected").inc(len(rejected))
        for row in decided:
            metrics.inbox_seconds.observe((now - row["created_at"]).total_seconds())

    return count


async def postponed(conn: Connection, bucket: int, message_id: str, _attempts: int) -> bool:
    """A message could not be decided for a reason of ours: THROTTLED, and after 7 days FAILED."""
    now = clock.now()
    row = await conn.row(
        queries.postpone_message,
        bucket=bucket,
        id=message_id,
        given_up_before=now - GIVE_UP_AFTER,
    )
    if row is None:
        return False
    if row["status"] == "FAILED":
        await events.append(conn, bucket, ["failed"], [message_id], [row["service_id"]], now)
        metrics.decided.labels("failed").inc()
        return False
    return True


async def count_failed(pool: Pool) -> int | None:
    """How many messages are FAILED, for operators; None if the database does not say."""
    try:
        async with pool.connection() as conn:
            return int(await conn.value(queries.count_failed, buckets=list(range(conn.buckets))))
    except Exception:  # noqa: BLE001  what is wrong with the database is told elsewhere
        return None


async def replay(pool: Pool, actor: str, tell: Callable[[int], None]) -> int:
    """Queue every FAILED message again, a thousand at a time; how many there were."""
    total = 0
    for bucket in range(pool.buckets):
        while True:
            async with pool.transaction() as conn:
                failed = await conn.rows(queries.take_failed, bucket=bucket, limit=_REPLAY_AT_ONCE)
                await queue_again(conn, actor, failed)
            total += len(failed)
            tell(total)
            if len(failed) < _REPLAY_AT_ONCE:
                break
    return total
