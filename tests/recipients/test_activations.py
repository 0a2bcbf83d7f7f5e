"""Activations of SPECIAL services, as their institutions read and write them."""

import asyncio
from itertools import count
from typing import Any

import pytest

from messo.base.db import Pool
from messo.recipients.profile import Profile, create_profiles
from messo.services.services import NewService
from tests.conftest import Running
from tests.recipients.person import code
from tests.world import Caller, World, add_service

PATH = "/api/v1/activations"
NUMBERS = count(1)


async def ask(
    running: Running, caller: Caller, method: str, status: int = 200, path: str = PATH, **more: Any
) -> Any:
    answer = await running.client.request(method, path, headers=caller.headers, **more)
    assert answer.status_code == status, answer.text
    return answer.json()


async def enrolled(pool: Pool, **more: Any) -> str:
    citizen = code(next(NUMBERS), "ATV")
    values: dict[str, Any] = {"mode": "AUTO", "settings_version": 0, "is_inbox_enabled": True}
    async with pool.transaction() as conn:
        await create_profiles(conn, [Profile(citizen, **{**values, **more})])
    return citizen


async def test_each_write_counts_up_and_is_what_is_read(
    pool: Pool, running: Running, world: World
) -> None:
    """For whoever is enrolled and whoever is not, with the slash of the contract and without."""
    for citizen in (await enrolled(pool), code(next(NUMBERS), "ATV")):
        asked = {"fiscal_code": citizen}
        missing = await ask(running, world.special, "POST", 404, json=asked)
        assert (missing["title"], missing["detail"]) == (
            "Not Found",
            "Activation not found for the user",
        )
        for version, status in enumerate(("PENDING", "ACTIVE", "ACTIVE", "INACTIVE")):
            written = await ask(running, world.special, "PUT", json=asked | {"status": status})
            assert written == {
                "service_id": world.special.id,
                "fiscal_code": citizen,
                "status": status,
                "version": version,
            }
            assert await ask(running, world.special, "POST", json=asked) == written
            assert await ask(running, world.special, "POST", path=PATH + "/", json=asked) == written


async def test_only_the_special_service_itself(pool: Pool, running: Running, world: World) -> None:
    citizen = await enrolled(pool)
    new = {"fiscal_code": citizen, "status": "ACTIVE"}
    async with pool.transaction() as conn:
        other = await add_service(
            conn, world.secrets, world.anna.institution, NewService("Altra", category="SPECIAL")
        )
        limited = await add_service(
            conn, world.secrets, world.limited.institution, NewService("Terza", category="SPECIAL")
        )
        afar = await add_service(
            conn,
            world.secrets,
            world.anna.institution,
            NewService("Lontana", category="SPECIAL", authorized_cidrs=("192.0.2.0/24",)),
        )
    await ask(running, world.special, "PUT", json=new)
    await ask(running, other, "POST", 404, json={"fiscal_code": citizen})
    # Refused before the body is looked at: STANDARD though with every permission, without
    # ApiMessageWrite, from elsewhere.
    for caller in (world.anna, limited, afar):
        for method in ("POST", "PUT"):
            problem = await ask(running, caller, method, 403, content=b"{")
            assert problem["title"] == "You are not allowed here"
    manager = Caller("", world.manage_key, "")
    await ask(running, manager, "PUT", 403, json=new)
    assert (await running.client.put(PATH, json=new)).status_code == 401


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"fiscal_code": None}, "fiscal_code"),
        ({"fiscal_code": "TSTATV80A01Y001x"}, "fiscal_code"),
        ({"fiscal_code": "TSTATV80A01Y001X\n"}, "fiscal_code"),
        ({"fiscal_code": "00000000001"}, "fiscal_code"),
        ({"status": None}, "status"),
        ({"status": "active"}, "status"),
        ({"status": ["ACTIVE"]}, "status"),
        ({"status": "ACTIVE\u0000"}, None),
    ],
)
async def test_what_is_wrong_is_named(
    running: Running, world: World, change: dict[str, Any], field: str | None
) -> None:
    new = {"fiscal_code": "AAAAAA00A00A000A", "status": "ACTIVE", **change}
    problem = await ask(running, world.special, "PUT", 400, json=new)
    assert (problem["title"], problem.get("field")) == ("Invalid ActivationPayload", field)


async def test_a_hostile_body_is_refused(running: Running, world: World) -> None:
    for body in (b"", b"{", b"[]", b"null", b"\xff", b'{"status":"ACTIVE"}', b"[" * 2000):
        for method, title in (("PUT", "ActivationPayload"), ("POST", "FiscalCodePayload")):
            problem = await ask(running, world.special, method, 400, content=body)
            assert problem["title"] == f"Invalid {title}"
    await ask(running, world.special, "PUT", 413, content=b" " * 5000)


@pytest.mark.parametrize("known", [True, False])
async def test_twenty_at_once_lose_no_version(
    pool: Pool, running: Running, world: World, known: bool
) -> None:
    citizen = await enrolled(pool) if known else code(next(NUMBERS), "ATV")
    statuses = ("ACTIVE", "INACTIVE", "PENDING", "ACTIVE") * 5
    written = await asyncio.gather(
        *(
            ask(running, world.special, "PUT", json={"fiscal_code": citizen, "status": status})
            for status in statuses
        )
    )
    assert sorted(one["version"] for one in written) == list(range(20))
    last = await ask(running, world.special, "POST", json={"fiscal_code": citizen})
    assert last in written
    assert last["version"] == 19


async def test_reminders_are_planned_anew(pool: Pool, running: Running, world: World) -> None:
    """Nobody is reminded of messages that would not be let in any more."""
    waiting = "SELECT count(*) FROM work.item WHERE step = 'reminders.replan' AND reference = $1"
    for wish, planned in (("DISABLED", 0), ("ENABLED", 2)):  # now, and once more a little later
        citizen = await enrolled(pool, reminder_status=wish)
        new = {"fiscal_code": citizen, "status": "INACTIVE"}
        await ask(running, world.special, "PUT", json=new)
        async with pool.connection() as conn:
            assert await conn.raw.fetchval(waiting, citizen) == planned
