"""Reminders whose moment has come: looked at once more, and handed over to be told.

A notice of which nobody has said anything today is asked for first; the reminder waits for the
answer, and is dropped at the end of its day's window if there is none: somebody who may have paid
is not reminded. Where there is no payment node, the ledger lives from events and is believed.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from prometheus_client import Counter

from messo.base import clock, metrics, work
from messo.base.db import Connection, Row
from messo.reminders.facts import Facts, Subject, queries, read_facts
from messo.reminders.plan import keys_of
from messo.reminders.rules import (
    Kind,
    Quiet,
    Reason,
    Window,
    day_of,
    fits,
    open_until,
    opens_again,
    start_of,
)

HAND_OVER = "reminders.hand_over"
EVERY = timedelta(seconds=5)
_REMIND = "notifications.remind"
_ASK = "payments.ask"
_AT_ONCE = 1000
_AGAIN = timedelta(minutes=10)

counted = Counter(
    "messo_reminders", "Reminders, by what came of them.", ["outcome"], registry=metrics.registry
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one reminder now. `until`: when telling makes no sense any more."""

    state: str  # handed, dropped, or planned: looked at again at `at`
    at: datetime
    reason: Reason | None = None
    message_id: str | None = None
    until: datetime | None = None
    asks: bool = False


def run(window: Window, *, has_node: bool) -> Callable[[Connection], Awaitable[bool]]:
    """The periodic step. `has_node`: whether a payment node can be asked."""

    async def hand_over_all(conn: Connection) -> bool:
        most = 0
        for bucket in range(conn.buckets):
            most = max(most, await hand_over(conn, bucket, window, has_node=has_node))
        return most == _AT_ONCE

    return hand_over_all


async def hand_over(
    conn: Connection, bucket: int, window: Window, *, has_node: bool, limit: int = _AT_ONCE
) -> int:
    """Up to `limit` reminders of one bucket, in the caller's transaction; how many there were."""
    now = clock.now()
    rows = await conn.rows(queries.take_due, bucket=bucket, now=now, limit=limit)
    if not rows:
        return 0
    subjects = {Subject(row["fiscal_code"], row["subject"]) for row in rows}
    facts = await read_facts(conn, bucket, sorted(subjects, key=lambda one: one.key))
    verdicts = [
        judge(
            facts[Subject(row["fiscal_code"], row["subject"])],
            row["day"],
            row["kind"],
            now,
            window,
            has_node=has_node,
        )
        for row in rows
    ]
    both = list(zip(rows, verdicts, strict=True))
    await _settle(conn, bucket, both, now)
    await _tell(conn, bucket, both, facts, now)
    await _ask(conn, both, now)
    for state in ("handed", "dropped"):
        counted.labels(state).inc(sum(one.state == state for one in verdicts))
    return len(rows)


def judge(
    facts: Facts, day: date, kind: Kind, now: datetime, window: Window, *, has_node: bool
) -> Verdict:
    """What becomes of a reminder of this day at this moment."""
    today, message = day_of(now), facts.message
    against: Reason | None = "too_late" if day != today else facts.why_not(today)
    if against is None and facts.notice is not None and not fits(kind, day, facts.notice.due):
        against = "past_due"
    if against is not None or message is None:
        return Verdict("dropped", now, against)
    until = open_until(now, message.quiet, window)
    if until is None:
        later = opens_again(now, message.quiet, window)
        if later is None:
            return Verdict("dropped", now, "quiet_hours" if message.quiet else "too_late")
        return Verdict("planned", later)
    if reason := _unsure(facts, today, has_node=has_node):
        return _later(reason, now, until, message.quiet, window, asks=has_node)
    return Verdict("handed", now, None, message.id, until)


def _unsure(facts: Facts, today: date, *, has_node: bool) -> Reason | None:
    notice = facts.notice
    if notice is None:
        return None
    if notice.state == "in_progress":
        return "in_progress"
    is_sure = notice.state == "unpaid" and notice.observed_at >= start_of(today)
    return "not_checked" if has_node and not is_sure else None


def _later(
    reason: Reason,
    now: datetime,
    until: datetime,
    quiet: Quiet | None,
    window: Window,
    *,
    asks: bool,
) -> Verdict:
    if until - now > EVERY:
        # Towards the end more often: what comes in the last minutes is to have its chance as well.
        return Verdict("planned", now + min(_AGAIN, (until - now) / 2), asks=asks)
    again = opens_again(until, quiet, window)
    if again is None:
        return Verdict("dropped", now, reason)
    return Verdict("planned", again, asks=asks)


async def _settle(
    conn: Connection, bucket: int, both: Sequence[tuple[Row, Verdict]], now: datetime
) -> None:
    told = [(row, one) for row, one in both if one.message_id is not None]
    if told:
        await conn.run(
            queries.hand_reminders,
            bucket=bucket,
            now=now,
            **keys_of([row for row, _ in told]),
            message_ids=[one.message_id for _, one in told],
        )
    others = [(row, one) for row, one in both if one.message_id is None]
    if others:
        await conn.run(
            queries.settle_due,
            bucket=bucket,
            **keys_of([row for row, _ in others]),
            states=[one.state for _, one in others],
            dues=[one.at for _, one in others],
            reasons=[one.reason for _, one in others],
        )


async def _tell(
    conn: Connection,
    bucket: int,
    both: Sequence[tuple[Row, Verdict]],
    facts: dict[Subject, Facts],
    now: datetime,
) -> None:
    told = [(row, one) for row, one in both if one.until is not None]
    if not told:
        return
    services = {
        message.id: message.service_id for fact in facts.values() for message in fact.messages
    }
    await work.queue(
        conn,
        bucket,
        _REMIND,
        [
            f"{one.message_id} {row['kind']}:{row['day']} {int(one.until.timestamp())}"
            for row, one in told
            if one.until is not None
        ],
        [work.lane_of(services[str(one.message_id)]) for _, one in told],
        now,
    )


async def _ask(conn: Connection, both: Sequence[tuple[Row, Verdict]], now: datetime) -> None:
    keys = sorted({row["subject"] for row, one in both if one.asks})
    if keys:
        buckets = [conn.bucket(key) for key in keys]
        # Of the minute, so that the same wish is the same item.
        due = now.replace(second=0, microsecond=0)
        await work.queue_across(conn, buckets, _ASK, keys, [0] * len(keys), due)
