"""What a citizen decides, done in a browser: services, language, data, sessions."""

import io
import json
import zipfile

import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.work import Worker
from messo.outside import Outside
from messo.settings import Settings
from messo.worker import periodics
from tests.conftest import Running
from tests.pages.conftest import WIDTHS, Open, Send
from tests.world import World

pytestmark = pytest.mark.acceptance


async def carry_out(pool: Pool, settings: Settings, secrets: Secrets) -> None:
    """What the worker does every ten seconds with wishes about data, until nothing is left."""
    step = next(
        one
        for one in periodics(settings, secrets, Outside.of(settings, secrets))
        if one.name == "recipients.data_requests"
    )
    worker = Worker(pool, pool.buckets, [], [], 1)
    async with pool.connection() as conn:
        await conn.script("DELETE FROM work.period WHERE step = 'recipients.data_requests'")
    assert await worker.run_periodic(step)


@pytest.mark.parametrize("width", WIDTHS)
async def test_a_service_switched_off_is_refused(
    running: Running, world: World, citizen: Open, send: Send, width: int
) -> None:
    async with citizen(width) as anna:
        await anna.welcome()
        before = await send(world.anna, anna.fiscal_code)
        page = await anna.goto(f"/messages/{before}")
        await page.locator(".message-from a").click()
        switch = page.locator("input[role=switch][name=inbox]")
        assert await switch.is_checked()
        await switch.uncheck()
        await page.locator("main form:has(input[role=switch]) button").first.click()
        await page.locator(".done").wait_for()
        assert not await page.locator("input[role=switch][name=inbox]").is_checked()
        after = await send(world.anna, anna.fiscal_code)
        for message, status in ((before, "PROCESSED"), (after, "REJECTED")):
            life = await running.client.get(
                f"/messo/v1/messages/{message}", headers=world.anna.headers
            )
            assert life.json()["status"] == status
        await anna.goto("/")
        assert await anna.page.locator(".line").count() == 1
        assert anna.said == []


async def test_the_language_is_switched_and_kept(citizen: Open) -> None:
    async with citizen() as anna:
        page = await anna.welcome()
        assert await page.locator("h1").inner_text() == "Messaggi"
        await page.locator(".languages button[value=en]").click()
        await page.locator("html[lang=en]").wait_for()
        assert await page.locator("h1").inner_text() == "Messages"
        await anna.context.clear_cookies(name="messo-language")
        page = await anna.goto("/preferences")
        assert await page.locator("h1").inner_text() == "Preferences"


async def test_data_are_downloaded(
    world: World, citizen: Open, send: Send, pool: Pool, settings: Settings, secrets: Secrets
) -> None:
    async with citizen() as anna:
        await anna.welcome()
        sent = await send(world.anna, anna.fiscal_code)
        page = await anna.goto("/data")
        await page.locator("button[value=download]").click()
        await page.wait_for_load_state()
        await carry_out(pool, settings, secrets)
        page = await anna.goto("/data")
        async with page.expect_download() as started:
            await page.locator("a[href='/data/archive.zip']").click()
        path = await (await started.value).path()
        archive = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
        assert archive.testzip() is None
        everything = "".join(archive.read(name).decode() for name in archive.namelist())
        assert sent in everything
        assert json.loads(archive.read("profile.json"))["fiscal_code"] == anna.fiscal_code
        # Readable with no network at all.
        async with citizen() as offline:
            await offline.context.set_offline(True)
            await offline.page.set_content(archive.read("index.html").decode())
            assert "La tua tessera è pronta" in await offline.page.locator("body").inner_text()


async def test_deletion_waits_and_can_be_stopped(citizen: Open) -> None:
    async with citizen(360) as anna:
        await anna.welcome()
        page = await anna.goto("/data/delete")
        await page.locator("main form[action='/data/delete'] button").click()
        await page.locator("button[value=keep]").wait_for()
        await page.locator("button[value=keep]").click()
        await page.wait_for_load_state()
        assert await page.locator("button[value=keep]").count() == 0
        page = await anna.goto("/")
        assert page.url == f"{anna.base}/"


async def test_logging_out_everywhere_ends_every_session(citizen: Open) -> None:
    async with citizen() as here, citizen(360, fiscal_code=None) as there:
        await here.welcome()
        there.fiscal_code = here.fiscal_code
        await there.log_in()
        assert there.page.url == f"{there.base}/"
        page = await here.goto("/sessions")
        assert await page.locator("main li").count() == 2
        await page.locator("button[value=everywhere]").click()
        await page.wait_for_load_state()
        await there.goto("/", 401)
        assert "La tua sessione è finita" in await there.page.locator("h1").inner_text()
        await here.goto("/preferences")
        assert "/sandbox/identity" in here.page.url


async def test_logging_out_ends_the_session_here_and_at_the_provider(citizen: Open) -> None:
    async with citizen() as anna:
        page = await anna.welcome()
        await page.locator(".account summary").click()
        await page.locator(".account-menu form button").click()
        await page.wait_for_url("**/logged-out*")
        assert await page.locator("h1").inner_text() == "Sei uscito"
        assert anna.fiscal_code not in page.url
        await anna.goto("/preferences")
        assert "/sandbox/identity" in anna.page.url
        assert [said for said in anna.said if "Clear-Site-Data" not in said] == []
