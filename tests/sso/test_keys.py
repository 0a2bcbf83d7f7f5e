"""Signing keys: the first ones, those that take over, and logins that go on meanwhile."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.sso import keys
from messo.sso.keys import Keys
from tests.conftest import Running
from tests.inbox.conftest import LogIn
from tests.inbox.pages import citizen
from tests.sso.conftest import Register
from tests.sso.party import Party, consent

pytestmark = pytest.mark.anyio

_WORKERS, _LOGINS, _ROTATIONS = 4, 15, 4
_SOON = timedelta(seconds=1.5)  # longer than a process may be behind: what SOON is in life


class Caching:
    """The keys as a site keeps them: read once, and anew only for one that it does not know."""

    def __init__(self, site: Party) -> None:
        self.site = site
        self.known: KeySetSerialization = {"keys": []}
        self.reads = 0

    async def verify(self, token: str) -> dict[str, Any]:
        for _ in range(2):
            try:
                known = KeySet.import_key_set(self.known)
                return dict(jwt.decode(token, known, algorithms=[self.site.alg]).claims)
            except (JoseError, ValueError):
                self.known = (await self.site.client.get("/sso/jwks")).json()
                self.reads += 1
        raise AssertionError("no published key verifies this token")


@pytest.mark.parametrize("alg", keys.ALGORITHMS)
async def test_rotation_under_load_breaks_no_login(
    pool: Pool, secrets: Secrets, browse: LogIn, party: Register, alg: str
) -> None:
    site = await party(id_token_signed_response_alg=alg)
    caching = Caching(site)
    kids: set[str] = set()
    over = asyncio.Event()

    async def log_in(number: int) -> int:
        browser = await browse(await citizen(pool, "KEY", number + (alg == "ES256") * 100))
        done = 0
        while done < _LOGINS or not over.is_set():
            pending = site.ask()
            answer = site.answered(await consent(browser, pending), pending.state)
            tokens = await site.exchange(answer["code"], pending.verifier)
            assert tokens.status_code == 200, tokens.text
            id_token = tokens.json()["id_token"]
            assert (await caching.verify(id_token))["nonce"] == pending.nonce
            kids.add(jwt.decode(id_token, KeySet.import_key_set(caching.known)).header["kid"])
            done += 1
        return done

    async def rotate() -> None:
        for _ in range(_ROTATIONS):
            async with pool.transaction() as conn:
                await keys.rotate(conn, secrets, "tests", after=_SOON)
            await asyncio.sleep(_SOON.total_seconds() + 0.2)
        over.set()

    done = await asyncio.gather(rotate(), *(log_in(number) for number in range(_WORKERS)))
    assert sum(count or 0 for count in done) >= _WORKERS * _LOGINS
    assert len(kids) >= 3, "the keys did not change while citizens logged in"
    assert caching.reads <= (_ROTATIONS + 1) * _WORKERS, "read for each new key, not each token"


async def test_a_key_is_published_before_it_signs_and_after(
    pool: Pool, secrets: Secrets, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing = Keys(pool, secrets)
    before = await signing.sign("ES256", {"sub": "x"})
    async with pool.transaction() as conn:
        _, new = await keys.rotate(conn, secrets, "tests", after=timedelta(minutes=10))
    fresh = Keys(pool, secrets)
    assert new in {key["kid"] for key in (await fresh.jwks())["keys"]}
    assert _kid(await fresh.sign("ES256", {"sub": "x"})) == _kid(before)
    later = clock.now() + timedelta(minutes=11)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert _kid(await fresh.sign("ES256", {"sub": "x"})) == new
    assert _kid(before) in {key["kid"] for key in (await fresh.jwks())["keys"]}
    much_later = later + keys.OVERLAP
    monkeypatch.setattr(clock, "now", lambda: much_later)
    assert _kid(before) not in {key["kid"] for key in (await fresh.jwks())["keys"]}


async def test_a_compromised_key_is_nobodys_any_more(pool: Pool, secrets: Secrets) -> None:
    old = {key["kid"] for key in (await Keys(pool, secrets).jwks())["keys"]}
    async with pool.transaction() as conn:
        added = await keys.rotate(conn, secrets, "tests", compromised=True)
    published = {key["kid"] for key in (await Keys(pool, secrets).jwks())["keys"]}
    assert published == set(added)
    assert not published & old


async def test_keys_that_grow_old_are_followed_by_new_ones_once(
    pool: Pool, secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tend() -> list[str]:
        async with pool.transaction() as conn:
            await keys.tend(conn, secrets)
            return [row["kid"] for row in await keys.list_keys(conn)]

    now = await tend()
    assert await tend() == now
    soon = clock.now() + keys.LIFE - keys.AHEAD / 2
    monkeypatch.setattr(clock, "now", lambda: soon)
    found = await asyncio.gather(*(tend() for _ in range(4)))
    added = set(found[-1]) - set(now)
    assert len(added) == len(keys.ALGORITHMS)
    assert set(found[0]) | set(found[1]) <= set(found[-1]) | set(now)


async def test_no_private_number_is_published_or_stored_in_clear(
    pool: Pool, running: Running
) -> None:
    published = (await running.client.get("/sso/jwks")).json()["keys"]
    private = {"d", "p", "q", "dp", "dq", "qi", "k"}
    assert published
    for key in published:
        assert not private & set(key)
        assert key["use"] == "sig"
        assert key["alg"] in keys.ALGORITHMS
    async with pool.connection() as conn:
        for row in await keys.list_keys(conn):
            assert '"d"' not in row["encrypted"]


def _kid(token: str) -> str:
    return str(jws.extract_compact(token.encode()).headers()["kid"])
