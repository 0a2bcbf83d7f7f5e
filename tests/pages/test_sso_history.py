"""Logins to other sites in a real browser: nothing for axe to find, nothing too wide, and it works."""

from datetime import timedelta
from pathlib import Path

import pytest

from messo.base import clock
from messo.base.db import Pool
from messo.base.ids import new_id
from tests.pages.conftest import Citizen, Open
from tests.sso.accesses import add_access, add_client, add_consent
from tests.world import World

pytestmark = pytest.mark.acceptance

LOOKS = [(360, "it-IT"), (1280, "en-GB"), (360, "en-GB"), (1280, "it-IT")]
LONG = "Sportello " + "telematicissimo" * 5
OUTCOMES = ("requested", "granted", "refused", "failed", "redeemed")


async def look(anna: Citizen, path: str, wrong: list[str], status: int = 200) -> None:
    await anna.goto(path, status)
    wrong += [f"{path}: {found}" for found in await anna.axe()]
    if await anna.overflow() > 0:
        wrong.append(f"{path}: wider than the screen by {await anna.overflow()}")


async def fill(pool: Pool, world: World, fiscal_code: str) -> str:
    """Something of everything; the client that is remembered."""
    client = await add_client(pool, world.anna, logout="https://rp.example.it/logout")
    await add_consent(pool, fiscal_code, client, agreed=("fiscal_code", "given_name", "email"))
    await add_consent(pool, fiscal_code, f"{world.bruno.id}-test", agreed=())
    for number in range(17):
        at = clock.now() - timedelta(days=3 * (17 - number), hours=number)
        outcome = OUTCOMES[number % len(OUTCOMES)]
        service = (world.bruno, world.anna, world.special)[number % 3]
        sent = new_id() if number % 2 else None
        await add_access(pool, fiscal_code, service, outcome, at=at, message_id=sent)
    await add_access(
        pool,
        fiscal_code,
        world.secure,
        names={"it": LONG},
        uri=f"https://{'servizi-online.' * 6}example.it/x",
        claims=("fiscal_code", "given_name", "family_name", "email"),
        message_id=new_id(),
    )
    for _ in range(4):
        await add_access(pool, fiscal_code, world.special, claims=())
    return client


@pytest.mark.parametrize(("width", "language"), LOOKS)
async def test_pages_have_nothing_to_find(
    pool: Pool, world: World, citizen: Open, width: int, language: str
) -> None:
    async with citizen(width, language=language, bypass_csp=True) as anna:
        wrong: list[str] = []
        await anna.welcome()
        await look(anna, "/data/access", wrong)  # empty
        client = await fill(pool, world, anna.fiscal_code)
        await look(anna, "/data", wrong)
        await look(anna, "/data/access?done=withdrawn-1", wrong)
        await look(anna, f"/data/access/withdraw?client={client}", wrong)
        await look(anna, f"/data/access/withdraw?client={world.special.id}", wrong)
        await look(anna, "/data/access/withdraw?client=x", wrong, 404)
        await anna.goto("/data/access")
        await anna.page.locator(".pages a").last.click()
        await anna.page.wait_for_url("**/data/access?before=*")
        assert await anna.axe() == []
        assert await anna.page.locator(".accesses > li").count() == 2
        assert wrong == []


@pytest.mark.parametrize("javascript", [True, False])
async def test_a_site_is_forgotten_and_the_list_taken_along(
    pool: Pool, world: World, citizen: Open, *, javascript: bool
) -> None:
    async with citizen(360, javascript=javascript) as anna:
        await anna.welcome()
        await fill(pool, world, anna.fiscal_code)
        page = await anna.goto("/data")
        await page.locator('a[href="/data/access"]').click()
        assert await page.locator(".devices li").count() == 2
        await page.get_by_role("link", name="Non ricordare più: Anagrafe, Comune di Anna").click()
        await page.get_by_role("button", name="Non ricordare più").click()
        await page.wait_for_url("**/data/access?done=withdrawn-1")
        assert await page.locator(".devices li").count() == 1
        assert await page.get_by_role("status").is_visible()
        async with page.expect_download() as downloading:
            await page.get_by_role("link", name="Per un foglio di calcolo (CSV)").click()
        download = await downloading.value
        assert download.suggested_filename.endswith(".csv")
        text = Path(await download.path()).read_bytes().decode()
        assert text.count("\r\n") == 23
        assert [line for line in anna.said if "Content Security" in line] == []
