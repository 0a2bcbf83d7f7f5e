"""What a clerk and an operator do at the console, from the first mail on, in a real browser.

In Italian on a small phone and in English on a desktop; axe looks at every page on the way.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from playwright.async_api import Browser, Dialog, Page

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.work import Worker
from messo.events import wire as events_wire
from messo.events.webhooks import Webhooks
from messo.messages.guard import end_allowance
from messo.operations import operators, record
from messo.people.invitations import Inviter, invite, link_to
from messo.sandbox.fiscal_codes import many
from messo.settings import Settings
from tests.conftest import Running
from tests.console import furnished
from tests.console.furnished import OPERATE
from tests.console.walking import walk
from tests.events.receiver import OK, Receiver, receiving, status
from tests.events.told import LOOPBACK, publish_all
from tests.pages.conftest import Citizen, Open
from tests.services import managing
from tests.world import World, message

pytestmark = pytest.mark.acceptance

BOTH = pytest.mark.parametrize(("width", "language"), [(360, "it-IT"), (1280, "en-GB")])
_TEXT = (
    "Ciao, il tuo certificato di residenza è pronto. Puoi ritirarlo allo sportello quando vuoi, "
    "portando con te un documento."
)


@pytest.fixture(scope="module")
def settings() -> Settings:
    """With the sandbox's identity provider; the guard stops a text early."""
    return Settings(
        rate_limit=100_000, rate_burst=100_000, sandbox=True, guard_recipients=2, guard_share=0
    )


class Colleague(Citizen):
    """Somebody at the console. `wrong`: what axe or the width of a page complained about."""

    wrong: list[str]

    async def look(self) -> None:
        self.wrong += [f"{self.page.url}: {found}" for found in await self.axe()]
        if await self.overflow() > 0:
            self.wrong.append(f"{self.page.url}: wider than the screen")

    async def cookie(self) -> str:
        """Of the login."""
        (found,) = [one for one in await self.context.cookies() if one["name"] == "messo-staff"]
        return str(found["value"])

    async def press(self, italian: str, english: str) -> None:
        """The one button or link of this name."""
        name = re.compile(f"^({italian}|{english})$")
        found = self.page.get_by_role("button", name=name).or_(
            self.page.get_by_role("link", name=name)
        )
        await found.first.click()
        await self.page.wait_for_load_state()


@asynccontextmanager
async def colleague_at(
    browser: Browser, running: Running, width: int, language: str
) -> AsyncIterator[Colleague]:
    context = await browser.new_context(
        viewport={"width": width, "height": 900},
        locale=language,
        timezone_id="Europe/Rome",
        bypass_csp=True,  # for axe; what the policy forbids is looked at without it below
    )
    context.set_default_timeout(15_000)
    somebody = Colleague(context, await context.new_page(), running.url, "")
    somebody.wrong = []
    yield somebody
    hints = ("[DOM]", "Clear-Site")
    assert [one for one in somebody.said if not any(hint in one for hint in hints)] == []
    assert somebody.wrong == []
    await context.close()


async def log_in(somebody: Colleague, login: str) -> Page:
    """Through the sandbox's provider, as anybody."""
    page = await somebody.goto("/console/login")
    await page.locator("input[name=login]").fill(login)
    await page.locator("form.other button").click()
    await page.wait_for_url("**/console**")
    return page


@BOTH
async def test_a_clerk_from_an_invitation_to_a_message_that_is_read(
    browser: Browser,
    running: Running,
    pool: Pool,
    secrets: Secrets,
    world: World,
    worker: Worker,
    citizen: Open,
    width: int,
    language: str,
) -> None:
    async with pool.transaction() as conn:
        made = await invite(
            conn,
            secrets,
            Inviter("tests", "Anna"),
            world.anna.institution,
            f"clerk@{language}.example.org",
            "sender",
            None,
        )
    async with (
        citizen(width=width, language=language) as anna,
        citizen(width=width, language=language) as themself,
        colleague_at(browser, running, width, language) as clerk,
    ):
        for one in (anna, themself):
            await one.welcome()
        page = clerk.page
        await page.goto(link_to(running.url, made.token))
        await clerk.press("Accedi per accettare", "Log in to accept")
        await page.locator("input[name=login]").fill(f"clerk.{language.lower()}")
        await page.locator("form.other button").click()
        await page.wait_for_url("**/console/invitation")
        await clerk.press("Accetta", "Accept")
        await clerk.look()
        await page.get_by_role("link", name="Comune di Anna").click()
        await clerk.look()
        await clerk.press("Scrivi un messaggio", "Write a message")
        await clerk.look()
        await page.locator("select[name=service]").select_option(world.anna.id)
        await page.locator("input[name=fiscal_code]").fill(anna.fiscal_code.lower())
        subject = f"Il certificato di {anna.fiscal_code[:6].title()}"
        await page.locator("input[name=subject]").fill(subject)
        await page.locator("textarea[name=markdown]").fill(_TEXT)
        # The message as its citizen will see it, while it is written.
        shown = page.frame_locator("#preview iframe >> nth=0")
        await shown.get_by_text("certificato di residenza").wait_for()
        await clerk.look()
        # Nothing of it is lost by changing the language, and leaving is asked about.
        other, own = ("en", "it") if language == "it-IT" else ("it", "en")
        for code in (other, own):
            await page.locator(f".languages button[value={code}]").click()
            await page.locator(f"html[lang={code}]").wait_for()
            assert await page.locator("textarea[name=markdown]").input_value() == _TEXT
        await _stays(page)
        await clerk.press("Controlla e invia", "Check and send")
        assert page.url.endswith("/write/check")
        await page.locator("#reach .state-good").wait_for()
        await clerk.look()
        await _stays(page)
        await page.locator("input[name=mine]").fill(themself.fiscal_code)
        await clerk.press("Invialo prima a me", "Send it to me first")
        await clerk.look()
        assert await page.locator(".done").count() == 1
        await clerk.press("Invia", "Send")
        await page.wait_for_url("**/messages/*")
        for private in (anna.fiscal_code, "certificato"):
            assert private not in page.url
        await clerk.look()
        await worker.work_once()
        await page.locator(".timeline .at-good").nth(1).wait_for()  # by itself, within seconds
        for one in (anna, themself):
            inbox = await one.goto("/")
            await inbox.get_by_text(subject).click()
            await inbox.wait_for_url("**/messages/*")
        await worker.work_once()
        await page.reload()
        read = page.locator(".timeline h3", has_text=re.compile("^(Letto|Read)"))
        await read.wait_for()
        await clerk.look()
        await page.locator(".back a").click()
        await page.locator("input[name=fiscal_code]").fill(anna.fiscal_code)
        await page.locator("form[data-search] button").first.click()
        await page.wait_for_url("**?q=*")
        assert anna.fiscal_code not in page.url
        assert await page.locator("[data-list] tbody tr").count() == 1
        await clerk.look()


@BOTH
async def test_an_operator_asks_for_a_change_lets_a_sender_past_and_replays(
    browser: Browser,
    running: Running,
    pool: Pool,
    secrets: Secrets,
    world: World,
    worker: Worker,
    width: int,
    language: str,
) -> None:
    login = f"operator.{language.lower()}"
    async with pool.transaction() as conn:
        await operators.add(conn, "tests", login)
    manage = managing.Managing(running.client, world.manage_key)
    service = await manage.make(name=f"Mensa {language}")
    await manage.ask("PUT", f"/{service}/review", {"auto_publish": True}, 204)
    held = await _hold(running, world, language)
    async with receiving() as receiver, colleague_at(browser, running, width, language) as one:
        await publish_all(pool)
        webhook = await _dead_letter(pool, secrets, world, receiver)
        page = await log_in(one, login)
        await one.goto("/console/operate")
        await one.look()
        await one.goto(f"{OPERATE}/reviews")
        await page.get_by_role("link", name=f"Mensa {language}").click()
        await one.look()
        await page.locator("textarea[name=reason]").fill("Scrivi quando si può mangiare, e dove.")
        await page.locator("form[action$='/rejection'] button").click()
        await page.locator(".done").wait_for()
        status_now = await manage.status(service)
        assert status_now == {
            "value": "rejected",
            "reason": "Scrivi quando si può mangiare, e dove.",
        }

        await one.goto(f"{OPERATE}/held")
        await one.look()
        await page.get_by_role("link", name="Comune di Anna").first.click()
        await page.locator("input[name=hours]").fill("1")
        await page.locator("textarea[name=reason]").fill("Allerta meteo, concordata per telefono")
        await one.press("Lascia passare", "Let it past")
        await page.locator(".done").wait_for()
        await one.look()
        await running.started.directory.refresh(0)
        assert (await _send(running, world, held, many(60)[-1])).status_code == 201

        receiver.answer = lambda _: OK
        await one.goto(f"{OPERATE}/failed/webhooks")
        await one.look()
        await page.locator(f"form[action$='/{webhook}/replay'] button").click()
        await page.locator(".done").wait_for()
        before = len(receiver.seen)
        await worker.send_once()
        assert len(receiver.seen) > before
        async with pool.transaction() as conn:
            await end_allowance(conn, "tests", world.anna.institution)
        await running.started.directory.refresh(0)


@pytest.fixture(scope="module")
async def ids(pool: Pool, world: World, running: Running) -> furnished.Ids:
    async with pool.transaction() as conn:
        await furnished.employ(conn, world, "reader", "reader")
    return await furnished.furnish(pool, world, running)


@BOTH
async def test_every_page_is_accessible_and_as_wide_as_the_screen(
    browser: Browser,
    running: Running,
    pool: Pool,
    world: World,
    ids: furnished.Ids,
    width: int,
    language: str,
) -> None:
    login = f"both.{language.lower()}"
    async with pool.transaction() as conn:
        await operators.add(conn, "tests", login)
        await furnished.employ(conn, world, login)
    async with colleague_at(browser, running, width, language) as one:
        await log_in(one, login)
        town = f"/console/institutions/{world.anna.institution}"
        headers = {"Cookie": f"messo-staff={await one.cookie()}"}
        async with httpx.AsyncClient(base_url=running.url, headers=headers) as client:
            found = [await walk(client, start) for start in (town, OPERATE)]
        there = {name: seen for each in found for name, seen in each.seen.items()}
        assert len(there) > 45
        for addresses in there.values():
            await one.goto(addresses[0])
            assert await one.page.locator("html").get_attribute("lang") == language[:2]
            await one.look()


async def _stays(page: Page) -> None:
    """Who leaves the page is asked, and can stay."""
    asked: list[str] = []

    async def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        await dialog.dismiss()

    await page.locator("h1").click()  # a browser asks those only who have touched the page
    page.once("dialog", stay)
    before = page.url
    async with page.expect_event("dialog"):
        await page.locator(".brand").click(no_wait_after=True)
    assert asked == ["beforeunload"]
    assert page.url == before


async def _send(running: Running, world: World, text: str, fiscal_code: str) -> httpx.Response:
    body = message(fiscal_code, subject=f"Per tutti: {text}", markdown=_TEXT + text)
    return await running.client.post("/api/v1/messages", json=body, headers=world.anna.headers)


async def _hold(running: Running, world: World, language: str) -> str:
    """A text that the guard has stopped."""
    text = f"Vale per chi abita in via {'Roma' if language == 'it-IT' else 'Verdi'}."
    codes = [await _send(running, world, text, code) for code in many(60)[:50]]
    assert {one.status_code for one in codes} == {201, 403}
    return text


async def _dead_letter(pool: Pool, secrets: Secrets, world: World, receiver: Receiver) -> str:
    """A webhook whose address refused an event until it was given up."""
    receiver.answer = lambda _: status(400)
    new = events_wire.NewWebhook(service_id=world.anna.id, url=receiver.url)
    async with pool.transaction() as conn:
        webhooks = Webhooks(secrets, record, LOOPBACK)
        made = await webhooks.create(conn, "tests", world.anna.institution, new)
    receiver.secrets = [str(made.secret)]
    async with pool.transaction() as conn:
        await conn.raw.execute(furnished.DEAD_LATEST, made.id, world.anna.id)
    return str(made.id)
