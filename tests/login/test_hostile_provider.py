"""What an identity provider may answer, and what we believe of it."""

import hashlib
import time
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest
from joserfc.jwk import ECKey
from starlette.responses import JSONResponse, RedirectResponse, Response

from messo.base.crypto import Secrets
from messo.base.outbound import Outbound
from messo.login import LoginError, LoginFlow, Provider, citizen_registration, fetch
from messo.settings import Settings
from tests.login.provider import (
    CITIZEN,
    LEVEL_2,
    Hostile,
    b64,
    flow_to,
    hostile_provider,
    log_in,
    rsa_key,
    sent,
    signed_with_public_key,
    unsigned,
)


@pytest.fixture(scope="module")
async def listening() -> AsyncIterator[Hostile]:
    async with hostile_provider() as running:
        yield running


@pytest.fixture
async def hostile(listening: Hostile) -> AsyncIterator[Hostile]:
    yield listening
    await listening.leave()


async def reason(hostile: Hostile, secrets: Secrets, **more: Any) -> str:
    """Why a login fails."""
    with pytest.raises(LoginError) as failed:
        await log_in(hostile, flow_to(hostile, secrets, **more))
    assert failed.value.redirect is None
    return failed.value.reason


async def test_an_honest_one_logs_in(hostile: Hostile, secrets: Secrets) -> None:
    hostile.claims = {"birthdate": "1980-01-01", "email": "anna@example.org"}
    finished = await log_in(hostile, flow_to(hostile, secrets))
    who = finished.identity
    assert (who.fiscal_code, who.name, who.family_name) == (CITIZEN, "Anna", "Prova")
    assert (who.level, who.date_of_birth) == (LEVEL_2, date(1980, 1, 1))
    assert who.email == "anna@example.org"
    assert (finished.return_to, finished.client) == ("/", None)
    assert "/userinfo" not in hostile.asked  # nothing was missing


async def test_the_request_has_pkce_state_nonce_and_levels(
    hostile: Hostile, secrets: Secrets
) -> None:
    flow = flow_to(hostile, secrets)
    url, cookie = await flow.begin("/", None)
    asked = sent(url)
    assert url.startswith(f"{hostile.url}/authorize?")
    assert asked["response_type"] == "code"
    assert asked["client_id"] == "messo"
    assert asked["scope"] == "openid profile"
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == "http://127.0.0.1:8480/login/callback"
    assert asked["acr_values"].split() == [LEVEL_2, "https://www.spid.gov.it/SpidL3"]
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    for secret in (asked["state"], asked["nonce"]):
        assert secret not in cookie
        assert len(secret) == 43
    hostile.nonce = asked["nonce"]
    await flow.finish({"code": "the code", "state": asked["state"]}, cookie)
    given = hostile.token_request
    assert given["grant_type"] == "authorization_code"
    assert given["code"] == "the code"
    assert given["redirect_uri"] == asked["redirect_uri"]
    assert given["client_id"] == "messo"  # no secret: it names itself
    assert b64(hashlib.sha256(given["code_verifier"].encode()).digest()) == asked["code_challenge"]


async def test_a_secret_is_sent_in_the_header_unless_only_the_body_is_read(
    hostile: Hostile, secrets: Secrets
) -> None:
    await log_in(hostile, flow_to(hostile, secrets, login_client_secret="hidden"))
    assert (hostile.authorization or "").startswith("Basic ")
    assert "client_secret" not in hostile.token_request
    hostile.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    await log_in(hostile, flow_to(hostile, secrets, login_client_secret="hidden"))
    assert hostile.authorization is None
    assert hostile.token_request["client_secret"] == "hidden"


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"nonce": ["a"]},
        {"nonce": "\ud800"},
        {"iss": "https://elsewhere.example.org"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["messo", "another"]},
        {"aud": []},
        {"aud": None},
        {"azp": "another"},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"iat": int(time.time()) - 7200},
        {"iat": int(time.time()) + 7200},
        {"iat": None},
        {"nbf": int(time.time()) + 7200},
        {"sub": None},
        {"sub": 7},
        {"at_hash": "wrong"},
        {"at_hash": 5},
        {"given_name": "A\x00B"},
        {"given_name": "A\nB"},
        {"given_name": "A\u202eB"},
        {"family_name": "x" * 201},
        {"family_name": ["a", "b"]},
        {"family_name": {"a": 1}},
        {"email": ["a@example.org"]},
        {"birthdate": 19800101},
        {"fiscal_code": [CITIZEN]},
        {"fiscal_code": 5},
        {"fiscal_code": "x" * 5000},
    ],
    ids=str,
)
async def test_claims_that_do_not_hold_are_refused(
    hostile: Hostile, secrets: Secrets, claims: dict[str, Any]
) -> None:
    hostile.claims = claims
    assert await reason(hostile, secrets) == "refused"


async def test_the_hash_of_the_access_token_must_be_right_if_given(
    hostile: Hostile, secrets: Secrets
) -> None:
    hostile.claims = {"at_hash": b64(hashlib.sha256(b"access").digest()[:16])}
    await log_in(hostile, flow_to(hostile, secrets))
    hostile.claims = {"at_hash": b64(hashlib.sha256(b"another").digest()[:16])}
    assert await reason(hostile, secrets) == "refused"


@pytest.mark.parametrize("sign", [unsigned, signed_with_public_key])
async def test_signatures_that_anybody_can_make_are_refused(
    hostile: Hostile, secrets: Secrets, sign: Any
) -> None:
    hostile.sign = sign
    assert await reason(hostile, secrets) == "refused"


@pytest.mark.parametrize(
    "token", ["", "a", "a.b", "a.b.c", "....", "é.é.é", "a" * 70_000, 5, ["a"], None, {}]
)
async def test_what_is_no_token_is_refused(hostile: Hostile, secrets: Secrets, token: Any) -> None:
    hostile.replaced["/token"] = lambda: JSONResponse(
        {"access_token": "a", "token_type": "Bearer", "id_token": token}
    )
    assert await reason(hostile, secrets) == "refused"


async def test_anothers_key_and_an_unknown_one_are_refused(
    hostile: Hostile, secrets: Secrets
) -> None:
    other = ECKey.generate_key("P-256")
    hostile.keys = [{**other.as_dict(private=False), "kid": "first"}]
    assert await reason(hostile, secrets) == "refused"
    hostile.keys = None
    hostile.header = {"kid": "second"}
    hostile.asked.clear()
    assert await reason(hostile, secrets) == "refused"
    assert hostile.asked.count("/jwks") == 2  # once more, then no further


async def test_a_new_key_is_fetched_when_it_is_first_used(
    hostile: Hostile, secrets: Secrets
) -> None:
    flow = flow_to(hostile, secrets)
    await log_in(hostile, flow)
    await log_in(hostile, flow)
    assert hostile.asked.count("/jwks") == 1
    assert hostile.asked.count("/.well-known/openid-configuration") == 1
    hostile.key = ECKey.generate_key("P-256")
    hostile.header = {"kid": "second"}
    hostile.keys = [{**hostile.key.as_dict(private=False), "kid": "second"}]
    await log_in(hostile, flow)
    assert hostile.asked.count("/jwks") == 2


async def test_other_keys_of_the_set_do_no_harm(hostile: Hostile, secrets: Secrets) -> None:
    mine = hostile.public_keys()
    hostile.keys = [
        {"kty": "oct", "k": "AAAA", "kid": "first"},
        {"kty": "future"},
        {"kty": ["RSA"]},
        {},
        {"kty": "EC", "crv": "P-256", "x": "!", "y": 5, "kid": "first"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "first"},
        {**mine[0], "use": "enc"},
        *mine,
    ]
    await log_in(hostile, flow_to(hostile, secrets))


async def test_without_a_name_there_must_be_one_key_only(
    hostile: Hostile, secrets: Secrets
) -> None:
    hostile.header = {"kid": None}
    await log_in(hostile, flow_to(hostile, secrets))
    other = ECKey.generate_key("P-256").as_dict(private=False)
    hostile.keys = [*hostile.public_keys(), {**other, "kid": "other"}]
    assert await reason(hostile, secrets) == "refused"


@pytest.mark.parametrize("alg", ["RS256", "PS512"])
async def test_rsa_signatures_hold_too(hostile: Hostile, secrets: Secrets, alg: str) -> None:
    hostile.key, hostile.alg = rsa_key(2048), alg
    await log_in(hostile, flow_to(hostile, secrets))


@pytest.mark.parametrize(
    "level", ["https://www.spid.gov.it/SpidL1", None, 2, [LEVEL_2], "", LEVEL_2 + "\n"]
)
async def test_a_level_that_is_too_low_is_said(
    hostile: Hostile, secrets: Secrets, level: Any
) -> None:
    hostile.claims = {"acr": level}
    assert await reason(hostile, secrets) == "level"


@pytest.mark.parametrize(
    "claims",
    [
        {"fiscal_code": None},
        {"fiscal_code": ""},
        {"fiscal_code": "TINDE-12345678901"},
        {"fiscal_code": "TINIT-TINIT-" + CITIZEN},
        {"fiscal_code": CITIZEN + "\u0131"},
        {"fiscal_code": "00000000001"},
        {"fiscal_code": CITIZEN.replace("T", "\u0442")},
    ],
    ids=str,
)
async def test_somebody_without_an_italian_fiscal_code_is_told(
    hostile: Hostile, secrets: Secrets, claims: dict[str, Any]
) -> None:
    hostile.claims = claims
    assert await reason(hostile, secrets) == "no_fiscal_code"


@pytest.mark.parametrize(
    ("claims", "configured"),
    [
        ({"fiscal_code": f"TINIT-{CITIZEN}"}, ""),
        ({"fiscal_code": f"tinit-{CITIZEN.lower()}"}, ""),
        ({"fiscal_code": None, "fiscalNumber": f"TINIT-{CITIZEN}"}, ""),
        ({"fiscal_code": None, "https://attributes.eid.gov.it/fiscal_number": CITIZEN}, ""),
        ({"fiscal_code": "TSTOTH80A01Y009A", "cf": CITIZEN}, "cf"),
    ],
    ids=str,
)
async def test_the_fiscal_code_is_found_where_providers_put_it(
    hostile: Hostile, secrets: Secrets, claims: dict[str, Any], configured: str
) -> None:
    hostile.claims = claims
    finished = await log_in(hostile, flow_to(hostile, secrets, login_claim=configured))
    assert finished.identity.fiscal_code == CITIZEN


async def test_names_as_spid_spells_them(hostile: Hostile, secrets: Secrets) -> None:
    hostile.claims = {
        "given_name": None,
        "family_name": None,
        "name": " Anna ",
        "familyName": "D'Àrco",
        "dateOfBirth": "1980-13-01",
        "email": "not an address",
    }
    who = (await log_in(hostile, flow_to(hostile, secrets))).identity
    assert (who.name, who.family_name) == ("Anna", "D'Àrco")
    assert (who.date_of_birth, who.email) == (None, None)


async def test_claims_that_come_only_in_userinfo(hostile: Hostile, secrets: Secrets) -> None:
    hostile.claims = {"fiscal_code": None, "given_name": None, "family_name": None}
    hostile.userinfo = {
        "fiscal_code": f"TINIT-{CITIZEN}",
        "given_name": "Anna",
        "family_name": "Prova",
        "acr": "https://www.spid.gov.it/SpidL3",  # what is signed wins
    }
    who = (await log_in(hostile, flow_to(hostile, secrets))).identity
    assert (who.fiscal_code, who.name, who.level) == (CITIZEN, "Anna", LEVEL_2)
    assert hostile.authorization == "Bearer access"


@pytest.mark.parametrize("subject", ["another", None, 5])
async def test_userinfo_of_somebody_else_is_refused(
    hostile: Hostile, secrets: Secrets, subject: Any
) -> None:
    hostile.claims = {"fiscal_code": None}
    hostile.userinfo = {"fiscal_code": CITIZEN, "sub": subject}
    assert await reason(hostile, secrets) == "refused"


PATHS = ["/.well-known/openid-configuration", "/token", "/jwks", "/userinfo"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "answer",
    [
        Response("broken", 500),
        Response("gone", 404),
        RedirectResponse("/elsewhere", 302),
        RedirectResponse("/elsewhere", 307),
        Response(b"x" * 1_000_000),
        Response(b"{}", headers={"Content-Encoding": "gzip"}),
    ],
    ids=["500", "404", "302", "307", "huge", "compressed"],
)
async def test_a_provider_that_does_not_answer_properly_is_down(
    hostile: Hostile, secrets: Secrets, path: str, answer: Response
) -> None:
    hostile.claims = {"fiscal_code": None}  # so that userinfo is asked
    hostile.replaced[path] = lambda: answer
    assert await reason(hostile, secrets) == "provider_down"
    assert "/elsewhere" not in hostile.asked


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 20_000, b'{"keys":5}'])
async def test_answers_that_are_no_documents_fail_as_a_login(
    hostile: Hostile, secrets: Secrets, path: str, body: bytes
) -> None:
    hostile.claims = {"fiscal_code": None}
    hostile.replaced[path] = lambda: Response(body, media_type="application/json")
    assert await reason(hostile, secrets) in {"provider_down", "refused"}


@pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri", "userinfo_endpoint"])
async def test_a_provider_that_hangs_is_down(
    hostile: Hostile, secrets: Secrets, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messo.login.provider.ANSWER_WITHIN_S", 0.2)
    assert fetch.ANSWER_WITHIN_S == 5
    hostile.claims = {"fiscal_code": None}
    hostile.metadata = {name: f"{hostile.url}/hang"}
    began = time.monotonic()
    assert await reason(hostile, secrets) == "provider_down"
    assert time.monotonic() - began < 4


async def test_a_provider_inside_that_nobody_listed_is_not_asked(
    hostile: Hostile, secrets: Secrets
) -> None:
    """The same provider through a client that may ask public addresses only."""
    outbound = Outbound()
    settings = Settings(login_issuer=hostile.url)
    flow = LoginFlow(
        settings.public_url, secrets, Provider(citizen_registration(settings), outbound)
    )
    with pytest.raises(LoginError) as failed:
        await flow.begin("/", None)
    await outbound.close()
    assert failed.value.reason == "provider_down"
    assert not hostile.asked


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://elsewhere.example.org"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://a.example.org/\r\nSet-Cookie: a=b"},
        {"token_endpoint": None},
        {"jwks_uri": 5},
        {"userinfo_endpoint": "file:///etc/passwd"},
    ],
    ids=str,
)
async def test_metadata_that_do_not_hold_are_not_used(
    hostile: Hostile, secrets: Secrets, metadata: dict[str, Any]
) -> None:
    hostile.metadata = metadata
    assert await reason(hostile, secrets) == "provider_down"


async def test_a_provider_that_comes_back_is_asked_again(
    hostile: Hostile, secrets: Secrets
) -> None:
    flow = flow_to(hostile, secrets)
    hostile.replaced["/.well-known/openid-configuration"] = lambda: Response("broken", 500)
    for _ in range(2):
        with pytest.raises(LoginError) as failed:
            await flow.begin("/", None)
        assert failed.value.reason == "provider_down"
    assert await flow.logout_url() is None
    hostile.replaced.clear()
    await log_in(hostile, flow)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("invalid_grant", "refused"),
        ("invalid_client", "provider_down"),
        (["invalid_grant"], "provider_down"),
    ],
)
async def test_refusals_of_the_token_endpoint(
    hostile: Hostile, secrets: Secrets, error: Any, expected: str
) -> None:
    hostile.replaced["/token"] = lambda: JSONResponse({"error": error}, 400)
    assert await reason(hostile, secrets) == expected


async def test_the_issuer_of_the_answer_is_checked(hostile: Hostile, secrets: Secrets) -> None:
    flow = flow_to(hostile, secrets)
    await log_in(hostile, flow)  # not announced: it may be missing
    await log_in(hostile, flow, iss=hostile.url)
    with pytest.raises(LoginError) as failed:
        await log_in(hostile, flow, iss="https://elsewhere.example.org")
    assert failed.value.reason == "refused"
    hostile.metadata = {"authorization_response_iss_parameter_supported": True}
    flow = flow_to(hostile, secrets)
    with pytest.raises(LoginError):
        await log_in(hostile, flow)
    await log_in(hostile, flow, iss=hostile.url)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("access_denied", "cancelled"),
        ("server_error", "provider_down"),
        ("temporarily_unavailable", "provider_down"),
        ("unmet_authentication_requirements", "level"),
        ("invalid_request", "refused"),
        ("", "refused"),
    ],
)
async def test_errors_in_the_answer_become_reasons(
    hostile: Hostile, secrets: Secrets, error: str, expected: str
) -> None:
    with pytest.raises(LoginError) as failed:
        await log_in(hostile, flow_to(hostile, secrets), error=error)
    assert failed.value.reason == expected
    assert "/token" not in hostile.asked


async def test_logout_at_the_provider_carries_no_token(hostile: Hostile, secrets: Secrets) -> None:
    url = await flow_to(hostile, secrets).logout_url() or ""
    assert url.startswith(f"{hostile.url}/end?")
    assert sent(url) == {
        "client_id": "messo",
        "post_logout_redirect_uri": "http://127.0.0.1:8480/logged-out",
    }
    hostile.metadata = {"end_session_endpoint": None}
    assert await flow_to(hostile, secrets).logout_url() is None
