"""Whoever manages services waits for others who do, not for ever, and no citizen waits for them."""

import asyncio

import pytest

from messo.base.db import Pool
from messo.services.services import queries
from tests.conftest import Running
from tests.messages.mail import log_in
from tests.services import managing
from tests.services.managing import Managing, payload
from tests.world import AUTO, World


@pytest.fixture(scope="module")
def anna(running: Running, world: World) -> Managing:
    return managing.of(running, world)


async def test_a_lock_that_is_not_got_is_asked_for_again(
    anna: Managing, pool: Pool, running: Running
) -> None:
    """All who wait for one row are told so; a citizen is answered meanwhile."""
    service = await anna.make()
    citizen = await log_in(running, AUTO)
    async with pool.transaction() as conn:
        await conn.row(queries.hold_service, id=service)
        waiting = [
            asyncio.ensure_future(anna.send("PUT", f"/{service}", payload(name=str(number))))
            for number in range(12)  # more than a process has connections for requests
        ]
        await asyncio.sleep(0.2)
        answer = await running.client.get("/api/catalog/v1/topics", headers=citizen)
        assert answer.status_code == 200
        assert not any(one.done() for one in waiting)
        told = await asyncio.gather(*waiting)
    assert {one.status_code for one in told} == {503}
    assert all("retry-after" in one.headers for one in told)
    await anna.ask("PUT", f"/{service}", payload())


async def test_a_process_that_stands_still_loses_its_transaction(running: Running) -> None:
    """The server's own connections say so to PostgreSQL, which then ends it."""
    async with running.started.pool.connection() as conn:
        shown = [
            await conn.raw.fetchval(f"SHOW {name}")
            for name in ("lock_timeout", "idle_in_transaction_session_timeout")
        ]
    assert shown == ["3s", "15s"]
