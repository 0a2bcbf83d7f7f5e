"""Handing on: every event at least once, each message's in order, and no row for what went well."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

from messo import events
from messo.base import clock
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.base.outward import Sending
from messo.events import publish
from messo.events.claim import claim_windows
from messo.events.window import SIDE_BY_SIDE
from messo.recipients.preferences import Preference, put_preferences
from tests.events.receiver import OK, Receiver, Seen, status
from tests.events.told import Post, execute, happen, publish_all, rows, tell, value
from tests.world import AUTO, World


async def test_events_arrive_signed_in_order_and_leave_no_row(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    await tell(pool, world.anna.id, "accepted")  # before there is a webhook: nobody is told
    webhook = await post.create(world.anna)
    ids = await tell(pool, world.anna.id, "accepted", "processed", "notified", messages=20)
    await post.settle()
    for message in ids:
        assert receiver.kinds_of(message) == ["accepted", "processed", "notified"]
    assert len(receiver.seen) == 60
    assert all(one.signers == [0] for one in receiver.seen)
    assert await post.retries(webhook) == []
    cursor = await post.cursor(webhook)
    last = "SELECT last FROM events.counter WHERE service_id = $1"
    assert cursor["position"] == await value(pool, last, world.anna.id)
    assert (cursor["failures"], cursor["failing_since"]) == (0, None)
    known = await rows(pool, "SELECT id FROM events.published WHERE message_id = ANY($1)", ids)
    assert {one.id for one in receiver.seen} == {row["id"] for row in known}
    assert 1 < receiver.most_under_way <= SIDE_BY_SIDE


async def test_the_body_says_what_happened_and_nothing_about_the_person(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    await post.create(world.anna)
    (message,) = await tell(pool, world.anna.id, "notified")
    await post.settle()
    (seen,) = receiver.seen
    assert seen.type == "message.notified"
    assert seen.data == {
        "message_id": message,
        "service_id": world.anna.id,
        "channel": "email",
    }
    assert b" " not in seen.body


async def test_only_the_kinds_that_were_asked_for_and_only_of_the_service(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    webhook = await post.create(world.anna, ["rejected", "paid"])
    await tell(pool, world.bruno.id, "rejected")
    await tell(pool, world.anna.id, "accepted", "reported", messages=3)
    (message,) = await tell(pool, world.anna.id, "accepted", "rejected")
    await post.settle()
    assert [(one.message, one.kind) for one in receiver.seen] == [(message, "rejected")]
    before = await post.cursor(webhook)
    assert await post.round() == 0  # what is up to date costs no write
    assert await post.cursor(webhook) == before


async def test_several_webhooks_of_a_service_each_get_everything(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    await post.create(world.anna)
    await post.create(world.anna)
    await tell(pool, world.anna.id, "accepted", messages=3)
    await post.settle()
    assert sorted(one.signers for one in receiver.seen) == [[0]] * 3 + [[1]] * 3


async def test_while_one_event_fails_the_later_ones_of_its_message_wait(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    webhook = await post.create(world.anna)
    good, bad = await tell(pool, world.anna.id, "accepted", "processed", messages=2)
    receiver.answer = lambda seen: status(400) if seen.message == bad else OK
    await post.settle()
    assert receiver.kinds_of(good) == ["accepted", "processed"]
    assert receiver.kinds_of(bad) == ["accepted"]
    waiting = await post.retries(webhook)
    assert [(row["message_id"], row["kind"], row["attempts"]) for row in waiting] == [
        (bad, "accepted", 1),
        (bad, "processed", 0),
    ]
    # What happens to it meanwhile stands behind; others go on at once.
    await happen(pool, world.anna.id, (bad, "read"), (bad, "notified"), (good, "notified"))
    await publish_all(pool)
    await post.settle()
    assert receiver.kinds_of(good) == ["accepted", "processed", "notified"]
    assert receiver.kinds_of(bad) == ["accepted"]
    receiver.answer = lambda _: OK
    await post.later(seconds=10)
    await post.settle()
    got = receiver.kinds_of(bad)
    assert got[:3] == ["accepted", "accepted", "processed"]
    assert set(got[3:]) == {"notified"}  # nobody lets this sender know of the reading
    assert len({one.id for one in receiver.seen if one.message == bad}) == 3
    assert await post.retries(webhook) == []


async def test_what_a_killed_worker_had_sent_comes_again_under_the_same_id(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    webhook = await post.create(world.anna)
    await tell(pool, world.anna.id, "accepted", messages=5)

    async def nothing(*_: Any) -> None: ...

    await Sending(replace(post.step, record=nothing), pool, pool.buckets).once()
    first = sorted(one.id for one in receiver.seen)
    assert len(first) == 5
    assert await post.round() == 0, "the lease holds"
    assert await post.retries(webhook) == []
    await execute(pool, "UPDATE events.webhook_cursor SET due_at = $1", clock.now())
    await post.settle()
    assert sorted(one.id for one in receiver.seen) == sorted(first * 2)
    assert (await post.cursor(webhook))["position"] >= 5


async def test_a_worker_that_was_too_slow_does_not_undo_the_work_of_another(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    webhook = await post.create(world.anna)
    await tell(pool, world.anna.id, "accepted")
    bucket = pool.bucket(world.anna.id)
    async with pool.transaction() as conn:
        (slow,) = await claim_windows(conn, post.secrets, bucket, 8, 4)
    outcome = await post.step.send(slow)
    await execute(pool, "UPDATE events.webhook_cursor SET due_at = $1", clock.now())
    await tell(pool, world.anna.id, "accepted")
    await post.settle()
    after = await post.cursor(webhook)
    async with pool.transaction() as conn:
        await post.step.record(conn, bucket, [(slow, outcome)])
    assert await post.cursor(webhook) == after


async def test_two_workers_share_the_webhooks(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    for who in (world.anna, world.secure, world.draft):
        await post.create(who)
        await tell(pool, who.id, "accepted", messages=10)
    await asyncio.gather(*(post.settle() for _ in range(3)))
    await post.settle()
    assert len(receiver.seen) == 30
    assert len({one.id for one in receiver.seen}) == 30


async def test_a_backlog_longer_than_a_window_is_worked_off(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    await post.create(world.anna, ["accepted"])
    ids = [new_id() for _ in range(250)]
    async with pool.transaction() as conn:
        kinds, services = ["accepted"] * 250, [world.anna.id] * 250
        await events.append(conn, pool.bucket("x"), kinds, ids, services, clock.now())
        reports = ["reported"] * 250
        await events.append(conn, pool.bucket("x"), reports, ids, services, clock.now())
    await publish_all(pool)
    await post.settle()
    assert sorted(one.message for one in receiver.seen) == sorted(ids)


async def test_reading_is_asked_again_just_before_it_is_told(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    webhook = await post.create(world.anna, ["read"])
    messages = [new_id() for _ in range(2)]
    await execute(
        pool,
        "INSERT INTO messages.message (bucket, id, fiscal_code, service_id, sender_id, status, "
        "feature_level_type, require_secure_channels, time_to_live, created_at) "
        "SELECT $1, unnest($2::text[]), $3, $4, 1, 'PROCESSED', 'ADVANCED', false, 3600, now()",
        pool.bucket(AUTO),
        messages,
        AUTO,
        world.anna.id,
    )
    receiver.answer = lambda _: status(400)
    await happen(pool, world.anna.id, (messages[0], "read"))
    await publish_all(pool)
    await post.settle()
    assert [one.message for one in receiver.seen] == [messages[0]]
    assert len(await post.retries(webhook)) == 1
    # The citizen changes their mind: what waits is dropped, what comes is not told.
    async with pool.transaction() as conn:
        await put_preferences(
            conn, [Preference(AUTO, world.anna.id, 0, access_read_message_status="DENY")]
        )
    await happen(pool, world.anna.id, (messages[1], "read"))
    await publish_all(pool)
    await post.later(minutes=1)
    await post.settle()
    assert len(receiver.seen) == 1
    assert await post.retries(webhook) == []
    await execute(pool, "DELETE FROM recipients.preference WHERE service_id = $1", world.anna.id)


async def test_an_erased_citizens_events_are_not_sent_any_more(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    webhook = await post.create(world.anna)
    receiver.answer = lambda _: status(400)
    (message,) = await tell(pool, world.anna.id, "accepted")
    await post.settle()
    assert len(await post.retries(webhook)) == 1
    async with pool.transaction() as conn:
        await events.forget(conn, pool.bucket(message), [message], [world.anna.id])
    assert await value(pool, "SELECT count(*) FROM events.webhook_retry") == 0
    await post.later(hours=1)
    assert await post.round() == 0


async def test_a_row_whose_event_is_gone_goes_too(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    """As when a citizen is erased while an event of theirs is under way, and fails."""
    webhook = await post.create(world.anna)
    receiver.answer = lambda _: status(400)
    (message,) = await tell(pool, world.anna.id, "accepted")
    await post.settle()
    await execute(pool, "DELETE FROM events.published WHERE message_id = $1", message)
    await post.later(minutes=1)
    assert await post.round() == 1
    count = "SELECT count(*) FROM events.webhook_retry WHERE webhook_id = $1"
    assert await value(pool, count, webhook.id) == 0
    assert await post.round() == 0
    assert len(receiver.seen) == 1


async def test_a_suspended_service_is_told_nothing_until_it_is_restored(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    await post.create(world.anna)
    suspend = "UPDATE services.service SET suspended_at = $2 WHERE id = $1"
    await execute(pool, suspend, world.anna.id, clock.now())
    await tell(pool, world.anna.id, "accepted")
    await post.settle()
    assert receiver.seen == []
    await execute(pool, suspend, world.anna.id, None)
    await post.later(minutes=1)
    await post.settle()
    assert len(receiver.seen) == 1


async def test_a_neighbour_that_hangs_holds_up_nobody(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    """Its window takes its time; the other webhook's events are there long before."""

    def answer(seen: Seen) -> bytes:
        return b"hang" if seen.data["service_id"] == world.secure.id else OK

    receiver.answer = answer
    hanging, quick = await post.create(world.secure), await post.create(world.anna)
    await tell(pool, world.secure.id, "accepted", messages=3)
    await tell(pool, world.anna.id, "accepted", messages=30)
    began = clock.now()
    await post.round()
    assert clock.now() - began < timedelta(seconds=5)
    assert (await post.cursor(quick))["success_at"] is not None
    stuck = await post.cursor(hanging)
    assert (stuck["failures"], stuck["last_error"]) == (1, "unreachable: timeout")
    assert sum(one.data["service_id"] == world.anna.id for one in receiver.seen) == 30


async def test_a_new_events_delivery_starts_within_a_second(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    """Both steps as they run in a worker, from idle."""
    await post.create(world.anna)
    stopping = asyncio.Event()
    running = [
        asyncio.create_task(Sending(publish.step(), pool, pool.buckets).run(stopping)),
        asyncio.create_task(Sending(post.step, pool, pool.buckets).run(stopping)),
    ]
    await asyncio.sleep(0)
    began = clock.now()
    await happen(pool, world.anna.id, (new_id(), "accepted"))
    await asyncio.wait_for(receiver.arrived.wait(), 5)
    assert clock.now() - began < timedelta(seconds=1.5)
    stopping.set()
    await asyncio.gather(*running)
