"""Reviews: what is found at once, what a person decides, and what stays as it is meanwhile."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from messo.base.db import Connection, Pool
from messo.base.http import Problem
from messo.services import catalog, review
from messo.services.review_checks import differences
from messo.services.services import NewService
from messo.settings import Settings
from tests.conftest import Running
from tests.services import managing
from tests.services.managing import MOST, Managing, approve, payload, reject, version_of
from tests.world import World, add_service, message

NAMES = itertools.count()
AUTOMATIC = 76_543  # euro cents, of what is approved or released without an operator
WAITING = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(rate_limit=100_000, rate_burst=100_000, service_max_amount=AUTOMATIC)


@pytest.fixture(scope="module")
def anna(running: Running, world: World) -> Managing:
    return managing.of(running, world)


def named(**more: Any) -> dict[str, Any]:
    """A payload under a name of its own."""
    return payload(**{"name": f"Servizio {next(NAMES)}", **more})


async def published(anna: Managing, pool: Pool, **more: Any) -> tuple[str, dict[str, Any]]:
    """A service that citizens see, and what was asked for it."""
    asked = named(**more)
    service = (await anna.ask("POST", "", asked, 201))["id"]
    await anna.ask("PUT", f"/{service}/review", {"auto_publish": True}, 204)
    await approve(pool, service)
    return service, asked


async def submit(anna: Managing, service: str, *, auto_publish: bool = True) -> dict[str, Any]:
    """The status after asking for a review."""
    await anna.ask("PUT", f"/{service}/review", {"auto_publish": auto_publish}, 204)
    return await anna.status(service)


async def withdraw(anna: Managing, service: str) -> None:
    answer = await anna.client.delete(
        f"/messo/v1/services/{service}/review", headers={"Ocp-Apim-Subscription-Key": anna.key}
    )
    assert answer.status_code == 204, answer.text


@pytest.mark.parametrize(
    ("lacks", "said"),
    [
        ({"metadata": {"privacy_url": None}}, ["metadata.privacy_url"]),
        ({"metadata": {"email": None}}, ["metadata"]),
        ({"metadata": {"email": "nobody"}}, ["metadata.email"]),
        ({"metadata": {"privacy_url": "javascript:alert(1)"}}, ["metadata.privacy_url"]),
        ({"metadata": {"web_url": "ftp://example.org"}}, ["metadata.web_url"]),
        ({"metadata": {"phone": "call me"}}, ["metadata.phone"]),
        ({"name": "a" * 101}, ["name"]),
        (
            {"metadata": {"privacy_url": None, "email": None, "tos_url": "x"}},
            ["metadata.privacy_url", "metadata", "metadata.tos_url"],
        ),
    ],
)
async def test_what_lacks_something_is_rejected_at_once(
    anna: Managing, lacks: dict[str, Any], said: list[str]
) -> None:
    service = (await anna.ask("POST", "", named(**lacks), 201))["id"]
    status = await submit(anna, service)
    assert status["value"] == "rejected"
    assert [line.partition(":")[0] for line in status["reason"].splitlines()] == said
    history = await anna.ask("GET", f"/{service}/history?order=ASC")
    values = [item["status"]["value"] for item in history["items"]]
    assert values == ["draft", "submitted", "rejected"]
    assert history["items"][2]["status"]["reason"] == status["reason"]
    await anna.ask("PUT", f"/{service}", named())
    assert await submit(anna, service) == {"value": "submitted"}


async def test_what_a_command_made_lacks_all_that_it_was_not_given(
    anna: Managing, pool: Pool, world: World
) -> None:
    async with pool.transaction() as conn:
        bare = await add_service(
            conn, world.secrets, world.anna.institution, NewService("Spoglio", state="draft")
        )
    shown = await anna.ask("GET", f"/{bare.id}")
    told = shown["description"], shown["metadata"]["topic"]["id"], shown["metadata"]["scope"]
    assert told == ("Spoglio", 0, "LOCAL")
    reason = (await submit(anna, bare.id))["reason"]
    assert [line.partition(":")[0] for line in reason.splitlines()] == [
        "metadata.privacy_url",
        "metadata",
        "description",
        "metadata.topic_id",
        "metadata.scope",
    ]


@pytest.mark.parametrize("contact", ["pec", "phone", "support_url"])
async def test_any_of_four_contacts_is_enough(anna: Managing, contact: str) -> None:
    how = {"pec": "a@example.org", "phone": "+39 06 123456", "support_url": "https://example.org"}
    asked = named(metadata={"email": None, contact: how[contact]})
    service = (await anna.ask("POST", "", asked, 201))["id"]
    assert await submit(anna, service) == {"value": "submitted"}


async def test_a_first_review_waits_for_a_person(
    anna: Managing, pool: Pool, running: Running
) -> None:
    service = (await anna.ask("POST", "", named(), 201))["id"]
    assert await submit(anna, service) == {"value": "submitted"}
    await reject(pool, service, "Il nome non dice di che cosa si tratta.")
    said = {"value": "rejected", "reason": "Il nome non dice di che cosa si tratta."}
    assert await anna.status(service) == said
    await anna.ask("GET", f"/{service}/release", expect=404)


@pytest.mark.parametrize(
    ("change", "waits"),
    [
        ({}, False),
        ({"metadata": {"email": "new@example.org"}}, False),
        ({"metadata": {"topic_id": 3}}, False),
        ({"authorized_cidrs": ["192.0.2.0/24"]}, False),
        ({"max_allowed_payment_amount": 5}, False),
        ({"description": "Altro."}, True),
        ({"metadata": {"scope": "NATIONAL"}}, True),
        ({"name": "Un altro nome"}, True),
    ],
)
async def test_only_changes_of_weight_wait_for_a_person(
    anna: Managing, pool: Pool, change: dict[str, Any], waits: bool
) -> None:
    service, asked = await published(anna, pool)
    changed = {**asked, **change}
    changed["metadata"] = {**asked["metadata"], **change.get("metadata", {})}
    await anna.ask("PUT", f"/{service}", changed)
    assert await submit(anna, service) == {"value": "submitted" if waits else "approved"}
    if not waits:
        live = await anna.ask("GET", f"/{service}/release")
        assert live["max_allowed_payment_amount"] == AUTOMATIC
        for name, value in change.get("metadata", {}).items():
            seen = live["metadata"]
            assert (seen["topic"]["id"] if name == "topic_id" else seen[name]) == value


async def test_a_name_is_taken_once(anna: Managing, pool: Pool) -> None:
    first, asked = await published(anna, pool)
    same = named(name=f"  {asked['name'].upper()} ")
    second = (await anna.ask("POST", "", same, 201))["id"]
    status = await submit(anna, second)
    assert status["value"] == "rejected"
    assert first in status["reason"]
    # However its letters are composed, or how wide they are.
    await published(anna, pool, name="Citt\u00e0 aperta")
    for alike, kept in (
        ("Citta\u0300 aperta", "Citt\u00e0 aperta"),
        ("\uff23itt\u00e0 aperta",) * 2,
    ):
        third = await anna.ask("POST", "", named(name=alike), 201)
        assert third["name"] == kept
        assert (await submit(anna, third["id"]))["value"] == "rejected"
    # Of two that wait at once, the second is not approved.
    one, other = [(await anna.ask("POST", "", payload(name="Doppio"), 201))["id"] for _ in "12"]
    for service in (one, other):
        assert (await submit(anna, service))["value"] == "submitted"
    await approve(pool, one)
    with pytest.raises(Problem) as refused:
        await approve(pool, other)
    assert (refused.value.status, one in refused.value.detail) == (409, True)
    # A deleted one's name is free.
    await anna.ask("DELETE", f"/{one}", expect=204)
    await approve(pool, other)


async def begun_meanwhile(
    pool: Pool, first: Callable[[Connection], Awaitable[object]], second: Awaitable[object]
) -> object:
    """What comes of the second, which begins before the transaction of the first has ended."""
    async with pool.connection() as watching, pool.connection() as conn:
        async with conn.transaction():
            await first(conn)
            task = asyncio.ensure_future(second)
            async with asyncio.timeout(10):
                while not task.done() and not await watching.raw.fetchval(WAITING):
                    await asyncio.sleep(0.01)
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
    return outcome


async def test_of_two_of_one_name_approved_at_once_the_second_is_refused(
    anna: Managing, pool: Pool
) -> None:
    one, other = [(await anna.ask("POST", "", payload(name="Insieme"), 201))["id"] for _ in "12"]
    for service in (one, other):
        await submit(anna, service)
    version = await version_of(pool, one)

    async def first(conn: Connection) -> None:
        await review.approve(conn, "operator:tests", one, version, MOST)

    outcome = await begun_meanwhile(pool, first, approve(pool, other))
    assert isinstance(outcome, Problem)
    assert (outcome.status, one in outcome.detail) == (409, True)


async def test_a_name_approved_in_the_same_moment_is_taken(anna: Managing, pool: Pool) -> None:
    one, other = [(await anna.ask("POST", "", payload(name="Appena"), 201))["id"] for _ in "12"]
    await submit(anna, one)
    version = await version_of(pool, one)

    async def first(conn: Connection) -> None:
        await review.approve(conn, "operator:tests", one, version, MOST)

    status = await begun_meanwhile(pool, first, submit(anna, other))
    assert isinstance(status, dict)
    assert (status["value"], one in status["reason"]) == ("rejected", True)


async def test_another_institution_may_use_the_name(
    anna: Managing, pool: Pool, running: Running, world: World
) -> None:
    service = (await anna.ask("POST", "", payload(name="Biblioteca"), 201))["id"]
    assert await submit(anna, service) == {"value": "submitted"}  # it is Bruno's name


async def test_a_version_in_review_never_disturbs_the_live_one(
    anna: Managing, pool: Pool, running: Running
) -> None:
    service, asked = await published(anna, pool)
    before = await anna.ask("GET", f"/{service}/release")
    key = (await anna.ask("GET", f"/{service}/keys"))["primary_key"]

    async def sent() -> int:
        answer = await running.client.post(
            "/api/v1/messages", json=message(), headers={"Ocp-Apim-Subscription-Key": key}
        )
        return answer.status_code

    async def unchanged() -> None:
        await running.started.directory.refresh(0)
        assert await anna.ask("GET", f"/{service}/release") == before
        assert await sent() == 201

    cut_off = {**asked, "name": "Cambiato", "authorized_cidrs": ["192.0.2.1"]}
    await anna.ask("PUT", f"/{service}", cut_off)
    await unchanged()
    await submit(anna, service, auto_publish=False)
    await unchanged()
    await approve(pool, service)
    await unchanged()
    await anna.ask("POST", f"/{service}/release", expect=204)
    live = await anna.ask("GET", f"/{service}/release")
    assert (live["name"], live["authorized_cidrs"]) == ("Cambiato", ["192.0.2.1"])
    assert live["max_allowed_payment_amount"] == AUTOMATIC
    async with asyncio.timeout(5):
        while await sent() != 403:  # it is for another address now
            await asyncio.sleep(0.1)
    values = [
        item["status"]["value"]
        for item in (await anna.ask("GET", f"/{service}/history?order=ASC&limit=100"))["items"]
    ]
    assert values == [
        *("draft", "submitted", "approved", "published"),
        *("draft", "submitted", "approved", "published"),
    ]


async def test_a_version_that_waits_is_dropped_by_the_next_edit(anna: Managing, pool: Pool) -> None:
    service, asked = await published(anna, pool)
    await anna.ask("PUT", f"/{service}", {**asked, "description": "La seconda."})
    await submit(anna, service, auto_publish=False)
    await approve(pool, service)
    await anna.ask("PUT", f"/{service}", {**asked, "description": "La terza."})
    await anna.ask("POST", f"/{service}/release", expect=204)
    live = await anna.ask("GET", f"/{service}/release")
    assert live["description"] == asked["description"]


async def test_a_name_that_waits_is_taken_too(anna: Managing, pool: Pool) -> None:
    service, asked = await published(anna, pool)
    await anna.ask("PUT", f"/{service}", {**asked, "name": "In attesa"})
    await submit(anna, service, auto_publish=False)
    await approve(pool, service)
    other = (await anna.ask("POST", "", payload(name="in attesa"), 201))["id"]
    assert (await submit(anna, other))["value"] == "rejected"


async def test_an_approval_sets_the_largest_payment(anna: Managing, pool: Pool) -> None:
    service, _ = await published(anna, pool, max_allowed_payment_amount=7)
    assert (await anna.ask("GET", f"/{service}"))["max_allowed_payment_amount"] == 7
    live = await anna.ask("GET", f"/{service}/release")
    assert live["max_allowed_payment_amount"] == MOST


async def test_a_review_is_decided_on_what_was_looked_at(anna: Managing, pool: Pool) -> None:
    service = (await anna.ask("POST", "", named(), 201))["id"]
    await submit(anna, service)
    seen = await version_of(pool, service)
    await withdraw(anna, service)
    await anna.ask("PUT", f"/{service}", named(description="Nuova."))
    await submit(anna, service)
    with pytest.raises(Problem) as refused:
        async with pool.transaction() as conn:
            await review.approve(conn, "operator:tests", service, seen, MOST)
    assert (refused.value.status, refused.value.field) == (409, "version")


async def test_the_queue_is_paged_in_order(anna: Managing, pool: Pool) -> None:
    made = []
    for _ in range(3):
        service = (await anna.ask("POST", "", named(), 201))["id"]
        await submit(anna, service)
        made.append(service)
    found, after = [], None
    async with pool.connection() as conn:
        while rows := await review.list_page(conn, after, 2):
            found += [row["id"] for row in rows]
            after = review.place(rows[-1])
    assert [one for one in found if one in made] == made
    assert len(found) == len(set(found))


async def test_a_review_shows_what_would_change(anna: Managing, pool: Pool) -> None:
    service, asked = await published(anna, pool)
    changed = {**asked, "description": "Altro.", "authorized_recipients": ["AAAAAA00A00A001A"]}
    changed["metadata"] = {**asked["metadata"], "phone": "06 123456"}
    del changed["metadata"]["email"]
    await anna.ask("PUT", f"/{service}", changed)
    await submit(anna, service)
    async with pool.connection() as conn:
        found = await review.read(conn, service)
    assert found.live is not None
    assert dict(differences(found.live, found.asked)) == {
        "description": (asked["description"], "Altro."),
        "authorized_recipients": (1, 2),
        "metadata.phone": (None, "06 123456"),
        "metadata.email": ("mensa@example.org", None),
    }


async def test_a_live_version_that_is_not_listed_is_one_like_others(
    anna: Managing, pool: Pool
) -> None:
    async def live_version() -> int:
        async with pool.connection() as conn:
            found = await catalog.read_service(conn, service)
        assert found is not None
        return found.version

    service, asked = await published(anna, pool)
    versions = [await live_version()]
    await anna.ask("DELETE", f"/{service}/release", expect=204)
    versions.append(await live_version())
    before = await anna.ask("GET", f"/{service}/release")
    heavy = {**asked, "name": f"Pesante {asked['name']}", "authorized_cidrs": ["192.0.2.1"]}
    await anna.ask("PUT", f"/{service}", heavy)
    assert await submit(anna, service) == {"value": "submitted"}
    assert await anna.ask("GET", f"/{service}/release") == before
    async with pool.connection() as conn:
        waiting = await review.read(conn, service)
    assert differences(waiting.live, waiting.asked)["name"] == (asked["name"], heavy["name"])
    await withdraw(anna, service)
    light = {**asked, "metadata": {**asked["metadata"], "phone": "06 12345"}}
    await anna.ask("PUT", f"/{service}", light)
    assert await submit(anna, service, auto_publish=False) == {"value": "approved"}
    versions.append(await live_version())
    live = await anna.ask("GET", f"/{service}/release")
    assert (live["status"], live["metadata"]["phone"]) == ("unpublished", "06 12345")
    assert versions == sorted(set(versions))
