"""Who manages services: people as their role says, and anybody only for as long as they may."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from messo.base.db import Pool
from messo.people import members
from messo.services import keys
from messo.services.group_routes import GroupRoutes
from messo.services.logo_routes import LogoRoutes
from messo.services.manage_routes import ManageRoutes
from messo.services.services import create_institution, suspend_institution
from tests.conftest import Running
from tests.services import managing
from tests.services.managing import PATH, Managing, payload
from tests.services.png_files import in_base64, solid
from tests.services.test_review_routes import log_in
from tests.world import ACTOR, World

SERVICE, GROUPS, MANAGE_KEY = f"{PATH}/{{service_id}}", "/messo/v1/groups", "/messo/v1/manage-key"
GROUP, REVIEW = f"{GROUPS}/{{group_id}}", "/messo/v1/services/{service_id}/review"
NETWORKS: dict[str, Any] = {"authorized_cidrs": []}
LOGO = {"logo": in_base64(solid(1, 1))}
# What each route needs, and a body that is good.
TABLE: list[tuple[str, str, str, Any]] = [
    ("read", "GET", PATH, None),
    ("read", "GET", SERVICE, None),
    ("read", "GET", f"{SERVICE}/history", None),
    ("read", "GET", f"{SERVICE}/release", None),
    ("edit", "POST", PATH, payload(name="Nuovo")),
    ("edit", "PUT", SERVICE, payload(name="Tabella")),
    ("edit", "PUT", f"{SERVICE}/logo", LOGO),
    ("edit", "PUT", f"{SERVICE}/review", {"auto_publish": True}),
    ("edit", "DELETE", REVIEW, None),
    ("edit", "POST", f"{SERVICE}/release", None),
    ("edit", "DELETE", f"{SERVICE}/release", None),
    ("administer", "GET", f"{SERVICE}/keys", None),
    ("administer", "PUT", f"{SERVICE}/keys/{{key_type}}", None),
    ("administer", "GET", GROUPS, None),
    ("administer", "POST", GROUPS, {"name": "Tabella", **NETWORKS}),
    ("administer", "GET", GROUP, None),
    ("administer", "PUT", GROUP, {"name": "Altra", **NETWORKS}),
    ("administer", "GET", f"{GROUP}/keys", None),
    ("administer", "PUT", f"{GROUP}/keys/{{key_type}}", None),
    ("administer", "PUT", "/messo/v1/services/{service_id}/group", {"group_id": None}),
    ("administer", "DELETE", GROUP, None),
    ("administer", "GET", MANAGE_KEY, None),
    ("administer", "PUT", MANAGE_KEY, NETWORKS),
    ("administer", "GET", f"{MANAGE_KEY}/keys", None),
    ("administer", "PUT", f"{MANAGE_KEY}/keys/{{key_type}}", None),
    ("edit", "DELETE", SERVICE, None),
]


@pytest.fixture(scope="module")
def anna(running: Running, world: World) -> Managing:
    return managing.of(running, world)


async def of_role(running: Running, world: World, login: str, role: Any) -> dict[str, str]:
    """The cookie of somebody of Anna's town."""
    await log_in(running, world, "capo", operator=False)  # an admin remains
    cookie = await log_in(running, world, login, operator=False)
    async with running.started.pool.transaction() as conn:
        mail = f"{login}@example.org"
        await members.put_member(conn, ACTOR, world.anna.institution, login, login, mail, role)
    return cookie


def test_the_table_has_every_route() -> None:
    nothing: Any = None
    routes = [
        *ManageRoutes(*[nothing] * 5).routes(),
        *GroupRoutes(*[nothing] * 4).routes(),
        *LogoRoutes(*[nothing] * 3).routes()[:1],  # the other one is for a service's key
    ]
    served = {(route.method, route.path) for route in routes}
    assert {(method, path) for _, method, path, _ in TABLE} == served - {("GET", f"{PATH}/topics")}


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("reader", {"read"}),
        ("sender", {"read"}),
        ("editor", {"read", "edit"}),
        ("admin", {"read", "edit", "administer"}),
    ],
)
async def test_each_route_needs_a_role(
    running: Running, world: World, anna: Managing, role: str, may: set[str]
) -> None:
    """The same routes as with a key, and the same answers."""
    made = await running.client.post(
        GROUPS,
        json={"name": f"Di {role}", **NETWORKS},
        headers={"Ocp-Apim-Subscription-Key": anna.key},
    )
    filled = {
        "service_id": await anna.make(name=f"Tabella {role}"),
        "group_id": made.json()["id"],
        "key_type": "secondary",
    }
    cookie = await of_role(running, world, f"tina-{role}", role)
    headers = {**cookie, "Messo-Institution": "00000000001"}
    for need, method, path, body in TABLE:
        answer = await running.client.request(
            method, path.format(**filled), json=body, headers=headers
        )
        told = (role, method, path, answer.text)
        assert (answer.status_code == 403) == (need not in may), told
        # Never released, and in review or not: whoever may, is told how things are.
        assert answer.status_code in {200, 201, 204, 403, 404, 409}, told
        if answer.status_code == 403:
            assert answer.json()["title"] == "You are not allowed here"


async def test_a_browser_says_for_whom_and_asks_from_our_own_site(
    running: Running, world: World
) -> None:
    cookie = await of_role(running, world, "ugo", "admin")
    forgotten = await running.client.get(PATH, headers=cookie)
    assert (forgotten.status_code, forgotten.json()["field"]) == (400, "Messo-Institution")
    elsewhere = {
        **cookie,
        "Messo-Institution": "00000000001",
        "Origin": "https://evil.example.org",
    }
    answer = await running.client.post(PATH, json=payload(), headers=elsewhere)
    assert answer.status_code == 403


async def test_what_comes_too_slowly_is_asked_once_more_who_sends_it(
    running: Running, world: World, pool: Pool
) -> None:
    async with pool.transaction() as conn:
        town = await create_institution(conn, ACTOR, "00000000055", "Comune", "a@example.org")
        pair = await keys.create_pair(conn, world.secrets, ACTOR, town, None)
    body = msgspec.json.encode(payload())
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: messo\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nOcp-Apim-Subscription-Key: {pair['primary']}\r\n"
        "Expect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    address = urlsplit(running.url)
    for suspend, status in ((False, b"201"), (True, b"401")):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(head.encode())
        # Whoever is asked to go on was let pass.
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(body[:50])
        async with pool.transaction() as conn:
            await suspend_institution(conn, ACTOR, town, suspend=suspend, reason="prova")
        await running.started.directory.refresh(0)
        await asyncio.sleep(0.5)
        writer.write(body[50:])
        assert (await reader.read()).split(b" ", 2)[1] == status
        writer.close()
        async with pool.connection() as conn:
            made = await conn.raw.fetchval(
                "SELECT count(*) FROM services.service WHERE institution_id = $1", town
            )
        assert made == 1
