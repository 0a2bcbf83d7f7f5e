"""The API reference in a real browser: accessible, and usable from a phone to a desk."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.conftest import Running

AXE = next(Path(axe_playwright_python.__file__).parent.glob("**/axe.min.js")).read_text()
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    assert found, "these tests need Chromium: bin/parts installs it"
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield opened
        await opened.close()


async def visit(browser: Browser, running: Running, width: int) -> tuple[Page, list[str]]:
    # The policy forbids scripts; the tests' own ones may run all the same.
    page = await browser.new_page(viewport={"width": width, "height": 800}, bypass_csp=True)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    answer = await page.goto(f"{running.url}/")
    assert answer is not None
    assert answer.status == 200
    assert page.url.endswith("/docs")
    return page, said


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
async def test_fits_the_screen_and_is_accessible(
    browser: Browser, running: Running, width: int
) -> None:
    page, said = await visit(browser, running, width)
    await page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await page.evaluate(AXE)
    found = await page.evaluate("axe.run().then(r => r.violations.map(v => v.id + ': ' + v.help))")
    assert found == []
    assert said == []
    with tempfile.TemporaryDirectory() as folder:
        picture = await page.screenshot(path=f"{folder}/docs.png", full_page=False)
    assert len(picture) > 10_000
    await page.close()


async def test_links_of_the_navigation_lead_to_operations(
    browser: Browser, running: Running
) -> None:
    page, _ = await visit(browser, running, 1280)
    targets = await page.eval_on_selector_all(
        "nav a[href^='#']", "all => all.map(one => one.getAttribute('href'))"
    )
    assert len(targets) >= 8
    for target in targets:
        assert await page.locator(target).count() == 1
    await page.close()
