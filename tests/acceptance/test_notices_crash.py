"""The worker that tells citizens is killed in mid-send: what is lost, and what comes twice?"""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from aiohttp import web

from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.notifications.channels.web_push.channel import WebPush, topic
from messo.notifications.channels.web_push.devices import put_device
from messo.recipients import Profile, create_profiles
from messo.sandbox.fiscal_codes import many
from tests.acceptance.installed import Site, wait_until
from tests.acceptance.load import body_of
from tests.conftest import free_port
from tests.notifications.push_service import Device

pytestmark = pytest.mark.acceptance

MESSAGES = 2000
CITIZENS = 100
KILLS = 10
SENT = "SELECT count(*) FROM notifications.delivery WHERE state = 'SENT'"
ANSWER_AFTER_S = 0.02  # so that a kill always meets some under way


class Receiver:
    """A push service in a thread of its own. It counts what it takes, by device and topic."""

    def __init__(self) -> None:
        self.port = free_port()
        self.taken: Counter[tuple[str, str]] = Counter()
        self.total = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def endpoint(self, number: int) -> str:
        return f"http://127.0.0.1:{self.port}/{number}"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application()
        app.router.add_post("/{number}", self._take)
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
        # Taken now: if the sender dies before the answer, it was sent all the same.
        self.taken[request.path, request.headers["Topic"]] += 1
        self.total += 1
        await asyncio.sleep(ANSWER_AFTER_S)
        return web.Response(status=201)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    started = Receiver()
    yield started
    started.stop()


async def fill(conn: Connection, secrets: Secrets, codes: list[str], receiver: Receiver) -> None:
    profiles = [
        Profile(
            code, mode="AUTO", settings_version=0, is_inbox_enabled=True, is_webhook_enabled=True
        )
        for code in codes
    ]
    await create_profiles(conn, profiles)
    for number, code in enumerate(codes):
        subscription = Device(receiver.endpoint(number)).subscription
        await put_device(conn, secrets, code, subscription, label="x", session_id="S")


def test_ten_kills_in_mid_send_lose_nothing_and_double_only_what_was_under_way(
    site: Site, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = many(CITIZENS)
    secrets = Secrets.parse(site.secret_text)
    site.do(lambda conn: fill(conn, secrets, codes, receiver))
    server = site.serve(MESSO_GUARD_RECIPIENTS="1000000000")
    ids: dict[str, int] = {}
    with site.client(server) as client:
        for number in range(MESSAGES):
            answer = client.post(
                "/api/v1/messages",
                content=body_of(number, codes[number % CITIZENS]),
                headers=site.world.anna.headers | {"Content-Type": "application/json"},
            )
            assert answer.status_code == 201, answer.text
            ids[answer.json()["id"]] = number % CITIZENS
    worker = site.work()
    under_way = 0
    for _ in range(KILLS):
        wanted = receiver.total + MESSAGES // (KILLS + 2)
        wait_until(lambda wanted=wanted: receiver.total >= wanted, f"{wanted} are taken")  # type: ignore[misc]
        worker.kill()
        # Taken by somebody, and not recorded: what the next worker cannot know of.
        unrecorded = len(receiver.taken) - int(site.value(SENT))
        assert unrecorded <= WebPush.at_once
        under_way += unrecorded
        # What the dead worker had leased is due again, as when its lease has ended.
        site.execute("UPDATE work.item SET due_at = now() WHERE step LIKE 'notifications.deliver%'")
        worker.start()
    unsent = "SELECT count(*) FROM notifications.delivery WHERE state <> 'SENT'"
    left = "SELECT count(*) FROM work.item WHERE step LIKE 'notifications.%'"
    wait_until(lambda: site.value(left) == 0 and site.value(unsent) == 0, "all are told", 120)

    assert site.value("SELECT count(*) FROM notifications.delivery") == MESSAGES
    told = "SELECT count(*) FROM ({}) AS e WHERE kind = 'notified'".format(
        "SELECT kind FROM events.log UNION ALL SELECT kind FROM events.published"
    )
    assert site.value(told) == MESSAGES, "each is recorded once"
    expected = {(f"/{number}", topic(message)): 1 for message, number in ids.items()}
    assert set(receiver.taken) == set(expected), "nothing lost, nothing to anybody else"
    twice = receiver.total - MESSAGES
    # A push service shows one notice for each topic: to whoever honours it, none came twice.
    assert twice <= under_way
    with capsys.disabled():
        print(f"\n{KILLS} kills among {MESSAGES} notices: {twice} sent twice, none lost")
