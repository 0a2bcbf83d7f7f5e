"""Sending what was dispatched: claimed, sent without a connection, recorded many at once."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from messo import events
from messo.base import clock, log, metrics, work
from messo.base.db import Connection
from messo.base.outward import Outward
from messo.base.work import Finished, Leased
from messo.notifications.channels import Again, Channel, Delivery, Failed, Gone, Outcome, Sent
from messo.notifications.dispatch import NEW, deliver_step, queries

logger = log.get(__name__)

_PAGES = 20
_LONG_S = 2.0  # from here on the sender is told that it waits


@dataclass(frozen=True, slots=True)
class Job:
    """A leased item, what it delivers and to whom; no target: opted out since, or gone."""

    item: Leased
    delivery: Delivery | None
    target: Any


@dataclass(frozen=True, slots=True)
class Expired:
    """Too late: nobody was asked."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The citizen changed their mind, the device has gone meanwhile, or the message is no more."""


Result = Outcome | Expired | Stopped

Told = tuple[str, str]  # a message's id and the occasion
# Of these reminders, those that must not be sent any more; asked right before they would be.
NotAnyMore = Callable[[Connection, int, Sequence[Told]], Awaitable[Collection[Told]]]

_STATES: dict[type[Any], str] = {
    Sent: "SENT",
    Gone: "FAILED",
    Failed: "FAILED",
    Expired: "EXPIRED",
    Stopped: "STOPPED",
}


def step(channel: Channel, not_any_more: NotAnyMore) -> Outward[Job, Result]:
    """The outward step of one channel, so that a slow one keeps no other waiting."""
    name = deliver_step(channel.name)

    async def claim(conn: Connection, bucket: int, limit: int) -> list[Job]:
        return await _claim(conn, bucket, name, channel, limit, not_any_more)

    async def send(job: Job) -> Result:
        if job.delivery is None or job.target is None:
            return Stopped()
        if job.delivery.expires_at <= clock.now():
            return Expired()
        try:
            return await channel.send(job.delivery, job.target)
        except Exception as error:
            # A try like any other, so that it comes back later each time.
            logger.error("not sent", channel=channel.name, delivery=job.delivery.id, exc_info=error)
            return Again("unforeseen")

    async def record(conn: Connection, bucket: int, sent: Sequence[tuple[Job, Result]]) -> None:
        await _record(conn, bucket, name, channel, sent)

    return Outward(name, claim, send, record, channel.at_once)


async def _claim(
    conn: Connection,
    bucket: int,
    name: str,
    channel: Channel,
    limit: int,
    not_any_more: NotAnyMore,
) -> list[Job]:
    items = await _lease(conn, bucket, name, channel, limit)
    if not items:
        return []
    ids = {_id(item): item for item in items}
    rows = await conn.rows(queries.read_deliveries, bucket=bucket, ids=list(ids))
    deliveries = {row["id"]: Delivery(**row) for row in rows}
    targets = dict(await channel.targets(conn, bucket, list(deliveries.values())))
    reminders = [
        (one.message_id, one.occasion)
        for one in deliveries.values()
        if one.occasion != NEW and one.id in targets
    ]
    if reminders:
        stopped = await not_any_more(conn, bucket, reminders)
        for one in deliveries.values():
            if (one.message_id, one.occasion) in stopped:
                targets.pop(one.id, None)
    return [Job(item, deliveries.get(one), targets.get(one)) for one, item in ids.items()]


async def _lease(
    conn: Connection, bucket: int, name: str, channel: Channel, limit: int
) -> list[Leased]:
    """Items that can be sent now. What goes through a host that hangs is put off unread.

    Thousands of those may lie before the first that can be sent, so that several pages of them are
    turned at once.
    """
    for _ in range(_PAGES):
        items = await work.lease(conn, bucket, name, limit)
        by_host: dict[str, list[Leased]] = {}
        for item in items:
            by_host.setdefault(item.reference.partition(" ")[2], []).append(item)
        begun, held = [], []
        for host, through in by_host.items():
            room, wait_s = channel.room(host)
            begun += through[:room]
            held += [(item, wait_s) for item in through[room:]]
        if held:
            await _hold(conn, bucket, name, channel, held)
        # The share of a lane may have been empty: fewer than asked for is not the end.
        if begun or len(items) < limit // 2:
            return begun
    return []


async def _hold(
    conn: Connection,
    bucket: int,
    name: str,
    channel: Channel,
    held: Sequence[tuple[Leased, float]],
) -> None:
    now = clock.now()
    waiting = [_id(item) for item, wait_s in held if wait_s >= _LONG_S]
    rows = await conn.rows(
        queries.hold_deliveries,
        bucket=bucket,
        ids=[_id(item) for item, _ in held],
        waiting=waiting,
        now=now,
    )
    over = {row["id"] for row in rows if row["state"] == "EXPIRED"}
    finished = []
    for item, wait_s in held:
        if _id(item) in over:
            finished.append(Finished(item))
        elif not _LONG_S <= wait_s <= work.LEASE.total_seconds():
            # Spread, so that they do not all come back at one moment.
            later = timedelta(seconds=wait_s * random.uniform(1, 1.5))  # noqa: S311
            finished.append(Finished(item, now + later))
        # Else the lease itself is the wait, and nothing more is written.
    await work.finish(conn, bucket, name, finished)
    metrics.deliveries.labels(channel.name, "expired").inc(len(over))
    metrics.deliveries.labels(channel.name, "put off").inc(len(held) - len(over))


def _id(item: Leased) -> str:
    return item.reference.partition(" ")[0]


async def _record(
    conn: Connection,
    bucket: int,
    name: str,
    channel: Channel,
    sent: Sequence[tuple[Job, Result]],
) -> None:
    now = clock.now()
    known = [(job.delivery, result) for job, result in sent if job.delivery is not None]
    moved: set[str] = set()
    # Put off without a try: nothing has become of it yet that anybody should see.
    changed = [
        (delivery.id, _STATES.get(type(result), "THROTTLED"))
        for delivery, result in known
        if not (isinstance(result, Again) and not result.tried)
    ]
    if changed:
        rows = await conn.rows(
            queries.record_states,
            bucket=bucket,
            ids=[delivery for delivery, _ in changed],
            states=[state for _, state in changed],
            now=now,
        )
        moved = {row["id"] for row in rows}
        services = {delivery.message_id: delivery.service_id for delivery, _ in known}
        told = [row for row in rows if row["state"] == "SENT"]
        await events.append(
            conn,
            bucket,
            ["notified"] * len(told),
            [row["message_id"] for row in told],
            [services[row["message_id"]] for row in told],
            now,
            abouts=[row["told_by"] for row in told],
        )
    # One whose citizen was erased meanwhile has moved nothing, and must leave nothing.
    gone = [(d, result.reason) for d, result in known if isinstance(result, Gone) and d.id in moved]
    if gone:
        await channel.switch_off(conn, bucket, gone)
    await work.finish(conn, bucket, name, [_finished(job, result, now) for job, result in sent])
    for word, number in Counter(_word(result) for _, result in sent).items():
        metrics.deliveries.labels(channel.name, word).inc(number)


def _finished(job: Job, result: Result, now: datetime) -> Finished:
    if not isinstance(result, Again) or job.delivery is None:
        return Finished(job.item)
    wait = work.delay_after(job.item.attempts + 1)
    if result.after_s is not None:
        wished = timedelta(seconds=result.after_s)
        wait = max(wait, wished) if result.tried else wished
    # Not later than its end, so that EXPIRED is said when it is true.
    return Finished(job.item, min(now + wait, max(job.delivery.expires_at, now)), result.tried)


def _word(result: Result) -> str:
    if isinstance(result, Again):
        return "again" if result.tried else "put off"
    return "gone" if isinstance(result, Gone) else _STATES[type(result)].lower()
