"""Receivers that fail: what is tried again, when it is given up, and when a webhook is switched off."""

from datetime import timedelta
from typing import Any

import pytest

from messo.base import clock
from messo.base.db import Pool
from messo.base.outward import Sending
from messo.base.retry_after import retry_after_s
from messo.events import hand_on, wire
from messo.notifications import Letters
from messo.operations import record
from tests.events.receiver import GARBAGE, HANG, HUGE, OK, RESET, Receiver, status
from tests.events.told import QUICK, Post, publish_all, rows, tell
from tests.world import ACTOR, World

DOWN = {
    "500": (status(500), "status 500"),
    "503": (status(503), "status 503"),
    "429": (status(429), "status 429"),
    "reset": (RESET, "unreachable: reset"),
    "garbage": (GARBAGE, "unreachable: malformed"),
    "hang": (HANG, "unreachable: timeout"),
}
REFUSED = {
    "400": (status(400), "status 400"),
    "404": (status(404), "status 404"),
    "redirect": (status(307, "location: http://127.0.0.1:1/"), "status 307"),
    "huge": (HUGE, "too large: too large"),
}


@pytest.mark.parametrize("way", DOWN)
async def test_a_receiver_that_is_down_makes_no_rows_and_loses_nothing(
    pool: Pool, world: World, post: Post, receiver: Receiver, way: str
) -> None:
    answer, error = DOWN[way]
    webhook = await post.create(world.anna)
    start = (await post.cursor(webhook))["position"]
    ids = await tell(pool, world.anna.id, "accepted", "processed", messages=3)
    receiver.answer = lambda _: answer
    await post.settle()
    cursor = await post.cursor(webhook)
    assert (cursor["position"], cursor["failures"], cursor["last_error"]) == (start, 1, error)
    assert cursor["failing_since"] == cursor["failure_at"]
    assert cursor["due_at"] > clock.now() + timedelta(seconds=2)
    assert await post.retries(webhook) == []
    receiver.answer = lambda _: OK
    receiver.seen.clear()
    await post.later(seconds=10)
    await post.settle()
    assert all(receiver.kinds_of(one) == ["accepted", "processed"] for one in ids)
    cursor = await post.cursor(webhook)
    assert (cursor["failures"], cursor["failing_since"]) == (0, None)
    assert cursor["position"] == start + 6


@pytest.mark.parametrize("way", REFUSED)
async def test_a_refused_event_is_tried_again_alone_and_the_others_go_on(
    pool: Pool, world: World, post: Post, receiver: Receiver, way: str
) -> None:
    answer, error = REFUSED[way]
    webhook = await post.create(world.anna)
    bad, good = await tell(pool, world.anna.id, "accepted", messages=2)
    receiver.answer = lambda seen: answer if seen.message == bad else OK
    await post.settle()
    (row,) = await post.retries(webhook)
    assert (row["message_id"], row["attempts"], row["last_error"]) == (bad, 1, error)
    await post.later(seconds=10)
    await post.settle()
    (row,) = await post.retries(webhook)
    assert row["attempts"] == 2
    assert row["due_at"] > clock.now() + timedelta(seconds=5)
    assert receiver.kinds_of(good) == ["accepted"]
    assert receiver.kinds_of(bad) == ["accepted"] * 2
    assert len({one.id for one in receiver.seen if one.message == bad}) == 1
    receiver.answer = lambda _: OK
    await post.later(seconds=20)
    await post.settle()
    assert await post.retries(webhook) == []


async def test_an_address_that_refuses_everything_makes_no_rows(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    webhook = await post.create(world.anna)
    await tell(pool, world.anna.id, "accepted", messages=30)
    receiver.answer = lambda _: status(404)
    await post.settle()
    assert await post.retries(webhook) == []
    assert (await post.cursor(webhook))["failures"] == 1
    assert len(receiver.seen) <= 16  # there is no use in asking on


async def test_a_port_where_nobody_listens_is_down(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    receiver.port, port = 1, receiver.port
    webhook = await post.create(world.anna)
    receiver.port = port
    await tell(pool, world.anna.id, "accepted")
    await post.settle()
    cursor = await post.cursor(webhook)
    assert (cursor["failures"], cursor["last_error"]) == (1, "unreachable: refused")


async def test_retry_after_is_honoured_up_to_an_hour(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    webhook = await post.create(world.anna)
    for asked, least, most in (("120", 110, 130), ("999999", 3590, 3610), ("soon", 2, 8)):
        await tell(pool, world.anna.id, "accepted")
        headers = f"retry-after: {asked}"
        receiver.answer = lambda _, headers=headers: status(429, headers)  # type: ignore[misc]
        await post.settle()
        wait = ((await post.cursor(webhook))["due_at"] - clock.now()).total_seconds()
        assert least < wait < most, asked
        receiver.answer = lambda _: OK
        await post.later(hours=2)
        await post.settle()
    assert await post.retries(webhook) == []


def test_a_retry_after_is_seconds_or_a_date() -> None:
    now = clock.now().replace(year=2030, month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    assert retry_after_s(None, now) is None
    assert retry_after_s("30", now) == 30
    assert retry_after_s("Tue, 01 Jan 2030 00:01:00 GMT", now) == 60
    assert retry_after_s("Tue, 01 Jan 2030 00:01:00 -0000", now) == 60
    assert retry_after_s("Tue, 01 Jan 2019 00:01:00 GMT", now) == 0
    for wrong in ("", "-5", "1.5", "NaN", "٣", "Thu, 99 Jan 2030 00:00:00 GMT", "x" * 1000):
        assert retry_after_s(wrong, now) is None, wrong


async def test_an_event_that_fails_for_three_days_is_a_dead_letter(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    webhook = await post.create(world.anna)
    bad, good = await tell(pool, world.anna.id, "accepted", "processed", messages=2)
    receiver.answer = lambda seen: status(422) if seen.message == bad else OK
    await post.settle()
    await post.later(days=3, minutes=-1)
    await post.settle()
    head, _ = await post.retries(webhook)
    assert head["dead_at"] is None
    await post.later(hours=2)
    await post.settle()
    head, behind = await post.retries(webhook)
    assert (head["kind"], head["last_error"], head["attempts"]) == ("accepted", "status 422", 3)
    assert head["dead_at"] is not None
    # The next one of its message has its turn, and is given up in the same way.
    assert behind["attempts"] == 1
    await post.later(days=3, hours=1)
    await post.settle()
    assert all(row["dead_at"] is not None for row in await post.retries(webhook))
    assert receiver.kinds_of(good) == ["accepted", "processed"]
    count = len(receiver.seen)
    await post.later(days=1)
    assert await post.round() == 0
    assert len(receiver.seen) == count


async def test_while_it_does_not_answer_nothing_is_given_up(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    webhook = await post.create(world.anna)
    start = (await post.cursor(webhook))["position"]
    receiver.answer = lambda _: status(500)
    old = await tell(pool, world.anna.id, "accepted", messages=3)
    await post.settle()
    await post.failing_all_the_time(days=4, hours=1)
    fresh = await tell(pool, world.anna.id, "accepted")
    await post.settle()
    assert await post.retries(webhook) == []
    cursor = await post.cursor(webhook)
    assert (cursor["position"], cursor["failures"]) == (start, 2)
    receiver.answer = lambda _: OK
    receiver.seen.clear()
    await post.later(hours=1)
    await post.settle()
    assert sorted(one.message for one in receiver.seen) == sorted(old + fresh)


async def state_of(pool: Pool, webhook: wire.Webhook) -> dict[str, Any]:
    return (await rows(pool, "SELECT * FROM events.webhook WHERE id = $1", webhook.id))[0]


@pytest.mark.parametrize("code", [500, 404])
async def test_after_five_days_of_failures_it_is_switched_off_and_the_institution_is_told(
    pool: Pool, world: World, post: Post, receiver: Receiver, code: int
) -> None:
    webhook = await post.create(world.anna)
    receiver.answer = lambda _: status(code)
    await tell(pool, world.anna.id, "accepted")
    await post.settle()
    await post.failing_all_the_time(days=5, minutes=-1)
    await tell(pool, world.anna.id, "accepted")
    await post.settle()
    assert (await state_of(pool, webhook))["state"] == "on"
    assert post.stopped == []
    since = (await post.cursor(webhook))["failing_since"]
    await post.later(hours=2)
    await tell(pool, world.anna.id, "accepted")
    await post.settle()
    found = await state_of(pool, webhook)
    assert (found["state"], found["stopped_why"]) == ("off", "failing")
    assert found["stopped_at"] is not None
    assert post.stopped == [
        (world.anna.institution, "anna@example.org", "127.0.0.1", since - timedelta(hours=2))
    ]
    await tell(pool, world.anna.id, "accepted")
    await post.later(days=1)
    count = len(receiver.seen)
    assert await post.round() == 0
    assert len(receiver.seen) == count


async def test_one_success_within_five_days_keeps_it_on(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    webhook = await post.create(world.anna)
    receiver.answer = lambda _: status(500)
    await tell(pool, world.anna.id, "accepted")
    await post.settle()
    await post.later(days=2)
    receiver.answer = lambda _: OK
    await post.settle()
    receiver.answer = lambda _: status(500)
    await tell(pool, world.anna.id, "accepted")
    await post.settle()
    await post.failing_all_the_time(days=4)
    await post.settle()
    assert (await state_of(pool, webhook))["state"] == "on"
    assert post.stopped == []


async def test_two_failures_five_days_apart_are_no_series(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    """As of a sender with an event a week, whose server was restarted twice in the wrong moment."""
    webhook = await post.create(world.anna)
    receiver.answer = lambda _: status(502)
    await tell(pool, world.anna.id, "accepted")
    await post.settle()
    await post.later(days=5, hours=1)
    await tell(pool, world.anna.id, "accepted")
    await post.settle()
    assert (await state_of(pool, webhook))["state"] == "on"
    assert (await post.cursor(webhook))["failing_since"] > clock.now() - timedelta(minutes=1)


async def test_gone_switches_off_at_once(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    webhook = await post.create(world.anna)
    receiver.answer = lambda _: status(410)
    ids = await tell(pool, world.anna.id, "accepted", messages=20)
    await post.settle()
    found = await state_of(pool, webhook)
    assert (found["state"], found["stopped_why"]) == ("off", "gone")
    assert len(post.stopped) == 1
    assert len(receiver.seen) <= 8
    # Switched on again, it goes on where it stood.
    receiver.answer = lambda _: OK
    receiver.seen.clear()
    async with pool.transaction() as conn:
        await post.webhooks.change(conn, "tests", None, webhook.id, wire.WebhookChange(state="on"))
    await post.settle()
    assert sorted(one.message for one in receiver.seen) == sorted(ids)


async def test_the_institution_is_mailed_and_the_log_has_it_in_the_same_transaction(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    letters = Letters(post.secrets, configured=True)
    step = hand_on.step(post.outbound, post.secrets, letters.queue_webhook_stopped, record, QUICK)
    webhook = await post.create(world.anna)
    receiver.answer = lambda _: status(410)
    await tell(pool, world.anna.id, "accepted")
    await Sending(step, pool, pool.buckets).once()
    assert (await state_of(pool, webhook))["state"] == "off"
    queued = await rows(pool, "SELECT kind, fiscal_code FROM notifications.letter")
    assert queued == [{"kind": "webhook_stopped", "fiscal_code": ""}]
    logged = await rows(
        pool, "SELECT actor, action, detail FROM operations.audit WHERE subject = $1", webhook.id
    )
    assert [(one["actor"], one["action"]) for one in logged] == [
        (ACTOR, "webhook.create"),
        ("worker", "webhook.stop"),
    ]
    assert logged[1]["detail"] == '{"why": "gone"}'


async def test_a_private_address_is_never_called(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    """It was allowed when the webhook was made, and the operator has changed that since."""
    webhook = await post.create(world.anna)
    post.outbound._allowed = ()
    await tell(pool, world.anna.id, "accepted")
    await publish_all(pool)
    await post.settle()
    assert receiver.seen == []
    assert "forbidden" in str((await post.cursor(webhook))["last_error"])
