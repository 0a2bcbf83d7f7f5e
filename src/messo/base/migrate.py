"""Migrations: plain SQL files, forward only, each in one transaction (docs/decisions/0001).

`NNNN_pre_name.sql` may run while the previous release still serves; `NNNN_post_name.sql` only when
none of it runs any more.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from messo.base.db import Connection
from messo.base.sql import Queries

queries = Queries("messo.migrations")

_FILE = re.compile(r"^(\d{4})_(pre|post)_[a-z0-9_]+\.sql$")


class SchemaError(Exception):
    """The schema is not the one this program works with; the message says what to do."""


@dataclass(frozen=True)
class Migration:
    """One file. `digest`: hex SHA-256 of its text."""

    name: str
    sql: str
    digest: str

    @property
    def is_pre(self) -> bool:
        return _FILE.sub(r"\2", self.name) == "pre"


@cache
def known() -> list[Migration]:
    """The migrations this program carries, in order."""
    found = []
    for file in files("messo.migrations").iterdir():
        if _FILE.match(file.name):
            sql = file.read_text()
            found.append(Migration(file.name, sql, hashlib.sha256(sql.encode()).hexdigest()))
    return sorted(found, key=lambda migration: migration.name)


async def migrate(
    conn: Connection, buckets: int, tell: Callable[[str], None], *, only_pre: bool = False
) -> int:
    """Bring the schema up to date; how many files were applied.

    Two processes at once do not collide: the lock makes the second wait, and on a cluster, where
    that lock is local to a node, the primary key of `base.migration` lets only one commit.
    """
    await conn.value(queries.lock)
    try:
        await conn.script(queries.create_base.sql)
        await conn.run(queries.remember_buckets, buckets=buckets)
        applied = await _applied(conn)
        _refuse_strangers(applied)
        count = 0
        for migration in known():
            if migration.name in applied or (only_pre and not migration.is_pre):
                continue
            tell(migration.name)
            async with conn.transaction():
                await conn.script("SET LOCAL lock_timeout = '5s'")
                await conn.script(migration.sql)
                await conn.run(queries.record, name=migration.name, digest=migration.digest)
            count += 1
        return count
    finally:
        await conn.value(queries.unlock)


async def is_created(conn: Connection) -> bool:
    """Whether this database was ever migrated."""
    return bool(await conn.value(queries.is_created))


async def check(conn: Connection) -> None:
    """Raise `SchemaError` unless every `pre` file known here is applied and nothing else is."""
    applied = await _applied(conn) if await is_created(conn) else {}
    _refuse_strangers(applied)
    missing = [m.name for m in known() if m.is_pre and m.name not in applied]
    if missing:
        raise SchemaError(
            f"the database is older than this program ({missing[0]} is missing): run `messo migrate`"
        )


async def _applied(conn: Connection) -> dict[str, str]:
    return {row["name"]: row["digest"] for row in await conn.rows(queries.list_applied)}


def _refuse_strangers(applied: dict[str, str]) -> None:
    digests = {migration.name: migration.digest for migration in known()}
    for name, digest in sorted(applied.items()):
        if name not in digests:
            raise SchemaError(
                f"the database is newer than this program ({name} is not known here): "
                "install the release that made it, or a later one"
            )
        if digests[name] != digest:
            raise SchemaError(f"{name} was changed after it had been applied to this database")
