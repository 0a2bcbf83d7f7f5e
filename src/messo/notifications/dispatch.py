"""Who is told of a message, by which channel and in which words: decided once, a set at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from messo.base import clock, metrics, work
from messo.base.db import Connection, Row
from messo.base.ids import new_id
from messo.base.sql import Queries
from messo.notifications.channels import Channel, Choice

queries = Queries("messo.notifications")

DISPATCH = "notifications.dispatch"
REMIND = "notifications.remind"
NEW = "new"  # the occasion of a message that has just come in

_AT_LEAST = timedelta(hours=24)  # the wire's default of one hour would drop mail during an outage
_AT_MOST = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why a message is told of: `name` is `NEW`, or a reminder's kind and planned day.

    `expires_at`: until when telling makes sense; None: what holds for a new message.
    """

    message_id: str
    name: str = NEW
    expires_at: datetime | None = None


def deliver_step(channel: str) -> str:
    """The name of the step that delivers by this channel."""
    return f"notifications.deliver.{channel}"


def step(channels: Sequence[Channel]) -> work.Step:
    """The step that follows a message's decision; its references are message ids."""

    async def run(conn: Connection, bucket: int, ids: list[str]) -> Callable[[], None]:
        return await dispatch(conn, bucket, [Occasion(one) for one in ids], channels)

    return work.Step(DISPATCH, run, _postponed)


def remind_step(channels: Sequence[Channel]) -> work.Step:
    """The step that tells of reminders that are due.

    Its references are a message's id, the kind and planned day, and the second (since 1970) in
    which its day's window ends.
    """
    reminding = [channel for channel in channels if channel.reminds]

    async def run(conn: Connection, bucket: int, references: list[str]) -> Callable[[], None]:
        occasions = [_occasion(reference) for reference in references]
        return await dispatch(conn, bucket, occasions, reminding)

    return work.Step(REMIND, run, _postponed)


async def dispatch(
    conn: Connection, bucket: int, occasions: Sequence[Occasion], channels: Sequence[Channel]
) -> Callable[[], None]:
    """Queue a delivery for every address that is to be told on these occasions.

    Run again, it adds only what is missing. Answers what to count once it is committed.
    """
    by_message: dict[str, list[Occasion]] = {}
    for one in occasions:
        by_message.setdefault(one.message_id, []).append(one)
    ids = list(by_message)
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
        known = [
            (occasion, choice)
            for choice in choices
            if choice.message_id in messages
            for occasion in by_message[choice.message_id]
        ]
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
    known: Sequence[tuple[Occasion, Choice]],
    messages: dict[str, Row],
) -> int:
    now = clock.now()
    rows = await conn.rows(
        queries.add_deliveries,
        bucket=bucket,
        channel=channel,
        now=now,
        ids=[new_id() for _ in known],
        message_ids=[choice.message_id for _, choice in known],
        occasions=[occasion.name for occasion, _ in known],
        addresses=[choice.address for _, choice in known],
        wordings=[choice.wording for _, choice in known],
        languages=[choice.language for _, choice in known],
        expiries=[
            occasion.expires_at or _expiry(messages[choice.message_id])
            for occasion, choice in known
        ],
    )
    hosts = {(choice.message_id, choice.address): choice.host for _, choice in known}
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


def _occasion(reference: str) -> Occasion:
    message_id, name, until = reference.split(" ")
    return Occasion(message_id, name, datetime.fromtimestamp(int(until), UTC))


def _expiry(message: Row) -> datetime:
    """Until when telling makes sense: design "Life of a message", 6.5."""
    lives = max(timedelta(seconds=message["time_to_live"]), _AT_LEAST)
    at: datetime = message["created_at"] + min(lives, _AT_MOST)
    return at


async def _postponed(_: Connection, __: int, ___: str, attempts: int) -> bool:
    """For a week or so; a message that nobody was told of is in the inbox all the same."""
    return attempts < 180  # noqa: PLR2004  seven days at an hour each, and the first hour
