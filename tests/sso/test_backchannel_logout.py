"""Sites are told that a login has ended: whom, what, how often, and what becomes of their answers."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
import structlog

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.outbound import Outbound
from messo.base.outward import Sending
from messo.base.work import Worker
from messo.inbox.visit import Site
from messo.login import Identity, client_limits, list_sessions, open_session
from messo.settings import Settings
from messo.sso import claims, logout
from messo.sso.clients import Client, find_client
from messo.sso.keys import Keys
from tests.base.test_outbound import serving
from tests.conftest import Running
from tests.events.receiver import GARBAGE, HANG, HUGE, RESET, status
from tests.inbox.pages import LEVEL, Browser, log_in
from tests.sso.site_told import LOOPBACK, OK, Post, TellingSite, let_in, register, tell, telling
from tests.world import ACTIVATED, AUTO, MANUAL, World

pytestmark = pytest.mark.anyio

AGAIN = {
    "500": status(500),
    "501": status(501),
    "503": status(503),
    "429": status(429),
    "404": status(404),
    "reset": RESET,
    "garbage": GARBAGE,
    "hang": HANG,
}


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(rate_limit=100_000, rate_burst=100_000, outbound_networks=LOOPBACK)


@pytest.fixture
def keys(pool: Pool, secrets: Secrets) -> Keys:
    return Keys(pool, secrets)


@pytest.fixture
async def told(keys: Keys) -> AsyncIterator[TellingSite]:
    async with telling(keys) as started:
        yield started


@pytest.fixture
async def post(pool: Pool, world: World, secrets: Secrets, keys: Keys) -> AsyncIterator[Post]:
    # A host that fails is asked again at once: when it is asked is what these tests are about.
    outbound = Outbound(LOOPBACK, open_s=0.01)
    made = Post(pool, keys, outbound, secrets)
    yield made
    await made.clear()
    await outbound.close()


async def end(pool: Pool, secrets: Secrets, fiscal_code: str, session_ids: list[str] | None) -> int:
    async with pool.transaction() as conn:
        return await logout.of_sessions(conn, secrets, fiscal_code, session_ids)


async def queue_one(post: Post, site: TellingSite, world: World) -> str:
    client_id = await register(post.pool, world.anna.id, site.uri)
    async with post.pool.transaction() as conn:
        assert await tell(conn, post.secrets, [client_id], AUTO, "S1") == 1
    return client_id


async def client_of(pool: Pool, client_id: str) -> Client:
    async with pool.connection() as conn:
        found = await find_client(conn, client_id)
    assert found is not None
    return found


async def whose(
    post: Post, client_id: str, fiscal_code: str, session_id: str | None
) -> tuple[str, str | None]:
    client = await client_of(post.pool, client_id)
    sid = claims.session_reference(post.secrets, client, session_id) if session_id else None
    return claims.subject(post.secrets, client, fiscal_code), sid


# -- what they are told


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
@pytest.mark.parametrize("subject_type", ["pairwise", "fiscal_code"])
async def test_a_site_is_told_whose_login_has_ended(
    post: Post, told: TellingSite, world: World, alg: str, subject_type: str
) -> None:
    client_id = await register(
        post.pool, world.anna.id, told.uri, id_token_alg=alg, subject_type=subject_type
    )
    await let_in(post.pool, AUTO, client_id, "S1")
    assert await end(post.pool, post.secrets, AUTO, ["S1"]) == 1
    assert await post.round() == 1
    (one,) = told.told
    assert one.header["alg"] == alg
    assert one.claims["aud"] == client_id
    assert one.whose == await whose(post, client_id, AUTO, "S1")
    assert (one.claims["sub"] == AUTO) is (subject_type == "fiscal_code")
    assert await post.left() == []


async def test_two_sites_cannot_tell_that_it_is_the_same_login(
    post: Post, told: TellingSite, world: World
) -> None:
    for who in (world.anna, world.bruno):
        await let_in(post.pool, AUTO, await register(post.pool, who.id, told.uri), "S1")
    assert await end(post.pool, post.secrets, AUTO, ["S1"]) == 2
    await post.round()
    assert {one.claims["aud"] for one in told.told} == {world.anna.id, world.bruno.id}
    for claim in ("sub", "sid", "jti"):
        assert len({one.claims[claim] for one in told.told}) == 2, claim


async def test_only_sites_that_were_entered_in_these_sessions(
    post: Post, told: TellingSite, world: World
) -> None:
    pool, long_ago = post.pool, clock.now() - timedelta(days=30, minutes=1)
    client_id = await register(pool, world.anna.id, told.uri)
    quiet = await register(pool, world.bruno.id, None)
    for session_id, outcome, at in (
        ("S1", "redeemed", None),
        ("S1", "redeemed", None),  # twice: told once
        ("S2", "redeemed", None),
        ("S3", "redeemed", long_ago),
        ("S4", "requested", None),
        ("S5", "refused", None),
        ("S6", "granted", None),
        ("S7", "redeemed", None),
    ):
        await let_in(pool, AUTO, client_id, session_id, outcome, at)
    await let_in(pool, AUTO, quiet, "S1")
    await let_in(pool, AUTO, f"{world.draft.id}", "S1")  # never was a client, or is none any more
    await let_in(pool, MANUAL, client_id, "S1")
    ended = ["S1", "S2", "S3", "S4", "S5", "S6"]
    assert await end(pool, post.secrets, AUTO, ended) == 2
    await post.round()
    expected = [await whose(post, client_id, AUTO, session) for session in ("S1", "S2")]
    assert sorted(one.whose for one in told.told) == sorted(expected)
    assert await end(pool, post.secrets, AUTO, []) == 0


async def test_all_sessions_are_one_telling_for_each_site_and_name_none(
    post: Post, told: TellingSite, world: World
) -> None:
    clients = [await register(post.pool, who.id, told.uri) for who in (world.anna, world.bruno)]
    clients.append(await register(post.pool, world.anna.id, told.uri, environment="test"))
    for client_id in clients:
        for session_id in ("S1", "S2"):
            await let_in(post.pool, AUTO, client_id, session_id)
    assert await end(post.pool, post.secrets, AUTO, None) == 3
    await post.round()
    assert {(one.claims["aud"], *one.whose) for one in told.told} == {
        (client_id, *await whose(post, client_id, AUTO, None)) for client_id in clients
    }
    assert len(told.told) == 3


async def test_nothing_that_is_stored_names_the_citizen(
    post: Post, told: TellingSite, world: World
) -> None:
    client_id = await register(post.pool, world.anna.id, told.uri, subject_type="fiscal_code")
    await let_in(post.pool, AUTO, client_id, "S1")
    await end(post.pool, post.secrets, AUTO, ["S1"])
    (row,) = await post.left()
    assert AUTO not in str(row)
    assert row["bucket"] == post.pool.bucket(row["id"])
    opened = logout.unseal(post.secrets, row["id"], row["sealed"])
    assert opened.sub == AUTO


async def test_a_site_that_never_got_the_fiscal_code_is_not_told_it(
    post: Post, told: TellingSite, world: World
) -> None:
    """Its type was changed after the citizen had agreed to less."""
    client_id = await register(post.pool, world.anna.id, told.uri, subject_type="fiscal_code")
    await let_in(post.pool, AUTO, client_id, "S1", claims=("given_name",))
    await end(post.pool, post.secrets, AUTO, ["S1"])
    (row,) = await post.left()
    opened = logout.unseal(post.secrets, row["id"], row["sealed"])
    assert len(opened.sub) == 43


async def test_what_is_rolled_back_is_not_told(post: Post, told: TellingSite, world: World) -> None:
    client_id = await register(post.pool, world.anna.id, told.uri)

    async def fail() -> None:
        async with post.pool.transaction() as conn:
            assert await tell(conn, post.secrets, [client_id], AUTO, None) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await post.left() == []


async def test_clients_that_do_not_exist_are_passed_over(
    post: Post, told: TellingSite, world: World
) -> None:
    client_id = await register(post.pool, world.anna.id, told.uri)
    async with post.pool.transaction() as conn:
        ids = ["nobody", client_id, world.bruno.id]
        assert await tell(conn, post.secrets, ids, AUTO, None) == 1
        assert await tell(conn, post.secrets, [], AUTO, None) == 0
        assert await tell(conn, post.secrets, ["nobody"], AUTO, None) == 0
    await post.round()
    assert [one.claims["aud"] for one in told.told] == [client_id]


# -- what they answer


@pytest.mark.parametrize("code", [200, 204])
async def test_an_answer_that_takes_it_ends_it(
    post: Post, told: TellingSite, world: World, code: int
) -> None:
    await queue_one(post, told, world)
    told.answer = lambda _: status(code)
    await post.round()
    assert await post.left() == []
    assert await post.round() == 0


async def test_how_long_the_answer_is_does_not_matter(
    post: Post, told: TellingSite, world: World
) -> None:
    await queue_one(post, told, world)
    told.answer = lambda _: HUGE
    await post.round()
    assert await post.left() == []


@pytest.mark.parametrize("way", AGAIN)
async def test_a_site_that_fails_is_told_again_with_another_token(
    post: Post, told: TellingSite, world: World, way: str
) -> None:
    await queue_one(post, told, world)
    told.answer = lambda _: AGAIN[way]
    await post.round()
    (row,) = await post.left()
    assert row["attempts"] == 1
    assert row["due_at"] > clock.now() + timedelta(seconds=2)
    assert await post.round() == 0, "not before its time"
    told.answer = lambda _: OK
    await post.later(seconds=10)
    assert await post.round() == 1
    first, second = told.told
    assert first.whose == second.whose
    assert first.claims["jti"] != second.claims["jti"]
    assert await post.left() == []


async def test_a_site_says_when_to_come_again(post: Post, told: TellingSite, world: World) -> None:
    await queue_one(post, told, world)
    told.answer = lambda _: status(503, "retry-after: 600")
    await post.round()
    (row,) = await post.left()
    assert row["due_at"] > clock.now() + timedelta(seconds=590)


async def test_a_port_where_nobody_listens_is_asked_again(
    post: Post, told: TellingSite, world: World
) -> None:
    told.port, port = 1, told.port
    await queue_one(post, told, world)
    told.port = port
    await post.round()
    (row,) = await post.left()
    assert row["attempts"] == 1
    # The address counts that the client has when it is told.
    await register(post.pool, world.anna.id, told.uri)
    await post.later(seconds=10)
    await post.round()
    assert len(told.told) == 1


async def test_400_is_given_up_and_logged_without_the_person(
    post: Post, told: TellingSite, world: World
) -> None:
    client_id = await queue_one(post, told, world)
    told.answer = lambda _: status(400)
    with structlog.testing.capture_logs() as lines:
        await post.round()
    assert await post.left() == []
    assert len(told.told) == 1
    (line,) = [one for one in lines if one["event"] == "logout given up"]
    assert line == {
        "event": "logout given up",
        "log_level": "warning",
        "client": client_id,
        "why": "status 400",
    }


async def test_after_a_day_it_is_given_up(post: Post, told: TellingSite, world: World) -> None:
    await queue_one(post, told, world)
    told.answer = lambda _: status(500)
    await post.later(hours=23, minutes=59)
    await post.round()
    assert len(await post.left()) == 1
    await post.later(minutes=2)
    await post.round()
    assert len(told.told) == 2
    assert await post.left() == []


async def test_a_redirect_is_not_followed(post: Post, told: TellingSite, world: World) -> None:
    async def welcome(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()

    async with serving(welcome) as elsewhere:
        await queue_one(post, told, world)
        told.answer = lambda _: status(307, f"location: {elsewhere.url}/")
        await post.round()
        assert elsewhere.heads == []
    assert len(told.told) == 1
    (row,) = await post.left()
    assert row["attempts"] == 1


async def test_a_private_address_is_never_called(
    post: Post, told: TellingSite, world: World
) -> None:
    """As in production, where no network is listed: it was allowed when the client was made."""
    await queue_one(post, told, world)
    strict = Outbound(Settings().outbound_networks)
    await Post(post.pool, post.keys, strict, post.secrets).round()
    await strict.close()
    assert told.told == []
    assert await post.left() == []


async def test_a_site_that_hangs_holds_up_nobody(
    post: Post, told: TellingSite, world: World, keys: Keys
) -> None:
    hanging = await register(post.pool, world.anna.id, told.uri)
    told.answer = lambda _: HANG
    async with telling(keys) as good:
        quick = await register(post.pool, world.bruno.id, good.uri)
        async with post.pool.transaction() as conn:
            for number in range(60):
                await tell(conn, post.secrets, [hanging], AUTO, f"S{number}")
            await tell(conn, post.secrets, [quick], AUTO, "S1")
        sending = asyncio.create_task(post.round())
        await asyncio.wait_for(good.arrived.wait(), 5)
        assert not sending.done(), "the others are still under way"
        await sending
    assert len(await post.left()) == 60


async def test_a_site_that_hangs_holds_up_no_other_at_its_host(
    post: Post, told: TellingSite, world: World
) -> None:
    """As on a platform that several institutions share."""
    hanging = await register(post.pool, world.anna.id, told.uri)
    quick = await register(post.pool, world.bruno.id, told.uri)
    told.answer = lambda one: HANG if one.claims["aud"] == hanging else OK
    async with post.pool.transaction() as conn:
        for number in range(8):
            await tell(conn, post.secrets, [hanging], AUTO, f"S{number}")
    await post.round()
    async with post.pool.transaction() as conn:
        await tell(conn, post.secrets, [quick], AUTO, "S1")
    await post.round()
    assert {row["client_id"] for row in await post.left()} == {hanging}


async def test_what_a_killed_worker_had_claimed_is_told_when_its_lease_ends(
    post: Post, told: TellingSite, world: World
) -> None:
    await queue_one(post, told, world)

    async def nothing(*_: Any) -> None: ...

    await Sending(replace(post.step, record=nothing), post.pool, post.pool.buckets).once()
    assert len(told.told) == 1
    assert await post.round() == 0, "the lease holds"
    await post.later(seconds=31)
    assert await post.round() == 1
    assert len(told.told) == 2
    assert await post.left() == []


async def test_two_workers_share_what_there_is(post: Post, told: TellingSite, world: World) -> None:
    client_id = await register(post.pool, world.anna.id, told.uri)
    async with post.pool.transaction() as conn:
        for number in range(20):
            await tell(conn, post.secrets, [client_id], AUTO, f"S{number}")
    await asyncio.gather(*(post.round() for _ in range(3)))
    await post.round()
    assert len({one.whose for one in told.told}) == len(told.told) == 20
    assert await post.left() == []


GONE = {
    "client": "DELETE FROM sso.client WHERE id = $1",
    "address": "UPDATE sso.client SET backchannel_logout_uri = NULL WHERE id = $1",
    "service": "UPDATE services.service SET suspended_at = now() WHERE id = $1",
}


@pytest.mark.parametrize("what", GONE)
async def test_a_client_that_is_gone_is_not_told(
    post: Post, told: TellingSite, world: World, what: str
) -> None:
    client_id = await queue_one(post, told, world)
    async with post.pool.transaction() as conn:
        await conn.raw.execute(GONE[what], client_id)
    try:
        assert await post.round() == 0
        assert told.told == []
        assert await post.left() == []
    finally:
        async with post.pool.transaction() as conn:
            await conn.raw.execute("UPDATE services.service SET suspended_at = NULL")


async def test_what_cannot_be_opened_any_more_is_dropped(
    post: Post, told: TellingSite, world: World
) -> None:
    await queue_one(post, told, world)
    async with post.pool.transaction() as conn:
        await conn.raw.execute("UPDATE sso.logout SET sealed = $1", b"\x01x" + b"y" * 60)
    await post.round()
    assert told.told == []
    assert await post.left() == []


# -- what brings it about


@pytest.fixture
def pages(running: Running) -> Site:
    found: Site = running.started.app.pages.state.site
    return found


@pytest.fixture
async def ada(
    pool: Pool, pages: Site, running: Running, post: Post, told: TellingSite, world: World
) -> Browser:
    """A citizen who has entered a site, and its other one in another session."""
    browser = await log_in(pool, pages, running.client, ACTIVATED)
    client_id = await register(pool, world.anna.id, told.uri)
    await let_in(pool, ACTIVATED, client_id, browser.session_id)
    other = await register(pool, world.bruno.id, told.uri)
    await let_in(pool, ACTIVATED, other, "another")
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE recipients.profile SET accepted_tos_version = 1.0 WHERE fiscal_code = $1",
            ACTIVATED,
        )
    return browser


async def told_to(post: Post, site: TellingSite) -> set[tuple[str, bool]]:
    """Which clients, and whether of one session."""
    await post.round()
    assert len({(one.claims["aud"], *one.whose) for one in site.told}) == len(site.told)
    return {(one.claims["aud"], "sid" in one.claims) for one in site.told}


async def test_logging_out_tells_the_sites_of_this_session(
    ada: Browser, post: Post, told: TellingSite, world: World
) -> None:
    page = await ada.page("/sessions")
    answer = await ada.send(page.form("/logout"), csrf="wrong")
    assert answer.status_code == 403
    assert await told_to(post, told) == set()
    assert (await ada.send(page.form("/logout"))).status_code == 303
    assert await told_to(post, told) == {(world.anna.id, True)}
    assert told.told[0].whose == await whose(post, world.anna.id, ACTIVATED, ada.session_id)


async def test_closing_a_session_tells_its_sites(
    ada: Browser,
    pool: Pool,
    pages: Site,
    running: Running,
    post: Post,
    told: TellingSite,
    world: World,
) -> None:
    there = await log_in(pool, pages, running.client, ACTIVATED)
    page = await there.page("/sessions")
    form = page.form("/sessions", id=ada.session_id)
    assert (await there.send(form)).status_code == 303
    assert await told_to(post, told) == {(world.anna.id, True)}
    assert (await there.send(form)).status_code == 404, "closed already"
    assert (await there.send(form, id="another")).status_code == 404
    assert len(told.told) == 1
    assert await post.left() == []


async def test_anothers_session_is_neither_closed_nor_told(
    ada: Browser, pool: Pool, pages: Site, running: Running, post: Post, told: TellingSite
) -> None:
    other = await log_in(pool, pages, running.client, AUTO)
    page = await other.page("/sessions")
    form = page.form("/sessions", id=other.session_id)
    assert (await other.send(form, id=ada.session_id)).status_code == 404
    assert await told_to(post, told) == set()


async def test_logging_out_everywhere_tells_all_sites_that_all_is_over(
    ada: Browser, post: Post, told: TellingSite, world: World
) -> None:
    page = await ada.page("/sessions")
    await ada.send(page.form("/sessions", action="everywhere"))
    assert await told_to(post, told) == {(world.anna.id, False), (world.bruno.id, False)}


@pytest.mark.parametrize("way", ["logout", "close", "everywhere"])
async def test_applications_that_log_out_tell_them_too(
    ada: Browser,
    pool: Pool,
    settings: Settings,
    running: Running,
    post: Post,
    told: TellingSite,
    world: World,
    way: str,
) -> None:
    limits = client_limits(settings)
    identity = Identity(ACTIVATED, "Ada", "Prova", LEVEL)
    async with pool.transaction() as conn:
        token = await open_session(conn, identity, "client", f"App {way}", limits)
        sessions = await list_sessions(conn, ACTIVATED, limits)
    (mine,) = [one.id for one in sessions if one.client == f"App {way}"]
    await let_in(pool, ACTIVATED, world.bruno.id, mine)

    async def ask(method: str, path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return await running.client.request(method, f"/api/auth/v1{path}", headers=headers)

    if way == "logout":
        answer, expected = await ask("POST", "/logout"), {(world.bruno.id, True)}
    elif way == "close":
        assert (await ask("DELETE", "/sessions/01ARZ3NDEKTSV4RRFFQ69G5FAV")).status_code == 404
        answer = await ask("DELETE", f"/sessions/{ada.session_id}")
        expected = {(world.anna.id, True)}
    else:
        answer = await ask("DELETE", "/sessions")
        expected = {(world.anna.id, False), (world.bruno.id, False)}
    assert answer.status_code == 200
    assert await told_to(post, told) == expected


async def test_the_worker_tells(
    ada: Browser, worker: Worker, settings: Settings, told: TellingSite, world: World
) -> None:
    told.issuer = settings.public_url
    page = await ada.page("/sessions")
    await ada.send(page.form("/logout"))
    await worker.send_once()
    assert [one.claims["aud"] for one in told.told] == [world.anna.id]
