"""Notices of messages that have come into an inbox are entered in the ledger, and watched."""

from collections.abc import Callable
from datetime import date, datetime

from messo import events
from messo.base import clock, work
from messo.base.buckets import short_hash
from messo.base.db import Connection, Row
from messo.payments import ledger
from messo.payments.ledger import PAID, queries
from messo.payments.notices import Notice

WATCH = "payments.watch"
_PLAN = "reminders.plan"  # queued from here, so that it finds what the ledger says
_TRIES = 180  # seven days at an hour each, and the first hour


def step() -> work.Step:
    """The step that follows the decision about a message with a notice; references are ids."""
    return work.Step(WATCH, watch, _postponed)


def paid_step() -> work.Step:
    """The step that tells the senders of a notice that it was paid; references are message ids."""
    return work.Step(PAID, tell_paid, _postponed)


async def watch(conn: Connection, bucket: int, ids: list[str]) -> Callable[[], None]:
    """Enter the notices of these messages. Run again, it changes nothing."""
    rows = await conn.rows(queries.notices_of_messages, bucket=bucket, ids=ids)
    found = {row["id"]: (Notice(row["payee"], row["number"]), row) for row in rows}
    if not found:
        return _nothing_to_count
    now = clock.now()
    # Two messages of one batch may carry one notice: ids are in order of time, and the last counts.
    newest = dict(found[message_id] for message_id in sorted(found))
    notices = sorted(newest)
    before = await ledger.lock(conn, notices)
    rows = await conn.rows(
        queries.add_notices,
        **ledger.keys_of(conn, notices),
        amounts=[newest[one]["amount"] for one in notices],
        due_dates=[_day(newest[one]) for one in notices],
        now=now,
    )
    after = {Notice(row["payee"], row["number"]): row for row in rows}
    paid = {one for one, row in after.items() if row["state"] == "paid"}
    moved = [one for one, known in before.items() if known.due_date != after[one]["due_date"]]
    if moved:  # other citizens' reminders follow it, too
        await ledger.plan_again(conn, moved)
    carried = {message_id: notice for message_id, (notice, _) in found.items()}
    lanes = {key: work.lane_of(row["service_id"]) for key, (_, row) in found.items()}
    await conn.run(
        queries.add_carriers,
        message_bucket=bucket,
        **ledger.keys_of(conn, list(carried.values())),
        recipients=[short_hash(found[one][1]["fiscal_code"]) for one in carried],
        message_ids=list(carried),
        lanes=list(lanes.values()),
    )
    told = [message_id for message_id, notice in carried.items() if notice in paid]
    for name, which in ((PAID, told), (_PLAN, list(carried))):
        if which:
            await work.queue(conn, bucket, name, which, [lanes[one] for one in which], now)
    return _nothing_to_count


async def tell_paid(conn: Connection, bucket: int, ids: list[str]) -> Callable[[], None]:
    """Log that these messages' notices were paid; the log takes each fact once."""
    rows = await conn.rows(queries.services_of_messages, bucket=bucket, ids=ids)
    await events.append(
        conn,
        bucket,
        ["paid"] * len(rows),
        [row["id"] for row in rows],
        [row["service_id"] for row in rows],
        clock.now(),
    )
    return _nothing_to_count


def _day(row: Row) -> date | None:
    """The due date by Rome's calendar."""
    due: datetime | None = row["due_at"]
    return None if due is None else clock.day_in_rome(due)


async def _postponed(_: Connection, __: int, ___: str, attempts: int) -> bool:
    return attempts < _TRIES


def _nothing_to_count() -> None:
    return
