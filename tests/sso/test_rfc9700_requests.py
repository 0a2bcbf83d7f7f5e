"""Attacks of RFC 9700 on the authorization request: where a browser is sent, and with what.

Left out, for there is nothing to attack: 2.2.2 and 4.14 refresh tokens (none are issued), 2.3 sender
constrained tokens beyond their minute, 4.1.2 the implicit grant (it does not exist, see 2.1.2),
4.10.1 metadata of resource servers.
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from tests.inbox.pages import Browser, Page
from tests.sso.conftest import Register
from tests.sso.party import (
    AFTER,
    CALLBACK,
    Party,
    Pending,
    arrive,
    challenge_of,
    consent,
    query_of,
)
from tests.world import World

pytestmark = pytest.mark.anyio

# Near to https://sportello.example.org/callback, as a reader or a browser could see it.
NEAR = [
    "https://evil.example.org/callback",
    "https://x.sportello.example.org/callback",
    "https://example.org/callback",
    "https://sportello.example.org.evil.example.org/callback",
    "https://sportello.example.org./callback",
    "https://sportello.example.org:443/callback",
    "https://sportello.example.org:8443/callback",
    "http://sportello.example.org/callback",
    "HTTPS://sportello.example.org/callback",
    "https://SPORTELLO.example.org/callback",
    "https://sportello.example.org/Callback",
    "https://sportello.example.org/callback/",
    "https://sportello.example.org//callback",
    "https://sportello.example.org/callback/../evil",
    "https://sportello.example.org/x/../callback",
    "https://sportello.example.org/callback/..;/evil",
    "https://sportello.example.org/",
    "https://sportello.example.org",
    "https://sportello.example.org/callback?x=1",
    "https://sportello.example.org/callback?",
    "https://sportello.example.org/callback#x",
    "https://sportello.example.org/callback#",
    "https://sportello.example.org@evil.example.org/callback",
    "https://evil.example.org@sportello.example.org/callback",
    "https://evil.example.org\\@sportello.example.org/callback",
    "https://evil.example.org#@sportello.example.org/callback",
    "https://sportello.example.org/%63allback",
    "https://sportello.example.org/callback%2f",
    "https://sportello.example.org/callback%00",
    "https://sportello.example.org/callback\x00",
    "https://sportello.example.org/callback\r\nSet-Cookie: a=b",
    "https://sportello.example.org/callback ",
    " https://sportello.example.org/callback",
    "https://sportello.example.org\t/callback",
    "https://sportell\u043e.example.org/callback",
    "https://sportello.example.org/callb\u0430ck",
    "https://sportello\u3002example\u3002org/callback",
    "https://sportello.example.org/callback\u200b",
    "//sportello.example.org/callback",
    "/callback",
    "javascript:alert(1)//https://sportello.example.org/callback",
    "data:text/html,https://sportello.example.org/callback",
    f"{CALLBACK},https://evil.example.org",
    f"{CALLBACK} https://evil.example.org",
    AFTER,  # registered, but for another purpose
    "",
    "x" * 10_000,
]


def stays_here(answer: httpx.Response) -> None:
    """A page that leads nowhere: no redirect, no link and no script to what was asked for."""
    assert answer.status_code == 400, answer.status_code
    assert "location" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert "refresh" not in answer.headers
    page = Page(answer.text)
    for address in (*page.links, *(form.action for form in page.forms)):
        assert address.startswith(("/", "#")), address
        assert not address.startswith(("//", "/\\")), address
    assert "http-equiv" not in answer.text


def sent_back(answer: httpx.Response, site: Party, pending: Pending | None) -> dict[str, str]:
    """The parameters of an answer to the site, each there once, that a site would accept."""
    assert answer.status_code == 303, (answer.status_code, answer.text[:300])
    address = answer.headers["location"]
    assert address.startswith(f"{site.redirect_uri}?"), address
    pairs = parse_qsl(urlsplit(address).query, keep_blank_values=True)
    found = dict(pairs)
    assert len(pairs) == len(found)
    assert found["iss"] == site.issuer
    if pending is not None:
        assert found["state"] == pending.state
    return found


async def refusal(browser: Browser, site: Party, **more: Any) -> str:
    """The error that this request ends with at the site, before anything else is seen."""
    pending = site.ask(**more)
    found = sent_back(await browser.get(pending.address), site, pending)
    assert "code" not in found
    return found["error"]


@pytest.mark.parametrize("uri", NEAR)
async def test_2_1_only_the_exact_redirect_uri_is_one(
    giulia: Browser, party: Register, uri: str
) -> None:
    site = await party()
    stays_here(await giulia.get(site.ask(redirect_uri=uri).address))


async def test_2_1_a_missing_redirect_uri_is_not_guessed(giulia: Browser, party: Register) -> None:
    site = await party()
    stays_here(await giulia.get(site.ask(redirect_uri=None).address))


async def test_2_1_the_port_of_a_loopback_address_counts(
    giulia: Browser, party: Register, world: World
) -> None:
    """RFC 8252 lets native applications choose it: institutions' sites are none."""
    uri = "http://127.0.0.1:4711/callback"
    site = await party(environment="test", redirects=[uri])
    assert (await giulia.get(site.ask().address)).status_code == 303
    for near in (uri.replace("4711", "4712"), uri.replace(":4711", ""), uri.replace("127", "0127")):
        stays_here(await giulia.get(site.ask(redirect_uri=near).address))


async def test_2_1_each_of_several_redirect_uris_is_its_own(
    giulia: Browser, party: Register
) -> None:
    """A code that was asked for with one is not exchanged with another of the same client."""
    other = "https://sportello.example.org/altro"
    site = await party(redirects=[CALLBACK, other])
    pending = site.ask()
    code = site.answered(await consent(giulia, pending), pending.state)["code"]
    tokens = await site.exchange(code, pending.verifier, redirect_uri=other)
    assert (tokens.status_code, tokens.json()["error"]) == (400, "invalid_grant")


async def test_2_1_another_clients_redirect_uri_is_none(
    giulia: Browser, party: Register, world: World
) -> None:
    site = await party()
    other = await party(world.bruno.id, redirects=["https://biblioteca.example.org/cb"])
    stays_here(await giulia.get(site.ask(redirect_uri=other.redirect_uri).address))


@pytest.mark.parametrize("protection", ["pkce_and_nonce", "pkce_or_nonce", "none"])
async def test_2_1_1_plain_is_no_challenge(
    giulia: Browser, party: Register, protection: str
) -> None:
    """Whatever the client is registered for: S256 only, and plain is the default of RFC 7636."""
    site = await party(request_protection=protection)
    for method in ("plain", "s256", "S512", "", None):
        assert await refusal(giulia, site, code_challenge_method=method) == "invalid_request"


@pytest.mark.parametrize(
    "challenge", ["", "a", "a" * 42, "a" * 44, "a" * 42 + "=", "a" * 42 + "+", "à" * 43, "a" * 9000]
)
async def test_2_1_1_only_a_sha256_is_a_challenge(
    giulia: Browser, party: Register, challenge: str
) -> None:
    site = await party(request_protection="none")
    assert await refusal(giulia, site, code_challenge=challenge) == "invalid_request"


async def test_2_1_1_both_protections_are_demanded_by_default(
    giulia: Browser, party: Register
) -> None:
    site = await party()
    bare: dict[str, Any] = {"code_challenge": None, "code_challenge_method": None}
    assert await refusal(giulia, site, **bare) == "invalid_request"
    assert await refusal(giulia, site, nonce=None) == "invalid_request"
    assert await refusal(giulia, site, **bare, nonce=None) == "invalid_request"
    assert await refusal(giulia, site, code_challenge=None) == "invalid_request"


async def test_2_1_1_one_of_both_is_enough_where_the_client_says_so(
    giulia: Browser, party: Register
) -> None:
    site = await party(request_protection="pkce_or_nonce")
    bare: dict[str, Any] = {"code_challenge": None, "code_challenge_method": None}
    assert (await arrive(giulia, site.ask(**bare))).status_code == 200
    assert (await arrive(giulia, site.ask(nonce=None))).status_code == 200
    assert await refusal(giulia, site, **bare, nonce=None) == "invalid_request"


@pytest.mark.parametrize(
    "kind",
    ["token", "id_token", "id_token token", "code id_token", "code token", "none", "code code", ""],
)
async def test_2_1_2_nothing_is_given_out_in_the_browser(
    giulia: Browser, party: Register, kind: str
) -> None:
    site = await party()
    expected = {"invalid_request", "unsupported_response_type"}
    assert await refusal(giulia, site, response_type=kind) in expected
    assert await refusal(giulia, site, response_type=None) == "invalid_request"


@pytest.mark.parametrize("mode", ["fragment", "form_post", "web_message", "jwt"])
async def test_2_1_2_no_other_way_carries_the_answer(
    giulia: Browser, party: Register, mode: str
) -> None:
    """4.17 (postMessage) has no object either: nothing is answered by a script."""
    site = await party()
    assert await refusal(giulia, site, response_mode=mode) == "invalid_request"


@pytest.mark.parametrize(
    "grant",
    [
        "password",
        "client_credentials",
        "refresh_token",
        "implicit",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:device_code",
        "Authorization_Code",
        "",
        None,
    ],
)
async def test_2_4_a_code_is_the_only_grant(
    giulia: Browser, party: Register, grant: str | None
) -> None:
    site = await party()
    pending = site.ask()
    code = site.answered(await consent(giulia, pending), pending.state)["code"]
    more = {"username": giulia.fiscal_code, "password": "x", "scope": "openid profile"}
    answer = await site.exchange(code, pending.verifier, grant_type=grant, **more)
    assert answer.status_code == 400
    assert answer.json()["error"] in {"unsupported_grant_type", "invalid_request"}
    assert "access_token" not in answer.text


async def test_2_6_the_metadata_name_only_what_there_is(
    giulia: Browser, party: Register, client: httpx.AsyncClient
) -> None:
    site = await party()
    about = await site.discover()
    assert about["issuer"] == site.issuer
    for name in ("token_endpoint", "userinfo_endpoint"):
        assert (await client.post(about[name])).status_code in {400, 401}, name
    for name in ("jwks_uri", "service_documentation", "end_session_endpoint"):
        assert (await client.get(about[name])).status_code in {200, 303}, name
    assert (await client.get(about["authorization_endpoint"])).status_code == 400
    for name in (
        "registration_endpoint",
        "pushed_authorization_request_endpoint",
        "device_authorization_endpoint",
        "introspection_endpoint",
        "revocation_endpoint",
        "check_session_iframe",
    ):
        assert name not in about
    assert about["code_challenge_methods_supported"] == ["S256"]
    assert about["response_types_supported"] == ["code"]
    assert about["grant_types_supported"] == ["authorization_code"]
    assert about["authorization_response_iss_parameter_supported"] is True
    for flag in ("claims", "request", "request_uri"):
        assert about[f"{flag}_parameter_supported"] is False


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("request", "eyJhbGciOiJub25lIn0.e30.", "request_not_supported"),
        ("request_uri", "https://evil.example.org/r", "request_uri_not_supported"),
        ("request_uri", "urn:ietf:params:oauth:request_uri:x", "request_uri_not_supported"),
        ("registration", "{}", "registration_not_supported"),
    ],
)
async def test_2_6_what_the_metadata_deny_is_refused(
    giulia: Browser, party: Register, name: str, value: str, error: str
) -> None:
    """A request object could say something else than the parameters that were looked at."""
    site = await party()
    assert await refusal(giulia, site, **{name: value}) == error


async def test_2_6_each_acr_and_prompt_of_the_metadata_is_understood(
    giulia: Browser, party: Register
) -> None:
    site = await party()
    about = await site.discover()
    assert await refusal(giulia, site, prompt="create") == "invalid_request"
    for prompt in about["prompt_values_supported"]:
        answer = await giulia.get(site.ask(prompt=prompt).address)
        assert answer.headers["location"].startswith("/sso/consent/"), prompt


async def test_2_6_no_page_of_another_site_reads_the_authorization_endpoint(
    giulia: Browser, party: Register
) -> None:
    """Scripts call tokens and keys from anywhere; what a citizen sees, from nowhere."""
    site = await party()
    pending = site.ask()
    shown = await arrive(giulia, pending)
    for answer in (await giulia.get(pending.address, Origin="https://evil.example.org"), shown):
        assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers


async def test_4_1_of_two_redirect_uris_neither_is_followed(
    giulia: Browser, party: Register
) -> None:
    site = await party()
    for name, value in (("redirect_uri", "https://evil.example.org/"), ("client_id", "x")):
        extra = urlencode({name: value})
        address = site.ask().address
        path, _, query = address.partition("?")
        stays_here(await giulia.get(f"{address}&{extra}"))
        stays_here(await giulia.get(f"{path}?{extra}&{query}"))


@pytest.mark.parametrize("name", ["state", "nonce", "code_challenge", "scope", "response_type"])
async def test_4_1_a_parameter_that_comes_twice_is_refused(
    giulia: Browser, party: Register, name: str
) -> None:
    site = await party()
    pending = site.ask()
    answer = await giulia.get(f"{pending.address}&{name}=other")
    assert sent_back(answer, site, None)["error"] == "invalid_request"


@pytest.mark.parametrize("way", ["GET", "POST"])
async def test_4_1_a_parameter_in_an_array_is_another_parameter(
    giulia: Browser, party: Register, way: str
) -> None:
    site = await party()
    values = dict(parse_qsl(urlsplit(site.ask().address).query))
    values["redirect_uri[]"] = values.pop("redirect_uri")
    if way == "GET":
        stays_here(await giulia.get(f"/sso/authorize?{urlencode(values)}"))
    else:
        stays_here(await giulia.post("/sso/authorize", values))


async def test_4_1_a_registered_query_is_kept_and_added_to(
    giulia: Browser, party: Register
) -> None:
    uri = "https://sportello.example.org/callback?area=1&vai=%2Fa"
    site = await party(redirects=[uri])
    pending = site.ask()
    address = await consent(giulia, pending)
    assert address.startswith(f"{uri}&code=")
    assert query_of(address)["state"] == [pending.state]


@pytest.mark.parametrize("name", ["code", "state", "iss", "error"])
async def test_4_1_no_registered_address_says_what_only_we_may_say(
    party: Register, name: str
) -> None:
    """A second `code` or `iss` in the address: some libraries read the first, others the last."""
    from messo.base.http import Problem

    with pytest.raises(Problem) as refused:
        await party(redirects=[f"{CALLBACK}?{name}=planted"])
    assert refused.value.field == "redirect_uris[0].uri"


@pytest.mark.parametrize(
    "more",
    [
        {"scope": "profile"},
        {"response_type": "token"},
        {"prompt": "none"},
        {"nonce": None},
        {"request": "x"},
        {"max_age": "x"},
    ],
    ids=str,
)
async def test_4_4_every_error_names_the_issuer(
    giulia: Browser, party: Register, more: dict[str, Any]
) -> None:
    """RFC 9207, section 2. A site that talks to several providers knows whose answer this is."""
    site = await party()
    scope = more.pop("scope", "openid")
    pending = site.ask(scope, **more)
    answer = await arrive(giulia, pending)
    found = sent_back(answer, site, pending)
    assert found["iss"] == (await site.discover())["issuer"]
    assert "error" in found


async def test_4_4_success_and_refusal_name_the_issuer(giulia: Browser, party: Register) -> None:
    site = await party()
    for action, name in (("agree", "code"), ("refuse", "error")):
        pending = site.ask()
        found = site.answered(await consent(giulia, pending, action=action), pending.state)
        assert set(found) - {"error_description"} == {name, "state", "iss"}


def test_4_8_the_challenge_of_the_specification_is_ours() -> None:
    """RFC 7636, appendix B: these tests compute what everybody computes."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
