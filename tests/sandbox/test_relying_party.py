"""The sandbox's relying party: signed on to, told of logouts, and hard to fool."""

import itertools
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import pytest

from messo.base import clock
from messo.base.crypto import Secrets, key_digest
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.base.outbound import Outbound
from messo.base.outward import Sending
from messo.inbox.visit import Site
from messo.sandbox import configured, openid, relying_party
from messo.services.catalog import read_service
from messo.settings import Settings
from messo.sso import logout, logout_step, registration
from messo.sso.client_wire import SsoClient
from messo.sso.keys import Keys
from messo.sso.logout import Ended
from tests.conftest import Running
from tests.inbox.conftest import site
from tests.inbox.pages import Page, citizen, log_in
from tests.world import World

__all__ = ["site"]
pytestmark = pytest.mark.anyio

PATH = relying_party.PATH
INLINE = re.compile(r"<script|<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:", re.IGNORECASE)
_numbers = itertools.count(500)


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(rate_limit=100_000, rate_burst=100_000, sandbox=True)


@pytest.fixture(scope="module")
async def address(pool: Pool, secrets: Secrets, running: Running, world: World) -> str:
    async with pool.transaction() as conn:
        found = await configured.put_relying_party(
            conn, secrets, running.settings, "tests", world.anna.id
        )
    assert found == running.url + PATH
    return found


@dataclass
class Visitor:
    """A citizen at a browser that keeps cookies, and goes on only when it is told to."""

    browser: httpx.AsyncClient
    base: str
    fiscal_code: str
    session_id: str

    async def get(self, address: str) -> httpx.Response:
        return await self.browser.get(address, headers={"Accept-Language": "en"})

    async def to_question(self, more: str = "") -> httpx.Response:
        """From the site's first page to ours that asks."""
        answer = await self.get(self.base + PATH + more)
        while answer.status_code == 303 and "/sandbox/identity" not in answer.headers["location"]:
            answer = await self.get(answer.headers["location"])
        return answer

    async def decide(self, shown: httpx.Response, action: str = "agree", *claims: str) -> str:
        """The address that our page sends the browser to."""
        assert shown.status_code == 200, shown.text
        form = next(one for one in Page(shown.text).forms if one.action.startswith("/sso/consent/"))
        fields = {"csrf": form.fields["csrf"], "action": action, "claim": list(claims)}
        answer = await self.browser.post(form.action, data=fields)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def enter(self, *claims: str) -> httpx.Response:
        """Signed on; the page that the site shows then."""
        back = await self.get(await self.decide(await self.to_question(), "agree", *claims))
        assert back.status_code == 303, back.text
        return await self.get(back.headers["location"])

    async def inside(self) -> bool:
        page = await self.get(f"{PATH}/area")
        return "Good day" in page.text


Visit = Callable[..., Awaitable[Visitor]]


@pytest.fixture
async def visit(pool: Pool, site: Site, running: Running, address: str) -> AsyncIterator[Visit]:
    opened: list[httpx.AsyncClient] = []

    async def begin(**more: Any) -> Visitor:
        fiscal_code = await citizen(pool, "SPT", next(_numbers), **more)
        browser = await log_in(pool, site, running.client, fiscal_code)
        client = httpx.AsyncClient(base_url=running.url, timeout=30)
        for name, value in browser.cookies.items():
            client.cookies.set(name, value, "127.0.0.1", "/")
        opened.append(client)
        return Visitor(client, running.url, fiscal_code, browser.session_id)

    yield begin
    for client in opened:
        await client.aclose()


async def test_it_shows_whom_it_believes_to_see(visit: Visit, running: Running) -> None:
    ada = await visit()
    page = await ada.enter()
    assert page.status_code == 200
    for text in ("Good day, Ada Prova", ada.fiscal_code, "SPID level 2", running.url, "RS256"):
        assert text in page.text
    assert "You did not give us: E-mail address." in page.text
    assert Page(page.text).inline == []
    assert not INLINE.search(page.text)
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


async def test_it_asks_at_once_with_all_that_protects_a_login(visit: Visit) -> None:
    """A direct redirect, each time with other values, and nothing readable in the cookie."""
    ada = await visit()
    asked = []
    for _ in range(2):
        answer = await ada.get(PATH)
        assert answer.status_code == 303
        query = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
        assert urlsplit(answer.headers["location"]).path == "/sso/authorize"
        assert query["code_challenge_method"] == "S256"
        asked += [query["state"], query["nonce"], query["code_challenge"]]
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert f"Path={PATH}" in cookie
        assert not [value for value in asked if value in cookie]
    assert len(set(asked)) == 6


async def test_optional_data_are_shown_when_they_are_given(visit: Visit) -> None:
    ada = await visit(email="ada@example.org", is_email_validated=True)
    page = await ada.enter("email")
    assert "ada@example.org" in page.text
    assert "You did not give us" not in page.text


async def test_a_refusal_is_taken_kindly(visit: Visit) -> None:
    ada = await visit()
    back = await ada.get(await ada.decide(await ada.to_question(), "refuse"))
    assert back.status_code == 200
    assert "You did not let us know who you are" in back.text
    assert "access_denied" in back.text
    assert not await ada.inside()


@pytest.mark.parametrize("trial", ["silent", "level", "fresh"])
async def test_what_the_page_offers_to_try_works(visit: Visit, trial: str) -> None:
    ada = await visit()
    shown = await ada.to_question(f"?try={trial}")
    if trial == "silent":
        assert "Messo has to ask you first" in shown.text
    else:
        asked = parse_qs(urlsplit(shown.headers["location"]).query)
        assert shown.status_code == 303
        assert asked["acr_values"] == (
            ["https://www.spid.gov.it/SpidL3"]
            if trial == "level"
            else ["https://www.spid.gov.it/SpidL2 https://www.spid.gov.it/SpidL3"]
        )


async def test_answers_that_are_not_to_its_question_are_not_believed(visit: Visit) -> None:
    ada, other = await visit(), await visit()
    good = await ada.decide(await ada.to_question())
    parts = dict(parse_qsl(urlsplit(good).query))
    for wrong in ({"state": "x"}, {"iss": "https://evil.example"}, {"state": ""}, {"iss": ""}):
        address = f"{PATH}/callback?{urlencode({**parts, **wrong})}"
        cookies = dict(ada.browser.cookies)
        answer = await ada.get(address)
        assert answer.status_code == 400, wrong
        for name, value in cookies.items():  # a wrong answer ends the login that has begun
            if name not in ada.browser.cookies:
                ada.browser.cookies.set(name, value, "127.0.0.1", PATH)
        assert not await ada.inside()
    # Somebody else's browser, which asked nothing of the kind.
    assert (await other.get(good)).status_code == 400
    assert not await other.inside()
    assert (await ada.get(good)).status_code == 303
    assert await ada.inside()
    assert (await ada.get(good)).status_code == 400  # and once


async def test_logging_out_ends_the_session_and_asks_about_ours(visit: Visit) -> None:
    ada = await visit()
    await ada.enter()
    answer = await ada.browser.post(f"{PATH}/logout")
    assert answer.status_code == 303
    assert not await ada.inside()
    asked = await ada.get(answer.headers["location"])
    assert asked.status_code == 200
    form = Page(asked.text).form("/sso/end-session/answer")
    done = await ada.browser.post(form.action, data={**form.fields, "answer": "stay"})
    assert done.headers["location"] == ada.base + relying_party.AFTER
    goodbye = await ada.get(done.headers["location"])
    assert "You are not logged in" in goodbye.text


async def test_it_is_told_of_logouts(
    visit: Visit, pool: Pool, secrets: Secrets, running: Running, world: World
) -> None:
    """Of the login that ended, and of no other."""
    ada, other = await visit(), await visit()
    await ada.enter()
    await other.enter()
    async with pool.transaction() as conn:
        told = await logout.of_sessions(conn, secrets, ada.fiscal_code, [ada.session_id])
    assert told == 1
    outbound = Outbound(openid.LOOPBACK)
    step = logout_step.step(Keys(pool, secrets), outbound, secrets, running.url)
    assert await Sending(step, pool, pool.buckets).once() == 1
    await outbound.close()
    async with pool.connection() as conn:
        assert await conn.raw.fetchval("SELECT count(*) FROM sso.logout") == 0
    assert not await ada.inside()
    assert await other.inside()


WRONG: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"},
    "another audience": {"aud": "01ARZ3NDEKTSV4RRFFQ69G5FAV"},
    "a nonce": {"nonce": "x"},
    "no event": {"events": {}},
    "an event that is no object": {"events": {logout_step.EVENT: True}},
    "nobody": {"sub": None, "sid": None},
    "no jti": {"jti": None},
    "too old": {"iat": int(time.time()) - 3600},
    "expired": {"exp": int(time.time()) - 3600},
    "a sub that is no text": {"sub": ["x"]},
}


async def tell(running: Running, token: str, status: int) -> None:
    answer = await running.client.post(relying_party.LOGOUT, data={"logout_token": token})
    assert answer.status_code == status, answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("wrong", WRONG)
async def test_logout_tokens_are_checked(
    visit: Visit, pool: Pool, secrets: Secrets, running: Running, world: World, wrong: str
) -> None:
    """Back-Channel Logout 1.0, section 2.6."""
    ada = await visit()
    page = await ada.enter()
    sub = re.search(r'Our number for you</dt>\s*<dd class="code">([^<]+)', page.text)
    assert sub is not None
    ended = Ended(sub.group(1), None)
    made = logout_step.token_claims(running.url, world.anna.id, ended, clock.now())
    claims = {name: value for name, value in {**made, **WRONG[wrong]}.items() if value is not None}
    keys = Keys(pool, secrets)
    await tell(running, await keys.sign("RS256", claims, logout_step.KIND), 400)
    # The same without what is wrong, but as a token of another kind; and signed by nobody.
    await tell(running, await keys.sign("RS256", made, "JWT"), 400)
    head, body, _ = (await keys.sign("RS256", made, logout_step.KIND)).split(".")
    await tell(running, f"{head}.{body}.", 400)
    assert await ada.inside()
    good = await keys.sign("RS256", {**made, "jti": new_id()}, logout_step.KIND)
    await tell(running, good, 200)
    assert not await ada.inside()
    await tell(running, good, 400)  # once


async def test_rubbish_is_refused(running: Running, address: str) -> None:
    for body in ("", "logout_token=a&logout_token=b", "logout_token=%FF", "x" * 20_000):
        answer = await running.client.post(relying_party.LOGOUT, content=body)
        assert answer.status_code == 400, body
    for query in ("", "?code=a&state=b", "?error=access_denied", "?state=%00&iss=%C3%A8"):
        answer = await running.client.get(f"{PATH}/callback{query}")
        assert answer.status_code == 400, query


async def test_it_is_registered_anew_at_each_start(
    pool: Pool, secrets: Secrets, running: Running, world: World, address: str
) -> None:
    async def put(with_secrets: Secrets, **changed: Any) -> str | None:
        async with pool.transaction() as conn:
            return await configured.put_relying_party(
                conn, with_secrets, replace(running.settings, **changed), "tests", world.bruno.id
            )

    async def read() -> SsoClient:
        rules = registration.Rules(running.url, (), sandbox=True)
        asked = registration.Asked(None, world.bruno.id, "live")
        async with pool.connection() as conn:
            return await registration.read(conn, rules, asked)

    # Not ours: a sandbox on another machine without encryption has none.
    assert await put(secrets, public_url="http://192.0.2.1:8480") is None
    moved = "http://127.0.0.1:9999"
    assert await put(secrets, public_url=moved, port=9999) == moved + PATH
    client = await read()
    assert [one.uri for one in client.redirect_uris] == [moved + relying_party.CALLBACK]
    assert client.backchannel_logout_uri == moved + relying_party.LOGOUT
    async with pool.connection() as conn:
        service = await read_service(conn, world.bruno.id)
    assert service is not None
    assert f'"iosso://{moved}{PATH}"' in service.metadata["cta"]
    # Under other installation secrets it is another secret, and that one is good.
    other = Secrets.parse("new:" + "A" * 43 + "=")
    assert await put(other, public_url=moved, port=9999) == moved + PATH
    async with pool.connection() as conn:
        digest = await conn.raw.fetchval(
            "SELECT secret_digest FROM sso.client WHERE id = $1", world.bruno.id
        )
    assert digest == key_digest(relying_party.client_secret(other))
    # What people have registered for the service is theirs.
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE sso.client SET redirects = "
            '\'[{"uri": "https://mine.example.org/back", "it": "Il mio sito"}]\' WHERE id = $1',
            world.bruno.id,
        )
    assert await put(secrets) is None
    assert [one.uri for one in (await read()).redirect_uris] == ["https://mine.example.org/back"]
