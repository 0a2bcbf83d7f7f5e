"""Deciding: once, together with everything that follows, whatever fails on the way."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from messo.base import clock, work
from messo.base.db import Connection, Pool
from messo.base.work import LANES, Periodic, Step, Worker, lane_of
from messo.messages import process
from messo.messages.submit import PROCESS, Accept
from messo.messages.wire import Content, NewMessage
from messo.recipients.preferences import Preference, put_preferences
from messo.recipients.profile import Profile, create_profiles
from messo.sandbox.fiscal_codes import many
from messo.services import Directory, Sender
from tests.events.told import FACTS
from tests.world import AUTO, BLOCKING, CLOSED, STRANGER, Caller, World

FOLLOW_UPS = {"tests.first": process.every, "tests.second": process.every}
POISON = "Questo oggetto fa fallire"


class Post:
    """Sends messages past HTTP: straight into the queue of accepted drafts."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.directory = Directory(pool)
        self.accept = Accept(pool, 2, 100_000)

    async def send(self, caller: Caller, *to: str, subject: str = "Un oggetto") -> list[str]:
        found = await self.directory.find(caller.key)
        assert isinstance(found, Sender)
        body = NewMessage(Content(subject=subject, markdown="Un testo abbastanza lungo. " * 4))
        drafts = [self.accept.draft(found, code, body, None, None) for code in to]
        return list(await asyncio.gather(*(self.accept.keep(draft) for draft in drafts)))


@pytest.fixture(scope="module")
async def post(pool: Pool, world: World) -> AsyncIterator[Post]:
    made = Post(pool)
    made.accept.queue.start()
    yield made
    await made.accept.queue.close()


@pytest.fixture
def deciding(pool: Pool) -> Worker:
    """A worker of the deciding step alone, with follow-up steps."""
    return worker_of(pool)


def worker_of(pool: Pool, *periodics: Periodic, batch: int = 1000) -> Worker:
    return Worker(
        pool,
        pool.buckets,
        [process.step(FOLLOW_UPS)],
        periodics,
        batch,
    )


async def all_rows(pool: Pool, sql: str, *values: Any) -> list[Any]:
    async with pool.connection() as conn:
        return [tuple(row) for row in await conn.raw.fetch(sql, *values)]


async def statuses(pool: Pool, ids: list[str]) -> dict[str, str]:
    found = await all_rows(pool, "SELECT id, status FROM messages.message WHERE id = ANY($1)", ids)
    return dict(found)


async def items(pool: Pool, ids: list[str]) -> list[tuple[str, str]]:
    return await all_rows(
        pool,
        "SELECT step, reference FROM work.item WHERE reference = ANY($1) ORDER BY 1, 2",
        ids,
    )


async def kinds(pool: Pool, message_id: str) -> set[str]:
    found = await all_rows(pool, f"SELECT kind FROM {FACTS} WHERE message_id = $1", message_id)
    return {kind for (kind,) in found}


async def drain(worker: Worker) -> None:
    async with asyncio.timeout(60):
        while await worker.work_once():
            pass


async def test_what_follows_is_committed_with_the_decision(
    pool: Pool, world: World, post: Post, deciding: Worker
) -> None:
    kept, stranger, closed = await post.send(world.anna, AUTO, STRANGER, CLOSED)
    assert await items(pool, [kept, stranger, closed]) == sorted(
        (PROCESS, message_id) for message_id in (kept, stranger, closed)
    )
    await drain(deciding)

    rows = await all_rows(
        pool,
        "SELECT m.id, m.status, m.rejection_reason, m.subject, c.id IS NOT NULL, "
        "m.decided_at IS NOT NULL FROM messages.message AS m "
        "LEFT JOIN messages.content AS c USING (bucket, id) WHERE m.id = ANY($1) ORDER BY m.id",
        [kept, stranger, closed],
    )
    assert rows == [
        (kept, "PROCESSED", None, "Un oggetto", True, True),
        (stranger, "REJECTED", "USER_NOT_FOUND", None, False, True),
        (closed, "REJECTED", "SERVICE_NOT_ALLOWED", None, False, True),
    ]
    assert await kinds(pool, kept) == {"accepted", "processed"}
    assert await kinds(pool, stranger) == await kinds(pool, closed) == {"accepted", "rejected"}
    # Only the steps that were passed, only for what is in the inbox.
    assert await items(pool, [kept, stranger, closed]) == [(name, kept) for name in FOLLOW_UPS]
    lanes = await all_rows(pool, "SELECT DISTINCT lane FROM work.item WHERE reference = $1", kept)
    assert lanes == [(lane_of(world.anna.id),)]


async def test_body_and_subject_go_in_the_deciding_transaction(
    pool: Pool, world: World, post: Post
) -> None:
    """A rollback brings everything back: nothing is done before or after."""
    (message_id,) = await post.send(world.anna, STRANGER)
    bucket = pool.bucket(STRANGER)
    async with pool.connection() as conn:
        transaction = conn.raw.transaction()
        await transaction.start()
        await process.process(conn, bucket, [message_id], FOLLOW_UPS)
        inside = await conn.raw.fetchval(
            "SELECT count(*) FROM messages.content WHERE id = $1", message_id
        )
        await transaction.rollback()
    assert inside == 0
    assert await statuses(pool, [message_id]) == {message_id: "ACCEPTED"}
    assert await all_rows(pool, "SELECT 1 FROM messages.content WHERE id = $1", message_id) == [
        (1,)
    ]
    assert await kinds(pool, message_id) == {"accepted"}
    await drain(worker_of(pool))


async def test_a_decision_is_made_once(
    pool: Pool, world: World, post: Post, deciding: Worker
) -> None:
    """Running the step again, after the citizen chose otherwise, changes nothing."""
    kept, rejected = await post.send(world.bruno, AUTO, STRANGER)
    await drain(deciding)
    look = "SELECT * FROM messages.message WHERE id = ANY($1) ORDER BY id"
    before = await all_rows(pool, look, [kept, rejected])
    async with pool.transaction() as conn:
        await put_preferences(conn, [Preference(AUTO, world.bruno.id, 0, is_inbox_enabled=False)])
        await create_profiles(
            conn, [Profile(STRANGER, "AUTO", settings_version=0, is_inbox_enabled=True)]
        )
    try:
        for message_id, code in ((kept, AUTO), (rejected, STRANGER)):
            bucket = pool.bucket(code)
            async with pool.transaction() as conn:
                await process.process(conn, bucket, [message_id], FOLLOW_UPS)
            async with pool.transaction() as conn:
                await work.queue(conn, bucket, PROCESS, [message_id], [0], clock.now())
        await drain(deciding)
        assert await all_rows(pool, look, [kept, rejected]) == before
        assert await items(pool, [kept, rejected]) == [(name, kept) for name in FOLLOW_UPS]
        assert await kinds(pool, kept) == {"accepted", "processed"}
        assert await kinds(pool, rejected) == {"accepted", "rejected"}
        # The changed preference holds for the next message.
        (later,) = await post.send(world.bruno, AUTO)
        await drain(deciding)
        assert await statuses(pool, [later]) == {later: "REJECTED"}
    finally:
        async with pool.connection() as conn:
            await conn.raw.execute(
                "DELETE FROM recipients.profile WHERE fiscal_code = $1", STRANGER
            )
            await conn.raw.execute(
                "DELETE FROM recipients.preference WHERE service_id = $1", world.bruno.id
            )


@pytest.fixture
async def poisoned(pool: Pool) -> AsyncIterator[None]:
    """PostgreSQL itself refuses to decide messages with one subject."""
    async with pool.connection() as conn:
        await conn.raw.execute(
            "ALTER TABLE messages.message ADD CONSTRAINT poison "
            f"CHECK (subject <> '{POISON}' OR decided_at IS NULL) NOT VALID"
        )
    yield
    await cure(pool)


async def cure(pool: Pool) -> None:
    async with pool.connection() as conn:
        await conn.raw.execute("ALTER TABLE messages.message DROP CONSTRAINT IF EXISTS poison")


async def make_due(pool: Pool, message_id: str) -> None:
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE work.item SET due_at = $2 WHERE reference = $1",
            message_id,
            clock.now() - timedelta(seconds=1),
        )


async def test_one_that_cannot_be_decided_is_isolated_put_off_and_decided_later(
    pool: Pool, world: World, post: Post, deciding: Worker, poisoned: None
) -> None:
    good = await post.send(world.anna, *[AUTO] * 20)
    (bad,) = await post.send(world.anna, AUTO, subject=POISON)
    good += await post.send(world.anna, *[AUTO] * 20)
    began = clock.now()
    await drain(deciding)

    assert set((await statuses(pool, good)).values()) == {"PROCESSED"}
    assert await statuses(pool, [bad]) == {bad: "THROTTLED"}
    assert await kinds(pool, bad) == {"accepted"}
    ((attempts, due),) = await all_rows(
        pool, "SELECT attempts, due_at FROM work.item WHERE reference = $1", bad
    )
    assert attempts == 1
    assert timedelta(seconds=3) < due - began < timedelta(seconds=60)
    assert await deciding.work_once() == 0  # not before it is due

    waits = []
    for expected in range(2, 6):
        await make_due(pool, bad)
        began = clock.now()
        await deciding.work_once()
        ((attempts, due),) = await all_rows(
            pool, "SELECT attempts, due_at FROM work.item WHERE reference = $1", bad
        )
        assert attempts == expected
        waits.append((due - began).total_seconds())
    assert waits == sorted(waits)
    assert waits[-1] > 4 * waits[0]

    await cure(pool)
    await make_due(pool, bad)
    await drain(deciding)
    assert await statuses(pool, [bad]) == {bad: "PROCESSED"}
    assert await kinds(pool, bad) == {"accepted", "processed"}
    assert await items(pool, [bad]) == [(name, bad) for name in FOLLOW_UPS]


async def test_after_seven_days_it_is_failed_and_a_replay_brings_it_back(
    pool: Pool, world: World, post: Post, deciding: Worker, poisoned: None
) -> None:
    bad, young = await post.send(world.anna, AUTO, AUTO, subject=POISON)
    async with pool.connection() as conn:
        for message_id, age in ((bad, "7 days 1 minute"), (young, "6 days 23 hours")):
            await conn.raw.execute(
                "UPDATE messages.message SET created_at = created_at - $2::text::interval "
                "WHERE id = $1",
                message_id,
                age,
            )
    await drain(deciding)
    assert await statuses(pool, [bad, young]) == {bad: "FAILED", young: "THROTTLED"}
    assert await kinds(pool, bad) == {"accepted", "failed"}
    assert await items(pool, [bad, young]) == [(PROCESS, young)]

    await cure(pool)
    told: list[int] = []
    assert await process.replay(pool, "operator", told.append) == 1
    assert told[-1] == 1
    assert await statuses(pool, [bad]) == {bad: "THROTTLED"}
    assert await items(pool, [bad]) == [(PROCESS, bad)]
    audited = await all_rows(
        pool,
        "SELECT actor, subject, detail FROM operations.audit WHERE action = 'messages.replay'",
    )
    assert audited == [("operator", PROCESS, '{"count": 1}')]
    await drain(deciding)
    assert await statuses(pool, [bad]) == {bad: "PROCESSED"}
    assert await kinds(pool, bad) == {"accepted", "failed", "processed"}
    assert await process.replay(pool, "operator", told.append) == 0
    await make_due(pool, young)
    await drain(deciding)


async def test_a_failed_message_is_as_it_was_for_its_sender_but_not_decided_twice(
    pool: Pool, world: World, post: Post, deciding: Worker
) -> None:
    """Being told of a failure after the decision changes nothing."""
    (message_id,) = await post.send(world.anna, AUTO)
    await drain(deciding)
    async with pool.transaction() as conn:
        assert not await process.postponed(conn, pool.bucket(AUTO), message_id, 1)
    assert await statuses(pool, [message_id]) == {message_id: "PROCESSED"}


def noting_step(seen: list[str]) -> Step:
    async def run(_: Connection, __: int, references: list[str]) -> Any:
        seen.extend(references)
        return lambda: None

    async def postponed(*_: Any) -> bool:
        return True

    return Step("tests.noting", run, postponed)


async def test_a_small_sender_does_not_wait_behind_a_large_one(pool: Pool) -> None:
    """10 items behind 5,000 of another lane are all claimed within a turn of the lanes."""
    now = clock.now()
    many_items = [f"many-{number:04d}" for number in range(5000)]
    few = [f"few-{number}" for number in range(10)]
    async with pool.transaction() as conn:
        await work.queue(conn, 0, "tests.noting", many_items, [3] * 5000, now)
        await work.queue(conn, 0, "tests.noting", few, [11] * 10, now + timedelta(milliseconds=1))
    seen: list[str] = []
    worker = Worker(pool, 1, [noting_step(seen)], [], 100)
    await asyncio.sleep(0.002)
    rounds = 0
    while not set(few) <= set(seen):
        rounds += 1
        assert rounds <= LANES
        await worker.work_once()
    assert len(seen) < 5000 / 2
    await drain(worker)
    assert sorted(seen) == sorted(many_items + few)


async def test_with_several_buckets_and_steps_every_lane_still_gets_its_turn(pool: Pool) -> None:
    """The turn must not depend on how many batches a round has."""
    now = clock.now()
    seen: list[str] = []
    idle = [
        Step(f"tests.idle{n}", noting_step([]).run, noting_step([]).postponed) for n in (1, 2, 3)
    ]
    worker = Worker(pool, 4, [noting_step(seen), *idle], [], 100)
    few = [f"few-{bucket}" for bucket in range(4)]
    async with pool.transaction() as conn:
        for bucket in range(4):
            many_items = [f"many-{bucket}-{number:04d}" for number in range(3000)]
            await work.queue(conn, bucket, "tests.noting", many_items, [3] * 3000, now)
            await work.queue(
                conn, bucket, "tests.noting", [few[bucket]], [11], now + timedelta(milliseconds=1)
            )
    await asyncio.sleep(0.002)
    rounds = 0
    try:
        while not set(few) <= set(seen):
            rounds += 1
            assert rounds <= LANES, f"only {set(few) & set(seen)} after {LANES} rounds"
            await worker.work_once()
    finally:
        async with pool.connection() as conn:
            await conn.raw.execute("DELETE FROM work.item WHERE step = 'tests.noting'")


async def test_two_workers_share_the_work_and_decide_nothing_twice(
    pool: Pool, world: World, post: Post
) -> None:
    codes = many(300)
    async with pool.transaction() as conn:
        await create_profiles(
            conn,
            [Profile(c, "AUTO", settings_version=0, is_inbox_enabled=True) for c in codes[::2]],
        )
    ids = await post.send(world.anna, *codes, *codes)
    decided: dict[str, list[str]] = {"one": [], "two": []}

    def noting(name: str) -> Worker:
        async def run(conn: Connection, bucket: int, references: list[str]) -> Any:
            count = await process.process(conn, bucket, references, FOLLOW_UPS)
            decided[name] += references
            return count

        return Worker(pool, pool.buckets, [Step(PROCESS, run, process.postponed)], [], 50)

    await asyncio.gather(drain(noting("one")), drain(noting("two")))
    assert sorted(decided["one"] + decided["two"]) == sorted(ids)
    assert min(len(decided["one"]), len(decided["two"])) > 0
    found = await statuses(pool, ids)
    assert sorted(found.values()) == ["PROCESSED"] * 300 + ["REJECTED"] * 300
    doubled = await all_rows(
        pool,
        f"SELECT message_id FROM {FACTS} WHERE message_id = ANY($1) AND kind <> 'accepted' "
        "GROUP BY message_id HAVING count(*) > 1",
        ids,
    )
    assert doubled == []
    assert len(await items(pool, ids)) == 300 * len(FOLLOW_UPS)


async def test_a_worker_that_dies_in_the_middle_leaves_everything_as_it_was(
    pool: Pool, world: World, post: Post, deciding: Worker
) -> None:
    ids = await post.send(world.anna, AUTO, BLOCKING)

    async def die(conn: Connection, bucket: int, references: list[str]) -> Any:
        await process.process(conn, bucket, references, FOLLOW_UPS)
        raise ConnectionResetError  # what the driver says of a server that is gone

    dying = Worker(pool, pool.buckets, [Step(PROCESS, die, process.postponed)], [], 10)
    with pytest.raises(ConnectionResetError):
        await dying.work_once()
    assert set((await statuses(pool, ids)).values()) == {"ACCEPTED"}
    assert len(await items(pool, ids)) == 2
    await drain(deciding)
    assert await statuses(pool, ids) == {ids[0]: "PROCESSED", ids[1]: "REJECTED"}


async def test_a_periodic_step_runs_once_per_period_whoever_comes(pool: Pool) -> None:
    ran: list[str] = []

    def periodic(name: str) -> Periodic:
        async def run(_: Connection) -> bool:
            ran.append(name)
            return False

        return Periodic("tests.daily", timedelta(days=365), run)

    workers = [(worker_of(pool), periodic(name)) for name in ("one", "two")]
    won = await asyncio.gather(*(worker.run_periodic(step) for worker, step in workers * 5))
    assert won.count(True) == 1
    assert len(ran) == 1
    async with pool.connection() as conn:
        await conn.raw.execute("UPDATE work.period SET period = period - 1")
    won = await asyncio.gather(*(worker.run_periodic(step) for worker, step in workers))
    assert sorted(won) == [False, True]
    assert len(ran) == 2


async def test_a_periodic_step_that_fails_is_tried_again_in_its_period(pool: Pool) -> None:
    """The mark and the work commit together."""
    tries: list[int] = []

    async def run(_: Connection) -> bool:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("the first time")
        return len(tries) < 4  # more to do, twice

    step = Periodic("tests.flaky", timedelta(days=365), run)
    worker = worker_of(pool)
    with pytest.raises(RuntimeError):
        await worker.run_periodic(step)
    assert await worker.run_periodic(step)
    assert len(tries) == 4
    assert not await worker.run_periodic(step)


async def test_a_message_that_cannot_be_decided_is_not_dropped(
    pool: Pool, world: World, post: Post, deciding: Worker
) -> None:
    """Without its sender's snapshot, as after a restore: it becomes THROTTLED, the others go on."""
    lost, kept = (
        await post.send(world.anna, AUTO, subject="Senza mittente"),
        await post.send(world.anna, AUTO),
    )
    async with pool.connection() as conn:
        await conn.raw.execute("UPDATE messages.message SET sender_id = 42 WHERE id = $1", lost[0])
    await deciding.work_once()
    rows = await all_rows(
        pool, "SELECT id, status FROM messages.message WHERE id = ANY($1)", [*lost, *kept]
    )
    assert {row[0]: row[1] for row in rows} == {
        lost[0]: "THROTTLED",
        kept[0]: "PROCESSED",
    }
    waiting = await all_rows(pool, "SELECT attempts FROM work.item WHERE reference = $1", lost[0])
    assert [row[0] for row in waiting] == [1]
