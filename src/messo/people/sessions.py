"""Login sessions of people: institutions' and operators'. A random token is in their browser.

What is kept here is its SHA-256 and whom it stands for.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from messo.base import clock
from messo.base.crypto import key_digest, new_api_key
from messo.base.db import Connection
from messo.base.sql import Queries
from messo.login import Limits, web_limits
from messo.settings import Settings

queries = Queries("messo.people")

_TOUCH = timedelta(minutes=1)  # how exact "last seen" is: not every request writes
_FORGET_AT_ONCE = 5000


@dataclass(frozen=True)
class Person:
    """Who is logged in. `login`: what the identity provider calls them for good.

    `name` and `email` are as the provider said at login; `digest`: of this login's token.
    """

    login: str
    name: str
    email: str
    digest: bytes


async def open_session(conn: Connection, login: str, name: str, email: str, limits: Limits) -> str:
    """Open a session; its token, which is nowhere else."""
    token, now = new_api_key(), clock.now()
    await conn.run(
        queries.open_session,
        digest=key_digest(token),
        login=login,
        name=name,
        email=email,
        now=now,
        expires_at=now + limits.absolute,
    )
    return token


async def find_session(conn: Connection, token: str, limits: Limits) -> Person | None:
    """Whose token this is, marked as used now; None if unknown, expired or idle too long."""
    digest, now = key_digest(token), clock.now()
    row = await conn.row(queries.find_session, digest=digest, now=now, idle_since=now - limits.idle)
    if row is None:
        return None
    if now - row["seen_at"] > _TOUCH:
        await conn.run(queries.touch_session, digest=digest, now=now)
    return Person(row["login"], row["name"], row["email"], digest)


async def close_session(conn: Connection, token: str) -> None:
    """Close the session of a token, if there is one."""
    await conn.run(queries.close_session, digest=key_digest(token))


async def close_all(conn: Connection, login: str) -> int:
    """Log somebody out everywhere; how many sessions there were."""
    return await conn.run(queries.close_all_sessions, login=login)


def forget(settings: Settings) -> Callable[[Connection], Awaitable[bool]]:
    """The periodic step: delete what nobody can use any more; True if more may be left."""
    limits = web_limits(settings)

    async def run(conn: Connection) -> bool:
        now = clock.now()
        deleted = await conn.run(
            queries.forget_sessions,
            now=now,
            idle_since=now - limits.idle,
            limit=_FORGET_AT_ONCE,
        )
        return deleted == _FORGET_AT_ONCE

    return run
