"""Samples: how the work stood at each minute, written down so that operators see the last days.

`depth:<step>` and `age:<step>` (seconds) of every step with work, and `total:<kind>`: how often it
happened to messages on that day so far, by Rome's calendar.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from messo.base import clock, work
from messo.base.db import Connection
from messo.base.sql import Queries

queries = Queries("messo.operations")

STEP = "operations.sample"
EVERY = timedelta(minutes=1)
KEPT = timedelta(days=8)
# Written with every sample, be it 0: where these are missing, nobody took samples.
TOTALS = ("accepted", "processed", "rejected", "notified", "failed")

# For a day, how often each kind of thing happened so far.
Totals = Callable[[Connection, date], Awaitable[Mapping[str, int]]]

_MARK = f"total:{TOTALS[0]}"
_AT_ONCE = 10_000
_HOUR = 60


@dataclass(frozen=True)
class Point:
    """A number for an interval that begins at `at`."""

    at: datetime
    value: float


def sampling(totals: Totals) -> Callable[[Connection], Awaitable[bool]]:
    """The periodic step: take a sample now, and delete a bounded number of old ones."""

    async def run(conn: Connection) -> bool:
        now = clock.now()
        await take(conn, totals, now)
        await conn.run(queries.forget_samples_before, before=now - KEPT, limit=_AT_ONCE)
        return False

    return run


async def take(conn: Connection, totals: Totals, now: datetime) -> None:
    """Write the sample of the minute of `now`."""
    found: dict[str, float] = {}
    for row in await conn.rows(work.queries.queue_state):
        found[f"depth:{row['step']}"] = row["depth"]
        found[f"age:{row['step']}"] = max(0.0, (now - row["oldest"]).total_seconds())
    counted = await totals(conn, clock.day_in_rome(now))
    found |= {f"total:{kind}": counted.get(kind, 0) for kind in TOTALS}
    at = now.replace(second=0, microsecond=0)
    await put(conn, [(at, name, float(value)) for name, value in found.items()])


async def put(conn: Connection, rows: Sequence[tuple[datetime, str, float]]) -> None:
    """Write samples: when, which name, which value. What is there already stays."""
    await conn.run(
        queries.put_samples,
        ats=[at for at, _, _ in rows],
        names=[name for _, name, _ in rows],
        values=[value for _, _, value in rows],
    )


async def series(
    conn: Connection, prefixes: Sequence[str], since: datetime, step_minutes: int
) -> Mapping[str, list[Point]]:
    """By name, what begins with one of `prefixes`, in intervals of `step_minutes`, oldest first.

    The highest of each interval. An interval without a sample has no point; one in which a step had
    no work is 0 for it. `step_minutes` divides an hour, so that each interval is of one day.
    """
    if _HOUR % step_minutes:
        raise ValueError(f"{step_minutes} minutes do not divide an hour")
    rows = await conn.rows(
        queries.read_samples,
        minutes=step_minutes,
        since=_start(since, step_minutes),
        prefixes=[*prefixes, _MARK],
    )
    taken = [row["start"] for row in rows if row["name"] == _MARK]
    found: dict[str, dict[datetime, float]] = {}
    for row in rows:
        if row["name"].startswith(tuple(prefixes)):
            found.setdefault(row["name"], {})[row["start"]] = row["value"]
    return {
        name: [Point(at, values.get(at, 0.0)) for at in taken]
        for name, values in sorted(found.items())
    }


def rates(totals: Sequence[Point], step_minutes: int, now: datetime) -> list[Point]:
    """How much came in each interval, from a `total:` of `series` with the same `step_minutes`.

    None for an interval that is not over at `now`, nor for one before which samples are missing.
    Totals begin anew with each day, and so does the count; what was published after a day's last
    sample and still belongs to that day is in no interval.
    """
    step = timedelta(minutes=step_minutes)
    found = []
    for before, point in pairwise(totals):
        if point.at - before.at != step or point.at + step > now:
            continue
        new_day = clock.day_in_rome(point.at) != clock.day_in_rome(before.at)
        from_zero = new_day or point.value < before.value
        found.append(Point(point.at, point.value - (0 if from_zero else before.value)))
    return found


def _start(moment: datetime, step_minutes: int) -> datetime:
    """When the interval began in which this moment lies."""
    seconds = step_minutes * 60
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC)
