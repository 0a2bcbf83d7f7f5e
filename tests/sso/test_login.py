"""A login from the request to the citizen's data, with every kind of client there is."""

from typing import Any

import pytest

from tests.inbox.pages import Browser, check
from tests.sso.conftest import Register
from tests.sso.party import arrive, consent

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "registered",
    [
        {},
        {"id_token_signed_response_alg": "ES256"},
        {"token_endpoint_auth_method": "client_secret_post"},
        {"token_endpoint_auth_method": "private_key_jwt"},
    ],
    ids=["basic", "ES256", "post", "private_key_jwt"],
)
async def test_a_citizen_is_signed_on(
    giulia: Browser, party: Register, registered: dict[str, Any]
) -> None:
    site = await party(**registered)
    pending = site.ask()
    answer = site.answered(await consent(giulia, pending), pending.state)
    tokens = await site.exchange(answer["code"], pending.verifier)
    assert tokens.status_code == 200, tokens.text
    assert tokens.headers["cache-control"] == "no-store"
    body = tokens.json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 300
    assert body["scope"] == "openid profile"
    claims = await site.claims(body["id_token"], pending.nonce)
    assert giulia.fiscal_code not in str(claims)
    assert claims["acr"] == "https://www.spid.gov.it/SpidL2"
    who = await site.userinfo(body["access_token"])
    assert who.json() == {
        "sub": claims["sub"],
        "fiscal_code": giulia.fiscal_code,
        "given_name": "Ada",
        "family_name": "Prova",
    }


async def test_the_question_names_who_asks_and_each_datum(giulia: Browser, party: Register) -> None:
    site = await party()
    page = check((await arrive(giulia, site.ask())).text, "it")
    for word in ("Comune di Anna", "Anagrafe", "sportello.example.org", giulia.fiscal_code):
        assert word in page.text
