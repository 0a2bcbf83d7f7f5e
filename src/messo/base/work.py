"""The only worker loop. Work is a row in `work.item`; a step takes a set of rows at a time.

An *inside* step is one transaction: the items are claimed (and deleted) in it, so a worker killed
at any moment leaves them as they were. A batch that fails is halved until the item that fails
stands alone; that one is put off with a growing delay, and the step is told.

An *outward* step (outward.py) claims by a lease, sends while no connection is held, and records
what came of it for many at once.
"""

import asyncio
import random
import time
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from messo.base import clock, db, log, metrics
from messo.base.db import Connection, Pool
from messo.base.outward import Outward, Sending
from messo.base.sql import Queries

logger = log.get(__name__)
queries = Queries("messo.base")

LANES = 16  # senders are spread over lanes, and each claim serves one lane out of turn
_IDLE_SECONDS = (0.03, 0.2)  # pause after a batch that was not full: after work, and when idle
LEASE = timedelta(seconds=30)  # longer than any send and its recording may take
_DELAYS = (5, 3600)  # seconds before the second try, and at most between tries


@dataclass(frozen=True)
class Step:
    """A background step.

    `run(conn, bucket, references)` does everything for those references in the transaction it is
    given, and answers what to count once that is committed. `postponed(conn, bucket, reference, attempts)` is told, in another transaction, of one
    that failed alone, and answers whether to go on trying.
    """

    name: str
    run: Callable[[Connection, int, list[str]], Awaitable[Callable[[], None]]]
    postponed: Callable[[Connection, int, str, int], Awaitable[bool]]


@dataclass(frozen=True)
class Periodic:
    """Something to do once in each period, by whichever worker comes first.

    `run(conn)` answers whether there is more to do: it is then called again, in a transaction of
    its own, so that no transaction grows long.
    """

    name: str
    every: timedelta
    run: Callable[[Connection], Awaitable[bool]]


def delay_after(attempts: int) -> timedelta:
    """How long to wait after so many failures: doubling from 5 s to 1 h, a quarter of it chance."""
    seconds = min(_DELAYS[1], _DELAYS[0] * 2 ** min(attempts - 1, 12))
    return timedelta(seconds=seconds * random.uniform(0.75, 1.25))  # noqa: S311  jitter


def lane_of(key: str) -> int:
    """The lane of a sender."""
    return zlib.crc32(key.encode()) % LANES


async def queue(
    conn: Connection,
    bucket: int,
    step: str,
    references: Sequence[str],
    lanes: Sequence[int],
    due: datetime,
) -> None:
    """Queue one item per reference, in the caller's transaction."""
    await conn.run(
        queries.queue_items, bucket=bucket, step=step, references=references, lanes=lanes, due=due
    )


async def forget(conn: Connection, bucket: int, step: str, reference: str) -> None:
    """Drop what is queued under this reference, in the caller's transaction."""
    await conn.run(queries.drop_item, bucket=bucket, step=step, reference=reference)


async def queue_across(
    conn: Connection,
    buckets: Sequence[int],
    step: str,
    references: Sequence[str],
    lanes: Sequence[int],
    due: datetime,
) -> None:
    """Queue one item per reference, each in its own bucket, in the caller's transaction."""
    await conn.run(
        queries.queue_across,
        buckets=buckets,
        step=step,
        references=references,
        lanes=lanes,
        due=due,
    )


@dataclass(frozen=True, slots=True)
class Leased:
    """An item that is this worker's until `until`; `attempts` failed before."""

    reference: str
    attempts: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Finished:
    """What becomes of a leased item: gone, or due again at `due`; `failed`: it counts as a try."""

    item: Leased
    due: datetime | None = None
    failed: bool = False


async def lease(conn: Connection, bucket: int, step: str, limit: int) -> list[Leased]:
    """Take up to `limit` due items for `LEASE`, a share of them from one lane out of turn.

    A worker that dies loses nothing: its items are due again when the lease ends.
    """
    now = clock.now()
    until = now + LEASE
    rows = await conn.rows(
        queries.lease_items,
        bucket=bucket,
        step=step,
        now=now,
        until=until,
        limit=limit,
        lane=random.randrange(LANES),  # noqa: S311  fairness
        share=limit // 4,
    )
    return [Leased(row["reference"], row["attempts"], until) for row in rows]


async def finish(conn: Connection, bucket: int, step: str, finished: Sequence[Finished]) -> None:
    """Record what became of leased items, in the caller's transaction.

    An item whose lease ended and that another worker has taken meanwhile is left to that one.
    """
    done = [one.item for one in finished if one.due is None]
    again = [one for one in finished if one.due is not None]
    if done:
        await conn.run(
            queries.drop_leased,
            bucket=bucket,
            step=step,
            references=[item.reference for item in done],
            leases=[item.until for item in done],
        )
    if again:
        await conn.run(
            queries.postpone_leased,
            bucket=bucket,
            step=step,
            references=[one.item.reference for one in again],
            leases=[one.item.until for one in again],
            dues=[one.due for one in again],
            attempts=[one.item.attempts + one.failed for one in again],
        )


class Worker:
    """Runs steps over the buckets until told to stop."""

    def __init__(
        self,
        pool: Pool,
        buckets: int,
        steps: Sequence[Step],
        periodics: Sequence[Periodic],
        batch: int,
        outward: Sequence[Outward[Any, Any]] = (),
    ) -> None:
        self.pool = pool
        self.buckets = buckets
        self.steps = steps
        self.periodics = periodics
        self.batch = batch
        self.sendings = [Sending(step, pool, buckets) for step in outward]
        self.stopping = asyncio.Event()
        self._lane = 0
        self._limits: dict[tuple[str, int], int] = {}

    async def run(self, tasks: int) -> None:
        """Work until `stopping` is set; what is under way is finished first."""
        loops = [self._work() for _ in range(tasks)]
        sendings = [sending.run(self.stopping) for sending in self.sendings]
        await asyncio.gather(*loops, *sendings, self._watch_the_clock())

    async def _work(self) -> None:
        idle = _IDLE_SECONDS[0]
        while not self.stopping.is_set():
            try:
                done = await self.work_once()
            except Exception as error:
                logger.error("work interrupted", exc_info=error)
                await self._pause(1)
                continue
            if done >= self.batch:
                continue
            # What comes meanwhile makes the next batch larger, and each message cheaper.
            idle = _IDLE_SECONDS[0] if done else min(_IDLE_SECONDS[1], idle * 1.5)
            await self._pause(idle)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return

    async def work_once(self) -> int:
        """One batch of every step in every bucket. How many items were claimed."""
        # Once a round: counted per batch, a bucket would meet only some lanes, or always the same one.
        self._lane = (self._lane + 1) % LANES
        done = 0
        failed: Exception | None = None
        for step in self.steps:
            for bucket in range(self.buckets):
                try:
                    done += await self._one_batch(step, bucket)
                except Exception as error:  # the other buckets have their turn all the same
                    failed = error
                    logger.error("batch interrupted", step=step.name, bucket=bucket, exc_info=error)
        if failed is not None:
            raise failed
        return done

    async def send_once(self) -> int:
        """One batch of every outward step, to its end. How many were recorded."""
        return sum([await sending.once() for sending in self.sendings])

    async def _one_batch(self, step: Step, bucket: int) -> int:
        began = time.perf_counter()
        references: list[str] = []
        limit = self._limits.get((step.name, bucket), self.batch)
        try:
            async with self.pool.transaction() as conn:
                claimed = await conn.rows(
                    queries.claim_items,
                    bucket=bucket,
                    step=step.name,
                    now=clock.now(),
                    limit=limit,
                    lane=self._lane,
                    share=limit // 4,
                )
                # The same wish queued twice is one.
                references = list(dict.fromkeys(row["reference"] for row in claimed))
                count = await step.run(conn, bucket, references) if references else None
            if count:
                count()
        except Exception as error:
            metrics.step_failures.labels(step.name).inc()
            if not references:
                raise
            if db.passes(error):
                # Next time less at once: a batch that always meets its time-out would block for
                # ever. What fails even alone, and again, is put off like any other failure.
                self._limits[step.name, bucket] = max(1, len(references) // 2)
                if limit > 1:
                    raise
            logger.warning("batch failed", step=step.name, size=len(references), exc_info=error)
            await self._halve(step, bucket, references, error)
        else:
            self._limits[step.name, bucket] = min(self.batch, limit * 2)
        if references:
            metrics.batch_size.labels(step.name).observe(len(references))
            metrics.batch_seconds.labels(step.name).observe(time.perf_counter() - began)
        return len(references)

    async def _halve(
        self, step: Step, bucket: int, references: list[str], error: Exception
    ) -> None:
        if len(references) == 1:
            await self._postpone(step, bucket, references[0], error)
            return
        middle = len(references) // 2
        for half in (references[:middle], references[middle:]):
            try:
                async with self.pool.transaction() as conn:
                    claimed = await conn.rows(
                        queries.claim_these, bucket=bucket, step=step.name, references=half
                    )
                    # Another worker may have taken some meanwhile.
                    mine = list(dict.fromkeys(row["reference"] for row in claimed))
                    count = await step.run(conn, bucket, mine)
                count()
            except Exception as again:
                if db.passes(again):
                    raise
                await self._halve(step, bucket, half, again)

    async def _postpone(self, step: Step, bucket: int, reference: str, error: Exception) -> None:
        async with self.pool.transaction() as conn:
            row = await conn.row(
                queries.lock_item, bucket=bucket, step=step.name, reference=reference
            )
            if row is None:
                return
            await conn.run(
                queries.drop_doubles,
                bucket=bucket,
                step=step.name,
                reference=reference,
                kept=row["due_at"],
            )
            attempts = row["attempts"] + 1
            go_on = await step.postponed(conn, bucket, reference, attempts)
            if go_on:
                await conn.run(
                    queries.postpone_item,
                    bucket=bucket,
                    step=step.name,
                    reference=reference,
                    attempts=attempts,
                    due=clock.now() + delay_after(attempts),
                )
            else:
                await conn.run(
                    queries.drop_item, bucket=bucket, step=step.name, reference=reference
                )
        logger.error(
            "item put off" if go_on else "item given up",
            step=step.name,
            reference=reference,
            attempts=attempts,
            exc_info=error,
        )

    async def _watch_the_clock(self) -> None:
        while not self.stopping.is_set():
            for periodic in self.periodics:
                try:
                    await self.run_periodic(periodic)
                except Exception as error:
                    logger.error("periodic step failed", step=periodic.name, exc_info=error)
            await self._pause(1)

    async def run_periodic(self, periodic: Periodic) -> bool:
        """Run it if nobody has in this period. The mark and the first part of it commit together."""
        period = int(clock.now().timestamp() // periodic.every.total_seconds())
        async with self.pool.transaction() as conn:
            won = await conn.run(queries.take_period, step=periodic.name, period=period)
            more = bool(won) and await periodic.run(conn)
        while more and not self.stopping.is_set():
            async with self.pool.transaction() as conn:
                more = await periodic.run(conn)
        return bool(won)
