"""Samples of the work: what is written each minute, and what a plot makes of it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import pytest

from messo.base import clock, work
from messo.base.db import Connection, Pool
from messo.base.work import Worker
from messo.operations import samples
from messo.operations.samples import Point, rates
from tests.world import World

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)  # in Rome
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def empty(pool: Pool) -> Pool:
    """No samples yet, and nothing waits of what tests queued."""
    async with pool.connection() as conn:
        await conn.raw.execute("DELETE FROM operations.sample")
        await conn.raw.execute("DELETE FROM work.item WHERE step LIKE 'test.%'")
    return pool


class Counts:
    """Totals that a test sets; `asked`: for which days."""

    def __init__(self, **counts: int) -> None:
        self.counts = counts
        self.asked: list[date] = []

    async def __call__(self, _conn: Connection, day: date) -> Mapping[str, int]:
        self.asked.append(day)
        return self.counts


async def take(pool: Pool, at: datetime, **counts: int) -> None:
    async with pool.transaction() as conn:
        await samples.take(conn, Counts(**counts), at)


async def queue(pool: Pool, step: str, *references: str, due: datetime) -> None:
    async with pool.transaction() as conn:
        await work.queue(conn, 0, step, references, [0] * len(references), due)


async def clear(pool: Pool, step: str) -> None:
    async with pool.connection() as conn:
        await conn.raw.execute("DELETE FROM work.item WHERE step = $1", step)


async def read(
    pool: Pool, *prefixes: str, minutes: int = 1, since: datetime = NOON
) -> dict[str, list[tuple[int, float]]]:
    """By name: minutes after `since`, and the number."""
    async with pool.connection() as conn:
        found = await samples.series(conn, prefixes, since, minutes)
    return {
        name: [(int((point.at - since).total_seconds() / 60), point.value) for point in points]
        for name, points in found.items()
    }


async def test_a_sample_says_how_much_waits_how_long_and_what_was_counted(empty: Pool) -> None:
    await queue(empty, "test.a", "1", "2", due=NOON - timedelta(seconds=90))
    await queue(empty, "test.a", "3", due=NOON)
    await queue(empty, "test.later", "1", due=NOON + timedelta(hours=1))
    await take(empty, NOON + timedelta(seconds=7), accepted=5, read=9)
    found = await read(empty, "")
    assert found == {
        "depth:test.a": [(0, 3)],
        "age:test.a": [(0, 97)],
        "depth:test.later": [(0, 1)],
        "age:test.later": [(0, 0)],
        "total:accepted": [(0, 5)],
        "total:processed": [(0, 0)],
        "total:rejected": [(0, 0)],
        "total:notified": [(0, 0)],
        "total:failed": [(0, 0)],
    }


async def test_a_minute_is_sampled_once(empty: Pool) -> None:
    await take(empty, NOON, accepted=5)
    await take(empty, NOON + timedelta(seconds=59), accepted=6)
    await take(empty, NOON + MINUTE, accepted=7)
    assert await read(empty, "total:accepted") == {"total:accepted": [(0, 5), (1, 7)]}


async def test_the_totals_are_of_the_day_in_rome(empty: Pool) -> None:
    counts = Counts()
    async with empty.transaction() as conn:
        await samples.take(conn, counts, MIDNIGHT - timedelta(seconds=1))
        await samples.take(conn, counts, MIDNIGHT)
    assert counts.asked == [date(2026, 11, 30), date(2026, 12, 1)]


async def test_a_series_has_the_worst_of_each_interval(empty: Pool) -> None:
    depths = {0: 1, 4: 3, 5: 2, 9: 1, 16: 1}
    for minute, depth in depths.items():
        await clear(empty, "test.a")
        await queue(empty, "test.a", *map(str, range(depth)), due=NOON)
        await take(empty, NOON + minute * MINUTE, accepted=minute)
    found = await read(empty, "depth:test.", "total:accepted", minutes=5)
    assert found == {
        # Nobody took samples between 10 and 14.
        "depth:test.a": [(0, 3), (5, 2), (15, 1)],
        "total:accepted": [(0, 4), (5, 9), (15, 16)],
    }
    later = await read(empty, "depth:test.", minutes=5, since=NOON + 7 * MINUTE)
    assert later == {"depth:test.a": [(-2, 2), (8, 1)]}, "the whole interval in which it begins"
    async with empty.connection() as conn:
        last = await samples.series(conn, ["depth:"], NOON + 7 * MINUTE, 5)
    assert last["depth:test.a"][0] == Point(NOON + 5 * MINUTE, 2)


async def test_a_step_without_work_is_at_zero_and_no_gap(empty: Pool) -> None:
    await take(empty, NOON)
    await queue(empty, "test.a", "1", due=NOON)
    await take(empty, NOON + MINUTE)
    await clear(empty, "test.a")
    await take(empty, NOON + 3 * MINUTE)
    assert await read(empty, "depth:") == {"depth:test.a": [(0, 0), (1, 1), (3, 0)]}
    assert await read(empty, "depth:test.b") == {}


async def test_intervals_divide_an_hour(empty: Pool) -> None:
    async with empty.connection() as conn:
        for minutes in (7, 45, 90):
            with pytest.raises(ValueError, match="divide"):
                await samples.series(conn, ["depth:"], NOON, minutes)


async def test_the_worker_samples_each_minute_and_counts_what_was_published(
    empty: Pool, worker: Worker, world: World
) -> None:
    async with empty.connection() as conn:
        await conn.raw.execute(
            "INSERT INTO events.figure (bucket, service_id, day, kind, number) "
            "VALUES ($1, $2, $3, 'accepted', 42)",
            empty.bucket(world.anna.id),
            world.anna.id,
            clock.day_in_rome(clock.now()),
        )
    (periodic,) = [one for one in worker.periodics if one.name == "operations.sample"]
    assert periodic.every == MINUTE
    before = clock.now() - MINUTE
    assert await worker.run_periodic(periodic)
    async with empty.connection() as conn:
        found = await samples.series(conn, ["total:accepted"], before, 1)
    assert [point.value for point in found["total:accepted"]] == [42]


async def test_samples_are_kept_for_eight_days(empty: Pool) -> None:
    now = clock.now()
    for days in (7.9, 8.1):
        await take(empty, now - timedelta(days=days), accepted=1)
    async with empty.transaction() as conn:
        assert not await samples.sampling(Counts(accepted=2))(conn)
    since = now - timedelta(days=30)
    values = [
        point for _, point in (await read(empty, "total:accepted", since=since))["total:accepted"]
    ]
    assert values == [1, 2]


def points(*values: float | None, start: datetime = NOON, minutes: int = 1) -> list[Point]:
    """One for each interval; None: no sample."""
    step = timedelta(minutes=minutes)
    return [Point(start + n * step, v) for n, v in enumerate(values) if v is not None]


FAR = NOON + timedelta(days=2)


def test_a_rate_is_what_came_since_the_interval_before() -> None:
    assert rates(points(10, 10, 13, 20), 1, FAR) == points(None, 0, 3, 7)
    assert rates(points(10, 13, minutes=5), 5, FAR) == points(None, 3, minutes=5)
    assert rates([], 1, FAR) == rates(points(5), 1, FAR) == []


def test_a_gap_has_no_rate_and_neither_what_follows_it() -> None:
    assert rates(points(1, 2, None, 9, 10), 1, FAR) == points(None, 1, None, None, 1)


def test_a_new_day_counts_from_zero() -> None:
    start = MIDNIGHT - 2 * MINUTE
    fallen = points(100, 105, 3, 7, start=start)
    assert rates(fallen, 1, FAR) == points(None, 5, 3, 4, start=start)
    risen = points(1, 1, 3, 7, start=start)
    assert rates(risen, 1, FAR) == points(None, 0, 3, 4, start=start)


def test_an_interval_that_is_not_over_has_no_rate() -> None:
    given = points(0, 5, 6, minutes=5)
    assert rates(given, 5, NOON + 14 * MINUTE) == points(None, 5, minutes=5)
    assert rates(given, 5, NOON + 15 * MINUTE) == points(None, 5, 1, minutes=5)
