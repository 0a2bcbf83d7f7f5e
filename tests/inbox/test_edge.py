"""The edge of every page: walked route by route, so that a new page is not forgotten."""

import re
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from messo import app
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.inbox import site as pages
from messo.inbox.visit import Site
from messo.login import list_sessions
from messo.recipients import history, read_profile, state
from messo.settings import Settings
from tests.inbox.conftest import LogIn
from tests.inbox.pages import Browser, check, citizen

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("world")]

# For everybody, and what they answer a stranger.
OPEN = {
    "inbox.list": 200,
    "login.begin": 503,  # no provider is configured here
    "login.finish": 403,
    "login.ended": 200,
    "about.terms": 200,
    "about.privacy": 200,
    "about.accessibility": 200,
    "email.ask_unsubscribe": 404,  # without the token of a mail
    "inbox.nothing": 404,
    "inbox.attachment_apart": 404,  # without a code
}
# They ask for no token of a form: the first looks at where the request comes from, the second has
# one of its own from a mail, the last does nothing.
WITHOUT_TOKEN = {"inbox.language", "email.unsubscribe", "inbox.nothing"}
# Other sites send people there: what holds for them is in tests/sso.
FOR_SITES = "sso."
ROUTES = [
    route
    for route in pages.routes()
    if isinstance(route, Route)
    and "." in route.name
    and not route.path.startswith("/static")
    and not route.name.startswith(FOR_SITES)
]
UNKNOWN = "01J00000000000000000000000"


def routes(method: str) -> list[tuple[str, str]]:
    """Name and address of every page that answers to this."""
    return [
        (route.name, re.sub(r"\{.*?\}", UNKNOWN, route.path))
        for route in ROUTES
        if method in (route.methods or ())
    ]


def of_page(answer: httpx.Response) -> None:
    """What every answer with a page promises."""
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "private, no-cache, max-age=0"
    assert "Cookie" in answer.headers["vary"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "same-origin"


async def end_session(pool: Pool, browser: Browser, column: str = "expires_at") -> None:
    async with pool.transaction() as conn:
        await conn.raw.execute(
            f"UPDATE login.session SET {column} = now() - interval '31 minutes' WHERE id = $1",
            browser.session_id,
        )


async def all_of(pool: Pool, site: Site, fiscal_code: str) -> tuple[Any, ...]:
    """What a form could change."""
    async with pool.transaction() as conn:
        return (
            await read_profile(conn, fiscal_code),
            len(await list_sessions(conn, fiscal_code, site.limits)),
            len(await history(conn, fiscal_code)),
            [await state(conn, fiscal_code, "DOWNLOAD"), await state(conn, fiscal_code, "DELETE")],
        )


async def test_the_walk_meets_every_page() -> None:
    assert len(routes("GET")) > 20
    assert len(routes("POST")) > 8
    names = [route.name for route in ROUTES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("name", "path"), routes("GET"))
async def test_who_is_not_logged_in_sees_only_open_pages(
    client: httpx.AsyncClient, name: str, path: str
) -> None:
    answer = await client.get(path, headers={"Accept-Language": "it"})
    client.cookies.clear()
    if name in OPEN:
        assert answer.status_code == OPEN[name]
        of_page(answer)
        check(answer.text, "it")
        return
    assert answer.status_code == 303
    address = path.replace("/", "%2F")
    assert answer.headers["location"] == f"/login?return_to={address}"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("name", "path"), routes("POST"))
async def test_who_is_not_logged_in_changes_nothing(
    client: httpx.AsyncClient, name: str, path: str
) -> None:
    answer = await client.post(path, data={"a": "b"})
    if name == "login.end":  # has been logged out already
        assert answer.headers["location"] == "/logged-out"
        return
    expected = {"inbox.language": 400, "email.unsubscribe": 404, "inbox.nothing": 404}.get(
        name, 401
    )
    assert answer.status_code == expected
    of_page(answer)


@pytest.mark.parametrize("language", ["it", "en"])
async def test_every_page_has_the_same_headers(pool: Pool, browse: LogIn, language: str) -> None:
    browser = await browse(await citizen(pool, "EDG", 1 if language == "it" else 2))
    browser.cookies["messo-language"] = language
    seen = 0
    for _, path in routes("GET"):
        answer = await browser.get(path)
        assert answer.status_code < 500 or "/login" in path, path
        if answer.is_redirect:
            assert answer.headers["cache-control"] == "no-store", path
            assert answer.headers["location"].startswith("/"), path
        elif "html" not in answer.headers.get("content-type", ""):  # a file, or nothing
            assert answer.headers["cache-control"] == "no-store", path
        else:
            of_page(answer)
            check(answer.text, language)
            seen += 1
    assert seen > 15


@pytest.mark.parametrize(("number", "csrf"), [(3, None), (4, ""), (5, "0" * 64), (6, "ù")])
async def test_no_form_is_taken_without_the_token_of_its_session(
    pool: Pool, site: Site, browse: LogIn, number: int, csrf: str | None
) -> None:
    fiscal_code = await citizen(pool, "EDG", number)
    browser, other = await browse(fiscal_code), await browse(fiscal_code)
    before = await all_of(pool, site, fiscal_code)
    # Enough for each of them to be carried out, were it not for the token.
    fields = {
        "action": "download",
        "id": other.session_id,
        "mode": "MANUAL",
        "settings_version": "0",
        "terms": "1",
        "language": "en",
    }
    walked = 0
    for name, path in routes("POST"):
        if name in WITHOUT_TOKEN:
            continue
        walked += 1
        answer = await browser.post(path, fields if csrf is None else {**fields, "csrf": csrf})
        assert answer.status_code == 403, name
        of_page(answer)
        page = check(answer.text, "it")
        assert "Questa pagina è troppo vecchia" in page.text
    assert walked > 8
    assert await all_of(pool, site, fiscal_code) == before


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"csrf=x", "text/plain", 415),
        (b'{"csrf": "x"}', "application/json", 415),
        (b"--x\r\n\r\n", "multipart/form-data; boundary=x", 415),
        (b"", "", 415),
        (b"csrf=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"a=1&" * 600, "application/x-www-form-urlencoded", 400),
        (b"csrf=%00", "application/x-www-form-urlencoded", 400),
        (b"csrf=%ed%a0%80", "application/x-www-form-urlencoded", 400),
        (b"csrf=\xff", "application/x-www-form-urlencoded", 400),
    ],
)
async def test_no_form_takes_what_is_not_a_form(
    pool: Pool, browse: LogIn, body: bytes, kind: str, status: int
) -> None:
    browser = await browse(await citizen(pool, "EDG", 60))
    for name, path in routes("POST"):
        if name in {"inbox.nothing", "email.unsubscribe"}:  # they read no form
            continue
        answer = await browser.client.post(
            path,
            content=body,
            headers={
                "Content-Type": kind,
                "Cookie": "; ".join(f"{k}={v}" for k, v in browser.cookies.items()),
                "Accept-Language": "it",
            },
        )
        browser.client.cookies.clear()
        assert answer.status_code == status, name
        of_page(answer)
        check(answer.text, "it")


# Sessions that have ended ------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["expires_at", "seen_at"])
async def test_a_session_that_has_ended_leads_back_through_the_login(
    pool: Pool, browse: LogIn, column: str
) -> None:
    browser = await browse(await citizen(pool, "EDG", 61))
    await end_session(pool, browser, column)
    for path in ("/services?q=a%26b&page=2", "/", "/data/archive.zip"):
        answer = await browser.get(path)
        assert answer.status_code == 401
        of_page(answer)
        page = check(answer.text, "it")
        assert "La tua sessione è finita" in page.text
        assert "riprendi da dov'eri" in page.text
        ways = [link for link in page.links if link.startswith("/login?")]
        assert [httpx.URL(way).params["return_to"] for way in ways] == [path]
        assert "/preferences" not in page.links, "the frame of somebody who is logged in"


async def test_a_form_of_a_session_that_has_ended_is_not_lost_in_silence(
    pool: Pool, site: Site, browse: LogIn
) -> None:
    fiscal_code = await citizen(pool, "EDG", 62)
    browser = await browse(fiscal_code)
    form = (await browser.page("/preferences/mode?mode=MANUAL")).form("/preferences/mode")
    await end_session(pool, browser)
    before = await all_of(pool, site, fiscal_code)
    answer = await browser.send(form)
    assert answer.status_code == 401
    page = check(answer.text, "it")
    assert "La tua sessione è finita" in page.text
    assert "non è stato salvato" in page.text
    assert "/login?return_to=/" in page.links
    assert await all_of(pool, site, fiscal_code) == before


async def test_a_part_of_a_page_has_the_whole_page_loaded_again(pool: Pool, browse: LogIn) -> None:
    browser = await browse(await citizen(pool, "EDG", 63))
    await end_session(pool, browser)
    for path in ("/messages/new", "/"):
        answer = await browser.get(path, **{"HX-Request": "true"})
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["hx-refresh"] == "true"
        assert answer.headers["cache-control"] == "no-store", "or it would be loaded for ever"


@pytest.mark.parametrize("token", ["", "x", "é", "x" * 5000, "a=b=c", '"quoted"', "%00"])
async def test_a_cookie_of_nobody_is_a_session_that_has_ended(
    client: httpx.AsyncClient, token: str
) -> None:
    cookie = {b"cookie": f"messo={token}".encode()}
    assert (await client.get("/services", headers=cookie)).status_code == 401
    assert (await client.get("/terms", headers=cookie)).status_code == 200


async def test_a_client_applications_token_opens_no_page(pool: Pool, browse: LogIn) -> None:
    browser = await browse(await citizen(pool, "EDG", 64))
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE login.session SET kind = 'client' WHERE id = $1", browser.session_id
        )
    assert (await browser.get("/services")).status_code == 401
    assert (await browser.get("/")).status_code == 401


async def test_who_has_not_done_the_first_steps_is_led_there(pool: Pool, browse: LogIn) -> None:
    browser = await browse(await citizen(pool, "EDG", 65, mode="LEGACY", settings_version=-1))
    early = {"welcome.terms", "welcome.choose", "welcome.language", "sessions.list"}
    early |= {"email.ask_confirm"}  # an application may have set the address
    for name, path in routes("GET"):
        if name in early or (name in OPEN and name != "inbox.list"):
            continue
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/welcome"), name


# Errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["it", "en"])
@pytest.mark.parametrize("path", ["/nothing", "/a/b/c", "/services/x/y", "/%00"])
async def test_an_address_that_leads_nowhere_has_a_page(
    client: httpx.AsyncClient, path: str, language: str
) -> None:
    for method in ("GET", "POST"):
        answer = await client.request(method, path, headers={"Accept-Language": language})
        assert answer.status_code == 404
        of_page(answer)
        check(answer.text, language)


async def test_without_a_database_pages_ask_for_patience(
    database_url: str, secrets: Secrets, pool: Pool, browse: LogIn
) -> None:
    """Also the way back: to the page, or from a form to a page that exists."""
    browser = await browse(await citizen(pool, "EDG", 66))
    settings = Settings(rate_limit=100_000, rate_burst=100_000)
    async with app.start(settings, database_url, secrets) as started:
        transport = httpx.ASGITransport(started.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://messo") as client:
            there = Browser(client, browser.cookies, browser.fiscal_code, browser.session_id)
            assert (await there.get("/services?q=a")).status_code == 200
            await started.pool.close()
            for name, path in routes("GET"):
                answer = await there.get(f"{path}?q=a&page=2")
                assert answer.status_code == 503, name
                of_page(answer)
                page = check(answer.text, "it")
                assert "Un momento" in page.text
                assert f"{path}?q=a&page=2" in page.links, name
            reached = {path for _, path in routes("GET")}
            for name, path in routes("POST"):
                answer = await there.post(path, {"language": "it"})
                assert answer.status_code == 503, name
                links = set(check(answer.text, "it").links)
                assert path not in links or path in reached, name
            for path in ("/terms", "/logged-out", "/nothing"):  # need no database
                answer = await client.get(path)
                assert answer.status_code in {200, 404}
                of_page(answer)
