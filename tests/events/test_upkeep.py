"""What webhooks have not taken is forgotten after thirty days."""

from messo.base.db import Pool
from messo.events.upkeep import forget_old
from tests.events.receiver import OK, Receiver, status
from tests.events.told import Post, execute, tell
from tests.world import World


async def forget(pool: Pool) -> bool:
    async with pool.transaction() as conn:
        return await forget_old(conn)


async def test_dead_letters_are_kept_for_thirty_days(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    webhook = await post.create(world.anna)
    bad = await tell(pool, world.anna.id, "accepted", messages=2)
    receiver.answer = lambda seen: status(400) if seen.message in bad else OK
    await post.settle()
    await post.later(days=3, hours=1)
    await post.settle()
    assert [row["dead_at"] is None for row in await post.retries(webhook)] == [False, False]
    await post.later(days=29, hours=23)
    assert not await forget(pool)
    assert len(await post.retries(webhook)) == 2
    await post.later(hours=2)
    assert not await forget(pool)
    assert await post.retries(webhook) == []


async def test_what_waits_for_its_turn_or_a_switched_off_webhook_is_kept(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    """Only what has waited for longer than events are kept is an orphan."""
    webhook = await post.create(world.anna)
    receiver.answer = lambda _: status(400)
    await tell(pool, world.anna.id, "accepted", "processed")
    await post.settle()
    await post.later(days=29)
    await forget(pool)
    assert len(await post.retries(webhook)) == 2
    await post.later(days=2)
    await execute(pool, "DELETE FROM events.webhook_retry WHERE attempts > 0")
    await forget(pool)
    assert await post.retries(webhook) == []
