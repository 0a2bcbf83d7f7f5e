"""The catalogue of services: what is listed, what is found, how services describe themselves."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messo.base.db import Pool
from messo.base.ids import new_id
from messo.sandbox.descriptions import described
from messo.sandbox.world import INSTITUTIONS
from messo.services import catalog, contacts
from messo.services.services import (
    NewService,
    NotAcceptedError,
    create_institution,
    create_service,
    describe_service,
    set_state,
    suspend_institution,
    suspend_service,
)
from tests.conftest import Running
from tests.messages.mail import log_in
from tests.world import ACTOR, AUTO, SANDBOX, World

PATH = "/api/catalog/v1"
NUMBERS = iter(range(200, 900))


@pytest.fixture(scope="module")
async def headers(running: Running) -> dict[str, str]:
    return await log_in(running, AUTO)


async def get(running: Running, headers: Any, path: str, expect: int = 200, **query: Any) -> Any:
    answer = await running.client.get(PATH + path, params=query, headers=headers)
    assert answer.status_code == expect, answer.text
    return answer.json()


async def institution(pool: Pool, name: str, *services: NewService) -> tuple[str, str, list[str]]:
    """A new institution with services: its id, its fiscal code, theirs."""
    fiscal_code = f"{next(NUMBERS):011d}"
    async with pool.transaction() as conn:
        made = await create_institution(conn, ACTOR, fiscal_code, name, "a@example.org")
        ids = [await create_service(conn, ACTOR, made, one, SANDBOX) for one in services]
    return made, fiscal_code, ids


# One service ------------------------------------------------------------------------------------


async def test_a_service_tells_what_it_is_for_and_how_to_reach_it(
    running: Running, pool: Pool, headers: Any
) -> None:
    told = {"email": "a@example.org", "web_url": "https://example.org/x", "scope": "NATIONAL"}
    _, fiscal_code, (service,) = await institution(
        pool, "Comune di Dora", NewService("Mensa", "Scuola", description="Ciao.", metadata=told)
    )
    assert await get(running, headers, f"/services/{service}") == {
        "id": service,
        "name": "Mensa",
        "description": "Ciao.",
        "organization": {"name": "Comune di Dora", "fiscal_code": fiscal_code},
        "metadata": told | {"category": "STANDARD"},
    }
    async with pool.connection() as conn:
        found = await catalog.read_service(conn, service)
    assert found is not None
    assert found.metadata == dict.fromkeys(contacts.NAMES, "") | told
    assert (found.department, found.institution_name, found.version) == (
        "Scuola",
        "Comune di Dora",
        0,
    )


async def test_a_service_that_says_nothing_is_local_and_standard(
    running: Running, world: World, headers: Any
) -> None:
    found = await get(running, headers, f"/services/{world.bruno.id}")
    assert found["metadata"] == {"scope": "LOCAL", "category": "STANDARD"}
    found = await get(running, headers, f"/services/{world.special.id}")
    assert found["metadata"] == {"scope": "LOCAL", "category": "SPECIAL"}


async def test_a_draft_is_found_and_what_is_deleted_or_suspended_is_not(
    running: Running, pool: Pool, headers: Any
) -> None:
    owner, _, (draft, deleted, suspended) = await institution(
        pool,
        "Comune di Elsa",
        NewService("Uno", state="draft"),
        NewService("Due"),
        NewService("Tre"),
    )
    async with pool.transaction() as conn:
        await set_state(conn, ACTOR, deleted, "deleted")
        await suspend_service(conn, ACTOR, suspended, suspend=True, reason="x")
    assert (await get(running, headers, f"/services/{draft}"))["name"] == "Uno"
    unknown = await get(running, headers, f"/services/{new_id()}", 404)
    assert unknown["title"] == "Not found"
    for gone in (deleted, suspended, "%00", "x" * 3000):
        assert await get(running, headers, f"/services/{gone}", 404) == unknown
    async with pool.transaction() as conn:
        await suspend_institution(conn, ACTOR, owner, suspend=True, reason="x")
    assert await get(running, headers, f"/services/{draft}", 404) == unknown


# Lists ------------------------------------------------------------------------------------------


async def test_only_published_services_of_unsuspended_institutions_are_listed(
    running: Running, pool: Pool, headers: Any
) -> None:
    owner, fiscal_code, (shown, *_, stopped) = await institution(
        pool,
        "Fonderie di Fano",
        NewService("Beta"),
        NewService("Bozza", state="draft"),
        NewService("Approvato", state="approved"),
        NewService("Alfa"),
    )
    path = f"/institutions/{fiscal_code}/services"
    found = await get(running, headers, path)
    assert [one["name"] for one in found["services"]] == ["Alfa", "Beta"]
    assert (found["offset"], found["limit"], found["count"]) == (0, 20, 2)
    async with pool.transaction() as conn:
        await suspend_service(conn, ACTOR, stopped, suspend=True, reason="x")
    found = await get(running, headers, path)
    assert found["services"] == [{"id": shown, "name": "Beta", "version": 0}]
    listed = (await get(running, headers, "/institutions", search="fano"))["institutions"]
    assert listed == [{"id": fiscal_code, "name": "Fonderie di Fano", "fiscal_code": fiscal_code}]
    async with pool.transaction() as conn:
        await suspend_institution(conn, ACTOR, owner, suspend=True, reason="x")
    assert (await get(running, headers, path))["services"] == []
    assert (await get(running, headers, "/institutions", search="fano"))["institutions"] == []
    async with pool.connection() as conn:
        assert not await catalog.search_services(conn, "fano", 10, 0)


async def test_an_institution_with_nothing_to_offer_is_not_listed(
    running: Running, pool: Pool, headers: Any
) -> None:
    await institution(pool, "Ghirlanda vuota", NewService("Bozza", state="draft"))
    found = await get(running, headers, "/institutions", search="ghirlanda")
    assert found == {"institutions": [], "offset": 0, "limit": 20, "count": 0}


async def test_what_begins_with_the_words_comes_first_and_pages_meet(
    running: Running, pool: Pool, headers: Any
) -> None:
    for name in ("Borgo di Quarzo", "Quarzo Alto", "Ente del Quarzo", "quarzo basso"):
        await institution(pool, name, NewService("Uno"))
    found = await get(running, headers, "/institutions", search="QUARZO", limit=3)
    assert [one["name"] for one in found["institutions"]] == [
        "Quarzo Alto",
        "quarzo basso",
        "Borgo di Quarzo",
    ]
    assert (found["limit"], found["count"]) == (3, 4)
    rest = await get(running, headers, "/institutions", search="QUARZO", limit=3, offset=3)
    assert len(rest["institutions"]) == 1
    assert (rest["offset"], rest["count"]) == (3, 4)
    names = [
        i["name"] for i in (await get(running, headers, "/institutions", limit=100))["institutions"]
    ]
    assert names == sorted(names, key=str.lower)


async def test_what_a_search_counts_ends_where_its_pages_end(
    running: Running, pool: Pool, headers: Any
) -> None:
    async with pool.transaction() as conn:
        await conn.script(
            "INSERT INTO services.institution (id, fiscal_code, name, email, permissions, "
            "created_at) SELECT 'INST' || n, lpad((n + 5000)::text, 11, '0'), 'Ente Centuno ' || n,"
            " 'a@example.org', '{}', now() FROM generate_series(1, 102) AS n"
        )
        await conn.script(
            "INSERT INTO services.service (id, institution_id, name, department, category, state, "
            "require_secure_channels, authorized_recipients, authorized_cidrs, "
            "max_allowed_payment_amount, created_at) SELECT 'SERV' || n, 'INST' || n, 'Uno', '-', "
            "'STANDARD', 'published', false, '{}', '{}', 0, now() FROM generate_series(1, 102) AS n"
        )
    found = await get(running, headers, "/institutions", search="centuno", limit=100)
    assert (len(found["institutions"]), found["count"]) == (100, 100)
    last = await get(running, headers, "/institutions", search="centuno", limit=100, offset=100)
    assert (len(last["institutions"]), last["count"]) == (2, 100)
    one = await get(running, headers, "/institutions", search="centuno", limit=1)
    assert len(one["institutions"]) == 1
    all_of_them = await get(running, headers, "/institutions", limit=1, offset=100_000)
    assert all_of_them["institutions"] == []
    assert all_of_them["count"] > 102
    async with pool.transaction() as conn:
        await conn.script("UPDATE services.service SET state = 'deleted' WHERE id LIKE 'SERV%'")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/institutions", {"limit": "0"}),
        ("/institutions", {"limit": "1.0"}),
        ("/institutions", {"limit": " 1"}),
        ("/institutions", {"limit": "١"}),
        ("/institutions", {"offset": "+1"}),
        ("/institutions", {"limit": "101"}),
        ("/institutions", {"limit": "x"}),
        ("/institutions", {"offset": "-1"}),
        ("/institutions", {"offset": "100001"}),
        ("/institutions", {"search": "a", "offset": "101"}),
        ("/institutions/00000000001/services", {"limit": ""}),
        ("/institutions/00000000001/services", {"offset": "9" * 50}),
        ("/institutions/0000000000/services", {}),
        ("/institutions/0000000000x/services", {}),
        ("/institutions/٠٠٠٠٠٠٠٠٠٠٠/services", {}),
    ],
)
async def test_wrong_numbers_are_refused(
    running: Running, headers: Any, path: str, query: dict[str, str]
) -> None:
    problem = await get(running, headers, path, 400, **query)
    assert problem["title"] == "Bad request"
    assert problem["field"] in {"limit", "offset", "institution_id"}


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(search=st.text(st.characters(blacklist_categories=["Cs"]), max_size=300))
async def test_whatever_is_searched_there_is_an_answer(
    running: Running, pool: Pool, headers: Any, search: str
) -> None:
    await get(running, headers, "/institutions", search=search)
    async with pool.connection() as conn:
        await catalog.search_services(conn, search, 5, 0)
        await catalog.read_service(conn, search)


async def test_people_find_services_by_words_of_both_names(pool: Pool) -> None:
    _, fiscal_code, (service, _) = await institution(
        pool, "Comune di Zara", NewService("Piscina", "Sport"), NewService("Teatro")
    )
    async with pool.connection() as conn:
        (row,) = await catalog.search_services(conn, "  PISCINA zara ", 10, 0)
        assert len(await catalog.search_services(conn, "zara", 10, 0)) == 2
        assert len(await catalog.search_services(conn, "zara", 1, 1)) == 1
        assert not await catalog.search_services(conn, "zara 100%", 10, 0)
    assert (row["service_id"], row["name"], row["department"]) == (service, "Piscina", "Sport")
    assert (row["institution_name"], row["fiscal_code"]) == ("Comune di Zara", fiscal_code)


async def test_to_begin_with_there_is_what_concerns_everybody(
    running: Running, pool: Pool, headers: Any
) -> None:
    _, fiscal_code, (national, _) = await institution(
        pool,
        "Ministero di Prova",
        NewService("Per tutti", metadata={"scope": "NATIONAL"}),
        NewService("Nuovo"),
    )
    services = (await get(running, headers, "/services/featured"))["services"]
    assert len(services) == 5
    ours = {"id": national, "name": "Per tutti", "version": 0}
    assert ours | {"organization_name": "Ministero di Prova"} in services
    institutions = (await get(running, headers, "/institutions/featured"))["institutions"]
    assert {"id": fiscal_code, "name": "Ministero di Prova", "fiscal_code": fiscal_code} in (
        institutions
    )


async def test_without_a_session_there_is_no_catalogue(running: Running, world: World) -> None:
    for path in (
        f"/services/{world.anna.id}",
        "/services/featured",
        "/institutions",
        "/institutions?limit=0",
        "/institutions/featured",
        "/institutions/x/services",
    ):
        assert (await running.client.get(PATH + path)).status_code == 401


# Descriptions -----------------------------------------------------------------------------------


async def test_describing_touches_what_is_named_and_counts_and_is_audited(pool: Pool) -> None:
    _, _, (service,) = await institution(
        pool,
        "Comune di Ivrea",
        NewService("Uno", description="Prima", metadata={"phone": "+39 000 111"}),
    )
    async with pool.transaction() as conn:
        await describe_service(conn, ACTOR, service, None, {"email": "a@example.org"})
        first = await catalog.read_service(conn, service)
        await describe_service(conn, ACTOR, service, "", {"phone": ""})
        second = await catalog.read_service(conn, service)
        detail = await conn.raw.fetch(
            "SELECT detail FROM operations.audit WHERE action = 'service.describe' "
            "AND subject = $1 ORDER BY id",
            service,
        )
    assert first is not None
    assert second is not None
    assert (first.description, first.metadata["phone"], first.metadata["email"]) == (
        "Prima",
        "+39 000 111",
        "a@example.org",
    )
    assert (second.description, second.metadata["phone"], second.metadata["email"]) == (
        "",
        "",
        "a@example.org",
    )
    assert (first.version, second.version) == (1, 2)
    assert [json.loads(row["detail"])["members"] for row in detail] == [
        ["email"],
        ["phone", "description"],
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("colour", "red"),
        ("web_url", "javascript:alert(1)"),
        ("web_url", "//example.org"),
        ("web_url", "https://"),
        ("web_url", "https://example.org/ x"),
        ("web_url", 'https://example.org/"x'),
        ("web_url", "https://example.org/" + "x" * 500),
        ("privacy_url", "ftp://example.org"),
        ("email", "nobody"),
        ("email", "a@b.example.org?subject=x\n"),
        ("pec", "<a@example.org>"),
        ("email", "a?bcc=b@example.org"),
        ("email", "a%0d%0abcc:b@example.org"),
        ("email", "a&b@example.org"),
        ("email", "a#b@example.org"),
        ("pec", "\u202ea@example.org"),
        ("web_url", "https://example.org/\udcff"),
        ("address", "Via Roma \udcff"),
        ("phone", "call me"),
        ("address", "one\ntwo"),
        ("address", "x" * 301),
        ("scope", "GLOBAL"),
        ("scope", "LOCAL\n"),
        ("cta", "x\x00"),
    ],
)
async def test_a_contact_of_the_wrong_form_is_refused(
    pool: Pool, world: World, name: str, value: str
) -> None:
    new = NewService("Uno", metadata={name: value})
    async with pool.connection() as conn:
        with pytest.raises(NotAcceptedError, match=name):
            await describe_service(conn, ACTOR, world.anna.id, None, {name: value})
        with pytest.raises(NotAcceptedError, match=name):
            await create_service(conn, ACTOR, world.anna.institution, new, SANDBOX)
        for text in ("x" * 5001, "\x00", "\udcff"):
            with pytest.raises(NotAcceptedError, match="description"):
                await describe_service(conn, ACTOR, world.anna.id, text, {})


async def test_a_deleted_or_unknown_service_is_not_described(pool: Pool) -> None:
    _, _, (service,) = await institution(pool, "Comune di Lodi", NewService("Uno"))
    async with pool.transaction() as conn:
        await set_state(conn, ACTOR, service, "deleted")
        for one in (service, new_id()):
            with pytest.raises(NotAcceptedError, match=one):
                await describe_service(conn, ACTOR, one, "x", {})


def test_every_service_of_the_sandbox_describes_itself() -> None:
    for one in INSTITUTIONS:
        for service in one.services.values():
            told = described(service)
            assert len(told.description) > 40
            assert {"email", "privacy_url"} <= told.metadata.keys()
            for name, value in told.metadata.items():
                assert contacts.refusal(name, value) is None, name
                if name != "phone":
                    assert "example.org" in value or name in {"scope", "address"}
