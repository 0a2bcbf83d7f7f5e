"""The whole login in a browser, at the sandbox's provider: cookies, returns, and what is refused."""

from urllib.parse import quote

import pytest

from messo.base.crypto import Secrets, key_digest
from messo.base.db import Pool
from messo.login import Web, web_limits
from messo.login.flow import local_path
from messo.recipients import read_profile
from messo.sandbox.fiscal_codes import make
from messo.settings import Settings
from tests.conftest import Running
from tests.login.browser import Visitor
from tests.login.provider import sent
from tests.world import AUTO

NEW = make("TSTNWW80A01Y010")


async def test_a_login_opens_a_session_and_enrols_whoever_is_new(
    visitor: Visitor, pool: Pool
) -> None:
    begun = await visitor.client.get("/login", params={"return_to": "/preferences?a=b"})
    pending = begun.headers["set-cookie"]
    assert pending.startswith("messo-login=")
    assert pending.endswith("; Path=/; HttpOnly; SameSite=Lax; Max-Age=600")
    page = await visitor.client.get(begun.headers["location"])
    assert page.status_code == 200
    assert "Giulia Ferretti" in page.text
    async with pool.connection() as conn:
        assert await read_profile(conn, NEW) is None
    callback = await visitor.choose(begun, fiscal_code=NEW.lower())
    back = await visitor.client.get(callback)
    assert back.status_code == 303
    assert back.headers["location"] == "/preferences?a=b"
    cookies = back.headers.get_list("set-cookie")
    (session,) = [one for one in cookies if one.startswith("messo=")]
    assert session.endswith("; Path=/; HttpOnly; SameSite=Lax")
    assert any(one.startswith("messo-login=;") and "Max-Age=0" in one for one in cookies)
    assert NEW not in callback + back.headers["location"] + "".join(cookies)
    async with pool.connection() as conn:
        assert await read_profile(conn, NEW) is not None
    token = visitor.client.cookies["messo"]
    async with pool.connection() as conn:
        row = await conn.raw.fetchrow(
            "SELECT fiscal_code, kind, name, date_of_birth::text AS born FROM login.session "
            "WHERE digest = $1",
            key_digest(token),
        )
    assert dict(row) == {
        "fiscal_code": NEW,
        "kind": "web",
        "name": "Prova",
        "born": "1980-01-01",
    }


async def test_a_login_takes_the_place_of_the_session_before(visitor: Visitor, pool: Pool) -> None:
    await visitor.log_in(AUTO)
    first = visitor.client.cookies["messo"]
    await visitor.log_in(NEW)
    second = visitor.client.cookies["messo"]
    assert first != second
    async with pool.connection() as conn:
        left = await conn.raw.fetch(
            "SELECT digest FROM login.session WHERE digest = ANY($1)",
            [key_digest(first), key_digest(second)],
        )
    assert [row["digest"] for row in left] == [key_digest(second)]


async def test_cancelling_is_no_login(visitor: Visitor) -> None:
    begun = await visitor.client.get("/login")
    callback = await visitor.choose(begun, cancel="1")
    assert sent(callback)["error"] == "access_denied"
    back = await visitor.client.get(callback)
    assert back.status_code == 403
    assert "messo" not in visitor.client.cookies


async def test_a_level_that_is_too_low_is_no_login(visitor: Visitor) -> None:
    begun = await visitor.client.get("/login")
    low = "https://www.spid.gov.it/SpidL1"
    back = await visitor.client.get(await visitor.choose(begun, fiscal_code=AUTO, level=low))
    assert back.status_code == 403
    assert "messo" not in visitor.client.cookies


async def test_a_callback_works_once(visitor: Visitor) -> None:
    begun = await visitor.client.get("/login")
    pending = visitor.client.cookies["messo-login"]
    callback = await visitor.choose(begun, fiscal_code=AUTO)
    assert (await visitor.client.get(callback)).status_code == 303
    again = await visitor.client.get(callback)  # the pending cookie is gone
    assert again.status_code == 403
    cookie = {"Cookie": f"messo-login={pending}"}
    replayed = await visitor.client.get(callback, headers=cookie)  # the code is
    assert replayed.status_code == 403
    assert "set-cookie" not in replayed.headers or "messo=" not in replayed.headers["set-cookie"]


async def test_a_callback_belongs_to_the_browser_that_began(
    visitor: Visitor, other: Visitor
) -> None:
    """Otherwise somebody could be logged in as the attacker without noticing."""
    callback = await visitor.choose(await visitor.client.get("/login"), fiscal_code=AUTO)
    assert (await other.client.get(callback)).status_code == 403
    await other.client.get("/login")
    assert (await other.client.get(callback)).status_code == 403
    assert "messo" not in other.client.cookies


@pytest.mark.parametrize("state", ["", "another", "é", "%00", "%ED%A0%80"])
async def test_a_wrong_state_is_refused(visitor: Visitor, state: str) -> None:
    await visitor.client.get("/login")
    back = await visitor.client.get(f"/login/callback?code=a&state={state}")
    assert back.status_code == 403


@pytest.mark.parametrize(
    "cookie", ["", "1", "1.", "1.AAAA", "1.%%%", "2.AAAA", "a.b.c", "x" * 5000, '"', "\xe9"]
)
async def test_a_pending_cookie_of_nobody_is_refused(visitor: Visitor, cookie: str) -> None:
    headers = {"Cookie": f"messo-login={cookie}".encode("latin-1")}
    back = await visitor.client.get(
        "/login/callback?code=a&state=b", headers=[(b"Cookie", headers["Cookie"])]
    )
    assert back.status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example.org",
        "https://evil.example.org",
        "/\\evil.example.org",
        "\\\\evil.example.org",
        "/\t/evil.example.org",
        "/\n/evil.example.org",
        "/\x00",
        "javascript:alert(1)",
        "evil",
        "",
        " /",
        "/" + "a" * 2000,
        "/é",
    ],
)
async def test_nobody_is_sent_elsewhere_after_the_login(visitor: Visitor, path: str) -> None:
    assert local_path(path) == "/"
    begun = await visitor.client.get(f"/login?return_to={quote(path, safe='')}")
    back = await visitor.client.get(await visitor.choose(begun, fiscal_code=AUTO))
    assert back.status_code == 303
    location = back.headers["location"]
    assert location.startswith("/")
    assert local_path(location) == location


@pytest.mark.parametrize("path", ["/", "/messages/01ABC?a=b&c=%2F", "/a//b", "/preferences#x"])
def test_paths_of_ours_are_kept(path: str) -> None:
    assert local_path(path) == path


async def test_logout_leads_to_the_provider_and_back(visitor: Visitor, running: Running) -> None:
    flow = running.started.app.pages.state.site.flow
    url = await flow.logout_url()
    assert url.startswith(f"{running.url}/sandbox/identity/end-session?")
    answer = await visitor.client.get(url)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{running.url}/logged-out"
    elsewhere = url.replace("logged-out", "elsewhere")
    assert (await visitor.client.get(elsewhere)).status_code == 400


def test_over_https_cookies_are_bound_to_the_host(secrets: Secrets) -> None:
    from starlette.responses import Response

    web = Web(secrets, "https://messo.example.org", web_limits(Settings()))
    assert (web.session_cookie, web.pending_cookie) == ("__Host-messo", "__Host-messo-login")
    response = Response()
    web.set_session(response, "token")
    web.set_pending(response, "value")
    web.clear_session(response)
    web.clear_pending(response)
    assert response.headers.getlist("set-cookie") == [
        "__Host-messo=token; Path=/; HttpOnly; SameSite=Lax; Secure",
        "__Host-messo-login=value; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600",
        "__Host-messo=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0",
        "__Host-messo-login=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0",
    ]
