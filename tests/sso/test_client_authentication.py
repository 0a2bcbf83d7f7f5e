"""RFC 9700, section 2.5: who redeems a code proves which site it is, and malformed proof is refused.

RFC 6749, section 2.3.1; RFC 7523; OpenID Connect Core 1.0, section 9.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey, RSAKey

from messo.base import clock
from messo.base.crypto import new_api_key
from messo.base.db import Pool
from messo.sso import registration, upkeep
from messo.sso.client_keys import public_keys
from messo.sso.registration import Asked, Rules
from tests.conftest import Running
from tests.inbox.pages import Browser
from tests.sso.conftest import Register
from tests.sso.party import Party, consent
from tests.world import World

pytestmark = pytest.mark.anyio

TOKEN = "/sso/token"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
KIND = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def is_oauth(answer: httpx.Response, *errors: str) -> None:
    """Whatever went wrong: never 500, and what a site's library can read."""
    assert answer.status_code in {400, 401, 413, 415}, (answer.status_code, answer.text)
    assert answer.headers["content-type"].startswith("application/json"), answer.text
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert isinstance(body["error"], str), body
    assert not errors or body["error"] in errors, body
    assert "access_token" not in body
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"].startswith("Basic ")


def basic(client_id: str, secret: str) -> dict[str, str]:
    text = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


async def code_of(giulia: Browser, site: Party) -> tuple[str, str]:
    pending = site.ask()
    code = site.answered(await consent(giulia, pending), pending.state)["code"]
    return code, pending.verifier


@pytest.mark.parametrize("auth", ["client_secret_basic", "client_secret_post"])
async def test_a_wrong_secret_redeems_nothing_and_spends_nothing(
    giulia: Browser, party: Register, auth: str
) -> None:
    site = await party(token_endpoint_auth_method=auth)
    code, verifier = await code_of(giulia, site)
    good = site.secret
    assert good is not None
    for wrong in ("", "x", good[:-1], good + "x", good.swapcase(), new_api_key(), "\x00", "é"):
        site.secret = wrong
        is_oauth(await site.exchange(code, verifier), "invalid_client")
    site.secret = good
    assert (await site.exchange(code, verifier)).status_code == 200


@pytest.mark.parametrize(
    ("registered", "tried"),
    [
        ("client_secret_basic", "client_secret_post"),
        ("client_secret_post", "client_secret_basic"),
        ("private_key_jwt", "client_secret_basic"),
        ("private_key_jwt", "client_secret_post"),
        ("client_secret_basic", "private_key_jwt"),
    ],
)
async def test_a_site_keeps_to_the_method_it_registered(
    giulia: Browser, party: Register, registered: str, tried: str
) -> None:
    site = await party(token_endpoint_auth_method=registered)
    code, verifier = await code_of(giulia, site)
    site.auth = tried
    site.secret = site.secret or "x"
    site.key = site.key or ECKey.generate_key("P-256", {"kid": "k"})
    is_oauth(await site.exchange(code, verifier), "invalid_client")


async def test_without_any_proof_nothing_is_redeemed(giulia: Browser, party: Register) -> None:
    """There are no public clients."""
    for auth in ("client_secret_basic", "client_secret_post", "private_key_jwt"):
        site = await party(token_endpoint_auth_method=auth)
        code, verifier = await code_of(giulia, site)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": site.redirect_uri,
            "client_id": site.client_id,
        }
        is_oauth(await site.client.post(TOKEN, data=form), "invalid_client")


async def test_an_unknown_client_and_a_wrong_secret_are_told_alike(
    party: Register, client: httpx.AsyncClient
) -> None:
    site = await party()
    answers = [
        await client.post(TOKEN, data={"code": "x"}, headers=basic(client_id, secret))
        for client_id, secret in ((site.client_id, "wrong"), (NOBODY, "wrong"), ("", ""))
    ]
    assert len({one.content for one in answers}) == 1
    assert {one.status_code for one in answers} == {401}


async def test_two_ways_at_once_are_none(giulia: Browser, party: Register) -> None:
    site = await party()
    code, verifier = await code_of(giulia, site)
    more = {"client_secret": site.secret}
    is_oauth(await site.exchange(code, verifier, **more), "invalid_request")
    more = {"client_assertion": "x", "client_assertion_type": KIND}
    is_oauth(await site.exchange(code, verifier, **more), "invalid_request")
    is_oauth(await site.exchange(code, verifier, client_id=NOBODY), "invalid_request")
    assert (await site.exchange(code, verifier, client_id=site.client_id)).status_code == 200


async def test_both_secrets_are_good_while_one_replaces_the_other(
    giulia: Browser, party: Register, pool: Pool, running: Running, world: World
) -> None:
    site = await party()
    old = site.secret
    rules = Rules(running.url, (), sandbox=False)
    asked = Asked(None, world.anna.id, "live")
    async with pool.transaction() as conn:
        made = await registration.replace_secret(conn, rules, "tests", asked)
    new = str(made.client_secret)
    for secret in (old, new):
        site.secret = secret
        assert (await site.exchange(*await code_of(giulia, site))).status_code == 200
    async with pool.transaction() as conn:
        await registration.drop_old_secret(conn, "tests", asked)
    site.secret = old
    is_oauth(await site.exchange(*await code_of(giulia, site)), "invalid_client")
    site.secret = new
    assert (await site.exchange(*await code_of(giulia, site))).status_code == 200


Forge = Callable[[Party], str]
OTHER = ECKey.generate_key("P-256", {"kid": "other"})


def with_header(header: Any, **claims: Any) -> Forge:
    """An assertion whose header is this, signed with the right key as far as that goes."""

    def forge(site: Party) -> str:
        payload = site.assertion(**claims).split(".")[1]
        first = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
        return f"{first}.{payload}.{'A' * 86}"

    return forge


def signed(payload: bytes) -> Forge:
    """The right key over whatever bytes."""

    def forge(site: Party) -> str:
        assert site.key is not None
        header = {"alg": "ES256", "kid": site.key.kid}
        return str(jws.serialize_compact(header, payload, site.key))

    return forge


def by_public_key(site: Party) -> str:
    """HS256 whose secret is the public key (RFC 8725, section 2.1)."""
    assert site.key is not None
    header = json.dumps({"alg": "HS256", "kid": site.key.kid}).encode()
    claims = json.dumps(jwt_claims(site)).encode()
    text = ".".join(base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in (header, claims))
    digest = hmac.digest(site.key.as_pem(private=False), text.encode(), hashlib.sha256)
    return f"{text}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def by_another(site: Party) -> str:
    assert site.key is not None
    return jwt.encode({"alg": "ES256", "kid": site.key.kid}, jwt_claims(site), OTHER)


def jwt_claims(site: Party) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": site.client_id,
        "sub": site.client_id,
        "aud": site.issuer,
        "jti": new_api_key(),
        "exp": now + 60,
    }


FORGED: dict[str, Forge] = {
    "another key": by_another,
    "public key as secret": by_public_key,
    "alg none": with_header({"alg": "none"}),
    "alg NONE": with_header({"alg": "NoNe"}),
    "alg HS256": with_header({"alg": "HS256"}),
    "alg list": with_header({"alg": ["ES256"]}),
    "alg number": with_header({"alg": 1}),
    "alg object": with_header({"alg": {}}),
    "no alg": with_header({}),
    "header list": with_header([]),
    "header text": with_header("ES256"),
    "header null": with_header(None),
    "kid list": with_header({"alg": "ES256", "kid": []}),
    "kid object": with_header({"alg": "ES256", "kid": {}}),
    "kid unknown": with_header({"alg": "ES256", "kid": "x"}),
    "crit": with_header({"alg": "ES256", "crit": ["x"], "x": 1}),
    "crit text": with_header({"alg": "ES256", "crit": "x"}),
    "b64": with_header({"alg": "ES256", "crit": ["b64"], "b64": False}),
    "own key": with_header({"alg": "ES256", "jwk": OTHER.as_dict(private=False)}),
    "jku": with_header({"alg": "ES256", "jku": "https://evil.example.org/jwks"}),
    "zip": with_header({"alg": "ES256", "zip": "DEF"}),
    "cut": lambda site: site.assertion().rpartition(".")[0],
    "no signature": lambda site: site.assertion().rpartition(".")[0] + ".",
    "four parts": lambda site: site.assertion() + ".x",
    "five parts": lambda _: "a.b.c.d.e",
    "dots": lambda _: "..",
    "empty": lambda _: "",
    "text": lambda _: "x",
    "not ASCII": lambda site: site.assertion() + "é",
    "NUL": lambda site: site.assertion() + "\x00",
    "long": lambda site: site.assertion(x="x" * 8000),
    "payload list": signed(b"[]"),
    "payload number": signed(b"1"),
    "payload text": signed(b'"x"'),
    "payload null": signed(b"null"),
    "payload empty": signed(b""),
    "payload no JSON": signed(b"{"),
    "payload no UTF-8": signed(b'{"iss":"\xff"}'),
    "payload deep": signed(b"[" * 3000 + b"]" * 3000),
    "iss other": lambda site: site.assertion(iss=NOBODY),
    "sub other": lambda site: site.assertion(sub=NOBODY),
    "sub missing": lambda site: site.assertion(sub=None),
    "aud other": lambda site: site.assertion(aud="https://evil.example.org"),
    "aud slash": lambda site: site.assertion(aud=site.issuer + "/"),
    "aud two": lambda site: site.assertion(aud=[site.issuer, "https://evil.example.org"]),
    "aud none": lambda site: site.assertion(aud=[]),
    "aud object": lambda site: site.assertion(aud=[{}]),
    "aud number": lambda site: site.assertion(aud=1),
    "exp past": lambda site: site.assertion(exp=int(time.time()) - 61),
    "exp far": lambda site: site.assertion(exp=int(time.time()) + 3600),
    "exp text": lambda site: site.assertion(exp="9999999999"),
    "exp true": lambda site: site.assertion(exp=True),
    "exp huge": lambda site: site.assertion(exp=10**400),
    "exp infinite": lambda site: signed(json.dumps({**jwt_claims(site), "exp": 1e999}).encode())(
        site
    ),
    "exp NaN": lambda site: signed(json.dumps({**jwt_claims(site), "exp": float("nan")}).encode())(
        site
    ),
    "exp missing": lambda site: site.assertion(exp=None),
    "nbf future": lambda site: site.assertion(nbf=int(time.time()) + 120),
    "nbf text": lambda site: site.assertion(nbf="x"),
    "iat future": lambda site: site.assertion(iat=int(time.time()) + 120),
    "jti missing": lambda site: site.assertion(jti=None),
    "jti empty": lambda site: site.assertion(jti=""),
    "jti number": lambda site: site.assertion(jti=1),
    "jti long": lambda site: site.assertion(jti="x" * 501),
    "jti half a pair": lambda site: signed(
        json.dumps({**jwt_claims(site), "jti": "\ud800"}).encode()
    )(site),
    "iss half a pair": lambda site: signed(
        json.dumps({**jwt_claims(site), "iss": "\ud800"}).encode()
    )(site),
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_assertion_is_refused(party: Register, name: str) -> None:
    site = await party(token_endpoint_auth_method="private_key_jwt")
    assertion = FORGED[name](site)
    for more in ({}, {"client_id": site.client_id}):
        form = {
            "grant_type": "authorization_code",
            "code": "x",
            "client_assertion_type": KIND,
            "client_assertion": assertion,
            **more,
        }
        is_oauth(await site.client.post(TOKEN, data=form), "invalid_client")


async def test_an_assertion_of_another_client_is_refused(
    giulia: Browser, party: Register, world: World
) -> None:
    site = await party(token_endpoint_auth_method="private_key_jwt")
    other = await party(world.bruno.id, token_endpoint_auth_method="private_key_jwt")
    code, verifier = await code_of(giulia, site)
    theirs = other.assertion()
    more = {"client_assertion": theirs, "client_id": site.client_id}
    is_oauth(await site.exchange(code, verifier, **more), "invalid_client")
    as_site = other.assertion(iss=site.client_id, sub=site.client_id)
    is_oauth(await site.exchange(code, verifier, client_assertion=as_site), "invalid_client")
    # And alone it is the other's own, whose code this is not.
    is_oauth(await site.exchange(code, verifier, client_assertion=other.assertion()))
    assert (await site.exchange(code, verifier)).status_code == 200


async def test_an_assertion_counts_once(giulia: Browser, party: Register) -> None:
    site = await party(token_endpoint_auth_method="private_key_jwt")
    kept = site.assertion()
    code, verifier = await code_of(giulia, site)
    assert (await site.exchange(code, verifier, client_assertion=kept)).status_code == 200
    code, verifier = await code_of(giulia, site)
    is_oauth(await site.exchange(code, verifier, client_assertion=kept), "invalid_client")
    jti = "always the same"
    first, second = site.assertion(jti=jti), site.assertion(jti=jti, iat=int(time.time()))
    assert (await site.exchange(code, verifier, client_assertion=first)).status_code == 200
    is_oauth(await site.exchange(code, verifier, client_assertion=second), "invalid_client")


async def test_an_assertion_is_remembered_as_long_as_it_could_be_good(
    giulia: Browser, party: Register, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last minute is what our clock and the site's may differ by."""
    site = await party(token_endpoint_auth_method="private_key_jwt")
    kept = site.assertion(exp=int(time.time()) + 5)
    code, verifier = await code_of(giulia, site)
    assert (await site.exchange(code, verifier, client_assertion=kept)).status_code == 200
    code, verifier = await code_of(giulia, site)
    later = clock.now() + timedelta(seconds=40)
    monkeypatch.setattr(clock, "now", lambda: later)
    async with pool.transaction() as conn:
        await upkeep.forget_old(conn)
    is_oauth(await site.exchange(code, verifier, client_assertion=kept), "invalid_client")


async def test_two_clients_may_number_their_assertions_alike(party: Register, world: World) -> None:
    for service in (world.anna.id, world.bruno.id):
        site = await party(service, token_endpoint_auth_method="private_key_jwt")
        answer = await site.exchange(
            "x", "v" * 43, client_assertion=site.assertion(jti="1 of many")
        )
        is_oauth(answer, "invalid_grant")


async def test_of_twenty_with_one_assertion_one_passes(party: Register) -> None:
    site = await party(token_endpoint_auth_method="private_key_jwt")
    kept = site.assertion()
    answers = await asyncio.gather(
        *(site.exchange("x", "v" * 43, client_assertion=kept) for _ in range(20))
    )
    errors = sorted(one.json()["error"] for one in answers)
    assert errors == ["invalid_client"] * 19 + ["invalid_grant"]


@pytest.mark.parametrize("grant", ["password", "", None, "refresh_token"])
async def test_an_assertion_that_came_with_a_bad_request_is_used_too(
    giulia: Browser, party: Register, grant: str | None
) -> None:
    """RFC 7523, section 3: whoever saw the refused request cannot send its proof again."""
    site = await party(token_endpoint_auth_method="private_key_jwt")
    kept = site.assertion()
    code, verifier = await code_of(giulia, site)
    is_oauth(await site.exchange(code, verifier, grant_type=grant, client_assertion=kept))
    is_oauth(await site.exchange(code, verifier, client_assertion=kept), "invalid_client")


@pytest.mark.parametrize("place", ["issuer", "token endpoint", "list"])
async def test_an_assertion_is_meant_for_us(giulia: Browser, party: Register, place: str) -> None:
    site = await party(token_endpoint_auth_method="private_key_jwt")
    audience = {"issuer": site.issuer, "token endpoint": f"{site.issuer}/sso/token"}
    named: Any = audience.get(place, [site.issuer])
    answer = await site.exchange(
        *await code_of(giulia, site), client_assertion=site.assertion(aud=named)
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
async def test_every_algorithm_of_the_metadata_is_taken(
    party: Register, pool: Pool, alg: str
) -> None:
    site = await party(token_endpoint_auth_method="private_key_jwt")
    about = await site.discover()
    assert set(about["token_endpoint_auth_signing_alg_values_supported"]) == {"RS256", "ES256"}
    key: Any = ECKey.generate_key("P-256") if alg == "ES256" else RSAKey.generate_key(2048)
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE sso.client SET jwks = $2 WHERE id = $1",
            site.client_id,
            json.dumps(public_keys([key.as_dict(private=False)], "jwks.keys")),
        )
    assertion = jwt.encode({"alg": alg}, jwt_claims(site), key, algorithms=[alg])
    answer = await site.exchange("x", "v" * 43, client_assertion=assertion)
    assert answer.json()["error"] == "invalid_grant"  # so that the client was believed


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b":").decode(),
        "Basic " + base64.b64encode(b"\x00:\x00").decode(),
        "Basic " + base64.b64encode(b"%00:%00").decode(),
        "Basic " + base64.b64encode(b"%ff:%ff").decode(),
        "Basic " + base64.b64encode(b"%ED%A0%80:%ED%A0%80").decode(),
        "Basic " + base64.b64encode(b"x" * 10_000).decode(),
        "Bearer x",
        "Negotiate x",
        "Digest username=x",
        "\xe9",
        "Basic \xe9",
        "basic eDp5",
        "Basic eDp5 eDp5",
    ],
)
async def test_a_malformed_authorization_is_refused(client: httpx.AsyncClient, header: str) -> None:
    headers = [
        (b"Authorization", header.encode("latin-1")),
        (b"Content-Type", b"application/x-www-form-urlencoded"),
    ]
    answer = await client.post(TOKEN, content=b"grant_type=authorization_code", headers=headers)
    is_oauth(answer, "invalid_client", "invalid_request")


BODIES: dict[str, tuple[bytes, str | None]] = {
    "empty": (b"", FORM["Content-Type"]),
    "no type": (b"code=x", None),
    "JSON": (b'{"code":"x"}', "application/json"),
    "form as JSON": (b'{"code":"x"}', FORM["Content-Type"]),
    "multipart": (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x"),
    "no such type": (b"code=x", "x"),
    "type not ASCII": (b"code=x", "application/x-www-form-urlencoded\xe9"),
    "charset": (b"code=x", "application/x-www-form-urlencoded; charset=utf-16"),
    "twice": (b"code=x&code=y", FORM["Content-Type"]),
    "client twice": (b"client_id=a&client_id=b&client_secret=x", FORM["Content-Type"]),
    "no UTF-8": (b"code=%ff&client_id=%ff&client_secret=%ff", FORM["Content-Type"]),
    "raw bytes": (b"code=\xff\xfe", FORM["Content-Type"]),
    "half a pair": (b"client_id=%ED%A0%80&client_secret=x", FORM["Content-Type"]),
    "NUL": (b"client_id=%00&client_secret=%00&code=%00", FORM["Content-Type"]),
    "10,000 parameters": (
        "&".join(f"a{n}=" for n in range(2500)).encode(),
        FORM["Content-Type"],
    ),
    "10,000 parts": (b"&" * 10_000, FORM["Content-Type"]),
    "equal signs": (b"=" * 10_000, FORM["Content-Type"]),
    "too large": (b"code=" + b"x" * 20_000, FORM["Content-Type"]),
    "much too large": (b"code=" + b"x" * 2_000_000, FORM["Content-Type"]),
    "array": (b"code[]=x&client_id[]=y", FORM["Content-Type"]),
    "assertion without type": (b"client_assertion=x", FORM["Content-Type"]),
    "type without assertion": (
        f"client_assertion_type={quote(KIND)}".encode(),
        FORM["Content-Type"],
    ),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_malformed_body_is_refused(client: httpx.AsyncClient, name: str) -> None:
    body, kind = BODIES[name]
    headers = [] if kind is None else [(b"Content-Type", kind.encode("latin-1"))]
    is_oauth(await client.post(TOKEN, content=body, headers=headers))


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "PATCH"])
async def test_the_token_endpoint_takes_posts_only(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, TOKEN, params={"code": "x", "client_secret": "y"})
    assert answer.status_code in {404, 405}


async def test_parameters_in_the_address_are_none(giulia: Browser, party: Register) -> None:
    """A secret in an address ends in logs: who sends it there is not let in."""
    site = await party(token_endpoint_auth_method="client_secret_post")
    code, verifier = await code_of(giulia, site)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": site.redirect_uri,
        "code_verifier": verifier,
        "client_id": site.client_id,
        "client_secret": site.secret or "",
    }
    answer = await site.client.post(f"{TOKEN}?{urlencode(form)}", headers=FORM, content=b"")
    is_oauth(answer, "invalid_client")


FIELDS = st.sampled_from(
    [
        "grant_type",
        "code",
        "redirect_uri",
        "code_verifier",
        "client_id",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
        "scope",
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        ["authorization_code", NOBODY, KIND, "a.b.c", "e30.e30.", f"{NOBODY}.{'A' * 43}", ""]
    ),
    st.text(max_size=60),
    st.binary(max_size=60),
)


@given(
    fields=st.lists(st.tuples(FIELDS | st.text(max_size=8), VALUES), max_size=8),
    header=st.one_of(st.none(), st.text(max_size=40), st.binary(max_size=40)),
    known=st.booleans(),
)
@effort(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_whatever_is_posted_the_answer_is_an_error_that_can_be_read(
    client: httpx.AsyncClient,
    world: World,
    fields: list[tuple[str, str | bytes]],
    header: str | bytes | None,
    known: bool,
) -> None:
    pairs = [
        (n.encode("utf-8", "replace"), v if isinstance(v, bytes) else v.encode("utf-8", "replace"))
        for n, v in fields
    ]
    headers = [(b"Content-Type", b"application/x-www-form-urlencoded")]
    if header is not None:
        raw = header if isinstance(header, bytes) else header.encode("utf-8", "replace")
        headers.append((b"Authorization", b"Basic " + (base64.b64encode(raw) or b"=")))
    if known:
        pairs.append((b"client_id", world.anna.id.encode()))
    is_oauth(await client.post(TOKEN, content=urlencode(pairs).encode(), headers=headers))
