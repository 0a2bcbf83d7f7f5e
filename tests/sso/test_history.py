"""What citizens see of themselves, what they take back, and the API of their applications."""

import asyncio
import base64
from datetime import timedelta
from itertools import count as numbers
from typing import Any

import pytest

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.sso.history import (
    Visited,
    find_visited,
    list_accesses,
    list_consents,
    withdraw,
)
from tests.conftest import Running
from tests.recipients.person import Person, code, enter
from tests.sso.accesses import CLAIMS, NAMES, add_access, add_client, add_consent, count
from tests.world import World

pytestmark = pytest.mark.anyio

PATHS = ("/api/fims/v1/accesses", "/api/v1/fims/accesses")
EXPORTS = ("/api/fims/v1/export-requests", "/api/v1/fims/export-requests")
_CODES = numbers(1)


def somebody() -> str:
    return code(next(_CODES), "HST")


async def someone(pool: Pool, running: Running, **more: Any) -> Person:
    return await enter(pool, running.client, somebody(), **more)


async def test_accesses_are_newest_first_and_ones_own(pool: Pool, world: World) -> None:
    mine, theirs = somebody(), somebody()
    ids = [await add_access(pool, mine, world.anna, message_id="M") for _ in range(5)]
    await add_access(pool, theirs, world.anna)
    async with pool.connection() as conn:
        found = await list_accesses(conn, mine, 3)
        rest = await list_accesses(conn, mine, 3, found[-1].id)
        other = await list_accesses(conn, theirs, None)
    assert [one.id for one in [*found, *rest]] == ids[::-1]
    assert len(other) == 1
    first = found[0]
    assert (first.service_name, first.institution_name) == ("Anagrafe", "Comune di Anna")
    assert (first.names, first.claims, first.message_id) == (NAMES, CLAIMS, "M")
    assert first.place("en") == "Services portal"
    assert first.place("de") == "Portale dei servizi"


async def test_a_place_without_a_name_is_its_service(pool: Pool, world: World) -> None:
    mine = somebody()
    await add_access(pool, mine, world.bruno, names={})
    async with pool.connection() as conn:
        (found,) = await list_accesses(conn, mine, 10)
    assert found.place("it") == "Biblioteca"


@pytest.mark.parametrize(
    ("outcome", "minutes", "result", "handed_over"),
    [
        ("redeemed", 0, "let_in", CLAIMS),
        ("redeemed", 9999, "let_in", CLAIMS),
        ("granted", 0, "under_way", ()),
        ("granted", 3, "not_taken", ()),
        ("requested", 3, "under_way", ()),
        ("requested", 6, "not_answered", ()),
        ("refused", 0, "refused", ()),
        ("failed", 0, "failed", ()),
    ],
)
async def test_what_came_of_it_is_said_by_now(
    pool: Pool,
    world: World,
    outcome: str,
    minutes: int,
    result: str,
    handed_over: tuple[str, ...],
) -> None:
    mine = somebody()
    at = clock.now() - timedelta(minutes=minutes)
    await add_access(pool, mine, world.anna, outcome, at=at)
    async with pool.connection() as conn:
        (found,) = await list_accesses(conn, mine, 10)
    assert (found.result, found.handed_over) == (result, handed_over)


async def test_consents_that_still_work_are_listed(pool: Pool, world: World) -> None:
    mine, theirs = somebody(), somebody()
    await add_consent(pool, mine, world.anna.id, given=clock.now() - timedelta(days=3))
    await add_consent(
        pool, mine, f"{world.bruno.id}-test"
    )  # its client was never there, or is gone
    await add_consent(pool, mine, world.special.id, days=-1)
    await add_consent(pool, theirs, world.secure.id)
    async with pool.connection() as conn:
        found = await list_consents(conn, mine)
    assert [(one.client_id, one.service_name, one.institution_name) for one in found] == [
        (f"{world.bruno.id}-test", "Biblioteca", "Comune di Bruno"),
        (world.anna.id, "Anagrafe", "Comune di Anna"),
    ]
    assert (found[0].agreed, found[0].refused) == (CLAIMS, ("email",))


async def test_a_consent_is_withdrawn_and_the_site_told(
    pool: Pool, world: World, secrets: Secrets
) -> None:
    mine, theirs = somebody(), somebody()
    client = await add_client(pool, world.anna, logout="https://rp.example.it/logout")
    for fiscal_code in (mine, theirs):
        await add_consent(pool, fiscal_code, client)
        await add_access(pool, fiscal_code, world.anna)
    before = await count(pool, "sso.logout")
    async with pool.transaction() as conn:
        assert await withdraw(conn, secrets, mine, client)
    async with pool.connection() as conn:
        assert await list_consents(conn, mine) == []
        assert len(await list_consents(conn, theirs)) == 1
        entries = await conn.raw.fetch(
            "SELECT actor, detail FROM operations.audit WHERE action = 'sso.consent.withdraw' "
            "AND subject = $1",
            secrets.keyed_hash(mine),
        )
    assert await count(pool, "sso.logout") == before + 1
    assert [row["actor"] for row in entries] == ["citizen"]
    assert client in entries[0]["detail"]
    assert mine not in entries[0]["detail"]


async def test_without_a_consent_only_who_was_let_in_can_leave(
    pool: Pool, world: World, secrets: Secrets
) -> None:
    client = await add_client(pool, world.anna, logout="https://rp.example.it/logout")
    entered, refused, elsewhere = somebody(), somebody(), somebody()
    await add_access(pool, entered, world.anna)
    for outcome in ("refused", "requested", "granted"):
        await add_access(pool, refused, world.anna, outcome)
    await add_access(pool, elsewhere, world.bruno)
    await add_access(pool, elsewhere, world.anna, client_id=f"{world.anna.id}-test")
    before = await count(pool, "sso.logout")
    async with pool.transaction() as conn:
        assert await find_visited(conn, entered, client) == Visited(
            client, "Anagrafe", "Comune di Anna", is_remembered=False
        )
        assert await withdraw(conn, secrets, entered, client)
        assert await withdraw(conn, secrets, entered, client)  # again: told again
        for fiscal_code in (refused, elsewhere):
            assert await find_visited(conn, fiscal_code, client) is None
            assert not await withdraw(conn, secrets, fiscal_code, client)
    assert await count(pool, "sso.logout") == before + 2


@pytest.mark.parametrize("client_id", ["", "x", "\x00", "\ud800", "-test", "x" * 10_000])
async def test_a_strange_client_is_none(
    pool: Pool, world: World, secrets: Secrets, client_id: str
) -> None:
    async with pool.transaction() as conn:
        assert not await withdraw(conn, secrets, somebody(), client_id)


async def test_the_api_answers_as_the_reference_platform(
    pool: Pool, running: Running, world: World
) -> None:
    me = await someone(pool, running)
    at = clock.now() - timedelta(days=2)
    access_id = await add_access(pool, me.code, world.anna, at=at)
    for path in PATHS:
        answer = await me.get(path)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json() == {
            "data": [
                {
                    "id": access_id,
                    "fiscal_code": me.code,
                    "service_id": world.anna.id,
                    "timestamp": clock.to_wire(at),
                    "redirect": {
                        "uri": "https://rp.example.it/callback",
                        "display_name": "Portale dei servizi",
                    },
                }
            ]
        }


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, NAMES["it"]),
        ("it-IT", NAMES["it"]),
        ("en-GB,it;q=0.8", NAMES["en"]),
        ("de, en", NAMES["en"]),
        ("de", NAMES["it"]),
        ("\xff" * 9000, NAMES["it"]),
    ],
)
async def test_the_place_is_named_in_the_language_asked_for(
    pool: Pool, running: Running, world: World, header: str | None, name: str
) -> None:
    me = await someone(pool, running)
    await add_access(pool, me.code, world.anna)
    headers = {"Accept-Language": header.encode("latin-1") if header else b""}
    answer = await me.request("GET", PATHS[0], headers=headers)
    assert answer.json()["data"][0]["redirect"]["display_name"] == name


async def test_the_api_is_leafed_through(pool: Pool, running: Running, world: World) -> None:
    me, other = await someone(pool, running), await someone(pool, running)
    agreed = []
    for number in range(31):
        outcome = ("redeemed", "granted")[number % 2]
        agreed.append(await add_access(pool, me.code, world.anna, outcome))
        await add_access(pool, me.code, world.anna, ("refused", "failed", "requested")[number % 3])
        await add_access(pool, other.code, world.anna)
    seen, sizes, page = [], [], ""
    for _ in range(3):
        body = (await me.get(PATHS[0] + page)).json()
        seen += [one["id"] for one in body["data"]]
        sizes.append(len(body["data"]))
        page = f"?page={body.get('next')}"
    assert seen == agreed[::-1]
    assert sizes == [15, 15, 1]
    assert page == "?page=None"


async def test_exactly_a_page_has_no_next(pool: Pool, running: Running, world: World) -> None:
    me = await someone(pool, running)
    assert (await me.get(PATHS[0])).json() == {"data": []}
    for _ in range(15):
        await add_access(pool, me.code, world.anna)
    body = (await me.get(PATHS[0])).json()
    assert (len(body["data"]), "next" in body) == (15, False)


def token(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "page",
    [
        "",
        "x",
        "1",
        new_id(),
        token("x" * 26),
        token(new_id() + "\n"),
        token(new_id().lower()),
        token(new_id()) + "=",
        token(new_id()) + "%0A",
        "%00",
        "%F0%9F%98%80",
        "%ED%A0%80",
        "A" * 5000,
    ],
)
@pytest.mark.parametrize("path", PATHS)
async def test_a_page_that_was_changed_is_refused_by_name(
    pool: Pool, running: Running, path: str, page: str
) -> None:
    me = await someone(pool, running)
    answer = await me.get(f"{path}?page={page}")
    assert (answer.status_code, answer.json()["field"]) == (400, "page")


async def test_anothers_page_shows_nothing_of_theirs(
    pool: Pool, running: Running, world: World
) -> None:
    me, other = await someone(pool, running), await someone(pool, running)
    for _ in range(16):
        await add_access(pool, other.code, world.anna)
    following = (await other.get(PATHS[0])).json()["next"]
    assert (await me.get(f"{PATHS[0]}?page={following}")).json() == {"data": []}


@pytest.mark.parametrize("path", EXPORTS)
async def test_the_export_asks_for_the_archive_once(
    pool: Pool, running: Running, path: str
) -> None:
    me = await someone(pool, running)
    answers = await asyncio.gather(*(me.post(path) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409]
    (taken,) = [answer.json() for answer in answers if answer.status_code == 202]
    assert set(taken) == {"id"}
    waiting = await me.get("/api/identity/v1/user-data-processing/DOWNLOAD")
    assert waiting.json()["status"] == "PENDING"


async def test_who_has_no_profile_is_told_so(pool: Pool, running: Running) -> None:
    me = await someone(pool, running, profile=False)
    assert (await me.post(EXPORTS[0])).status_code == 404
    assert (await me.get(PATHS[0])).json() == {"data": []}
