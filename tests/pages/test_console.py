"""The console in a real browser: accessible in both languages, and usable on a small phone."""

import re

import pytest
from playwright.async_api import Browser

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.people.invitations import Inviter, invite, link_to
from tests.conftest import Running
from tests.pages.conftest import Citizen
from tests.world import World

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize(("width", "language"), [(320, "it-IT"), (1280, "en-GB")])
async def test_somebody_is_invited_and_joins(
    browser: Browser,
    running: Running,
    pool: Pool,
    secrets: Secrets,
    world: World,
    width: int,
    language: str,
) -> None:
    # The policy forbids scripts; the tests' own ones may run all the same.
    context = await browser.new_context(
        viewport={"width": width, "height": 800}, locale=language, bypass_csp=True
    )
    somebody = Citizen(context, await context.new_page(), running.url, "")
    page, wrong = somebody.page, list[str]()

    async def look() -> None:
        assert await page.locator("html").get_attribute("lang") == language[:2]
        wrong.extend(f"{page.url}: {found}" for found in await somebody.axe())
        if await somebody.overflow() > 0:
            wrong.append(f"{page.url}: wider than the screen")

    async with pool.transaction() as conn:
        made = await invite(
            conn,
            secrets,
            Inviter("tests", ""),
            world.anna.institution,
            f"qualcuno.con.un.nome.lunghissimo@{language}.example.org",
            "reader",
            None,
        )
    await somebody.goto("/console")
    await look()
    await page.goto(link_to(running.url, made.token))
    assert page.url == f"{running.url}/console/invitation"
    await look()
    await page.get_by_role("link", name=re.compile("Accedi per accettare|Log in to accept")).click()
    await look()  # the sandbox's provider
    people = page.get_by_role("list", name="Comune di Pontelungo").get_by_role("button")
    assert await people.count() == 4
    await people.filter(has_text=re.compile("Amministrazione|Admin")).click()
    await look()
    await page.get_by_role("button", name=re.compile("^(Accetta|Accept)$")).click()
    assert page.url == f"{running.url}/console?done=joined"
    await look()
    await somebody.goto("/console/nothing", 404)
    await look()
    await page.locator(".account summary").click()
    await look()
    await page.get_by_role("button", name=re.compile("Esci|Log out")).click()
    assert page.url == f"{running.url}/console"
    assert await page.locator(".account").count() == 0
    assert [one for one in somebody.said if "404" not in one and "Clear-Site" not in one] == []
    assert wrong == []
    await context.close()
