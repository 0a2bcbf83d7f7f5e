"""Many concurrent requests, one statement.

Requests that arrive while a statement is under way wait together and share the next one, so the
load itself sets the batch size and an idle system adds no delay.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class QueueFullError(Exception):
    """More is waiting than the bound allows; the caller says "try again later"."""


class Coalescer(Generic[Item, Answer]):
    """Hand items to `work` in batches, answer each caller with its own result.

    `work(bucket, items)` returns one answer per item, in order; an answer that is an exception is
    raised to its caller. All items of one batch are of one bucket (design "Three gears").
    """

    def __init__(
        self,
        work: Callable[[int, list[Item]], Awaitable[Sequence[Answer | Exception]]],
        *,
        workers: int,
        batch: int,
        bound: int,
    ) -> None:
        self._work = work
        self._workers = workers
        self._batch = batch
        self._bound = bound
        self._waiting: dict[int, deque[tuple[Item, asyncio.Future[Answer]]]] = {}
        self._buckets: deque[int] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def size(self) -> int:
        """How many items wait."""
        return self._size

    def start(self) -> None:
        """Begin to work off the queue, in the running event loop."""
        self._tasks = [asyncio.create_task(self._run()) for _ in range(self._workers)]

    async def ask(self, bucket: int, item: Item) -> Answer:
        """The answer for one item. `QueueFullError` when the queue is at its bound."""
        if self._size >= self._bound or self._closing:
            raise QueueFullError
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        queue = self._waiting.get(bucket)
        if queue is None:
            queue = self._waiting[bucket] = deque()
        if not queue:
            self._buckets.append(bucket)
        queue.append((item, future))
        self._size += 1
        self._wake.set()
        return await future

    async def close(self) -> None:
        """Take nothing more, finish what waits."""
        self._closing = True
        self._wake.set()
        await asyncio.gather(*self._tasks)

    async def _run(self) -> None:
        while True:
            if not self._buckets:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            bucket = self._buckets.popleft()
            queue = self._waiting[bucket]
            batch = [queue.popleft() for _ in range(min(self._batch, len(queue)))]
            self._size -= len(batch)
            if queue:
                self._buckets.append(bucket)
            await self._serve(bucket, batch)

    async def _serve(self, bucket: int, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._work(bucket, [item for item, _ in batch])
        except Exception as error:  # noqa: BLE001  every caller learns of it; the queue goes on
            answers = [error] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():  # the caller has gone
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
