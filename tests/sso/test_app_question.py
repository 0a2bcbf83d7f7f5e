"""The question as JSON, as a citizen's application asks it: its shape, who may answer, and what for.

Source: contract/single-sign-on.md, sections 3, 4 and 8; contract/citizen-api.md, section 2.
"""

import asyncio
import base64
import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest

from messo.base import clock
from messo.base.crypto import Secrets, key_digest
from messo.base.db import Pool
from messo.login import Identity, client_limits, open_session
from messo.settings import Settings
from tests.inbox.pages import LEVEL, Browser, citizen
from tests.sso.conftest import Register
from tests.sso.party import Party, Pending, keep_cookies
from tests.sso.test_rfc9700_codes import outcome_of
from tests.sso.test_rfc9700_requests import stays_here
from tests.world import World

pytestmark = pytest.mark.anyio

_NUMBERS = iter(range(1, 900))
MAIL = "ada@example.org"


@dataclass
class App:
    """A citizen's application: the token of its session, and the cookies of its browser."""

    client: httpx.AsyncClient
    fiscal_code: str
    token: str
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def browser(self) -> Browser:
        """What keeps cookies, and nothing else."""
        return Browser(self.client, self.cookies, self.fiscal_code, "")

    async def fims(self) -> str:
        answer = await self.client.get(
            "/api/auth/v1/session?fields=(fimsToken)",
            headers={"Authorization": f"Bearer {self.token}"},
        )
        assert answer.status_code == 200, answer.text
        assert set(answer.json()) == {"fimsToken"}
        return str(answer.json()["fimsToken"])

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """With the cookies it has, and `headers`; no language unless they say one."""
        headers = more.pop("headers", {})
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if cookie:
            headers = {**headers, "Cookie": cookie}
        answer = await self.client.request(method, path, headers=headers, **more)
        self.client.cookies.clear()
        keep_cookies(self.browser, answer)
        return answer

    async def arrive(self, pending: Pending, **headers: str) -> str:
        """From the site's redirect to the address of the question."""
        answer = await self.ask("GET", pending.address, headers=headers)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])


@pytest.fixture
async def app(pool: Pool, client: httpx.AsyncClient) -> App:
    """With the cookie that the contract names."""
    who = await citizen(pool, "APP", next(_NUMBERS), email=MAIL, is_email_validated=True)
    identity = Identity(who, "Ada", "Prova", LEVEL)
    async with pool.transaction() as conn:
        limits = client_limits(Settings())
        token = await open_session(conn, identity, "client", "app.example.org", limits)
    made = App(client, who, token)
    made.cookies["_io_fims_token"] = await made.fims()
    return made


async def finish(site: Party, pending: Pending, answer: httpx.Response) -> dict[str, Any]:
    """From the last redirect to what userinfo says."""
    assert answer.status_code == 303, answer.text
    code = site.answered(answer.headers["location"], pending.state)["code"]
    tokens = await site.exchange(code, pending.verifier)
    assert tokens.status_code == 200, tokens.text
    who: dict[str, Any] = (await site.userinfo(tokens.json()["access_token"])).json()
    return who


async def test_the_question_has_the_contracts_shape(
    app: App, party: Register, world: World
) -> None:
    site = await party()
    place = await app.arrive(site.ask("openid profile lollipop"))
    assert place.startswith("/sso/interaction/")
    answer = await app.ask("GET", place)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/hal+json")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "_links": {
            "abort": {"href": f"{site.issuer}{place}/abort"},
            "consent": {"href": f"{site.issuer}{place}/consent"},
        },
        "service_id": world.anna.id,
        "redirect": {"display_name": "Sportello"},
        "type": "consent",
        "user_metadata": [
            {"name": "fiscalCode", "display_name": "Codice fiscale"},
            {"name": "firstName", "display_name": "Nome"},
            {"name": "lastName", "display_name": "Cognome"},
        ],
    }


async def test_only_what_is_handed_over_is_listed(app: App, party: Register) -> None:
    site = await party(optional_claims=["family_name"])
    pending = site.ask("openid")
    body = (await app.ask("GET", await app.arrive(pending))).json()
    assert body["user_metadata"] == []
    place = await app.arrive(site.ask("openid profile email"))
    body = (await app.ask("GET", place)).json()
    assert [(one["name"], one.get("optional", False)) for one in body["user_metadata"]] == [
        ("fiscalCode", False),
        ("firstName", False),
        ("lastName", True),
        ("email", True),
    ]
    assert MAIL not in str(body)
    assert app.fiscal_code not in str(body)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("it-IT", ("Sportello", "Codice fiscale")),
        ("en-GB,en;q=0.9", ("Counter", "Fiscal code")),
        ("en", ("Counter", "Fiscal code")),
        ("de-DE, en;q=0.5", ("Counter", "Fiscal code")),
        ("fr", ("Sportello", "Codice fiscale")),
        (None, ("Sportello", "Codice fiscale")),
        ("", ("Sportello", "Codice fiscale")),
        ("x" * 5000, ("Sportello", "Codice fiscale")),
        ("\x00,;=;q=", ("Sportello", "Codice fiscale")),
    ],
)
async def test_accept_language(
    app: App, party: Register, pool: Pool, language: str | None, words: tuple[str, str]
) -> None:
    site = await party()
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE sso.client SET redirects = jsonb_set(redirects, '{0,en}', '\"Counter\"') "
            "WHERE id = $1",
            site.client_id,
        )
    place = await app.arrive(site.ask())
    given = {} if language is None else {"Accept-Language": language.replace("\x00", "!")}
    body = (await app.ask("GET", place, headers=given)).json()
    shown = (body["redirect"]["display_name"], body["user_metadata"][0]["display_name"])
    assert shown == words


async def test_the_citizen_agrees(app: App, party: Register, pool: Pool) -> None:
    site = await party()
    pending = site.ask("openid profile email")
    place = await app.arrive(pending)
    links = (await app.ask("GET", place)).json()["_links"]
    answer = await app.ask("POST", links["consent"]["href"])
    who = await finish(site, pending, answer)
    assert set(who) == {"sub", "fiscal_code", "given_name", "family_name"}
    assert await outcome_of(pool, app.browser) == ["redeemed"]
    assert not [name for name in app.cookies if "-sso-" in name]


async def test_the_citizen_refuses(app: App, party: Register, pool: Pool) -> None:
    site = await party()
    pending = site.ask()
    place = await app.arrive(pending)
    links = (await app.ask("GET", place)).json()["_links"]
    answer = await app.ask("POST", links["abort"]["href"])
    assert answer.status_code == 303
    found = site.answered(answer.headers["location"], pending.state)
    assert (found["error"], "code" in found) == ("access_denied", False)
    assert await outcome_of(pool, app.browser) == ["refused"]


async def test_optional_data_only_if_they_are_named(app: App, party: Register) -> None:
    site = await party(optional_claims=["family_name"])
    for named, expected in (
        ([], {"sub", "fiscal_code", "given_name"}),
        (["email"], {"sub", "fiscal_code", "given_name", "email", "email_verified"}),
        (["lastName"], {"sub", "fiscal_code", "given_name", "family_name"}),
        (["family_name", "address", ""], {"sub", "fiscal_code", "given_name"}),
    ):
        pending = site.ask("openid profile email")
        place = await app.arrive(pending)
        await app.ask("GET", place)
        answer = await app.ask("POST", f"{place}/consent", json={"optional": named})
        assert set(await finish(site, pending, answer)) == expected


async def test_a_bearer_does_what_the_cookie_does(app: App, party: Register) -> None:
    site = await party()
    del app.cookies["_io_fims_token"]
    bearer = {"Authorization": f"Bearer {app.token}"}
    pending = site.ask()
    place = await app.arrive(pending, **bearer)
    assert place.startswith("/sso/interaction/")
    assert (await app.ask("GET", place, headers=bearer)).status_code == 200
    answer = await app.ask("POST", f"{place}/consent", headers=bearer)
    assert "fiscal_code" in await finish(site, pending, answer)


@pytest.mark.parametrize(
    "token",
    ["", "x", "A" * 400, "%00", "AA", "é", "00" * 30, base64.b64encode(b"\xff" * 90).decode()],
)
async def test_who_is_not_logged_in_is_told_so(
    app: App, party: Register, pool: Pool, token: str
) -> None:
    """401, as the application needs it to refresh its session and try again; nothing is lost."""
    site = await party()
    pending = site.ask()
    place = await app.arrive(pending)
    good = app.cookies["_io_fims_token"]
    raw = "; ".join(f"{n}={v}" for n, v in {**app.cookies, "_io_fims_token": token}.items())
    headers = [(b"Cookie", raw.encode())]
    for method, path in (("GET", place), ("POST", f"{place}/consent"), ("POST", f"{place}/abort")):
        answer = await app.client.request(method, path, headers=headers)
        assert answer.status_code in {401, 404}, answer.status_code  # 404: no cookie was read
        assert "location" not in answer.headers
    assert await outcome_of(pool, app.browser) == []
    app.cookies["_io_fims_token"] = good
    assert (await app.ask("GET", place)).status_code == 200
    answer = await app.ask("POST", f"{place}/consent")
    await finish(site, pending, answer)


async def test_a_session_that_has_ended_answers_nothing(app: App, party: Register) -> None:
    site = await party()
    place = await app.arrive(site.ask())
    assert (await app.ask("GET", place)).status_code == 200
    bearer = {"Authorization": f"Bearer {app.token}"}
    assert (await app.client.post("/api/auth/v1/logout", headers=bearer)).status_code == 200
    for method, path in (("GET", place), ("POST", f"{place}/consent"), ("POST", f"{place}/abort")):
        assert (await app.ask(method, path)).status_code == 401


@pytest.mark.parametrize("end", ["", "/consent", "/abort"])
async def test_a_question_of_another_or_of_nobody_is_not_found(
    app: App, party: Register, pool: Pool, client: httpx.AsyncClient, end: str
) -> None:
    site = await party()
    place = await app.arrive(site.ask())
    method = "POST" if end else "GET"
    other = App(
        client, app.fiscal_code, app.token, {"_io_fims_token": app.cookies["_io_fims_token"]}
    )
    for path in (place, "/sso/interaction/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/sso/interaction/x"):
        answer = await other.ask(method, path + end)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert set(answer.json()) >= {"title", "status", "detail"}
    assert await outcome_of(pool, app.browser) == []


async def test_a_question_that_is_too_old_is_not_found(
    app: App, party: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await party()
    place = await app.arrive(site.ask())
    moment = clock.now() + timedelta(seconds=301)
    with monkeypatch.context() as patched:
        patched.setattr(clock, "now", lambda: moment)
        assert (await app.ask("GET", place)).status_code == 404
        assert (await app.ask("POST", f"{place}/consent")).status_code == 404


async def test_what_was_answered_is_not_answered_again(
    app: App, party: Register, pool: Pool
) -> None:
    site = await party()
    place = await app.arrive(site.ask())
    await app.ask("GET", place)
    kept = dict(app.cookies)
    answers = await asyncio.gather(
        *(
            app.client.post(f"{place}/consent", headers={"Cookie": cookies_of(kept)})
            for _ in range(10)
        )
    )
    app.client.cookies.clear()
    assert sorted(one.status_code for one in answers) == [303] + [409] * 9
    app.cookies.update(kept)
    assert (await app.ask("POST", f"{place}/abort")).status_code == 409
    assert (await app.ask("GET", place)).status_code == 409
    assert await outcome_of(pool, app.browser) == ["granted"]


async def test_a_question_that_has_changed_is_not_agreed_to(app: App, party: Register) -> None:
    site = await party(optional_claims=["given_name"])
    pending = site.ask()
    place = await app.arrive(pending)
    await app.ask("GET", place)
    site = await party(optional_claims=[])
    assert (await app.ask("POST", f"{place}/consent")).status_code == 409
    await app.ask("GET", place)
    assert await finish(site, pending, await app.ask("POST", f"{place}/consent"))


def cookies_of(kept: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in kept.items())


async def test_an_answer_without_its_question_is_void(
    app: App, party: Register, pool: Pool
) -> None:
    site = await party()
    place = await app.arrive(site.ask())
    assert (await app.ask("POST", f"{place}/consent")).status_code == 409
    assert await outcome_of(pool, app.browser) == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
@pytest.mark.parametrize("end", ["/consent", "/abort"])
async def test_only_a_post_answers(
    app: App, party: Register, pool: Pool, method: str, end: str
) -> None:
    """The reference takes any method outside production."""
    site = await party()
    place = await app.arrive(site.ask())
    await app.ask("GET", place)
    assert (await app.ask(method, place + end)).status_code in {404, 405}
    assert await outcome_of(pool, app.browser) == ["requested"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'{"optional":"email"}', "application/json"),
        (b'{"optional":[1]}', "application/json"),
        (b'{"remember":"yes"}', "application/json"),
        (b'{"optional":["\xff"]}', "application/json"),
        (b"[" * 10_000, "application/json"),
        (b'{"optional":["' + b"x" * 20_000 + b'"]}', "application/json"),
        (b"optional=email", "text/plain"),
    ],
)
async def test_a_malformed_answer_is_refused_and_answers_nothing(
    app: App, party: Register, pool: Pool, body: bytes, kind: str
) -> None:
    site = await party()
    place = await app.arrive(site.ask())
    await app.ask("GET", place)
    answer = await app.ask("POST", f"{place}/consent", content=body, headers={"Content-Type": kind})
    assert answer.status_code in {400, 413, 415}, answer.status_code
    assert await outcome_of(pool, app.browser) == ["requested"]
    assert (await app.ask("POST", f"{place}/consent")).status_code == 303


async def test_what_comes_in_chunks_is_read_too(app: App, party: Register) -> None:
    """A body without a length is a body: what the citizen ticked is not lost on the way."""
    site = await party()
    pending = site.ask("openid profile email")
    place = await app.arrive(pending)
    await app.ask("GET", place)

    async def pieces() -> Any:
        yield b'{"optional":'
        yield b'["email"]}'

    answer = await app.ask(
        "POST",
        f"{place}/consent",
        content=pieces(),
        headers={"Content-Type": "application/json"},
    )
    assert (await finish(site, pending, answer))["email"] == MAIL


async def test_cookies_of_others_do_not_hide_ours(app: App, party: Register) -> None:
    """Cookies come as strangers wrote them, and one of them may be no token of RFC 6265."""
    site = await party()
    place = await app.arrive(site.ask())
    for strange in ('a={"b":1}', "a b=c", "=x", "a=[1,2]", "é=x", 'a="', "a@b=c"):
        raw = f"{strange}; {cookies_of(app.cookies)}; {strange}"
        answer = await app.client.get(place, headers=[(b"Cookie", raw.encode())])
        assert answer.status_code == 200, strange


async def test_a_browsers_session_is_none_here(giulia: Browser, app: App, party: Register) -> None:
    """Neither as a Bearer nor in the cookie, nor in its own one."""
    site = await party()
    place = await app.arrive(site.ask())
    held = {name: value for name, value in app.cookies.items() if "-sso-" in name}
    web = giulia.cookies["messo"]
    for cookies, headers in (
        ({**held, "messo": web}, {}),
        ({**held, "_io_fims_token": web}, {}),
        (held, {"Authorization": f"Bearer {web}"}),
        ({**held, "messo": web}, {"Authorization": "Bearer x"}),
    ):
        other = App(app.client, giulia.fiscal_code, web, dict(cookies))
        for method, path in (("GET", place), ("POST", f"{place}/consent")):
            answer = await other.ask(method, path, headers=headers)
            assert answer.status_code == 401, (method, list(cookies))


async def test_an_applications_session_is_none_for_pages(app: App, party: Register) -> None:
    """And its question is not answered by the form of the page."""
    site = await party()
    place = await app.arrive(site.ask())
    page = place.replace("/interaction/", "/consent/")
    for token in (app.token, app.cookies["_io_fims_token"]):
        browser = Browser(app.client, {**app.cookies, "messo": token}, app.fiscal_code, "")
        answer = await browser.post(page, {"action": "agree", "csrf": "x"})
        assert (answer.status_code, "location" in answer.headers) == (401, False)


async def test_the_fims_token_opens_nothing_else(app: App) -> None:
    fims = app.cookies["_io_fims_token"]
    assert app.token not in fims
    for headers in ({"Authorization": f"Bearer {fims}"}, {"Cookie": f"_io_fims_token={fims}"}):
        for path in (
            "/api/auth/v1/session",
            "/api/auth/v1/sessions",
            "/api/v1/messages",
            "/sso/userinfo",
            "/welcome",
        ):
            answer = await app.client.get(path, headers=headers)
            assert answer.status_code in {303, 401, 404}, (path, answer.status_code)
            assert app.fiscal_code not in answer.text
        assert (await app.client.post("/api/auth/v1/logout", headers=headers)).status_code == 401


async def test_the_fims_token_as_a_bearer_is_none_here_either(app: App, party: Register) -> None:
    site = await party()
    place = await app.arrive(site.ask())
    fims = app.cookies.pop("_io_fims_token")
    answer = await app.ask("GET", place, headers={"Authorization": f"Bearer {fims}"})
    assert answer.status_code == 401


async def test_the_sessions_own_token_does_not_pass_as_a_fims_token(
    app: App, party: Register
) -> None:
    """Then nobody is tempted to put it into a cookie that sites' pages might see."""
    site = await party()
    place = await app.arrive(site.ask())
    app.cookies["_io_fims_token"] = app.token
    assert (await app.ask("GET", place)).status_code == 401


async def test_a_fims_token_is_made_here_and_for_this(
    app: App, party: Register, secrets: Secrets
) -> None:
    """Other things that are sealed with the same key are none, nor is a digest in the clear."""
    site = await party()
    place = await app.arrive(site.ask())
    digest = key_digest(app.token)
    for sealed in (
        secrets.seal(digest, "sso.code:x"),
        secrets.seal(digest, "login.sso:x"),
        Secrets({"1": os.urandom(32)}).seal(digest, "login.sso"),
        digest,
    ):
        app.cookies["_io_fims_token"] = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
        assert (await app.ask("GET", place)).status_code == 401


async def test_an_application_without_a_login_is_not_led_into_a_browser(
    app: App, party: Register
) -> None:
    """Its citizen cannot log in there: the site hears that a login is needed."""
    site = await party(level="https://www.spid.gov.it/SpidL3")
    pending = site.ask()
    place = await app.arrive(pending)
    answer = await app.ask("GET", place)
    found = site.answered(answer.headers["location"], pending.state)
    assert (found["error"], "code" in found) == ("login_required", False)


async def test_a_bad_request_is_refused_without_a_page(app: App, party: Register) -> None:
    site = await party()
    answer = await app.ask("GET", site.ask(client_id="x").address)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_client"
    assert "location" not in answer.headers
    json = {"Accept": "application/json"}
    plain = await app.client.get(
        site.ask(redirect_uri="https://evil.example.org/").address, headers=json
    )
    assert plain.json()["error"] == "invalid_redirect_uri"
    html = await app.client.get(site.ask(client_id="x").address, headers={"Accept": "text/html"})
    stays_here(html)


async def test_no_other_site_reads_or_answers_the_question(app: App, party: Register) -> None:
    """No answer of these lets a page elsewhere read it with the cookies of its visitor."""
    site = await party()
    place = await app.arrive(site.ask())
    origin = {"Origin": "https://evil.example.org"}
    answer = await app.ask("GET", place, headers=origin)
    assert answer.headers.get("access-control-allow-origin") in {None, "*"}
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers["x-frame-options"] == "DENY"
    asked = {**origin, "Access-Control-Request-Method": "POST"}
    preflight = await app.client.options(f"{place}/consent", headers=asked)
    assert "access-control-allow-credentials" not in preflight.headers


async def test_hrefs_are_ours_whatever_a_proxy_says(app: App, party: Register) -> None:
    """The reference writes them from X-Forwarded-Host (RFC 9700, section 4.13)."""
    site = await party()
    place = await app.arrive(site.ask())
    evil = {
        "X-Forwarded-Host": "evil.example.org",
        "X-Forwarded-Proto": "https",
        "Forwarded": "host=evil.example.org",
    }
    body = (await app.ask("GET", place, headers=evil)).json()
    assert body["_links"]["consent"]["href"] == f"{site.issuer}{place}/consent"
    assert "evil" not in str(body)


async def test_suspended_meanwhile(app: App, party: Register, pool: Pool, world: World) -> None:
    site = await party(world.bruno.id)
    place = await app.arrive(site.ask())
    await app.ask("GET", place)
    change = "UPDATE services.service SET suspended_at = {} WHERE id = '{}'"
    async with pool.connection() as conn:
        await conn.script(change.format("now()", world.bruno.id))
    try:
        for method, path in (("GET", place), ("POST", f"{place}/consent")):
            answer = await app.ask(method, path)
            assert (answer.status_code, "location" in answer.headers) == (400, False)
    finally:
        async with pool.connection() as conn:
            await conn.script(change.format("NULL", world.bruno.id))
