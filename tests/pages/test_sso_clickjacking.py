"""Attacks of RFC 9700 that need a browser to be seen: frames, Referer, forms of other sites, openers.

Other sites are on other ports of the same host, so that they are another origin but the same site:
the browser sends our cookies with whatever they begin, which is the most that an attacker can have.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import escape
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page, expect
from playwright.async_api import Route as PlaywrightRoute
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from messo.base import server
from messo.base.db import Pool
from tests.conftest import Running, free_port, until_started
from tests.pages.conftest import Citizen, Open
from tests.sso.party import Party, Pending, register
from tests.world import World

pytestmark = pytest.mark.acceptance

AGREE = "button[value=agree]"


@dataclass
class Elsewhere:
    """A server of somebody else. `pages`: HTML by path; `seen`: path, query and headers."""

    url: str
    pages: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        path = request.url.path
        self.seen.append((path, request.url.query, dict(request.headers)))
        return HTMLResponse(self.pages.get(path, "<!doctype html><title>x</title><p>there"))

    def asked(self, path: str) -> list[tuple[str, dict[str, str]]]:
        return [(query, headers) for seen, query, headers in self.seen if seen == path]


@asynccontextmanager
async def elsewhere() -> AsyncIterator[Elsewhere]:
    port = free_port()
    there = Elsewhere(f"http://127.0.0.1:{port}")
    app = Starlette(routes=[Route("/{rest:path}", there.answer, methods=["GET", "POST"])])
    running = server.beside_server(app, "127.0.0.1", port)
    task = asyncio.create_task(running.serve())
    await until_started(running)
    try:
        yield there
    finally:
        running.should_exit = True
        await task


@pytest.fixture
async def rp() -> AsyncIterator[Elsewhere]:
    """The institution's site."""
    async with elsewhere() as there:
        yield there


@pytest.fixture
async def evil() -> AsyncIterator[Elsewhere]:
    """Mallory's, or any third one."""
    async with elsewhere() as there:
        yield there


@pytest.fixture
async def site(pool: Pool, running: Running, world: World, rp: Elsewhere) -> Party:
    return await register(pool, running, world.anna.id, redirects=[f"{rp.url}/callback"])


async def outcomes(pool: Pool, anna: Citizen) -> list[str]:
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT outcome FROM sso.access WHERE fiscal_code = $1 ORDER BY id", anna.fiscal_code
        )
    return [row["outcome"] for row in rows]


async def ask(anna: Citizen, pending: Pending) -> Page:
    """The question, in a page of its own."""
    await anna.page.goto(f"{anna.base}{pending.address}")
    await expect(anna.page.locator(AGREE)).to_be_visible()
    return anna.page


FRAMES = {
    "iframe": '<iframe id="f" src="{src}" width="1200" height="800"></iframe>',
    "sandboxed": '<iframe id="f" sandbox="allow-forms allow-scripts allow-same-origin" '
    'src="{src}" width="1200" height="800"></iframe>',
    "object": '<object id="f" type="text/html" data="{src}" width="1200" height="800"></object>',
    "embed": '<embed id="f" type="text/html" src="{src}" width="1200" height="800">',
}


@pytest.mark.parametrize("kind", FRAMES)
async def test_4_16_a_page_that_frames_the_question_shows_nothing(
    pool: Pool, citizen: Open, site: Party, evil: Elsewhere, kind: str
) -> None:
    async with citizen() as anna:
        page = await anna.welcome()
        await ask(anna, site.ask())  # alone it is shown to this browser
        before = await outcomes(pool, anna)
        for address in (site.ask().address, urlsplit(page.url).path):
            frame = FRAMES[kind].format(src=escape(f"{anna.base}{address}"))
            evil.pages["/"] = f"<!doctype html><title>x</title>{frame}"
            await page.goto(f"{evil.url}/", wait_until="networkidle")
            for framed in page.frames[1:]:
                assert await framed.locator("form").count() == 0, framed.url
                assert "/sso/consent/" not in framed.url
            box = await page.locator("#f").bounding_box()
            assert box is not None
            for part in (0.3, 0.5, 0.7, 0.9):  # wherever the buttons would be
                await page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] * part)
        assert "granted" not in await outcomes(pool, anna)
        assert len(await outcomes(pool, anna)) <= len(before) + 1


async def test_4_16_the_page_after_a_wrong_request_is_not_framed_either(
    citizen: Open, site: Party, evil: Elsewhere
) -> None:
    async with citizen() as anna:
        page = await anna.welcome()
        for path in (
            site.ask(client_id="x").address,
            f"/sso/end-session?client_id={site.client_id}",
        ):
            src = escape(f"{anna.base}{path}")
            evil.pages["/"] = f'<!doctype html><title>x</title><iframe src="{src}"></iframe>'
            await page.goto(f"{evil.url}/", wait_until="networkidle")
            assert page.frames[1].url.startswith("chrome-error:")


async def test_4_2_nobody_learns_where_the_citizen_comes_from(
    pool: Pool, world: World, citizen: Open, site: Party, rp: Elsewhere, evil: Elsewhere
) -> None:
    """Neither the site nor whoever the page links to: no address of ours, no id, no code."""
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE services.service SET metadata = jsonb_build_object('privacy_url', $1::text) "
            "WHERE id = $2",
            f"{evil.url}/privacy",
            world.anna.id,
        )
    async with citizen() as anna:
        await anna.welcome()
        pending = site.ask()
        page = await ask(anna, pending)
        async with anna.context.expect_page() as opened:
            await page.locator(f'a[href="{evil.url}/privacy"]').click()
        third = await opened.value
        await third.wait_for_load_state()
        assert await third.evaluate("window.opener") is None
        assert await third.evaluate("document.referrer") == ""
        ((_, headers),) = evil.asked("/privacy")
        assert "referer" not in headers
        await page.locator(AGREE).click()
        await page.wait_for_url(f"{rp.url}/callback?**")
        ((query, headers),) = rp.asked("/callback")
        assert "referer" not in headers
        assert await page.evaluate("document.referrer") == ""
        answer = dict(parse_qsl(query))
        assert (answer["state"], answer["iss"]) == (pending.state, site.issuer)
        assert (await site.exchange(answer["code"], pending.verifier)).status_code == 200
        assert [said for said in anna.said if "violates" in said or "Refused" in said] == []


async def test_4_2_an_error_tells_the_site_no_referer(
    citizen: Open, site: Party, rp: Elsewhere, evil: Elsewhere
) -> None:
    """Also where a link on a third page began it: what that page was is nobody's business."""
    async with citizen() as anna:
        page = await anna.welcome()
        link = escape(f"{anna.base}{site.ask('profile').address}")
        evil.pages["/secret"] = f'<!doctype html><title>x</title><a href="{link}">go</a>'
        await page.goto(f"{evil.url}/secret")
        await page.locator("a").click()
        await page.wait_for_url(f"{rp.url}/callback?**")
        ((query, headers),) = rp.asked("/callback")
        assert dict(parse_qsl(query))["error"] == "invalid_scope"
        assert "/secret" not in headers.get("referer", "")
        assert "/sso/" not in headers.get("referer", "")


async def test_4_3_back_from_the_site_hands_nothing_over_again(
    pool: Pool, citizen: Open, site: Party, rp: Elsewhere
) -> None:
    async with citizen() as anna:
        await anna.welcome()
        page = await ask(anna, site.ask())
        await page.locator(AGREE).click()
        await page.wait_for_url(f"{rp.url}/callback?**")
        await page.go_back()
        await page.wait_for_load_state()
        assert await outcomes(pool, anna) == ["granted"]
        if await page.locator(AGREE).count():  # kept by the browser: then it is too late
            await page.locator(AGREE).click()
            await page.wait_for_load_state()
        assert await outcomes(pool, anna) == ["granted"]
        assert len(rp.asked("/callback")) <= 2
        assert len({query for query, _ in rp.asked("/callback")}) == 1


@pytest.mark.parametrize("same_site", [True, False])
async def test_4_7_a_form_of_another_site_agrees_to_nothing(
    pool: Pool, citizen: Open, site: Party, evil: Elsewhere, rp: Elsewhere, same_site: bool
) -> None:
    async with citizen() as anna:
        await anna.welcome()
        page = await ask(anna, site.ask())
        fields = '<input name="action" value="agree"><input name="csrf" value="x">'
        evil.pages["/"] = (
            f'<!doctype html><title>x</title><form method="post" action="{escape(page.url)}">'
            f"{fields}<button>x</button></form>"
        )
        there = evil.url if same_site else evil.url.replace("127.0.0.1", "localhost")
        await page.goto(f"{there}/")
        async with page.expect_navigation():
            await page.locator("button").click()
        assert page.url.startswith(anna.base)
        assert await outcomes(pool, anna) == ["requested"]
        assert rp.seen == []


async def test_4_7_a_request_by_a_form_of_the_site_is_asked_as_any_other(
    pool: Pool, citizen: Open, site: Party, rp: Elsewhere
) -> None:
    """A POST of another site comes without our cookies (Lax): the question is shown all the same."""
    async with citizen() as anna:
        page = await anna.welcome()
        pending = site.ask()
        fields = "".join(
            f'<input name="{escape(name)}" value="{escape(value)}">'
            for name, value in parse_qsl(urlsplit(pending.address).query)
        )
        rp.pages["/start"] = (
            f'<!doctype html><title>x</title><form method="post" action="{anna.base}/sso/authorize">'
            f"{fields}<button>x</button></form>"
        )
        await page.goto(f"{rp.url.replace('127.0.0.1', 'localhost')}/start")
        await page.locator("button").click()
        await expect(page.locator(AGREE)).to_be_visible()
        assert await outcomes(pool, anna) == ["requested"]


async def test_4_17_who_opened_the_page_has_no_hold_of_it(
    citizen: Open, site: Party, evil: Elsewhere
) -> None:
    """No postMessage, no navigation, no counting of frames: the two windows do not know each other."""
    async with citizen() as anna:
        page = await anna.welcome()
        address = f"{anna.base}{site.ask().address}"
        evil.pages["/"] = "<!doctype html><title>x</title><button>x</button>"
        await page.goto(f"{evil.url}/")
        async with anna.context.expect_page() as opened:
            await page.evaluate("address => { window.there = window.open(address) }", address)
        window = await opened.value
        await expect(window.locator(AGREE)).to_be_visible()
        assert await window.evaluate("window.opener") is None
        assert await page.evaluate("window.there.closed") is True
        await page.evaluate("window.there.location = 'about:blank'")
        await asyncio.sleep(0.3)
        await expect(window.locator(AGREE)).to_be_visible()


async def test_a_button_pressed_twice_leads_to_the_site_once(
    pool: Pool, citizen: Open, site: Party, rp: Elsewhere
) -> None:
    """Who presses twice, as many do, gets where they wanted to go and not to an error."""
    async with citizen() as anna:
        await anna.welcome()
        page = await ask(anna, site.ask())
        await page.locator(AGREE).dblclick()
        await page.wait_for_url(f"{rp.url}/callback?**")
        assert await outcomes(pool, anna) == ["granted"]
        assert len({query for query, _ in rp.asked("/callback")}) == 1


async def test_a_button_pressed_again_while_the_answer_is_slow_leads_to_the_site(
    pool: Pool, citizen: Open, site: Party, rp: Elsewhere
) -> None:
    async with citizen() as anna:
        await anna.welcome()
        page = await ask(anna, site.ask())
        posts: list[str] = []

        async def slowly(route: PlaywrightRoute) -> None:
            if route.request.method != "POST":
                await route.continue_()
                return
            posts.append(route.request.url)
            answer = await route.fetch(max_redirects=0)
            await asyncio.sleep(0.6)
            with contextlib.suppress(PlaywrightError):  # the browser waits for another one by now
                await route.fulfill(response=answer)

        await page.route("**/sso/consent/*", slowly)
        await page.evaluate(
            "const b = document.querySelector('button[value=agree]');"
            "setTimeout(() => b.click(), 10); setTimeout(() => b.click(), 250)"
        )
        async with asyncio.timeout(5):
            while len(posts) < 2 and not rp.seen:
                await asyncio.sleep(0.05)
        await asyncio.sleep(1.5)  # until the browser shows what it got last
        assert page.url.startswith(f"{rp.url}/callback?"), await page.locator("h1").inner_text()
        assert await outcomes(pool, anna) == ["granted"]


async def test_who_is_not_logged_in_comes_back_to_the_question(
    pool: Pool, citizen: Open, site: Party, rp: Elsewhere
) -> None:
    """By the whole way in a browser: login, question, site. No fiscal code in any address."""
    async with citizen() as anna:
        pending = site.ask()
        addresses: list[str] = []
        anna.page.on("request", lambda request: addresses.append(request.url))
        await anna.page.goto(f"{anna.base}{pending.address}")
        await anna.page.locator("input[name=fiscal_code]").fill(anna.fiscal_code)
        await anna.page.locator("form.other button").click()
        await expect(anna.page.locator(AGREE)).to_be_visible()
        await anna.page.locator(AGREE).click()
        await anna.page.wait_for_url(f"{rp.url}/callback?**")
        ((query, _),) = rp.asked("/callback")
        tokens = await site.exchange(dict(parse_qsl(query))["code"], pending.verifier)
        assert tokens.status_code == 200
        token = tokens.json()["access_token"]
        assert (await site.userinfo(token)).json()["fiscal_code"] == anna.fiscal_code
        assert addresses
        assert [one for one in addresses if anna.fiscal_code in one or token in one] == []
