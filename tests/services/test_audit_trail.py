"""What is left of all that is done: the audit log with its actors, and each service's history."""

from typing import Any

import pytest

from messo.base.db import Pool
from messo.services.services import NewService, set_state
from messo.settings import Settings
from tests.conftest import Running
from tests.services import managing
from tests.services.managing import MOST, Managing, approve, payload, reject
from tests.services.test_review import named, published, submit, withdraw
from tests.world import ACTOR, World, add_service

AUTOMATIC = 76_543  # euro cents, of what is released without an operator


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(rate_limit=100_000, rate_burst=100_000, service_max_amount=AUTOMATIC)


@pytest.fixture(scope="module")
def anna(running: Running, world: World) -> Managing:
    return managing.of(running, world)


async def audited(pool: Pool, subject: str, kind: str) -> list[tuple[str, str]]:
    """Action and actor of the entries about this, in order, of one kind of action."""
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT action, actor FROM operations.audit "
            "WHERE subject = $1 AND split_part(action, '.', 1) = $2 ORDER BY id",
            subject,
            kind,
        )
    return [tuple(row) for row in rows]


async def history(anna: Managing, service: str) -> list[dict[str, Any]]:
    """All of it, the oldest first."""
    found = await anna.ask("GET", f"/{service}/history?order=ASC&limit=100")
    items: list[dict[str, Any]] = found["items"]
    return items


async def test_a_services_whole_life_is_in_the_audit_log(
    anna: Managing, pool: Pool, world: World
) -> None:
    service, asked = await published(anna, pool)
    us, operator = f"institution:{world.anna.institution}", "operator:tests"
    light = {**asked, "metadata": {**asked["metadata"], "phone": "06 12345"}}
    await anna.ask("PUT", f"/{service}", light)
    await submit(anna, service)
    for method in ("DELETE", "DELETE", "POST", "POST"):  # the second one does nothing
        await anna.ask(method, f"/{service}/release", expect=204)
    await anna.ask("PUT", f"/{service}", named())
    await submit(anna, service)
    await withdraw(anna, service)
    await submit(anna, service)
    await reject(pool, service)
    await anna.ask("PUT", f"/{service}", named(metadata={"email": None}))
    await submit(anna, service)
    await anna.ask("DELETE", f"/{service}", expect=204)
    assert await audited(pool, service, "service") == [
        ("service.create", us),
        ("service.submit", us),
        ("service.approve", operator),
        ("service.edit", us),
        ("service.submit", us),
        ("service.approve", "review"),
        ("service.unpublish", us),
        ("service.release", us),
        ("service.edit", us),
        ("service.submit", us),
        ("service.withdraw", us),
        ("service.submit", us),
        ("service.reject", operator),
        ("service.edit", us),
        ("service.submit", us),
        ("service.reject", "review"),
        ("service.delete", us),
    ]


async def test_groups_and_networks_are_in_the_audit_log(
    anna: Managing, running: Running, pool: Pool, world: World
) -> None:
    async def ask(method: str, path: str, body: Any = None, status: int = 200) -> Any:
        headers = {"Ocp-Apim-Subscription-Key": anna.key}
        answer = await running.client.request(
            method, f"/messo/v1{path}", json=body, headers=headers
        )
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    us = f"institution:{world.anna.institution}"
    service = await anna.make()
    settings = {"name": "Scuola", "authorized_cidrs": []}
    group = (await ask("POST", "/groups", settings, 201))["id"]
    await ask("PUT", f"/groups/{group}", {**settings, "name": "Scuole"})
    for where in (group, group, None):  # the second one does nothing
        await ask("PUT", f"/services/{service}/group", {"group_id": where}, 204)
    await ask("DELETE", f"/groups/{group}", status=204)
    for _ in "12":  # and here, too
        await ask("PUT", "/manage-key", {"authorized_cidrs": ["127.0.0.0/8"]})
    assert await audited(pool, group, "group") == [
        ("group.create", us),
        ("group.change", us),
        ("group.delete", us),
    ]
    moved = await audited(pool, service, "service")
    assert moved == [("service.create", us), ("service.group", us), ("service.group", us)]
    networks = await audited(pool, world.anna.institution, "institution")
    assert networks.count(("institution.networks", us)) == 1


async def test_a_release_is_capped_and_done_once(anna: Managing, pool: Pool) -> None:
    service, asked = await published(anna, pool, suitable_for_minors=True)
    assert (await anna.ask("GET", f"/{service}/release"))["suitable_for_minors"] is True
    second = {**asked, "description": "La seconda.", "max_allowed_payment_amount": 7}
    await anna.ask("PUT", f"/{service}", second)
    await submit(anna, service, auto_publish=False)
    await approve(pool, service)
    for _ in "12":
        await anna.ask("POST", f"/{service}/release", expect=204)
    live = await anna.ask("GET", f"/{service}/release")
    assert (live["max_allowed_payment_amount"], live["suitable_for_minors"]) == (AUTOMATIC, True)
    await anna.ask("PUT", f"/{service}", {**asked, "description": "La terza."})
    for method in ("DELETE", "DELETE", "POST", "POST"):
        await anna.ask(method, f"/{service}/release", expect=204)
    items = await history(anna, service)
    assert [
        (one["status"]["value"], one["description"], one["max_allowed_payment_amount"])
        for one in items
        if one["status"]["kind"] == "publication"
    ] == [
        ("published", asked["description"], MOST),
        ("published", "La seconda.", AUTOMATIC),
        ("unpublished", "La seconda.", AUTOMATIC),
        ("published", "La seconda.", AUTOMATIC),
    ]
    times = [one["last_update"] for one in items]
    assert times == sorted(times)
    assert len(set(times)) > 2


async def test_an_approved_version_that_is_not_listed_is_left_by_an_edit(
    anna: Managing, pool: Pool
) -> None:
    service, asked = await published(anna, pool)
    await anna.ask("DELETE", f"/{service}/release", expect=204)
    before = await anna.ask("GET", f"/{service}/release")
    assert before["status"] == "unpublished"
    edited = {**asked, "name": "Altro", "authorized_cidrs": ["192.0.2.1"]}
    await anna.ask("PUT", f"/{service}", edited)
    assert await anna.ask("GET", f"/{service}/release") == before


async def test_what_commands_do_is_in_the_history(anna: Managing, pool: Pool, world: World) -> None:
    """A draft is one version: what was worked at is the live one from then on."""
    async with pool.transaction() as conn:
        service = (
            await add_service(conn, world.secrets, world.anna.institution, NewService("Storia"))
        ).id

    async def move(*states: str) -> None:
        for state in states:
            async with pool.transaction() as conn:
                await set_state(conn, ACTOR, service, state)

    async def told() -> list[tuple[str, str]]:
        statuses = [one["status"] for one in await history(anna, service)]
        return [(one["kind"][0], one["value"]) for one in statuses]

    await move("published", "approved", "draft", "published")
    sequence = [
        ("l", "approved"),
        ("p", "published"),
        ("p", "unpublished"),
        ("l", "draft"),
        ("l", "approved"),
        ("p", "published"),
    ]
    assert await told() == sequence
    await move("draft")
    assert await told() == [*sequence, ("p", "unpublished"), ("l", "draft")]
    await move("published")
    await anna.ask("PUT", f"/{service}", payload(name="Storia nuova"))
    assert (await anna.ask("GET", f"/{service}/release"))["name"] == "Storia"
    await move("draft", "published")
    assert (await anna.ask("GET", f"/{service}/release"))["name"] == "Storia nuova"
