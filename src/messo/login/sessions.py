"""Sessions: a random token at the citizen's side, its SHA-256 and who it stands for at ours."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from messo.base import clock
from messo.base.crypto import key_digest, new_api_key
from messo.base.db import Connection, Row
from messo.base.ids import new_id
from messo.base.sql import Queries
from messo.login.device_key import DeviceKey
from messo.settings import Settings

queries = Queries("messo.login")

Kind = Literal["web", "client"]
_TOUCH = timedelta(minutes=1)  # how exact "last seen" is: not every request writes


@dataclass(frozen=True)
class Identity:
    """Who logged in, as the identity provider says. `level`: a SPID level, the whole URL.

    `authenticated_at`: when they proved it, where the provider says so.
    """

    fiscal_code: str
    name: str
    family_name: str
    level: str
    date_of_birth: date | None = None
    email: str | None = None
    authenticated_at: datetime | None = None


@dataclass(frozen=True)
class Session:
    """A session that is open. `client` is what its owner recognises it by.

    `device_key`: with which a client application proves that it is still the one that logged in.
    """

    id: str
    digest: bytes
    identity: Identity
    kind: Kind
    client: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    device_key: DeviceKey | None = None

    @property
    def fiscal_code(self) -> str:
        return self.identity.fiscal_code

    @property
    def authenticated_at(self) -> datetime:
        """When the citizen last proved who they are, as far as we know."""
        return self.identity.authenticated_at or self.created_at


@dataclass(frozen=True)
class Limits:
    """How long a session lives: unused, and at all."""

    idle: timedelta
    absolute: timedelta


def web_limits(settings: Settings) -> Limits:
    """Of a browser's session."""
    return Limits(
        timedelta(minutes=settings.session_idle_minutes), timedelta(hours=settings.session_hours)
    )


def client_limits(settings: Settings) -> Limits:
    """Of a client application's session, which may rest as long as it lives."""
    life = timedelta(days=settings.client_session_days)
    return Limits(life, life)


async def open_session(
    conn: Connection,
    identity: Identity,
    kind: Kind,
    client: str,
    limits: Limits,
    device_key: DeviceKey | None = None,
    session_id: str | None = None,
) -> str:
    """Open a session; its token, which is nowhere else.

    `session_id`: of the one that it continues, which is closed.
    """
    token = new_api_key()
    digest, now = key_digest(token), clock.now()
    await conn.run(
        queries.open_session,
        bucket=conn.bucket(digest.hex()),
        digest=digest,
        id=session_id or new_id(),
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
        assertion_ref=device_key.assertion_ref if device_key else None,
        public_key=device_key.public_key if device_key else None,
        authenticated_at=identity.authenticated_at,
    )
    return token


async def put_sessions(
    conn: Connection, tokens: Mapping[str, Identity], client: str, limits: Limits
) -> None:
    """Sessions of client applications under tokens that are known beforehand: the sandbox's.

    Those that are there begin anew.
    """
    digests, people, now = (
        [key_digest(token) for token in tokens],
        list(tokens.values()),
        clock.now(),
    )
    await conn.run(
        queries.put_sessions,
        buckets=[conn.bucket(digest.hex()) for digest in digests],
        digests=digests,
        ids=[new_id() for _ in digests],
        fiscal_codes=[one.fiscal_code for one in people],
        names=[one.name for one in people],
        family_names=[one.family_name for one in people],
        dates_of_birth=[one.date_of_birth for one in people],
        emails=[one.email for one in people],
        levels=[one.level for one in people],
        client=client,
        now=now,
        expires_at=now + limits.absolute,
    )


async def find_session(
    conn: Connection, token: str, limits: Limits, kind: Kind = "web", *, use: bool = True
) -> Session | None:
    """The open session of a token, marked as used now.

    `use`: False where nobody is there, as when a page asks by itself. None if the token is unknown,
    of the other kind, expired or idle too long.
    """
    return await find_by_digest(conn, key_digest(token), limits, kind, use=use)


async def find_by_digest(
    conn: Connection, digest: bytes, limits: Limits, kind: Kind = "web", *, use: bool = True
) -> Session | None:
    """The same for whoever has the digest of a token, and not the token."""
    now = clock.now()
    bucket = conn.bucket(digest.hex())
    row = await conn.row(
        queries.find_session,
        bucket=bucket,
        digest=digest,
        kind=kind,
        now=now,
        idle_since=now - limits.idle,
    )
    if row is None:
        return None
    if use and now - row["seen_at"] > _TOUCH:
        await conn.run(queries.touch_session, bucket=bucket, digest=digest, now=now)
    return _session(row)


async def hold_session(conn: Connection, digest: bytes) -> bool:
    """Keep a session from being closed until this transaction ends; False if it has been.

    What is done in its name is then there for whoever closes it.
    """
    row = await conn.row(queries.hold_session, bucket=conn.bucket(digest.hex()), digest=digest)
    return row is not None


async def list_sessions(conn: Connection, fiscal_code: str, limits: Limits) -> list[Session]:
    """A citizen's open sessions of both kinds, the one used last first. `limits`: of browsers."""
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


async def close_token(conn: Connection, token: str) -> None:
    """Close the session of a token, if there is one."""
    digest = key_digest(token)
    await conn.run(queries.close_token, bucket=conn.bucket(digest.hex()), digest=digest)


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
    """Delete what nobody can use any more; True if more may be left. `limits`: of browsers."""
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


def forget(settings: Settings) -> Callable[[Connection], Awaitable[bool]]:
    """The periodic step of this room."""
    limits = web_limits(settings)

    async def run(conn: Connection) -> bool:
        return await forget_expired(conn, limits)

    return run


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
            row["authenticated_at"],
        ),
        kind=row["kind"],
        client=row["client"],
        created_at=row["created_at"],
        seen_at=row["seen_at"],
        expires_at=row["expires_at"],
        device_key=DeviceKey(row["assertion_ref"], row["public_key"])
        if row["assertion_ref"]
        else None,
    )
