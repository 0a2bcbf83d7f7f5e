"""GET and POST /api/identity/v1/services/{id}/preferences, in the contract's order of conditions."""

import asyncio
from itertools import count
from typing import Any

import pytest

from messo.base.db import Pool
from messo.recipients import (
    Activation,
    change_mode,
    count_choices,
    history,
    put_activations,
)
from messo.recipients.profile import Mode
from tests.conftest import Running
from tests.recipients.person import Person, code, enter, feed_of
from tests.world import World

NUMBERS = count(1)


def path(service_id: str) -> str:
    return f"/api/identity/v1/services/{service_id}/preferences"


def wish(**more: Any) -> dict[str, Any]:
    return {
        "is_inbox_enabled": True,
        "is_email_enabled": True,
        "is_webhook_enabled": True,
        "settings_version": 0,
        **more,
    }


async def person(pool: Pool, running: Running, **more: Any) -> Person:
    return await enter(pool, running.client, code(next(NUMBERS), "PRF"), **more)


@pytest.mark.parametrize(("mode", "holds"), [("AUTO", True), ("MANUAL", False)])
async def test_without_a_choice_the_mode_decides(
    pool: Pool, running: Running, world: World, mode: Mode, holds: bool
) -> None:
    someone = await person(pool, running, mode=mode, settings_version=3)
    answer = await someone.get(path(world.anna.id))
    assert answer.status_code == 200
    assert answer.json() == {
        "is_inbox_enabled": holds,
        "is_email_enabled": holds,
        "is_webhook_enabled": holds,
        "can_access_message_read_status": holds,
        "settings_version": 3,
    }


async def test_a_special_service_is_open_while_it_is_active(
    pool: Pool, running: Running, world: World
) -> None:
    someone = await person(pool, running)
    for status, holds in (("PENDING", False), ("ACTIVE", True), ("INACTIVE", False)):
        async with pool.transaction() as conn:
            activation = Activation(someone.code, world.special.id, status)  # type: ignore[arg-type]
            await put_activations(conn, [activation])
        found = (await someone.get(path(world.special.id))).json()
        assert found["is_inbox_enabled"] is holds
        assert found["is_email_enabled"] is True
        other = wish(is_inbox_enabled=not holds, is_email_enabled=False)
        assert (await someone.post(path(world.special.id), other)).status_code == 409
        stored = await someone.post(path(world.special.id), wish(is_inbox_enabled=holds))
        assert (stored.status_code, stored.json()["is_inbox_enabled"]) == (200, holds)
    assert await feed_of(pool, someone.code) == {}


async def test_the_order_of_refusals(pool: Pool, running: Running, world: World) -> None:
    wrong = wish(settings_version=9, is_inbox_enabled=True, can_access_message_read_status=True)
    nobody = await person(pool, running, profile=False)
    someone = await person(pool, running)
    legacy = await person(pool, running, mode="LEGACY")
    for method, body in (("GET", None), ("POST", wrong)):
        unknown = path("01ARZ3NDEKTSV4RRFFQ69G5FAV")
        assert (await someone.request(method, path("a b"), json=body)).status_code == 400
        assert (await someone.request(method, path("x" * 201), json=body)).status_code == 400
        assert (await someone.request(method, path("%00"), json=body)).status_code == 400
        assert (await nobody.request(method, path(world.anna.id), json=body)).status_code == 404
        assert (await someone.request(method, unknown, json=body)).status_code == 404
        assert (await legacy.request(method, unknown, json=body)).status_code == 404
        answer = await legacy.request(method, path(world.anna.id), json=body)
        assert (answer.status_code, answer.json()["title"]) == (409, "Conflict")
    # Version before activation, activation before the closed inbox that shares.
    answer = await someone.post(path(world.special.id), wrong)
    assert (answer.status_code, answer.json()["field"]) == (409, "settings_version")
    answer = await someone.post(path(world.special.id), wish())
    assert (answer.status_code, answer.json()["field"]) == (409, "is_inbox_enabled")
    async with pool.transaction() as conn:
        await put_activations(conn, [Activation(someone.code, world.special.id, "ACTIVE")])
    shares = wish(is_inbox_enabled=False, can_access_message_read_status=True)
    assert (await someone.post(path(world.special.id), shares)).status_code == 409
    answer = await someone.post(path(world.anna.id), shares)
    assert (answer.status_code, answer.json()["field"]) == (400, "can_access_message_read_status")


@pytest.mark.parametrize("gone", sorted(wish()))
async def test_every_member_but_one_is_needed(
    pool: Pool, running: Running, world: World, gone: str
) -> None:
    someone = await person(pool, running)
    body = wish()
    del body[gone]
    assert (await someone.post(path(world.anna.id), body)).status_code == 400


@pytest.mark.parametrize(
    "change",
    [
        {"is_inbox_enabled": None},
        {"is_email_enabled": 1},
        {"settings_version": -1},
        {"settings_version": "0"},
        {"can_access_message_read_status": "true"},
        {"can_access_message_read_status": None},
    ],
)
async def test_a_body_that_breaks_the_rules_is_400(
    pool: Pool, running: Running, world: World, change: dict[str, Any]
) -> None:
    someone = await person(pool, running, mode="LEGACY")
    assert (await someone.post(path(world.anna.id), wish(**change))).status_code == 400
    assert (await someone.post(path("unknown"), wish(**change))).status_code == 400


async def test_a_choice_holds_until_the_mode_changes(
    pool: Pool, running: Running, world: World
) -> None:
    someone = await person(pool, running)
    chosen = wish(is_inbox_enabled=True, is_webhook_enabled=False)
    stored = await someone.post(path(world.anna.id), chosen)
    assert stored.json() == {**chosen, "can_access_message_read_status": True}
    assert (await someone.get(path(world.anna.id))).json() == stored.json()
    denied = await someone.post(
        path(world.anna.id), {**chosen, "can_access_message_read_status": False}
    )
    assert denied.json()["can_access_message_read_status"] is False
    async with pool.transaction() as conn:
        assert await count_choices(conn, someone.code) == 1
        await change_mode(conn, someone.code, "MANUAL")
        assert await count_choices(conn, someone.code) == 0
    assert (await someone.get(path(world.anna.id))).json()["is_email_enabled"] is False
    assert (await someone.post(path(world.anna.id), chosen)).status_code == 409
    again = await someone.post(path(world.anna.id), {**chosen, "settings_version": 1})
    assert again.status_code == 200


async def test_the_history_names_the_service_and_what_changed(
    pool: Pool, running: Running, world: World
) -> None:
    someone = await person(pool, running)
    await someone.post(path(world.anna.id), wish())  # what holds already
    off = wish(is_inbox_enabled=False, can_access_message_read_status=False)
    await someone.post(path(world.anna.id), off)
    async with pool.connection() as conn:
        rows = await history(conn, someone.code)
    assert [(r["kind"], r["service_id"], r["service_name"]) for r in rows] == [
        ("service", world.anna.id, "Anagrafe")
    ]
    assert rows[0]["detail"] == {
        "is_inbox_enabled": [True, False],
        "can_access_message_read_status": [True, False],
    }


async def test_two_devices_at_once_store_one_choice_and_never_break(
    pool: Pool, running: Running, world: World
) -> None:
    """The same service, others, and the mode, all at once: each is 200 or 409."""
    someone = await person(pool, running)
    services = [world.anna.id, world.bruno.id, world.secure.id]
    bodies = [
        wish(is_inbox_enabled=bool(i % 2), can_access_message_read_status=False) for i in range(4)
    ]
    profile = {"service_preferences_settings": {"mode": "MANUAL"}, "version": 0}
    answers = await asyncio.gather(
        *(someone.post(path(service), body) for service in services for body in bodies),
        someone.post("/api/identity/v1/profile", profile),
        someone.post("/api/identity/v1/profile", profile),
    )
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert sorted(answer.status_code for answer in answers[-2:]) == [200, 409]
    # The profile speaks for all services now.
    assert await feed_of(pool, someone.code) == {"": False}


async def test_another_citizens_choice_is_never_seen(
    pool: Pool, running: Running, world: World
) -> None:
    one, other = await person(pool, running), await person(pool, running)
    off = wish(is_inbox_enabled=False, can_access_message_read_status=False)
    await one.post(path(world.anna.id), off)
    assert (await other.get(path(world.anna.id))).json()["is_inbox_enabled"] is True
    async with pool.connection() as conn:
        assert await history(conn, other.code) == []
    for method in ("GET", "POST"):
        answer = await running.client.request(method, path(world.anna.id), json=off)
        assert answer.status_code == 401
