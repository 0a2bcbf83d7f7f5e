"""Messages with remote content and attachments, as a citizen opens them in a browser."""

from collections.abc import AsyncIterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, Response

from messo.base.db import Pool
from messo.base.work import Worker
from messo.settings import Settings
from tests.conftest import Running
from tests.inbox.institution import (
    SETTINGS,
    STATIC,
    SUBJECT,
    TOLD,
    Institution,
    answer,
    attachment,
    detail,
    institution,
    pdf,
    said,
)
from tests.messages.mail import Mail
from tests.pages.conftest import Citizen, Open
from tests.world import World

pytestmark = pytest.mark.acceptance

ATTACHMENTS = Path(str(files("messo.sandbox"))) / "static" / "attachments"
REPORT = (ATTACHMENTS / "referto.pdf").read_bytes()
RECEIPT = (ATTACHMENTS / "ricevuta.pdf").read_bytes()
LOOKS = [(320, "it-IT"), (1280, "en-GB")]
# In Italian and in English.
CONTINUE = {"it-IT": "Continua", "en-GB": "Continue"}
OPEN = {"it-IT": "Apri", "en-GB": "Open"}
DOWNLOAD = {"it-IT": "Scarica", "en-GB": "Download"}
AGAIN = {"it-IT": "Riprova", "en-GB": "Try again"}
DOWN = {
    "it-IT": "Comune di Anna in questo momento non è raggiungibile",
    "en-GB": "Comune di Anna cannot be reached right now",
}
DANGEROUS = {
    "it-IT": "Non abbiamo aperto questo file, per proteggerti",
    "en-GB": "We have not opened this file, to protect you",
}


@pytest.fixture(scope="module")
def settings() -> Settings:
    return replace(SETTINGS, sandbox=True)


@pytest.fixture
def mail(running: Running, worker: Worker) -> Mail:
    return Mail(running, worker)


@pytest.fixture
async def hospital(pool: Pool, world: World) -> AsyncIterator[Institution]:
    """It serves a report and its receipt, and asks something first."""
    async with institution(pool, world, world.anna) as opened:
        opened.answers |= {
            "uno": detail(
                attachment("referto", name="Referto.pdf", size=len(REPORT)),
                attachment("ricevuta", name="Ricevuta.pdf", size=len(RECEIPT)),
            ),
            "uno/precondition": said(TOLD),
            "uno/attachments/referto": answer(REPORT),
            "uno/attachments/ricevuta": answer(RECEIPT),
        }
        yield opened


async def go_on(page: Page, label: str) -> None:
    assert await page.locator("h1").inner_text() == TOLD["title"]
    await page.get_by_role("button", name=label, exact=True).click()
    await page.locator("h1", has_text=SUBJECT).wait_for()


def actions(page: Page, label: str) -> Locator:
    return page.locator(".attachment-actions a", has_text=label)


@pytest.mark.parametrize(("width", "language"), LOOKS)
async def test_from_the_question_to_the_attachments(
    hospital: Institution, mail: Mail, citizen: Open, width: int, language: str
) -> None:
    async with citizen(width, language=language) as anna:
        page = await anna.welcome()
        sent = await hospital.send(mail, anna.fiscal_code, has_precondition="ALWAYS")
        await anna.goto("/")
        await page.locator(f"#m-{sent} a").click()
        await go_on(page, CONTINUE[language])
        assert page.url == f"{anna.base}/messages/{sent}"
        assert await page.locator(".attachments li").count() == 2

        for at, (content, name) in enumerate(((REPORT, "Referto.pdf"), (RECEIPT, "Ricevuta.pdf"))):
            given = await opened(anna, actions(page, OPEN[language]).nth(at))
            assert given.status == 200
            assert given.headers["content-type"] == "application/pdf"
            assert given.headers["content-disposition"].startswith("inline; ")
            async with page.expect_download() as downloading:
                await actions(page, DOWNLOAD[language]).nth(at).click()
            saved = await downloading.value
            assert saved.suggested_filename == name
            assert Path(await saved.path()).read_bytes() == content

        await page.reload()  # always is always
        await go_on(page, CONTINUE[language])
        await anna.goto("/")
        assert await page.locator(".line.unread").count() == 0
        assert anna.said == []


async def opened(anna: Citizen, link: Locator) -> Response:
    """What comes to the new tab that a link opens; the tab shows it, under the link's address."""
    href = await link.get_attribute("href")
    async with (
        anna.context.expect_page() as opening,
        anna.context.expect_event(
            "response", lambda given: given.url.endswith(str(href))
        ) as coming,
    ):
        await link.click()
    tab = await opening.value
    given: Response = await coming.value
    await tab.wait_for_url(f"**{href}", wait_until="commit")
    await tab.close()
    return given


async def test_once_is_asked_once(hospital: Institution, mail: Mail, citizen: Open) -> None:
    async with citizen() as anna:
        page = await anna.welcome()
        sent = await hospital.send(mail, anna.fiscal_code, has_precondition="ONCE")
        await anna.goto(f"/messages/{sent}")
        await page.locator(".message-buttons a").click()  # goes back
        await page.wait_for_url("**/?at=*")
        assert await page.locator(".line.unread").count() == 1
        await page.locator(f"#m-{sent} a").click()
        await go_on(page, "Continua")
        await page.locator(".back a").click()
        await page.wait_for_url("**/?at=*")
        assert await page.locator(".line.unread").count() == 0
        await page.locator(f"#m-{sent} a").click()
        await page.locator("h1", has_text=SUBJECT).wait_for()
        await page.reload()
        assert await page.locator("h1").inner_text() == SUBJECT
        assert anna.said == []


@pytest.mark.parametrize(("width", "language"), LOOKS)
async def test_every_page_is_accessible_and_fits(
    hospital: Institution, mail: Mail, citizen: Open, width: int, language: str
) -> None:
    async with citizen(width, language=language, bypass_csp=True) as anna:
        page = await anna.welcome()
        wrong: list[str] = []

        async def look(what: str) -> None:
            wrong.extend(f"{what}: {found}" for found in await anna.axe())
            if (wider := await anna.overflow()) > 0:
                wrong.append(f"{what}: wider than the screen by {wider}")
            if await page.locator("h1").count() != 1:
                wrong.append(f"{what}: not one h1")

        sent = await hospital.send(mail, anna.fiscal_code, has_precondition="ALWAYS")
        await anna.goto(f"/messages/{sent}")
        await look("precondition")
        await go_on(page, CONTINUE[language])
        await look("message")

        long = "Referto" + "lunghissimo" * 20 + ".pdf"
        hospital.answers |= {
            "lungo": detail(attachment(name=long, size=20_000_000), subject="Oggetto" + "x" * 110),
            "lungo/precondition": said({"title": "y" * 300, "markdown": "`" + "z" * 300 + "`"}),
            "rotto": answer(b"", "500 Internal Server Error"),
            "dopo": answer(b"", "503 Service Unavailable", "Retry-After: 300\r\n"),
            "programma": detail(attachment()),
            "programma/attachments/referto": answer(pdf(script="app.alert(1)")),
        }
        sent = await hospital.send(mail, anna.fiscal_code, "lungo", has_precondition="ALWAYS")
        await anna.goto(f"/messages/{sent}")
        await look("long precondition")
        await page.locator(".message-buttons button").click()
        await page.locator(".attachments").wait_for()
        await look("long message")

        sent = await hospital.send(mail, anna.fiscal_code, "rotto")
        await anna.goto(f"/messages/{sent}", 502)
        assert await page.locator("#failure").inner_text() == DOWN[language]
        assert STATIC in await page.locator(".message-body").inner_text()
        await look("down")
        hospital.answers["rotto"] = hospital.answers["uno"]
        await page.get_by_role("link", name=AGAIN[language]).click()
        await page.locator("h1", has_text=SUBJECT).wait_for()

        sent = await hospital.send(mail, anna.fiscal_code, "dopo", has_precondition="ONCE")
        hospital.answers["dopo/precondition"] = hospital.answers["dopo"]
        await anna.goto(f"/messages/{sent}", 503)
        assert await page.locator(".message-body").count() == 0
        await look("not ready")

        sent = await hospital.send(mail, anna.fiscal_code, "programma")
        await anna.goto(f"/messages/{sent}")
        href = await actions(page, OPEN[language]).get_attribute("href")
        await anna.goto(str(href), 415)
        assert await page.locator("#failure").inner_text() == DANGEROUS[language]
        await look("dangerous")
        await page.locator(".back a").click()
        await page.locator("h1", has_text=SUBJECT).wait_for()
        assert wrong == []


async def test_a_keyboard_is_enough(hospital: Institution, mail: Mail, citizen: Open) -> None:
    async with citizen() as anna:
        page = await anna.welcome()
        sent = await hospital.send(mail, anna.fiscal_code, has_precondition="ALWAYS")
        await anna.goto(f"/messages/{sent}")

        async def tab_to(selector: str) -> None:
            for _ in range(40):
                await page.keyboard.press("Tab")
                if await page.evaluate("s => document.activeElement.matches(s)", selector):
                    return
            raise AssertionError(f"Tab never reaches {selector}")

        await tab_to(".message-buttons button")
        style = "getComputedStyle(document.activeElement)"
        seen = await page.evaluate(f"{style}.outlineStyle + {style}.boxShadow")
        assert seen != "nonenone", "the focus cannot be seen"
        await page.keyboard.press("Enter")
        await page.locator("h1", has_text=SUBJECT).wait_for()
        await tab_to(".attachment-actions a[target=_blank]")
        await tab_to(".attachment-actions a[href$='save=1']")
        async with page.expect_download() as downloading:
            await page.keyboard.press("Enter")
        assert (await downloading.value).suggested_filename == "Referto.pdf"


async def test_nothing_of_it_needs_javascript(
    hospital: Institution, mail: Mail, citizen: Open
) -> None:
    async with citizen(360, javascript=False) as anna:
        page = await anna.welcome()
        sent = await hospital.send(mail, anna.fiscal_code, has_precondition="ONCE")
        await anna.goto(f"/messages/{sent}")
        await go_on(page, "Continua")
        given = await opened(anna, actions(page, "Apri").first)
        assert given.headers["content-type"] == "application/pdf"
        async with page.expect_download() as downloading:
            await actions(page, "Scarica").first.click()
        assert (await downloading.value).suggested_filename == "Referto.pdf"
        hospital.answers["uno"] = answer(b"", "500 Internal Server Error")
        await anna.goto(f"/messages/{sent}", 502)
        hospital.answers["uno"] = detail(attachment())
        await page.get_by_role("link", name="Riprova").click()
        assert await page.locator("h1").inner_text() == SUBJECT
