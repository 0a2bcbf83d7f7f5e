"""The outward loop: claimed in turn, sent side by side, recorded together, whatever fails."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from messo.base.db import Connection, Pool
from messo.base.outward import Outward, Sending

AT_ONCE = 8


class Steps:
    """A step whose work is numbers. What it is told to do wrong, it does."""

    def __init__(self, backlog: dict[int, int]) -> None:
        self.backlog = Counter(backlog)
        self.claims: Counter[int] = Counter()
        self.sent: Counter[int] = Counter()
        self.recorded: Counter[int] = Counter()
        self.numbers = 0
        self.claim_fails: Callable[[int], bool] = lambda _: False
        self.record_fails: Callable[[Sequence[int]], Exception | None] = lambda _: None
        self.hold: asyncio.Event | None = None

    async def claim(self, _: Connection, bucket: int, limit: int) -> list[int]:
        if self.claim_fails(bucket):
            raise ValueError
        taken = min(limit, self.backlog[bucket])
        self.claims[bucket] += taken
        self.backlog[bucket] -= taken
        jobs = list(range(self.numbers, self.numbers + taken))
        self.numbers += taken
        return jobs

    async def send(self, job: int) -> int:
        if self.hold is not None:
            await self.hold.wait()
        self.sent[job] += 1
        return job

    async def record(self, _: Connection, __: int, sent: Sequence[tuple[int, int]]) -> None:
        jobs = [job for job, _ in sent]
        if error := self.record_fails(jobs):
            await asyncio.sleep(0)
            raise error
        self.recorded.update(jobs)

    def sending(self, pool: Pool, buckets: int = 1) -> Sending[int, int]:
        step = Outward("tests.outward", self.claim, self.send, self.record, AT_ONCE)
        return Sending(step, pool, buckets)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause of a second after an error is for databases, not for tests."""
    monkeypatch.setattr("messo.base.outward._AFTER_ERROR_S", 0.02)


async def stopped(running: "asyncio.Task[None]", stopping: asyncio.Event) -> None:
    stopping.set()
    async with asyncio.timeout(5):
        await running


async def test_everything_is_sent_and_recorded_once(pool: Pool) -> None:
    steps, stopping = Steps({0: 100}), asyncio.Event()
    running = asyncio.create_task(steps.sending(pool).run(stopping))
    await until(lambda: len(steps.recorded) == 100)
    await stopped(running, stopping)
    assert set(steps.sent.values()) == set(steps.recorded.values()) == {1}


async def test_a_backlog_in_one_bucket_stops_no_other(pool: Pool) -> None:
    steps, stopping = Steps(dict.fromkeys(range(4), 10_000)), asyncio.Event()
    running = asyncio.create_task(steps.sending(pool, 4).run(stopping))
    await until(lambda: sum(steps.recorded.values()) > 200)
    await stopped(running, stopping)
    assert min(steps.claims[bucket] for bucket in range(4)) > 20


async def test_a_bucket_that_cannot_be_claimed_stops_no_other(pool: Pool) -> None:
    steps, stopping = Steps(dict.fromkeys(range(4), 50)), asyncio.Event()
    steps.claim_fails = lambda bucket: bucket == 0
    running = asyncio.create_task(steps.sending(pool, 4).run(stopping))
    await until(lambda: sum(steps.recorded.values()) == 150)
    await stopped(running, stopping)
    assert steps.claims[0] == 0


async def test_what_cannot_be_recorded_yet_stops_the_claiming(pool: Pool) -> None:
    """A database that is away: no more is sent than may be under way, and all of it recorded later."""
    steps, stopping = Steps({0: 1000}), asyncio.Event()
    down = True
    steps.record_fails = lambda _: ConnectionError() if down else None
    running = asyncio.create_task(steps.sending(pool).run(stopping))
    await until(lambda: sum(steps.sent.values()) == AT_ONCE)
    for _ in range(20):
        await asyncio.sleep(0.01)
        assert sum(steps.sent.values()) <= AT_ONCE
    down = False
    await until(lambda: sum(steps.recorded.values()) == 1000)
    await stopped(running, stopping)
    assert set(steps.recorded.values()) == {1}


async def test_one_that_can_never_be_recorded_stops_nothing(pool: Pool) -> None:
    steps, stopping = Steps({0: 100}), asyncio.Event()
    steps.record_fails = lambda jobs: ValueError() if 13 in jobs else None
    running = asyncio.create_task(steps.sending(pool).run(stopping))
    await until(lambda: sum(steps.recorded.values()) == 99)
    await stopped(running, stopping)
    assert 13 not in steps.recorded
    assert set(steps.recorded.values()) == {1}


async def test_a_claim_that_fails_beside_a_record_that_is_slow_loses_no_outcome(pool: Pool) -> None:
    steps, stopping = Steps({0: 40}), asyncio.Event()
    record = steps.record

    async def slow(conn: Connection, bucket: int, sent: Sequence[tuple[int, int]]) -> None:
        await asyncio.sleep(0.05)  # longer than the pause after an error
        await record(conn, bucket, sent)

    steps.record = slow  # type: ignore[method-assign,assignment]
    fail = iter([False, True, False, True])
    steps.claim_fails = lambda _: next(fail, False)
    running = asyncio.create_task(steps.sending(pool).run(stopping))
    await until(lambda: sum(steps.recorded.values()) == 40)
    await stopped(running, stopping)
    assert set(steps.recorded.values()) == {1}


async def test_stopping_waits_for_what_is_under_way_and_claims_no_more(pool: Pool) -> None:
    steps, stopping = Steps({0: 100}), asyncio.Event()
    steps.hold = asyncio.Event()
    running = asyncio.create_task(steps.sending(pool).run(stopping))
    await until(lambda: sum(steps.claims.values()) == AT_ONCE)
    stopping.set()
    steps.hold.set()
    async with asyncio.timeout(5):
        await running
    assert sum(steps.recorded.values()) == AT_ONCE


async def test_stopping_ends_although_nothing_can_be_recorded(pool: Pool) -> None:
    """What was sent comes back when its lease ends: better than a worker that never ends."""
    steps, stopping = Steps({0: 100}), asyncio.Event()
    steps.record_fails = lambda _: ConnectionError()
    running = asyncio.create_task(steps.sending(pool).run(stopping))
    await until(lambda: sum(steps.sent.values()) == AT_ONCE)
    await stopped(running, stopping)
