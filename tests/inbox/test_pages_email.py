"""Pages that mails lead to: an address is proven by a person, and copies end without logging in."""

import re
from itertools import count
from urllib.parse import quote

import httpx
import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.notifications.channels import unsubscribe
from messo.notifications.letters import MOST_AN_HOUR
from messo.recipients import (
    Profile,
    Wishes,
    amend,
    begin_validation,
    history,
    read_profile,
)
from messo.settings import Settings
from tests.inbox.conftest import LogIn
from tests.inbox.pages import Page, check, citizen
from tests.world import STRANGER

pytestmark = pytest.mark.anyio

NUMBERS = count(1)
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
ITALIAN = {"Accept-Language": "it"}


@pytest.fixture(scope="module")
def settings() -> Settings:
    """With a mail server, so that mails are queued; nobody sends them here."""
    return Settings(rate_limit=100_000, rate_burst=100_000, mail_server="smtp+plain://127.0.0.1:9")


async def someone(pool: Pool, **more: object) -> str:
    number = next(NUMBERS)
    return await citizen(pool, "EMP", number, **{"email": f"persona{number}@example.net", **more})


async def profile_of(pool: Pool, fiscal_code: str) -> Profile:
    async with pool.transaction() as conn:
        found = await read_profile(conn, fiscal_code)
    assert found is not None
    return found


async def begun(pool: Pool, fiscal_code: str) -> str:
    async with pool.transaction() as conn:
        token = await begin_validation(conn, fiscal_code)
    assert token is not None
    return token


async def letters_to(pool: Pool, fiscal_code: str) -> int:
    async with pool.connection() as conn:
        number: int = await conn.raw.fetchval(
            "SELECT count(*) FROM notifications.letter WHERE fiscal_code = $1", fiscal_code
        )
    return number


async def test_following_the_link_asks_and_the_button_confirms(pool: Pool, browse: LogIn) -> None:
    fiscal_code = await someone(pool)
    token, browser = await begun(pool, fiscal_code), await browse(fiscal_code)
    page = await browser.page(f"/confirm-email?token={token}")
    assert (await profile_of(pool, fiscal_code)).email in page.text.split()
    assert not (await profile_of(pool, fiscal_code)).is_email_validated, "asking changes nothing"

    answer = await browser.send(page.form("/confirm-email"))

    assert answer.headers["location"] == "/preferences?done=saved-1"
    assert (await profile_of(pool, fiscal_code)).is_email_validated
    again = await browser.get(f"/confirm-email?token={token}")
    assert (again.status_code, again.headers["location"]) == (303, "/preferences")


async def test_whoever_is_not_logged_in_logs_in_first(
    pool: Pool, client: httpx.AsyncClient
) -> None:
    """A program that follows the links of a mail proves nothing."""
    fiscal_code = await someone(pool)
    path = f"/confirm-email?token={await begun(pool, fiscal_code)}"
    for method in ("GET", "HEAD"):
        answer = await client.request(method, path)
        if method == "GET":
            assert answer.headers["location"] == f"/login?return_to={quote(path, safe='')}"
    posted = await client.post("/confirm-email", data={"token": path.partition("=")[2]})
    assert posted.status_code == 401
    assert not (await profile_of(pool, fiscal_code)).is_email_validated


async def test_a_form_of_another_site_confirms_nothing(pool: Pool, browse: LogIn) -> None:
    fiscal_code = await someone(pool)
    browser = await browse(fiscal_code)
    answer = await browser.post("/confirm-email", {"token": await begun(pool, fiscal_code)})
    assert answer.status_code == 403
    assert not (await profile_of(pool, fiscal_code)).is_email_validated


async def test_an_address_can_be_proven_before_the_first_steps(pool: Pool, browse: LogIn) -> None:
    fiscal_code = await someone(pool, accepted_tos_version=None)
    browser = await browse(fiscal_code)
    page = await browser.page(f"/confirm-email?token={await begun(pool, fiscal_code)}")
    assert (await browser.send(page.form("/confirm-email"))).status_code == 303
    assert (await profile_of(pool, fiscal_code)).is_email_validated


@pytest.mark.parametrize("wrong", ["x", "è" * 500, "01J:abc"])
async def test_a_link_that_does_not_confirm_says_why_and_offers_another(
    pool: Pool, browse: LogIn, wrong: str
) -> None:
    fiscal_code = await someone(pool)
    await begun(pool, fiscal_code)
    browser = await browse(fiscal_code)
    page = await browser.page(f"/confirm-email?token={wrong}")
    answer = await browser.send(page.form("/confirm-email"), token=wrong)
    assert answer.status_code == 409
    failed = check(answer.text, "it")
    assert "vale solo il collegamento nella più recente" in failed.text
    assert "più di 30 giorni" in failed.text
    assert failed.form("/confirm-email/again")
    assert not (await profile_of(pool, fiscal_code)).is_email_validated


async def test_an_older_link_and_somebody_elses_confirm_nothing(pool: Pool, browse: LogIn) -> None:
    fiscal_code, other = await someone(pool), await someone(pool)
    old = await begun(pool, fiscal_code)
    await begun(pool, fiscal_code)
    browser = await browse(fiscal_code)
    for token in (old, await begun(pool, other)):
        page = await browser.page(f"/confirm-email?token={token}")
        assert (await browser.send(page.form("/confirm-email"))).status_code == 409
    assert not (await profile_of(pool, fiscal_code)).is_email_validated


@pytest.mark.parametrize(
    "path", ["/confirm-email", "/confirm-email?token=", "/confirm-email?token=%00"]
)
async def test_a_link_without_its_end_is_told_as_such(pool: Pool, browse: LogIn, path: str) -> None:
    page = await (await browse(await someone(pool))).page(path, status=404)
    assert page.form("/confirm-email/again")


async def test_who_has_no_address_is_offered_no_mail(pool: Pool, browse: LogIn) -> None:
    browser = await browse(await someone(pool, email=None))
    page = await browser.page("/confirm-email?token=x", status=404)
    assert "/confirm-email/again" not in [form.action for form in page.forms]


async def test_an_address_that_is_somebody_elses_by_now_is_said(pool: Pool, browse: LogIn) -> None:
    owner, late = await someone(pool), await someone(pool)
    taken = (await profile_of(pool, owner)).email
    async with pool.transaction() as conn:
        await amend(conn, late, Wishes(email=taken))
    late_token = await begun(pool, late)
    owner_browser = await browse(owner)
    page = await owner_browser.page(f"/confirm-email?token={await begun(pool, owner)}")
    assert (await owner_browser.send(page.form("/confirm-email"))).status_code == 303
    browser = await browse(late)
    page = await browser.page(f"/confirm-email?token={late_token}")
    failed = check((await browser.send(page.form("/confirm-email"))).text, "it")
    assert "confermato un'altra persona" in failed.text
    assert "/confirm-email/again" not in [form.action for form in failed.forms]


async def test_a_new_mail_is_queued_and_after_five_the_page_says_to_wait(
    pool: Pool, browse: LogIn
) -> None:
    fiscal_code = await someone(pool)
    browser = await browse(fiscal_code)
    again = (await browser.page("/confirm-email", status=404)).form("/confirm-email/again")
    for number in range(1, MOST_AN_HOUR + 1):
        answer = await browser.send(again)
        assert answer.headers["location"] == "/preferences?done=asked-1"
        assert await letters_to(pool, fiscal_code) == number
        async with pool.transaction() as conn:
            await conn.raw.execute(
                "UPDATE recipients.email_validation SET created_at = created_at - interval '61 s'"
                " WHERE fiscal_code = $1",
                fiscal_code,
            )
            digest = await conn.raw.fetchval(
                "SELECT digest FROM recipients.email_validation WHERE fiscal_code = $1", fiscal_code
            )
    refused = await browser.send(again)
    assert refused.status_code == 429
    assert "riprova tra un'ora" in check(refused.text, "it").text
    assert await letters_to(pool, fiscal_code) == MOST_AN_HOUR
    async with pool.connection() as conn:
        kept = await conn.raw.fetchval(
            "SELECT digest FROM recipients.email_validation WHERE fiscal_code = $1", fiscal_code
        )
    assert kept == digest, "the newest link goes on working"


async def test_the_way_out_asks_first_and_names_nobody(
    pool: Pool, client: httpx.AsyncClient, secrets: Secrets
) -> None:
    """Programs that look for bad mails follow every link."""
    fiscal_code = await someone(pool, is_email_enabled=True)
    path = f"/unsubscribe?t={unsubscribe.make(secrets, fiscal_code)}"
    answer = await client.get(path, headers=ITALIAN)
    assert answer.status_code == 200
    page = Page(answer.text)
    assert page.form(path).fields == ONE_CLICK
    profile = await profile_of(pool, fiscal_code)
    assert profile.is_email_enabled
    assert profile.email is not None
    assert profile.email not in answer.text
    assert fiscal_code not in answer.text
    assert (await client.get(path, headers={"Accept-Language": "en"})).text.count("Stop copies") > 1


@pytest.mark.parametrize("kind", ["form", "multipart", "empty", "json"])
async def test_one_click_ends_the_copies_without_a_cookie(
    pool: Pool, client: httpx.AsyncClient, secrets: Secrets, kind: str
) -> None:
    """RFC 8058: by a machine, in either form, answered without a redirect; and twice is once."""
    fiscal_code = await someone(pool, is_email_enabled=True)
    path = f"/unsubscribe?t={unsubscribe.make(secrets, fiscal_code)}"
    for _ in range(2):
        match kind:
            case "form":
                answer = await client.post(path, data=ONE_CLICK)
            case "multipart":
                fields = {name: (None, value) for name, value in ONE_CLICK.items()}
                answer = await client.post(path, files=fields)
            case "json":
                answer = await client.post(path, json={"x": "y"})
            case _:
                answer = await client.post(path)
        assert answer.status_code == 200
        assert not answer.cookies
    assert "Fatto" in (await client.post(path, headers=ITALIAN)).text
    profile = await profile_of(pool, fiscal_code)
    assert not profile.is_email_enabled
    assert profile.is_email_validated == (await profile_of(pool, fiscal_code)).is_email_validated
    async with pool.transaction() as conn:
        changes = await history(conn, fiscal_code, 10)
    assert [change["kind"] for change in changes] == ["is_email_enabled"]


async def test_the_way_out_is_the_mails_not_the_visitors(
    pool: Pool, browse: LogIn, secrets: Secrets
) -> None:
    """A forwarded mail: whoever presses the button ends the copies of the one it was sent to."""
    sent_to, visitor = [await someone(pool, is_email_enabled=True) for _ in range(2)]
    browser = await browse(visitor)
    path = f"/unsubscribe?t={unsubscribe.make(secrets, sent_to)}"
    assert (await browser.post(path, ONE_CLICK)).status_code == 200
    assert not (await profile_of(pool, sent_to)).is_email_enabled
    assert (await profile_of(pool, visitor)).is_email_enabled


async def test_a_token_that_is_not_ours_leads_nowhere(
    client: httpx.AsyncClient, secrets: Secrets
) -> None:
    sealed_for_another_thing = secrets.seal(STRANGER.encode(), "x").hex()
    for token in ("", "x", "%00", "é", "A" * 90, "A" * 4000, sealed_for_another_thing):
        for method in ("GET", "POST"):
            answer = await client.request(method, f"/unsubscribe?t={token}", headers=ITALIAN)
            assert answer.status_code == 404, token[:20]
            assert re.search("<h1>", answer.text)
    assert (await client.post("/unsubscribe", data=ONE_CLICK)).status_code == 404


async def test_somebody_who_is_gone_cannot_be_told_from_a_token_that_is_not_ours(
    client: httpx.AsyncClient, secrets: Secrets
) -> None:
    path = f"/unsubscribe?t={unsubscribe.make(secrets, STRANGER)}"
    assert (await client.post(path, data=ONE_CLICK)).status_code == 404
