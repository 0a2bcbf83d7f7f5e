"""A real browser, and a citizen at it."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from messo.base.work import Worker
from messo.sandbox.fiscal_codes import many
from messo.settings import Settings
from tests.conftest import Running
from tests.world import Caller, message

AXE = next(Path(axe_playwright_python.__file__).parent.glob("**/axe.min.js")).read_text()
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
WIDTHS = (360, 768, 1280)


@pytest.fixture(scope="module")
def settings() -> Settings:
    """With the sandbox's identity provider, which is how tests log in."""
    return Settings(rate_limit=100_000, rate_burst=100_000, sandbox=True)


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    assert found, "these tests need Chromium: bin/parts installs it"
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield opened
        await opened.close()


class Citizen:
    """Somebody at a browser of their own. `said` is what its console said."""

    def __init__(self, context: BrowserContext, page: Page, base: str, fiscal_code: str) -> None:
        self.context = context
        self.page = page
        self.base = base
        self.fiscal_code = fiscal_code
        self.said: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))

    async def goto(self, path: str, status: int = 200) -> Page:
        answer = await self.page.goto(f"{self.base}{path}")
        assert answer is not None
        assert answer.status == status, f"{path}: {answer.status}"
        return self.page

    async def log_in(self) -> Page:
        """Through the identity provider of the sandbox, with any fiscal code."""
        page = await self.goto("/login")
        await page.locator("input[name=fiscal_code]").fill(self.fiscal_code)
        await page.locator("form.other button").click()
        await page.wait_for_url(f"{self.base}/**")
        return page

    async def welcome(self, mode: str = "AUTO") -> Page:
        """Log in for the first time and take the three steps."""
        page = await self.log_in()
        assert page.url == f"{self.base}/welcome"
        await page.locator("input[name=terms]").check()
        await page.locator(".step-form button").click()
        await page.locator(f"label[for=mode-{mode.lower()}]").click()
        await page.locator(".step-form button").click()
        await page.locator(".step-form button").click()
        await page.wait_for_url(f"{self.base}/")
        return page

    async def axe(self) -> list[str]:
        """What axe finds wrong with the page as it is."""
        await self.page.evaluate(AXE)
        found: list[str] = await self.page.evaluate(
            "axe.run().then(r => r.violations.map("
            "v => v.id + ': ' + v.help + ' ' + v.nodes.map(n => n.html).join(' | ')))"
        )
        return found

    async def overflow(self) -> int:
        """By how many pixels the page is wider than the screen."""
        wide: int = await self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return wide


Open = Callable[..., Any]
_codes = iter(many(400))


@pytest.fixture
async def citizen(browser: Browser, running: Running) -> AsyncIterator[Open]:
    """`async with citizen(width=360) as anna:` a new citizen at a new browser."""
    opened: list[BrowserContext] = []

    @asynccontextmanager
    async def open_one(
        width: int = 1280,
        *,
        language: str = "it-IT",
        javascript: bool = True,
        bypass_csp: bool = False,
        fiscal_code: str | None = None,
    ) -> AsyncIterator[Citizen]:
        context = await browser.new_context(
            viewport={"width": width, "height": 900},
            locale=language,
            java_script_enabled=javascript,
            bypass_csp=bypass_csp,
            timezone_id="Europe/Rome",
        )
        context.set_default_timeout(15_000)
        opened.append(context)
        page = await context.new_page()
        yield Citizen(context, page, running.url, fiscal_code or next(_codes))

    yield open_one
    for context in opened:
        await context.close()


Send = Callable[..., Awaitable[str]]


@pytest.fixture
def send(running: Running, worker: Worker) -> Send:
    """Send a message as an institution would, and have it decided; its id."""

    async def run(service: Caller, fiscal_code: str, **content: Any) -> str:
        answer = await running.client.post(
            "/api/v1/messages", json=message(fiscal_code, **content), headers=service.headers
        )
        assert answer.status_code == 201, answer.text
        await worker.work_once()
        return str(answer.json()["id"])

    return run
