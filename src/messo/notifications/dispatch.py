"""Who is told of a message, by which channel and in which words: decided once, a set at a time."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from messo.base import clock, metrics, work
from messo.base.db import Connection, Row
from messo.base.ids import new_id
from messo.base.sql import Queries
from messo.notifications.channels import Channel, Choice

queries = Queries("messo.notifications")

DISPATCH = "notifications.dispatch"
NEW = "new"  # the occasion of a message that has just come in

_AT_LEAST = timedelta(hours=24)  # the wire's default of one hour would drop mail during an outage
_AT_MOST = timedelta(days=7)


def deliver_step(channel: str) -> str:
    """The name of the step that delivers by this channel."""
    return f"notifications.deliver.{channel}"


def step(channels: Sequence[Channel]) -> work.Step:
    """The step that follows a message's decision; its references are message ids."""

    async def run(conn: Connection, bucket: int, ids: list[str]) -> Callable[[], None]:
        return await dispatch(conn, bucket, ids, channels)

    return work.Step(DISPATCH, run, _postponed)


async def dispatch(
    conn: Connection, bucket: int, ids: Sequence[str], channels: Sequence[Channel]
) -> Callable[[], None]:
    """Queue a delivery for every address that is to be told of these messages.

    Run again, it adds only what is missing. Answers what to count once it is committed.
    """
    chosen = {}
    for channel in channels:  # a handful: each has its own way to find addresses
        if choices := await channel.choose(conn, bucket, ids):
            chosen[channel.name] = choices
    told = sorted({choice.message_id for choices in chosen.values() for choice in choices})
    if not told:
        return lambda: None
    # Locked only now: most messages of most installations have nobody to tell.
    rows = await conn.rows(queries.messages_to_tell, bucket=bucket, ids=told)
    messages = {row["id"]: row for row in rows}
    added: dict[str, int] = {}
    for name, choices in chosen.items():
        known = [choice for choice in choices if choice.message_id in messages]
        if known:
            added[name] = await _add(conn, bucket, name, known, messages)

    def count() -> None:
        for name, number in added.items():
            metrics.deliveries.labels(name, "queued").inc(number)

    return count


async def _add(
    conn: Connection,
    bucket: int,
    channel: str,
    choices: Sequence[Choice],
    messages: dict[str, Row],
) -> int:
    now = clock.now()
    rows = await conn.rows(
        queries.add_deliveries,
        bucket=bucket,
        occasion=NEW,
        channel=channel,
        now=now,
        ids=[new_id() for _ in choices],
        message_ids=[choice.message_id for choice in choices],
        addresses=[choice.address for choice in choices],
        wordings=[choice.wording for choice in choices],
        languages=[choice.language for choice in choices],
        expiries=[_expiry(messages[choice.message_id]) for choice in choices],
    )
    hosts = {(choice.message_id, choice.address): choice.host for choice in choices}
    await work.queue(
        conn,
        bucket,
        deliver_step(channel),
        # With the host, so that whoever leases it can pass over one that hangs unread.
        [f"{row['id']} {hosts[row['message_id'], row['address']]}".strip() for row in rows],
        [work.lane_of(messages[row["message_id"]]["service_id"]) for row in rows],
        now,
    )
    return len(rows)


def _expiry(message: Row) -> datetime:
    """Until when telling makes sense: design "Life of a message", 6.5."""
    lives = max(timedelta(seconds=message["time_to_live"]), _AT_LEAST)
    at: datetime = message["created_at"] + min(lives, _AT_MOST)
    return at


async def _postponed(_: Connection, __: int, ___: str, attempts: int) -> bool:
    """For a week or so; a message that nobody was told of is in the inbox all the same."""
    return attempts < 180  # noqa: PLR2004  seven days at an hour each, and the first hour
