"""Migrations: applied once, in order, by whoever comes first; strangers and changes are refused."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from messo.base import db, migrate
from messo.base.db import Connection
from messo.base.migrate import Migration, SchemaError
from messo.base.schema_dump import dump_schema

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def empty_url(postgres_url: str) -> AsyncIterator[str]:
    """A database that was never migrated."""
    name = f"t_{os.getpid()}_empty"
    admin = await db.connect(postgres_url)
    await admin.script(f'DROP DATABASE IF EXISTS "{name}"')
    await admin.script(f'CREATE DATABASE "{name}"')
    yield urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
    await admin.script(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


@pytest.fixture
async def empty(empty_url: str) -> AsyncIterator[Connection]:
    conn = await db.connect(empty_url)
    yield conn
    await conn.close()


def quiet(_: str) -> None:
    return


def made(name: str, sql: str) -> Migration:
    return Migration(name, sql, f"digest of {sql}")


def test_files_follow_the_pattern_and_the_numbers_have_no_gap() -> None:
    names = sorted(
        file.name for file in files("messo.migrations").iterdir() if file.name.endswith(".sql")
    )
    names.remove("queries.sql")
    assert names == [migration.name for migration in migrate.known()]
    assert all(re.fullmatch(r"\d{4}_(pre|post)_[a-z0-9_]+\.sql", name) for name in names)
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))


async def test_twice_is_once(empty: Connection) -> None:
    told: list[str] = []
    count = await migrate.migrate(empty, 1, told.append)
    assert count == len(told) == len(migrate.known())
    assert await migrate.migrate(empty, 1, told.append) == 0
    await migrate.check(empty)


async def test_two_processes_at_once(empty: Connection, empty_url: str) -> None:
    """Two real programs: both succeed, each file is applied by one of them."""
    program = [sys.executable, "-m", "messo", "migrate"]
    environment = {**os.environ, "MESSO_DATABASE_URL": empty_url}
    running = [
        subprocess.Popen(
            program,
            env=environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    said = [await asyncio.to_thread(process.communicate, timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    counts = [int(re.search(r"(\d+) migrations applied", out)[1]) for out, _ in said]  # type: ignore[index]
    assert sorted(counts) == [0, len(migrate.known())]
    await migrate.check(empty)


async def test_two_connections_without_the_lock_apply_a_file_once(
    empty: Connection, empty_url: str
) -> None:
    """On a cluster the lock is only a hint: the key of base.migration decides."""
    await migrate.migrate(empty, 1, quiet)
    other = await db.connect(empty_url)

    async def apply(conn: Connection) -> None:
        async with conn.transaction():
            await conn.run(migrate.queries.record, name="9999_pre_x.sql", digest="x")
            await asyncio.sleep(0.05)

    results = await asyncio.gather(apply(empty), apply(other), return_exceptions=True)
    await other.close()
    errors = [result for result in results if isinstance(result, Exception)]
    assert [db.sqlstate(error) for error in errors] == [db.UNIQUE_VIOLATION]


async def test_a_changed_file_is_refused(empty: Connection) -> None:
    await migrate.migrate(empty, 1, quiet)
    await empty.raw.execute("UPDATE base.migration SET digest = 'other'")
    for refused in (migrate.check(empty), migrate.migrate(empty, 1, quiet)):
        with pytest.raises(SchemaError, match="was changed after it had been applied"):
            await refused


async def test_a_newer_and_an_older_schema_are_refused(empty: Connection) -> None:
    with pytest.raises(SchemaError, match="migrate"):
        await migrate.check(empty)
    await migrate.migrate(empty, 1, quiet)
    await empty.raw.execute(
        "INSERT INTO base.migration (name, digest) VALUES ('9999_pre_future.sql', 'x')"
    )
    for refused in (migrate.check(empty), migrate.migrate(empty, 1, quiet)):
        with pytest.raises(SchemaError, match="newer than this program"):
            await refused


async def test_only_pre_leaves_post_files_and_check_accepts_that(
    empty: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried = [
        made("0001_pre_one.sql", "CREATE TABLE one (id int PRIMARY KEY)"),
        made("0002_post_two.sql", "DROP TABLE one"),
        made("0003_pre_three.sql", "CREATE TABLE three (id int PRIMARY KEY)"),
    ]
    monkeypatch.setattr(migrate, "known", lambda: carried)
    told: list[str] = []
    assert await migrate.migrate(empty, 1, told.append, only_pre=True) == 2
    assert told == ["0001_pre_one.sql", "0003_pre_three.sql"]
    await migrate.check(empty)
    assert await migrate.migrate(empty, 1, told.append) == 1
    assert told[2:] == ["0002_post_two.sql"]


async def test_a_file_that_fails_halfway_leaves_nothing_and_frees_the_lock(
    empty: Connection, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried = [made("0001_pre_bad.sql", "CREATE TABLE half (id int PRIMARY KEY); SELECT 1 / 0")]
    monkeypatch.setattr(migrate, "known", lambda: carried)
    with pytest.raises(Exception, match="division by zero"):
        await migrate.migrate(empty, 1, quiet)
    assert await empty.raw.fetchval("SELECT to_regclass('half')") is None
    carried[0] = made("0001_pre_bad.sql", "CREATE TABLE half (id int PRIMARY KEY)")
    other = await db.connect(empty_url)
    async with asyncio.timeout(5):
        assert await migrate.migrate(other, 1, quiet) == 1
    await other.close()


async def test_the_number_of_buckets_is_remembered(empty: Connection) -> None:
    await migrate.migrate(empty, 4, quiet)
    await migrate.migrate(empty, 8, quiet)
    assert await empty.raw.fetchval("SELECT buckets FROM base.database") == 4


async def test_schema_sql_is_what_the_migrations_make(empty: Connection, empty_url: str) -> None:
    """Made by `messo migrate --dump schema.sql`; `MESSO_WRITE_SCHEMA=1` writes it anew here."""
    await migrate.migrate(empty, 1, quiet)
    dumped = await asyncio.to_thread(dump_schema, empty_url)
    kept = ROOT / "schema.sql"
    if os.environ.get("MESSO_WRITE_SCHEMA"):
        kept.write_text(dumped)
    assert kept.read_text() == dumped
