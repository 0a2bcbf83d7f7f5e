"""Preferences for every service: changed only after saying what is lost, and by their owner."""

import pytest

from messo.base.db import Pool
from messo.recipients import (
    Preference,
    Profile,
    ServiceChoice,
    choose_mode,
    put_preferences,
    read_choice,
    read_profile,
)
from tests.inbox.conftest import LogIn
from tests.inbox.pages import check, citizen
from tests.world import World

pytestmark = pytest.mark.anyio


async def profile_of(pool: Pool, fiscal_code: str) -> Profile:
    async with pool.transaction() as conn:
        found = await read_profile(conn, fiscal_code)
    assert found is not None
    return found


async def test_changing_the_mode_says_first_what_is_lost(
    pool: Pool, browse: LogIn, world: World
) -> None:
    fiscal_code = await citizen(pool, "PRF", 1)
    async with pool.transaction() as conn:
        await put_preferences(
            conn, [Preference(fiscal_code, one.id, 0) for one in (world.anna, world.bruno)]
        )
    browser = await browse(fiscal_code)
    page = await browser.page("/preferences")
    assert page.form("/preferences/mode").fields["mode"] == "AUTO"

    asked = await browser.send(page.form("/preferences/mode"), mode="MANUAL")
    question = check(asked.text, "it")
    assert "Si perde quello che hai scelto per 2 servizi." in question.text
    assert (await profile_of(pool, fiscal_code)).mode == "AUTO", "asking changes nothing"

    answer = await browser.send(question.form("/preferences/mode"))
    assert answer.headers["location"] == "/preferences?done=saved-1"
    after = await profile_of(pool, fiscal_code)
    assert (after.mode, after.settings_version) == ("MANUAL", 1)
    async with pool.transaction() as conn:
        for one in (world.anna, world.bruno, world.secure):
            choice = await read_choice(conn, fiscal_code, one.id)
            assert choice == ServiceChoice(False, False, False, False, 1)
    again = await browser.page("/preferences/mode?mode=AUTO")
    assert "non si perde nulla" in again.text


@pytest.mark.parametrize("mode", ["AUTO", "", "LEGACY", "%00", "x" * 3000])
async def test_a_mode_that_changes_nothing_is_not_asked_about(
    pool: Pool, browse: LogIn, world: World, mode: str
) -> None:
    browser = await browse(await citizen(pool, "PRF", 2))
    answer = await browser.get(f"/preferences/mode?mode={mode}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/preferences")


async def test_a_question_older_than_another_change_is_a_conflict(
    pool: Pool, browse: LogIn, world: World
) -> None:
    fiscal_code = await citizen(pool, "PRF", 3)
    browser = await browse(fiscal_code)
    form = (await browser.page("/preferences/mode?mode=MANUAL")).form("/preferences/mode")
    async with pool.transaction() as conn:
        await choose_mode(conn, fiscal_code, "MANUAL")
        await choose_mode(conn, fiscal_code, "AUTO")
    answer = await browser.send(form)
    assert answer.status_code == 409
    check(answer.text, "it")
    assert (await profile_of(pool, fiscal_code)).mode == "AUTO"


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": "LEGACY"},
        {"mode": ""},
        {"settings_version": ""},
        {"settings_version": "-1"},
        {"settings_version": "9" * 50},
        {"settings_version": "²"},
        {"mode": "\0"},
        {"mode": "x" * 10_000},
        {"settings_version": "0\0"},
    ],
)
async def test_a_hostile_answer_is_refused(
    pool: Pool, browse: LogIn, world: World, fields: dict[str, str]
) -> None:
    fiscal_code = await citizen(pool, "PRF", 4)
    browser = await browse(fiscal_code)
    form = (await browser.page("/preferences/mode?mode=MANUAL")).form("/preferences/mode")
    assert (await browser.send(form, **fields)).status_code in {400, 409}
    assert (await profile_of(pool, fiscal_code)).mode == "AUTO"


async def test_the_language_is_chosen(pool: Pool, browse: LogIn, world: World) -> None:
    fiscal_code = await citizen(pool, "PRF", 5, preferred_languages=["de_DE", "it_IT"])
    browser = await browse(fiscal_code)
    form = (await browser.page("/preferences")).form("/preferences", action="language")
    answer = await browser.send(form, language="en")
    assert "messo-language=en" in answer.headers["set-cookie"]
    assert (await profile_of(pool, fiscal_code)).preferred_languages == [
        "en_GB",
        "de_DE",
        "it_IT",
    ]
    await browser.page(answer.headers["location"], "en")


@pytest.mark.parametrize("language", ["", "de", "x" * 5000, "it_IT", "\0", "en\n", "EN"])
async def test_a_language_without_pages_is_refused(
    pool: Pool, browse: LogIn, world: World, language: str
) -> None:
    fiscal_code = await citizen(pool, "PRF", 6)
    browser = await browse(fiscal_code)
    before = await profile_of(pool, fiscal_code)
    form = (await browser.page("/preferences")).form("/preferences", action="language")
    assert (await browser.send(form, language=language)).status_code == 400
    assert await profile_of(pool, fiscal_code) == before


async def test_a_closed_inbox_is_opened_again(pool: Pool, browse: LogIn, world: World) -> None:
    fiscal_code = await citizen(pool, "PRF", 7, is_inbox_enabled=False)
    browser = await browse(fiscal_code)
    page = await browser.page("/preferences")
    await browser.send(page.form("/preferences", action="open"))
    assert (await profile_of(pool, fiscal_code)).is_inbox_enabled
    page = await browser.page("/preferences?done=saved-1")
    assert "La tua casella è chiusa" not in page.text


async def test_the_same_mode_again_forgets_nothing(pool: Pool, browse: LogIn, world: World) -> None:
    fiscal_code = await citizen(pool, "PRF", 10)
    async with pool.transaction() as conn:
        await put_preferences(
            conn, [Preference(fiscal_code, world.anna.id, 0, is_inbox_enabled=False)]
        )
    browser = await browse(fiscal_code)
    form = (await browser.page("/preferences/mode?mode=MANUAL")).form("/preferences/mode")
    answer = await browser.send(form, mode="AUTO")
    assert answer.headers["location"] == "/preferences?done=saved-1"
    async with pool.transaction() as conn:
        assert not (await read_choice(conn, fiscal_code, world.anna.id)).is_inbox_enabled


async def test_each_citizens_preferences_are_their_own(
    pool: Pool, browse: LogIn, world: World
) -> None:
    mine, theirs = await citizen(pool, "PRF", 11), await citizen(pool, "PRF", 12)
    before = await profile_of(pool, theirs)
    browser = await browse(mine)
    question = await browser.page("/preferences/mode?mode=MANUAL")
    await browser.send(question.form("/preferences/mode"), fiscal_code=theirs)
    form = (await browser.page("/preferences")).form("/preferences", action="language")
    await browser.send(form, language="en", fiscal_code=theirs)
    assert (await profile_of(pool, mine)).mode == "MANUAL"
    assert await profile_of(pool, theirs) == before


@pytest.mark.parametrize("csrf", [None, "", "wrong"])
async def test_without_the_token_no_preference_changes(
    pool: Pool, browse: LogIn, world: World, csrf: str | None
) -> None:
    fiscal_code = await citizen(pool, "PRF", 8, is_inbox_enabled=False)
    browser = await browse(fiscal_code)
    before = await profile_of(pool, fiscal_code)
    page = await browser.page("/preferences")
    question = await browser.page("/preferences/mode?mode=MANUAL")
    for form in (
        page.form("/preferences", action="open"),
        page.form("/preferences", action="language"),
        question.form("/preferences/mode"),
    ):
        assert (await browser.send(form, csrf=csrf)).status_code == 403
    assert await profile_of(pool, fiscal_code) == before


@pytest.mark.parametrize("language", ["it", "en"])
async def test_both_languages(pool: Pool, browse: LogIn, world: World, language: str) -> None:
    browser = await browse(await citizen(pool, "PRF", 9))
    browser.cookies["messo-language"] = language
    for path in ("/preferences", "/preferences?done=saved-1", "/preferences/mode?mode=MANUAL"):
        await browser.page(path, language)
