"""The API reference in a real browser: accessible, and usable from a phone to a desk."""

import tempfile

import pytest
from playwright.async_api import Browser, Page

from tests.conftest import Running
from tests.pages.conftest import AXE


async def visit(
    browser: Browser, running: Running, width: int, path: str = "/docs"
) -> tuple[Page, list[str]]:
    # The policy forbids scripts; the tests' own ones may run all the same.
    page = await browser.new_page(viewport={"width": width, "height": 800}, bypass_csp=True)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    answer = await page.goto(f"{running.url}{path}")
    assert answer is not None
    assert answer.status == 200
    return page, said


@pytest.mark.parametrize(
    ("path", "width"), [("/docs", 320), ("/docs/citizens", 1280), ("/docs/people", 320)]
)
async def test_fits_the_screen_and_is_accessible(
    browser: Browser, running: Running, width: int, path: str
) -> None:
    """One template for all: each is looked at closely at one of the widths, which takes its time."""
    page, said = await visit(browser, running, width, path)
    await page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    for each in (1600 - width, width):  # 1280 and 320, the one of the close look last
        await page.set_viewport_size({"width": each, "height": 800})
        assert await page.evaluate("document.documentElement.scrollWidth") <= each
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
