"""What the sender is told of a notice, whatever the payment node does meanwhile."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from messo.base import clock
from messo.base.db import Pool
from messo.payments import Notice
from messo.payments.ledger import State
from messo.payments.live import SOON_S
from tests.messages.mail import Mail
from tests.payments.cases import execute, fresh, known, payment, record, record_paid, said, send
from tests.payments.node import (
    CANCELLED,
    EXPIRED,
    ONGOING,
    PAID,
    UNKNOWN,
    UNREACHABLE,
    FakeNode,
    Mood,
    Said,
    payable,
)
from tests.world import AUTO, World

BOUND_S = 0.3  # what a node that is not well may add
NOISE_S = 0.3  # of a machine that does other things; without a bound it would be ten seconds


async def read(mail: Mail, world: World, message: str) -> dict[str, Any]:
    answer = await mail.running.client.get(
        f"/api/v1/messages/{AUTO}/{message}", headers=world.anna.headers
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["status"] == "PROCESSED"
    return body


async def timed(mail: Mail, world: World, message: str) -> tuple[dict[str, Any], float]:
    began = time.perf_counter()
    body = await read(mail, world, message)
    return body, time.perf_counter() - began


async def was_unpaid(pool: Pool, notice: Notice) -> None:
    """So the node said an hour ago."""
    await record(pool, said(notice, "unpaid", amount=777))
    await an_hour_passes(pool, notice)


async def an_hour_passes(pool: Pool, notice: Notice) -> None:
    sql = (
        "UPDATE payments.notice SET asked_at = asked_at - interval '1 hour', "
        "observed_at = observed_at - interval '1 hour' WHERE number = $1"
    )
    await execute(pool, sql, notice.number)


async def well_again(mail: Mail, world: World, node: FakeNode) -> None:
    """Fine, and the server knows: no failure of one test is counted in the next."""
    node.recover()
    notice = fresh()
    message = await send(mail, world.anna, notice)
    node.says[notice.rpt_id] = payable(notice.rpt_id)
    assert (await read(mail, world, message))["payment_status"] == "NOT_PAID"


@pytest.mark.parametrize(
    ("answer", "status", "state"),
    [
        (None, "NOT_PAID", "unpaid"),
        (ONGOING, "NOT_PAID", "in_progress"),
        (EXPIRED, "NOT_PAID", "expired"),
        (CANCELLED, "NOT_PAID", "cancelled"),
        (UNKNOWN, "NOT_PAID", "unknown"),
        (PAID, "PAID", "paid"),
        (UNREACHABLE, None, "unknown"),
        (Said(500), None, "unknown"),
        (Said(401), None, "unknown"),
    ],
)
async def test_the_sender_is_told_what_the_node_says_now(
    world: World, mail: Mail, node: FakeNode, answer: Said | None, status: str | None, state: State
) -> None:
    """`payment_status` is as in the contract, and absent as long as nobody has said anything."""
    notice = fresh()
    node.says[notice.rpt_id] = answer or payable(notice.rpt_id, 999)
    message = await send(mail, world.anna, notice)
    before = clock.now().replace(microsecond=0)
    body = await read(mail, world, message)
    assert body.get("payment_status") == status
    assert body["payment"]["state"] == state
    assert body["payment"]["amount"] == (999 if state == "unpaid" else 12_345)
    if status is None:
        assert "observed_at" not in body["payment"]
        assert "source" not in body["payment"]
    else:
        assert body["payment"]["source"] == "node"
        assert datetime.fromisoformat(body["payment"]["observed_at"]) >= before
    if state == "unpaid":
        assert body["payment"]["due_date"] == "2030-01-31"
    assert node.asked[notice.rpt_id] == 1


@pytest.mark.parametrize(
    "state", ["unpaid", "in_progress", "paid", "expired", "cancelled", "unknown"]
)
async def test_what_stands_in_the_ledger_is_what_the_sender_sees(
    pool: Pool, world: World, mail: Mail, node: FakeNode, state: State
) -> None:
    """Seen a moment ago: the node is not asked."""
    notice = fresh()
    message = await send(mail, world.anna, notice)
    await record(pool, said(notice, state, amount=321))
    body = await read(mail, world, message)
    assert body["payment_status"] == ("PAID" if state == "paid" else "NOT_PAID")
    assert (body["payment"]["state"], body["payment"]["amount"]) == (state, 321)
    assert node.asked[notice.rpt_id] == 0


async def test_an_event_says_paid_with_time_and_receipt_and_nobody_asks_the_node(
    pool: Pool, world: World, mail: Mail, node: FakeNode
) -> None:
    notice = fresh()
    node.says[notice.rpt_id] = payable(notice.rpt_id)
    message = await send(mail, world.anna, notice)
    paid_at = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    await record_paid(pool, said(notice, "paid", "event", paid_at=paid_at, receipt="R1"))
    await an_hour_passes(pool, notice)
    body = await read(mail, world, message)
    assert body["payment_status"] == "PAID"
    assert body["payment"]["paid_at"] == "2026-03-01T09:30:00.000Z"
    assert (body["payment"]["receipt"], body["payment"]["source"]) == ("R1", "event")
    assert node.asked[notice.rpt_id] == 0


async def test_a_message_of_the_usual_level_makes_nobody_ask(
    world: World, mail: Mail, node: FakeNode
) -> None:
    notice = fresh()
    message = await mail.send(world.anna, payment_data=payment(notice))
    assert not {"payment", "payment_status"} & set(await read(mail, world, message))
    assert node.asked[notice.rpt_id] == 0


@pytest.mark.parametrize("mood", [Mood.HANG, Mood.DRIP, Mood.GARBAGE, Mood.HUGE, Mood.NOT_JSON])
async def test_a_node_that_is_not_well_neither_delays_nor_fails_the_answer(
    pool: Pool, world: World, mail: Mail, node: FakeNode, mood: Mood
) -> None:
    """The last known state is given with its time, and a new message is decided meanwhile."""
    healthy, ill = fresh(), fresh()
    for notice in (healthy, ill):
        node.says[notice.rpt_id] = payable(notice.rpt_id)
    messages = [await send(mail, world.anna, notice) for notice in (healthy, ill)]
    await was_unpaid(pool, ill)
    last = await known(pool, ill)
    assert last is not None
    _, usual_s = await timed(mail, world, messages[0])
    assert node.asked[healthy.rpt_id] == 1

    node.hang()
    node.mood = mood
    body, took_s = await timed(mail, world, messages[1])
    assert SOON_S < BOUND_S  # what is waited for the node; what comes on top is noise
    assert took_s < BOUND_S + usual_s + NOISE_S
    assert body["payment_status"] == "NOT_PAID"
    assert body["payment"] == {
        "state": "unpaid",
        "amount": 777,
        "source": "node",
        "observed_at": clock.to_wire(last.observed_at),
    }
    assert node.asked[ill.rpt_id] >= 1

    async with asyncio.timeout(30):
        another = await send(mail, world.anna, fresh())
    assert (await read(mail, world, another))["status"] == "PROCESSED"
    await well_again(mail, world, node)


async def test_many_readers_while_the_node_hangs_wait_side_by_side(
    world: World, mail: Mail, node: FakeNode
) -> None:
    """Of one notice and of many: the time of one is the time of all, and nobody fails."""
    shared = fresh()
    first = await send(mail, world.anna, shared)
    others = [await send(mail, world.anna, fresh()) for _ in range(19)]
    node.hang()
    began = time.perf_counter()
    # Whoever comes too late for a place at the creditor does not ask at all: the first has one.
    asking = asyncio.create_task(read(mail, world, first))
    await node.hanging.wait()
    waiting = (read(mail, world, one) for one in [first, first, *others * 3])
    bodies = await asyncio.gather(asking, *waiting)
    took_s = time.perf_counter() - began
    # One after the other they would have waited for a quarter of a minute.
    assert took_s < 5
    assert {body["payment"]["state"] for body in bodies} == {"unknown"}
    assert node.asked[shared.rpt_id] == 1
    await well_again(mail, world, node)


async def test_a_late_answer_is_entered_all_the_same(
    pool: Pool, world: World, mail: Mail, node: FakeNode
) -> None:
    notice = fresh()
    node.says[notice.rpt_id] = PAID
    message = await send(mail, world.anna, notice)
    node.hang()
    assert "payment_status" not in await read(mail, world, message)
    node.recover()
    async with asyncio.timeout(20):
        while (found := await known(pool, notice)) is None or found.state != "paid":
            await asyncio.sleep(0.01)
    assert (await read(mail, world, message))["payment_status"] == "PAID"
    assert node.asked[notice.rpt_id] == 1


async def test_a_node_that_is_down_is_not_asked_again_at_once(
    pool: Pool, world: World, mail: Mail, node: FakeNode
) -> None:
    """Nobody listens. The last known state stays, and each further read costs no attempt."""
    notice = fresh()
    node.says[notice.rpt_id] = payable(notice.rpt_id)
    message = await send(mail, world.anna, notice)
    await was_unpaid(pool, notice)
    await node.stop()
    try:
        found = set()
        for _ in range(3):
            body = await read(mail, world, message)
            assert (body["payment_status"], body["payment"]["state"]) == ("NOT_PAID", "unpaid")
            found.add(await known(pool, notice))
        (last,) = found
        assert last is not None
        assert (last.asked_code, last.code) == ("unreachable", "CODE")
        assert last.asked_at is not None
        assert last.asked_at - last.observed_at > timedelta(minutes=55)
    finally:
        await node.start()
    await well_again(mail, world, node)
