"""Webhooks beside each other, and beside whoever changes them: nobody waits for nobody."""

import asyncio

from messo.base.db import Connection, Pool
from messo.events import hand_on, wire
from messo.events.claim import claim_windows
from messo.operations import record
from tests.events.receiver import HANG, OK, Receiver, Seen, status
from tests.events.told import QUICK, Post, execute, rows, tell, value
from tests.world import World


async def until_blocked(pool: Pool) -> None:
    """Somebody waits for a lock of a row."""
    waiting = (
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid')"
    )
    for _ in range(200):
        if await value(pool, waiting):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waited for the lock within two seconds")


async def test_changing_a_webhook_waits_for_what_is_just_recorded_and_then_knows_it(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    """A 410 is being recorded while the institution changes the kinds; neither is turned away."""
    webhook = await post.create(world.anna)
    await tell(pool, world.anna.id, "accepted")
    receiver.answer = lambda _: status(410)
    bucket = pool.bucket(world.anna.id)
    async with pool.transaction() as conn:
        (window,) = await claim_windows(conn, post.secrets, bucket, 8, 4)
    outcome = await post.step.send(window)

    async def change() -> wire.Webhook:
        async with pool.transaction() as conn:
            wanted = wire.WebhookChange(url=receiver.url + "&2", kinds=["paid"])
            return await post.webhooks.change(conn, "tests", None, webhook.id, wanted)

    async with pool.transaction() as conn:
        lock = "SELECT FROM events.webhook_cursor WHERE webhook_id = $1 FOR UPDATE"
        await conn.raw.execute(lock, webhook.id)
        changing = asyncio.create_task(change())
        await until_blocked(pool)
        await post.step.record(conn, bucket, [(window, outcome)])
    changed = await changing
    assert (changed.state, changed.stopped_why, changed.kinds) == ("off", "gone", ["paid"])
    # Another address wakes a webhook that is on; this one stays off.
    parked = "SELECT due_at = 'infinity' FROM events.webhook_cursor WHERE webhook_id = $1"
    assert await value(pool, parked, webhook.id)


async def claimed(conn: Connection, post: Post, service: str, limit: int, most: int) -> list[int]:
    """How often each of the claimed webhooks had failed."""
    windows = await claim_windows(conn, post.secrets, conn.bucket(service), limit, most)
    return sorted(window.failures for window in windows)


async def test_of_those_that_failed_only_some_are_claimed_at_a_time(
    pool: Pool, world: World, post: Post
) -> None:
    for _ in range(4):
        await post.create(world.anna)
    await execute(pool, "UPDATE events.webhook_cursor SET failures = 1")
    for _ in range(2):
        await post.create(world.anna)
    await tell(pool, world.anna.id, "accepted")
    async with pool.transaction() as conn:
        assert await claimed(conn, post, world.anna.id, 6, 2) == [0, 0, 1, 1]
        assert await claimed(conn, post, world.anna.id, 6, 0) == []
        assert await claimed(conn, post, world.anna.id, 1, 6) == [1]


async def test_servers_that_hang_take_half_of_the_places_at_most(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    hanging = [(await post.create(world.anna)).id for _ in range(5)]
    await execute(pool, "UPDATE events.webhook_cursor SET failures = 1")
    receiver.answer = lambda _: HANG
    await tell(pool, world.anna.id, "accepted")
    bucket = pool.bucket(world.anna.id)
    step = hand_on.step(post.outbound, post.secrets, post.tell_stopped, record, QUICK, at_once=4)
    async with pool.transaction() as conn:
        first = await step.claim(conn, bucket, 4)
    assert len(first) == 2
    sending = [asyncio.ensure_future(step.send(window)) for window in first]
    await asyncio.wait_for(receiver.arrived.wait(), 5)
    quick = await post.create(world.anna)
    await tell(pool, world.anna.id, "accepted")
    async with pool.transaction() as conn:
        second = await step.claim(conn, bucket, 2)
    assert [window.webhook_id for window in second] == [quick.id]
    await asyncio.gather(*sending)
    async with pool.transaction() as conn:
        third = await step.claim(conn, bucket, 4)
    assert {window.webhook_id for window in (*first, *third)} < set(hanging)
    assert len(third) == 2


async def test_webhooks_of_a_suspended_service_take_no_place(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    def answer(seen: Seen) -> bytes:
        return OK if seen.data["service_id"] == world.secure.id else status(500)

    receiver.answer = answer
    webhook = await post.create(world.anna)
    before = await post.cursor(webhook)
    await tell(pool, world.anna.id, "accepted")
    suspend = "UPDATE services.service SET suspended_at = $2 WHERE id = $1"
    await execute(pool, suspend, world.anna.id, before["due_at"])
    assert await post.round() == 0
    assert await post.cursor(webhook) == before
    await execute(pool, suspend, world.anna.id, None)
    assert len(await rows(pool, "SELECT FROM events.webhook WHERE state = 'on'")) == 1
