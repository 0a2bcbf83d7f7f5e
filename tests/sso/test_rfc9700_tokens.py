"""Attacks of RFC 9700 on tokens: substituted, mistaken for one another, leaked, late.

Left out, for there is no such thing here: refresh tokens (4.14), tokens for several resource
servers (4.9.1, 4.10.1): the only one is userinfo, and a token lives a minute.
"""

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.inbox.visit import Site
from messo.sso.end_session import audience
from messo.sso.hints import Proof
from tests.conftest import Running
from tests.inbox.conftest import LogIn
from tests.inbox.pages import Browser, citizen
from tests.sso.conftest import Register
from tests.sso.party import CALLBACK, Party, Pending, consent
from tests.sso.test_rfc9700_requests import stays_here
from tests.world import World

pytestmark = pytest.mark.anyio


async def tokens_for(
    browser: Browser, site: Party, pending: Pending, *claims: str
) -> dict[str, Any]:
    address = await consent(browser, pending, *claims)
    code = site.answered(address, pending.state)["code"]
    answer = await site.exchange(code, pending.verifier)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def invalid(site: Party, token: str) -> None:
    answer = await site.userinfo(token)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert answer.headers["cache-control"] == "no-store"


async def test_4_6_an_id_token_is_no_access_token(giulia: Browser, party: Register) -> None:
    site = await party()
    given = await tokens_for(giulia, site, site.ask())
    await invalid(site, given["id_token"])
    assert (await site.userinfo(given["access_token"])).status_code == 200


async def test_4_6_an_access_token_is_no_id_token(
    giulia: Browser, party: Register, site: Site
) -> None:
    """A site that takes one for the other finds nothing to verify."""
    told = await party()
    given = await tokens_for(giulia, told, told.ask())
    assert given["access_token"].count(".") == 1
    query = f"/sso/end-session?id_token_hint={given['access_token']}"
    stays_here(await giulia.get(query))


async def test_4_6_a_substituted_token_shows(
    giulia: Browser, party: Register, browse: LogIn, pool: Pool
) -> None:
    """`at_hash` binds the ID token to its access token, `sub` to what userinfo says of it."""
    site = await party()
    mallory = await browse(await citizen(pool, "MAL", 1))
    pending = site.ask()
    mine = await tokens_for(giulia, site, pending)
    theirs = await tokens_for(mallory, site, site.ask())
    claims = await site.claims(mine["id_token"], pending.nonce)

    def half(token: str) -> str:
        digest = hashlib.sha256(token.encode()).digest()[:16]
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    assert claims["at_hash"] == half(mine["access_token"])
    assert claims["at_hash"] != half(theirs["access_token"])
    assert (await site.userinfo(theirs["access_token"])).json()["sub"] != claims["sub"]


async def test_4_6_a_token_of_another_client_names_nobody_it_knows(
    giulia: Browser, party: Register, world: World
) -> None:
    """The `sub` is of one service: what another got of the same citizen does not pass for it."""
    site, other = await party(), await party(world.bruno.id)
    mine, theirs = site.ask(), other.ask()
    first = await tokens_for(giulia, site, mine)
    second = await tokens_for(giulia, other, theirs)
    one = await site.claims(first["id_token"], mine.nonce)
    two = await other.claims(second["id_token"], theirs.nonce)
    assert one["sub"] != two["sub"]
    assert one["sid"] != two["sid"]
    assert (one["aud"], two["aud"]) == (site.client_id, other.client_id)
    assert (await site.userinfo(second["access_token"])).json()["sub"] == two["sub"]


async def test_4_6_each_environment_has_its_own_audience_and_session(
    giulia: Browser, party: Register, pool: Pool, world: World
) -> None:
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE services.service SET authorized_recipients = $2 WHERE id = $1",
            world.anna.id,
            [giulia.fiscal_code],
        )
    live, test = await party(), await party(environment="test")
    first, second = live.ask(), test.ask()
    one = await live.claims((await tokens_for(giulia, live, first))["id_token"], first.nonce)
    two = await test.claims((await tokens_for(giulia, test, second))["id_token"], second.nonce)
    assert one["aud"] != two["aud"]
    assert one["sid"] != two["sid"]
    assert one["sub"] == two["sub"]  # of the service, as its tests want to find it


async def test_4_6_sub_is_stable_and_says_nothing(
    giulia: Browser, party: Register, browse: LogIn
) -> None:
    site = await party()
    found = set()
    for browser in (giulia, await browse(giulia.fiscal_code)):
        pending = site.ask("openid")
        given = await tokens_for(browser, site, pending)
        assert given["scope"] == "openid"
        found.add((await site.claims(given["id_token"], pending.nonce))["sub"])
        assert (await site.userinfo(given["access_token"])).json() == {"sub": next(iter(found))}
    (sub,) = found
    for digest in (hashlib.sha256, hashlib.md5, hashlib.sha1, hashlib.sha512):
        for text in (giulia.fiscal_code, site.client_id + giulia.fiscal_code):
            guess = digest(text.encode()).digest()
            assert base64.urlsafe_b64encode(guess).rstrip(b"=").decode() != sub


async def test_4_6_the_fiscal_code_as_sub_is_a_datum_that_is_asked_for(
    giulia: Browser, party: Register
) -> None:
    from tests.sso.party import arrive, decide

    site = await party(subject_type="fiscal_code")
    pending = site.ask("openid")
    shown = await arrive(giulia, pending)
    assert giulia.fiscal_code in shown.text
    code = site.answered(await decide(giulia, shown), pending.state)["code"]
    given = (await site.exchange(code, pending.verifier)).json()
    claims = await site.claims(given["id_token"], pending.nonce)
    assert claims["sub"] == giulia.fiscal_code
    who = (await site.userinfo(given["access_token"])).json()
    assert who == {"sub": giulia.fiscal_code, "fiscal_code": giulia.fiscal_code}


async def test_4_6_what_else_we_sign_is_no_id_token(
    party: Register, site: Site, running: Running
) -> None:
    """A logout token has an `iss` and an `aud` too; its kind is another."""
    from messo.base.http import Problem

    told = await party()
    claims = {"iss": running.url, "aud": told.client_id, "sub": "x", "iat": 1, "exp": 2}
    proof = Proof(running.url, await site.keys.public())
    for kind in ("logout+jwt", "at+jwt"):
        signed = await site.keys.sign("RS256", claims, kind)
        with pytest.raises(Problem):
            audience(proof, signed)
    assert audience(proof, await site.keys.sign("RS256", claims)) == told.client_id


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
async def test_4_6_tokens_are_signed_with_what_is_published_and_nothing_else(
    giulia: Browser, party: Register, alg: str
) -> None:
    site = await party(id_token_signed_response_alg=alg)
    given = await tokens_for(giulia, site, site.ask())
    header = json.loads(base64.urlsafe_b64decode(given["id_token"].split(".")[0] + "=="))
    assert header["alg"] == alg
    assert set(header) == {"alg", "kid", "typ"}
    published = (await site.client.get("/sso/jwks")).json()
    assert header["kid"] in {one["kid"] for one in published["keys"]}
    for key in published["keys"]:
        assert not set(key) & {"d", "p", "q", "dp", "dq", "qi", "k"}
        assert key["use"] == "sig"
    with pytest.raises(JoseError):
        jwt.decode(given["id_token"], KeySet([ECKey.generate_key("P-256")]))


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Basic eDp5",
        "Bearer x",
        "Bearer " + "x" * 20_000,
        "Bearer \xe9",
        "bearer 01ARZ3NDEKTSV4RRFFQ69G5FAV." + "A" * 43,
        "DPoP x",
        "Bearer a, Bearer b",
    ],
)
async def test_4_9_what_is_no_token_opens_nothing(party: Register, header: str | None) -> None:
    site = await party()
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    for method in ("GET", "POST"):
        answer = await site.client.request(
            method, "/sso/userinfo", headers=[(k.encode(), v) for k, v in headers.items()]
        )
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


async def test_4_9_a_token_is_good_at_userinfo_only(giulia: Browser, party: Register) -> None:
    site = await party()
    token = (await tokens_for(giulia, site, site.ask()))["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    for path in ("/api/auth/v1/session", "/api/v1/messages", "/sso/interaction/x"):
        assert (await site.client.get(path, headers=headers)).status_code in {401, 404}, path
    planted = await Browser(site.client, {"messo": token}, "", "").get("/welcome")
    assert planted.status_code == 401


async def test_4_9_userinfo_is_kept_by_nobody(giulia: Browser, party: Register) -> None:
    site = await party()
    token = (await tokens_for(giulia, site, site.ask()))["access_token"]
    answer = await site.userinfo(token)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"].startswith("application/json")
    assert "set-cookie" not in answer.headers


async def test_4_10_a_token_lives_five_minutes(
    giulia: Browser, party: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await party()
    token = (await tokens_for(giulia, site, site.ask()))["access_token"]
    for seconds, status in ((298, 200), (301, 401)):
        moment = clock.now() + timedelta(seconds=seconds)
        with monkeypatch.context() as patched:
            patched.setattr(clock, "now", lambda moment=moment: moment)
            assert (await site.userinfo(token)).status_code == status


async def test_4_10_a_token_and_its_code_are_stored_as_digests(
    giulia: Browser, party: Register, pool: Pool
) -> None:
    """Whoever reads the database can neither redeem nor ask, and does not see whose they are."""
    site = await party()
    pending = site.ask()
    code = site.answered(await consent(giulia, pending), pending.state)["code"]
    token = (await site.exchange(code, pending.verifier)).json()["access_token"]
    async with pool.connection() as conn:
        rows = await conn.raw.fetch("SELECT c::text AS line, sealed FROM sso.code AS c")
    assert rows
    for row in rows:
        line = row["line"] + row["sealed"].hex() + repr(bytes(row["sealed"]))
        for text in (code, token, giulia.fiscal_code, pending.nonce, pending.state, CALLBACK):
            assert text not in line
            assert text.partition(".")[2] == "" or text.partition(".")[2] not in line


async def test_4_10_a_grant_is_bound_to_its_row(
    giulia: Browser, party: Register, pool: Pool, browse: LogIn
) -> None:
    """Whoever can write rows cannot put one citizen's data under another's code."""
    site = await party()
    mallory = await browse(await citizen(pool, "MAL", 2))
    codes = []
    pending = site.ask()
    for browser in (giulia, mallory):
        address = await consent(browser, pending)
        codes.append(site.answered(address, pending.state)["code"])
    victim, own = (one.partition(".")[0] for one in codes)
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE sso.code SET sealed = (SELECT sealed FROM sso.code WHERE id = $1) "
            "WHERE id = $2",
            victim,
            own,
        )
    answer = await site.exchange(codes[1], pending.verifier)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_4_15_no_client_can_look_like_a_citizen(giulia: Browser, party: Register) -> None:
    """A `sub` is 43 characters or a fiscal code, a client_id 26 or 31: never the same."""
    subjects = set()
    for kind in ("pairwise", "fiscal_code"):
        site = await party(subject_type=kind)
        pending = site.ask()
        given = await tokens_for(giulia, site, pending)
        subjects.add((await site.claims(given["id_token"], pending.nonce))["sub"])
        assert len(site.client_id) in {26, 31}
    assert {len(one) for one in subjects} == {43, 16}
    for sub in subjects:  # neither is one good as the other
        stays_here(await giulia.get(site.ask(client_id=sub).address))


def test_4_15_subjects_of_different_services_differ_for_one_secret(secrets: Secrets) -> None:
    """The keyed digest has a name of its own, so that no other use of the key makes a `sub`."""
    one = secrets.keyed_digest("sso.sub:A:TSTAUT80A01Y001S")
    assert one != secrets.keyed_digest("sso.sid:A:TSTAUT80A01Y001S")
    assert one != secrets.keyed_digest("sso.sub:B:TSTAUT80A01Y001S")
