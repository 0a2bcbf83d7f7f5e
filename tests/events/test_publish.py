"""Facts leave the log once, and get a position without gaps in the order of what they are."""

import asyncio
import random
from collections import defaultdict
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messo import events
from messo.base import clock
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.base.outward import Sending
from messo.events import publish
from messo.events.kinds import RANK
from tests.events.told import happen, publish_all, rows, tell, value
from tests.world import World


async def published(pool: Pool, service_id: str) -> list[dict[str, Any]]:
    return await rows(
        pool, "SELECT * FROM events.published WHERE service_id = $1 ORDER BY position", service_id
    )


async def test_positions_have_no_gaps_and_every_fact_is_there_once(
    pool: Pool, world: World
) -> None:
    """Several connections write facts of the same services while two publishers run."""
    services = [world.anna.id, world.bruno.id, world.limited.id]
    chance = random.Random(11)
    happened: dict[str, set[tuple[str, str]]] = defaultdict(set)
    writing = True

    async def write() -> None:
        for _ in range(25):
            ids = [new_id() for _ in range(12)]
            chosen = [chance.choice(services) for _ in ids]
            bucket = chance.randrange(pool.buckets)
            for kind in ("accepted", "processed", "read"):
                async with pool.transaction() as conn:
                    # Clocks differ: a later fact may carry an earlier time.
                    at = clock.now() - timedelta(seconds=chance.random() * 5)
                    await events.append(conn, bucket, [kind] * 12, ids, chosen, at)
            for message_id, service in zip(ids, chosen, strict=True):
                happened[service] |= {(message_id, k) for k in ("accepted", "processed", "read")}

    async def read_along() -> None:
        """A reader by position never sees a number appear behind it."""
        seen = 0
        while writing:
            last = await value(
                pool,
                "SELECT last FROM events.counter WHERE service_id = $1",
                services[0],
            )
            count = await value(
                pool,
                "SELECT count(*) FROM events.published WHERE service_id = $1 AND position <= $2",
                services[0],
                last or 0,
            )
            assert count == (last or 0) >= seen
            seen = last or 0

    async def keep_publishing() -> None:
        while writing:
            for bucket in range(pool.buckets):
                await publish.publish(pool, bucket)

    publishers = [asyncio.create_task(keep_publishing()) for _ in range(2)]
    reader = asyncio.create_task(read_along())
    await asyncio.gather(*(write() for _ in range(3)))
    writing = False
    await asyncio.gather(*publishers, reader)
    await publish_all(pool)
    for service in services:
        found = await published(pool, service)
        assert [row["position"] for row in found] == list(range(1, len(found) + 1))
        assert {(row["message_id"], row["kind"]) for row in found} == happened[service]
        assert len({row["id"] for row in found}) == len(found)
        ranks: dict[str, int] = {}
        for row in found:
            assert ranks.get(row["message_id"], -1) < RANK[row["kind"]]
            ranks[row["message_id"]] = RANK[row["kind"]]
    assert await value(pool, "SELECT count(*) FROM events.log") == 0


async def test_a_fact_that_is_logged_again_is_not_published_again(pool: Pool, world: World) -> None:
    (message,) = await tell(pool, world.anna.id, "accepted", "notified")
    before = await published(pool, world.anna.id)
    await happen(pool, world.anna.id, (message, "accepted"), (message, "notified"))
    await happen(pool, world.anna.id, (message, "read"))
    async with pool.connection() as conn:
        life = await events.of_message(conn, pool.bucket(message), message, world.anna.id)
    assert [row["kind"] for row in life] == ["accepted", "notified", "read"]
    assert [row["about"] for row in life] == ["", "email", ""]
    await publish_all(pool)
    after = await published(pool, world.anna.id)
    assert after[:-1] == before
    assert (after[-1]["kind"], after[-1]["position"]) == ("read", before[-1]["position"] + 1)


async def test_a_batch_that_is_rolled_back_leaves_no_gap(pool: Pool, world: World) -> None:
    message = new_id()
    await happen(pool, world.draft.id, (message, "accepted"))

    async def die() -> None:
        async with pool.transaction() as conn:
            # The first look at a database only says that there is a publisher.
            await publish.publish_batch(conn, pool.bucket(message))
            await publish.publish_batch(conn, pool.bucket(message))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await die()
    assert await published(pool, world.draft.id) == []
    await publish_all(pool)
    assert [row["position"] for row in await published(pool, world.draft.id)] == [1]


async def test_while_one_publishes_another_does_nothing(pool: Pool, world: World) -> None:
    await publish_all(pool)
    message = new_id()
    bucket = pool.bucket(message)
    await happen(pool, world.anna.id, (message, "accepted"))
    await publish_all(pool)
    await happen(pool, world.anna.id, (message, "processed"))
    async with pool.transaction() as conn:
        assert await publish.publish_batch(conn, bucket) == 1
        assert await publish.publish(pool, bucket) == 0
    assert await publish_all(pool) == 0


async def test_the_step_publishes_as_outward_steps_run(pool: Pool, world: World) -> None:
    await publish_all(pool)
    message = new_id()
    await happen(pool, world.anna.id, (message, "accepted"))
    assert await Sending(publish.step(), pool, pool.buckets).once() == 0
    found = await published(pool, world.anna.id)
    assert found[-1]["message_id"] == message


async def test_forgetting_leaves_nothing_and_keeps_the_positions_of_others(
    pool: Pool, world: World
) -> None:
    first, second = await tell(pool, world.anna.id, "accepted", "processed", messages=2)
    await happen(pool, world.anna.id, (first, "read"))
    kept = [row for row in await published(pool, world.anna.id) if row["message_id"] == second]
    async with pool.transaction() as conn:
        await events.forget(conn, pool.bucket(first), [first], [world.anna.id])
    await publish_all(pool)
    left = await published(pool, world.anna.id)
    assert first not in {row["message_id"] for row in left}
    assert [row for row in left if row["message_id"] == second] == kept
    assert len(kept) == 2


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(sorted(RANK)), st.integers(0, 20)),
        unique_by=lambda fact: fact[:2],
    )
)
def test_facts_of_a_message_keep_their_order_whatever_clocks_say(
    facts: list[tuple[str, str, int]],
) -> None:
    start = clock.now()
    given_rows = [
        {"message_id": m, "kind": k, "about": "", "at": start + timedelta(seconds=s)}
        for m, k, s in facts
    ]
    ordered = publish.in_order(given_rows)
    assert sorted(map(id, ordered)) == sorted(map(id, given_rows))
    for message in "abc":
        ranks = [RANK[row["kind"]] for row in ordered if row["message_id"] == message]
        assert ranks == sorted(ranks)
