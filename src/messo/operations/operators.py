"""Operators: who may operate this installation. They log in by OpenID Connect."""

from collections.abc import Sequence
from typing import Literal

from messo.base import clock
from messo.base.db import Connection, Row
from messo.operations.audit import queries, record


async def add(conn: Connection, actor: str, login: str) -> bool:
    """Name an operator; False if they were one already."""
    added = await conn.run(queries.add_operator, login=login, now=clock.now())
    if added:
        await record(conn, actor, "operator.add", login)
    return bool(added)


async def remove(conn: Connection, actor: str, login: str) -> bool:
    """Take the role away; False if they did not have it."""
    removed = await conn.run(queries.remove_operator, login=login)
    if removed:
        await record(conn, actor, "operator.remove", login)
    return bool(removed)


async def remove_unless_last(
    conn: Connection, actor: str, login: str
) -> Literal["removed", "unknown", "last"]:
    """Take the role away, unless nobody would be left who has it. What came of it."""
    there = [row["login"] for row in await conn.rows(queries.hold_operators)]
    if login not in there:
        return "unknown"
    if len(there) == 1:
        return "last"
    await remove(conn, actor, login)
    return "removed"


async def listed(conn: Connection) -> Sequence[Row]:
    """`login`, `added_at` of each."""
    return await conn.rows(queries.list_operators)


async def is_operator(conn: Connection, login: str) -> bool:
    """Whether whoever logs in with this may operate the installation."""
    found: bool = await conn.value(queries.is_operator, login=login)
    return found
