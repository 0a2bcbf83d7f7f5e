"""Whose key is this: answered from memory, at most a second behind the database."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from messo.base.crypto import Secrets, key_digest, new_api_key
from messo.base.db import Connection, Pool
from messo.services import Directory, Manager, Permission, Sender, changed, keys
from messo.services.services import (
    NewService,
    grant,
    revoke,
    set_state,
    suspend_institution,
    suspend_service,
)
from tests.world import ACTOR, Caller, World, add_service


@pytest.fixture
async def polling(pool: Pool) -> AsyncIterator[Directory]:
    """A directory as another process has it, with its own real polling."""
    directory = Directory(pool)
    task = asyncio.create_task(directory.keep_fresh())
    yield directory
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def caller(pool: Pool, secrets: Secrets, world: World) -> Caller:
    async with pool.transaction() as conn:
        return await add_service(conn, secrets, world.bruno.institution, NewService("Prova"))


async def within_a_second(condition: Callable[[], Awaitable[bool]]) -> None:
    began = time.monotonic()
    while not await condition():
        assert time.monotonic() - began < 1, "not seen within a second"
        await asyncio.sleep(0.01)
    assert time.monotonic() - began < 1


async def change(pool: Pool, what: Callable[[Connection], Awaitable[Any]]) -> Any:
    async with pool.transaction() as conn:
        return await what(conn)


async def test_a_key_is_a_service_or_a_manage_key_or_nothing(
    polling: Directory, world: World
) -> None:
    found = await polling.find(world.anna.key)
    assert isinstance(found, Sender)
    assert (found.service_id, found.institution_id) == (world.anna.id, world.anna.institution)
    assert found.organization_name == "Comune di Anna"
    assert found.rate_key == key_digest(world.anna.key).hex()
    assert isinstance(await polling.find(world.manage_key), Manager)
    assert await polling.find("nonsense") is None
    assert await polling.find("") is None


async def test_suspending_and_restoring_are_seen_within_a_second(
    polling: Directory, pool: Pool, caller: Caller
) -> None:
    async def known() -> bool:
        return await polling.find(caller.key) is not None

    async def unknown() -> bool:
        return not await known()

    assert await known()
    for suspend in (suspend_service, suspend_institution):
        owner = caller.id if suspend is suspend_service else caller.institution
        await change(pool, lambda c: suspend(c, ACTOR, owner, suspend=True, reason="x"))  # noqa: B023
        await within_a_second(unknown)
        await change(pool, lambda c: suspend(c, ACTOR, owner, suspend=False, reason="x"))  # noqa: B023
        await within_a_second(known)
    await change(pool, lambda c: set_state(c, ACTOR, caller.id, "deleted"))
    await within_a_second(unknown)


async def test_rights_and_states_are_seen_within_a_second(
    polling: Directory, pool: Pool, caller: Caller
) -> None:
    async def sender() -> Sender:
        found = await polling.find(caller.key)
        assert isinstance(found, Sender)
        return found

    async def advanced() -> bool:
        return Permission.MESSAGE_READ_ADVANCED in (await sender()).permissions

    async def not_advanced() -> bool:
        return not await advanced()

    async def draft() -> bool:
        return (await sender()).state == "draft"

    assert await not_advanced()
    right = [Permission.MESSAGE_READ_ADVANCED]
    await change(pool, lambda c: grant(c, ACTOR, caller.institution, right))
    await within_a_second(advanced)
    await change(pool, lambda c: revoke(c, ACTOR, caller.institution, right))
    await within_a_second(not_advanced)
    await change(pool, lambda c: set_state(c, ACTOR, caller.id, "draft"))
    await within_a_second(draft)


async def test_a_rotated_key_dies_and_the_new_one_lives_within_a_second(
    polling: Directory, pool: Pool, secrets: Secrets, caller: Caller
) -> None:
    assert await polling.find(caller.key) is not None
    new = await change(pool, lambda c: keys.rotate(c, secrets, ACTOR, caller.id, "primary"))

    async def turned() -> bool:
        old = await polling.find(caller.key)
        return old is None and await polling.find(new) is not None

    await within_a_second(turned)


async def test_a_key_refused_before_it_existed_is_found_within_a_second(
    polling: Directory, pool: Pool, secrets: Secrets, caller: Caller
) -> None:
    key = new_api_key()
    assert await polling.find(key) is None
    assert await polling.find(key) is None

    async def give(conn: Connection) -> None:
        await conn.raw.execute(
            "UPDATE services.key SET digest = $1, encrypted = $2 "
            "WHERE service_id = $3 AND slot = 'secondary'",
            key_digest(key),
            secrets.encrypt(key),
            caller.id,
        )
        await changed(conn)

    await change(pool, give)

    async def found() -> bool:
        return await polling.find(key) is not None

    await within_a_second(found)


async def test_without_polling_a_request_looks_itself(
    pool: Pool, caller: Caller, world: World
) -> None:
    """A directory whose background task is stuck is never more than a second behind either."""
    directory = Directory(pool)
    assert await directory.find(caller.key) is not None
    await change(pool, lambda c: suspend_service(c, ACTOR, caller.id, suspend=True, reason="x"))

    async def gone() -> bool:
        return await directory.find(caller.key) is None

    await within_a_second(gone)


async def test_what_was_read_before_a_change_is_not_remembered_after_it(
    pool: Pool, caller: Caller
) -> None:
    """The answer of a slow look-up must not outlive the change it missed."""
    directory = Directory(pool)
    await directory.refresh()
    asked = asyncio.create_task(directory.find(caller.key))
    await asyncio.sleep(0)
    await change(pool, lambda c: suspend_service(c, ACTOR, caller.id, suspend=True, reason="x"))
    await asked
    await directory.refresh(0)
    assert await directory.find(caller.key) is None


async def test_answers_come_from_memory(pool: Pool, caller: Caller) -> None:
    directory = Directory(pool)
    first = await directory.find(caller.key)
    assert await directory.find(caller.key) is first
    assert (await asyncio.gather(*(directory.find(caller.key) for _ in range(100))))[99] is first
