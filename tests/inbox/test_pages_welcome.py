"""The first steps: three pages, nothing stored before the last, nothing asked twice."""

from dataclasses import replace

import pytest

from messo.base.db import Pool
from messo.inbox.visit import Site
from messo.recipients import Profile, enrol_at_login, read_profile
from messo.recipients.profile import create_profiles
from messo.sandbox.fiscal_codes import make
from tests.inbox.conftest import LogIn
from tests.inbox.pages import Browser, check

pytestmark = pytest.mark.anyio


async def newcomer(pool: Pool, browse: LogIn, number: int) -> Browser:
    """A citizen right after their first login."""
    fiscal_code = make(f"TSTWEL80A01Y{number:03}")
    async with pool.transaction() as conn:
        await enrol_at_login(conn, fiscal_code, None)
    return await browse(fiscal_code)


async def profile_of(pool: Pool, browser: Browser) -> Profile:
    async with pool.transaction() as conn:
        found = await read_profile(conn, browser.fiscal_code)
    assert found is not None
    return found


async def test_whoever_is_new_is_led_to_the_first_step(pool: Pool, browse: LogIn) -> None:
    browser = await newcomer(pool, browse, 1)
    for path in ("/", "/services", "/preferences", "/data"):
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/welcome")


async def test_three_steps_lead_to_an_open_inbox(pool: Pool, browse: LogIn) -> None:
    browser = await newcomer(pool, browse, 2)
    before = await profile_of(pool, browser)

    first = await browser.page("/welcome")
    assert "Passo 1 di 3" in first.text
    second = await browser.send(first.form("/welcome/choose"), terms="1")
    assert "Passo 2 di 3" in check(second.text, "it").text
    third = await browser.send(
        check(second.text, "it").form("/welcome/language"), terms="1", mode="MANUAL"
    )
    last = check(third.text, "it")
    assert "Passo 3 di 3" in last.text
    assert await profile_of(pool, browser) == before, "nothing is stored before the last step"

    answer = await browser.send(last.form("/welcome"), language="en")

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    after = await profile_of(pool, browser)
    assert (after.mode, after.accepted_tos_version, after.is_inbox_enabled) == ("MANUAL", 1.0, True)
    assert after.preferred_languages == ["en_GB"]
    await browser.page("/services", "en")


async def test_whoever_has_finished_is_not_asked_again(pool: Pool, browse: LogIn) -> None:
    browser = await newcomer(pool, browse, 3)
    form = (await browser.page("/welcome/language?terms=1&mode=AUTO")).form("/welcome")
    await browser.send(form)
    stored = await profile_of(pool, browser)

    again = await browser.send(form, mode="MANUAL")

    assert again.headers["location"] == "/"
    assert await profile_of(pool, browser) == stored
    for path in ("/welcome", "/welcome/choose?terms=1", "/welcome/language?terms=1&mode=AUTO"):
        assert (await browser.get(path)).headers["location"] == "/"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/welcome/choose?terms=", "spunta la casella"),
        ("/welcome/choose?terms=2", "spunta la casella"),
        ("/welcome/language?mode=AUTO", "spunta la casella"),
        ("/welcome/language?terms=1", "Scegli una delle due"),
        ("/welcome/language?terms=1&mode=LEGACY", "Scegli una delle due"),
        ("/welcome/language?terms=1&mode=%00", "Scegli una delle due"),
    ],
)
async def test_a_step_left_out_is_shown_with_the_reason(
    pool: Pool, browse: LogIn, path: str, words: str
) -> None:
    browser = await newcomer(pool, browse, 4)
    page = await browser.page(path, status=400)
    assert words in page.text


@pytest.mark.parametrize(
    "fields",
    [
        {"terms": "", "mode": "AUTO"},
        {"terms": "99", "mode": "AUTO"},
        {"terms": "1\ud7ff", "mode": "AUTO"},
        {"terms": "1", "mode": "LEGACY"},
        {"terms": "1", "mode": ""},
        {"terms": "1"},
    ],
)
async def test_what_was_not_answered_is_not_recorded(
    pool: Pool, browse: LogIn, fields: dict[str, str]
) -> None:
    browser = await newcomer(pool, browse, 5)
    token = (await browser.page("/welcome/language?terms=1&mode=AUTO")).form("/welcome").fields
    before = await profile_of(pool, browser)
    answer = await browser.post("/welcome", {"csrf": token["csrf"], **fields})
    assert answer.status_code == 400
    assert await profile_of(pool, browser) == before


async def test_a_strange_language_leaves_that_of_the_page(pool: Pool, browse: LogIn) -> None:
    browser = await newcomer(pool, browse, 6)
    form = (await browser.page("/welcome/language?terms=1&mode=AUTO")).form("/welcome")
    await browser.send(form, language="tlh")
    assert (await profile_of(pool, browser)).preferred_languages == ["it_IT"]


@pytest.mark.parametrize("csrf", [None, "", "0" * 64, "ü"])
async def test_without_the_token_nothing_is_accepted(
    pool: Pool, browse: LogIn, csrf: str | None
) -> None:
    browser = await newcomer(pool, browse, 7)
    form = (await browser.page("/welcome/language?terms=1&mode=AUTO")).form("/welcome")
    before = await profile_of(pool, browser)
    assert (await browser.send(form, csrf=csrf)).status_code == 403
    assert await profile_of(pool, browser) == before


async def test_who_accepted_with_an_application_only_chooses(pool: Pool, browse: LogIn) -> None:
    fiscal_code = make("TSTWEL80A01Y020")
    async with pool.transaction() as conn:
        await create_profiles(conn, [Profile(fiscal_code, accepted_tos_version=1.0)])
    browser = await browse(fiscal_code)

    page = await browser.page("/welcome")
    assert "Passo 1 di 2" in page.text
    second = await browser.send(page.form("/welcome/language"), mode="AUTO")
    await browser.send(check(second.text, "it").form("/welcome"))

    assert (await profile_of(pool, browser)).mode == "AUTO"


async def test_terms_that_grew_are_the_only_step(pool: Pool, browse: LogIn, site: Site) -> None:
    """How services are let in and the order of languages stay as they were."""
    fiscal_code = make("TSTWEL80A01Y021")
    old = Profile(
        fiscal_code,
        mode="MANUAL",
        settings_version=3,
        is_inbox_enabled=True,
        accepted_tos_version=0.5,
        preferred_languages=["de_DE", "en_GB"],
    )
    async with pool.transaction() as conn:
        await create_profiles(conn, [old])
    browser = await browse(fiscal_code)

    assert (await browser.get("/")).headers["location"] == "/welcome"
    assert (await browser.get("/welcome/choose?terms=1")).headers["location"] == "/welcome"
    page = await browser.page("/welcome", "en")
    answer = await browser.send(page.form("/welcome"), terms="1")

    assert answer.headers["location"] == "/"
    assert await profile_of(pool, browser) == replace(old, version=1, accepted_tos_version=1.0)


async def test_both_languages_and_every_step(pool: Pool, browse: LogIn) -> None:
    browser = await newcomer(pool, browse, 8)
    for language in ("it", "en"):
        browser.cookies["messo-language"] = language
        for path in ("/welcome", "/welcome/choose?terms=1", "/welcome/language?terms=1&mode=AUTO"):
            await browser.page(path, language)
