"""Operators name each other, and one at least stays."""

import asyncio

import pytest

from messo.base.db import Pool
from messo.operations import operators
from tests.console.colleague import Colleague
from tests.console.test_institutions_pages import OPERATORS, audited, operator, shown
from tests.world import World

pytestmark = pytest.mark.anyio

_WAITING = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
__all__ = ["operator"]


async def test_one_operator_at_least_stays(
    operator: Colleague, other: Colleague, pool: Pool, world: World
) -> None:
    async with pool.transaction() as conn:
        for row in await operators.listed(conn):
            if row["login"] != "olga":
                await operators.remove(conn, "tests", row["login"])
    token = await operator.csrf()
    alone = await shown(operator, OPERATORS)
    assert "The only operator stays" in alone
    last = await operator.client.post(f"{OPERATORS}/removal", data={"csrf": token, "who": "olga"})
    assert last.status_code == 409
    assert "this is the only operator" in last.text
    for wrong in ("", "a b", "a\u200bb", "x" * 201):
        answer = await operator.client.post(
            f"{OPERATORS}/new", data={"csrf": token, "login": wrong}
        )
        assert answer.status_code == 400
    await other.log_in("piero")
    assert (await other.client.get(OPERATORS)).status_code == 404
    added = await operator.client.post(f"{OPERATORS}/new", data={"csrf": token, "login": "piero"})
    assert added.headers["location"] == f"{OPERATORS}?done=added"
    assert "piero" in await shown(other, OPERATORS)
    file = await other.client.get(OPERATORS, params={"format": "csv"})
    assert "piero" in file.text
    ended = await operator.client.post(
        f"{OPERATORS}/logout", data={"csrf": token, "whose": "piero"}
    )
    assert ended.headers["location"] == f"{OPERATORS}?done=ended"
    assert (await other.client.get(OPERATORS)).status_code == 401
    subject = world.secrets.keyed_hash("people.login:piero")
    assert await audited(pool, "people.logout", subject)
    gone = await operator.client.post(f"{OPERATORS}/removal", data={"csrf": token, "who": "piero"})
    assert gone.headers["location"] == f"{OPERATORS}?done=removed"
    assert len(await audited(pool, "operator.remove", "piero")) == 1
    for path, name in (("removal", "who"), ("logout", "whose")):
        nobody = await operator.client.post(
            f"{OPERATORS}/{path}", data={"csrf": token, name: "nessuno"}
        )
        assert nobody.headers["location"].startswith(f"{OPERATORS}?done=")


async def test_two_operators_who_take_each_other_off_at_once_are_not_both_gone(
    pool: Pool, world: World
) -> None:
    async with pool.transaction() as conn:
        for row in await operators.listed(conn):
            await operators.remove(conn, "tests", row["login"])
        for login in ("uno", "due"):
            await operators.add(conn, "tests", login)

    async def take_off(login: str) -> str:
        async with pool.transaction() as conn:
            return await operators.remove_unless_last(conn, "tests", login)

    async with pool.connection() as watching, pool.connection() as holding:
        async with holding.transaction():
            await holding.raw.execute("SELECT login FROM operations.operator FOR UPDATE")
            tasks = [asyncio.ensure_future(take_off(login)) for login in ("uno", "due")]
            async with asyncio.timeout(10):
                while await watching.raw.fetchval(_WAITING) < len(tasks):
                    await asyncio.sleep(0.01)
        became = await asyncio.gather(*tasks)
        assert sorted(became) == ["last", "removed"]
        assert len(await operators.listed(watching)) == 1
