"""Asking without anybody waiting: within a budget, those that wait longest first, each once."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from ipaddress import ip_network

import pytest

from messo.base import clock, work
from messo.base.db import Pool
from messo.base.outward import Sending
from messo.payments import Node, Notice, ask, make_outbound
from messo.payments.ask import ASK
from tests.messages.mail import Mail
from tests.payments.cases import (
    execute,
    fresh,
    items,
    known,
    record,
    record_paid,
    rows,
    said,
    send,
    sweep_of,
)
from tests.payments.node import KEY, ONGOING, PAID, FakeNode, Mood, payable
from tests.world import World

PLENTY = 600


@pytest.fixture
async def asker(node: FakeNode) -> AsyncIterator[Node]:
    made = Node(node.url, KEY, make_outbound((ip_network("127.0.0.0/8"),)))
    yield made
    await made.close()


@pytest.fixture(autouse=True)
async def nothing_waits(pool: Pool) -> None:
    """Notices of other tests of this file are not this one's."""
    await execute(pool, "DELETE FROM work.item WHERE step = $1", ASK)
    await execute(pool, "UPDATE payments.notice SET sweep_at = NULL")


def asking(pool: Pool, node: Node, per_minute: int = PLENTY) -> Sending[work.Leased, object]:
    """A worker's outward step; `await asking(…).once()` is one batch of it."""
    return Sending(ask.step(node, per_minute), pool, pool.buckets)  # type: ignore[arg-type]


async def all_asked(pool: Pool, node: Node) -> int:
    """Until nothing is due; how many were asked."""
    step, total = asking(pool, node), 0
    while count := await step.once():
        total += count
    return total


async def queue(pool: Pool, *notices: Notice) -> None:
    async with pool.transaction() as conn:
        for notice in notices:
            bucket = conn.bucket(notice.rpt_id)
            await work.queue(conn, bucket, ASK, [notice.rpt_id], [0], clock.now())


async def sweep(pool: Pool, per_minute: int = PLENTY) -> list[str]:
    """One sweep; the rpt ids that it would have asked for."""
    async with pool.transaction() as conn:
        assert await ask.sweep(per_minute)(conn) is False
    found = await rows(pool, "SELECT reference FROM work.item WHERE step = $1", ASK)
    return [row["reference"] for row in found]


async def waits_since(pool: Pool, notice: Notice, since: datetime) -> None:
    """In the ledger, unpaid, and due for the sweep since then."""
    await execute(
        pool,
        "INSERT INTO payments.notice (bucket, payee, number, state, source, code, observed_at, "
        "sweep_at, created_at) VALUES ($1, $2, $3, 'unpaid', 'node', '200', $4, $4, $4)",
        pool.bucket(notice.rpt_id),
        notice.payee,
        notice.number,
        since,
    )


async def test_what_the_node_says_is_entered_and_the_item_is_gone(
    pool: Pool, world: World, mail: Mail, node: FakeNode, asker: Node
) -> None:
    notices = [fresh() for _ in range(6)]
    for notice in notices:
        await send(mail, world.anna, notice)
        node.says[notice.rpt_id] = PAID
    node.says[notices[0].rpt_id] = ONGOING
    await queue(pool, *notices)
    assert await all_asked(pool, asker) == 6
    states = [found.state for one in notices if (found := await known(pool, one))]
    assert states == ["in_progress"] + ["paid"] * 5
    assert await items(pool, ASK, [one.rpt_id for one in notices]) == []


async def test_a_node_that_says_nothing_is_noted_and_not_asked_again_at_once(
    pool: Pool, world: World, mail: Mail, node: FakeNode, asker: Node
) -> None:
    """The sweep asks again after six hours; whoever needs to know sooner asks themselves."""
    notice = fresh()
    await send(mail, world.anna, notice)
    node.mood = Mood.RESET
    await queue(pool, notice)
    now = clock.now()
    assert await all_asked(pool, asker) == 1
    found = await known(pool, notice)
    assert found is not None
    assert (found.state, found.source, found.asked_code) == ("unknown", "message", "unreachable")
    again = await sweep_of(pool, notice)
    assert timedelta(hours=6) <= again - now < timedelta(hours=6, minutes=1)


@pytest.mark.parametrize("reference", ["", "x", "0" * 28, "9" * 40])
async def test_an_item_that_names_no_notice_is_dropped(
    pool: Pool, node: FakeNode, asker: Node, reference: str
) -> None:
    asked = node.asked.total()
    async with pool.transaction() as conn:
        await work.queue(conn, 0, ASK, [reference], [0], clock.now())
    assert await all_asked(pool, asker) == 0
    assert node.asked.total() == asked
    assert await rows(pool, "SELECT FROM work.item WHERE step = $1", ASK) == []


async def test_a_wish_queued_again_is_one_question(
    pool: Pool, node: FakeNode, asker: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reminders ask at each look, and the sweep too: under another minute it is another item."""
    notice, now = fresh(), clock.now()
    await waits_since(pool, notice, now - timedelta(days=9))
    for minute in range(5):
        monkeypatch.setattr(clock, "now", lambda m=minute: now - timedelta(minutes=m))
        await queue(pool, notice)
    monkeypatch.setattr(clock, "now", lambda: now)
    assert await all_asked(pool, asker) == 1
    assert node.asked[notice.rpt_id] == 1
    assert await rows(pool, "SELECT FROM work.item WHERE step = $1", ASK) == []
    await queue(pool, notice)  # answered a moment ago
    assert await all_asked(pool, asker) == 0
    assert node.asked[notice.rpt_id] == 1


async def test_no_more_is_asked_than_the_budget_allows(
    pool: Pool, node: FakeNode, asker: Node
) -> None:
    """The others are put off, one after the other, and nobody is forgotten."""
    notices = [fresh() for _ in range(20)]
    for notice in notices:
        await waits_since(pool, notice, clock.now() - timedelta(days=9))
    await queue(pool, *notices)
    step = asking(pool, asker, per_minute=7)
    for _ in range(5):
        await step.once()
    assert sum(node.asked[one.rpt_id] for one in notices) == 7
    sql = "SELECT due_at FROM work.item WHERE step = $1 ORDER BY due_at"
    dues = [row["due_at"] for row in await rows(pool, sql, ASK)]
    assert len(dues) == len(set(dues)) == 13
    assert dues[0] > clock.now()
    assert dues[-1] - dues[0] > timedelta(seconds=12 * 60 / 7 * 0.9)


async def test_the_sweep_takes_those_that_wait_longest_and_at_most_half_the_budget(
    pool: Pool,
) -> None:
    share = 3
    per_minute = share * pool.buckets * 2
    now = clock.now()
    by_bucket: dict[int, list[str]] = {bucket: [] for bucket in range(pool.buckets)}
    while min(len(one) for one in by_bucket.values()) < share + 1:
        notice = fresh()
        mine = by_bucket[pool.bucket(notice.rpt_id)]
        # The later a notice was made, the longer it waits.
        await waits_since(pool, notice, now - timedelta(days=1 + len(mine)))
        mine.insert(0, notice.rpt_id)
    taken = await sweep(pool, per_minute)
    assert len(taken) == share * pool.buckets <= per_minute / 2
    expected = {rpt_id for mine in by_bucket.values() for rpt_id in mine[:share]}
    assert set(taken) == expected


async def test_the_sweep_leaves_what_is_not_due_and_what_was_paid(
    pool: Pool, world: World, mail: Mail
) -> None:
    due, later, paid, unclaimed, never = [fresh() for _ in range(5)]
    now = clock.now()
    for notice in (due, later, paid, never):
        await send(mail, world.anna, notice)
    await record_paid(pool, said(paid, "paid", "event"), said(unclaimed, "paid", "event"))
    sql = "UPDATE payments.notice SET sweep_at = $1 WHERE number = ANY($2)"
    past = now - timedelta(minutes=1)
    await execute(pool, sql, past, [one.number for one in (due, paid, unclaimed)])
    await execute(pool, sql, now + timedelta(minutes=5), [later.number])
    await execute(pool, sql, None, [never.number])
    assert await sweep(pool) == [due.rpt_id]
    assert await sweep(pool) == [due.rpt_id]  # once, however often it is swept
    # Had the answer been lost, it would be its turn again hours later.
    assert timedelta(hours=5) < await sweep_of(pool, due) - now < timedelta(hours=7)


async def test_the_notice_of_a_fresh_message_is_asked_for_once(
    pool: Pool, world: World, mail: Mail, node: FakeNode, asker: Node
) -> None:
    notice = fresh()
    node.says[notice.rpt_id] = payable(notice.rpt_id, 4)
    for _ in range(2):  # two messages carry it
        await send(mail, world.anna, notice)
    for _ in range(3):
        await sweep(pool)
        await all_asked(pool, asker)
    assert node.asked[notice.rpt_id] == 1
    found = await known(pool, notice)
    assert found is not None
    assert (found.state, found.amount) == ("unpaid", 4)
    assert await sweep_of(pool, notice) > clock.now() + timedelta(days=6)


async def test_a_worker_killed_while_it_asks_leaves_the_item_to_the_next(
    pool: Pool, world: World, mail: Mail, node: FakeNode, asker: Node
) -> None:
    """Leased and never recorded: due again when the lease ends, and asked then."""
    notice = fresh()
    await send(mail, world.anna, notice)
    node.says[notice.rpt_id] = PAID
    await queue(pool, notice)
    async with pool.transaction() as conn:
        claimed = await ask.step(asker, PLENTY).claim(conn, conn.bucket(notice.rpt_id), 10)
    assert [one.reference for one in claimed] == [notice.rpt_id]
    assert await all_asked(pool, asker) == 0
    await execute(pool, "UPDATE work.item SET due_at = now() WHERE step = $1", ASK)
    assert await all_asked(pool, asker) == 1
    found = await known(pool, notice)
    assert found is not None
    assert found.state == "paid"


async def test_a_paid_answer_of_the_sweep_tells_the_sender(
    pool: Pool, world: World, mail: Mail, node: FakeNode, asker: Node
) -> None:
    notice = fresh()
    message = await send(mail, world.anna, notice)
    node.says[notice.rpt_id] = PAID
    await sweep(pool)
    await all_asked(pool, asker)
    assert await items(pool, "payments.paid", [message]) == [message]
    await record(pool, said(notice, "unpaid"))
    await mail.settle()
    life = await mail.running.client.get(
        f"/messo/v1/messages/{message}", headers=world.anna.headers
    )
    assert [one["kind"] for one in life.json()["events"]].count("paid") == 1
