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

from messo.base import log, metrics
from messo.base.db import Connection, Pool

logger = log.get(__name__)

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")

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

    What has landed is recorded together, and new work claimed together, whenever half of what may
    be under way has landed, or a moment after the first: a statement for each would cost more than
    the sending itself.
    """

    def __init__(self, step: Outward[Job, Outcome], pool: Pool, buckets: int) -> None:
        self.step = step
        self.pool = pool
        self.buckets = buckets
        self._flying: set[asyncio.Task[None]] = set()
        self._sent: dict[int, list[tuple[Job, Outcome]]] = {}
        self._landed = 0
        self._enough = asyncio.Event()
        self._seconds = metrics.send_seconds.labels(step.name)

    async def run(self, stopping: asyncio.Event) -> None:
        """Until told to stop; what is under way is finished and recorded first."""
        told = asyncio.create_task(stopping.wait())
        told.add_done_callback(lambda _: self._enough.set())
        pause = _PAUSES[0]
        while not stopping.is_set() or self._flying or self._sent:
            try:
                # Side by side: what is under way meanwhile must not run out.
                _, claimed = await asyncio.gather(
                    self._record(), self._claim() if not stopping.is_set() else _nothing()
                )
            except Exception as error:
                metrics.step_failures.labels(self.step.name).inc()
                logger.error("sending interrupted", step=self.step.name, exc_info=error)
                await asyncio.sleep(1)  # what is not recorded is kept, and recorded then
                continue
            if claimed or self._flying:
                pause = _PAUSES[0]
            await self._wait(pause)
            pause = min(_PAUSES[1], pause * 1.5)
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
        for bucket in range(self.buckets):
            room = self.step.at_once - len(self._flying)
            if room < max(1, self.step.at_once // 4):
                break
            async with self.pool.transaction() as conn:
                jobs = await self.step.claim(conn, bucket, room)
            for job in jobs:
                task = asyncio.create_task(self._send(bucket, job))
                self._flying.add(task)
                task.add_done_callback(self._flying.discard)
            count += len(jobs)
        return count

    async def _send(self, bucket: int, job: Job) -> None:
        began = time.perf_counter()
        try:
            outcome = await self.step.send(job)
            self._sent.setdefault(bucket, []).append((job, outcome))
        except Exception as error:
            # Unforeseen: the lease ends, and it is tried again.
            metrics.step_failures.labels(self.step.name).inc()
            logger.error("not sent", step=self.step.name, exc_info=error)
        self._seconds.observe(time.perf_counter() - began)
        self._landed += 1
        if self._landed >= self.step.at_once // 2:
            self._enough.set()

    async def _record(self) -> None:
        self._landed = 0
        for bucket in list(self._sent):
            sent = self._sent[bucket]
            count = len(sent)
            async with self.pool.transaction() as conn:
                await self.step.record(conn, bucket, sent[:count])
            metrics.batch_size.labels(self.step.name).observe(count)
            del sent[:count]  # more may have landed meanwhile
            if not sent:
                del self._sent[bucket]

    async def _wait(self, seconds: float) -> None:
        """Until enough has landed, or for so long."""
        if self._landed < max(1, self.step.at_once // 2):
            self._enough.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._enough.wait(), seconds)


async def _nothing() -> int:
    return 0
