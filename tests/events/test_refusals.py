"""A receiver that refuses some events gets all others, and is judged by the new ones."""

from datetime import timedelta

from messo import events
from messo.base import clock
from messo.base.db import Pool
from messo.events import replay, wire
from messo.events.claim import claim_windows
from tests.events.receiver import OK, Receiver, status
from tests.events.told import Post, happen, publish_all, rows, tell, value
from tests.world import World


async def change(pool: Pool, post: Post, webhook: wire.Webhook, wanted: wire.WebhookChange) -> None:
    async with pool.transaction() as conn:
        await post.webhooks.change(conn, "tests", None, webhook.id, wanted)


async def state_of(pool: Pool, webhook: wire.Webhook) -> str:
    return str(await value(pool, "SELECT state FROM events.webhook WHERE id = $1", webhook.id))


async def test_a_kind_that_is_refused_holds_up_no_other(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    webhook = await post.create(world.anna)
    receiver.answer = lambda seen: status(400) if seen.kind == "notified" else OK
    await tell(pool, world.anna.id, "accepted", "notified", messages=40)
    await post.settle()
    for n in range(4):
        await post.later(seconds=30 * 2**n)
        fresh = await tell(pool, world.anna.id, "accepted", messages=5)
        await post.round()
        assert all(receiver.kinds_of(message) == ["accepted"] for message in fresh), n
        cursor = await post.cursor(webhook)
        assert (cursor["failures"], cursor["failing_since"]) == (0, None)
        await post.settle()
        assert {row["attempts"] for row in await post.retries(webhook)} == {n + 2}


async def test_an_event_that_meets_an_error_again_does_not_pause_the_webhook(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    webhook = await post.create(world.anna)
    bad, _ = await tell(pool, world.anna.id, "accepted", messages=2)
    receiver.answer = lambda seen: status(500) if seen.message == bad else OK
    await post.settle()
    for n in range(3):
        await post.later(minutes=1 + n)
        await post.settle()
        cursor = await post.cursor(webhook)
        assert (cursor["failures"], cursor["due_at"] <= clock.now()) == (0, True)
        assert [row["attempts"] for row in await post.retries(webhook)] == [n + 2]
    (fresh,) = await tell(pool, world.anna.id, "accepted")
    await post.settle()
    assert receiver.kinds_of(fresh) == ["accepted"]


async def test_what_is_tried_again_waits_longer_each_time_while_the_address_is_down(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    """The cursor stands still; the rows that are there already are counted on."""
    webhook = await post.create(world.anna)
    bad, _ = await tell(pool, world.anna.id, "accepted", messages=2)
    receiver.answer = lambda seen: status(400) if seen.message == bad else OK
    await post.settle()
    receiver.answer = lambda _: status(503)
    await tell(pool, world.anna.id, "accepted")
    await post.later(minutes=1)
    await post.settle()
    (row,) = await post.retries(webhook)
    assert (row["attempts"], row["last_error"]) == (2, "status 503")
    assert row["due_at"] > clock.now()
    assert (await post.cursor(webhook))["failures"] == 1


async def test_one_message_that_is_refused_switches_nothing_off(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    """A week in which nothing else happens: its events are given up one after the other."""
    webhook = await post.create(world.anna)
    receiver.answer = lambda _: status(422)
    await tell(pool, world.anna.id, "accepted", "processed", "notified")
    await post.settle()
    for _ in range(3):
        await post.failing_all_the_time(days=3, hours=1)
        await post.settle()
        assert await state_of(pool, webhook) == "on"
    assert all(row["dead_at"] is not None for row in await post.retries(webhook))
    assert post.stopped == []


async def test_what_stands_behind_is_not_due_before_its_turn(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    """So that a look for what is due does not meet the others, however many they are."""
    webhook = await post.create(world.anna)
    (bad,) = await tell(pool, world.anna.id, "accepted", "processed")
    receiver.answer = lambda seen: status(400) if seen.message == bad else OK
    await post.settle()
    await happen(pool, world.anna.id, (bad, "notified"))
    await publish_all(pool)
    await post.settle()
    due = (
        "SELECT array_agg(due_at = 'infinity' ORDER BY position) "
        "FROM events.webhook_retry WHERE webhook_id = $1 AND dead_at IS NULL"
    )
    assert await value(pool, due, webhook.id) == [False, True, True]
    # Its turn comes when the one before is given up, and its three days begin then.
    await post.later(days=3, hours=1)
    await post.settle()
    head, second, _ = await post.retries(webhook)
    assert head["dead_at"] is not None
    assert (second["kind"], second["attempts"], second["dead_at"]) == ("processed", 1, None)
    assert second["since"] > clock.now() - timedelta(minutes=1)
    assert await value(pool, due, webhook.id) == [False, True]
    # And when it is taken.
    receiver.answer = lambda _: OK
    await post.later(minutes=1)
    await post.settle()
    assert receiver.kinds_of(bad)[-2:] == ["processed", "notified"]
    assert [row["position"] for row in await post.retries(webhook)] == [head["position"]]


async def test_what_stands_behind_an_event_that_is_erased_meanwhile_waits_for_nobody(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    webhook = await post.create(world.anna)
    receiver.answer = lambda _: status(400)
    (bad,) = await tell(pool, world.anna.id, "accepted")
    await post.settle()
    await happen(pool, world.anna.id, (bad, "processed"))
    await publish_all(pool)
    bucket = pool.bucket(world.anna.id)
    async with pool.transaction() as conn:
        (window,) = await claim_windows(conn, post.secrets, bucket, 8, 4)
        assert len(window.behind) == 1
    async with pool.transaction() as conn:
        await events.forget(conn, pool.bucket(bad), [bad], [world.anna.id])
    outcome = await post.step.send(window)
    async with pool.transaction() as conn:
        await post.step.record(conn, bucket, [(window, outcome)])
    count = "SELECT count(*) FROM events.webhook_retry WHERE webhook_id = $1"
    assert await value(pool, count, webhook.id) == 1
    await post.settle()
    assert await value(pool, count, webhook.id) == 0
    assert len(receiver.seen) == 1


async def test_a_kind_that_was_taken_off_is_not_tried_again(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    webhook = await post.create(world.anna)
    receiver.answer = lambda seen: status(400) if seen.kind == "notified" else OK
    (message,) = await tell(pool, world.anna.id, "accepted", "notified", "paid")
    await post.settle()
    await change(pool, post, webhook, wire.WebhookChange(kinds=["accepted", "paid"]))
    receiver.answer = lambda _: OK
    receiver.seen.clear()
    await post.later(minutes=1)
    await post.settle()
    assert receiver.kinds_of(message) == ["paid"]
    assert await post.retries(webhook) == []


async def test_what_was_asked_for_by_its_id_is_sent_whatever_its_kind(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    webhook = await post.create(world.anna, ["accepted"])
    (message,) = await tell(pool, world.anna.id, "accepted", "paid")
    await post.settle()
    (paid,) = await rows(
        pool, "SELECT id FROM events.published WHERE message_id = $1 AND kind = 'paid'", message
    )
    async with pool.transaction() as conn:
        row = await post.webhooks.find_locked(conn, None, webhook.id)
        await replay.replay(conn, row, wire.Replay(event_id=paid["id"]))
    receiver.answer = lambda _: status(400)
    await post.settle()
    receiver.answer = lambda _: OK
    await post.later(minutes=1)
    await post.settle()
    assert receiver.kinds_of(message) == ["accepted", "paid", "paid"]
