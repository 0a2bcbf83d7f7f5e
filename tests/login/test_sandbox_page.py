"""The sandbox's page of test citizens: hostile requests, both languages, and everybody can use it."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.async_api import Browser, async_playwright

from tests.conftest import Running
from tests.login.browser import Visitor
from tests.login.provider import sent

AXE = next(Path(axe_playwright_python.__file__).parent.glob("**/axe.min.js")).read_text()
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    assert found, "these tests need Chromium: bin/parts installs it"
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield opened
        await opened.close()


@pytest.mark.parametrize("language", ["it-IT", "en-GB"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
async def test_everybody_can_use_it_without_scripts(
    chromium: Browser, running: Running, language: str, scheme: str, width: int
) -> None:
    page = await chromium.new_page(
        viewport={"width": width, "height": 800},
        locale=language,
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=True,
    )
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    await page.goto(f"{running.url}/login")
    assert await page.locator("html").get_attribute("lang") == language[:2]
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    assert await page.locator("script, [style]").count() == 0
    await page.evaluate(AXE)
    found = await page.evaluate("axe.run().then(r => r.violations.map(v => v.id + ': ' + v.help))")
    assert found == []
    # Wrong input is said beside the field, and nothing is lost.
    await page.fill("#fiscal_code", "ABC")
    await page.click(".enter")
    assert await page.locator("#fiscal_code").get_attribute("aria-invalid") == "true"
    assert await page.locator("#fiscal_code").input_value() == "ABC"
    await page.evaluate(AXE)
    found = await page.evaluate("axe.run().then(r => r.violations.map(v => v.id + ': ' + v.help))")
    assert found == []
    assert [text for text in said if "400" not in text] == []
    await page.close()


async def test_a_click_logs_in(chromium: Browser, running: Running) -> None:
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{running.url}/login")
    await page.get_by_role("button", name="Giulia Ferretti").click()
    assert "/sandbox/" not in page.url
    assert any(cookie["name"] == "messo" for cookie in await context.cookies())
    await context.close()


async def test_the_policy_lets_nothing_in(visitor: Visitor) -> None:
    begun = await visitor.client.get("/login")
    page = await visitor.client.get(begun.headers["location"])
    assert page.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
        "frame-ancestors 'none'; "
        "form-action 'self' http://127.0.0.1:* https://app.example.org"
    )
    assert page.headers["cache-control"] == "no-store"
    style = await visitor.client.get("/sandbox/identity/identity.css")
    assert style.headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client_id", "another"),
        ("redirect_uri", "https://evil.example.org/"),
        ("response_type", "token"),
        ("scope", "profile"),
        ("state", ""),
        ("code_challenge", '"><script>alert(1)</script>'),
        ("code_challenge_method", "plain"),
    ],
)
async def test_requests_that_are_not_as_they_must_be_go_nowhere(
    visitor: Visitor, name: str, value: str
) -> None:
    begun = await visitor.client.get("/login")
    address, asked = begun.headers["location"].split("?")[0], sent(begun.headers["location"])
    for method in ("GET", "POST"):
        answer = await visitor.client.request(
            method, address, params={**asked, name: value}, data={"fiscal_code": "X"}
        )
        assert answer.status_code == 400
        assert f"<code>{name}</code>" in answer.text
        assert "<script>" not in answer.text


async def test_what_was_typed_is_shown_as_text(visitor: Visitor) -> None:
    begun = await visitor.client.get("/login")
    typed = {"fiscal_code": '"><script>alert(1)</script>'}
    answer = await visitor.client.post(begun.headers["location"], data=typed)
    assert answer.status_code == 400
    assert "<script>" not in answer.text
    large = await visitor.client.post(begun.headers["location"], content=b"a" * 100_000)
    assert large.status_code == 400


async def test_userinfo_needs_its_token(visitor: Visitor) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic x"}):
        answer = await visitor.client.get("/sandbox/identity/userinfo", headers=headers)
        assert answer.status_code == 401
