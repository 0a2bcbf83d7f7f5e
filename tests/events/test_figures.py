"""Figures: each fact counts once, for its service, its day in Rome, and what may be told of it."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from messo import events
from messo.base import clock
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.events import figures, publish, upkeep
from messo.events.figures import Figure
from messo.recipients.preferences import Preference, put_preferences
from tests.events.told import execute, happen, publish_all, rows, tell, value
from tests.world import AUTO, LEGACY, World

TODAY = clock.day_in_rome(clock.now())
LONG_AGO = date(2000, 1, 1)
NEVER = date(2100, 1, 1)


@pytest.fixture(autouse=True)
async def nothing_counted(pool: Pool) -> None:
    """Each test counts from zero."""
    await publish_all(pool)
    await execute(pool, "DELETE FROM events.figure")


async def counted(pool: Pool, *services: str) -> dict[tuple[str, str], int]:
    async with pool.connection() as conn:
        found = await figures.per_day(conn, services, LONG_AGO, NEVER)
    return {(figure.kind, figure.about): figure.number for figure in found}


async def sent(
    pool: Pool,
    service: str,
    citizen: str = AUTO,
    *,
    level: str = "ADVANCED",
    reason: str | None = None,
) -> str:
    """A message that was decided; its id."""
    message = new_id()
    await execute(
        pool,
        "INSERT INTO messages.message (bucket, id, fiscal_code, service_id, sender_id, status, "
        "rejection_reason, feature_level_type, require_secure_channels, time_to_live, created_at) "
        "VALUES ($1, $2, $3, $4, 1, $5, $6, $7, false, 3600, now())",
        pool.bucket(citizen),
        message,
        citizen,
        service,
        "REJECTED" if reason else "PROCESSED",
        reason,
        level,
    )
    return message


async def log(
    pool: Pool,
    citizen: str,
    service: str,
    kind: str,
    *messages: str,
    about: str = "",
    at: datetime | None = None,
) -> None:
    """This happens to these messages of a citizen, in the citizen's bucket."""
    many = len(messages)
    async with pool.transaction() as conn:
        await events.append(
            conn,
            pool.bucket(citizen),
            [kind] * many,
            list(messages),
            [service] * many,
            at or clock.now(),
            [about] * many,
        )


async def test_each_kind_is_counted_and_notices_by_channel(pool: Pool, world: World) -> None:
    kinds = ("accepted", "processed", "notified", "paid", "reported")
    messages = await tell(pool, world.anna.id, *kinds, messages=3)
    await log(pool, AUTO, world.anna.id, "notified", messages[0], about="web_push")
    await log(pool, AUTO, world.anna.id, "failed", new_id())
    await tell(pool, world.bruno.id, "accepted")
    await publish_all(pool)
    assert await counted(pool, world.anna.id) == {
        ("accepted", ""): 3,
        ("processed", ""): 3,
        ("notified", "email"): 3,
        ("notified", "web_push"): 1,
        ("paid", ""): 3,
        ("reported", ""): 3,
        ("failed", ""): 1,
    }
    assert await counted(pool, world.bruno.id) == {("accepted", ""): 1}
    both = await counted(pool, world.anna.id, world.bruno.id, world.anna.id)
    assert both["accepted", ""] == 4
    assert await counted(pool) == await counted(pool, "nobody") == {}


async def test_a_fact_that_is_published_twice_counts_once(pool: Pool, world: World) -> None:
    (message,) = await tell(pool, world.anna.id, "accepted", "notified")
    for _ in range(2):
        await happen(pool, world.anna.id, (message, "accepted"), (message, "notified"))
        await publish_all(pool)
    assert await counted(pool, world.anna.id) == {("accepted", ""): 1, ("notified", "email"): 1}
    # And beside a fact that is new.
    await happen(pool, world.anna.id, (message, "accepted"), (message, "paid"))
    await publish_all(pool)
    assert await counted(pool, world.anna.id) == {
        ("accepted", ""): 1,
        ("notified", "email"): 1,
        ("paid", ""): 1,
    }


async def test_what_is_rolled_back_counts_nothing_and_later_once(pool: Pool, world: World) -> None:
    message = new_id()
    bucket = pool.bucket(message)
    await tell(pool, world.bruno.id, "accepted")  # the publisher's row is there
    await happen(pool, world.anna.id, (message, "accepted"))

    async def die() -> None:
        async with pool.transaction() as conn:
            while not await publish.publish_batch(conn, bucket):
                pass
            assert await conn.raw.fetchval("SELECT sum(number) FROM events.figure") == 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await die()
    assert await counted(pool, world.anna.id) == {}
    await publish_all(pool)
    assert await counted(pool, world.anna.id) == {("accepted", ""): 1}


async def test_reading_counts_only_where_the_citizen_lets_the_sender_know(
    pool: Pool, world: World
) -> None:
    shared, second = [await sent(pool, world.anna.id) for _ in range(2)]
    standard = await sent(pool, world.anna.id, level="STANDARD")
    legacy = await sent(pool, world.anna.id, LEGACY)
    await log(pool, AUTO, world.anna.id, "read", shared, standard)
    await log(pool, LEGACY, world.anna.id, "read", legacy)
    await publish_all(pool)
    assert await value(pool, "SELECT count(*) FROM events.published WHERE kind = 'read'") == 3
    assert await counted(pool, world.anna.id) == {("read", ""): 1}
    async with pool.transaction() as conn:
        await put_preferences(
            conn, [Preference(AUTO, world.anna.id, 0, access_read_message_status="DENY")]
        )
    await log(pool, AUTO, world.anna.id, "read", second)
    await publish_all(pool)
    await execute(pool, "DELETE FROM recipients.preference WHERE service_id = $1", world.anna.id)
    assert await counted(pool, world.anna.id) == {("read", ""): 1}


async def test_rejections_are_counted_by_reason(pool: Pool, world: World) -> None:
    for reason, count in (("USER_NOT_FOUND", 2), ("SERVICE_NOT_ALLOWED", 1)):
        ids = [await sent(pool, world.anna.id, reason=reason) for _ in range(count)]
        await log(pool, AUTO, world.anna.id, "rejected", *ids)
    await publish_all(pool)
    assert await counted(pool, world.anna.id) == {
        ("rejected", "USER_NOT_FOUND"): 2,
        ("rejected", "SERVICE_NOT_ALLOWED"): 1,
    }


async def test_a_day_begins_at_midnight_in_rome(pool: Pool, world: World) -> None:
    winter = datetime(2026, 1, 31, 23, 0, tzinfo=UTC)
    summer = datetime(2026, 7, 31, 22, 0, tzinfo=UTC)
    for midnight in (winter, summer):
        for at in (midnight - timedelta(microseconds=1), midnight, midnight):
            await log(pool, AUTO, world.anna.id, "accepted", new_id(), at=at)
    await publish_all(pool)
    async with pool.connection() as conn:
        found = await figures.per_day(conn, [world.anna.id], LONG_AGO, NEVER)
        some = await figures.per_day(conn, [world.anna.id], date(2026, 2, 1), date(2026, 7, 31))
        totals = [await figures.totals(conn, date(2026, 8, 1)), await figures.totals(conn, TODAY)]
    assert found == [
        Figure(date(2026, 1, 31), "accepted", "", 1),
        Figure(date(2026, 2, 1), "accepted", "", 2),
        Figure(date(2026, 7, 31), "accepted", "", 1),
        Figure(date(2026, 8, 1), "accepted", "", 2),
    ]
    assert some == found[1:3]
    assert totals == [{"accepted": 2}, {}]


async def test_totals_are_of_all_services_and_channels(pool: Pool, world: World) -> None:
    (message,) = await tell(pool, world.anna.id, "accepted", "notified")
    await log(pool, AUTO, world.anna.id, "notified", message, about="web_push")
    await tell(pool, world.bruno.id, "accepted", messages=2)
    await publish_all(pool)
    async with pool.connection() as conn:
        assert await figures.totals(conn, TODAY) == {"accepted": 3, "notified": 2}


async def test_publishers_of_the_same_services_at_once_count_right(
    pool: Pool, world: World
) -> None:
    """Two buckets with facts of the same services in opposite order: they wait, and both succeed."""
    services = sorted([world.anna.id, world.bruno.id, world.limited.id, world.draft.id])
    await tell(pool, services[1], "accepted")
    await tell(pool, services[2], "accepted")
    # With one bucket, the second is none that a citizen lives in.
    buckets = [0, 1] if pool.buckets == 1 else _two_buckets(pool)
    add = "INSERT INTO events.publisher SELECT unnest($1::smallint[]) ON CONFLICT DO NOTHING"
    await execute(pool, add, buckets)
    for _ in range(3):
        for order, bucket in zip((1, -1), buckets, strict=True):
            senders = [service for service in services[::order] for _ in range(20)]
            kinds, ids = ["accepted"] * 80, [new_id() for _ in senders]
            async with pool.transaction() as conn:
                await events.append(conn, bucket, kinds, ids, senders, clock.now())
        async with pool.transaction() as conn:
            # Held back where the two orders meet.
            hold = "SELECT FROM events.counter WHERE service_id = ANY($1) FOR UPDATE"
            await conn.raw.execute(hold, services[1:3])
            both = [asyncio.create_task(publish.publish(pool, bucket)) for bucket in buckets]
            await _until_two_wait(pool)
        assert await asyncio.gather(*both) == [80, 80]
    found = [await counted(pool, service) for service in services]
    assert found == [{("accepted", ""): number} for number in (120, 121, 121, 120)]
    await execute(pool, "DELETE FROM events.publisher WHERE bucket >= $1", pool.buckets)


async def _until_two_wait(pool: Pool) -> None:
    waiting = (
        "SELECT count(DISTINCT l.pid) FROM pg_locks AS l INNER JOIN pg_stat_activity AS a "
        "ON a.pid = l.pid AND a.datname = current_database() WHERE NOT l.granted"
    )
    for _ in range(500):
        if await value(pool, waiting) == 2:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the two publishers did not wait for the counters within five seconds")


def _two_buckets(pool: Pool) -> list[int]:
    return sorted({pool.bucket(f"citizen {number}") for number in range(50)})[:2]


async def test_figures_outlive_the_messages_of_an_erased_citizen(pool: Pool, world: World) -> None:
    (message,) = await tell(pool, world.anna.id, "accepted", "paid")
    before = await counted(pool, world.anna.id)
    async with pool.transaction() as conn:
        await events.forget(conn, pool.bucket(message), [message], [world.anna.id])
    await publish_all(pool)
    assert await counted(pool, world.anna.id) == before == {("accepted", ""): 1, ("paid", ""): 1}
    for row in await rows(pool, "SELECT * FROM events.figure"):
        assert message not in map(str, row.values())


async def test_figures_are_kept_for_eight_hundred_days_and_go_in_portions(
    pool: Pool, world: World
) -> None:
    for days in (799, 801, 802, 803):
        await log(
            pool,
            AUTO,
            world.anna.id,
            "accepted",
            new_id(),
            at=clock.now() - timedelta(days=days),
        )
    await publish_all(pool)

    async def left() -> Any:
        return await value(pool, "SELECT count(*) FROM events.figure")

    async with pool.transaction() as conn:
        assert await figures.forget_old(conn, 2)
    assert await left() == 2
    async with pool.transaction() as conn:
        assert not await upkeep.forget_old(conn)
    (kept,) = await rows(pool, "SELECT day FROM events.figure")
    assert kept["day"] == clock.day_in_rome(clock.now() - timedelta(days=799))


async def test_counting_again_leaves_the_index_alone(pool: Pool, world: World) -> None:
    """Updates stay in the page (HOT): a busy service's figures are changed with every batch."""
    await tell(pool, world.anna.id, "accepted")
    bucket = pool.bucket(AUTO)
    await execute(pool, "INSERT INTO events.publisher VALUES ($1) ON CONFLICT DO NOTHING", bucket)
    updates = (
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables "
        "WHERE schemaname = 'events' AND relname = 'figure'"
    )
    async with pool.transaction() as conn:
        # What the connection did before may not be reported yet, and stands in here too.
        before = await conn.raw.fetchrow(updates)
        for _ in range(5):
            await events.append(
                conn, bucket, ["accepted"], [new_id()], [world.anna.id], clock.now()
            )
            assert await publish.publish_batch(conn, bucket) == 1
        after = await conn.raw.fetchrow(updates)
    assert [now - then for now, then in zip(after, before, strict=True)] == [5, 5]
