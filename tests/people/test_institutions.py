"""Institutions by API: taken in, listed, permitted, suspended and restored."""

import asyncio
import html
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from messo import documents
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.people.staff_web import StaffWeb
from messo.services import Permission
from messo.settings import Settings
from tests.conftest import Running
from tests.operations.test_reference import get
from tests.people.acting import Acting, acting, at_once
from tests.world import AUTO, World, message

NEW = {"fiscal_code": "00000000099", "name": "Comune di Nuova", "email": "nuova@example.org"}


@pytest.fixture
async def staff(pool: Pool, secrets: Secrets) -> AsyncIterator[Acting]:
    async with acting(pool, secrets) as made:
        yield made


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    began = time.monotonic()
    while not await condition():
        assert time.monotonic() - began < 10, what
        await asyncio.sleep(0.02)


async def test_an_operator_takes_an_institution_in_and_its_keys_work(
    staff: Acting, running: Running
) -> None:
    operator, other = await staff.person(operator=True), await staff.person()
    refused = await staff.ask(other, "POST", "/institutions", NEW)
    assert (refused.status_code, refused.json()["title"]) == (403, "You are not allowed here")
    answer = await staff.ask(operator, "POST", "/institutions", NEW)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"] == f"/messo/v1/institutions/{made['id']}"
    assert answer.headers["cache-control"] == "no-store"
    for slot in ("primary", "secondary"):
        key = {"Ocp-Apim-Subscription-Key": made["manage_keys"][slot]}
        path = f"/messo/v1/services/{new_id()}/sso"
        assert (await running.client.get(path, headers=key)).status_code == 404
    seen = (await staff.ask(operator, "GET", f"/institutions/{made['id']}")).json()
    assert {name: seen[name] for name in NEW} == NEW
    assert "manage_keys" not in seen
    assert (seen["suspended"], "role" in seen) == (False, False)
    assert seen["permissions"] == made["permissions"]
    again = await staff.ask(operator, "POST", "/institutions", NEW)
    assert (again.status_code, again.json()["field"]) == (409, "fiscal_code")
    entries = await staff.audit(made["id"])
    assert [action for action, _, _ in entries] == ["institution.create", "key.create"]
    assert {actor.split(":")[0] for _, actor, _ in entries} == {"operator"}
    assert operator.login not in str(entries)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"fiscal_code": "1234567890"}, "fiscal_code"),
        ({"fiscal_code": "00000000098\n"}, "fiscal_code"),
        ({"fiscal_code": AUTO}, "fiscal_code"),
        ({"name": ""}, "name"),
        ({"name": "x" * 300}, "name"),
        ({"name": "Comune\r\nBcc: x"}, "name"),
        ({"name": "Comune\u202e"}, "name"),
        ({"name": " "}, "name"),
        ({"email": "nobody"}, "email"),
        ({"email": "a@example.org\r\nBcc: b@example.org"}, "email"),
        ({"email": f"{'a' * 300}@example.org"}, "email"),
    ],
)
async def test_a_wrong_institution_is_refused_by_name(
    staff: Acting, change: dict[str, str], field: str
) -> None:
    operator = await staff.person(operator=True)
    body = {**NEW, "fiscal_code": "00000000098", **change}
    answer = await staff.ask(operator, "POST", "/institutions", body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    async with staff.pool.connection() as conn:
        assert not await conn.raw.fetchval(
            "SELECT count(*) FROM services.institution WHERE fiscal_code = '00000000098'"
        )


async def test_people_see_their_own_institutions_and_operators_all(
    staff: Acting, world: World
) -> None:
    operator = await staff.person(operator=True)
    mine = await staff.person(world.bruno.institution, "reader")

    async def names(who: Any, query: str = "") -> list[str]:
        answer = await staff.ask(who, "GET", f"/institutions{query}")
        assert answer.status_code == 200, answer.text
        return [one["name"] for one in answer.json()["items"]]

    assert await names(mine) == ["Comune di Bruno"]
    for query in ("?search=Anna", f"?after={world.bruno.institution}", "?search=00000000001"):
        assert await names(mine, query) == []
    assert await names(mine, f"?after={world.anna.institution}") == ["Comune di Bruno"]

    whole, query = [], "?limit=2"
    while True:
        page = (await staff.ask(operator, "GET", f"/institutions{query}")).json()
        whole += [one["name"] for one in page["items"]]
        if "next" not in page:
            break
        query = f"?limit=2&after={page['next']}"
    assert whole[:3] == ["Comune di Anna", "Comune di Bruno", "Consorzio di Carla"]
    assert whole == await names(operator)
    assert await names(operator, "?search=comune%20di%20a") == ["Comune di Anna"]
    assert await names(operator, "?search=00000000003") == ["Consorzio di Carla"]
    assert await names(operator, "?search=%25") == []
    for wrong, field in (
        ("?limit=0", "limit"),
        ("?limit=101", "limit"),
        ("?after=x", "after"),
        ("?search=%00", "search"),
        (f"?search={'x' * 300}", "search"),
    ):
        answer = await staff.ask(operator, "GET", f"/institutions{wrong}")
        assert (answer.status_code, answer.json()["field"]) == (400, field)


async def test_permissions_are_the_whole_set_and_say_what_is_new(
    staff: Acting, running: Running, world: World
) -> None:
    operator = await staff.person(operator=True)
    home = world.bruno.institution
    path = f"/institutions/{home}/permissions"

    async def may_write() -> bool:
        sent = await running.client.post(
            "/api/v1/messages", json=message(), headers=world.bruno.headers
        )
        assert sent.status_code in {201, 403}
        return sent.status_code == 201

    async def may_not() -> bool:
        return not await may_write()

    first = ["ApiServiceWrite", "ApiMessageWrite", "ApiInfoRead"]
    await staff.ask(operator, "PUT", path, {"permissions": first})
    wanted = {"permissions": ["ApiMessageWrite", "ApiMessageWriteAdvanced", "ApiMessageWrite"]}
    asked = (staff.ask(operator, "PUT", path, wanted) for _ in range(3))
    answers = await at_once(staff.pool, home, *asked)
    now = {"permissions": ["ApiMessageWrite", "ApiMessageWriteAdvanced"]}
    nothing = {**now, "added": [], "removed": [], "changed": False}
    told = sorted((answer.json() for answer in answers), key=lambda one: not one["changed"])
    assert told == [
        {
            **now,
            "added": ["ApiMessageWriteAdvanced"],
            "removed": ["ApiInfoRead", "ApiServiceWrite"],
            "changed": True,
        },
        nothing,
        nothing,
    ]
    entries = await staff.audit(home)
    assert [action for action, _, _ in entries].count("institution.permissions") == 2
    assert '"added": ["ApiMessageWriteAdvanced"]' in entries[-1][2]
    wrong = await staff.ask(operator, "PUT", path, {"permissions": ["ApiMessageWrite", "ApiAll"]})
    assert (wrong.status_code, wrong.json()["field"]) == (400, "permissions")
    assert "ApiAll" in wrong.json()["detail"]
    assert str(Permission.INFO_READ) in wrong.json()["detail"]
    every = await staff.ask(operator, "PUT", path, {"permissions": [str(p) for p in Permission]})
    assert len(every.json()["permissions"]) == len(Permission)
    await running.started.directory.refresh(0)  # what was changed before is known
    assert await may_write()
    none = await staff.ask(operator, "PUT", path, {"permissions": []})
    assert none.json()["permissions"] == []
    await until(may_not, "its keys still may")
    await staff.ask(operator, "PUT", path, {"permissions": first})
    await until(may_write, "its keys still may not")
    for away in (new_id(), "%00"):
        answer = await staff.ask(operator, "PUT", f"/institutions/{away}/permissions", wanted)
        assert answer.status_code == 404


@pytest.mark.parametrize("kind", ["institution", "service"])
async def test_suspended_keys_are_refused_everywhere_and_work_again_when_restored(
    staff: Acting, running: Running, world: World, kind: str
) -> None:
    """Asked of another process than the one that suspends; within a second: test_directory."""
    operator = await staff.person(operator=True)
    one = world.secure.institution if kind == "institution" else world.secure.id
    path = f"/{kind}s/{one}/suspension"

    async def works() -> bool:
        sent = await running.client.post(
            "/api/v1/messages", json=message(), headers=world.secure.headers
        )
        assert sent.status_code in {201, 401}
        return sent.status_code == 201

    async def refused() -> bool:
        return not await works()

    assert await works()
    before = len(await staff.audit(one))
    for changed in (True, False):
        told = await staff.ask(operator, "PUT", path, {"reason": "una prova"})
        assert told.json() == {"suspended": True, "changed": changed}
    await until(refused, "the key is still taken")
    for changed in (True, False):
        told = await staff.ask(operator, "DELETE", path)
        assert told.json() == {"suspended": False, "changed": changed}
    await until(works, "the key is still refused")
    entries = (await staff.audit(one))[before:]
    assert [action for action, _, _ in entries] == [f"{kind}.suspend", f"{kind}.restore"]
    assert "una prova" in entries[0][2]

    for wrong in ({}, {"reason": ""}, {"reason": "x" * 600}, {"reason": None}):
        answer = await staff.ask(operator, "PUT", path, wrong)
        assert answer.status_code == 400
    for method, body in (("PUT", {"reason": "x"}), ("DELETE", None)):
        for away in (new_id(), "%00"):
            answer = await staff.ask(operator, method, f"/{kind}s/{away}/suspension", body)
            assert answer.status_code == 404
        chief = await staff.person(world.secure.institution)
        assert (await staff.ask(chief, method, path, body)).status_code == 403


@pytest.mark.parametrize("url", ["https://messo.example.org", "http://127.0.0.1:8480"])
async def test_the_document_is_valid_and_names_the_cookie_and_every_route(
    staff: Acting, secrets: Secrets, url: str
) -> None:
    settings = Settings(public_url=url)
    document = documents.for_people(staff.routes, settings)
    nothing: Any = None
    cookie = StaffWeb(secrets, url, nothing).session_cookie
    scheme = {"type": "apiKey", "in": "cookie", "name": cookie}
    assert document["components"]["securitySchemes"]["key"] == scheme
    jsonschema_rs.Draft202012Validator(OPENAPI_31).validate(document)
    described = {
        (method.upper(), path) for path, those in document["paths"].items() for method in those
    }
    assert described == {(route.method, route.path) for route in staff.routes}
    names = [one["operationId"] for those in document["paths"].values() for one in those.values()]
    assert len(names) == len(set(names)) == 16
    page = html.unescape((await asyncio.to_thread(get, document, "/docs"))[2])
    assert f"Every request carries the cookie of a login, <code>{cookie}=…</code>" in page
    assert f'-H "Cookie: {cookie}=$MESSO_LOGIN"' in page
