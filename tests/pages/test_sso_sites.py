"""Sites of three families, signed on to in a real browser: by a button, once more, and without."""

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.sandbox.configured import put_relying_party
from tests.conftest import Running
from tests.pages.conftest import Citizen, Open, Send
from tests.sso.sites import AUTHLIB, DJANGO, OPENID_CLIENT, RunningSite, site_of
from tests.world import World

pytestmark = pytest.mark.acceptance

BODY = """
Ciao, la tua pratica è pronta. Puoi vederla nello sportello online, senza un altro accesso, oppure
chiederla allo sportello in piazza.
"""


@pytest.fixture(
    scope="module", params=[AUTHLIB, DJANGO, OPENID_CLIENT], ids=["authlib", "django", "node"]
)
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


async def press(anna: Citizen, message_id: str) -> None:
    await anna.goto(f"/messages/{message_id}")
    await anna.page.get_by_role("button", name="Apri la pratica").click()


async def forget_site(anna: Citizen) -> None:
    """As another day: the site knows nobody any more, and we still do."""
    for cookie in await anna.context.cookies():
        if cookie["name"] != "messo":
            await anna.context.clear_cookies(name=cookie["name"])


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
async def test_a_button_signs_a_citizen_on(
    citizen: Open, send: Send, world: World, there: RunningSite, javascript: bool
) -> None:
    button = f'---\nit:\n  cta_1:\n    text: Apri la pratica\n    action: "iosso://{there.entrance}"\n---\n'
    async with citizen(javascript=javascript) as anna:
        page = await anna.welcome()
        sent = await send(world.anna, anna.fiscal_code, markdown=button + BODY)
        asks = re.compile(re.escape(anna.base) + "/sso/consent/[0-9A-Z]{26}$")

        await press(anna, sent)
        await page.wait_for_url(asks)
        await expect(page.locator("h1")).to_contain_text("Sito di prova")
        await page.locator("#remember").check()
        await page.locator("button[value=agree]").click()
        await page.wait_for_url(f"{there.url}/")
        await expect(page.locator("h1")).to_have_text("Hello, Prova Sandbox")

        # Agreed for good: nothing is asked.
        await forget_site(anna)
        await page.goto(f"{there.url}/")
        await expect(page.locator("h1")).to_have_text("Nobody is logged in")
        await press(anna, sent)
        await page.wait_for_url(f"{there.url}/")
        await expect(page.locator("h1")).to_have_text("Hello, Prova Sandbox")

        # But whoever else sends the browser there gets nobody without a question.
        await forget_site(anna)
        await page.goto(there.entrance)
        await page.wait_for_url(asks)
        await expect(page.locator("#remember")).to_be_checked()
        await page.locator("button[value=refuse]").click()
        await page.wait_for_url(f"{there.url}/**")
        await page.goto(f"{there.url}/")
        await expect(page.locator("h1")).to_have_text("Nobody is logged in")
        assert [said for said in anna.said if "violates" in said or "Refused" in said] == []


async def test_who_is_not_logged_in_logs_in_on_the_way(citizen: Open, there: RunningSite) -> None:
    async with citizen() as bruno:
        page = bruno.page
        await page.goto(there.entrance)
        await page.locator("input[name=fiscal_code]").fill(bruno.fiscal_code)
        await page.locator("form.other button").click()
        await page.wait_for_url(f"{bruno.base}/sso/consent/*")
        await page.locator("button[value=agree]").click()
        await page.wait_for_url(f"{there.url}/")
        await expect(page.locator("h1")).to_have_text("Hello, Prova Sandbox")


@pytest.mark.parametrize(("width", "language"), [(360, "it-IT"), (1280, "en-GB")])
async def test_the_sandboxs_own_site_is_sound(
    citizen: Open,
    pool: Pool,
    secrets: Secrets,
    running: Running,
    world: World,
    width: int,
    language: str,
) -> None:
    """By the button on the page of its service, through a login, a refusal and a logout."""
    async with pool.transaction() as conn:
        assert await put_relying_party(conn, secrets, running.settings, "tests", world.bruno.id)
    async with citizen(width, language=language, bypass_csp=True) as anna:
        page = await anna.welcome()
        for action, ends in (("refuse", "callback?*"), ("agree", "area")):
            await anna.goto(f"/services/{world.bruno.id}")
            await page.locator(f"form[action='/services/{world.bruno.id}/open'] button").click()
            await page.locator(f"button[value={action}]").click()
            await page.wait_for_url(f"{anna.base}/sandbox/sportello/{ends}")
            assert await anna.axe() == []
            assert await anna.overflow() <= 0
        await expect(page.locator("main")).to_contain_text(anna.fiscal_code)
        await page.locator("form button.enter").click()
        await page.locator("button[value=leave]").click()
        await page.wait_for_url(f"{anna.base}/sandbox/sportello/uscita**")
        assert await anna.axe() == []
        await anna.goto("/sandbox/sportello/area")
        await expect(page.locator("main")).not_to_contain_text(anna.fiscal_code)
