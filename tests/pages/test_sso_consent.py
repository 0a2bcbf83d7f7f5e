"""What a citizen sees when a site asks who they are: login, question, refusal, and errors."""

import os
from pathlib import Path

import pytest

from messo.base.db import Pool
from tests.base.test_outbound import OK, serving
from tests.conftest import Running
from tests.pages.conftest import Citizen, Open
from tests.sso.party import Party, register
from tests.world import World

pytestmark = pytest.mark.acceptance

LOOKS = [(360, "it-IT"), (768, "en-GB"), (1280, "it-IT"), (1280, "en-GB")]
WORDS = {
    "it-IT": ("Vuoi farti riconoscere da Sportello?", "Rifiuto", "Da qui non si va avanti"),
    "en-GB": ("Show Sportello who you are?", "Refuse", "You cannot go on from here"),
}
PAGE = OK.replace(b"200 OK", b"200 OK\r\nContent-Type: text/html")
PICTURES = os.environ.get("MESSO_TEST_PICTURES")  # a folder, to look at what is tested


async def look(somebody: Citizen, wrong: list[str], name: str) -> None:
    page = somebody.page
    wrong += [f"{name}: {found}" for found in await somebody.axe()]
    if await somebody.overflow() > 0:
        wrong.append(f"{name}: wider than the screen by {await somebody.overflow()}")
    if await page.locator("h1").count() != 1:
        wrong.append(f"{name}: not one h1")
    if PICTURES:
        size = page.viewport_size or {"width": 0}
        path = (
            Path(PICTURES)
            / f"{name}-{size['width']}-{await page.locator('html').get_attribute('lang')}.png"
        )
        await page.screenshot(path=path, full_page=True)


async def site_of(pool: Pool, running: Running, world: World, callback: str) -> Party:
    return await register(
        pool,
        running,
        world.anna.id,
        redirects=[callback],
        optional_claims=["given_name", "family_name"],
    )


@pytest.mark.parametrize(("width", "language"), LOOKS)
async def test_login_question_refusal_and_agreement_are_sound(
    pool: Pool, running: Running, world: World, citizen: Open, width: int, language: str
) -> None:
    question, refuse, nothing = WORDS[language]
    async with serving(PAGE) as there, citizen(width, language=language, bypass_csp=True) as anna:
        site = await site_of(pool, running, world, f"{there.url}callback")
        wrong: list[str] = []
        page = await anna.goto(site.ask().address)
        await look(anna, wrong, "login")
        await page.locator("input[name=fiscal_code]").fill(anna.fiscal_code)
        await page.locator("form.other button").click()
        await page.wait_for_url("**/sso/consent/*")
        assert question in await page.locator("h1").inner_text()
        assert anna.fiscal_code in await page.locator("main").inner_text()
        await look(anna, wrong, "question")
        await page.get_by_role("button", name=refuse).click()
        await page.wait_for_url(f"{there.url}**")
        assert "error=access_denied" in page.url
        await anna.goto(site.ask().address)
        await page.locator("#remember").check()
        await page.locator("#claim-given_name").check()
        await page.keyboard.press("Tab")
        await page.locator("button[value=agree]").press("Enter")
        await page.wait_for_url(f"{there.url}**")
        assert "code=" in page.url
        await anna.goto(site.ask().address)
        assert await page.locator("#remember").is_checked()
        assert await page.locator("#claim-given_name").is_checked()
        assert not await page.locator("#claim-family_name").is_checked()
        await look(anna, wrong, "known")
        await anna.goto(site.ask(redirect_uri="https://evil.example/").address, 400)
        assert await page.locator("h1").inner_text() == nothing
        await look(anna, wrong, "refused")
        await anna.goto("/sso/consent/01J00000000000000000000000", 400)
        await look(anna, wrong, "late")
        assert wrong == []


@pytest.mark.parametrize("javascript", [True, False])
async def test_without_javascript_the_question_can_be_answered(
    pool: Pool, running: Running, world: World, citizen: Open, *, javascript: bool
) -> None:
    async with serving(PAGE) as there, citizen(360, javascript=javascript) as anna:
        site = await site_of(pool, running, world, f"{there.url}callback")
        page = await anna.goto(site.ask().address)
        await page.locator("input[name=fiscal_code]").fill(anna.fiscal_code)
        await page.locator("form.other button").click()
        await page.locator("button[value=agree]").click()
        await page.wait_for_url(f"{there.url}**")
        assert "code=" in page.url
        assert [line for line in anna.said if "Content Security Policy" in line] == []


async def test_who_cancels_the_login_can_go_back_to_the_question(
    pool: Pool, running: Running, world: World, citizen: Open
) -> None:
    async with serving(PAGE) as there, citizen(360) as anna:
        site = await site_of(pool, running, world, f"{there.url}callback")
        page = await anna.goto(site.ask().address)
        await page.locator("button[name=cancel]").click()
        await page.get_by_role("link", name="Accedi di nuovo").click()
        await page.locator("input[name=fiscal_code]").fill(anna.fiscal_code)
        await page.locator("form.other button").click()
        await page.wait_for_url("**/sso/consent/*")
        assert await page.locator("button[value=agree]").count() == 1
