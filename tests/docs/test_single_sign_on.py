"""The how-to of single sign-on: its examples sign citizens on, and its commands do what it says."""

import itertools
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import get_args
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from playwright.sync_api import Page as Window
from playwright.sync_api import expect

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.outbound import Outbound
from messo.base.outward import Sending
from messo.base.postgres import EmbeddedPostgres
from messo.settings import Settings
from messo.sso import discovery, logout, logout_step
from messo.sso.keys import Keys
from messo.sso.logout import Ended
from messo.sso.refusals import Error
from tests.acceptance.installed import CHECKOUT, forget_data, wait_until
from tests.conftest import Running
from tests.docs.test_serve_remote_content import (
    Block,
    Reader,
    a_browser,
    blocks,
    must_be_said,
    sections,
)
from tests.inbox.conftest import LogIn, browse, client, site
from tests.inbox.pages import Browser, Page, citizen
from tests.sso.party import Pending, arrive, decide
from tests.sso.site_told import LOOPBACK
from tests.sso.sites import (
    AUTHLIB,
    DJANGO,
    EXAMPLES,
    OPENID_CLIENT,
    PLAIN,
    Kind,
    RunningSite,
    site_of,
)
from tests.world import World

__all__ = ["browse", "client", "site"]

TEXT = (CHECKOUT / "docs/howto/single-sign-on.md").read_text()
STEPS, REST = sections(TEXT)
# Every block of the steps, by how it begins; whatever else stands there is a mistake of one of us.
SCRIPT = (
    "sh ./bin/run",
    "sh mkdir ../site",
    "sh manage_key=",
    'json { "redirect_uris":',
    "sh .venv/bin/messo service sso register $service --test",
    "text Registered.",
    "sh cd ../site",
    "sh service_key=",
    'json {"id":',
)
# Commands that are left running, each in a terminal of its own, and what they say when they are ready.
RUNNING = {"./bin/run": "Ctrl-C stops everything", "cd ../site\n": "Listening on"}
# What the last step, which is not for a shell, names.
SHOWN = (
    "http://127.0.0.1:8480",
    "Accedi",
    "Ana Kovač",
    "Carta giovani: scegli i tuoi sconti",
    "Choose your discounts",
    "Show Youth card online who you are?",
    "Agree and go on",
    "Hello, Ana Kovač",
    "http://127.0.0.1:8001/logout",
    "Log out of Messo too?",
    "Stay logged in",
    "Do not ask me again for this service",
    "http://127.0.0.1:8001/login",
)
TOLD = [PLAIN, AUTHLIB, DJANGO]  # those that take logouts
_numbers = itertools.count(700)


@pytest.fixture(scope="module")
def settings() -> Settings:
    """Sites on loopback may be live ones in a sandbox."""
    return Settings(rate_limit=100_000, rate_burst=100_000, sandbox=True)


def _name(kind: Kind) -> str:
    return kind.name.replace("-", "_")


OF_THOSE_TOLD = pytest.mark.parametrize("there", TOLD, indirect=True, ids=_name)


@pytest.fixture(scope="module", params=[*TOLD, OPENID_CLIENT], ids=_name)
async def there(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    pool: Pool,
    running: Running,
    world: World,
) -> AsyncIterator[RunningSite]:
    folder = tmp_path_factory.mktemp("site")
    async with site_of(request.param, folder, pool, running, world.anna.id) as started:
        yield started


@dataclass
class Visitor:
    """A citizen: `browser` is their cookies with us, `outside` those with the site."""

    browser: Browser
    outside: httpx.AsyncClient
    there: RunningSite

    async def ask(self) -> Pending:
        """To the site's entrance, and what it sends to us."""
        answer = await self.outside.get(self.there.entrance)
        assert answer.status_code in {302, 303}
        address = answer.headers["location"]
        assert address.startswith(f"{self.browser.client.base_url}".rstrip("/") + "/sso/authorize?")
        query = dict(parse_qsl(urlsplit(address).query))
        for name in ("state", "nonce", "code_challenge"):
            assert len(query[name]) >= 20, name
        return Pending(f"/sso/authorize?{urlsplit(address).query}", query["state"], "", "")

    async def consent(self, *claims: str, action: str = "agree") -> str:
        shown = await arrive(self.browser, await self.ask())
        return await decide(self.browser, shown, *claims, action=action)

    async def back(self, address: str) -> None:
        """The browser is sent back there, and on to wherever the site wants."""
        answer = await self.outside.get(address, follow_redirects=True)
        assert answer.status_code < 500, answer.text

    async def sees(self) -> str:
        return (await self.outside.get(self.there.url + "/")).text

    async def is_in(self) -> bool:
        text = await self.sees()
        assert ("Hello, Ada Prova" in text) is not ("Nobody is logged in" in text)
        return "Hello, Ada Prova" in text


@pytest.fixture
async def ada(pool: Pool, browse: LogIn, there: RunningSite) -> AsyncIterator[Visitor]:
    fiscal_code = await citizen(pool, "EST", next(_numbers), email="ada@example.org")
    async with httpx.AsyncClient(timeout=30) as outside:
        yield Visitor(await browse(fiscal_code), outside, there)


@pytest.mark.anyio
@pytest.mark.parametrize("claims", [(), ("email",)], ids=["without e-mail", "with e-mail"])
async def test_a_citizen_is_signed_on(ada: Visitor, claims: tuple[str, ...]) -> None:
    assert not await ada.is_in()
    await ada.back(await ada.consent(*claims))
    assert await ada.is_in()


@pytest.mark.anyio
async def test_who_refuses_is_nobody_there(ada: Visitor) -> None:
    address = await ada.consent(action="refuse")
    assert "error=access_denied" in address
    await ada.back(address)
    assert not await ada.is_in()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "x" * 43},
        {"iss": "https://evil.example"},
        {"iss": ""},
        {"code": "01ARZ3NDEKTSV4RRFFQ69G5FAV." + "x" * 43},
    ],
    ids=["state", "iss", "no iss", "code"],
)
async def test_an_answer_to_another_question_is_not_believed(
    ada: Visitor, wrong: dict[str, str]
) -> None:
    good = await ada.consent()
    query = {**dict(parse_qsl(urlsplit(good).query)), **wrong}
    given = {name: value for name, value in query.items() if value}
    address = f"{ada.there.url}{ada.there.kind.callback}?{urlencode(given)}"
    answer = await ada.outside.get(address, follow_redirects=True)
    assert answer.status_code >= 400 or ada.there.kind is DJANGO  # Django's shows its own page
    assert not await ada.is_in()


@pytest.mark.anyio
async def test_a_code_is_of_no_use_in_another_browser(ada: Visitor) -> None:
    address = await ada.consent()
    async with httpx.AsyncClient() as outside:
        other = Visitor(ada.browser, outside, ada.there)
        await other.ask()  # it has begun a login of its own
        await other.back(address)
        assert not await other.is_in()
    await ada.back(address)
    assert await ada.is_in()


@pytest.mark.anyio
@OF_THOSE_TOLD
async def test_who_logs_out_there_may_stay_here(ada: Visitor) -> None:
    await ada.back(await ada.consent())
    address = ada.there.url + ada.there.kind.logout
    if ada.there.kind is DJANGO:
        token = re.search(r'value="([^"]+)"', await ada.sees())
        assert token is not None
        answer = await ada.outside.post(address, data={"csrfmiddlewaretoken": token[1]})
    else:
        answer = await ada.outside.get(address)
    assert not await ada.is_in()
    asked = await ada.browser.get(answer.headers["location"])
    form = Page(asked.text).form("/sso/end-session/answer")
    back = await ada.browser.send(form, answer="stay")
    assert back.status_code == 303
    assert back.headers["location"].startswith(f"{ada.there.url}/")
    assert (await ada.browser.get("/")).status_code == 200  # still logged in here


@pytest.mark.anyio
@OF_THOSE_TOLD
async def test_a_site_is_told_of_a_logout(ada: Visitor, pool: Pool, secrets: Secrets) -> None:
    await ada.back(await ada.consent())
    async with pool.transaction() as conn:
        await conn.raw.execute("DELETE FROM work.item WHERE step = 'sso.logout'")  # of other tests
        session = [ada.browser.session_id]
        assert await logout.of_sessions(conn, secrets, ada.browser.fiscal_code, session) == 1
    outbound = Outbound(LOOPBACK)
    issuer = f"{ada.browser.client.base_url}".rstrip("/")
    step = logout_step.step(Keys(pool, secrets), outbound, secrets, issuer)
    assert await Sending(step, pool, pool.buckets).once() == 1
    await outbound.close()
    assert not await ada.is_in()


@pytest.mark.anyio
@OF_THOSE_TOLD
async def test_a_forged_logout_changes_nothing(
    ada: Visitor, pool: Pool, secrets: Secrets, world: World
) -> None:
    await ada.back(await ada.consent())
    issuer = f"{ada.browser.client.base_url}".rstrip("/")
    made = logout_step.token_claims(issuer, world.anna.id, Ended("x", None), clock.now())
    keys = Keys(pool, secrets)
    tokens = [
        "",
        "a.b.c",
        await keys.sign("RS256", {**made, "iss": "https://evil.example"}, logout_step.KIND),
        await keys.sign("RS256", {**made, "aud": "somebody else"}, logout_step.KIND),
        await keys.sign("RS256", {**made, "exp": 1}, logout_step.KIND),
        await keys.sign("RS256", {**made, "events": {}}, logout_step.KIND),
        await keys.sign("RS256", {**made, "nonce": "x"}, logout_step.KIND),
        await keys.sign("RS256", made, "JWT"),
    ]
    for token in tokens:
        answer = await ada.outside.post(
            f"{ada.there.url}/backchannel-logout", data={"logout_token": token}
        )
        assert answer.status_code == 400, token
    assert await ada.is_in()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 120


def test_no_block_has_come_or_gone() -> None:
    found = blocks(STEPS)
    assert len(found) == len(SCRIPT)
    for block, words in zip(found, SCRIPT, strict=True):
        assert block.begins(words), f"expected {words!r}, found {block.body!r}"
    last = STEPS.rpartition("\n6. ")[2]
    for words in SHOWN:
        assert words in last, words


def test_the_rest_names_what_there_is() -> None:
    """Errors, parameters and addresses, as the code has them."""
    about = discovery.document("https://messo.example.org", Settings().login_levels)
    for name in re.findall(r"`/sso/([a-z-]+)`", TEXT):
        assert f"https://messo.example.org/sso/{name}" in about.values(), name
    errors = TEXT.partition("## Errors")[2].partition("## Bounds")[0]
    named = {word for word in re.findall(r"`([a-z_]+)`", errors) if "_" in word}
    said = {"error_description", "client_id", "redirect_uri", "id_token_hint"}
    assert named - said <= set(get_args(Error))
    assert {"access_denied", "consent_required", "invalid_client", "invalid_grant"} <= named
    for level in re.findall(r"acr_values=(\S+?)`", REST):
        assert level in about["acr_values_supported"]


class SiteReader(Reader):
    """Somebody who follows this text; the site's port is theirs, too."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        super().__init__(folder, stack)
        shutil.copytree(EXAMPLES, self.checkout / "docs/howto/single_sign_on")
        self.environment["PORT"] = str(self.town)

    def follow(self, found: list[Block]) -> None:
        said = ""
        for block in found:
            body = self.here(block.body)
            if block.language != "sh":
                # When it was made is another number each time.
                issued = re.search(r'"client_id_issued_at": *(\d+)', said)
                if issued and block.language == "json":
                    body = re.sub(r'(?<="client_id_issued_at": )\d+', issued[1], body)
                must_be_said(block.language, body, said)
            elif ready := next((RUNNING[c] for c in RUNNING if block.body.startswith(c)), None):
                self.leave_running(body, ready)
            else:
                said = self.hands.run(body)


def sign_on_as_ana(reader: SiteReader, page: Window) -> None:
    """The last step, as its words have it."""
    place, h1 = reader.here("http://127.0.0.1:8001"), page.locator("h1")

    def press() -> None:
        page.goto(reader.here("http://127.0.0.1:8480"))
        newest = page.locator("main a[href^='/messages/']").first
        expect(newest).to_contain_text("Carta giovani: scegli i tuoi sconti")
        newest.click()
        page.get_by_role("button", name="Choose your discounts").click()

    page.goto(reader.here("http://127.0.0.1:8480"))
    page.get_by_role("link", name="Accedi").first.click()
    page.get_by_role("button", name="Ana Kovač").click()
    press()
    expect(h1).to_have_text("Show Youth card online who you are?")
    page.get_by_role("button", name="Agree and go on").click()
    page.wait_for_url(f"{place}/")
    expect(page.locator("body")).to_have_text("Hello, Ana Kovač")

    page.goto(f"{place}/logout")
    expect(h1).to_have_text("Log out of Messo too?")
    page.get_by_role("button", name="Stay logged in").click()
    page.wait_for_url(f"{place}/")
    expect(page.locator("body")).to_have_text("Nobody is logged in")

    press()
    page.get_by_label("Do not ask me again for this service").check()
    page.get_by_role("button", name="Agree and go on").click()
    page.wait_for_url(f"{place}/")
    press()
    page.wait_for_url(f"{place}/")
    expect(page.locator("body")).to_have_text("Hello, Ana Kovač")
    page.goto(f"{place}/login")
    expect(h1).to_have_text("Show Youth card online who you are?")


def log_out_here(reader: SiteReader, page: Window) -> None:
    """What the text promises of the back channel."""
    place = reader.here("http://127.0.0.1:8001")
    page.goto(f"{place}/login")
    page.get_by_role("button", name="Agree and go on").click()
    page.wait_for_url(f"{place}/")
    page.goto(reader.here("http://127.0.0.1:8480/"))
    page.locator("form[action='/logout'] button").first.evaluate("button => button.form.submit()")
    page.wait_for_url("**/logged-out")

    def is_told() -> bool:
        page.goto(f"{place}/")
        return "Nobody is logged in" in page.locator("body").inner_text()

    wait_until(is_told, "the site has been told of the logout", every=0.2)


@pytest.mark.acceptance
def test_a_newcomer_signs_a_citizen_on(tmp_path: Path) -> None:
    data = EmbeddedPostgres(tmp_path / "checkout" / "var", 0)
    try:
        with ExitStack() as stack:
            reader = SiteReader(tmp_path, stack)
            reader.follow(blocks(STEPS))
            with a_browser() as page:
                sign_on_as_ana(reader, page)
                log_out_here(reader, page)
    finally:
        forget_data(data)
