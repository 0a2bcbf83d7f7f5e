"""Reviews over HTTP: operators decide, once, on what they have looked at; nobody else does."""

import asyncio
from typing import Any

import pytest

from messo.login import web_limits
from messo.operations import operators
from messo.people import members
from messo.people.sessions import open_session
from messo.people.staff_web import StaffWeb
from messo.settings import Settings
from tests.conftest import Running
from tests.services import managing
from tests.services.managing import Managing, payload
from tests.world import World

REVIEWS = "/messo/v1/reviews"
MOST = 76_543  # euro cents, of what is approved


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(rate_limit=100_000, rate_burst=100_000, service_max_amount=MOST)


@pytest.fixture(scope="module")
def anna(running: Running, world: World) -> Managing:
    return managing.of(running, world)


async def log_in(running: Running, world: World, name: str, *, operator: bool) -> dict[str, str]:
    """The cookie of an operator, or of an admin of Anna's town."""
    web = StaffWeb(world.secrets, running.url, web_limits(running.settings))
    email = f"{name}@example.org"
    async with running.started.pool.transaction() as conn:
        if operator:
            await operators.add(conn, "tests", name)
        else:
            town = world.anna.institution
            await members.put_member(conn, "tests", town, name, name, email, "admin")
        token = await open_session(conn, name, name, email, web.limits)
    return {"Cookie": f"{web.session_cookie}={token}"}


async def submitted(anna: Managing, **more: Any) -> str:
    """A service that waits for a decision."""
    service = await anna.make(**more)
    await anna.ask("PUT", f"/{service}/review", {"auto_publish": True}, 204)
    return service


async def test_an_operator_looks_and_decides(
    running: Running, world: World, anna: Managing
) -> None:
    cookie = await log_in(running, world, "olga", operator=True)
    service = await submitted(anna, name="Asilo nido")
    queue = (await running.client.get(REVIEWS, headers=cookie)).json()["items"]
    (waiting,) = [one for one in queue if one["id"] == service]
    assert (waiting["name"], waiting["is_first"]) == ("Asilo nido", True)
    assert waiting["institution"] == {"name": "Comune di Anna", "fiscal_code": "00000000001"}
    found = (await running.client.get(f"{REVIEWS}/{service}", headers=cookie)).json()
    changes = {one["member"]: (one["live"], one["submitted"]) for one in found["changes"]}
    assert changes["name"] == (None, "Asilo nido")
    assert changes["metadata.email"] == (None, "mensa@example.org")
    assert (found["version"], found["auto_publish"]) == (waiting["version"], True)
    decide = f"{REVIEWS}/{service}/approval"
    stale = await running.client.post(decide, json={"version": 1}, headers=cookie)
    assert (stale.status_code, stale.json()["field"]) == (409, "version")
    two = await asyncio.gather(
        *(
            running.client.post(decide, json={"version": found["version"]}, headers=cookie)
            for _ in range(2)
        )
    )
    assert sorted(one.status_code for one in two) == [204, 409]
    live = await anna.ask("GET", f"/{service}/release")
    assert (live["status"], live["max_allowed_payment_amount"]) == ("published", MOST)
    again = payload(name="Asilo nido comunale")
    await anna.ask("PUT", f"/{service}", again)
    await anna.ask("PUT", f"/{service}/review", {"auto_publish": True}, 204)
    queue = (await running.client.get(REVIEWS, headers=cookie)).json()["items"]
    assert [one["is_first"] for one in queue if one["id"] == service] == [False]
    async with running.started.pool.connection() as conn:
        actor = await conn.raw.fetchval(
            "SELECT actor FROM operations.audit WHERE subject = $1 AND action = 'service.approve'",
            service,
        )
    assert actor.startswith("operator:")
    assert "olga" not in actor


async def test_a_rejection_says_why(running: Running, world: World, anna: Managing) -> None:
    cookie = await log_in(running, world, "otto", operator=True)
    service = await submitted(anna, name="Spiagge")
    path = f"{REVIEWS}/{service}"
    version = (await running.client.get(path, headers=cookie)).json()["version"]
    for reason in ("", "  \n"):
        body = {"version": version, "reason": reason}
        refused = await running.client.post(f"{path}/rejection", json=body, headers=cookie)
        assert (refused.status_code, refused.json()["field"]) == (400, "reason")
    body = {"version": version, "reason": "Manca l'orario."}
    answer = await running.client.post(f"{path}/rejection", json=body, headers=cookie)
    assert answer.status_code == 204
    assert await anna.status(service) == {"value": "rejected", "reason": "Manca l'orario."}
    for status, what in ((409, service), (404, "01J00000000000000000000000")):
        answer = await running.client.get(f"{REVIEWS}/{what}", headers=cookie)
        assert answer.status_code == status


async def test_the_queue_comes_in_pages(running: Running, world: World, anna: Managing) -> None:
    cookie = await log_in(running, world, "ofelia", operator=True)
    made = [await submitted(anna, name=f"Coda {number}") for number in range(3)]
    found, query = [], "limit=1"
    while True:
        page = (await running.client.get(f"{REVIEWS}?{query}", headers=cookie)).json()
        found += [one["id"] for one in page["items"]]
        if "next" not in page:
            break
        query = f"limit=1&after={page['next']}"
    assert [one for one in found if one in made] == made
    refused = await running.client.get(f"{REVIEWS}?after=x", headers=cookie)
    assert (refused.status_code, refused.json()["field"]) == (400, "after")


async def test_nobody_else_sees_or_decides(running: Running, world: World, anna: Managing) -> None:
    admin = await log_in(running, world, "ada", operator=False)
    service = await submitted(anna, name="Parcheggi")
    for method, path, body in (
        ("GET", REVIEWS, None),
        ("GET", f"{REVIEWS}/{service}", None),
        ("POST", f"{REVIEWS}/{service}/approval", {"version": 2}),
        ("POST", f"{REVIEWS}/{service}/rejection", {"version": 2, "reason": "No"}),
    ):
        for headers, status in (
            (admin, 403),
            ({**admin, "Messo-Institution": world.anna.institution}, 403),
            ({"Ocp-Apim-Subscription-Key": world.manage_key}, 401),
            ({}, 401),
        ):
            answer = await running.client.request(method, path, json=body, headers=headers)
            assert answer.status_code == status, (path, headers)
    assert await anna.status(service) == {"value": "submitted"}


async def test_an_operator_is_told_that_services_are_their_institutions(
    running: Running, world: World
) -> None:
    cookie = await log_in(running, world, "omar", operator=True)
    for town, status in ((world.anna.institution, 403), ("00000000099", 404)):
        headers = {**cookie, "Messo-Institution": town}
        answer = await running.client.get(managing.PATH, headers=headers)
        assert answer.status_code == status
        assert ("operate" in answer.json()["detail"]) is (status == 403)
