"""Queues as they are and as they were; what nobody measured is a gap, and never zero."""

from datetime import UTC, datetime, timedelta

import pytest

from messo.base import clock, work
from messo.base.db import Pool
from messo.console.queue_figures import PERIODS, figures
from messo.console.queue_words import KNOWN
from messo.operations import samples
from messo.pages.languages import Texts
from tests.console.colleague import Colleague
from tests.console.operating import not_for_others, operating

pytestmark = pytest.mark.anyio

ENGLISH = Texts("en", "messo.console")


async def test_what_waits_is_shown_with_its_age_and_where_to_look(
    colleague: Colleague, pool: Pool
) -> None:
    operator = await operating(colleague, pool)
    async with pool.transaction() as conn:
        await conn.raw.execute("DELETE FROM work.item")
        now = clock.now()
        for step, minutes in (("notifications.letter", 90), ("some.step", 2)):
            await work.queue(conn, 0, step, ["a", "b"], [0, 0], now - timedelta(minutes=minutes))
    page = await operator.get("/queues")
    assert "90 minutes" in page
    assert "Far behind" in page
    assert "Does the mail server take mail?" in page
    assert "some.step" in page
    assert "No worker seems to run" in page
    assert "Nothing was measured yet" in page
    assert "See the last hour" not in page  # it is what is shown: nothing is known of it either
    week = await operator.get("/queues?period=7d")
    assert '<a href="/console/operate/queues?period=1h">See the last hour</a>' in week
    lines = await operator.rows("/queues?format=csv")
    assert len(lines) == len(KNOWN) + 2
    assert any('"notifications.letter"' in line and '"2"' in line for line in lines)
    await operator.get("/queues?period=nonsense")


async def test_a_gap_in_the_samples_is_a_gap(pool: Pool) -> None:
    now = datetime(2026, 5, 5, 12, 0, tzinfo=UTC)
    async with pool.transaction() as conn:
        await conn.raw.execute("DELETE FROM operations.sample")
        for minute in range(60):
            if 20 <= minute < 30:
                continue  # nobody measured
            at = now - timedelta(minutes=60 - minute)
            values = {f"total:{kind}": 10.0 * minute for kind in samples.TOTALS}
            if minute == 40:
                values |= {"depth:messages.process": 7, "age:messages.process": 1200}
            await conn.raw.executemany(
                "INSERT INTO operations.sample VALUES ($1, $2, $3)",
                [(at, name, value) for name, value in values.items()],
            )
        found = await figures(conn, ENGLISH, "1h", now)
        days = await figures(conn, ENGLISH, "7d", now)
    assert found.starts[0] == now - timedelta(hours=1)
    (depth,) = found.depth
    assert depth.label == "Deciding"
    assert depth.values[20:30] == [None] * 10
    assert (depth.values[40], depth.values[41], depth.values[19]) == (7, 0, 0)
    assert found.in_minutes
    assert found.age[0].values[40] == 20
    accepted = found.rates[0]
    assert accepted.values[20:31] == [None] * 11
    assert accepted.values[31] == 10
    assert len(days.starts) == 7 * 24 + 1
    assert days.rates[0].values.count(None) == len(days.starts)  # no whole hour has one before it


async def test_each_period_is_drawn_with_its_table_and_its_file(
    colleague: Colleague, pool: Pool
) -> None:
    operator = await operating(colleague, pool)
    async with pool.transaction() as conn:
        await conn.raw.execute("DELETE FROM operations.sample")
        now = clock.now().replace(second=0, microsecond=0)
        for minute in range(180):
            await conn.raw.executemany(
                "INSERT INTO operations.sample VALUES ($1, $2, $3)",
                [
                    (now - timedelta(minutes=minute), name, 5.0)
                    for name in (
                        *(f"total:{kind}" for kind in samples.TOTALS),
                        *(f"{kind}:step{n}" for kind in ("depth", "age") for n in range(8)),
                    )
                ],
            )
    for period in PERIODS:
        page = await operator.get(f"/queues?period={period}")
        assert page.count('<svg class="plot"') == 3
        assert "All others" in page
        assert "No worker seems to run" not in page
        for kind in ("depth", "age", "rates"):
            lines = await operator.rows(f"/queues?period={period}&format=csv&list={kind}")
            assert len(lines) > 60
    assert "Code" in await operator.get("/queues", language="it")


async def test_the_first_minutes_are_seen_without_choosing(
    colleague: Colleague, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = await operating(colleague, pool)
    now = datetime(2026, 5, 5, 12, 8, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: now)
    async with pool.transaction() as conn:
        await conn.raw.execute("DELETE FROM operations.sample")
        await conn.raw.executemany(
            "INSERT INTO operations.sample VALUES ($1, $2, $3)",
            [
                (now - timedelta(minutes=minute), f"total:{kind}", 50.0 - minute)
                for minute in range(6)
                for kind in samples.TOTALS
            ],
        )
        day = await figures(conn, ENGLISH, "24h", now)
        hour = await figures(conn, ENGLISH, "1h", now)
    assert day.is_empty
    assert not hour.is_empty
    assert [one.tone for one in hour.rates] == ["plot-a", "plot-b", "plot-d", "plot-c"]
    assert '<svg class="plot"' in await operator.get("/queues")
    assert '<svg class="plot"' not in await operator.get("/queues?period=24h")


async def test_nobody_else_sees_it(other: Colleague) -> None:
    await not_for_others(other, ["/queues"], [])
