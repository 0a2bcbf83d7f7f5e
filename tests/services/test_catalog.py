"""The catalogue of services: what is listed, what is found, how services describe themselves."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messo.base.db import Pool
from messo.base.ids import new_id
from messo.services import catalog, contacts
from messo.services.services import (
    NewService,
    set_state,
    suspend_institution,
    suspend_service,
)
from tests.conftest import Running
from tests.messages.mail import log_in
from tests.services import managing
from tests.services.offers import institution
from tests.world import ACTOR, AUTO, MANUAL, World

PATH = "/api/catalog/v1"


@pytest.fixture(scope="module")
async def headers(running: Running) -> dict[str, str]:
    return await log_in(running, AUTO)


async def get(running: Running, headers: Any, path: str, expect: int = 200, **query: Any) -> Any:
    answer = await running.client.get(PATH + path, params=query, headers=headers)
    assert answer.status_code == expect, answer.text
    return answer.json()


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


async def test_a_draft_is_for_its_authorized_recipients_and_nobody_sees_what_is_gone(
    running: Running, pool: Pool, headers: Any
) -> None:
    owner, _, (draft, deleted, suspended) = await institution(
        pool,
        "Comune di Elsa",
        NewService("Uno", state="draft", authorized_recipients=(AUTO,)),
        NewService("Due"),
        NewService("Tre"),
    )
    async with pool.transaction() as conn:
        await set_state(conn, ACTOR, deleted, "deleted")
        await suspend_service(conn, ACTOR, suspended, suspend=True, reason="x")
    assert (await get(running, headers, f"/services/{draft}"))["name"] == "Uno"
    unknown = await get(running, headers, f"/services/{new_id()}", 404)
    assert unknown["title"] == "Not found"
    stranger = await log_in(running, MANUAL)
    assert await get(running, stranger, f"/services/{draft}", 404) == unknown
    async with pool.connection() as conn:
        for reader, seen in ((AUTO, True), (MANUAL, False), ("", False), (None, True)):
            found = await catalog.read_service(conn, draft, reader)
            assert (found is not None) is seen
    for gone in (deleted, suspended, "%00", "x" * 3000):
        assert await get(running, headers, f"/services/{gone}", 404) == unknown
    async with pool.transaction() as conn:
        await suspend_institution(conn, ACTOR, owner, suspend=True, reason="x")
    assert await get(running, headers, f"/services/{draft}", 404) == unknown


async def test_what_is_no_address_is_kept_for_a_review_and_shown_to_nobody(
    running: Running, pool: Pool, world: World
) -> None:
    anna = managing.of(running, world)
    bad = "javascript:alert(1)"
    service = await anna.make(metadata={"web_url": bad})
    assert (await anna.ask("GET", f"/{service}"))["metadata"]["web_url"] == bad
    async with pool.connection() as conn:
        made = await catalog.read_service(conn, service)
    await anna.ask("PUT", f"/{service}", managing.payload(metadata={"support_url": bad}))
    async with pool.connection() as conn:
        edited = await catalog.read_service(conn, service)
    for found in (made, edited):
        assert found is not None
        assert (found.metadata["web_url"], found.metadata["support_url"]) == ("", "")
        assert found.metadata["email"] == "mensa@example.org"


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
        ("/services", {"topic": "18"}),
        ("/services", {"topic": ""}),
        ("/services", {"topic": "-1"}),
        ("/services", {"search": "a", "offset": "101"}),
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
    assert problem["field"] in {"limit", "offset", "institution_id", "topic"}


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


async def test_clients_find_services_by_words_and_topic(
    running: Running, pool: Pool, headers: Any
) -> None:
    _, fiscal_code, (bus, train, *_) = await institution(
        pool,
        "Àgenzia 100% di Quirra",
        NewService("Autobus_notte", topic_id=9),
        NewService("Treni", topic_id=9),
        NewService("Mensa"),
        NewService("Bozza", topic_id=9, state="draft"),
        NewService("Approvato", topic_id=9, state="approved"),
    )

    async def found(**query: Any) -> tuple[list[str], int]:
        answer = await get(running, headers, "/services", **query)
        return [one["name"] for one in answer["services"]], answer["count"]

    assert await found(search="quirra") == (["Autobus_notte", "Mensa", "Treni"], 3)
    assert await found(search="QUIRRA àgenzia", topic=9) == (["Autobus_notte", "Treni"], 2)
    assert await found(search="quirra", topic=0) == (["Mensa"], 1)  # who never named a topic
    assert await found(search="quirra", limit=1, offset=1) == (["Mensa"], 3)
    assert await found(search="quirra bus") == (["Autobus_notte"], 1)
    # What means something to LIKE is a sign like others here.
    assert await found(search="quirra 100%") == (["Autobus_notte", "Mensa", "Treni"], 3)
    assert await found(search="quirra s_n") == (["Autobus_notte"], 1)
    assert await found(search="quirra _") == (["Autobus_notte"], 1)
    for nothing in ("quirra t%i", "quirra \\", "quirra 100\\%"):
        assert await found(search=nothing) == ([], 0)
    answer = await get(running, headers, "/services", search="quirra", topic=9, limit=1)
    assert answer == {
        "services": [
            {
                "id": bus,
                "name": "Autobus_notte",
                "version": 0,
                "organization": {"name": "Àgenzia 100% di Quirra", "fiscal_code": fiscal_code},
                "topic": {
                    "id": 9,
                    "name": "Mobilità e trasporti",
                    "english": "Mobility and transport",
                },
            }
        ],
        "offset": 0,
        "limit": 1,
        "count": 2,
    }
    # The contract's detail has no topic.
    assert "topic" not in await get(running, headers, f"/services/{bus}")
    async with pool.transaction() as conn:
        await suspend_service(conn, ACTOR, train, suspend=True, reason="x")
    assert await found(search="quirra", topic=9) == (["Autobus_notte"], 1)


async def test_topics_say_how_much_there_is_of_each(
    running: Running, pool: Pool, headers: Any
) -> None:
    async def counted() -> dict[int, int]:
        topics = (await get(running, headers, "/topics"))["topics"]
        return {one["id"]: one["services"] for one in topics}

    before = await counted()
    assert list(before) == list(range(18))
    await institution(pool, "Ente di Urbino", NewService("Uno", topic_id=15), NewService("Due"))
    after = await counted()
    assert {n: after[n] - before[n] for n in after if after[n] != before[n]} == {0: 1, 15: 1}
    everything = await get(running, headers, "/services", limit=1)
    assert everything["count"] == sum(after.values())


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
        "/services",
        "/topics",
        "/institutions",
        "/institutions?limit=0",
        "/institutions/featured",
        "/institutions/x/services",
    ):
        assert (await running.client.get(PATH + path)).status_code == 401
