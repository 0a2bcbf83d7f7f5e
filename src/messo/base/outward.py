"""Steps that send something outside: claim, send without a connection, record many at once.

Sends are under way side by side up to a bound. What was claimed by a worker that dies comes back
when its lease ends, so the most that anybody gets twice is what was under way.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from messo.base import db, log, metrics
from messo.base.db import Connection, Pool

logger = log.get(__name__)

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")

_AFTER_ERROR_S = 1.0
_PAUSES = (0.05, 0.25)  # seconds between looks at what landed and at what is due: busy, and idle


@dataclass(frozen=True)
class Outward(Generic[Job, Outcome]):
    """A step that sends.

    `claim(conn, bucket, limit)` leases work and reads everything needed to send it. `send(job)`
    takes bounded time, well below the lease, and answers what came of it. `record(conn, bucket,
    sent)` writes that down. `at_once`: sends under way at most, in one process.
    """

    name: str
    claim: Callable[[Connection, int, int], Awaitable[Sequence[Job]]]
    send: Callable[[Job], Awaitable[Outcome]]
    record: Callable[[Connection, int, Sequence[tuple[Job, Outcome]]], Awaitable[None]]
    at_once: int


class Sending(Generic[Job, Outcome]):
    """One outward step in one process.

    What has landed is recorded together, and new work claimed together, whenever a quarter of what
    may be under way has landed, or a moment after the first: a statement for each would cost more
    than the sending itself. The rest is under way meanwhile. What is claimed and not recorded
    counts as under way, so that a database that takes nothing stops the claiming.
    """

    def __init__(self, step: Outward[Job, Outcome], pool: Pool, buckets: int) -> None:
        self.step = step
        self.pool = pool
        self.buckets = buckets
        self._first = 0  # the bucket that is asked first; each in its turn
        self._flying: set[asyncio.Task[None]] = set()
        self._sent: dict[int, list[tuple[Job, Outcome]]] = {}
        self._open = 0  # claimed and not recorded
        self._landed = 0  # since the last record
        self._enough = asyncio.Event()
        self._seconds = metrics.send_seconds.labels(step.name)

    async def run(self, stopping: asyncio.Event) -> None:
        """Until told to stop; what is under way is finished and recorded first.

        What cannot be recorded then is left to its lease.
        """
        told = asyncio.create_task(stopping.wait())
        told.add_done_callback(lambda _: self._enough.set())
        pause = _PAUSES[0]
        while not stopping.is_set() or self._flying or self._sent:
            try:
                await self._record()
                claimed = 0 if stopping.is_set() else await self._claim()
            except Exception as error:
                metrics.step_failures.labels(self.step.name).inc()
                logger.error("sending interrupted", step=self.step.name, exc_info=error)
                if stopping.is_set() and not self._flying:
                    break
                await self._wait(_AFTER_ERROR_S)
                continue
            pause = _PAUSES[0] if claimed or self._flying else min(_PAUSES[1], pause * 1.5)
            await self._wait(pause)
        told.cancel()

    async def once(self) -> int:
        """Claim, send and record one batch, for tests; how many were recorded."""
        await self._claim()
        while self._flying:
            await asyncio.gather(*self._flying)
        count = sum(len(sent) for sent in self._sent.values())
        await self._record()
        return count

    async def _claim(self) -> int:
        count = 0
        failed: Exception | None = None
        self._first = (self._first + 1) % self.buckets
        for turn in range(self.buckets):
            room = self.step.at_once - self._open
            # A few at a time would cost a statement each.
            if room < max(1, self.step.at_once // 4):
                break
            bucket = (self._first + turn) % self.buckets
            share = max(1, room // (self.buckets - turn))
            try:
                async with self.pool.transaction() as conn:
                    jobs = await self.step.claim(conn, bucket, share)
            except Exception as error:  # noqa: BLE001  the other buckets have their turn all the same
                failed = error
                continue
            for job in jobs:
                task = asyncio.create_task(self._send(bucket, job))
                self._flying.add(task)
                task.add_done_callback(self._flying.discard)
            self._open += len(jobs)
            count += len(jobs)
        if failed is not None:
            raise failed
        return count

    async def _send(self, bucket: int, job: Job) -> None:
        began = time.perf_counter()
        try:
            outcome = await self.step.send(job)
            self._sent.setdefault(bucket, []).append((job, outcome))
        except Exception as error:
            self._open -= 1  # unforeseen: the lease ends, and it is tried again
            metrics.step_failures.labels(self.step.name).inc()
            logger.error("not sent", step=self.step.name, exc_info=error)
        self._seconds.observe(time.perf_counter() - began)
        self._landed += 1
        if self._landed >= self.step.at_once // 4:
            self._enough.set()

    async def _record(self) -> None:
        self._landed = 0
        for bucket in list(self._sent):
            sent = self._sent[bucket]
            count = len(sent)
            await self._write(bucket, sent[:count])
            del sent[:count]  # more may have landed meanwhile
            self._open -= count
            if not sent:
                del self._sent[bucket]

    async def _write(self, bucket: int, sent: list[tuple[Job, Outcome]]) -> None:
        """Record these; halved until the one that cannot be recorded stands alone."""
        try:
            async with self.pool.transaction() as conn:
                await self.step.record(conn, bucket, sent)
        except Exception as error:
            if db.passes(error):
                raise
            if len(sent) == 1:
                # Its lease ends by itself; nothing else waits for it.
                metrics.step_failures.labels(self.step.name).inc()
                logger.error("cannot be recorded", step=self.step.name, exc_info=error)
                return
            middle = len(sent) // 2
            for half in (sent[:middle], sent[middle:]):
                await self._write(bucket, half)
            return
        metrics.batch_size.labels(self.step.name).observe(len(sent))

    async def _wait(self, seconds: float) -> None:
        """Until enough has landed, or for so long."""
        if self._landed < max(1, self.step.at_once // 4):
            self._enough.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._enough.wait(), seconds)
