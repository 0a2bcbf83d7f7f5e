"""Paying at the instant of sending, a thousand times: who is reminded all the same."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from aiohttp import web

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.outward import Sending
from messo.base.work import Worker
from messo.notifications import deliver
from messo.notifications.channels.web_push.channel import topic
from messo.outside import Outside
from messo.payments import Notice, ledger
from messo.payments.ledger import Seen
from messo.reminders import Window, not_any_more
from messo.reminders.hand_over import hand_over
from messo.settings import Settings
from messo_client import notices
from tests.conftest import Running, free_port
from tests.inbox.pages import citizen
from tests.messages.mail import Mail
from tests.notifications.push_service import Device, subscribe
from tests.world import World

COUNT = 1000
PAYEE = "00000000001"
PROCESSED = datetime(2026, 11, 10, 10, tzinfo=UTC)
DUE = PROCESSED + timedelta(days=3, hours=8, minutes=30)  # 19:30 in Rome: every moment has come


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(
        rate_limit=100_000, rate_burst=100_000, outbound_networks=(ip_network("127.0.0.0/8"),)
    )


@dataclass
class Sink:
    """A push service that only notes when a notice of which message came in."""

    port: int
    came: dict[str, float] = field(default_factory=dict)
    doubled: int = 0

    async def take(self, request: web.Request) -> web.Response:
        name = request.headers["Topic"]
        self.doubled += name in self.came
        self.came[name] = time.monotonic()
        await request.read()
        return web.Response(status=201)


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    made = Sink(free_port())
    app = web.Application()
    app.router.add_post("/push", made.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", made.port).start()
    yield made
    await runner.cleanup()


class Race:
    """The real last look, noting which reminders it let pass and when it began to look."""

    def __init__(self) -> None:
        self.passed: dict[str, float] = {}
        self.let_pass: asyncio.Queue[str] = asyncio.Queue()

    async def look(
        self, conn: Connection, bucket: int, about: Sequence[tuple[str, str]]
    ) -> Collection[tuple[str, str]]:
        began = time.monotonic()
        stopped = await not_any_more(conn, bucket, about)
        self.passed |= {one[0]: began for one in about if one not in stopped}
        for one in about:
            if one not in stopped:
                self.let_pass.put_nowait(one[0])
        return stopped


def seen(number: str) -> Seen:
    now = clock.now()
    return Seen(Notice(PAYEE, number), "paid", "event", "test", now, paid_at=now)


async def test_nothing_is_claimed_once_the_ledger_says_paid(
    pool: Pool,
    running: Running,
    worker: Worker,
    world: World,
    secrets: Secrets,
    settings: Settings,
    sink: Sink,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clock, "now", lambda: PROCESSED)
    code = await citizen(pool, "RCE", 1, reminder_status="ENABLED")
    await subscribe(pool, secrets, code, Device(f"http://127.0.0.1:{sink.port}/push"))
    mail = Mail(running, worker)
    numbers = {}
    for number in range(COUNT):
        of = notices.make(f"{number:013d}", code="04")
        payment = {"amount": 100, "notice_number": of}
        numbers[await mail.post(world.anna, code, payment_data=payment)] = of
    await mail.settle()
    async with pool.connection() as conn:  # they were told that they are new, long ago
        await conn.raw.execute("DELETE FROM work.item")
        await conn.raw.execute("DELETE FROM notifications.delivery")
    began = time.monotonic()
    monkeypatch.setattr(clock, "now", lambda: DUE + timedelta(seconds=time.monotonic() - began))
    for bucket in range(pool.buckets):
        while True:
            async with pool.transaction() as conn:
                if not await hand_over(conn, bucket, Window(), has_node=False):
                    break
    await mail.settle()
    race, paid = Race(), dict[str, float]()
    outside = Outside.of(settings, secrets)
    channel = next(one for one in outside.channels if one.reminds)
    sending, stopping = (
        Sending(deliver.step(channel, race.look), pool, pool.buckets),
        asyncio.Event(),
    )

    async def pay(message_id: str) -> None:
        if message_id not in paid:
            async with pool.transaction() as conn:
                await ledger.record_paid(conn, [seen(numbers[message_id])])
            paid.setdefault(message_id, time.monotonic())

    async def pay_in_order() -> None:
        """About as fast as they are sent, beginning with those that are sent last."""
        for message_id in reversed(numbers):
            await pay(message_id)

    async def pay_what_is_let_pass() -> None:
        """At the worst moment: looked at, and not yet sent."""
        while True:
            await pay(await race.let_pass.get())

    running_ = asyncio.create_task(sending.run(stopping))
    worst = asyncio.create_task(pay_what_is_let_pass())
    await pay_in_order()
    async with asyncio.timeout(60):
        while await waiting(pool):
            await asyncio.sleep(0.05)
    stopping.set()
    await running_
    worst.cancel()
    await outside.close()

    late = [one for one, looked in race.passed.items() if paid[one] <= looked]
    assert late == [], "let pass although the ledger's commit said paid before the look"
    came = {one: sink.came[topic(one)] for one in numbers if topic(one) in sink.came}
    assert set(came) == set(race.passed), "exactly those that were let pass were sent"
    assert sink.doubled == 0
    on_the_wire = [one for one, at in came.items() if at > paid[one]]
    # What was claimed and not yet taken when it was paid: bounded by what may be under way at once.
    assert len(on_the_wire) <= channel.at_once
    assert 0 < len(came) < COUNT, "the race was none: all were sent, or all were paid before"
    rows = await states(pool, code)
    assert rows == {"handed": len(came), "paid": COUNT - len(came)}
    print(f"\nof {COUNT} paid while being sent, {len(came)} sent, {len(on_the_wire)} on the wire")


async def waiting(pool: Pool) -> bool:
    async with pool.connection() as conn:
        return bool(
            await conn.raw.fetchval(
                "SELECT EXISTS (SELECT FROM work.item WHERE step LIKE 'notifications.deliver.%')"
            )
        )


async def states(pool: Pool, code: str) -> dict[str, int]:
    """How many of today's reminders were handed over, and how many dropped for which reason."""
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT coalesce(reason, state) AS what, count(*) FROM reminders.reminder "
            "WHERE fiscal_code = $1 AND state <> 'planned' GROUP BY 1",
            code,
        )
    return {row[0]: row[1] for row in rows}
