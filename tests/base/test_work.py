"""The worker loop: claiming, halving, putting off, stopping."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from messo.base import clock, work
from messo.base.db import Connection, Pool
from messo.base.work import LANES, Periodic, Step, Worker, delay_after, lane_of

NAME = "tests.step"


class Trial:
    """A step that notes what it was given and fails for what it is told."""

    def __init__(self, *bad: str, go_on: bool = True) -> None:
        self.bad = set(bad)
        self.go_on = go_on
        self.batches: list[list[str]] = []
        self.done: list[str] = []
        self.told: list[tuple[str, int]] = []

    async def run(self, conn: Connection, _: int, references: list[str]) -> Callable[[], None]:
        self.batches.append(sorted(references))
        if self.bad & set(references):
            await conn.raw.execute("SELECT 1 / 0")
        return lambda: self.done.extend(references)

    async def postponed(self, _: Connection, __: int, reference: str, attempts: int) -> bool:
        self.told.append((reference, attempts))
        return self.go_on

    def step(self) -> Step:
        return Step(NAME, self.run, self.postponed)


@pytest.fixture(autouse=True)
async def empty(pool: Pool) -> None:
    async with pool.connection() as conn:
        await conn.raw.execute("DELETE FROM work.item")


async def put(pool: Pool, *references: str, lane: int = 0, ago: float = 1) -> None:
    async with pool.transaction() as conn:
        due = clock.now() - timedelta(seconds=ago)
        await work.queue(conn, 0, NAME, references, [lane] * len(references), due)


async def left(pool: Pool) -> list[tuple[str, int]]:
    async with pool.connection() as conn:
        rows = await conn.raw.fetch("SELECT reference, attempts FROM work.item ORDER BY 1")
    return [(row[0], row[1]) for row in rows]


def worker_of(pool: Pool, trial: Trial, batch: int = 100, *periodics: Periodic) -> Worker:
    return Worker(pool, 1, [trial.step()], periodics, batch)


async def test_done_items_are_deleted_and_counted_after_the_commit(pool: Pool) -> None:
    trial = Trial()
    await put(pool, "a", "b", "c")
    assert await worker_of(pool, trial).work_once() == 3
    assert sorted(trial.done) == ["a", "b", "c"]
    assert await left(pool) == []


async def test_what_is_not_due_waits(pool: Pool) -> None:
    trial = Trial()
    await put(pool, "later", ago=-60)
    assert await worker_of(pool, trial).work_once() == 0
    assert await left(pool) == [("later", 0)]


async def test_another_step_is_left_alone(pool: Pool) -> None:
    async with pool.transaction() as conn:
        await work.queue(conn, 0, "tests.unknown", ["x"], [0], clock.now())
    assert await worker_of(pool, Trial()).work_once() == 0
    assert await left(pool) == [("x", 0)]


async def test_a_failing_batch_is_halved_until_the_bad_one_stands_alone(pool: Pool) -> None:
    trial = Trial("i13")
    names = [f"i{number:02d}" for number in range(32)]
    await put(pool, *names)
    await worker_of(pool, trial).work_once()
    assert sorted(trial.done) == [name for name in names if name != "i13"]
    assert trial.told == [("i13", 1)]
    assert await left(pool) == [("i13", 1)]
    assert len(trial.batches) <= 1 + 2 * 5  # logarithmic, not one by one


async def test_what_its_step_gives_up_is_dropped(pool: Pool) -> None:
    trial = Trial("bad", go_on=False)
    await put(pool, "bad", "good")
    await worker_of(pool, trial).work_once()
    assert trial.done == ["good"]
    assert await left(pool) == []


async def test_an_error_of_the_connection_is_no_fault_of_the_items(pool: Pool) -> None:
    trial = Trial()

    async def cut(*_: Any) -> Callable[[], None]:
        raise ConnectionResetError

    await put(pool, "a", "b")
    worker = Worker(pool, 1, [Step(NAME, cut, trial.postponed)], [], 10)
    with pytest.raises(ConnectionResetError):
        await worker.work_once()
    assert trial.told == []
    assert await left(pool) == [("a", 0), ("b", 0)]


async def test_an_item_another_worker_holds_is_passed_over(pool: Pool) -> None:
    await put(pool, "held", "free")
    trial = Trial()
    async with pool.transaction() as conn:
        await conn.raw.execute("SELECT FROM work.item WHERE reference = 'held' FOR UPDATE")
        await worker_of(pool, trial).work_once()
    assert trial.done == ["free"]
    assert await left(pool) == [("held", 0)]


async def test_the_loop_survives_an_error_and_stops_when_told(pool: Pool) -> None:
    trial = Trial()
    failures: list[int] = []
    ran: list[int] = []

    async def once(*given: Any) -> Callable[[], None]:
        if not failures:
            failures.append(1)
            raise ConnectionResetError
        return await trial.run(*given)

    async def tick(_: Connection) -> bool:
        ran.append(1)
        return False

    await put(pool, "a")
    periodic = Periodic("tests.tick", timedelta(days=365), tick)
    worker = Worker(pool, 1, [Step(NAME, once, trial.postponed)], [periodic], 10)
    running = asyncio.create_task(worker.run(2))
    async with asyncio.timeout(10):
        while not (trial.done and ran):
            await asyncio.sleep(0.01)
        worker.stopping.set()
        await running
    assert (trial.done, ran) == (["a"], [1])


async def test_delays_double_from_seconds_to_an_hour_with_a_quarter_of_chance() -> None:
    for attempts in range(1, 40):
        usual = min(3600, 5 * 2 ** (attempts - 1))
        for _ in range(20):
            assert 0.75 * usual <= delay_after(attempts).total_seconds() <= 1.25 * usual
    assert len({delay_after(3) for _ in range(20)}) > 1


async def test_senders_are_spread_over_the_lanes() -> None:
    lanes = [lane_of(f"service {number}") for number in range(1600)]
    assert set(lanes) == set(range(LANES))
    assert max(lanes.count(lane) for lane in set(lanes)) < 200
    assert lane_of("service 1") == lanes[1]


async def test_a_batch_that_keeps_timing_out_shrinks_and_starves_nobody(pool: Pool) -> None:
    """Fewer items each time, down to the one that fails alone; another step has its turn."""
    trial, other = Trial(), Trial()
    sizes: list[int] = []

    async def slow(conn: Connection, bucket: int, references: list[str]) -> Callable[[], None]:
        sizes.append(len(references))
        if "a-stuck" in references:
            raise TimeoutError
        return await trial.run(conn, bucket, references)

    await put(pool, "a-stuck", *[f"b{number}" for number in range(7)])
    async with pool.transaction() as conn:
        await work.queue(conn, 0, "tests.other", ["c"], [0], clock.now())
    steps = [Step(NAME, slow, trial.postponed), Step("tests.other", other.run, other.postponed)]
    worker = Worker(pool, 1, steps, [], 8)
    for _ in range(12):
        try:
            await worker.work_once()
        except TimeoutError:
            continue
    assert sizes[0] == 6  # the other two of eight are their lane's, and no lane but one has any
    assert 1 in sizes
    assert trial.told == [("a-stuck", 1)]
    assert other.done == ["c"]
    assert sorted(trial.done) == [f"b{number}" for number in range(7)]
