"""The ledger: what is known of each notice, and the one place that decides it.

Whoever learns something of a notice says so here: the payment node's answers, events pushed to us,
and the messages that carry it. The sender's `payment_status`, the citizen's page and the reminders
read what stands here. "Paid" is final, and never guessed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import reduce
from typing import Literal

from messo.base import clock, work
from messo.base.db import Connection, Row
from messo.base.sql import Queries
from messo.payments.notices import Notice

queries = Queries("messo.payments")

PAID = "payments.paid"  # the step that tells senders
_PLAN = "reminders.plan"

State = Literal["unpaid", "in_progress", "paid", "expired", "cancelled", "unknown"]
Source = Literal["message", "node", "event"]

SETTLED = ("paid", "expired", "cancelled")  # nothing is to be paid, for now or for ever
_AGAIN = {  # after which the slow sweep asks again
    "in_progress": timedelta(minutes=30),  # how long a payment under way can last at the most
    "unpaid": timedelta(days=7),
    "unknown": timedelta(days=1),
    "expired": timedelta(days=7),
    "cancelled": timedelta(days=30),
}
_AFTER_FAILURE = timedelta(hours=6)
_WATCHED = timedelta(days=120)  # after the due date, or after it was first seen
UNCLAIMED = timedelta(days=30)  # a payment that comes before the message with its notice


@dataclass(frozen=True, slots=True)
class Known:
    """What stands in the ledger. `amount` in euro cents; times are UTC, `due_date` a day in Rome.

    `source`, `code` and `observed_at` are the evidence for `state`; `asked_at` and `asked_code` say
    when the node was last asked and what came of it.
    """

    state: State
    amount: int | None
    due_date: date | None
    payee_name: str | None
    reason: str | None
    source: Source
    code: str
    observed_at: datetime
    paid_at: datetime | None
    receipt: str | None
    asked_at: datetime | None
    asked_code: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Seen:
    """Something learnt of a notice. `state` None: the node was asked, and said nothing of it.

    What is None of the rest is not known, and leaves what was known before.
    """

    notice: Notice
    state: State | None
    source: Source
    code: str
    at: datetime
    amount: int | None = None
    due_date: date | None = None
    payee_name: str | None = None
    reason: str | None = None
    paid_at: datetime | None = None
    receipt: str | None = None


def decide(known: Known, seen: Seen) -> Known:
    """What is known after this was seen.

    A notice that was paid stays paid, whatever anybody says later, and who says so first is the
    evidence; a later one may add the time and the receipt. That the node does not know a notice
    (`unknown`) takes away nothing: creditors' systems answer so while they are being mended. Of
    two that contradict each other the newer counts.
    """
    if seen.source == "node":
        known = replace(known, asked_at=seen.at, asked_code=seen.code)
    if known.state == "paid":
        if seen.state != "paid":
            return known
        return replace(
            known,
            paid_at=known.paid_at or seen.paid_at,
            receipt=known.receipt or seen.receipt,
        )
    if seen.state is None:
        return known
    if seen.state != "paid" and seen.at < known.observed_at:
        return known
    if seen.state == "unknown" and known.state != "unknown":
        return known
    return replace(
        known,
        state=seen.state,
        amount=known.amount if seen.amount is None else seen.amount,
        due_date=seen.due_date or known.due_date,
        payee_name=seen.payee_name or known.payee_name,
        reason=seen.reason or known.reason,
        source=seen.source,
        code=seen.code,
        observed_at=seen.at,
        paid_at=seen.paid_at,
        receipt=seen.receipt,
    )


def sweep_at(known: Known, seen: Seen, now: datetime) -> datetime | None:
    """When the slow sweep asks again; None: never."""
    if known.state == "paid":
        return None
    since = known.created_at
    if known.due_date is not None:
        since = max(since, datetime.combine(known.due_date, since.timetz()))
    if now - since > _WATCHED:
        return None
    return now + (_AFTER_FAILURE if seen.state is None else _AGAIN[known.state])


async def record(conn: Connection, seen: Sequence[Seen]) -> dict[Notice, Known]:
    """Enter what was seen of notices that stand in the ledger; how these stand now.

    In the caller's transaction, so that whatever reads after it commits knows. Notices that nobody
    entered are left out. Senders are told of a payment, and reminders planned anew, by work items.
    """
    told = _by_notice(seen)
    return await _enter(conn, await lock(conn, told), told)


async def lock(conn: Connection, notices: Iterable[Notice]) -> dict[Notice, Known]:
    """What is known of these notices, which are nobody else's until the transaction ends."""
    by_bucket: dict[int, list[Notice]] = {}
    for notice in set(notices):
        by_bucket.setdefault(conn.bucket(notice.rpt_id), []).append(notice)
    found: dict[Notice, Known] = {}
    # One statement a bucket: nearly always there is one, and on a cluster no single statement
    # locks rows of several. In the order that everybody else keeps to.
    for bucket in sorted(by_bucket):
        rows = await conn.rows(
            queries.lock_notices,
            bucket=bucket,
            payees=[one.payee for one in by_bucket[bucket]],
            numbers=[one.number for one in by_bucket[bucket]],
        )
        found |= {_notice(row): _known(row) for row in rows}
    return found


async def record_paid(conn: Connection, seen: Sequence[Seen]) -> int:
    """The same for payments that we are told of, also of notices that no message carries yet.

    How many notices were paid by this.
    """
    told = _by_notice(seen)
    keys, now = keys_of(conn, sorted(told)), clock.now()
    rows = await conn.rows(queries.lock_or_add_notices, **keys, now=now)
    before = {_notice(row): _known(row) for row in rows}
    await _enter(conn, before, told)
    carried = {_notice(row) for row in await conn.rows(queries.carried_of, **keys)}
    if unclaimed := sorted(told.keys() - carried):
        sweeps = [now + UNCLAIMED] * len(unclaimed)
        await conn.run(queries.set_sweeps, **keys_of(conn, unclaimed), sweeps=sweeps)
    return sum(known.state != "paid" for known in before.values())


async def read(conn: Connection, notices: Iterable[Notice]) -> dict[Notice, Known]:
    """What is known of these notices, of those that stand in the ledger."""
    rows = await conn.rows(queries.read_notices, **keys_of(conn, sorted(set(notices))))
    return {_notice(row): _known(row) for row in rows}


async def _enter(
    conn: Connection, before: dict[Notice, Known], seen: dict[Notice, list[Seen]]
) -> dict[Notice, Known]:
    """Under the locks of these notices."""
    now = clock.now()
    after = {notice: reduce(decide, seen[notice], known) for notice, known in before.items()}
    notices = sorted(after)
    states = [after[notice] for notice in notices]
    if notices:
        await conn.run(
            queries.write_notices,
            **keys_of(conn, notices),
            states=[one.state for one in states],
            amounts=[one.amount for one in states],
            due_dates=[one.due_date for one in states],
            payee_names=[one.payee_name for one in states],
            reasons=[one.reason for one in states],
            sources=[one.source for one in states],
            codes=[one.code for one in states],
            observed=[one.observed_at for one in states],
            paid=[one.paid_at for one in states],
            receipts=[one.receipt for one in states],
            asked=[one.asked_at for one in states],
            asked_codes=[one.asked_code for one in states],
            sweeps=[sweep_at(after[one], seen[one][-1], now) for one in notices],
        )
    changed = [one for one in notices if _matters(before[one], after[one])]
    if changed:
        await _follow_up(conn, changed, after, before, now)
    return after


def _matters(before: Known, after: Known) -> bool:
    """Whether reminders may have to be planned anew."""
    return (before.state, before.due_date) != (after.state, after.due_date)


async def plan_again(conn: Connection, notices: Sequence[Notice]) -> None:
    """Have the reminders of all messages that carry these notices planned anew."""
    carriers = await conn.rows(queries.carriers_of, **keys_of(conn, notices))
    await _queue(conn, _PLAN, carriers, clock.now())


async def _follow_up(
    conn: Connection,
    changed: list[Notice],
    after: dict[Notice, Known],
    before: dict[Notice, Known],
    now: datetime,
) -> None:
    carriers = await conn.rows(queries.carriers_of, **keys_of(conn, changed))
    paid = {one for one in changed if after[one].state == "paid" != before[one].state}
    await _queue(conn, PAID, [row for row in carriers if _notice(row) in paid], now)
    await _queue(conn, _PLAN, carriers, now)


async def _queue(conn: Connection, step: str, carriers: Sequence[Row], now: datetime) -> None:
    if carriers:
        await work.queue_across(
            conn,
            [row["message_bucket"] for row in carriers],
            step,
            [row["message_id"] for row in carriers],
            [row["lane"] for row in carriers],
            now,
        )


def _by_notice(seen: Sequence[Seen]) -> dict[Notice, list[Seen]]:
    """In the order in which it came: of two about one notice neither is lost."""
    told: dict[Notice, list[Seen]] = {}
    for one in seen:
        told.setdefault(one.notice, []).append(one)
    return told


def keys_of(conn: Connection, notices: Sequence[Notice]) -> dict[str, list[int] | list[str]]:
    """Notices as statements take them."""
    return {
        "buckets": [conn.bucket(notice.rpt_id) for notice in notices],
        "payees": [notice.payee for notice in notices],
        "numbers": [notice.number for notice in notices],
    }


def _notice(row: Row) -> Notice:
    return Notice(row["payee"], row["number"])


def _known(row: Row) -> Known:
    return Known(**{name: row[name] for name in Known.__slots__})
