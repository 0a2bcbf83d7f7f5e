"""A worker killed while it hands reminders over, asks for notices and sends: nothing is lost or doubled."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from messo.base import clock
from messo.base.buckets import short_hash
from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.notifications.channels.web_push.devices import put_device
from messo.recipients import Profile, create_profiles
from messo.reminders.rules import day_of
from messo.sandbox.fiscal_codes import many
from messo_client import notices
from tests.acceptance.installed import Site, wait_until
from tests.conftest import free_port
from tests.notifications.push_service import Device

pytestmark = pytest.mark.acceptance

KILLS = 6
REMINDERS = 1200
ANSWER_AFTER_S = 0.02
PAYEE = "00000000001"
SENT = "SELECT count(*) FROM notifications.delivery WHERE state = 'SENT'"
WAITING_NO_LONGER = (
    "UPDATE reminders.reminder SET due_at = now() - interval '1 day' WHERE state = 'planned'"
)


class Neighbours:
    """A payment node that says of every notice that it can be paid, and a push service."""

    def __init__(self) -> None:
        self.port = free_port()
        self.asked = Counter[str]()
        self.taken = Counter[str]()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(20)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)

    def _run(self) -> None:
        app = web.Application()
        app.router.add_post("/push", self._take)
        app.router.add_get("/node/payment-requests/{rpt_id}", self._say)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", self.port, backlog=1024)
        self._loop.run_until_complete(site.start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _take(self, request: web.Request) -> web.Response:
        await request.read()
        self.taken[request.headers["Topic"]] += 1
        await asyncio.sleep(ANSWER_AFTER_S)
        return web.Response(status=201)

    async def _say(self, request: web.Request) -> web.Response:
        rpt_id = request.match_info["rpt_id"]
        self.asked[rpt_id] += 1
        await asyncio.sleep(ANSWER_AFTER_S)
        return web.json_response({"amount": 100, "rptId": rpt_id})


@pytest.fixture
def neighbours() -> Iterator[Neighbours]:
    started = Neighbours()
    yield started
    started.stop()


async def fill(conn: Connection, secrets: Secrets, endpoint: str, now: datetime) -> None:
    """A citizen's reminders that are due; half of their notices were last seen long ago."""
    (code,) = many(1)
    values: dict[str, Any] = {"settings_version": 0, "reminder_status": "ENABLED"}
    profile = Profile(code, mode="AUTO", is_inbox_enabled=True, is_webhook_enabled=True, **values)
    await create_profiles(conn, [profile])
    await put_device(conn, secrets, code, Device(endpoint).subscription, label="x", session_id="S")
    numbers = [notices.make(f"{number:013d}", code="05") for number in range(REMINDERS)]
    ids = [f"01HZ{number:022d}" for number in range(REMINDERS)]
    before = now - timedelta(days=12)
    await conn.raw.execute(
        "INSERT INTO messages.sender VALUES (1, 's', 'o', $1, '-', false, 'STANDARD', '')", PAYEE
    )
    await conn.raw.execute(
        "INSERT INTO messages.message (bucket, id, fiscal_code, service_id, sender_id, subject,"
        " status, feature_level_type, require_secure_channels, time_to_live, created_at,"
        " decided_at) SELECT 0, u, $2, 'S', 1, 'Tassa rifiuti', 'PROCESSED', 'STANDARD', false,"
        " 3600, $3, $3 FROM unnest($1::text[]) AS u",
        ids,
        code,
        before,
    )
    await conn.raw.execute(
        "INSERT INTO messages.content SELECT 0, u.id, 'Ciao', jsonb_build_object('payment_data',"
        " jsonb_build_object('amount', 100, 'notice_number', u.number))"
        " FROM unnest($1::text[], $2::text[]) AS u (id, number)",
        ids,
        numbers,
    )
    await conn.raw.execute(
        "INSERT INTO payments.notice (bucket, payee, number, state, source, code, observed_at,"
        " created_at) SELECT 0, $2, u.number, 'unpaid', 'node', '200',"
        " CASE WHEN u.n % 2 = 0 THEN $3 ELSE $4::timestamptz END, $4"
        " FROM unnest($1::text[]) WITH ORDINALITY AS u (number, n)",
        numbers,
        PAYEE,
        now,
        before,
    )
    await conn.raw.execute(
        "INSERT INTO payments.carrier SELECT 0, $3, u.number, $4, u.id, 0, 0"
        " FROM unnest($1::text[], $2::text[]) AS u (id, number)",
        ids,
        numbers,
        PAYEE,
        short_hash(code),
    )
    await conn.raw.execute(
        "INSERT INTO reminders.reminder (bucket, fiscal_code, subject, day, kind, state, due_at)"
        " SELECT 0, $1, $2 || u, $3, 'undated', 'planned', $4 FROM unnest($5::text[]) AS u",
        code,
        PAYEE,
        day_of(now),
        now,
        numbers,
    )


def test_kills_lose_no_reminder_and_double_only_what_was_under_way(
    site: Site, neighbours: Neighbours, capsys: pytest.CaptureFixture[str]
) -> None:
    noon = clock.now().replace(hour=11, minute=0)
    ahead = noon - clock.now()
    push = f"http://127.0.0.1:{neighbours.port}/push"
    site.do(lambda conn: fill(conn, Secrets.parse(site.secret_text), push, noon))
    worker = site.work(
        program="tests.acceptance.at_noon",
        PYTHONPATH=str(Path(__file__).parents[2]),
        CLOCK_AHEAD_S=str(ahead.total_seconds()),
        MESSO_PAYMENT_NODE_URL=f"http://127.0.0.1:{neighbours.port}/node",
        MESSO_PAYMENT_NODE_KEY="key",
        MESSO_PAYMENT_NODE_MINUTE="100000",
    )
    under_way = 0
    for kill in range(KILLS):
        done = (REMINDERS * 3 // 2) * (kill + 1) // (KILLS + 1)
        wait_until(
            lambda done=done: len(neighbours.taken) + len(neighbours.asked) >= done,  # type: ignore[misc]
            f"{done} are asked for or told",
            every=0.02,
        )
        worker.kill()
        under_way += len(neighbours.taken) - int(site.value(SENT))
        # What the dead worker had leased is due again, as when its lease has ended; and reminders
        # that wait for an answer are looked at again, as ten minutes later. The same question may
        # have been queued before and after a kill: each time by more days than all times before, so
        # that the two never meet.
        site.execute(f"UPDATE work.item SET due_at = due_at - interval '{2**kill} days'")
        site.execute(WAITING_NO_LONGER)
        worker.start()

    def all_told() -> bool:
        site.execute(WAITING_NO_LONGER)
        return int(site.value(SENT)) == REMINDERS

    wait_until(all_told, "all are told", 120, every=0.3)
    assert site.value("SELECT count(*) FROM notifications.delivery") == REMINDERS
    handed = "SELECT count(*) FROM reminders.reminder WHERE state = 'handed'"
    assert site.value(handed) == REMINDERS
    assert len(neighbours.asked) == REMINDERS // 2, "only what was not seen that day is asked for"
    assert len(neighbours.taken) == REMINDERS
    twice = neighbours.taken.total() - REMINDERS
    assert twice <= under_way
    with capsys.disabled():
        again = neighbours.asked.total() - REMINDERS // 2
        print(f"\n{KILLS} kills, {REMINDERS} reminders: {twice} sent twice, {again} asked twice")
