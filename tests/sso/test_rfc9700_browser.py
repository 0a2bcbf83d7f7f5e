"""Attacks of RFC 9700 in the browser: addresses that leak, forged forms, redirects, frames.

What a real Chromium does with these pages is in tests/pages/test_sso_clickjacking.py.
"""

from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import httpx
import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.login import Web, web_limits
from messo.settings import Settings
from tests.conftest import Running
from tests.inbox.conftest import LogIn
from tests.inbox.pages import Browser, Page, citizen
from tests.sso.conftest import Register
from tests.sso.party import AFTER, arrive, consent, keep_cookies, query_of
from tests.sso.test_rfc9700_requests import sent_back, stays_here

pytestmark = pytest.mark.anyio


async def test_4_2_no_page_and_no_redirect_hands_on_an_address(
    giulia: Browser, party: Register
) -> None:
    site = await party()
    pending = site.ask()
    first = await giulia.get(pending.address)
    shown = await arrive(giulia, pending)
    wrong = await giulia.get(site.ask(prompt="none").address)
    keep_cookies(giulia, wrong)
    refused = await giulia.get(wrong.headers["location"])
    assert shown.headers["referrer-policy"] in {"same-origin", "no-referrer"}
    for redirect in (first, wrong, refused):
        assert redirect.status_code == 303
        assert redirect.headers["referrer-policy"] == "no-referrer"
        assert redirect.headers["cache-control"] == "no-store"
    assert shown.headers["cache-control"] == "no-store"


async def test_4_2_the_page_that_asks_loads_nothing_from_elsewhere(
    giulia: Browser, party: Register
) -> None:
    site = await party()
    shown = await arrive(giulia, site.ask())
    policy = dict(
        part.strip().split(" ", 1)
        for part in shown.headers["content-security-policy"].split(";")
        if " " in part.strip()
    )
    assert policy["default-src"] == "'none'"
    for name in ("script-src", "style-src", "connect-src", "font-src"):
        assert policy[name] == "'self'"
    assert policy["img-src"] == "'self' data:"
    assert policy["base-uri"] == "'none'"


async def test_4_3_no_token_or_person_stands_in_an_address(
    giulia: Browser, party: Register
) -> None:
    """4.3.2: what ends in the browser's history is a code that is spent when it gets there."""
    site = await party(subject_type="fiscal_code")
    pending = site.ask("openid profile email")
    address = await consent(giulia, pending)
    assert set(query_of(address)) == {"code", "state", "iss"}
    assert "#" not in address
    assert giulia.fiscal_code not in address
    code = query_of(address)["code"][0]
    assert (await site.exchange(code, pending.verifier)).status_code == 200
    assert (await site.exchange(code, pending.verifier)).status_code == 400


async def test_4_3_a_token_in_an_address_is_none(giulia: Browser, party: Register) -> None:
    """RFC 6750, section 2.3, and its form (2.2): headers only."""
    site = await party()
    pending = site.ask()
    code = site.answered(await consent(giulia, pending), pending.state)["code"]
    token = (await site.exchange(code, pending.verifier)).json()["access_token"]
    assert (await site.userinfo(token)).status_code == 200
    query = await site.client.get("/sso/userinfo", params={"access_token": token})
    form = await site.client.post("/sso/userinfo", data={"access_token": token})
    assert (query.status_code, form.status_code) == (401, 401)


@pytest.mark.parametrize("client_id", ["", "unknown", "x" * 5000, "\x00", "'; DROP TABLE x;--"])
async def test_4_11_nobody_is_redirected_for_an_unknown_client(
    giulia: Browser, party: Register, client_id: str
) -> None:
    site = await party()
    stays_here(await giulia.get(site.ask(client_id=client_id).address))


async def test_4_11_the_first_hop_of_a_good_request_stays_here(
    giulia: Browser, party: Register
) -> None:
    """A link to us cannot be made into a link to a site, but by an error the site has caused."""
    site = await party()
    answer = await giulia.get(site.ask().address)
    assert answer.headers["location"].startswith("/sso/consent/")


@pytest.mark.parametrize("path", ["/sso/authorize/", "/sso/consent/x/", "/sso/end-session/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_4_12_no_address_is_redirected_with_its_form(
    client: httpx.AsyncClient, path: str, method: str
) -> None:
    """307 and 308 send a body on: a login or a consent would arrive where it must not."""
    headers = {"Host": "evil.example.org", "Content-Type": "application/x-www-form-urlencoded"}
    answer = await client.request(method, path, headers=headers, content=b"a=b")
    assert answer.status_code not in {301, 302, 307, 308}, answer.headers.get("location")
    assert "evil.example.org" not in str(answer.headers)


async def test_4_12_after_a_form_the_browser_asks_by_get(giulia: Browser, party: Register) -> None:
    site = await party()
    for action in ("agree", "refuse"):
        await consent(giulia, site.ask(), action=action)  # asserts 303 on the way
    values = dict(parse_qsl(urlsplit(site.ask().address).query))
    assert (await giulia.post("/sso/authorize", values)).status_code == 303
    values["scope"] = "profile"
    assert (await giulia.post("/sso/authorize", values)).status_code == 303


FORWARDED = {
    "X-Forwarded-Host": "evil.example.org",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Port": "4443",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "host=evil.example.org;proto=https",
    "X-Original-URL": "/evil",
    "X-Host": "evil.example.org",
}


async def test_4_13_no_header_changes_who_we_are(
    giulia: Browser, party: Register, running: Running
) -> None:
    """The reference platform writes hrefs from X-Forwarded-Host; here the setting counts."""
    site = await party()
    path = "/.well-known/openid-configuration"
    plain = await running.client.get(path)
    forwarded = await running.client.get(path, headers=FORWARDED)
    host = await running.client.get(path, headers={"Host": "evil.example.org"})
    assert plain.json() == forwarded.json() == host.json()
    pending = site.ask()
    answer = await giulia.get(pending.address, **FORWARDED)
    keep_cookies(giulia, answer)
    shown = await giulia.get(answer.headers["location"], **FORWARDED)
    assert shown.status_code == 200
    assert "evil" not in answer.headers["location"] + shown.text + str(shown.headers)
    wrong = await giulia.get(site.ask("profile").address, **FORWARDED)
    assert sent_back(wrong, site, None)["iss"] == running.url


async def test_4_13_the_address_of_the_way_back_is_ours(
    client: httpx.AsyncClient, party: Register
) -> None:
    """Somebody who is not logged in: no header sends the login elsewhere."""
    site = await party()
    stranger = Browser(client, {}, "", "")
    answer = await stranger.get(site.ask().address, **FORWARDED)
    keep_cookies(stranger, answer)
    login = await stranger.get(answer.headers["location"], **FORWARDED)
    assert "evil" not in login.text + str(login.headers)
    assert quote("evil.example.org", safe="") not in str(login.headers)


def question(shown: httpx.Response) -> tuple[str, str]:
    """Where the form of this page goes, and its token."""
    form = next(one for one in Page(shown.text).forms if one.action.startswith("/sso/consent/"))
    return form.action, form.fields["csrf"]


async def given_out(pool: Pool, *browsers: Browser) -> int:
    """How many codes these citizens have agreed to."""
    async with pool.connection() as conn:
        count: int = await conn.raw.fetchval(
            "SELECT count(*) FROM sso.access WHERE fiscal_code = ANY($1) "
            "AND outcome IN ('granted', 'redeemed')",
            [one.fiscal_code for one in browsers],
        )
    return count


@pytest.mark.parametrize("csrf", [None, "", "0" * 64, "é" * 64, "x" * 60_000])
async def test_4_7_no_other_site_agrees_for_a_citizen(
    giulia: Browser, party: Register, pool: Pool, csrf: str | None
) -> None:
    site = await party()
    action, _ = question(await arrive(giulia, site.ask()))
    form = {"action": "agree", "claim": "email", "remember": "1"}
    answer = await giulia.post(action, form if csrf is None else {**form, "csrf": csrf})
    assert (answer.status_code, "location" in answer.headers) == (403, False)
    assert await given_out(pool, giulia) == 0
    refused = await giulia.post(action, {"action": "refuse", "csrf": csrf or ""})
    assert refused.status_code == 403


async def test_4_7_the_token_of_another_citizens_form_is_none(
    giulia: Browser, party: Register, pool: Pool, browse: LogIn
) -> None:
    site = await party()
    mallory = await browse(await citizen(pool, "MAL", 1))
    _, csrf = question(await arrive(mallory, site.ask()))
    action, _ = question(await arrive(giulia, site.ask()))
    answer = await giulia.post(action, {"csrf": csrf, "action": "agree"})
    assert (answer.status_code, "location" in answer.headers) == (403, False)
    assert await given_out(pool, giulia, mallory) == 0


async def test_4_7_a_form_is_no_link(giulia: Browser, party: Register, pool: Pool) -> None:
    """What changes something is not done by an address, whatever it says."""
    site = await party()
    action, csrf = question(await arrive(giulia, site.ask()))
    answer = await giulia.get(f"{action}?{urlencode({'csrf': csrf, 'action': 'agree'})}")
    assert answer.status_code == 200
    assert await given_out(pool, giulia) == 0


async def test_4_7_a_question_belongs_to_the_browser_that_asked(
    giulia: Browser, party: Register, pool: Pool, browse: LogIn
) -> None:
    """Whoever is led to another's question has none: neither page nor form."""
    site = await party()
    mallory = await browse(await citizen(pool, "MAL", 2))
    action, _ = question(await arrive(mallory, site.ask()))
    _, csrf = question(await arrive(giulia, site.ask()))
    for answer in (
        await giulia.get(action),
        await giulia.post(action, {"csrf": csrf, "action": "agree"}),
    ):
        assert (answer.status_code, "location" in answer.headers) == (400, False)
        assert "Anagrafe" not in answer.text
    assert await given_out(pool, giulia, mallory) == 0


async def test_4_7_an_answer_is_of_the_citizen_who_was_asked(
    giulia: Browser, party: Register, pool: Pool, browse: LogIn
) -> None:
    """Somebody else has logged in meanwhile in the same browser: they have not been asked."""
    site = await party()
    action, csrf = question(await arrive(giulia, site.ask()))
    other = await browse(await citizen(pool, "MAL", 3))
    there = Browser(giulia.client, {**giulia.cookies, **other.cookies}, other.fiscal_code, "")
    stale = await there.post(action, {"csrf": csrf, "action": "agree"})
    assert (stale.status_code, "location" in stale.headers) == (403, False)
    own = question(await arrive(other, site.ask()))[1]
    unseen = await there.post(action, {"csrf": own, "action": "agree"})
    assert (unseen.status_code, "location" in unseen.headers) == (400, False)
    assert await given_out(pool, giulia, other) == 0


@pytest.mark.parametrize("tampered", ["", "x", "1.AAAA", "swapped", "shifted", "login", "session"])
async def test_4_7_a_question_of_ones_own_making_is_none(
    giulia: Browser, party: Register, secrets: Secrets, tampered: str
) -> None:
    """The cookie is sealed: no client, address or scope is put into it by anybody else."""
    site = await party()
    action, _ = question(await arrive(giulia, site.ask()))
    name = next(one for one in giulia.cookies if "-sso-" in one)
    first = giulia.cookies[name]
    await arrive(giulia, site.ask())
    second = next(v for n, v in giulia.cookies.items() if "-sso-" in n and n != name)
    values = {
        "swapped": second,  # another question's, under this one's name
        "shifted": first[:-6] + ("A" * 5 if first[-6:-1] != "A" * 5 else "B" * 5) + first[-1],
        "login": secrets.encrypt('{"type":"login.pending"}'),
        "session": giulia.cookies["messo"],
    }
    giulia.cookies[name] = values.get(tampered, tampered)
    answer = await giulia.get(action)
    assert (answer.status_code, "location" in answer.headers) == (400, False)


async def test_4_7_the_cookie_of_a_question_is_ours_alone(
    giulia: Browser, party: Register, secrets: Secrets
) -> None:
    site = await party()
    pending = site.ask()
    (line,) = (await giulia.get(pending.address)).headers.get_list("set-cookie")
    name, _, rest = line.partition("=")
    value, _, about = rest.partition("; ")
    assert name.startswith("messo-sso-")
    access_id = name.removeprefix("messo-sso-")
    assert about == f"Path=/sso/consent/{access_id}; HttpOnly; SameSite=Lax; Max-Age=300"
    for word in (pending.state, pending.nonce, site.client_id):
        assert word not in value
    web = Web(secrets, "https://messo.example.org", web_limits(Settings()))
    assert web.sso_header("X", "v", 300, "/sso/consent/X") == (
        "__Secure-messo-sso-X=v; Path=/sso/consent/X; HttpOnly; SameSite=Lax; Secure; Max-Age=300"
    )


async def test_4_7_a_missing_state_is_told_to_the_institution_once_a_day(
    giulia: Browser, party: Register, pool: Pool
) -> None:
    site = await party()

    async def noted() -> Any:
        async with pool.connection() as conn:
            return await conn.raw.fetchval(
                "SELECT state_missing_at FROM sso.client WHERE id = $1", site.client_id
            )

    await arrive(giulia, site.ask())
    assert await noted() is None
    assert (await arrive(giulia, site.ask(state=None))).status_code == 200
    first = await noted()
    assert first is not None
    await arrive(giulia, site.ask(state=None))
    assert await noted() == first
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE sso.client SET state_missing_at = now() - interval '25 hours' WHERE id = $1",
            site.client_id,
        )
    await arrive(giulia, site.ask(state=None))
    assert await noted() > first


async def test_4_7_an_empty_state_is_as_none(giulia: Browser, party: Register, pool: Pool) -> None:
    """RFC 6749, section 3.1: a parameter without a value counts as left out. It binds nothing."""
    site = await party()
    assert (await arrive(giulia, site.ask(state=""))).status_code == 200
    async with pool.connection() as conn:
        noted = await conn.raw.fetchval(
            "SELECT state_missing_at FROM sso.client WHERE id = $1", site.client_id
        )
    assert noted is not None


async def test_4_7_questions_in_many_tabs_are_all_open(giulia: Browser, party: Register) -> None:
    site = await party()
    shown = [await arrive(giulia, site.ask()) for _ in range(12)]
    places = [question(one)[0] for one in shown]
    assert [(await giulia.get(place)).status_code for place in places] == [200] * 12


async def test_4_7_another_site_cannot_fill_the_browser_with_questions(
    giulia: Browser, party: Register
) -> None:
    """A form that another site sends by POST comes without our cookies, so that those it leaves
    cannot be counted. Were they sent with every request, each would be refused (431) in the end."""
    site = await party(request_protection="none")
    long = {"state": "s" * 1000, "nonce": "n" * 500, "acr_values": "a" * 500}
    for _ in range(12):
        values = dict(parse_qsl(urlsplit(site.ask(**long).address).query))
        posted = await giulia.client.post("/sso/authorize", data=values)
        assert posted.status_code == 303
        keep_cookies(giulia, posted)
        giulia.client.cookies.clear()
        keep_cookies(giulia, await giulia.get(posted.headers["location"]))
    assert (await giulia.get("/")).status_code == 200
    left = [one for one in giulia.cookies if "-sso-" in one]
    assert len(left) == 12
    assert len({giulia.paths[one] for one in left}) == 12, "each is sent to its own question only"


async def test_4_11_after_a_logout_only_registered_addresses_are_followed(
    giulia: Browser, party: Register
) -> None:
    site = await party()
    for uri in ("https://evil.example.org/", f"{AFTER}/", site.redirect_uri, "//evil.example.org"):
        query = urlencode({"client_id": site.client_id, "post_logout_redirect_uri": uri})
        for browser in (giulia, Browser(giulia.client, {}, "", "")):
            stays_here(await browser.get(f"/sso/end-session?{query}"))
    query = urlencode({"post_logout_redirect_uri": AFTER})
    stays_here(await giulia.get(f"/sso/end-session?{query}"))


async def test_4_16_no_page_of_a_login_is_shown_in_a_frame(
    giulia: Browser, party: Register, client: httpx.AsyncClient
) -> None:
    site = await party()
    shown = await arrive(giulia, site.ask())
    late = await giulia.get("/sso/consent/01ARZ3NDEKTSV4RRFFQ69G5FAV")
    wrong = await giulia.get(site.ask(client_id="x").address)
    leave = await giulia.get(f"/sso/end-session?client_id={site.client_id}")
    assert [one.status_code for one in (shown, late, wrong, leave)] == [200, 400, 400, 200]
    for page in (shown, late, wrong, leave):
        assert page.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert page.headers["cross-origin-opener-policy"] == "same-origin"  # 4.17: no window.opener
