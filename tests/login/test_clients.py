"""Client applications: where they may be sent back to, and what their codes are worth."""

import base64
import hashlib
from typing import Any

import pytest

from messo.base.crypto import key_digest
from messo.base.db import Pool
from messo.login.clients import is_registered
from messo.recipients import read_profile
from messo.sandbox.fiscal_codes import make
from tests.conftest import Running
from tests.login.browser import APP, CHALLENGE, LOOPBACK, VERIFIER, Visitor
from tests.login.provider import sent
from tests.world import AUTO


async def test_a_client_application_gets_a_session(
    visitor: Visitor, running: Running, pool: Pool
) -> None:
    new = make("TSTNWC80A01Y011")
    begun = await visitor.begin_client()
    assert begun.status_code == 302
    assert begun.headers["cache-control"] == "no-store"
    back = await visitor.client.get(await visitor.choose(begun, fiscal_code=new))
    address = back.headers["location"]
    assert address.startswith(f"{APP}&code=")
    answer = sent(address)
    assert answer["state"] == "of the app"
    assert answer["iss"] == running.url
    assert new not in address
    exchanged = await visitor.exchange(answer["code"])
    assert exchanged.status_code == 200
    assert exchanged.headers["cache-control"] == "no-store"
    token = exchanged.json()
    assert set(token) == {"token", "token_type", "expires_at"}
    assert token["token_type"] == "Bearer"
    headers = {"Authorization": f"Bearer {token['token']}"}
    session = await visitor.client.get("/api/auth/v1/session", headers=headers)
    assert session.json() == {
        "spidLevel": "https://www.spid.gov.it/SpidL2",
        "expirationDate": session.json()["expirationDate"],
        "fimsToken": session.json()["fimsToken"],
    }
    assert session.json()["expirationDate"][:19] == token["expires_at"][:19]
    async with pool.connection() as conn:
        assert await read_profile(conn, new) is not None


async def test_nothing_readable_waits_in_the_database(visitor: Visitor, pool: Pool) -> None:
    code = await visitor.code(AUTO)
    async with pool.connection() as conn:
        row = await conn.raw.fetchrow(
            "SELECT identity, challenge FROM login.code WHERE digest = $1", key_digest(code)
        )
    assert row["challenge"] == CHALLENGE
    assert AUTO not in row["identity"]


async def test_a_code_works_once(visitor: Visitor) -> None:
    code = await visitor.code(AUTO)
    assert (await visitor.exchange(code)).status_code == 200
    assert (await visitor.exchange(code)).status_code == 400


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "w" * 43},
        {"redirect_uri": LOOPBACK},
        {"redirect_uri": APP + "/"},
    ],
    ids=str,
)
async def test_a_code_is_lost_to_whoever_tries_with_something_wrong(
    visitor: Visitor, changed: dict[str, str]
) -> None:
    code = await visitor.code(AUTO)
    assert (await visitor.exchange(code, **changed)).status_code == 400
    assert (await visitor.exchange(code)).status_code == 400


async def test_a_code_is_worth_nothing_after_a_minute(visitor: Visitor, pool: Pool) -> None:
    code = await visitor.code(AUTO)
    async with pool.connection() as conn:
        left = await conn.raw.fetchval(
            "SELECT extract(epoch FROM expires_at - now()) FROM login.code WHERE digest = $1",
            key_digest(code),
        )
        assert 50 < left <= 60
        await conn.raw.execute(
            "UPDATE login.code SET expires_at = expires_at - interval '61 seconds' "
            "WHERE digest = $1",
            key_digest(code),
        )
    assert (await visitor.exchange(code)).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"code":5,"code_verifier":"v","redirect_uri":"a"}',
        b'{"code":"\\ud800","code_verifier":"' + b"v" * 43 + b'","redirect_uri":"a"}',
        b'{"code":"a","code_verifier":"' + b"v" * 43 + b'","redirect_uri":"\\ud800"}',
        b'{"code":"a\\u0000","code_verifier":"' + b"v" * 43 + b'","redirect_uri":"a"}',
        b'{"code":"a","code_verifier":"short","redirect_uri":"a"}',
        b'{"code":"a","code_verifier":"' + b"v" * 43 + b'\\n","redirect_uri":"a"}',
        b'{"code":"a","code_verifier":"' + b"v" * 43 + b'","redirect_uri":"a"}',
    ],
)
async def test_every_failed_exchange_is_a_problem(visitor: Visitor, body: bytes) -> None:
    answer = await visitor.client.post(
        "/api/auth/v1/token", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "Bad request"


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": None},
        {"redirect_uri": ""},
        {"redirect_uri": "https://evil.example.org/"},
        {"redirect_uri": APP + "/more"},
        {"redirect_uri": APP.upper()},
        {"redirect_uri": "http://127.0.0.1:1234/other"},
        {"redirect_uri": "http://127.0.0.1:1@evil.example.org/back"},
        {"redirect_uri": "http://127.0.0.1:99999/back"},
        {"redirect_uri": "http://localhost/back"},
        {"redirect_uri": "http://127.0.0.1/back\n"},
        {"state": "é"},
        {"state": "a\r\nSet-Cookie: b=c"},
        {"state": "s" * 501},
    ],
    ids=str,
)
async def test_nobody_is_sent_to_an_address_that_is_not_trusted(
    visitor: Visitor, changed: dict[str, str | None]
) -> None:
    answer = await visitor.begin_client(**changed)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "location" not in answer.headers
    assert "set-cookie" not in answer.headers


async def test_a_parameter_twice_is_refused(visitor: Visitor) -> None:
    answer = await visitor.client.get(f"/api/auth/v1/login?redirect_uri={LOOPBACK}&state=a&state=b")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "changed",
    [
        {"code_challenge": None},
        {"code_challenge": "short"},
        {"code_challenge": "x" * 129},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
    ],
    ids=str,
)
async def test_without_pkce_the_application_is_told(
    visitor: Visitor, changed: dict[str, str | None]
) -> None:
    answer = await visitor.begin_client(**changed)
    assert answer.status_code == 302
    location = answer.headers["location"]
    assert location.startswith(APP)
    assert sent(location)["error"] == "invalid_request"
    assert sent(location)["state"] == "of the app"


async def test_the_application_learns_that_there_is_no_login(visitor: Visitor) -> None:
    begun = await visitor.begin_client(state=None)
    back = await visitor.client.get(await visitor.choose(begun, cancel="1"))
    assert back.headers["location"].startswith(f"{APP}&error=access_denied")
    assert "state" not in sent(back.headers["location"])


async def test_on_loopback_any_port_will_do(visitor: Visitor) -> None:
    here = "http://127.0.0.1:51234/back"
    code = await visitor.code(AUTO, here)
    assert (await visitor.exchange(code, redirect_uri=here)).status_code == 200


@pytest.mark.parametrize(
    ("given", "registered", "expected"),
    [
        ("http://[::1]:80/a", "http://[::1]/a", True),
        ("http://[::1]/a", "http://127.0.0.1/a", False),
        ("http://127.0.0.1:5/a", "http://127.0.0.1:9/a", True),
        ("https://127.0.0.1:5/a", "https://127.0.0.1/a", False),
        ("http://127.0.0.1:0/a", "http://127.0.0.1/a", False),
        ("http://127.0.0.1.evil.org/a", "http://127.0.0.1/a", False),
        ("http://127.0.0.1:5", "http://127.0.0.1", True),
        ("it.app:/a", "it.app:/a", True),
        ("it.app:/b", "it.app:/a", False),
    ],
)
def test_which_addresses_are_registered(given: str, registered: str, expected: bool) -> None:
    assert is_registered(given, [registered]) is expected


async def test_a_code_of_the_provider_is_no_code_of_ours(visitor: Visitor) -> None:
    begun = await visitor.begin_client()
    callback = await visitor.choose(begun, fiscal_code=AUTO)
    assert (await visitor.exchange(sent(callback)["code"])).status_code == 400


async def form(visitor: Visitor, **changed: Any) -> int:
    """The status of an exchange at the sandbox's provider itself."""
    begun = await visitor.begin_client()
    callback = await visitor.choose(begun, fiscal_code=AUTO)
    asked = {
        "grant_type": "authorization_code",
        "client_id": "messo",
        "code": sent(callback)["code"],
        "code_verifier": "nobody but us knows it",
        "redirect_uri": callback.split("?")[0],
        **changed,
    }
    answer = await visitor.client.post("/sandbox/identity/token", data=asked)
    return answer.status_code


async def test_the_sandbox_insists_on_pkce_too(visitor: Visitor) -> None:
    assert await form(visitor) == 400
    assert await form(visitor, client_id="another") == 401
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest())
    assert challenge.rstrip(b"=").decode() == CHALLENGE
