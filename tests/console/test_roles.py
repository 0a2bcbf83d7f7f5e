"""No role can do what it may not: every form of every page, posted by everybody.

The table says what each page needs, apart from the code. The walk follows the links that an admin
and an operator see, then sends all forms as others, and looks whether a single row changed.
"""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import urlencode

import httpx
import pytest

from messo.base.db import Pool
from messo.operations import operators
from messo.people.members import put_member
from messo.people.roles import MAY, Role
from tests.conftest import Running
from tests.console import furnished
from tests.console.colleague import Colleague, browser_at
from tests.console.forms import Fields
from tests.console.furnished import OPERATE, need_of, pages
from tests.console.walking import route_of, walk
from tests.world import World

pytestmark = pytest.mark.anyio

ROLES: tuple[Role, ...] = ("admin", "editor", "sender", "reader")
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')
_REFUSED = {401, 403, 404}
# All tables but those that count, or that time passes in.
_TABLES = """
SELECT format('%I.%I', c.table_schema, c.table_name) AS name FROM information_schema.tables AS c
WHERE c.table_type = 'BASE TABLE'
  AND c.table_schema NOT IN ('pg_catalog', 'information_schema')
  AND c.table_name <> ALL('{period,sample,session,key_use}')
ORDER BY 1
"""
_CONTENT = "SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {} AS t"


async def content(pool: Pool) -> dict[str, str]:
    """What is in each table."""
    async with pool.connection() as conn:
        names = [row["name"] for row in await conn.raw.fetch(_TABLES)]
        return {name: await conn.raw.fetchval(_CONTENT.format(name)) for name in names}


async def csrf(client: httpx.AsyncClient) -> str:
    found = _CSRF.search((await client.get("/console")).text)
    assert found
    return found[1]


def filled(fields: Fields, token: str) -> list[tuple[str, str]]:
    return [(name, token if name == "csrf" else value) for name, value in fields]


async def post(client: httpx.AsyncClient, path: str, fields: Fields) -> httpx.Response:
    body = urlencode(fields)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return await client.post(path, content=body, headers=headers)


@pytest.fixture(scope="module")
async def people(running: Running, pool: Pool, world: World) -> AsyncIterator[dict[str, Colleague]]:
    """Somebody logged in for each role, an operator, an admin of another town, and nobody."""
    town = world.anna.institution
    async with pool.transaction() as conn:
        for role in ROLES:
            await put_member(conn, "tests", town, role, role.title(), f"{role}@b.it", role)
        await put_member(conn, "tests", world.bruno.institution, "foreign", "F", "f@b.it", "admin")
        await operators.add(conn, "tests", "operate")
    async with AsyncExitStack() as stack:
        there = {
            name: await stack.enter_async_context(browser_at(running.url))
            for name in (*ROLES, "operate", "foreign", "nobody")
        }
        for name, one in there.items():
            if name != "nobody":
                await one.log_in(name)
        yield there


@pytest.fixture(scope="module")
async def ids(
    people: dict[str, Colleague], pool: Pool, world: World, running: Running
) -> furnished.Ids:
    return await furnished.furnish(pool, world, running)


async def test_no_role_can_do_what_it_may_not(
    people: dict[str, Colleague], pool: Pool, world: World, ids: furnished.Ids
) -> None:
    town = f"/console/institutions/{world.anna.institution}"
    mine = await walk(people["admin"].client, town)
    theirs = await walk(people["operate"].client, OPERATE)
    forms = [one for one in (*mine.forms, *theirs.forms) if one.action.startswith("/console/")]
    sent = [(one.action, fields) for one in forms for fields in one.sent()]
    # What a second page asks for only after a first form is posted here without its fields.
    posts = [route for route in pages("POST") if need_of(route, "POST")]
    assert len(posts) > 50
    sent += [(furnished.address(route.path, ids), [("csrf", "")]) for route in posts]
    covered = {route_of(action, "POST").name for action, _ in sent}
    assert {route.name for route in posts} <= covered
    before = await content(pool)
    wrong = []
    for name, one in people.items():
        token = "" if name == "nobody" else await csrf(one.client)
        may = MAY[name] if name in ROLES else {"operate"} if name == "operate" else set()
        for action, fields in sent:
            need = need_of(route_of(action, "POST"), "POST")
            if not need or need in may:
                continue
            answer = await post(one.client, action, filled(fields, token))
            if answer.status_code not in _REFUSED:
                wrong.append((name, action, answer.status_code))
    assert wrong == []
    assert await content(pool) == before


async def test_every_page_is_for_those_whose_role_may_see_it(
    people: dict[str, Colleague], ids: furnished.Ids
) -> None:
    wrong = []
    looks = [route for route in pages() if need_of(route, "GET")]
    assert len(looks) > 50
    for route in looks:
        need = need_of(route, "GET")
        address = furnished.address(route.path, ids)
        for name, one in people.items():
            may = MAY[name] if name in ROLES else {"operate"} if name == "operate" else set()
            status = (await one.client.get(address)).status_code
            allowed = need in may
            if (status in {401, 403}) == allowed or status >= 500:
                if not allowed and status == 404 and name in {"operate", "foreign", *ROLES}:
                    continue  # another's, or operators': as if it did not exist
                wrong.append((name, route.path, need, status))
    assert wrong == []


@pytest.mark.parametrize("name", ROLES)
async def test_no_page_offers_a_form_that_is_refused(
    people: dict[str, Colleague], world: World, name: Role
) -> None:
    """What somebody may not do is not shown to them. Runs last: what it posts is done."""
    one = people[name]
    found = await walk(one.client, f"/console/institutions/{world.anna.institution}")
    token = await csrf(one.client)
    for form in found.forms:
        if not form.action.startswith("/console/institutions"):
            continue
        need = need_of(route_of(form.action, "POST"), "POST")
        assert need in MAY[name], form.action
        if form.action.endswith(("/delete", "/leave")):
            continue
        for fields in form.sent():
            answer = await post(one.client, form.action, filled(fields, token))
            assert answer.status_code not in {401, 403, 500}, (form.action, answer.status_code)
