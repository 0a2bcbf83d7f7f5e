"""Groups of services: their keys open their own services and nothing else, of nobody else's."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from messo.base.db import Pool
from messo.base.http import Problem
from messo.base.ids import new_id
from messo.services import Manager, groups
from messo.services.services import set_state
from tests.services.group_api import (
    GROUPS,
    MANAGE_KEY,
    NOT_ALLOWED,
    OTHER_GROUP,
    Api,
    asking,
)
from tests.services.managing import payload
from tests.world import ACTOR, World

SERVICES = "/api/v1/manage/services"
NOBODYS = "01HZZZZZZZZZZZZZZZZZZZZZZZ"
HOOK = "https://hooks.example.org/messo"
SITE = {
    "redirect_uris": [{"uri": "https://sito.example.org/", "display_name": {"it": "Il sito"}}],
    "token_endpoint_auth_method": "client_secret_basic",
}


@pytest.fixture(scope="module")
async def api(pool: Pool, world: World) -> AsyncIterator[Api]:
    async with asking(pool, world) as made:
        yield made


def webhook(service: str) -> dict[str, str]:
    return {"service_id": service, "url": HOOK}


async def audit(pool: Pool, subject: str) -> list[tuple[str, str]]:
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT actor, action FROM operations.audit WHERE subject = $1 ORDER BY at", subject
        )
    return [(row["actor"], row["action"]) for row in rows]


async def test_the_key_of_a_group_opens_the_services_in_it(
    api: Api, pool: Pool, world: World
) -> None:
    path, key = await api.make("Uno")
    inside, outside = world.anna.id, world.draft.id
    other = (await api.ask("POST", "/messo/v1/webhooks", webhook(outside))).json()["id"]
    assert await api.refused("POST", "/messo/v1/webhooks", webhook(inside), key=key) == OTHER_GROUP
    assert (await api.move(inside, path)).status_code == 204

    made = await api.ask("POST", "/messo/v1/webhooks", webhook(inside), key=key)
    assert made.status_code == 201
    own = f"/messo/v1/webhooks/{made.json()['id']}"
    actor = f"group:{path.rpartition('/')[2]}"
    assert await audit(pool, made.json()["id"]) == [(actor, "webhook.create")]
    listed = (await api.ask("GET", "/messo/v1/webhooks", key=key)).json()["items"]
    assert [one["id"] for one in listed] == [made.json()["id"]]
    assert len((await api.ask("GET", "/messo/v1/webhooks")).json()["items"]) == 2
    assert (await api.ask("GET", own, key=key)).status_code == 200
    site = f"/messo/v1/services/{inside}/sso/live"
    assert (await api.ask("PUT", site, SITE, key=key)).status_code == 201

    hook, site = f"/messo/v1/webhooks/{other}", f"/messo/v1/services/{outside}/sso"
    for method, target, body in (
        ("POST", "/messo/v1/webhooks", webhook(outside)),
        ("GET", f"/messo/v1/webhooks?service_id={outside}", None),
        ("GET", hook, None),
        ("PATCH", hook, {"state": "off"}),
        ("DELETE", hook, None),
        ("POST", hook + "/test", None),
        ("POST", hook + "/secret", None),
        ("DELETE", hook + "/secret", None),
        ("GET", hook + "/dead-letters", None),
        ("POST", hook + "/replay", {"event_id": new_id()}),
        ("GET", site, None),
        ("GET", site + "/live", None),
        ("PUT", site + "/live", SITE),
        ("DELETE", site + "/live", None),
        ("POST", site + "/live/secret", None),
        ("DELETE", site + "/live/secret", None),
    ):
        assert await api.refused(method, target, body, key=key) == OTHER_GROUP, (method, target)

    assert (await api.move(inside, None)).status_code == 204
    assert await api.refused("DELETE", own, key=key) == OTHER_GROUP
    assert (await api.ask("GET", "/messo/v1/webhooks", key=key)).json() == {"items": []}
    moved = (f"institution:{world.anna.institution}", "service.group")
    assert (await audit(pool, inside)).count(moved) == 2


async def test_the_key_of_a_group_manages_the_services_in_it(api: Api, world: World) -> None:
    path, key = await api.make("Gestione")
    group = path.rpartition("/")[2]
    assert (await api.ask("GET", SERVICES, key=key)).json()["value"] == []
    made = await api.ask("POST", SERVICES, payload(), key=key)
    assert (made.status_code, made.json()["metadata"]["group_id"]) == (201, group)
    own, outside = made.json()["id"], world.draft.id
    listed = (await api.ask("GET", SERVICES, key=key)).json()["value"]
    assert [one["id"] for one in listed] == [own]
    assert (await api.ask("GET", f"{SERVICES}/{own}/keys", key=key)).status_code == 200
    for method, more, body in (
        ("GET", "", None),
        ("PUT", "", payload()),
        ("DELETE", "", None),
        ("GET", "/keys", None),
        ("PUT", "/keys/primary", None),
        ("PUT", "/review", {"auto_publish": True}),
        ("GET", "/history", None),
        ("POST", "/release", None),
        ("GET", "/release", None),
        ("DELETE", "/release", None),
    ):
        target = f"{SERVICES}/{outside}{more}"
        assert await api.refused(method, target, body, key=key) == OTHER_GROUP, (method, more)
        foreign, unknown = [
            await api.ask(method, f"{SERVICES}/{service}{more}", body, key=key)
            for service in (world.bruno.id, NOBODYS)
        ]
        assert foreign.status_code == 404, (method, more)
        assert foreign.text.replace(world.bruno.id, NOBODYS) == unknown.text
    assert (await api.move(own, None)).status_code == 204
    assert await api.refused("GET", f"{SERVICES}/{own}", key=key) == OTHER_GROUP
    assert (await api.ask("GET", f"{SERVICES}/{own}")).status_code == 200


async def test_the_key_of_a_group_decides_nothing_about_groups_and_keys(
    api: Api, world: World
) -> None:
    path, key = await api.make("Due")
    group = {"name": "Mio", "authorized_cidrs": []}
    for method, target, body in (
        ("GET", GROUPS, None),
        ("POST", GROUPS, group),
        ("GET", path, None),
        ("PUT", path, group),
        ("DELETE", path, None),
        ("GET", path + "/keys", None),
        ("PUT", path + "/keys/primary", None),
        ("GET", MANAGE_KEY, None),
        ("PUT", MANAGE_KEY, {"authorized_cidrs": []}),
        ("GET", MANAGE_KEY + "/keys", None),
        ("PUT", MANAGE_KEY + "/keys/secondary", None),
        ("PUT", f"/messo/v1/services/{world.anna.id}/group", {"group_id": None}),
    ):
        answer = await api.ask(method, target, body, key=key)
        assert (answer.status_code, answer.json()["title"]) == NOT_ALLOWED, (method, target)
        assert "own manage key" in answer.json()["detail"]


async def test_another_institutions_group_is_as_one_that_is_not_there(
    api: Api, world: World
) -> None:
    theirs, key = await api.make("Loro", key=api.bruno)
    assert (await api.move(world.bruno.id, theirs, key=api.bruno)).status_code == 204
    listed = (await api.ask("GET", GROUPS)).json()["groups"]
    assert theirs.rpartition("/")[2] not in [one["id"] for one in listed]
    nobodys = f"{GROUPS}/{new_id()}"
    group = {"name": "Mio", "authorized_cidrs": []}
    for method, more, body in (
        ("GET", "", None),
        ("PUT", "", group),
        ("DELETE", "", None),
        ("GET", "/keys", None),
        ("PUT", "/keys/primary", None),
    ):
        one, other = [await api.ask(method, path + more, body) for path in (theirs, nobodys)]
        assert (one.status_code, one.content) == (404, other.content), method
    one, other = [await api.move(world.anna.id, path) for path in (theirs, nobodys)]
    assert (one.status_code, one.content) == (404, other.content)

    unknown = new_id()
    for who in (None, key):  # a group's key, too, learns nothing of who else has services
        asked = api.master if who is None else who
        whose = world.bruno.id if who is None else world.anna.id
        hooks = [
            await api.ask("POST", "/messo/v1/webhooks", webhook(service), key=asked)
            for service in (whose, unknown)
        ]
        sites = [
            await api.ask("GET", f"/messo/v1/services/{service}/sso", key=asked)
            for service in (whose, unknown)
        ]
        for one, other in (hooks, sites):
            assert one.status_code == other.status_code == 404
            assert one.text.replace(whose, unknown) == other.text
    one, other = [await api.move(service, None) for service in (world.bruno.id, unknown)]
    assert one.status_code == other.status_code == 404
    assert one.text.replace(world.bruno.id, unknown) == other.text
    listed = (await api.ask("GET", GROUPS, key=api.bruno)).json()["groups"]
    assert [(one["name"], one["services"]) for one in listed] == [("Loro", 1)]


async def test_a_name_is_there_once_whatever_its_case_and_whoever_is_faster(api: Api) -> None:
    both = await asyncio.gather(*(api.ask("POST", GROUPS, {"name": n}) for n in ("Già", "GIÀ")))
    assert sorted(answer.status_code for answer in both) == [201, 409]
    (taken,) = (answer.json() for answer in both if answer.status_code == 409)
    assert (taken["title"], taken["field"]) == ("Name taken", "name")
    path, _ = await api.make("Altro")
    # The same letters, composed otherwise.
    for name in ("già", "gia\u0300"):
        refused = await api.refused("PUT", path, {"name": name, "authorized_cidrs": []})
        assert refused == (409, "Name taken")
    kept = await api.ask("PUT", path, {"name": "ALTRO", "authorized_cidrs": ["192.0.2.0/24"]})
    assert (kept.status_code, kept.json()["name"]) == (200, "ALTRO")
    assert (await api.ask("GET", path)).json() == kept.json()
    assert (await api.make("GIÀ", key=api.bruno))[0]  # names are each institution's own


async def test_only_an_empty_group_is_deleted_and_its_keys_with_it(
    api: Api, pool: Pool, world: World
) -> None:
    path, key = await api.make("Breve")
    for service in (world.special.id, world.secure.id):
        assert (await api.move(service, path)).status_code == 204
    assert await api.refused("DELETE", path) == (409, "Group not empty")
    assert (await api.ask("GET", path)).json()["services"] == 2
    async with pool.transaction() as conn:
        await set_state(conn, ACTOR, world.special.id, "deleted")
    assert (await api.move(world.secure.id, None)).status_code == 204
    assert (await api.move(world.special.id, None)).status_code == 404
    assert (await api.ask("DELETE", path)).status_code == 204
    assert (await api.ask("GET", "/messo/v1/webhooks", key=key)).status_code == 401
    assert (await api.ask("GET", path)).status_code == 404


async def test_what_comes_into_a_group_and_its_end_wait_for_each_other(
    api: Api, pool: Pool, world: World
) -> None:
    path, _ = await api.make("Conteso")
    manager = Manager(world.anna.institution, frozenset(), ACTOR, path.rpartition("/")[2])
    async with pool.transaction() as conn:
        await groups.hold_own(conn, manager)  # as whoever creates a service with the group's key
        deleting = asyncio.create_task(api.ask("DELETE", path))
        await asyncio.sleep(0.1)
        put = "UPDATE services.service SET group_id = $1 WHERE id = $2"
        await conn.raw.execute(put, manager.group_id, world.secure.id)
        assert not deleting.done()
    assert (await deleting).status_code == 409
    assert (await api.move(world.secure.id, None)).status_code == 204
    assert (await api.ask("DELETE", path)).status_code == 204
    async with pool.connection() as conn:
        with pytest.raises(Problem) as refused:
            await groups.hold_own(conn, manager)
    assert refused.value.status == 403


async def test_an_institution_has_a_hundred_groups_at_most(
    api: Api, pool: Pool, world: World
) -> None:
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO services.service_group (id, institution_id, name, authorized_cidrs, "
            "created_at) SELECT 'many-' || n, $1, 'many ' || n, '{}', now() "
            "FROM generate_series(1, 99 - (SELECT count(*) FROM services.service_group "
            "WHERE institution_id = $1)) AS n",
            world.anna.institution,
        )
    both = await asyncio.gather(*(api.ask("POST", GROUPS, {"name": n}) for n in ("99", "100")))
    assert sorted(answer.status_code for answer in both) == [201, 409]
    (full,) = (answer.json() for answer in both if answer.status_code == 409)
    assert full["title"] == "Too many groups"
    assert len((await api.ask("GET", GROUPS)).json()["groups"]) == 100
    async with pool.transaction() as conn:
        await conn.raw.execute("DELETE FROM services.service_group WHERE id LIKE 'many-%'")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ([], None),
        ("x", None),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": " x"}, "name"),
        ({"name": "x\ny"}, "name"),
        ({"name": "x\u2028y"}, "name"),
        ({"name": "x\u202ey"}, "name"),
        ({"name": "x\x00"}, None),
        ({"name": None}, "name"),
        ({"name": ["x"]}, "name"),
        ({"name": "x", "id": "y"}, None),
        ({"name": "x", "authorized_cidrs": None}, "authorized_cidrs"),
        ({"name": "x", "authorized_cidrs": "192.0.2.7"}, "authorized_cidrs"),
        ({"name": "x", "authorized_cidrs": [7]}, "authorized_cidrs[0]"),
        ({"name": "x", "authorized_cidrs": ["192.0.2.7", "999.0.2.7"]}, "authorized_cidrs"),
        ({"name": "x", "authorized_cidrs": ["192.0.2.7"] * 101}, "authorized_cidrs"),
    ],
)
async def test_what_breaks_a_rule_is_refused_by_name(
    api: Api, body: Any, field: str | None
) -> None:
    answer = await api.ask("POST", GROUPS, body)
    assert (answer.status_code, answer.json().get("field")) == (400, field), answer.text
    path, _ = await api.make(new_id())
    whole = {"name": "x", "authorized_cidrs": [], **body} if isinstance(body, dict) else body
    if whole != {"name": "x", "authorized_cidrs": []}:
        assert (await api.ask("PUT", path, whole)).status_code == 400
    assert (await api.ask("DELETE", path)).status_code == 204


async def test_paths_that_lead_nowhere_are_refused(api: Api, world: World) -> None:
    path, _ = await api.make("Sentieri")
    for method, target in (
        ("GET", f"{GROUPS}/x"),
        ("DELETE", f"{GROUPS}/%00"),
        ("PUT", f"{path}/keys/third"),
        ("PUT", f"{MANAGE_KEY}/keys/Primary"),
    ):
        assert (await api.ask(method, target)).status_code == 400, target
    for service in ("x", "%00", "%ed%a0%80"):
        target = f"/messo/v1/services/{service}/group"
        assert (await api.ask("PUT", target, {"group_id": None})).status_code == 404, service
    for body in ({}, {"group_id": "x"}, {"group_id": 7}, {"group_id": [path]}, None):
        target = f"/messo/v1/services/{world.anna.id}/group"
        assert (await api.ask("PUT", target, body)).status_code == 400, body
