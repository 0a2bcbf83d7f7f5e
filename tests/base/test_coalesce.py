"""Many requests, one statement: who shares a batch, and who learns of what."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from messo.base.coalesce import Coalescer, QueueFullError

Work = Callable[[int, list[int]], Awaitable[Sequence[int | Exception]]]


class Slow:
    """Work that waits until it is let go, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, list[int]]] = []
        self.go = asyncio.Event()

    async def __call__(self, bucket: int, items: list[int]) -> Sequence[int | Exception]:
        self.batches.append((bucket, items))
        await self.go.wait()
        return [item * 10 for item in items]


def queue_of(work: Work, bound: int = 100, batch: int = 50) -> Coalescer[int, int]:
    queue: Coalescer[int, int] = Coalescer(work, workers=1, batch=batch, bound=bound)
    queue.start()
    return queue


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_what_arrives_meanwhile_shares_the_next_batch() -> None:
    work = Slow()
    queue = queue_of(work)
    first = asyncio.create_task(queue.ask(0, 1))
    await until(lambda: len(work.batches) == 1)
    others = [asyncio.create_task(queue.ask(0, item)) for item in range(2, 8)]
    await until(lambda: queue.size == 6)
    work.go.set()
    assert await asyncio.gather(first, *others) == [10, 20, 30, 40, 50, 60, 70]
    assert work.batches == [(0, [1]), (0, [2, 3, 4, 5, 6, 7])]
    await queue.close()


async def test_a_batch_has_one_bucket_and_a_largest_size_and_buckets_take_turns() -> None:
    work = Slow()
    work.go.set()
    queue: Coalescer[int, int] = Coalescer(work, workers=1, batch=2, bound=100)
    asked = [asyncio.create_task(queue.ask(item % 2, item)) for item in range(8)]
    await until(lambda: queue.size == 8)
    queue.start()
    await asyncio.gather(*asked)
    assert work.batches == [(0, [0, 2]), (1, [1, 3]), (0, [4, 6]), (1, [5, 7])]
    await queue.close()


async def test_more_than_the_bound_is_refused_and_takes_no_place() -> None:
    work = Slow()
    queue = queue_of(work, bound=3)
    under_way = asyncio.create_task(queue.ask(0, 0))
    await until(lambda: len(work.batches) == 1)
    waiting = [asyncio.create_task(queue.ask(0, item)) for item in (1, 2, 3)]
    await until(lambda: queue.size == 3)
    with pytest.raises(QueueFullError):
        await queue.ask(0, 4)
    assert queue.size == 3
    work.go.set()
    assert await asyncio.gather(under_way, *waiting) == [0, 10, 20, 30]
    await queue.close()


async def test_a_failing_batch_tells_each_caller_and_the_queue_goes_on() -> None:
    async def fail(_: int, items: list[int]) -> Sequence[int | Exception]:
        if 13 in items:
            raise RuntimeError("no")
        return items

    queue = queue_of(fail)
    told = await asyncio.gather(*(queue.ask(0, i) for i in (12, 13, 14)), return_exceptions=True)
    assert [type(error) for error in told] == [RuntimeError] * 3
    assert await queue.ask(0, 15) == 15
    await queue.close()


async def test_an_answer_that_is_an_exception_is_raised_to_its_caller_only() -> None:
    async def work(_: int, items: list[int]) -> Sequence[int | Exception]:
        return [ValueError("odd") if item % 2 else item for item in items]

    queue = queue_of(work)
    told = await asyncio.gather(*(queue.ask(0, i) for i in range(4)), return_exceptions=True)
    assert [told[0], told[2]] == [0, 2]
    assert [type(told[1]), type(told[3])] == [ValueError, ValueError]
    await queue.close()


async def test_a_caller_that_goes_away_harms_nobody() -> None:
    work = Slow()
    queue = queue_of(work)
    asked = [asyncio.create_task(queue.ask(0, item)) for item in range(3)]
    await until(lambda: len(work.batches) == 1)
    asked[1].cancel()
    late = asyncio.create_task(queue.ask(0, 9))
    gone = asyncio.create_task(queue.ask(0, 8))
    await until(lambda: queue.size == 2)
    gone.cancel()
    work.go.set()
    assert list(await asyncio.gather(asked[0], asked[2], late)) == [0, 20, 90]
    assert asked[1].cancelled()
    assert gone.cancelled()
    await queue.close()


async def test_closing_finishes_what_waits_and_takes_nothing_more() -> None:
    work = Slow()
    queue = queue_of(work, batch=1)
    asked = [asyncio.create_task(queue.ask(0, item)) for item in range(5)]
    await until(lambda: len(work.batches) == 1)
    closing = asyncio.create_task(queue.close())
    await asyncio.sleep(0)
    with pytest.raises(QueueFullError):
        await queue.ask(0, 6)
    work.go.set()
    await closing
    assert [task.result() for task in asked] == [0, 10, 20, 30, 40]
