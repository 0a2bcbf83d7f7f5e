"""Sessions: a random token at the citizen's side, its SHA-256 and who it stands for at ours."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from messo.base import clock
from messo.base.crypto import key_digest, new_api_key
from messo.base.db import Connection, Row
from messo.base.ids import new_id
from messo.base.sql import Queries

queries = Queries("messo.login")

Kind = Literal["web", "client"]
_TOUCH = timedelta(minutes=1)  # how exact "last seen" is: not every request writes


@dataclass(frozen=True)
class Identity:
    """Who logged in, as the identity provider says. `level`: a SPID level, the whole URL."""

    fiscal_code: str
    name: str
    family_name: str
    level: str
    date_of_birth: date | None = None
    email: str | None = None


@dataclass(frozen=True)
class Session:
    """A session that is open. `client` is what its owner recognises it by."""

    id: str
    digest: bytes
    identity: Identity
    kind: Kind
    client: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime

    @property
    def fiscal_code(self) -> str:
        return self.identity.fiscal_code


@dataclass(frozen=True)
class Limits:
    """How long a session lives: unused, and at all."""

    idle: timedelta
    absolute: timedelta


async def open_session(
    conn: Connection, identity: Identity, kind: Kind, client: str, limits: Limits
) -> str:
    """Open a session; its token, which is nowhere else."""
    token = new_api_key()
    await _put_session(conn, token, identity, kind, client, limits)
    return token


async def _put_session(
    conn: Connection, token: str, identity: Identity, kind: Kind, client: str, limits: Limits
) -> None:
    digest, now = key_digest(token), clock.now()
    await conn.run(
        queries.open_session,
        bucket=conn.bucket(digest.hex()),
        digest=digest,
        id=new_id(),
        fiscal_code=identity.fiscal_code,
        name=identity.name,
        family_name=identity.family_name,
        date_of_birth=identity.date_of_birth,
        email=identity.email,
        level=identity.level,
        kind=kind,
        client=client[:200],
        now=now,
        expires_at=now + limits.absolute,
    )


async def find_session(conn: Connection, token: str, limits: Limits) -> Session | None:
    """The open session of a token, marked as used now; None if unknown, expired or idle too long."""
    digest, now = key_digest(token), clock.now()
    bucket = conn.bucket(digest.hex())
    row = await conn.row(
        queries.find_session, bucket=bucket, digest=digest, now=now, idle_since=now - limits.idle
    )
    if row is None:
        return None
    if now - row["seen_at"] > _TOUCH:
        await conn.run(queries.touch_session, bucket=bucket, digest=digest, now=now)
    return _session(row)


async def list_sessions(conn: Connection, fiscal_code: str, limits: Limits) -> list[Session]:
    """A citizen's open sessions, the one used last first."""
    now = clock.now()
    rows = await conn.rows(
        queries.list_sessions,
        buckets=list(range(conn.buckets)),
        fiscal_code=fiscal_code,
        now=now,
        idle_since=now - limits.idle,
    )
    return [_session(row) for row in rows]


async def close_session(conn: Connection, fiscal_code: str, session_id: str) -> bool:
    """Close one session of this citizen; False if there is none with this id."""
    closed = await conn.run(
        queries.close_session,
        buckets=list(range(conn.buckets)),
        fiscal_code=fiscal_code,
        id=session_id,
    )
    return closed > 0


async def close_all_sessions(conn: Connection, fiscal_code: str) -> int:
    """Log a citizen out everywhere; how many sessions there were."""
    return await conn.run(
        queries.close_all_sessions, buckets=list(range(conn.buckets)), fiscal_code=fiscal_code
    )


async def erase(conn: Connection, fiscal_code: str) -> None:
    """Part of erasing a citizen: nothing of theirs is left in this room."""
    await close_all_sessions(conn, fiscal_code)


_FORGET_AT_ONCE = 5000


async def forget_expired(conn: Connection, limits: Limits) -> bool:
    """The periodic step: delete what nobody can use any more; True if more may be left."""
    now, more = clock.now(), False
    for bucket in range(conn.buckets):
        sessions = await conn.run(
            queries.forget_sessions,
            bucket=bucket,
            now=now,
            idle_since=now - limits.idle,
            limit=_FORGET_AT_ONCE,
        )
        codes = await conn.run(queries.forget_codes, bucket=bucket, now=now, limit=_FORGET_AT_ONCE)
        more = more or _FORGET_AT_ONCE in {sessions, codes}
    return more


def _session(row: Row) -> Session:
    return Session(
        id=row["id"],
        digest=row["digest"],
        identity=Identity(
            row["fiscal_code"],
            row["name"],
            row["family_name"],
            row["level"],
            row["date_of_birth"],
            row["email"],
        ),
        kind=row["kind"],
        client=row["client"],
        created_at=row["created_at"],
        seen_at=row["seen_at"],
        expires_at=row["expires_at"],
    )
