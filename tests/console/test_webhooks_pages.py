"""Webhooks in the console: made, tried, failing, given up, sent again; secrets are shown once."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network

import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.outbound import Outbound
from messo.people.roles import Role
from messo.services.services import NewService, create_service
from messo.settings import Settings
from tests.conftest import Running
from tests.console.clerk import Clerk, clerk_at
from tests.console.colleague import Colleague
from tests.events.receiver import OK, Receiver, receiving, status
from tests.events.told import LOOPBACK, Post, rows, tell
from tests.world import ACTOR, SANDBOX, World

pytestmark = pytest.mark.anyio

_SECRET = re.compile(r'<code class="secret">(whsec_[^<]+)</code>')
_ID = re.compile(r"/webhooks/([0-9A-Z]{26})/test")
_POSITION = re.compile(r'name="position" value="(\d+)"')
ALL = ("accepted", "processed", "rejected", "failed", "notified", "read", "paid")


@pytest.fixture(scope="module")
def settings() -> Settings:
    made = Settings(rate_limit=100_000, rate_burst=100_000, sandbox=True)
    return replace(made, outbound_networks=(ip_network("127.0.0.0/8"),))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as started:
        yield started


@pytest.fixture
async def post(
    pool: Pool, world: World, secrets: Secrets, receiver: Receiver
) -> AsyncIterator[Post]:
    """The worker's step that hands events on, one round at a time."""
    outbound = Outbound(LOOPBACK, open_s=0.01)
    made = Post(pool, secrets, outbound, receiver)
    yield made
    await made.clear()
    await outbound.close()


async def make(clerk: Clerk, world: World, receiver: Receiver) -> str:
    """A webhook of Anna's service, whose secret the receiver knows; its id."""
    answer = await clerk.client.post(
        f"{clerk.home}/webhooks/new",
        data={"csrf": clerk.csrf, "service": world.anna.id, "url": receiver.url, "kinds": ALL},
    )
    assert answer.status_code == 201, answer.text
    secret, found = _SECRET.search(answer.text), _ID.search(answer.text)
    assert secret
    assert found
    receiver.secrets.append(secret[1])
    return found[1]


async def given_up(post: Post, receiver: Receiver, world: World, events: int) -> None:
    """So many events become dead letters, while others are taken."""
    bad: list[str] = []
    receiver.answer = lambda seen: status(400) if seen.message in bad else OK
    await tell(post.pool, world.anna.id, "accepted")
    await post.settle()
    bad += await tell(post.pool, world.anna.id, "accepted", messages=events)
    await post.settle()
    await post.later(days=3, hours=1)
    await post.settle()


async def test_what_a_webhook_is_for_and_what_is_wrong_with_a_form(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    page = await clerk.get("/webhooks")
    assert "Be told, instead of asking" in page
    assert 'href="/docs"' in page
    italian = await clerk.client.get(f"{clerk.home}/webhooks", headers={"Accept-Language": "it"})
    assert "Be told" not in italian.text
    wrong = await clerk.post(
        "/webhooks/new", 400, service=world.bruno.id, url="https://x:y@z.example/<", kinds="other"
    )
    assert "Choose one of your services." in wrong.text
    assert "Tick at least one." in wrong.text
    assert 'value="https://x:y@z.example/&lt;"' in wrong.text
    form = {"service": world.anna.id, "kinds": "read"}
    wrong = await clerk.post("/webhooks/new", 400, url="https://x:y@z.example/", **form)
    assert "It must not hold a name or a password." in wrong.text
    assert 'value="read" checked' in wrong.text
    assert "Be told" in await clerk.get("/webhooks")


async def test_made_tried_changed_and_deleted(
    colleague: Colleague, pool: Pool, world: World, receiver: Receiver, post: Post
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    webhook = await make(clerk, world, receiver)
    at = f"/webhooks/{webhook}"
    assert receiver.secrets[0] not in await clerk.get(at)
    tested = (await clerk.post(f"{at}/test", 200)).text
    assert "Your server answered 204 within" in tested
    assert receiver.seen[-1].type == "test"
    assert receiver.seen[-1].signers == [0]
    receiver.answer = lambda _: status(500)
    tested = (await clerk.post(f"{at}/test", 200)).text
    assert "Test event: not taken" in tested
    assert "Its server answered 500." in tested
    receiver.answer = lambda _: OK
    replaced = (await clerk.post(f"{at}/secret", 200)).text
    second = _SECRET.search(replaced)
    assert second
    receiver.secrets.append(second[1])
    assert "signs beside the new one until" in await clerk.get(at)
    await clerk.post(f"{at}/test", 200)
    assert receiver.seen[-1].signers == [0, 1]
    assert "only the newest secret signs" in await clerk.follow(f"{at}/old-secrets")
    await clerk.post(f"{at}/test", 200)
    assert receiver.seen[-1].signers == [1]
    url = receiver.url.replace("127.0.0.1", "localhost")
    changed = await clerk.follow(f"{at}/change", url=url, kinds="read")
    assert "the webhook is changed" in changed
    assert "localhost" in changed
    wrong = (await clerk.post(f"{at}/change", 400, url="ftp://x", kinds="read")).text
    assert 'value="ftp://x"' in wrong
    assert "it is off" in await clerk.follow(f"{at}/state", state="off")
    assert "Somebody switched it off" in await clerk.get("/webhooks")
    assert "it is on" in await clerk.follow(f"{at}/state", state="on")
    rows = (await clerk.get("/webhooks?format=csv")).splitlines()
    assert len(rows) == 2
    assert "whsec_" not in rows[1]
    assert "Tick this" in (await clerk.post(f"{at}/delete", 400)).text
    assert "the webhook is gone" in await clerk.follow(f"{at}/delete", sure="1")
    await clerk.get(at, 404)


async def test_dead_letters_are_sent_again_ticked_or_all(
    colleague: Colleague, pool: Pool, world: World, receiver: Receiver, post: Post
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    at = f"/webhooks/{await make(clerk, world, receiver)}"
    assert "Nothing was given up." in await clerk.get(f"{at}/dead")
    await given_up(post, receiver, world, 3)
    page = await clerk.get(f"{at}/dead")
    positions = _POSITION.findall(page)
    assert len(positions) == 3
    assert "Its server answered 400." in page
    assert len((await clerk.get(f"{at}/dead?format=csv")).splitlines()) == 4
    assert ">3</a>" in await clerk.get("/webhooks")
    receiver.answer = lambda _: OK
    receiver.seen.clear()
    assert "Tick what to send again." in (await clerk.post(f"{at}/dead", 400, which="ticked")).text
    one = await clerk.follow(f"{at}/dead", which="ticked", position=positions[1])
    assert "1 event is on its way again" in one
    await post.settle()
    assert len(receiver.seen) == 1
    odd = await clerk.follow(f"{at}/dead", which="ticked", position="9" * 19)
    assert "nothing to send again" in odd
    assert "2 events are on their way again" in await clerk.follow(f"{at}/dead", which="all")
    await post.settle()
    assert len(receiver.seen) == 3
    assert len({seen.id for seen in receiver.seen}) == 3
    entries = await rows(
        pool,
        "SELECT actor, detail::text FROM operations.audit WHERE action = 'webhook.replay' "
        "AND subject = $1 ORDER BY id",
        at.rpartition("/")[2],
    )
    assert [entry["detail"] for entry in entries] == [
        f'{{"events": {count}}}' for count in (1, 0, 2)
    ]
    assert {entry["actor"].partition(":")[0] for entry in entries} == {"member"}
    assert "Nothing was given up." in await clerk.get(f"{at}/dead")


async def test_what_waits_is_shown_and_a_stretch_of_time_is_sent_again(
    colleague: Colleague, pool: Pool, world: World, receiver: Receiver, post: Post
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    at = f"/webhooks/{await make(clerk, world, receiver)}"
    await tell(pool, world.anna.id, "accepted")
    await post.settle()
    receiver.answer = lambda _: status(404)
    (message,) = await tell(pool, world.anna.id, "accepted", "processed")
    await post.settle()
    page = await clerk.get(f"{at}/waiting")
    assert message in page
    assert "Its server answered 404." in page
    assert len((await clerk.get(f"{at}/waiting?format=csv")).splitlines()) == 3
    assert "to be tried again" in await clerk.get(at)
    receiver.answer = lambda _: OK
    receiver.seen.clear()
    for wrong, said in (
        ({"since": "x"}, "This is no day with an hour"),
        ({"since": "2000-01-01T00:00"}, "Events are kept for 30 days"),
        ({"since": "2999-01-01T00:00"}, "must come before the last"),
    ):
        text = (await clerk.post(f"{at}/again", 400, **wrong)).text
        assert said in text
        assert f'value="{wrong["since"]}"' in text
    async with pool.connection() as conn:
        since = await conn.raw.fetchval(
            "SELECT to_char(now() - interval '1 hour', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        )
    done = await clerk.follow(f"{at}/again", since=since)
    assert "3 events are on their way again" in done
    await post.settle()
    assert [seen.kind for seen in receiver.seen if seen.message == message] == [
        "accepted",
        "processed",
    ]


@pytest.mark.parametrize("role", ["editor", "sender", "reader"])
async def test_only_admins_may(
    colleague: Colleague,
    other: Colleague,
    pool: Pool,
    world: World,
    receiver: Receiver,
    post: Post,
    running: Running,
    role: Role,
) -> None:
    admin = await clerk_at(colleague, pool, world.anna.institution)
    at = f"/webhooks/{await make(admin, world, receiver)}"
    clerk = await clerk_at(other, pool, world.anna.institution, role)
    for path in ("/webhooks", "/webhooks/new", at, f"{at}/dead", f"{at}/waiting", f"{at}/delete"):
        await clerk.get(path, 403)
    for path in ("new", "state", "secret", "old-secrets", "test", "dead", "again", "delete"):
        await clerk.post("/webhooks/new" if path == "new" else f"{at}/{path}", 403, sure="1")
    foreign = await clerk_at(other, pool, world.bruno.institution, login="foreign")
    await foreign.get(at, 404)
    await foreign.post(f"{at}/test", 404)
    assert receiver.seen == []


async def test_among_many_services_one_is_found_first(
    colleague: Colleague, pool: Pool, world: World, secrets: Secrets
) -> None:
    async with pool.transaction() as conn:
        for number in range(51):
            new = NewService(f"Sportello {number:02}")
            await create_service(conn, ACTOR, world.bruno.institution, new, SANDBOX)
    clerk = await clerk_at(colleague, pool, world.bruno.institution)
    page = await clerk.get("/webhooks/new")
    assert "Which service?" in page
    assert 'name="url"' not in page
    found = await clerk.get("/webhooks/new?find=sportello+07")
    link = re.search(r"/webhooks/new(\?service=[0-9A-Z]{26})\">Sportello 07<", found)
    assert link
    form = await clerk.get(f"/webhooks/new{link[1]}")
    assert "Sportello 07" in form
    assert 'name="url"' in form
    for wrong in ("?find=nothing+like+this", f"?service={world.anna.id}"):
        page = await clerk.get(f"/webhooks/new{wrong}")
        assert 'name="url"' not in page


async def test_another_institutions_webhook_is_not_there(
    colleague: Colleague, other: Colleague, post: Post, receiver: Receiver, world: World
) -> None:
    theirs = await make(
        await clerk_at(colleague, post.pool, world.anna.institution), world, receiver
    )
    await given_up(post, receiver, world, 2)
    bruno = await clerk_at(other, post.pool, world.bruno.institution)
    path = f"/webhooks/{theirs}"
    for page in ("", "/change", "/waiting", "/dead", "/again", "/delete"):
        await bruno.get(path + page, 404)
    forms: dict[str, dict[str, str]] = {
        "/dead": {"what": "all", "go": "all"},
        "/again": {"from_day": "2026-01-01", "from_time": "00:00"},
        "/state": {"state": "off"},
        "/secret": {"sure": "1"},
        "/test": {},
        "/delete": {"sure": "1"},
    }
    before = await rows(post.pool, "SELECT r::text FROM events.webhook_retry AS r ORDER BY 1")
    for end, form in forms.items():
        await bruno.post(path + end, 404, **form)
    after = await rows(post.pool, "SELECT r::text FROM events.webhook_retry AS r ORDER BY 1")
    assert before == after
    assert len(before) == 2
