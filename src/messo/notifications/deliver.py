"""Sending what was dispatched: claimed, sent without a connection, recorded many at once."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from messo import events
from messo.base import clock, log, metrics, work
from messo.base.db import Connection
from messo.base.outward import Outward
from messo.base.work import Finished, Leased
from messo.notifications.channels import Again, Channel, Delivery, Failed, Gone, Outcome, Sent
from messo.notifications.dispatch import deliver_step, queries

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A leased item, what it delivers and to whom; no target: the citizen has opted out since."""

    item: Leased
    delivery: Delivery | None
    target: Any


@dataclass(frozen=True, slots=True)
class Expired:
    """Too late: nobody was asked."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The citizen changed their mind, or the message is no more."""


Result = Outcome | Expired | Stopped

_STATES: dict[type[Any], str] = {
    Sent: "SENT",
    Gone: "FAILED",
    Failed: "FAILED",
    Expired: "EXPIRED",
    Stopped: "STOPPED",
}


def step(channel: Channel, now: Callable[[], datetime] = clock.now) -> Outward[Job, Result]:
    """The outward step of one channel, so that a slow one keeps no other waiting."""
    name = deliver_step(channel.name)

    async def claim(conn: Connection, bucket: int, limit: int) -> list[Job]:
        return await _claim(conn, bucket, name, channel, limit)

    async def send(job: Job) -> Result:
        if job.delivery is None or job.target is None:
            return Stopped()
        if job.delivery.expires_at <= now():
            return Expired()
        return await channel.send(job.delivery, job.target)

    async def record(conn: Connection, bucket: int, sent: Sequence[tuple[Job, Result]]) -> None:
        await _record(conn, bucket, name, channel, sent)

    return Outward(name, claim, send, record, channel.at_once)


async def _claim(
    conn: Connection, bucket: int, name: str, channel: Channel, limit: int
) -> list[Job]:
    items = await work.lease(conn, bucket, name, limit)
    if not items:
        return []
    rows = await conn.rows(
        queries.read_deliveries, bucket=bucket, ids=[item.reference for item in items]
    )
    deliveries = {row["id"]: Delivery(**row) for row in rows}
    targets = await channel.targets(conn, bucket, list(deliveries.values()))
    return [
        Job(item, deliveries.get(item.reference), targets.get(item.reference)) for item in items
    ]


async def _record(
    conn: Connection,
    bucket: int,
    name: str,
    channel: Channel,
    sent: Sequence[tuple[Job, Result]],
) -> None:
    now = clock.now()
    known = [(job.delivery, result) for job, result in sent if job.delivery is not None]
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
    gone = [(d, result.reason) for d, result in known if isinstance(result, Gone)]
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
