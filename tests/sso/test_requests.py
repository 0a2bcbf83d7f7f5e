"""What a site asks for and what comes of it: data, consents, prompts, and requests that are hostile."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from messo.base import clock, log
from messo.base.crypto import key_digest
from messo.base.db import Pool
from messo.sso import launch
from tests.conftest import Running
from tests.inbox.conftest import LogIn
from tests.inbox.pages import Browser, Page, citizen
from tests.sso.conftest import Register
from tests.sso.party import CALLBACK, Party, arrive, consent, decide, keep_cookies, query_of
from tests.sso.test_rfc9700_codes import code_for, outcome_of, refused
from tests.world import World

pytestmark = pytest.mark.anyio

ALL = "openid profile email"
MAIL = "ada@example.org"


@pytest.fixture
async def ada(pool: Pool, browse: LogIn) -> Browser:
    """A citizen with an e-mail address."""
    who = await citizen(pool, "ADA", next(_NUMBERS), email=MAIL, is_email_validated=True)
    return await browse(who)


_NUMBERS = iter(range(1, 900))


async def told(browser: Browser, site: Party, scope: str, *claims: str) -> dict[str, Any]:
    """What userinfo says after a consent with these ticked."""
    pending = site.ask(scope)
    code = site.answered(await consent(browser, pending, *claims), pending.state)["code"]
    tokens = (await site.exchange(code, pending.verifier)).json()
    found: dict[str, Any] = (await site.userinfo(tokens["access_token"])).json()
    return {"scope": tokens["scope"], **found}


async def test_email_only_if_it_is_ticked(ada: Browser, party: Register) -> None:
    site = await party()
    without = await told(ada, site, ALL)
    assert "email" not in without
    assert "email_verified" not in without
    assert without["scope"] == "openid profile"
    with_it = await told(ada, site, ALL, "email")
    assert (with_it["email"], with_it["email_verified"]) == (MAIL, True)
    assert with_it["scope"] == ALL


async def test_who_has_no_email_is_not_asked_for_one(giulia: Browser, party: Register) -> None:
    site = await party()
    shown = await arrive(giulia, site.ask(ALL))
    assert "claim-email" not in shown.text
    found = await told(giulia, site, ALL, "email")
    assert "email" not in found
    assert found["scope"] == "openid profile"


async def test_nothing_is_handed_over_that_was_not_asked_for(ada: Browser, party: Register) -> None:
    """Whoever adds fields to the form adds nothing to the consent."""
    site = await party()
    assert set(await told(ada, site, "openid", "email", "fiscal_code", "given_name")) == {
        "scope",
        "sub",
    }
    found = await told(ada, site, "openid profile", "email", "address", "\x01", "sub")
    assert set(found) == {"scope", "sub", "fiscal_code", "given_name", "family_name"}


async def test_what_a_site_calls_optional_may_be_refused(ada: Browser, party: Register) -> None:
    site = await party(optional_claims=["family_name", "fiscal_code"])
    found = await told(ada, site, ALL)
    assert set(found) == {"scope", "sub", "given_name"}
    found = await told(ada, site, ALL, "fiscal_code")
    assert set(found) == {"scope", "sub", "given_name", "fiscal_code"}


async def test_no_box_is_ticked_before_the_citizen_ticks_it(ada: Browser, party: Register) -> None:
    site = await party(optional_claims=["family_name"])
    shown = await arrive(ada, site.ask(ALL))
    form = next(one for one in Page(shown.text).forms if one.action.startswith("/sso/"))
    assert "claim" not in form.fields
    assert "remember" not in form.fields


@pytest.mark.parametrize("scope", ["lollipop", "offline_access", "lollipop offline_access x"])
async def test_scopes_that_are_not_granted_do_no_harm(
    giulia: Browser, party: Register, scope: str
) -> None:
    """Sites built for the reference platform ask for its device key."""
    site = await party()
    found = await told(giulia, site, f"openid profile {scope}")
    assert found["scope"] == "openid profile"
    assert set(found) == {"scope", "sub", "fiscal_code", "given_name", "family_name"}


@pytest.mark.parametrize("scope", ["", "profile", "OpenID", "openid,profile", "x" * 5000, "\x00"])
async def test_a_scope_without_openid_is_an_error(
    giulia: Browser, party: Register, scope: str
) -> None:
    site = await party()
    pending = site.ask(scope)
    answer = await giulia.get(pending.address)
    found = site.answered(answer.headers["location"], pending.state)
    assert found["error"] in {"invalid_scope", "invalid_request"}


async def test_a_refusal_is_told_to_the_site(giulia: Browser, party: Register, pool: Pool) -> None:
    site = await party()
    pending = site.ask()
    address = await consent(giulia, pending, action="refuse")
    found = site.answered(address, pending.state)
    assert (found["error"], found["state"], found["iss"]) == (
        "access_denied",
        pending.state,
        site.issuer,
    )
    assert await outcome_of(pool, giulia) == ["refused"]


async def test_the_page_may_be_loaded_again(giulia: Browser, party: Register, pool: Pool) -> None:
    site = await party()
    pending = site.ask()
    shown = await arrive(giulia, pending)
    again = await giulia.get(str(shown.request.url))
    assert again.status_code == 200
    assert await outcome_of(pool, giulia) == ["requested"]
    address = await decide(giulia, again)
    assert "code" in site.answered(address, pending.state)


async def test_two_questions_in_two_tabs(
    giulia: Browser, party: Register, world: World, pool: Pool
) -> None:
    site, other = await party(), await party(world.bruno.id)
    one, two = site.ask(), other.ask()
    first, second = await arrive(giulia, one), await arrive(giulia, two)
    code = other.answered(await decide(giulia, second), two.state)["code"]
    assert (await other.exchange(code, two.verifier)).status_code == 200
    code = site.answered(await decide(giulia, first), one.state)["code"]
    assert (await site.exchange(code, one.verifier)).status_code == 200
    assert await outcome_of(pool, giulia) == ["redeemed", "redeemed"]


async def leave(pool: Pool, browser: Browser, world: World) -> int:
    """As a button of a message does."""
    async with pool.transaction() as conn:
        digest = key_digest(browser.cookies["messo"])
        return await launch.leave(conn, digest, world.anna.id, CALLBACK, None)


async def silently(browser: Browser, site: Party, **more: Any) -> dict[str, str]:
    """What prompt=none brings."""
    pending = site.ask(prompt="none", **more)
    answer = await arrive(browser, pending)
    return site.answered(answer.headers["location"], pending.state)


async def test_only_a_ticket_makes_a_remembered_consent_silent(
    giulia: Browser, party: Register, pool: Pool, world: World
) -> None:
    site = await party()
    await leave(pool, giulia, world)
    assert (await silently(giulia, site))["error"] == "consent_required"  # nothing remembered
    await consent(giulia, site.ask(), remember=True)
    assert (await silently(giulia, site))["error"] == "consent_required"  # no ticket
    shown = await arrive(giulia, site.ask())
    assert shown.status_code == 200  # and without prompt=none it asks
    await leave(pool, giulia, world)
    assert "code" in await silently(giulia, site)
    assert (await silently(giulia, site))["error"] == "consent_required"  # the ticket is used up
    await leave(pool, giulia, world)
    pending = site.ask()
    answer = await arrive(giulia, pending)
    assert "code" in site.answered(answer.headers["location"], pending.state)


async def test_a_ticket_of_another_session_or_too_old_is_none(
    giulia: Browser,
    party: Register,
    pool: Pool,
    world: World,
    browse: LogIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = await party()
    await consent(giulia, site.ask(), remember=True)
    again = await browse(giulia.fiscal_code)
    await leave(pool, giulia, world)
    assert (await silently(again, site))["error"] == "consent_required"
    moment = clock.now() + timedelta(seconds=121)
    with monkeypatch.context() as patched:
        patched.setattr(clock, "now", lambda: moment)
        assert (await silently(giulia, site))["error"] == "consent_required"


async def test_a_consent_that_is_not_remembered_or_too_old_asks(
    giulia: Browser,
    party: Register,
    pool: Pool,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = await party()
    await consent(giulia, site.ask())
    await leave(pool, giulia, world)
    assert (await silently(giulia, site))["error"] == "consent_required"
    await consent(giulia, site.ask(), remember=True)
    async with pool.connection() as conn:
        done = await conn.raw.execute(
            "UPDATE sso.consent SET expires_at = now() WHERE fiscal_code = $1", giulia.fiscal_code
        )
    assert done == "UPDATE 1"
    await leave(pool, giulia, world)
    assert (await silently(giulia, site))["error"] == "consent_required"


async def test_saying_no_to_remembering_forgets(
    giulia: Browser, party: Register, pool: Pool, world: World
) -> None:
    site = await party()
    await consent(giulia, site.ask(), remember=True)
    await consent(giulia, site.ask(), remember=False)
    await leave(pool, giulia, world)
    assert (await silently(giulia, site))["error"] == "consent_required"


async def test_more_data_than_were_agreed_to_ask(
    ada: Browser, party: Register, pool: Pool, world: World
) -> None:
    site = await party()
    await consent(ada, site.ask("openid"), remember=True)
    await leave(pool, ada, world)
    assert (await silently(ada, site, scope="openid profile"))["error"] == "consent_required"
    await consent(ada, site.ask(ALL), remember=True)  # the address was not ticked
    await leave(pool, ada, world)
    pending = site.ask(ALL)
    answer = await arrive(ada, pending)
    code = site.answered(answer.headers["location"], pending.state)["code"]
    tokens = (await site.exchange(code, pending.verifier)).json()
    assert "email" not in (await site.userinfo(tokens["access_token"])).json()


async def test_a_sub_that_becomes_the_fiscal_code_asks(
    giulia: Browser, party: Register, pool: Pool, world: World
) -> None:
    site = await party()
    await consent(giulia, site.ask("openid"), remember=True)
    site = await party(subject_type="fiscal_code")
    await leave(pool, giulia, world)
    assert (await silently(giulia, site, scope="openid"))["error"] == "consent_required"


async def test_prompt_consent_asks_whatever_is_remembered(
    giulia: Browser, party: Register, pool: Pool, world: World
) -> None:
    site = await party()
    await consent(giulia, site.ask(), remember=True)
    await leave(pool, giulia, world)
    assert (await arrive(giulia, site.ask(prompt="consent"))).status_code == 200


@pytest.mark.parametrize("whose", ["own", "another's"])
async def test_who_an_id_token_hint_names_is_who_is_signed_on_or_nobody(
    giulia: Browser, ada: Browser, party: Register, pool: Pool, world: World, whose: str
) -> None:
    """OpenID Connect Core 1.0, section 3.1.2.1: for somebody else there must be an error. A site
    that renews its visitor's login in the background would take on whoever sits there now."""
    site = await party()
    named = ada if whose == "own" else giulia
    pending = site.ask()
    code = site.answered(await consent(named, pending), pending.state)["code"]
    hint = (await site.exchange(code, pending.verifier)).json()["id_token"]
    await consent(ada, site.ask(), remember=True)
    await leave(pool, ada, world)
    found = await silently(ada, site, id_token_hint=hint)
    if whose == "own":
        assert "code" in found
    else:
        assert (found.get("error"), "code" in found) == ("login_required", False)


@pytest.mark.parametrize("prompt", ["none login", "none none", "x", "login x", "login\x00", "é"])
async def test_prompts_that_contradict_are_refused(
    giulia: Browser, party: Register, prompt: str
) -> None:
    site = await party()
    pending = site.ask(prompt=prompt)
    answer = await giulia.get(pending.address)
    found = site.answered(answer.headers["location"], pending.state)
    assert found["error"] == "invalid_request"


@pytest.mark.parametrize("age", ["-1", "1.5", "x", " 1", "1e3", "１２", "9" * 10, "9" * 5000])
async def test_a_max_age_that_is_no_number_is_refused(
    giulia: Browser, party: Register, age: str
) -> None:
    site = await party()
    answer = await giulia.get(site.ask(max_age=age).address)
    assert query_of(answer.headers["location"])["error"] == ["invalid_request"]


def is_refused(answer: httpx.Response) -> None:
    """400, or back to the site with an error: never 500, and no way into this page."""
    assert answer.status_code in {303, 400, 413, 414, 431}, (answer.status_code, answer.text[:300])
    if answer.status_code == 303 and not answer.headers["location"].startswith("/sso/consent/"):
        assert answer.headers["location"].startswith(CALLBACK)
        assert "error" in query_of(answer.headers["location"])


HOSTILE = ["\x00", "é", "\ud800", "\u202e", "%", "\r\nX: y", "<script>", "x" * 2000, "x" * 20_000]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value[:10]))
@pytest.mark.parametrize(
    "name",
    [
        *("client_id", "redirect_uri", "response_type", "scope", "state", "nonce"),
        *("code_challenge", "code_challenge_method", "prompt", "max_age", "acr_values"),
        *("display", "ui_locales", "login_hint", "id_token_hint", "claims", "response_mode", "x"),
    ],
)
async def test_a_hostile_parameter_is_refused_or_passed_over(
    giulia: Browser, party: Register, name: str, value: str
) -> None:
    site = await party(request_protection="none")
    values = dict(parse_qsl(urlsplit(site.ask().address).query))
    text = urlencode({**values, name: value}, errors="surrogatepass")
    is_refused(await giulia.get(f"/sso/authorize?{text}"))
    giulia.cookies = {"messo": giulia.cookies["messo"]}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    is_refused(await giulia._ask("POST", "/sso/authorize", form, content=text.encode()))


@pytest.mark.parametrize(
    "make",
    [
        lambda query: query + "&a=" * 10_000,
        lambda query: "&".join(f"a{n}=" for n in range(60)) + "&" + query,
        lambda query: query + "&" * 5000,
        lambda query: query + "&state%5B%5D=a&state%5B%5D=b",
        lambda query: query.replace("scope=", "scope[]="),
        lambda query: query + "&x=%ff%fe",
        lambda query: query + "&%ff=x",
        lambda query: query.replace("state=", "state=%ff"),
        lambda query: query.replace("nonce=", "nonce=%ED%A0%80"),
        lambda query: query + ";scope=x",
        lambda query: query + "&x=%zz%",
        lambda _: "",
        lambda _: "=" * 10_000,
        lambda _: "%",
        lambda _: "\\",
        lambda query: query + "#" + query,
    ],
)
async def test_a_hostile_query_is_refused_or_passed_over(
    giulia: Browser, party: Register, make: Callable[[str], str]
) -> None:
    site = await party()
    text = make(urlsplit(site.ask().address).query)
    is_refused(await giulia.get(f"/sso/authorize?{text}"))
    giulia.cookies = {"messo": giulia.cookies["messo"]}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    is_refused(await giulia._ask("POST", "/sso/authorize", form, content=text.encode()))


@pytest.mark.parametrize("place", ["query", "path", "page"])
@pytest.mark.parametrize("raw", [b"\xff", b"\xc3\xa9", b"\xed\xa0\x80", b"\x80%ff"])
async def test_bytes_that_no_browser_sends_are_refused(
    running: Running, party: Register, place: str, raw: bytes
) -> None:
    """Not percent-encoded, as scanners send them."""
    site = await party()
    address = site.ask().address.encode()
    targets = {
        "query": address + b"&x=" + raw,
        "path": b"/sso/consent/" + raw,
        "page": b"/sso/consent/x?" + raw,
    }
    parts = urlsplit(running.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(b"GET " + targets[place] + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    await writer.drain()
    status = int((await reader.readline()).split(b" ")[1])
    writer.close()
    assert status in {303, 400, 404}, status


@pytest.mark.parametrize("kind", [None, "application/json", "multipart/form-data", "text/plain"])
async def test_a_request_by_post_is_a_form(
    giulia: Browser, party: Register, kind: str | None
) -> None:
    site = await party()
    body = urlsplit(site.ask().address).query.encode()
    headers = {"Content-Type": kind} if kind else {}
    answer = await giulia._ask("POST", "/sso/authorize", headers, content=body)
    assert (answer.status_code, "location" in answer.headers) == (400, False)


@given(
    fields=st.lists(
        st.tuples(
            st.sampled_from(
                ["state", "nonce", "scope", "prompt", "max_age", "acr_values", "code_challenge"]
            )
            | st.text(max_size=6),
            st.text(max_size=80) | st.sampled_from(["none", "login", "openid", "1", "code"]),
        ),
        max_size=8,
    )
)
@effort(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_whatever_is_asked_the_answer_is_one_a_site_can_read(
    client: httpx.AsyncClient, party: Register, fields: list[tuple[str, str]]
) -> None:
    site = await party()
    values = dict(parse_qsl(urlsplit(site.ask().address).query))
    text = urlencode({**values, **dict(fields)}, errors="replace")
    answer = await Browser(client, {}, "", "").get(f"/sso/authorize?{text}")
    is_refused(answer)


@pytest.mark.parametrize(
    "path",
    [
        "%00",
        "%ff",
        "..%2f..",
        "x" * 5000,
        "01ARZ3NDEKTSV4RRFFQ69G5FA%0A",
        "%F0%9F%92%A9",
        "a;b",
        "=",
    ],
)
async def test_a_question_of_no_id_is_none(giulia: Browser, party: Register, path: str) -> None:
    site = await party()
    shown = await arrive(giulia, site.ask())
    csrf = csrf_of(shown)
    for answer in (
        await giulia.get(f"/sso/consent/{path}"),
        await giulia.post(f"/sso/consent/{path}", {"csrf": csrf, "action": "agree"}),
        await giulia.get(f"/sso/interaction/{path}"),
    ):
        assert answer.status_code in {400, 404}, answer.status_code
        assert "location" not in answer.headers


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Everything that is logged, at every level, before anything is blotted out."""
    import sys

    found: list[str] = []

    def keep(_: Any, __: str, event: Any) -> Any:
        found.append(repr(event))
        raise structlog.DropEvent

    def wake() -> None:
        """Loggers remember how they were set up when they first spoke."""
        for name, module in list(sys.modules.items()):
            logger = getattr(module, "logger", None) if name.startswith("messo") else None
            if logger is not None:
                vars(logger).pop("bind", None)

    wake()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, keep],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        cache_logger_on_first_use=False,
    )
    caplog.set_level(logging.WARNING)  # what of the libraries is forwarded, see base/log.py
    yield found
    wake()
    log.configure("warning", "tests")


async def test_nothing_of_a_login_is_logged(
    ada: Browser, party: Register, lines: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    site = await party()
    pending = site.ask(ALL)
    address = await consent(ada, pending, "email")
    code = site.answered(address, pending.state)["code"]
    tokens = (await site.exchange(code, pending.verifier)).json()
    await site.userinfo(tokens["access_token"])
    await site.exchange(code, pending.verifier)  # refused
    await site.userinfo(tokens["access_token"])  # refused
    secret = site.secret
    site.secret = "wrong" + str(secret)
    await site.exchange(code, pending.verifier)
    await arrive(ada, site.ask(state=None))
    await ada.get(site.ask(scope="x").address)
    assert [one for one in lines if "request without state" in one]
    assert [one for one in lines if "ssoToken" in one]
    everything = "\n".join([*lines, *(one.getMessage() for one in caplog.records)])
    unwanted = [
        *(ada.fiscal_code, MAIL, code, code.partition(".")[2], tokens["access_token"]),
        *(tokens["id_token"], pending.state, pending.nonce, pending.verifier, str(secret)),
        *(ada.cookies["messo"], CALLBACK),
    ]
    for text in unwanted:
        assert text not in everything


async def test_a_question_waits_five_minutes(
    giulia: Browser, party: Register, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await party()
    for seconds, status in ((295, 303), (305, 400)):
        pending = site.ask()
        shown = await arrive(giulia, pending)
        form = {"csrf": csrf_of(shown), "action": "agree"}
        address = str(shown.request.url)
        moment = clock.now() + timedelta(seconds=seconds)
        with monkeypatch.context() as patched:
            patched.setattr(clock, "now", lambda moment=moment: moment)
            answer = await giulia.post(address, form)
            assert answer.status_code == status
            if status == 400:
                again = await giulia.get(address)
                assert (again.status_code, "location" in again.headers) == (400, False)
    assert await outcome_of(pool, giulia) == ["granted", "requested"]


def csrf_of(shown: httpx.Response) -> str:
    forms = Page(shown.text).forms
    return next(one for one in forms if one.action.startswith("/sso/")).fields["csrf"]


async def test_sent_twice_the_form_gives_one_code(
    giulia: Browser, party: Register, pool: Pool
) -> None:
    site = await party()
    shown = await arrive(giulia, site.ask())
    form = {"csrf": csrf_of(shown), "action": "agree"}
    address = str(shown.request.url)
    answers = await asyncio.gather(*(giulia.post(address, form) for _ in range(10)))
    with_code = [one for one in answers if "code=" in one.headers.get("location", "")]
    assert len(with_code) == 1
    assert sorted({one.status_code for one in answers}) == [303, 400]
    late = await giulia.post(address, {**form, "action": "refuse"})
    assert late.status_code == 400
    assert await outcome_of(pool, giulia) == ["granted"]
    async with pool.connection() as conn:
        found = await conn.raw.fetchval("SELECT count(*) FROM sso.code WHERE used_at IS NULL")
        assert found >= 1


async def test_a_question_whose_answer_was_lost_on_the_way_is_not_asked_again(
    giulia: Browser, party: Register, pool: Pool
) -> None:
    """The citizen's answer counts, and the browser that never heard so loads the page again."""
    shown = await arrive(giulia, (await party()).ask())
    kept = dict(giulia.cookies)
    await decide(giulia, shown)
    giulia.cookies.update(kept)
    again = await giulia.get(str(shown.request.url))
    assert again.status_code == 400
    assert not [one for one in Page(again.text).forms if one.action.startswith("/sso/")]
    assert "risposto" in Page(again.text).text
    assert await outcome_of(pool, giulia) == ["granted"]


async def test_what_was_refused_is_not_agreed_to_afterwards(
    giulia: Browser, party: Register, pool: Pool
) -> None:
    """The browser's Back, and then the other button: cookies that were deleted come back too."""
    site = await party()
    pending = site.ask()
    shown = await arrive(giulia, pending)
    kept = dict(giulia.cookies)
    address = await decide(giulia, shown, action="refuse")
    assert site.answered(address, pending.state)["error"] == "access_denied"
    giulia.cookies.update(kept)
    form = {"csrf": csrf_of(shown), "action": "agree"}
    assert (await giulia.post(str(shown.request.url), form)).status_code == 400
    assert await outcome_of(pool, giulia) == ["refused"]


async def test_a_form_without_its_question_gives_nothing(
    giulia: Browser, party: Register, pool: Pool
) -> None:
    """Whoever never saw the page has agreed to nothing."""
    site = await party()
    shown = await arrive(giulia, site.ask())
    csrf = csrf_of(shown)
    answer = await giulia.get(site.ask().address)
    keep_cookies(giulia, answer)
    blind = await giulia.post(answer.headers["location"], {"csrf": csrf, "action": "agree"})
    assert (blind.status_code, "location" in blind.headers) == (400, False)
    assert await outcome_of(pool, giulia) == ["requested"]


KILLS = {
    "service": "UPDATE services.service SET suspended_at = now() WHERE id = '{service}'",
    "deleted": "UPDATE services.service SET state = 'deleted' WHERE id = '{service}'",
    "institution": "UPDATE services.institution SET suspended_at = now() WHERE id = '{owner}'",
}
REVIVES = [
    "UPDATE services.service SET suspended_at = NULL, state = 'published' WHERE id = '{service}'",
    "UPDATE services.institution SET suspended_at = NULL WHERE id = '{owner}'",
]


@pytest.mark.parametrize("kill", KILLS)
@pytest.mark.parametrize("step", ["request", "question", "answer", "code", "token"])
async def test_a_suspended_client_is_dead_at_once(
    giulia: Browser, pool: Pool, party: Register, world: World, kill: str, step: str
) -> None:
    """Whatever a login has reached: the next step finds nobody."""
    names = {"service": world.bruno.id, "owner": world.bruno.institution}
    async with pool.connection() as conn:
        state = await conn.raw.fetchval(
            "SELECT state FROM services.service WHERE id = $1", world.bruno.id
        )
    site = await party(world.bruno.id)
    pending = site.ask()

    async def run(*statements: str) -> None:
        async with pool.connection() as conn:
            for statement in statements:
                await conn.script(statement.format(**names))

    try:
        if step == "request":
            await run(KILLS[kill])
            answer = await giulia.get(pending.address)
            assert (answer.status_code, "location" in answer.headers) == (400, False)
            return
        shown = await arrive(giulia, pending)
        if step in {"question", "answer"}:
            await run(KILLS[kill])
            form = {"csrf": csrf_of(shown), "action": "agree"}
            address = str(shown.request.url)
            answer = await (
                giulia.get(address) if step == "question" else giulia.post(address, form)
            )
            assert (answer.status_code, "location" in answer.headers) == (400, False)
            return
        code = site.answered(await decide(giulia, shown), pending.state)["code"]
        if step == "code":
            await run(KILLS[kill])
            refused(await site.exchange(code, pending.verifier), "invalid_client")
            return
        token = (await site.exchange(code, pending.verifier)).json()["access_token"]
        await run(KILLS[kill])
        answer = await site.userinfo(token)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    finally:
        await run(*(one.replace("'published'", f"'{state}'") for one in REVIVES))


async def test_a_deleted_client_is_dead_at_once(
    giulia: Browser, pool: Pool, party: Register, world: World
) -> None:
    site = await party(world.special.id)
    pending = site.ask()
    code = await code_for(giulia, site, pending)
    tokens = site.ask()
    token = await code_for(giulia, site, tokens)
    token = (await site.exchange(token, tokens.verifier)).json()["access_token"]
    async with pool.connection() as conn:
        await conn.raw.execute("DELETE FROM sso.client WHERE id = $1", site.client_id)
    refused(await site.exchange(code, pending.verifier), "invalid_client")
    assert (await site.userinfo(token)).status_code == 401


@pytest.mark.parametrize("kind", ["test", "draft"])
async def test_tests_and_drafts_are_for_their_authorized_few(
    giulia: Browser,
    pool: Pool,
    party: Register,
    world: World,
    kind: str,
    browse: Any,
) -> None:
    service = world.anna.id if kind == "test" else world.draft.id
    site = await party(service, environment="test" if kind == "test" else "live")
    pending = site.ask()
    answer = await arrive(giulia, pending)
    found = site.answered(answer.headers["location"], pending.state)
    assert (found["error"], "code" in found) == ("access_denied", False)
    assert await outcome_of(pool, giulia) == []
    chosen = await browse(await citizen(pool, "FEW", 1 if kind == "test" else 2))
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE services.service SET authorized_recipients = $2 WHERE id = $1",
            service,
            [chosen.fiscal_code],
        )
    pending = site.ask()
    shown = await arrive(chosen, pending)
    assert shown.status_code == 200
    # Taken off the list while the question is shown: what they saw is not enough.
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE services.service SET authorized_recipients = '{}' WHERE id = $1", service
        )
    form = {"csrf": csrf_of(shown), "action": "agree"}
    answer = await chosen.post(str(shown.request.url), form)
    assert "code=" not in answer.headers.get("location", "")
