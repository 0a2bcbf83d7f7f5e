"""The keys that sign tokens: made, published ahead of their use, replaced, taken away.

A key is published for a day before it signs and for a day after the next one has taken over, so
that relying parties that look rarely still know it (OpenID Connect Core 1.0, section 10.1.1). One
that an operator asks for signs after ten minutes, or at once where the old one is compromised.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, get_args

import msgspec
from joserfc import jwt
from joserfc.jwk import ECKey, KeyParameters, RSAKey

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool, Row
from messo.operations import record
from messo.sso.clients import Algorithm, queries

ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
LIFE = timedelta(days=90)
AHEAD = timedelta(days=1)
OVERLAP = timedelta(days=1)
SOON = timedelta(minutes=10)  # longer than what we say of our keys may be cached
_CLOCKS_DIFFER = timedelta(minutes=5)  # of two servers: the first key signs on both at once
_FRESH_S = 1.0  # a key taken away in an emergency is gone everywhere so soon
_RSA_BITS = 2048  # signing with 3072 takes three times as long; these sign for 90 days


@dataclass(frozen=True)
class SigningKey:
    """A private key and from when to when it has a part. `retired_at`: not published from then on."""

    kid: str
    alg: Algorithm
    key: RSAKey | ECKey
    active_at: datetime
    retired_at: datetime | None


class Keys:
    """The published keys as this process knows them, at most a second behind the database."""

    def __init__(self, pool: Pool, secrets: Secrets) -> None:
        self.pool = pool
        self.secrets = secrets
        self._known: dict[str, SigningKey] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def sign(self, alg: Algorithm, claims: Mapping[str, Any], kind: str = "JWT") -> str:
        """A signed JWT (RFC 7519). `kind`: its `typ`."""
        key = _newest(await self._published(), alg)
        header = {"alg": alg, "kid": key.kid, "typ": kind}
        # Some 40 µs for ES256 and 600 for RS256: less than handing it to a thread would save.
        return jwt.encode(header, dict(claims), key.key, algorithms=[alg])

    async def jwks(self) -> dict[str, Any]:
        """The public keys (RFC 7517, section 5), those that do not sign yet or any more included."""
        keys = [one.key.as_dict(private=False) for one in await self._published()]
        return {"keys": keys}

    async def public(self) -> list[RSAKey | ECKey]:
        """What a token of ours that comes back can be verified with."""
        return [one.key for one in await self._published()]

    async def _published(self) -> list[SigningKey]:
        if time.monotonic() - self._read_at > _FRESH_S:
            async with self._reading:
                if time.monotonic() - self._read_at > _FRESH_S:
                    await self._read()
        now = clock.now()
        return [
            one for one in self._known.values() if one.retired_at is None or one.retired_at > now
        ]

    async def _read(self) -> None:
        began = time.monotonic()
        async with self.pool.connection() as conn:
            rows = await list_keys(conn)
        if _missing(rows):  # the very first start
            async with self.pool.transaction() as conn:
                await tend(conn, self.secrets)
                rows = await list_keys(conn)
        self._known = {row["kid"]: self._loaded(row) for row in rows}
        self._read_at = began

    def _loaded(self, row: Row) -> SigningKey:
        known = self._known.get(row["kid"])
        key = known.key if known else _import(row["alg"], self.secrets.decrypt(row["encrypted"]))
        return SigningKey(row["kid"], row["alg"], key, row["active_at"], row["retired_at"])


async def tend(conn: Connection, secrets: Secrets) -> bool:
    """The periodic step: the first keys, and for each that grows old the next one. False: done."""
    await conn.run(queries.lock_signing_keys)
    rows, now = await list_keys(conn), clock.now()
    for alg in _missing(rows):
        await _add(conn, secrets, alg, now - _CLOCKS_DIFFER)
    for alg in ALGORITHMS:
        newest = max((row["active_at"] for row in rows if row["alg"] == alg), default=None)
        if newest is not None and newest + LIFE - AHEAD <= now:
            await _add(conn, secrets, alg, max(now + AHEAD, newest + LIFE))
    await conn.run(queries.forget_signing_keys, before=now - OVERLAP)
    return False


async def rotate(
    conn: Connection,
    secrets: Secrets,
    actor: str,
    *,
    after: timedelta = SOON,
    compromised: bool = False,
) -> list[str]:
    """New keys, published now and in use `after` that; their ids. The old ones are published on.

    `compromised`: in use at once, and the old ones are nobody's any more. Logins of this minute,
    and of whoever keeps to what it has read of the keys, fail.
    """
    await tend(conn, secrets)  # where there are none yet, something has to sign until then
    now = clock.now()
    active_at = now if compromised else now + after
    await conn.run(queries.drop_future_signing_keys, after=now)
    added = [await _add(conn, secrets, alg, active_at) for alg in ALGORITHMS]
    if compromised:
        await conn.run(queries.retire_signing_keys, kids=added, at=now)
    await record(conn, actor, "sso.keys.rotate", "sso", kids=added, compromised=compromised)
    return added


async def list_keys(conn: Connection) -> list[Row]:
    """`kid`, `alg`, `encrypted`, `active_at`, `retired_at` of all, the one that signs first first."""
    return list(await conn.rows(queries.list_signing_keys))


def _missing(rows: list[Row]) -> list[Algorithm]:
    return [alg for alg in ALGORITHMS if not any(row["alg"] == alg for row in rows)]


async def _add(conn: Connection, secrets: Secrets, alg: Algorithm, active_at: datetime) -> str:
    """Make a key; those before it are published until a while after it has taken over."""
    parameters: KeyParameters = {"use": "sig", "alg": alg}
    key: RSAKey | ECKey = (
        ECKey.generate_key("P-256", parameters)
        if alg == "ES256"
        else await asyncio.to_thread(RSAKey.generate_key, _RSA_BITS, parameters)
    )
    key.ensure_kid()
    kid = str(key.kid)
    await conn.run(queries.supersede_signing_keys, alg=alg, at=active_at + OVERLAP)
    await conn.run(
        queries.add_signing_key,
        kid=kid,
        alg=alg,
        encrypted=secrets.encrypt(msgspec.json.encode(key.as_dict(private=True)).decode()),
        now=clock.now(),
        active_at=active_at,
    )
    return kid


def _import(alg: Algorithm, text: str) -> RSAKey | ECKey:
    stored = msgspec.json.decode(text)
    return ECKey.import_key(stored) if alg == "ES256" else RSAKey.import_key(stored)


def _newest(keys: list[SigningKey], alg: Algorithm) -> SigningKey:
    """The one that became active last."""
    now = clock.now()
    active = [one for one in keys if one.alg == alg and one.active_at <= now]
    return max(active, key=lambda one: (one.active_at, one.kid))
