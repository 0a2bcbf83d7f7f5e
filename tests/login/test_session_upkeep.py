"""What the database keeps of sessions and codes: digests, the last use, and nothing for long."""

from datetime import datetime, timedelta

import pytest

from messo.base import clock
from messo.base.crypto import Secrets, key_digest
from messo.base.db import Pool
from messo.login import (
    ClientTarget,
    Identity,
    find_session,
    forget_expired,
    open_session,
    sessions,
    web_limits,
)
from messo.login.clients import mint_code
from messo.sandbox.fiscal_codes import make
from messo.settings import Settings
from tests.login.browser import APP, CHALLENGE, Visitor

WEB = web_limits(Settings())
LEVEL = "https://www.spid.gov.it/SpidL2"


def somebody(stem: str) -> Identity:
    return Identity(make(stem), "Anna", "Prova", LEVEL)


async def opened(pool: Pool, who: Identity) -> str:
    async with pool.transaction() as conn:
        return await open_session(conn, who, "web", "Firefox, Linux", WEB)


async def seen_at(pool: Pool, token: str, back: timedelta) -> datetime:
    """Set when the session was used last: so long ago."""
    moment = clock.now() - back
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE login.session SET seen_at = $2 WHERE digest = $1", key_digest(token), moment
        )
    return moment


async def use(pool: Pool, token: str) -> datetime:
    """Use the session; when the database then says it was used last."""
    async with pool.transaction() as conn:
        assert await find_session(conn, token, WEB) is not None
    async with pool.connection() as conn:
        found: datetime = await conn.raw.fetchval(
            "SELECT seen_at FROM login.session WHERE digest = $1", key_digest(token)
        )
    return found


async def test_use_is_noted_at_most_once_a_minute(pool: Pool) -> None:
    token = await opened(pool, somebody("TSTPKP80A01Y050"))
    recent = await seen_at(pool, token, timedelta(seconds=50))
    assert await use(pool, token) == recent
    old = await seen_at(pool, token, timedelta(seconds=70))
    noted = await use(pool, token)
    assert noted - old > timedelta(seconds=69)
    assert await use(pool, token) == noted  # once is enough


async def test_tokens_and_codes_are_kept_as_digests_only(visitor: Visitor, pool: Pool) -> None:
    who = make("TSTPKP80A01Y051")
    headers = await visitor.bearer(who)
    await visitor.log_in(who)
    code = await visitor.code(who)
    tokens = [headers["Authorization"].removeprefix("Bearer "), visitor.client.cookies["messo"]]
    async with pool.connection() as conn:
        kept = [
            str(row[0])
            for table in ("login.session", "login.code")
            for row in await conn.raw.fetch(f"SELECT row_to_json(t)::text FROM {table} AS t")
        ]
    for secret in (*tokens, code):
        assert not [row for row in kept if secret in row or secret.encode().hex() in row]
        assert len([row for row in kept if key_digest(secret).hex() in row]) == 1


async def test_dead_codes_are_forgotten_and_living_ones_kept(pool: Pool, secrets: Secrets) -> None:
    target = ClientTarget(APP, CHALLENGE)
    async with pool.transaction() as conn:
        codes = [
            await mint_code(conn, secrets, somebody("TSTPKP80A01Y052"), target) for _ in range(2)
        ]
    digests = [key_digest(code) for code in codes]
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE login.code SET expires_at = $2 WHERE digest = $1", digests[0], clock.now()
        )
        assert await forget_expired(conn, WEB) is False
        left = await conn.raw.fetch("SELECT digest FROM login.code WHERE digest = ANY($1)", digests)
    assert [row["digest"] for row in left] == [digests[1]]


async def test_whoever_forgets_says_when_more_may_be_left(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_FORGET_AT_ONCE", 2)
    who = somebody("TSTPKP80A01Y053")
    tokens = [await opened(pool, who) for _ in range(2 * pool.buckets + 1)]  # 3 in some bucket
    for token in tokens:
        await seen_at(pool, token, WEB.idle + timedelta(seconds=1))
    living = await opened(pool, who)
    rounds = 0
    async with pool.connection() as conn:
        while await forget_expired(conn, WEB):
            rounds += 1
            assert rounds <= len(tokens)
        left = await conn.raw.fetch(
            "SELECT digest FROM login.session WHERE fiscal_code = $1", who.fiscal_code
        )
    assert rounds >= 1
    assert [row["digest"] for row in left] == [key_digest(living)]
