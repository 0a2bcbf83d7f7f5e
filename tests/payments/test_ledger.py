"""The ledger on its tables: what is entered, who is told, and what comes before its message."""

import asyncio
from datetime import timedelta

import pytest

from messo.base import clock, work
from messo.base.db import Pool
from messo.payments import Notice, ledger, upkeep, watch
from messo.payments.ledger import PAID
from tests.messages.mail import Mail
from tests.payments.cases import (
    execute,
    fresh,
    items,
    known,
    payment,
    record,
    record_paid,
    rows,
    said,
    send,
    sweep_of,
    until_one_waits,
)
from tests.world import ACTIVATED, AUTO, LEGACY, World

PLAN = "reminders.plan"


async def test_what_a_message_says_stands_until_the_node_says_otherwise(
    pool: Pool, world: World, mail: Mail
) -> None:
    notice = fresh()
    # 23:30 UTC is the next day in Rome.
    await send(mail, world.anna, notice, amount=500, due_date="2030-01-31T23:30:00.000Z")
    found = await known(pool, notice)
    assert found is not None
    assert (found.state, found.source, found.code, found.amount) == ("unknown", "message", "", 500)
    assert str(found.due_date) == "2030-02-01"
    # A second message with the same notice: the later counts, and a day once named stays.
    await send(mail, world.anna, notice, amount=700)
    found = await known(pool, notice)
    assert found is not None
    assert (found.amount, str(found.due_date)) == (700, "2030-02-01")
    await record(pool, said(notice, "unpaid", amount=900))
    await send(mail, world.anna, notice, amount=100, due_date="2030-05-05T10:00:00.000Z")
    found = await known(pool, notice)
    assert found is not None
    assert (found.amount, str(found.due_date), found.source) == (900, "2030-02-01", "node")


async def test_the_same_entered_again_changes_nothing_and_queues_nothing(
    pool: Pool, world: World, mail: Mail
) -> None:
    notice = fresh()
    message = await send(mail, world.anna, notice)
    seen = said(notice, "unpaid", amount=5)
    first = await record(pool, seen)
    assert first[notice].state == "unpaid"
    await mail.settle()
    assert await record(pool, seen) == first
    assert await items(pool, PLAN, [message]) == []


async def test_several_notices_are_entered_at_once_and_missing_ones_left_out(
    pool: Pool, world: World, mail: Mail
) -> None:
    there, missing = [fresh() for _ in range(12)], fresh()
    for notice in there:
        await mail.post(world.anna, AUTO, "ADVANCED", payment_data=payment(notice))
    await mail.settle()
    async with pool.connection() as conn:
        assert conn.buckets == 1 or len({conn.bucket(one.rpt_id) for one in there}) > 1
    found = await record(pool, *(said(one, "expired") for one in [*there, missing]))
    assert set(found) == set(there)
    assert {one.state for one in found.values()} == {"expired"}
    assert await known(pool, missing) is None
    assert await record(pool, said(missing, "paid")) == {}
    assert await record(pool) == {}


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
async def test_of_two_things_seen_at_once_neither_is_lost(
    pool: Pool, world: World, mail: Mail, order: list[int]
) -> None:
    notice = fresh()
    await send(mail, world.anna, notice)
    both = [said(notice, "paid"), said(notice, None, code="timeout")]
    found = await record(pool, *(both[place] for place in order))
    assert found[notice].state == "paid"


async def test_two_transactions_on_one_notice_wait_for_each_other(
    pool: Pool, world: World, mail: Mail
) -> None:
    """Whoever comes second decides on what the first has written."""
    notice = fresh()
    await send(mail, world.anna, notice)
    async with pool.transaction() as conn:
        await ledger.record_paid(conn, [said(notice, "paid", "event", receipt="R")])
        late = said(notice, "unpaid", amount=1, at=clock.now() + timedelta(minutes=1))
        second = asyncio.create_task(record(pool, late))
        await until_one_waits(pool, second)
    found = (await second)[notice]
    assert (found.state, found.receipt, found.source) == ("paid", "R", "event")
    assert (await known(pool, notice)) == found


async def test_batches_in_opposite_orders_do_not_block_each_other(
    pool: Pool, world: World, mail: Mail
) -> None:
    there = [fresh() for _ in range(20)]
    for notice in there:
        await mail.post(world.anna, AUTO, "ADVANCED", payment_data=payment(notice))
    await mail.settle()
    forth = [said(one, "unpaid") for one in there]
    back = [said(one, "paid", "event") for one in reversed(there)]
    for _ in range(10):
        await asyncio.gather(
            record(pool, *forth), record_paid(pool, *back), record(pool, *reversed(forth))
        )
    async with pool.connection() as conn:
        found = await ledger.read(conn, there)
    assert {one.state for one in found.values()} == {"paid"}


async def test_a_payment_tells_each_message_once_and_plans_reminders_anew(
    pool: Pool, world: World, mail: Mail
) -> None:
    """Several messages to several citizens carry the notice; another notice's message does not."""
    notice, other = fresh(), fresh()
    messages = [await send(mail, world.anna, notice, to) for to in (AUTO, LEGACY, AUTO)]
    bystander = await send(mail, world.anna, other)
    await record(pool, said(notice, "unpaid", amount=5), said(other, "unpaid"))
    assert await items(pool, PAID, [*messages, bystander]) == []
    assert await items(pool, PLAN, messages) == sorted(messages)
    await mail.settle()
    assert await record_paid(pool, said(notice, "paid", "event")) == 1
    assert await items(pool, PAID, [*messages, bystander]) == sorted(messages)
    assert await items(pool, PLAN, [*messages, bystander]) == sorted(messages)
    await mail.settle()
    assert await record_paid(pool, said(notice, "paid", "event")) == 0
    await record(pool, said(notice, "paid"), said(notice, "unpaid"))
    for step in (PAID, PLAN):
        assert await items(pool, step, messages) == []


async def test_reminders_are_planned_anew_only_for_another_state_or_day(
    pool: Pool, world: World, mail: Mail
) -> None:
    notice = fresh()
    message = await send(mail, world.anna, notice, due_date="2030-01-31T11:00:00.000Z")
    day = clock.now().date().replace(year=2031)
    for seen, is_planned in [
        (said(notice, None, code="timeout"), False),
        (said(notice, "unknown"), False),
        (said(notice, "unpaid", amount=5), True),
        (said(notice, "unpaid", amount=6, payee_name="Comune", reason="IMU"), False),
        (said(notice, "unpaid", due_date=day), True),
        (said(notice, "unpaid", due_date=day), False),
        (said(notice, "unknown"), False),
        (said(notice, "in_progress"), True),
        (said(notice, None), False),
        (said(notice, "expired"), True),
    ]:
        await record(pool, seen)
        assert await items(pool, PLAN, [message]) == [message] * is_planned, seen
        assert await items(pool, PAID, [message]) == []
        await mail.settle()


async def test_a_payment_before_its_message_is_known_when_the_message_comes(
    pool: Pool, world: World, mail: Mail
) -> None:
    notice = fresh()
    paid_at = clock.now() - timedelta(hours=3)
    seen = said(notice, "paid", "event", code="E7", paid_at=paid_at, receipt="R7")
    assert await record_paid(pool, seen) == 1
    assert await record_paid(pool, seen) == 0
    assert (await sweep_of(pool, notice)) is not None  # when it is forgotten, if none comes
    message = await send(mail, world.anna, notice, due_date="2030-01-31T11:00:00.000Z")
    found = await known(pool, notice)
    assert found is not None
    assert (found.state, found.source, found.code, found.receipt) == ("paid", "event", "E7", "R7")
    assert (found.paid_at, found.amount) == (paid_at, 12_345)
    assert await sweep_of(pool, notice) is None
    answer = await mail.running.client.get(
        f"/api/v1/messages/{AUTO}/{message}", headers=world.anna.headers
    )
    assert answer.json()["payment_status"] == "PAID"
    life = await mail.running.client.get(
        f"/messo/v1/messages/{message}", headers=world.anna.headers
    )
    assert [event["kind"] for event in life.json()["events"]].count("paid") == 1


async def test_a_payment_for_which_no_message_comes_is_forgotten_after_30_days(
    pool: Pool, world: World, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    unclaimed, claimed, asked = fresh(), fresh(), fresh()
    await record_paid(pool, *(said(one, "paid", "event") for one in (unclaimed, claimed, asked)))
    await send(mail, world.anna, claimed)
    # Somebody scanned the paper notice meanwhile: that is no message.
    await record(pool, said(asked, "paid"))
    now = clock.now()

    async def left(days: float) -> set[Notice]:
        monkeypatch.setattr(clock, "now", lambda: now + timedelta(days=days))
        async with pool.transaction() as conn:
            assert await upkeep.forget_old(conn) is False
        return {one for one in (unclaimed, claimed, asked) if await known(pool, one)}

    assert await left(29.9) == {unclaimed, claimed, asked}
    assert await left(30.1) == {claimed}
    assert await left(300) == {claimed}


async def test_a_message_entered_again_changes_nothing(
    pool: Pool, world: World, mail: Mail
) -> None:
    """A worker was killed after its transaction and before it knew."""
    notice = fresh()
    message = await send(mail, world.anna, notice, ACTIVATED)
    await record(pool, said(notice, "unpaid", amount=9))
    await mail.settle()
    before = await known(pool, notice), await sweep_of(pool, notice)
    carriers = "SELECT * FROM payments.carrier WHERE message_id = $1"
    (carried,) = await rows(pool, carriers, message)
    for _ in range(2):
        async with pool.transaction() as conn:
            await watch.watch(conn, conn.bucket(ACTIVATED), [message])
    assert (await known(pool, notice), await sweep_of(pool, notice)) == before
    assert await rows(pool, carriers, message) == [carried]
    assert await items(pool, PAID, [message]) == []


async def test_a_worker_killed_between_two_steps_loses_nothing(
    pool: Pool, world: World, mail: Mail
) -> None:
    """Entering rolls back whole: notice, carrier and what follows, and the item is there again."""
    notice = fresh()
    await record_paid(pool, said(notice, "paid", "event"))
    message = await send(mail, world.anna, notice)
    await execute(pool, "DELETE FROM payments.carrier WHERE message_id = $1", message)
    await execute(pool, "DELETE FROM payments.notice WHERE number = $1", notice.number)
    async with pool.transaction() as conn:
        bucket = conn.bucket(AUTO)
        await work.queue(conn, bucket, watch.WATCH, [message], [0], clock.now())

    async def killed() -> None:
        async with pool.transaction() as conn:
            await watch.watch(conn, bucket, [message])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await killed()
    assert await known(pool, notice) is None
    await mail.settle()
    assert await known(pool, notice) is not None
    assert len(await rows(pool, "SELECT FROM payments.carrier WHERE message_id = $1", message)) == 1


async def test_two_messages_with_one_notice_decided_together_are_both_carriers(
    pool: Pool, world: World, mail: Mail
) -> None:
    notice = fresh()
    first = await mail.post(world.anna, AUTO, "ADVANCED", payment_data=payment(notice, 100))
    second = await mail.post(world.anna, AUTO, "ADVANCED", payment_data=payment(notice, 200))
    await mail.settle()
    found = await known(pool, notice)
    assert found is not None
    assert found.amount == 200
    sql = "SELECT message_id FROM payments.carrier WHERE number = $1 ORDER BY message_id"
    carriers = [row["message_id"] for row in await rows(pool, sql, notice.number)]
    assert carriers == sorted([first, second])


async def test_a_payment_while_the_message_is_being_entered_reaches_it(
    pool: Pool, world: World, mail: Mail
) -> None:
    """The event waits for the message's transaction, and then finds it."""
    notice = fresh()
    message = await mail.send(world.anna, AUTO, "ADVANCED", payment_data=payment(notice))
    await execute(pool, "DELETE FROM payments.carrier WHERE message_id = $1", message)
    async with pool.transaction() as conn:
        await watch.watch(conn, conn.bucket(AUTO), [message])
        event = asyncio.create_task(record_paid(pool, said(notice, "paid", "event")))
        await until_one_waits(pool, event)
    assert await event == 1
    assert await items(pool, PAID, [message]) == [message]
    assert await sweep_of(pool, notice) is None
