"""Tickets that buttons leave: for whom, for how long, and once."""

import asyncio
import json
import secrets as random
from datetime import timedelta

import pytest

from messo.base import clock
from messo.base.db import Pool
from messo.services.services import set_state
from messo.sso import launch
from messo.sso.known_sites import KnownSites, origin_of
from messo.sso.launch import Ticket
from tests.world import ACTOR, Caller, World

pytestmark = pytest.mark.anyio

SITE = "https://accesso.anna.example"


async def register(pool: Pool, service: Caller, *uris: str, environment: str = "live") -> str:
    """A client of a service, as its institution registers it; its id. A second time replaces it."""
    client_id = service.id if environment == "live" else f"{service.id}-test"
    redirects = [{"uri": uri, "it": "Sito di prova"} for uri in uris]
    async with pool.connection() as conn:
        await conn.raw.execute(
            "INSERT INTO sso.client (id, service_id, environment, redirects, "
            "post_logout_redirect_uris, auth_method, secret_digest, id_token_alg, "
            "request_protection, subject_type, optional_claims, created_at, changed_at) VALUES "
            "($1, $2, $3, $4::text::jsonb, '{}', 'client_secret_basic', '\\x00', 'RS256', "
            "'pkce_or_nonce', 'pairwise', '{}', $5, $5) "
            "ON CONFLICT (id) DO UPDATE SET redirects = excluded.redirects",
            client_id,
            service.id,
            environment,
            json.dumps(redirects),
            clock.now(),
        )
        await conn.script("UPDATE services.version SET number = number + 1")
    return client_id


async def leave(
    pool: Pool, session: bytes, service: Caller, address: str, message_id: str | None = "M1"
) -> int:
    async with pool.transaction() as conn:
        return await launch.leave(conn, session, service.id, address, message_id)


async def take(pool: Pool, session: bytes, client_id: str) -> Ticket | None:
    async with pool.transaction() as conn:
        return await launch.take(conn, session, client_id)


async def has(pool: Pool, session: bytes, client_id: str) -> bool:
    return await take(pool, session, client_id) is not None


@pytest.fixture
def session() -> bytes:
    """The digest of a session that no other test has."""
    return random.token_bytes(32)


@pytest.fixture
async def anna_site(pool: Pool, world: World) -> str:
    return await register(pool, world.anna, f"{SITE}/callback", "https://altro.anna.example/cb")


async def test_a_ticket_is_taken_once(
    pool: Pool, world: World, session: bytes, anna_site: str
) -> None:
    assert await leave(pool, session, world.anna, f"{SITE}/pratica?x=1") == 1
    assert await take(pool, session, anna_site) == Ticket("M1")
    assert await take(pool, session, anna_site) is None


async def test_of_two_that_ask_at_once_one_has_it(
    pool: Pool, world: World, session: bytes, anna_site: str
) -> None:
    await leave(pool, session, world.anna, SITE)
    taken = await asyncio.gather(*(take(pool, session, anna_site) for _ in range(5)))
    assert [ticket for ticket in taken if ticket] == [Ticket("M1")]


async def test_a_ticket_is_of_its_session_and_client(
    pool: Pool, world: World, session: bytes, anna_site: str
) -> None:
    other = await register(pool, world.secure, "https://referti.anna.example/cb")
    await leave(pool, session, world.anna, SITE)
    assert not await has(pool, random.token_bytes(32), anna_site)
    assert not await has(pool, session, other)
    assert not await has(pool, session, f"{anna_site}-test")
    assert await has(pool, session, anna_site)


async def test_a_late_ticket_is_none_and_gone(
    pool: Pool, world: World, session: bytes, anna_site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for late, found in ((119, True), (120, False)):
        await leave(pool, session, world.anna, SITE)
        moment = clock.now() + timedelta(seconds=late)
        with monkeypatch.context() as patched:
            patched.setattr(clock, "now", lambda moment=moment: moment)
            assert await has(pool, session, anna_site) is found
        assert not await has(pool, session, anna_site)


async def test_who_presses_again_has_one_newer_ticket(
    pool: Pool, world: World, session: bytes, anna_site: str
) -> None:
    await leave(pool, session, world.anna, SITE, "M1")
    await leave(pool, session, world.anna, SITE, None)
    assert await take(pool, session, anna_site) == Ticket(None)
    assert not await has(pool, session, anna_site)


async def test_the_clients_of_the_whole_institution_have_tickets(
    pool: Pool, world: World, session: bytes, anna_site: str
) -> None:
    """A message of one service may lead to the site of another, or to its trial."""
    trial = await register(pool, world.secure, f"{SITE}:443/prova", environment="test")
    assert await leave(pool, session, world.special, f"{SITE}/x") == 2
    assert await has(pool, session, anna_site)
    assert await has(pool, session, trial)
    await register(pool, world.secure, "https://altrove.example/cb", environment="test")


async def test_another_institutions_client_has_none(
    pool: Pool, world: World, session: bytes, anna_site: str
) -> None:
    theirs = await register(pool, world.bruno, f"{SITE}/callback")
    assert await leave(pool, session, world.anna, SITE) == 1
    assert not await has(pool, session, theirs)
    assert await leave(pool, session, world.bruno, "https://altro.anna.example/") == 0
    assert not await has(pool, session, theirs)


@pytest.mark.parametrize(
    "address",
    [
        "https://anna.example/",
        "https://x.accesso.anna.example/",
        "https://accesso.anna.example.evil.example/",
        "https://accesso.anna.example:8443/",
        "http://accesso.anna.example/",
        "https://evil.example/accesso.anna.example",
        "https://",
        "https://accesso.anna.example:99999/",
        "https://[::1/",
        "",
    ],
)
async def test_only_the_same_origin_has_a_ticket(
    pool: Pool, world: World, session: bytes, anna_site: str, address: str
) -> None:
    assert await leave(pool, session, world.anna, address) == 0
    assert not await has(pool, session, anna_site)


@pytest.mark.parametrize("table", ["service", "institution"])
async def test_a_client_that_may_not_be_used_has_none(
    pool: Pool, world: World, session: bytes, table: str
) -> None:
    client = await register(pool, world.limited, "https://acqua.example/cb")
    where = world.limited.id if table == "service" else world.limited.institution

    async def suspend(value: str) -> None:
        async with pool.connection() as conn:
            await conn.script(
                f"UPDATE services.{table} SET suspended_at = {value} WHERE id = '{where}'"
            )

    await suspend("now()")
    assert await leave(pool, session, world.limited, "https://acqua.example/") == 0
    await suspend("NULL")
    assert await leave(pool, session, world.limited, "https://acqua.example/") == 1
    assert await has(pool, session, client)


async def test_a_deleted_services_client_has_none(pool: Pool, world: World, session: bytes) -> None:
    await register(pool, world.draft, "https://bozza.example/cb")
    assert await leave(pool, session, world.anna, "https://bozza.example/") == 1
    async with pool.transaction() as conn:
        await set_state(conn, ACTOR, world.draft.id, "deleted")
    assert await leave(pool, session, world.anna, "https://bozza.example/") == 0


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://A.Example/x?y#z", "https://a.example"),
        ("HTTPS://a.example:443", "https://a.example"),
        ("http://a.example:80/", "http://a.example"),
        ("http://a.example:443/", "http://a.example:443"),
        ("https://a.example:8443/", "https://a.example:8443"),
        ("https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443"),
        ("https://a.example./", "https://a.example."),
        ("ftp://a.example", None),
        ("a.example", None),
        ("https:///x", None),
        ("https://a.example:x", None),
        ("https://[a", None),
    ],
)
def test_origins(address: str, origin: str | None) -> None:
    assert origin_of(address) == origin


async def test_known_sites_are_read_once_and_again_after_a_change(pool: Pool, world: World) -> None:
    await register(pool, world.bruno, "https://uno.example/cb", "https://due.example:444/cb")
    version = 1
    sites = KnownSites(pool, lambda: version)
    known = frozenset({"https://uno.example", "https://due.example:444"})
    assert await sites.of(world.bruno.institution) == known
    await register(pool, world.bruno, "https://tre.example/cb")
    assert await sites.of(world.bruno.institution) == known  # from memory
    version = 2
    assert await sites.of(world.bruno.institution) == frozenset({"https://tre.example"})
    assert await sites.of("nobody") == frozenset()


async def test_sites_read_in_the_midst_of_a_change_are_not_remembered(
    pool: Pool, world: World
) -> None:
    """What was read under the old number may lack what the new one stands for."""
    await register(pool, world.bruno, "https://uno.example/cb")
    numbers = iter([1, 1, 2])
    sites = KnownSites(pool, lambda: next(numbers, 2))
    assert await sites.of(world.bruno.institution) == frozenset({"https://uno.example"})
    await register(pool, world.bruno, "https://due.example/cb")
    assert await sites.of(world.bruno.institution) == frozenset({"https://due.example"})


async def test_many_who_wait_for_sites_cause_one_look(pool: Pool, world: World) -> None:
    await register(pool, world.bruno, "https://uno.example/cb")
    sites = KnownSites(pool, lambda: 1)
    async with asyncio.timeout(5):
        found = await asyncio.gather(*(sites.of(world.bruno.institution) for _ in range(50)))
    assert set(found) == {frozenset({"https://uno.example"})}
    assert all(one is found[0] for one in found), "each looked for itself"
