"""Manage keys, the institution's own and those of groups: where they are taken from, and their end."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from messo.base.db import Pool
from messo.base.http import Problem
from messo.base.ids import new_id
from messo.services import manage
from messo.services import payload as payloads
from messo.services.permissions import Permission
from messo.services.services import grant, revoke
from tests.services.group_api import (
    GROUPS,
    MANAGE_KEY,
    NOT_ALLOWED,
    OTHER_GROUP,
    Api,
    asking,
    within_a_second,
)
from tests.services.managing import PATH, manager_of, payload
from tests.world import ACTOR, SANDBOX, World

OFFICE, VENDOR, ELSEWHERE = "192.0.2.7", "198.51.100.9", "203.0.113.1"
HOOKS = "/messo/v1/webhooks"


@pytest.fixture(scope="module")
async def api(pool: Pool, world: World) -> AsyncIterator[Api]:
    async with asking(pool, world) as made:
        yield made


async def test_each_manage_key_has_its_own_list_of_addresses(api: Api) -> None:
    path, key = await api.make("Fornitore", "198.51.100.0/24")
    put = {"authorized_cidrs": [OFFICE, "192.0.2.128/25"]}
    answer = await api.ask("PUT", MANAGE_KEY, put, address=OFFICE)
    assert (answer.status_code, answer.json()) == (200, put)

    for allowed, refused, who in ((OFFICE, VENDOR, None), (VENDOR, OFFICE, key)):
        assert (await api.ask("GET", HOOKS, key=who, address=allowed)).status_code == 200
        for address in (refused, ELSEWHERE, "garbage", "2001:db8::1"):
            answer = await api.ask("GET", HOOKS, key=who, address=address)
            assert (answer.status_code, answer.json()["title"]) == NOT_ALLOWED, address
            assert "authorized_cidrs" in answer.json()["detail"]
    # A line that the client wrote itself counts for nothing.
    assert (await api.ask("GET", HOOKS, address=f"{OFFICE}, {ELSEWHERE}")).status_code == 403
    assert (await api.ask("GET", MANAGE_KEY, address="192.0.2.200")).json() == put

    wide = {"name": "Fornitore", "authorized_cidrs": []}
    # A group's list need not have who gives it: its keys are a vendor's.
    narrow = wide | {"authorized_cidrs": [ELSEWHERE]}
    for settings, status in ((narrow, 403), (wide, 200)):
        assert (await api.ask("PUT", path, settings, address=OFFICE)).status_code == 200
        assert (await api.ask("GET", HOOKS, key=key, address=VENDOR)).status_code == status
    anywhere = await api.ask("PUT", MANAGE_KEY, {"authorized_cidrs": []}, address=OFFICE)
    assert anywhere.status_code == 200
    assert (await api.ask("GET", HOOKS, address=ELSEWHERE)).status_code == 200


async def test_a_key_does_not_shut_itself_out(api: Api) -> None:
    for address, named in ((VENDOR, VENDOR), ("2001:db8::1", "2001:db8::1"), ("x", "not be")):
        asked = {"authorized_cidrs": ["192.0.2.0/24", "10.0.0.0/8"]}
        answer = await api.ask("PUT", MANAGE_KEY, asked, address=address)
        assert answer.status_code == 409
        assert answer.json()["field"] == "authorized_cidrs"
        assert named in answer.json()["detail"]
    bad = await api.ask("PUT", MANAGE_KEY, {"authorized_cidrs": ["192.0.2.256"]}, address=OFFICE)
    assert (bad.status_code, bad.json()["field"]) == (400, "authorized_cidrs")
    assert "192.0.2.256" in bad.json()["detail"]
    assert (await api.ask("GET", MANAGE_KEY, address=ELSEWHERE)).json() == {"authorized_cidrs": []}


async def test_a_replaced_key_dies_within_a_second_and_its_twin_lives(
    api: Api, world: World
) -> None:
    path, group_key = await api.make("Ruota")
    headers = {"Ocp-Apim-Subscription-Key": ""}

    async def is_dead(key: str) -> bool:
        # Not `ask`, which looks at the database each time.
        answer = await api.client.get(HOOKS, headers=headers | {"Ocp-Apim-Subscription-Key": key})
        return answer.status_code == 401

    for keys, old, who in (
        (path + "/keys", group_key, None),
        (MANAGE_KEY + "/keys", api.bruno, api.bruno),  # with the very key that is replaced
    ):
        before = (await api.ask("GET", keys, key=who)).json()
        assert before["primary_key"] == old
        answer = await api.ask("PUT", keys + "/primary", key=who)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        after = answer.json()
        assert after["secondary_key"] == before["secondary_key"]
        assert after["primary_key"] not in before.values()
        await within_a_second(lambda old=old: is_dead(old))  # type: ignore[misc]
        for key in after.values():
            assert not await is_dead(key)


async def test_a_groups_key_is_refused_what_is_another_groups(api: Api) -> None:
    (_, one), (_, other) = [await api.make(name) for name in ("Scuole", "Tributi")]
    made = await api.ask("POST", PATH, payload(), key=other)
    theirs = f"{PATH}/{made.json()['id']}"
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "", payload(name="Rubato")),
        ("GET", "/keys", None),
        ("PUT", "/keys/primary", None),
        ("GET", "/history", None),
        ("PUT", "/review", {"auto_publish": True}),
        ("GET", "/release", None),
        ("POST", "/release", None),
        ("DELETE", "/release", None),
        ("DELETE", "", None),
    ):
        assert await api.refused(method, theirs + path, body, key=one) == OTHER_GROUP, path
    kept = (await api.ask("GET", theirs, key=other)).json()
    assert (kept["name"], kept["status"]) == ("Mensa scolastica", {"value": "draft"})
    assert (await api.ask("GET", PATH, key=one)).json()["value"] == []


async def test_whoever_creates_in_a_group_that_is_gone_is_refused(pool: Pool, world: World) -> None:
    data = payloads.parse(msgspec.json.encode(payload()), "x", SANDBOX)
    gone = manager_of(world.anna.institution, new_id())
    with pytest.raises(Problem) as refused:
        async with pool.transaction() as conn:
            await manage.create(conn, world.secrets, gone, data)
    assert (refused.value.status, refused.value.title) == NOT_ALLOWED


async def test_a_replaced_master_key_leaves_those_of_groups(api: Api) -> None:
    path, key = await api.make("Intatto")
    pair = (await api.ask("GET", f"{path}/keys")).json()
    before = (await api.ask("GET", f"{MANAGE_KEY}/keys")).json()
    after = (await api.ask("PUT", f"{MANAGE_KEY}/keys/secondary")).json()
    assert before["primary_key"] == after["primary_key"] == api.master
    assert before["secondary_key"] != after["secondary_key"]
    assert (await api.ask("GET", f"{path}/keys")).json() == pair
    assert (await api.ask("GET", PATH, key=key)).status_code == 200


async def test_who_may_not_write_services_manages_no_keys(
    api: Api, pool: Pool, world: World
) -> None:
    async with pool.transaction() as conn:
        await revoke(conn, ACTOR, world.anna.institution, [Permission.SERVICE_WRITE])
    for path in (GROUPS, MANAGE_KEY, MANAGE_KEY + "/keys"):
        assert await api.refused("GET", path) == NOT_ALLOWED
    async with pool.transaction() as conn:
        await grant(conn, ACTOR, world.anna.institution, [Permission.SERVICE_WRITE])
    assert (await api.ask("GET", GROUPS)).status_code == 200
    for key in (world.anna.key, "wrong"):
        assert (await api.ask("GET", GROUPS, key=key)).status_code in (401, 403)
