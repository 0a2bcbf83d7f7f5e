"""How a citizen must have logged in for a site: level of assurance, recent or anew.

OpenID Connect Core 1.0, section 3.1.2.1; Unmet Authentication Requirements 1.0. The identity
provider is the tests' own, so that it can say whatever a real one could.
"""

import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.inbox.visit import Site
from messo.login import Identity, find_session
from messo.settings import Settings
from messo.sso.authorize import Asked
from messo.sso.clients import find_client
from messo.sso.decision import Back, Citizen, LogIn, Provider
from tests.inbox.pages import Browser, Page, citizen
from tests.login.provider import CITIZEN, Hostile, hostile_provider, sent
from tests.sso.conftest import Register
from tests.sso.party import Party, Pending, decide, keep_cookies
from tests.world import World

pytestmark = pytest.mark.anyio

L1, L2, L3 = (f"https://www.spid.gov.it/SpidL{number}" for number in (1, 2, 3))


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[Hostile]:
    async with hostile_provider() as started:
        yield started


@pytest.fixture(scope="module")
async def settings(provider: Hostile) -> Settings:
    from ipaddress import ip_network

    loopback = (ip_network("127.0.0.0/8"),)
    return Settings(
        rate_limit=100_000,
        rate_burst=100_000,
        login_issuer=provider.url,
        outbound_networks=loopback,
    )


@pytest.fixture
async def stranger(client: httpx.AsyncClient) -> Browser:
    return Browser(client, {}, CITIZEN, "")


async def browser_of(
    pool: Pool, site: Site, client: httpx.AsyncClient, level: str = L2, ago: float | None = None
) -> Browser:
    """A citizen who logged in with this level, so many seconds ago by their provider's word."""
    at = None if ago is None else clock.now() - timedelta(seconds=ago)
    who = await citizen(pool, "LVL", next(_NUMBERS))
    identity = Identity(who, "Ada", "Prova", level, authenticated_at=at)
    async with pool.transaction() as conn:
        token = await site.web.open_session(conn, identity, "Firefox Linux", None)
        session = await find_session(conn, token, site.limits)
    assert session is not None
    return Browser(client, {"messo": token}, who, session.id)


_NUMBERS = iter(range(1, 900))


async def arrive(browser: Browser, pending: Pending) -> httpx.Response:
    """To the question or wherever its page leads."""
    answer = await browser.get(pending.address)
    keep_cookies(browser, answer)
    assert answer.headers["location"].startswith("/sso/consent/")
    return await look(browser, answer.headers["location"])


async def look(browser: Browser, path: str) -> httpx.Response:
    answer = await browser.get(path)
    keep_cookies(browser, answer)
    return answer


async def log_in(
    browser: Browser, provider: Hostile, answer: httpx.Response, **claims: Any
) -> httpx.Response:
    """From the redirect to the provider to what the callback answers."""
    assert answer.status_code == 303, answer.status_code
    assert answer.headers["location"].startswith(f"{provider.url}/authorize?")
    asked = sent(answer.headers["location"])
    provider.nonce, provider.claims = asked["nonce"], {"fiscal_code": browser.fiscal_code, **claims}
    back = await browser.get(f"/login/callback?code=code&state={asked['state']}")
    keep_cookies(browser, back)
    return back


async def finish(browser: Browser, site: Party, pending: Pending, shown: httpx.Response) -> Any:
    """Agree, redeem: the claims of the ID token."""
    assert shown.status_code == 200, shown.status_code
    code = site.answered(await decide(browser, shown), pending.state)["code"]
    tokens = (await site.exchange(code, pending.verifier)).json()
    return await site.claims(tokens["id_token"], pending.nonce)


def is_question(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and 'action="/sso/consent/' in answer.text


async def test_who_is_not_logged_in_comes_back_to_the_question(
    stranger: Browser, provider: Hostile, party: Register
) -> None:
    site = await party()
    pending = site.ask()
    away = await arrive(stranger, pending)
    asked = sent(away.headers["location"])
    assert asked["acr_values"] == f"{L2} {L3}"
    assert "prompt" not in asked
    back = await log_in(stranger, provider, away)
    assert re.fullmatch(r"/sso/consent/[0-9A-Z]{26}", back.headers["location"])
    claims = await finish(stranger, site, pending, await look(stranger, back.headers["location"]))
    assert claims["acr"] == L2


async def test_nothing_of_the_request_is_told_to_the_identity_provider(
    stranger: Browser, provider: Hostile, party: Register
) -> None:
    site = await party()
    pending = site.ask()
    away = (await arrive(stranger, pending)).headers["location"]
    for word in (pending.state, pending.nonce, site.client_id, "sportello", "/sso/"):
        assert word not in away


async def test_the_level_of_a_client_is_a_minimum(
    pool: Pool, site: Site, client: httpx.AsyncClient, party: Register, provider: Hostile
) -> None:
    told = await party(level=L3)
    browser = await browser_of(pool, site, client, L2)
    first = browser.cookies["messo"]
    pending = told.ask()
    away = await arrive(browser, pending)
    asked = sent(away.headers["location"])
    assert asked["acr_values"] == L3
    back = await log_in(browser, provider, away, acr=L3)
    assert browser.cookies["messo"] != first
    claims = await finish(browser, told, pending, await look(browser, back.headers["location"]))
    assert claims["acr"] == L3
    higher = await browser_of(pool, site, client, L3)
    assert is_question(await arrive(higher, told.ask()))


async def test_a_site_cannot_ask_for_less_than_it_registered(
    pool: Pool, site: Site, client: httpx.AsyncClient, party: Register
) -> None:
    told = await party(level=L3)
    browser = await browser_of(pool, site, client, L2)
    away = await arrive(browser, told.ask(acr_values=f"{L1} {L2}"))
    assert sent(away.headers["location"])["acr_values"] == L3


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (L3, L3),
        (f"unknown {L3}", L3),
        (f"{L2} {L3}", None),
        (L2, None),
        (L1, None),
        ("unknown", None),
        ("", None),
        ("x " * 400, None),
    ],
)
async def test_acr_values_step_up(
    pool: Pool,
    site: Site,
    client: httpx.AsyncClient,
    party: Register,
    provider: Hostile,
    values: str,
    wanted: str | None,
) -> None:
    told = await party()
    browser = await browser_of(pool, site, client, L2)
    pending = told.ask(acr_values=values)
    answer = await arrive(browser, pending)
    if wanted is None:
        assert is_question(answer)
        return
    assert sent(answer.headers["location"])["acr_values"] == wanted
    back = await log_in(browser, provider, answer, acr=wanted)
    claims = await finish(browser, told, pending, await look(browser, back.headers["location"]))
    assert claims["acr"] == wanted


async def test_a_step_up_that_brings_too_little_gives_nothing(
    pool: Pool, site: Site, client: httpx.AsyncClient, party: Register, provider: Hostile
) -> None:
    told = await party(level=L3)
    browser = await browser_of(pool, site, client, L2)
    before = browser.cookies["messo"]
    back = await log_in(browser, provider, await arrive(browser, told.ask()), acr=L2)
    assert (back.status_code, "location" in back.headers) == (403, False)
    assert "/sso/consent/" in back.text  # from where one can try again
    assert browser.cookies["messo"] == before


async def test_unmet_after_a_login_that_was_not_for_it(
    stranger: Browser, provider: Hostile, party: Register
) -> None:
    """The citizen logs in in another tab meanwhile, with less: the site is told, no circle."""
    told = await party()
    pending = told.ask(acr_values=L3)
    answer = await stranger.get(pending.address)
    keep_cookies(stranger, answer)
    login = await stranger.get("/login")
    keep_cookies(stranger, login)
    await log_in(stranger, provider, login, acr=L2)
    back = await look(stranger, answer.headers["location"])
    found = told.answered(back.headers["location"], pending.state)
    assert found["error"] == "unmet_authentication_requirements"
    assert "code" not in found


async def test_a_level_that_this_installation_no_longer_knows_is_not_forgotten(
    pool: Pool,
    site: Site,
    client: httpx.AsyncClient,
    party: Register,
    secrets: Secrets,
) -> None:
    """An operator shortens the list of levels: a site that asked for more does not get less."""
    told = await party(level=L3)
    browser = await browser_of(pool, site, client, L2)
    shorter = Provider(secrets, told.issuer, (L2,))
    pending = told.ask()
    asked = Asked(
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        told.client_id,
        told.redirect_uri,
        ["openid"],
        clock.now().timestamp(),
        pending.state,
    )
    async with pool.transaction() as conn:
        assert await find_client(conn, told.client_id) is not None
        session = await find_session(conn, browser.cookies["messo"], site.limits)
        assert session is not None
        step = await shorter.question(conn, asked, Citizen(session, None))
    assert isinstance(step, Back | LogIn)


async def test_prompt_login_asks_anew_and_once(
    pool: Pool, site: Site, client: httpx.AsyncClient, party: Register, provider: Hostile
) -> None:
    told = await party()
    for prompt in ("login", "select_account", "login consent"):
        browser = await browser_of(pool, site, client)
        pending = told.ask(prompt=prompt)
        away = await arrive(browser, pending)
        assert sent(away.headers["location"])["prompt"] == "login"
        back = await log_in(browser, provider, away, auth_time=int(time.time()))
        assert is_question(await look(browser, back.headers["location"]))


async def test_prompt_login_is_not_met_by_a_provider_that_only_remembers(
    pool: Pool, site: Site, client: httpx.AsyncClient, party: Register, provider: Hostile
) -> None:
    """It says itself, by `auth_time`, that nobody proved anything now: the site must not believe it."""
    told = await party()
    browser = await browser_of(pool, site, client)
    pending = told.ask(prompt="login")
    away = await arrive(browser, pending)
    back = await log_in(browser, provider, away, auth_time=int(time.time()) - 3600)
    answer = await look(browser, back.headers["location"])
    assert not is_question(answer)
    found = told.answered(answer.headers["location"], pending.state)
    assert found["error"] in {"login_required", "unmet_authentication_requirements"}


@pytest.mark.parametrize(
    ("max_age", "ago", "enough"),
    [
        (3600, 300, True),
        (60, 300, False),
        (30, 45, False),
        (1, 10, False),
        (0, 10, False),
        (999_999_999, 300, True),
    ],
)
async def test_max_age(
    pool: Pool,
    site: Site,
    client: httpx.AsyncClient,
    party: Register,
    provider: Hostile,
    max_age: int,
    ago: int,
    enough: bool,
) -> None:
    """Sites compare `auth_time` themselves: one that is too old would not let the citizen in."""
    told = await party()
    browser = await browser_of(pool, site, client, ago=ago)
    pending = told.ask(max_age=str(max_age))
    answer = await arrive(browser, pending)
    if not enough:
        assert not is_question(answer), "no login was asked for"
        assert sent(answer.headers["location"])["prompt"] == "login"
        back = await log_in(browser, provider, answer, auth_time=int(time.time()))
        answer = await look(browser, back.headers["location"])
    claims = await finish(browser, told, pending, answer)
    assert claims["auth_time"] >= time.time() - max_age - (ago if enough else 5)


@pytest.mark.parametrize(("said", "told"), [(-1000, -1000), (3600, 0)])
async def test_auth_time_is_when_the_provider_says_but_never_to_come(
    stranger: Browser, provider: Hostile, party: Register, said: int, told: int
) -> None:
    site, now = await party(), int(time.time())
    pending = site.ask()
    away = await arrive(stranger, pending)
    back = await log_in(stranger, provider, away, auth_time=now + said)
    claims = await finish(stranger, site, pending, await look(stranger, back.headers["location"]))
    assert now + told <= claims["auth_time"] <= (now + told if told else time.time())


async def test_max_age_that_the_provider_does_not_meet_is_told_after_one_try(
    pool: Pool, site: Site, client: httpx.AsyncClient, party: Register, provider: Hostile
) -> None:
    told = await party()
    browser = await browser_of(pool, site, client, ago=5000)
    pending = told.ask(max_age="600")
    away = await arrive(browser, pending)
    back = await log_in(browser, provider, away, auth_time=int(time.time()) - 4000)
    answer = await look(browser, back.headers["location"])
    found = told.answered(answer.headers["location"], pending.state)
    assert found["error"] == "unmet_authentication_requirements"


@pytest.mark.parametrize("auth_time", [None, "x", True, 1e300, -1e300, 10**30, -5, [], {}])
async def test_an_auth_time_that_is_none_harms_nobody(
    stranger: Browser, provider: Hostile, party: Register, auth_time: Any
) -> None:
    told = await party()
    pending = told.ask()
    away = await arrive(stranger, pending)
    back = await log_in(stranger, provider, away, auth_time=auth_time)
    claims = await finish(stranger, told, pending, await look(stranger, back.headers["location"]))
    assert claims["auth_time"] <= time.time()


async def test_prompt_none_shows_no_login(
    pool: Pool, site: Site, client: httpx.AsyncClient, party: Register, stranger: Browser
) -> None:
    """In none of the cases in which one would be needed (section 3.1.2.6)."""
    told = await party()
    low = await browser_of(pool, site, client, L2)
    old = await browser_of(pool, site, client, ago=5000)
    for browser, more in (
        (stranger, {}),
        (low, {"acr_values": L3}),
        (old, {"max_age": "60"}),
    ):
        pending = told.ask(prompt="none", **more)
        answer = await arrive(browser, pending)
        found = told.answered(answer.headers["location"], pending.state)
        assert found["error"] == "login_required"
    with_level = await party(level=L3)
    pending = with_level.ask(prompt="none")
    answer = await arrive(low, pending)
    assert with_level.answered(answer.headers["location"], pending.state)["error"] == (
        "login_required"
    )


async def test_another_citizen_may_answer_after_the_login(
    pool: Pool, site: Site, client: httpx.AsyncClient, party: Register, provider: Hostile
) -> None:
    """Who logs in is who is asked: nothing of whoever was there before is handed over."""
    told = await party()
    browser = await browser_of(pool, site, client)
    before = browser.fiscal_code
    other = await citizen(pool, "LVL", next(_NUMBERS))
    pending = told.ask(prompt="login")
    away = await arrive(browser, pending)
    back = await log_in(replace(browser, fiscal_code=other), provider, away)
    shown = await look(browser, back.headers["location"])
    assert other in shown.text
    assert before not in shown.text


@pytest.mark.parametrize("step_up", [False, True])
async def test_a_site_hears_of_a_logout_after_a_step_up_for_another(
    pool: Pool,
    site: Site,
    client: httpx.AsyncClient,
    party: Register,
    provider: Hostile,
    world: World,
    step_up: bool,
) -> None:
    """The step-up replaces the session in which the first site was entered: it is not forgotten."""
    first = await party(backchannel_logout_uri="https://sportello.example.org/logout")
    browser = await browser_of(pool, site, client, L2)
    pending = first.ask()
    await finish(browser, first, pending, await arrive(browser, pending))
    if step_up:
        second = await party(world.bruno.id, level=L3)
        back = await log_in(browser, provider, await arrive(browser, second.ask()), acr=L3)
        assert back.status_code == 303
    page = Page((await look(browser, "/preferences")).text)
    out = await browser.send(page.form("/logout"))
    assert out.status_code == 303
    async with pool.connection() as conn:
        told = await conn.raw.fetchval(
            "SELECT count(*) FROM sso.logout WHERE client_id = $1", first.client_id
        )
        await conn.raw.execute("DELETE FROM sso.logout")
    assert told == 1
