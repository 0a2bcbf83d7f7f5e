"""Logging out there: whether here too is asked, and nobody is sent to an address that is not registered."""

import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.outbound import Outbound
from messo.inbox.visit import Site
from messo.login import list_sessions
from messo.settings import Settings
from messo.sso.keys import Keys
from tests.conftest import Running
from tests.inbox.pages import Browser, Page, check, log_in
from tests.sso.site_told import LOOPBACK, Post, TellingSite, let_in, register, telling
from tests.world import ACTIVATED, AUTO, World

pytestmark = pytest.mark.anyio

PATH = "/sso/end-session"
BACK = "https://comune.example.org/uscita"
WITH_QUERY = "https://comune.example.org/uscita?da=messo"
# Near to the registered one, as a reader would see them; and what browsers follow elsewhere.
ELSEWHERE = [
    "https://evil.example.org/",
    f"{BACK}/",
    f"{BACK}?x=1",
    f"{BACK}#x",
    BACK.upper(),
    "https://comune.example.org",
    "https://comune.example.org/uscita/../evil",
    "https://comune.example.org@evil.example.org/uscita",
    "https://comune.example.org.evil.example.org/uscita",
    "//evil.example.org/uscita",
    "/\\evil.example.org",
    "javascript:alert(1)",
    "data:text/html,x",
    "/",
    " ",
    f"{BACK} ",
    f"{BACK}\r\nSet-Cookie: a=b",
    f"{BACK}\x00",
    "x" * 10_000,
]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(rate_limit=100_000, rate_burst=100_000, outbound_networks=LOOPBACK)


@pytest.fixture
def pages(running: Running) -> Site:
    found: Site = running.started.app.pages.state.site
    return found


@pytest.fixture
async def told(pages: Site) -> AsyncIterator[TellingSite]:
    async with telling(pages.keys) as started:
        yield started


@pytest.fixture
async def post(pool: Pool, world: World, secrets: Secrets, pages: Site) -> AsyncIterator[Post]:
    outbound = Outbound(LOOPBACK)
    made = Post(pool, pages.keys, outbound, secrets)
    yield made
    await made.clear()
    await outbound.close()


@pytest.fixture
async def client_id(pool: Pool, post: Post, told: TellingSite, world: World) -> str:
    registered = [BACK, WITH_QUERY]
    return await register(pool, world.anna.id, told.uri, post_logout_redirect_uris=registered)


@pytest.fixture
async def ada(pool: Pool, pages: Site, running: Running, client_id: str) -> Browser:
    """A citizen who has entered the site and is still logged in here."""
    browser = await log_in(pool, pages, running.client, ACTIVATED)
    await let_in(pool, ACTIVATED, client_id, browser.session_id)
    return browser


@pytest.fixture
async def stranger(running: Running) -> Browser:
    return Browser(running.client, {}, "", "")


def asking(**parameters: str) -> str:
    return f"{PATH}?{urlencode(parameters)}"


async def id_token(keys: Keys, issuer: str, client_id: str, **more: Any) -> str:
    """As the token endpoint issued it a month ago."""
    then = int(time.time()) - 30 * 86_400
    claims = {"iss": issuer, "sub": "somebody", "aud": client_id, "iat": then, "exp": then + 300}
    return await keys.sign("ES256", {**claims, **more})


async def is_open(pool: Pool, pages: Site, browser: Browser) -> bool:
    async with pool.connection() as conn:
        found = await list_sessions(conn, browser.fiscal_code, pages.limits)
    return browser.session_id in {one.id for one in found}


def refused(answer: httpx.Response, said: str, language: str = "it") -> Page:
    """An error page that leads nowhere."""
    assert answer.status_code == 400
    assert "location" not in answer.headers
    page = check(answer.text, language)
    to = [*page.links, *(form.action for form in page.forms)]
    assert all(
        one.startswith("/") and not one.startswith(("//", "/\\")) for one in to if one != "#main"
    )
    assert said in page.text
    return page


def form_of(page: Page, choice: str) -> tuple[str, dict[str, str]]:
    form = page.form(f"{PATH}/answer")
    return form.action, {**form.fields, "answer": choice}


# -- the question


@pytest.mark.parametrize("language", ["it", "en"])
async def test_who_is_logged_in_is_asked(ada: Browser, client_id: str, language: str) -> None:
    ada.cookies["messo-language"] = language
    asked = asking(client_id=client_id, post_logout_redirect_uri=BACK, state="s1")
    page = await ada.page(asked, language)
    assert ("Esci da Messo" if language == "it" else "Log out of Messo") in page.text
    assert "Anagrafe" in page.text
    assert "Comune di Anna" in page.text
    assert page.form(f"{PATH}/answer").fields == {
        "csrf": page.form("/logout").fields["csrf"],
        "client_id": client_id,
        "post_logout_redirect_uri": BACK,
        "state": "s1",
        "answer": "leave",
    }
    # Changing the language comes back to the same question.
    assert page.form("/language").fields["back"] == asked


async def test_the_policy_lets_the_answer_lead_to_the_site_if_there_is_one(
    ada: Browser, client_id: str
) -> None:
    policies = {}
    for name, asked in (
        ("there", asking(client_id=client_id, post_logout_redirect_uri=BACK)),
        ("none", asking(client_id=client_id)),
    ):
        policy = (await ada.get(asked)).headers["content-security-policy"]
        (policies[name],) = [part for part in policy.split("; ") if part.startswith("form-action")]
    # And on from there, wherever the site redirects to: browsers apply it to each hop.
    assert policies["there"].split()[1:] == ["'self'", "https:", "http:"]
    assert policies["none"].split()[1:] == ["'self'"]


@pytest.mark.parametrize("uri", [BACK, WITH_QUERY])
async def test_logging_out_here_too_ends_the_session_and_goes_back(
    ada: Browser, client_id: str, uri: str, pool: Pool, pages: Site, post: Post, told: TellingSite
) -> None:
    asked = asking(client_id=client_id, post_logout_redirect_uri=uri, state="a b&c=")
    action, fields = form_of(await ada.page(asked), "leave")
    answer = await ada.post(action, fields)
    assert answer.status_code == 303
    joint = "&" if "?" in uri else "?"
    assert answer.headers["location"] == f"{uri}{joint}state=a+b%26c%3D"
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    assert answer.headers["clear-site-data"] == '"cache"'
    assert not await is_open(pool, pages, ada)
    await post.round()
    assert [(one.claims["aud"], "sid" in one.claims) for one in told.told] == [(client_id, True)]


async def test_staying_goes_back_and_ends_nothing(
    ada: Browser, client_id: str, pool: Pool, pages: Site, post: Post
) -> None:
    asked = asking(client_id=client_id, post_logout_redirect_uri=BACK, state="s1")
    action, fields = form_of(await ada.page(asked), "stay")
    answer = await ada.post(action, fields)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{BACK}?state=s1")
    assert "set-cookie" not in answer.headers
    assert await is_open(pool, pages, ada)
    assert await post.left() == []


async def test_without_an_address_it_ends_on_our_pages(
    ada: Browser, pool: Pool, pages: Site
) -> None:
    action, fields = form_of(await ada.page(f"{PATH}?state=x&ui_locales=en&logout_hint=x"), "stay")
    assert "state" not in fields
    assert (await ada.post(action, fields)).headers["location"] == "/"
    assert await is_open(pool, pages, ada)
    answer = await ada.post(action, {**fields, "answer": "leave"})
    assert answer.headers["location"] == "/logged-out"
    assert not await is_open(pool, pages, ada)


async def test_who_is_not_logged_in_goes_straight_back(stranger: Browser, client_id: str) -> None:
    asked = asking(client_id=client_id, post_logout_redirect_uri=BACK, state="s1")
    answer = await stranger.get(asked)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{BACK}?state=s1")
    assert answer.headers["cache-control"] == "no-store"
    assert (await stranger.get(PATH)).headers["location"] == "/logged-out"
    assert (await stranger.get(asking(client_id=client_id))).headers["location"] == "/logged-out"


async def test_a_session_that_ended_meanwhile_goes_back_too(
    ada: Browser, client_id: str, pool: Pool
) -> None:
    asked = asking(client_id=client_id, post_logout_redirect_uri=BACK)
    action, fields = form_of(await ada.page(asked), "leave")
    ada.cookies.clear()
    assert (await ada.post(action, fields)).headers["location"] == BACK


@pytest.mark.parametrize("csrf", [None, "", "wrong"])
async def test_without_the_token_nothing_ends(
    ada: Browser, client_id: str, pool: Pool, pages: Site, post: Post, csrf: str | None
) -> None:
    asked = asking(client_id=client_id, post_logout_redirect_uri=BACK)
    action, fields = form_of(await ada.page(asked), "leave")
    fields = {name: value for name, value in fields.items() if name != "csrf"}
    answer = await ada.post(action, fields if csrf is None else {**fields, "csrf": csrf})
    assert answer.status_code == 403
    assert "location" not in answer.headers
    assert await is_open(pool, pages, ada)
    assert await post.left() == []


async def test_looking_at_the_question_ends_nothing(
    ada: Browser, client_id: str, pool: Pool, pages: Site
) -> None:
    for method in ("GET", "HEAD"):
        await ada._ask(method, asking(client_id=client_id, post_logout_redirect_uri=BACK), {})
    assert (await ada.get(f"{PATH}/answer?answer=leave")).status_code == 404
    assert await is_open(pool, pages, ada)


# -- addresses


@pytest.mark.parametrize("uri", ELSEWHERE, ids=lambda uri: repr(uri[:50]))
async def test_an_address_that_is_not_registered_is_never_gone_to(
    ada: Browser, stranger: Browser, client_id: str, uri: str
) -> None:
    given = {"client_id": client_id, "post_logout_redirect_uri": uri}
    page = await ada.page(asking(client_id=client_id))
    for browser in (ada, stranger):
        refused(await browser.get(asking(**given)), "post_logout_redirect_uri must be")
        if "\x00" not in uri:  # no form of ours holds one
            refused(await browser.post(PATH, given), "post_logout_redirect_uri must be")
            _, fields = form_of(page, "stay")
            answer = await browser.post(f"{PATH}/answer", {**fields, **given})
            refused(answer, "post_logout_redirect_uri must be")


async def test_an_address_of_another_client_is_none_of_this_one(
    ada: Browser, client_id: str, pool: Pool, world: World
) -> None:
    other = await register(pool, world.bruno.id, None)
    given = {"client_id": other, "post_logout_redirect_uri": BACK}
    refused(await ada.get(asking(**given)), "post_logout_redirect_uri must be")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"post_logout_redirect_uri": BACK}, "client_id is missing"),
        ({"client_id": "nobody"}, "client_id is not one"),
        ({"client_id": "x" * 5000}, "client_id is not one"),
        ({"client_id": "\x00", "post_logout_redirect_uri": BACK}, "client_id is not one"),
        ({"client_id": "ù", "post_logout_redirect_uri": BACK}, "client_id is not one"),
        ({"state": "x" * 1001}, "state may have"),
        ({"state": "a\nb"}, "state may have"),
        ({"state": "ü"}, "state may have"),
        ({"id_token_hint": "x"}, "id_token_hint is not"),
    ],
)
@pytest.mark.parametrize("language", ["it", "en"])
async def test_what_cannot_be_followed_is_an_error_page(
    ada: Browser, stranger: Browser, parameters: dict[str, str], said: str, language: str
) -> None:
    for browser in (ada, stranger):
        browser.cookies["messo-language"] = language
        page = refused(await browser.get(asking(**parameters)), said, language)
        assert ("/logout" in [form.action for form in page.forms]) is (browser is ada)


async def test_a_suspended_service_has_no_way_back(
    stranger: Browser, client_id: str, pool: Pool
) -> None:
    asked = asking(client_id=client_id, post_logout_redirect_uri=BACK)
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE services.service SET suspended_at = now() WHERE id = $1", client_id
        )
    try:
        refused(await stranger.get(asked), "client_id is not one")
    finally:
        async with pool.transaction() as conn:
            await conn.raw.execute("UPDATE services.service SET suspended_at = NULL")


@pytest.mark.parametrize("name", ["client_id", "post_logout_redirect_uri", "state"])
async def test_nothing_is_given_twice(stranger: Browser, client_id: str, name: str) -> None:
    given = {"client_id": client_id, "post_logout_redirect_uri": BACK, "state": "s1"}
    twice = f"{urlencode(given)}&{urlencode({name: given[name]})}"
    said = f"{name} is given more than once"
    refused(await stranger.get(f"{PATH}?{twice}"), said)
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = await stranger.client.post(
        PATH, content=twice, headers={**form, "Accept-Language": "it"}
    )
    refused(answer, said)


# -- hints


async def test_a_form_of_another_site_is_led_to_the_question_without_its_hint(
    ada: Browser, stranger: Browser, client_id: str, pages: Site, running: Running
) -> None:
    hint = await id_token(pages.keys, running.url, client_id)
    given = {"id_token_hint": hint, "post_logout_redirect_uri": BACK, "state": "s 1"}
    clean = asking(client_id=client_id, post_logout_redirect_uri=BACK, state="s 1")
    # Our cookie is Lax: such a form comes without it.
    answer = await stranger.post(PATH, given)
    assert (answer.status_code, answer.headers["location"]) == (303, clean)
    assert (await stranger.post(PATH, {"state": "x"})).headers["location"] == PATH
    both = await stranger.post(PATH, {**given, "client_id": client_id})
    assert both.headers["location"] == clean
    # In an address it is taken out of it.
    answer = await ada.get(asking(**given))
    assert (answer.status_code, answer.headers["location"]) == (303, clean)


async def test_a_hint_that_names_a_citizen_is_taken_by_post_only(
    stranger: Browser, client_id: str, pool: Pool, pages: Site, running: Running
) -> None:
    await register(
        pool, client_id, None, subject_type="fiscal_code", post_logout_redirect_uris=[BACK]
    )
    hint = await id_token(pages.keys, running.url, client_id, sub=AUTO)
    given = {"id_token_hint": hint, "post_logout_redirect_uri": BACK}
    page = refused(await stranger.get(asking(**given)), "send client_id instead")
    assert "POST" in page.text
    assert hint not in page.text
    refused(await stranger.get(asking(**given, client_id=client_id)), "send client_id instead")
    clean = asking(client_id=client_id, post_logout_redirect_uri=BACK)
    assert (await stranger.post(PATH, given)).headers["location"] == clean


def text_of(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


async def forged(keys: Keys, issuer: str, client_id: str, how: str) -> str:
    """An ID token that is not one of ours."""
    good = await id_token(keys, issuer, client_id)
    head, body, signature = good.split(".")
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    claims = {"iss": issuer, "sub": "x", "aud": client_id}
    theirs = ECKey.generate_key("P-256")
    return {
        "another key": jwt.encode({"alg": "ES256", "kid": "x"}, claims, theirs),
        "our kid, another key": jwt.encode(header, claims, theirs),
        "none": f"{text_of({'alg': 'none', 'typ': 'JWT'})}.{body}.",
        "our public key as a secret": jwt.encode(
            {**header, "alg": "HS256"}, claims, OctKey.import_key(json.dumps(await keys.jwks()))
        ),
        "another algorithm": f"{text_of({**header, 'alg': 'RS256'})}.{body}.{signature}",
        "changed": f"{head}.{text_of({**claims, 'aud': 'another'})}.{signature}",
        "a logout token": await keys.sign("ES256", claims, "logout+jwt"),
        "another issuer": await id_token(keys, "https://evil.example.org", client_id),
        "several audiences": await id_token(keys, issuer, client_id, aud=[client_id, "another"]),
        "no audience": await keys.sign("ES256", {"iss": issuer, "sub": "x"}),
        "not ASCII": "ü.ü.ü",
        "long": await id_token(keys, issuer, client_id, more="A" * 4000),
        "cut": f"{head}.{body}",
        "no signature": f"{head}.{body}.",
        "a list": f"{text_of([])}.{text_of([])}.{signature}",
        "deep": f"{text_of([])}.{base64.urlsafe_b64encode(b'[' * 900).decode()}.{signature}",
    }[how]


HOW = [
    "another key",
    "our kid, another key",
    "none",
    "our public key as a secret",
    "another algorithm",
    "changed",
    "a logout token",
    "another issuer",
    "several audiences",
    "no audience",
    "not ASCII",
    "long",
    "cut",
    "no signature",
    "a list",
    "deep",
]


@pytest.mark.parametrize("how", HOW)
async def test_a_hint_that_we_did_not_issue_is_refused(
    stranger: Browser, client_id: str, pages: Site, running: Running, how: str
) -> None:
    hint = await forged(pages.keys, running.url, client_id, how)
    given = {"id_token_hint": hint, "post_logout_redirect_uri": BACK, "client_id": client_id}
    for answer in (await stranger.get(asking(**given)), await stranger.post(PATH, given)):
        page = refused(answer, "id_token_hint is not an ID token that was issued here")
        assert hint not in page.text


async def test_a_hint_for_another_client_is_refused(
    stranger: Browser, client_id: str, pool: Pool, world: World, pages: Site, running: Running
) -> None:
    other = await register(pool, world.bruno.id, None)
    hint = await id_token(pages.keys, running.url, other)
    given = {"id_token_hint": hint, "client_id": client_id, "post_logout_redirect_uri": BACK}
    for answer in (await stranger.get(asking(**given)), await stranger.post(PATH, given)):
        refused(answer, "id_token_hint was issued for another client_id")


async def test_a_body_that_is_no_form_is_refused(stranger: Browser) -> None:
    answer = await stranger.client.post(PATH, json={"client_id": "x"})
    assert answer.status_code == 415
    assert "location" not in answer.headers
