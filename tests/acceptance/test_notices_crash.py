"""The worker that tells citizens is killed in mid-send: what is lost, and what comes twice?"""

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.notifications.channels.email.channel import Email
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
SENT = "SELECT count(*) FROM notifications.delivery WHERE state = 'SENT' AND channel = $1"
AT_ONCE = {"web_push": WebPush.at_once, "email": Email.at_once}
ANSWER_AFTER_S = 0.02  # so that a kill always meets some under way


class Receiver:
    """A push service and a mail server in a thread of their own. They count what they take.

    `taken`: by device and topic. `mails`: by recipient and Message-ID.
    """

    def __init__(self) -> None:
        self.port, self.mail_port = free_port(), free_port()
        self.taken: Counter[tuple[str, str]] = Counter()
        self.mails: Counter[tuple[str, str]] = Counter()
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
        relay = self._loop.create_server(
            lambda: SMTP(self, loop=self._loop), "127.0.0.1", self.mail_port
        )
        listening = self._loop.run_until_complete(relay)
        self._ready.set()
        self._loop.run_forever()
        listening.close()
        self._loop.run_until_complete(runner.cleanup())
        talking = asyncio.all_tasks(self._loop)
        for conversation in talking:
            conversation.cancel()
        self._loop.run_until_complete(asyncio.gather(*talking, return_exceptions=True))
        self._loop.close()

    async def _take(self, request: web.Request) -> web.Response:
        await request.read()
        # Taken now: if the sender dies before the answer, it was sent all the same.
        self.taken[request.path, request.headers["Topic"]] += 1
        await asyncio.sleep(ANSWER_AFTER_S)
        return web.Response(status=201)

    async def handle_DATA(self, _: SMTP, __: Session, mail: Envelope) -> str:  # noqa: N802
        assert isinstance(mail.content, bytes)
        found = re.search(rb"^Message-ID: <(.+)>", mail.content, re.MULTILINE)
        assert found is not None
        self.mails[mail.rcpt_tos[0], found[1].decode()] += 1
        await asyncio.sleep(ANSWER_AFTER_S / 10)
        return "250 2.0.0 taken"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    started = Receiver()
    yield started
    started.stop()


async def fill(conn: Connection, secrets: Secrets, codes: list[str], receiver: Receiver) -> None:
    profiles = [
        Profile(
            code,
            mode="AUTO",
            settings_version=0,
            is_inbox_enabled=True,
            is_webhook_enabled=True,
            is_email_enabled=True,
            is_email_validated=True,
            email=f"p{number}@example.org",
        )
        for number, code in enumerate(codes)
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
    worker = site.work(
        MESSO_MAIL_SERVER=f"smtp+plain://127.0.0.1:{receiver.mail_port}",
        MESSO_MAIL_FROM="Messo <no-reply@example.org>",
        MESSO_MAIL_DOMAIN_MINUTE="1000000",
    )
    counts = {"web_push": receiver.taken, "email": receiver.mails}
    under_way = Counter[str]()
    for _ in range(KILLS):
        wanted = {
            name: min(MESSAGES, len(taken) + MESSAGES // (KILLS + 2))
            for name, taken in counts.items()
        }
        wait_until(
            lambda wanted=wanted: all(len(counts[name]) >= wanted[name] for name in wanted),  # type: ignore[misc]
            f"{wanted} are taken",
        )
        worker.kill()
        for name, taken in counts.items():
            # Taken by somebody, and not recorded: what the next worker cannot know of.
            unrecorded = len(taken) - int(site.value(SENT, name))
            assert unrecorded <= AT_ONCE[name]
            under_way[name] += unrecorded
        # What the dead worker had leased is due again, as when its lease has ended.
        site.execute("UPDATE work.item SET due_at = now() WHERE step LIKE 'notifications.deliver%'")
        worker.start()
    unsent = "SELECT count(*) FROM notifications.delivery WHERE state <> 'SENT'"
    left = "SELECT count(*) FROM work.item WHERE step LIKE 'notifications.%'"
    wait_until(lambda: site.value(left) == 0 and site.value(unsent) == 0, "all are told", 120)

    assert site.value("SELECT count(*) FROM notifications.delivery") == 2 * MESSAGES
    told = "SELECT count(*) FROM ({}) AS e WHERE kind = 'notified'".format(
        "SELECT kind FROM events.log UNION ALL SELECT kind FROM events.published"
    )
    assert site.value(told) == 2 * MESSAGES, "each is recorded once"
    assert set(receiver.taken) == {
        (f"/{number}", topic(message)) for message, number in ids.items()
    }
    mails = site.rows("SELECT id FROM notifications.delivery WHERE channel = 'email'")
    assert {mail_id for _, mail_id in receiver.mails} == {
        f"{row['id'].lower()}@example.org" for row in mails
    }
    # To whoever goes by topic or Message-ID, as push services and mailboxes do, none came twice.
    twice = {name: taken.total() - MESSAGES for name, taken in counts.items()}
    assert all(twice[name] <= under_way[name] for name in twice), (twice, under_way)
    with capsys.disabled():
        print(f"\n{KILLS} kills among {MESSAGES} notices and as many copies: sent twice {twice}")
