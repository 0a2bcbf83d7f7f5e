"""Logins that somebody else prepared: sessions planted, callbacks sent, returns led elsewhere.

RFC 9700, section 4.7; OWASP on session fixation. What is refused of the provider's own answers is in
test_hostile_provider.py.
"""

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx
import msgspec
import pytest

from messo.base import clock
from messo.base.crypto import Secrets, key_digest, new_api_key
from messo.base.db import Pool
from messo.login import Demand, Identity, LoginFlow, client_limits, list_sessions, open_session
from messo.login.flow import Pending, local_path
from messo.notifications.channels.web_push.devices import put_device
from messo.sandbox.fiscal_codes import make
from messo.settings import Settings
from tests.conftest import Running
from tests.login.browser import Visitor
from tests.login.provider import sent
from tests.login.test_flow import is_open
from tests.notifications.push_service import Device
from tests.sso.accesses import add_access, add_client
from tests.world import ACTIVATED, AUTO, MANUAL, World

L1, L2, L3 = (f"https://www.spid.gov.it/SpidL{number}" for number in (1, 2, 3))


def plant(visitor: Visitor, **cookies: str) -> None:
    """As somebody with a moment at the victim's browser could."""
    visitor.client.cookies.clear()
    for name, value in cookies.items():
        visitor.client.cookies.set(name.replace("_", "-"), value, domain="127.0.0.1", path="/")


async def told(pool: Pool) -> int:
    """How many sites are going to be told of a logout."""
    async with pool.connection() as conn:
        return int(await conn.raw.fetchval("SELECT count(*) FROM sso.logout"))


async def ids(pool: Pool, fiscal_code: str) -> list[str]:
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT id FROM login.session WHERE fiscal_code = $1 ORDER BY id", fiscal_code
        )
    return [row["id"] for row in rows]


async def test_a_planted_token_of_nobody_is_not_taken_on(visitor: Visitor, pool: Pool) -> None:
    planted = new_api_key()
    plant(visitor, messo=planted)
    back = await visitor.log_in(make("TSTFIX80A01Y050"))
    assert back.status_code == 303
    token = visitor.client.cookies["messo"]
    assert token != planted
    assert await is_open(pool, token)
    assert not await is_open(pool, planted)


async def test_a_planted_session_of_the_attacker_is_worth_nothing_afterwards(
    visitor: Visitor, other: Visitor, pool: Pool
) -> None:
    """Mallory's own session in the victim's browser: the login ends it and opens another."""
    mallory, victim = make("TSTFIX80A01Y051"), make("TSTFIX80A01Y052")
    await other.log_in(mallory)
    planted = other.client.cookies["messo"]
    plant(visitor, messo=planted)
    await visitor.log_in(victim)
    assert visitor.client.cookies["messo"] != planted
    assert not await is_open(pool, planted)
    seen = await other.client.get("/welcome")
    assert seen.status_code == 401
    assert await ids(pool, mallory) == []


@pytest.mark.parametrize(
    "planted",
    ["", "x", "x" * 5000, "é", "%00", '"', "../..", "TSTAUT80A01Y001S", "0" * 43, "a,b", "a b"],
)
async def test_whatever_is_planted_a_login_works_and_makes_its_own(
    visitor: Visitor, pool: Pool, planted: str
) -> None:
    begun = await visitor.client.get("/login")
    callback = await visitor.choose(begun, fiscal_code=AUTO)
    pending = visitor.client.cookies["messo-login"]
    visitor.client.cookies.clear()
    raw = f"messo={planted}; messo-login={pending}".encode()
    back = await visitor.client.get(callback, headers=[(b"Cookie", raw)])
    assert back.status_code == 303
    token = visitor.client.cookies["messo"]
    assert token != planted
    assert len(token) == 43
    assert await is_open(pool, token)


async def test_each_login_has_a_new_token_and_form_token_and_goes_on_under_its_id(
    visitor: Visitor, pool: Pool, running: Running
) -> None:
    who = make("TSTFIX80A01Y053")
    web = running.started.app.pages.state.site.web
    seen: list[tuple[str, str, str]] = []
    for _ in range(3):
        await visitor.log_in(who)
        token = visitor.client.cookies["messo"]
        (session_id,) = await ids(pool, who)
        async with pool.connection() as conn:
            (session,) = await list_sessions(conn, who, web.limits)
        seen.append((token, session_id, web.csrf_token(session)))
    # Other sites may have been told the id: it says whose login has ended, and opens nothing.
    assert [len(set(column)) for column in zip(*seen, strict=True)] == [3, 1, 3]


async def devices_logged_in(pool: Pool, fiscal_code: str) -> int:
    """In how many browsers this citizen is shown what came."""
    async with pool.connection() as conn:
        return int(
            await conn.raw.fetchval(
                "SELECT count(*) FROM notifications.web_push_device "
                "WHERE fiscal_code = $1 AND NOT is_logged_out",
                fiscal_code,
            )
        )


async def test_somebody_else_at_the_same_browser_gets_a_session_of_their_own(
    visitor: Visitor, pool: Pool, world: World, secrets: Secrets
) -> None:
    """The sites that the first was signed on to are told that it is over, and it shows no notices."""
    await add_client(pool, world.anna, logout="https://rp.example.it/logout")
    first, second = make("TSTFIX80A01Y088"), make("TSTFIX80A01Y089")
    await visitor.log_in(first)
    (before,) = await ids(pool, first)
    await add_access(pool, first, world.anna, session_id=before)
    async with pool.transaction() as conn:
        here = Device("https://push.example.org/shared").subscription
        await put_device(conn, secrets, first, here, label="Firefox", session_id=before)
    await visitor.log_in(first)
    assert await told(pool) == 0, "the same citizen goes on"
    assert await devices_logged_in(pool, first) == 1
    await visitor.log_in(second)
    assert await told(pool) == 1
    (after,) = await ids(pool, second)
    assert after != before
    assert await ids(pool, first) == []
    assert await devices_logged_in(pool, first) == 0


async def test_a_form_from_before_the_login_is_refused_after_it(
    visitor: Visitor, pool: Pool
) -> None:
    """Mallory knows the token of a session that was planted; it is another's afterwards."""
    await visitor.log_in(AUTO)
    from tests.login.test_flow import csrf

    old = await csrf(visitor)
    await visitor.log_in(AUTO)
    assert (await visitor.client.post("/logout", data={"csrf": old})).status_code == 403
    assert await is_open(pool, visitor.client.cookies["messo"])


async def test_a_client_applications_token_becomes_no_browsers_session(
    visitor: Visitor, pool: Pool
) -> None:
    """Planted in the browser, it is none before the login, and is not closed by whoever finds it."""
    identity = Identity(make("TSTFIX80A01Y054"), "Anna", "Prova", L2)
    async with pool.transaction() as conn:
        token = await open_session(conn, identity, "client", "app", client_limits(Settings()))
    plant(visitor, messo=token)
    assert (await visitor.client.get("/welcome")).status_code == 401
    await visitor.log_in(AUTO)
    assert visitor.client.cookies["messo"] != token


@pytest.mark.parametrize("level", [L2, L3])
async def test_a_step_up_keeps_nothing_of_the_session_before(
    visitor: Visitor, pool: Pool, running: Running, level: str
) -> None:
    """What was stolen with the lower level does not rise with it."""
    who = make("TSTFIX80A01Y055" if level == L2 else "TSTFIX80A01Y057")
    await visitor.log_in(who)
    low = visitor.client.cookies["messo"]
    flow: LoginFlow = running.started.app.pages.state.site.flow
    address, pending = await flow.begin("/", None, Demand((level,), fresh=True))
    assert sent(address)["acr_values"] == level
    assert sent(address)["prompt"] == "login"
    visitor.client.cookies.set("messo-login", pending, domain="127.0.0.1", path="/")
    callback = await visitor.client.post(address, data={"fiscal_code": who, "level": level})
    back = await visitor.client.get(callback.headers["location"])
    assert back.status_code == 303
    assert not await is_open(pool, low)
    kept = await visitor.client.get("/welcome", headers={"Cookie": f"messo={low}"})
    assert kept.status_code == 401
    async with pool.connection() as conn:
        rows = await conn.raw.fetch("SELECT level FROM login.session WHERE fiscal_code = $1", who)
    assert [row["level"] for row in rows] == [level]


async def test_a_step_up_takes_no_lower_level(visitor: Visitor, running: Running) -> None:
    """Also not one that is enough for an ordinary login here."""
    flow: LoginFlow = running.started.app.pages.state.site.flow
    for given in (L1, L2):
        address, pending = await flow.begin("/", None, Demand((L3,), fresh=False))
        plant(visitor, messo_login=pending)
        callback = await visitor.client.post(address, data={"fiscal_code": AUTO, "level": given})
        back = await visitor.client.get(callback.headers["location"])
        assert back.status_code == 403
        assert "messo" not in visitor.client.cookies


@pytest.mark.parametrize("query", ["", "?code=x", "?state=x", "?code=x&state=x", "?error=x&state="])
async def test_a_callback_that_nobody_began_is_refused(visitor: Visitor, query: str) -> None:
    back = await visitor.client.get(f"/login/callback{query}")
    assert back.status_code == 403
    assert "location" not in back.headers
    assert "messo" not in visitor.client.cookies


async def test_the_victims_browser_takes_no_callback_of_the_attackers_login(
    visitor: Visitor, other: Visitor, pool: Pool
) -> None:
    """Login CSRF: the victim would write messages' data into Mallory's inbox, and not notice."""
    theirs = await other.choose(await other.client.get("/login"), fiscal_code=MANUAL)
    await visitor.log_in(ACTIVATED)
    before = visitor.client.cookies["messo"]
    await visitor.client.get("/login")  # a login of the victim's own is under way
    for _ in range(2):
        back = await visitor.client.get(theirs)
        assert back.status_code == 403
    assert visitor.client.cookies["messo"] == before
    assert await is_open(pool, before)


async def test_a_pending_cookie_of_another_browser_is_useless(
    visitor: Visitor, other: Visitor
) -> None:
    """The victim's state with Mallory's code, and Mallory's state with the victim's cookie."""
    mine = await visitor.choose(await visitor.client.get("/login"), fiscal_code=AUTO)
    theirs = await other.choose(await other.client.get("/login"), fiscal_code=MANUAL)
    mixed = {**sent(mine), "code": sent(theirs)["code"]}
    back = await visitor.client.get(f"/login/callback?{urlencode(mixed)}")
    assert back.status_code == 403  # PKCE and the nonce: the code is of another request
    assert "messo" not in visitor.client.cookies
    again = await visitor.choose(await visitor.client.get("/login"), fiscal_code=AUTO)
    mixed = {**sent(again), "state": sent(theirs)["state"]}
    assert (await visitor.client.get(f"/login/callback?{urlencode(mixed)}")).status_code == 403
    assert "messo" not in visitor.client.cookies


async def test_a_stale_state_is_refused(visitor: Visitor) -> None:
    """The login was begun anew in the same browser: only the newest comes back."""
    first = await visitor.choose(await visitor.client.get("/login"), fiscal_code=AUTO)
    await visitor.client.get("/login")
    assert (await visitor.client.get(first)).status_code == 403
    assert "messo" not in visitor.client.cookies


async def test_a_callback_after_ten_minutes_is_refused(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    callback = await visitor.choose(await visitor.client.get("/login"), fiscal_code=AUTO)
    moment = clock.now() + timedelta(seconds=605)
    with monkeypatch.context() as patched:
        patched.setattr(clock, "now", lambda: moment)
        assert (await visitor.client.get(callback)).status_code == 403
    assert "messo" not in visitor.client.cookies


async def test_of_two_callbacks_at_once_one_logs_in(visitor: Visitor, pool: Pool) -> None:
    who = make("TSTFIX80A01Y056")
    callback = await visitor.choose(await visitor.client.get("/login"), fiscal_code=who)
    cookie = {"Cookie": f"messo-login={visitor.client.cookies['messo-login']}"}
    visitor.client.cookies.clear()
    answers = await asyncio.gather(
        *(visitor.client.get(callback, headers=cookie) for _ in range(10))
    )
    assert sorted(one.status_code for one in answers) == [303] + [403] * 9
    assert len(await ids(pool, who)) == 1


@pytest.mark.parametrize("tampered", ["level", "return_to", "unsealed", "other kind", "code"])
async def test_a_pending_login_of_ones_own_making_is_none(
    visitor: Visitor, secrets: Secrets, tampered: str
) -> None:
    begun = await visitor.client.get("/login")
    callback = await visitor.choose(begun, fiscal_code=AUTO)
    cookie = visitor.client.cookies["messo-login"]
    pending = msgspec.json.decode(secrets.decrypt(cookie), type=Pending)
    forged = {
        # Right in all but the key, or in all but what it was sealed as.
        "level": Secrets({"1": b"x" * 32}).encrypt(
            msgspec.json.encode(msgspec.structs.replace(pending, levels=[L1])).decode()
        ),
        "return_to": cookie[:-8] + "AAAAAAAA",
        "unsealed": msgspec.json.encode(pending).decode(),
        "other kind": secrets.encrypt(
            msgspec.json.encode(pending).decode().replace("login.pending", "sso.asked")
        ),
        "code": secrets.encrypt('{"type":"login.code"}'),
    }
    visitor.client.cookies.clear()
    raw = f"messo-login={forged[tampered]}".encode()
    back = await visitor.client.get(callback, headers=[(b"Cookie", raw)])
    assert back.status_code == 403
    assert "messo" not in visitor.client.cookies


ELSEWHERE = [
    "//evil.example.org",
    "///evil.example.org",
    "////evil.example.org/..",
    "/\\evil.example.org",
    "/\\/evil.example.org",
    "\\/evil.example.org",
    "/%5cevil.example.org\\",
    "/\t/evil.example.org",
    "/\r\n/evil.example.org",
    "/\x0b/evil.example.org",
    "/ /evil.example.org",
    "/\u2028/evil.example.org",
    "/\uff0fevil.example.org",
    "/.\u2044evil.example.org",
    "https://evil.example.org",
    "https:evil.example.org",
    "https:/evil.example.org",
    "HTTPS://evil.example.org",
    "javascript:alert(1)",
    "data:text/html,x",
    "@evil.example.org",
    ":80@evil.example.org",
    ".evil.example.org",
    "evil.example.org",
    "?x=//evil.example.org",
    "#//evil.example.org",
    "/" + "a" * 5000,
    "/\r\nSet-Cookie: a=b",
    "/\x00",
]


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda path: repr(path[:30]))
async def test_no_return_leads_elsewhere(visitor: Visitor, running: Running, path: str) -> None:
    """As a browser resolves it, not only as we wrote it: after a login, and after a failed one."""
    begun = await visitor.client.get(f"/login?return_to={quote(path, safe='')}")
    back = await visitor.client.get(await visitor.choose(begun, fiscal_code=AUTO))
    assert back.status_code == 303
    location = back.headers["location"]
    target = httpx.URL(running.url).join(location)
    assert (target.scheme, target.netloc) == ("http", httpx.URL(running.url).netloc)
    assert location == local_path(location)
    assert "set-cookie: a=b" not in str(back.headers).lower()
    begun = await visitor.client.get(f"/login?return_to={quote(path, safe='')}")
    failed = await visitor.client.get(await visitor.choose(begun, cancel="1"))
    assert failed.status_code == 403
    assert 'href="//' not in failed.text
    assert 'href="http' not in failed.text
    assert "javascript:" not in failed.text


async def test_a_return_that_comes_twice_is_still_ours(visitor: Visitor) -> None:
    begun = await visitor.client.get("/login?return_to=/a&return_to=//evil.example.org")
    back = await visitor.client.get(await visitor.choose(begun, fiscal_code=AUTO))
    assert back.headers["location"] in {"/", "/a"}


async def test_a_return_does_nothing_by_itself(visitor: Visitor, pool: Pool) -> None:
    """Whatever page a link chooses: none of ours changes anything when it is only looked at."""
    for path in ("/logout", "/sso/end-session", "/sso/end-session/answer", "/login/callback"):
        begun = await visitor.client.get(f"/login?return_to={quote(path, safe='')}")
        back = await visitor.client.get(await visitor.choose(begun, fiscal_code=AUTO))
        await visitor.client.get(back.headers["location"])
        assert await is_open(pool, visitor.client.cookies["messo"]), path


async def test_what_is_kept_meanwhile_is_sealed(visitor: Visitor) -> None:
    begun = await visitor.client.get("/login?return_to=/preferences")
    cookie = visitor.client.cookies["messo-login"]
    asked = sent(begun.headers["location"])
    for text in (asked["state"], asked["nonce"], "preferences"):
        assert text not in cookie
    assert "preferences" not in begun.headers["location"]
    assert len(asked["state"]) >= 43
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    assert asked["code_challenge_method"] == "S256"


async def test_no_redirect_of_a_login_keeps_its_method(visitor: Visitor) -> None:
    """RFC 9700, section 4.12: 303, so that no form is sent on."""
    begun = await visitor.client.get("/login")
    callback = await visitor.choose(begun, fiscal_code=AUTO)
    back = await visitor.client.get(callback)
    assert (begun.status_code, back.status_code) == (303, 303)
    for answer in (begun, back):
        assert answer.headers["cache-control"] == "no-store"
    for method in ("POST", "PUT"):
        other: Any = await visitor.client.request(method, callback)
        assert other.status_code in {404, 405}


async def test_the_token_is_in_the_cookie_and_nowhere_else(visitor: Visitor, pool: Pool) -> None:
    back = await visitor.log_in(AUTO)
    token = visitor.client.cookies["messo"]
    assert token not in back.headers["location"] + back.text
    page = await visitor.client.get("/preferences")
    assert token not in page.text
    async with pool.connection() as conn:
        rows = await conn.raw.fetch("SELECT s::text AS line FROM login.session AS s")
        count = await conn.raw.fetchval(
            "SELECT count(*) FROM login.session WHERE digest = $1", key_digest(token)
        )
    assert count == 1
    assert all(token not in row["line"] for row in rows)
    assert parse_qs(urlsplit(back.headers["location"]).query) == {}
