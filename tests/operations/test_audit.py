"""The audit log: sealed into a chain, so that a later change is noticed."""

from typing import Any

import pytest

from messo.base.db import Connection, Pool
from messo.operations import audit, operators, record
from tests.world import AUTO, World


@pytest.fixture(autouse=True)
async def sealed(pool: Pool, world: World) -> None:
    """A chain of several seals in each bucket that has entries; nothing broken."""
    async with pool.transaction() as conn:
        await conn.raw.execute("DELETE FROM operations.seal")
        await conn.raw.execute("DELETE FROM operations.audit")
    for turn in range(3):
        async with pool.transaction() as conn:
            for number in range(5):
                await record(conn, "op", "test.act", f"subject {number}", turn=turn, b=1, a=2)
        async with pool.transaction() as conn:
            await audit.seal(conn)
    async with pool.connection() as conn:
        assert await audit.verify(conn) == []


async def broken(pool: Pool, sql: str, *values: Any) -> list[str]:
    async with pool.connection() as conn:
        assert (await conn.raw.execute(sql, *values)) != "UPDATE 0"
        return await audit.verify(conn)


async def one(conn: Connection) -> Any:
    return await conn.raw.fetchrow("SELECT * FROM operations.audit WHERE seal = 2 LIMIT 1")


async def test_every_entry_is_sealed_and_the_chain_grows(pool: Pool) -> None:
    async with pool.connection() as conn:
        open_ones = await conn.raw.fetchval(
            "SELECT count(*) FROM operations.audit WHERE seal IS NULL"
        )
        numbers = await conn.raw.fetch(
            "SELECT array_agg(number ORDER BY number) AS n FROM operations.seal GROUP BY bucket"
        )
        digests = await conn.raw.fetchval("SELECT count(DISTINCT digest) FROM operations.seal")
    assert open_ones == 0
    assert {tuple(row["n"]) for row in numbers} == {(1, 2, 3)}
    assert digests == 3 * len(numbers)


async def test_sealing_nothing_adds_no_seal(pool: Pool) -> None:
    async with pool.transaction() as conn:
        before = await conn.raw.fetchval("SELECT count(*) FROM operations.seal")
        await audit.seal(conn)
        assert await conn.raw.fetchval("SELECT count(*) FROM operations.seal") == before


@pytest.mark.parametrize(
    "change",
    [
        "actor = 'other'",
        "action = 'other'",
        "subject = 'other'",
        "at = at + interval '1 second'",
        "detail = '{}'",
        "seal = 3",
        "seal = NULL",
    ],
)
async def test_a_changed_entry_is_noticed(pool: Pool, change: str) -> None:
    async with pool.connection() as conn:
        entry = await one(conn)
    found = await broken(pool, f"UPDATE operations.audit SET {change} WHERE id = $1", entry["id"])
    assert f"seal 2 of bucket {entry['bucket']} does not match its entries" in found


async def test_a_removed_entry_is_noticed(pool: Pool) -> None:
    async with pool.connection() as conn:
        entry = await one(conn)
    found = await broken(pool, "DELETE FROM operations.audit WHERE id = $1", entry["id"])
    assert found == [f"seal 2 of bucket {entry['bucket']} does not match its entries"]


async def test_an_added_entry_is_noticed(pool: Pool) -> None:
    async with pool.connection() as conn:
        entry = await one(conn)
    found = await broken(
        pool,
        "INSERT INTO operations.audit (bucket, id, at, actor, action, subject, detail, seal) "
        "SELECT bucket, id || 'X', at, actor, action, subject, detail, seal "
        "FROM operations.audit WHERE id = $1",
        entry["id"],
    )
    assert found == [f"seal 2 of bucket {entry['bucket']} does not match its entries"]


async def test_what_is_not_sealed_yet_is_no_fault(pool: Pool) -> None:
    async with pool.transaction() as conn:
        for number in range(20):
            await record(conn, "op", "test.act", f"fresh {number}")
        assert await audit.verify(conn) == []


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_removed_seal_is_noticed(pool: Pool, number: int) -> None:
    found = await broken(pool, "DELETE FROM operations.seal WHERE number = $1", number)
    assert any(f"seal {number} " in line and "is missing" in line for line in found)
    assert number == 3 or any(f"seal {number + 1} " in line for line in found)


async def test_a_forged_seal_breaks_the_next(pool: Pool) -> None:
    found = await broken(pool, "UPDATE operations.seal SET digest = '\\x00' WHERE number = 2")
    assert any("seal 2 " in line for line in found)
    assert any("seal 3 " in line for line in found)


async def test_newest_first(pool: Pool) -> None:
    async with pool.transaction() as conn:
        await record(conn, "op", "test.last", "x", why="é")
        rows = await audit.newest(conn, 2)
    assert [row["action"] for row in rows] == ["test.last", "test.act"]


async def test_naming_an_operator_is_audited_once(pool: Pool) -> None:
    async with pool.transaction() as conn:
        assert await operators.add(conn, "root", "olga")
        assert not await operators.add(conn, "root", "olga")
        assert [row["login"] for row in await operators.listed(conn)] == ["olga"]
        assert await operators.remove(conn, "root", "olga")
        assert not await operators.remove(conn, "root", "olga")
        actions = [row["action"] for row in await audit.newest(conn, 5)]
    assert actions[:3] == ["operator.remove", "operator.add", "test.act"]


async def test_the_worlds_own_audit_names_no_citizen(pool: Pool, secrets: Any) -> None:
    """Everything the rooms record while the cast is built, authorized recipients included."""
    from dataclasses import replace

    from messo.services.services import NewService, create_institution, create_service

    sandbox = "AAAAAA00A00A000A"
    async with pool.transaction() as conn:
        made = await create_institution(conn, "op", "00000000701", "Comune", "c@example.org")
        new = replace(NewService("x"), authorized_recipients=(AUTO,))
        await create_service(conn, "op", made, new, sandbox)
        rows = await conn.raw.fetch("SELECT a::text AS text FROM operations.audit AS a")
    assert len(rows) > 2
    # The codes themselves, not their pattern: one id in some hundreds looks like a fiscal code.
    assert [row["text"] for row in rows if AUTO in row["text"] or sandbox in row["text"]] == []
