"""Asking the node without anybody waiting: for reminders that are due, and in a slow sweep.

Both within so many calls a minute. Reminders come first: the sweep adds no more than half of that.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from messo.base import clock, work
from messo.base.db import Connection
from messo.base.outward import Outward
from messo.base.pacing import Pace
from messo.base.work import Finished, Leased
from messo.payments import ledger
from messo.payments.ledger import Known, Seen, queries
from messo.payments.node import Node, NodeError, seen_of
from messo.payments.notices import Notice

ASK = "payments.ask"
SWEEP_EVERY = timedelta(minutes=1)
_AT_ONCE = 64
_LANE = 0
_RECENT = timedelta(minutes=5)
_LATER = timedelta(hours=6)  # for what was taken and never answered


@dataclass(frozen=True, slots=True)
class Later:
    """Not asked: the minute's questions are used up for so many seconds."""

    wait_s: float


def step(node: Node, per_minute: int) -> Outward[Leased, Seen | Later | None]:
    """The outward step. Its references are payee and number, in the notice's bucket."""
    pace = Pace(_AT_ONCE, per_minute)

    async def claim(conn: Connection, bucket: int, limit: int) -> list[Leased]:
        items = await work.lease(conn, bucket, ASK, limit)
        named = {item.reference: Notice.of_rpt_id(item.reference) for item in items}
        known = await ledger.read(conn, [notice for notice in named.values() if notice])
        recent = clock.now() - _RECENT
        idle = [item for item in items if not _is_open(known, named[item.reference], recent)]
        await work.finish(conn, bucket, ASK, [Finished(item) for item in idle])
        return [item for item in items if item not in idle]

    async def send(item: Leased) -> Seen | Later | None:
        notice = Notice.of_rpt_id(item.reference)
        if notice is None:
            return None
        if wait_s := pace.enter("node"):
            return Later(wait_s)
        try:
            return seen_of(notice, await node.ask(notice.rpt_id))
        except NodeError as error:
            return seen_of(notice, error)
        finally:
            pace.leave("node")

    async def record(
        conn: Connection, bucket: int, sent: Sequence[tuple[Leased, Seen | Later | None]]
    ) -> None:
        await ledger.record(conn, [seen for _, seen in sent if isinstance(seen, Seen)])
        # Asked once: whoever still needs to know asks again.
        await work.finish(conn, bucket, ASK, [_finished(*one) for one in sent])

    return Outward(ASK, claim, send, record, _AT_ONCE)


def _is_open(known: dict[Notice, Known], notice: Notice | None, recent: datetime) -> bool:
    """Whether to ask: somebody else may have done so since it was queued, and been answered or not."""
    found = known.get(notice) if notice else None
    if found is None or found.state == "paid":
        return False
    return found.asked_at is None or found.asked_at < recent


def _finished(item: Leased, seen: Seen | Later | None) -> Finished:
    if isinstance(seen, Later):
        return Finished(item, clock.now() + timedelta(seconds=seen.wait_s))
    return Finished(item)


def sweep(per_minute: int) -> Callable[[Connection], Awaitable[bool]]:
    """The periodic step, once a minute: notices that nobody has asked for in a long time."""

    async def run(conn: Connection) -> bool:
        now = clock.now()
        share = max(1, per_minute // 2 // conn.buckets)
        for bucket in range(conn.buckets):
            rows = await conn.rows(
                queries.take_to_sweep, bucket=bucket, now=now, later=now + _LATER, limit=share
            )
            if rows:
                await work.queue(
                    conn,
                    bucket,
                    ASK,
                    [row["payee"] + row["number"] for row in rows],
                    [_LANE] * len(rows),
                    now,
                )
        return False

    return run
