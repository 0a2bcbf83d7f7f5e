"""Every page, in both languages and at three widths: nothing for axe to find, nothing too wide."""

import pytest

from messo.login import close_all_sessions
from tests.conftest import Running
from tests.pages.conftest import Citizen, Open, Send
from tests.world import World

pytestmark = pytest.mark.acceptance

OPEN = ("/", "/terms", "/privacy", "/accessibility", "/logged-out", "/nothing/here")
# Both languages and all widths, without each with each: a page takes axe half a second.
LOOKS = [(360, "it-IT"), (768, "it-IT"), (1280, "en-GB")]
LONG = "Comunicazione " + "lunghissima" * 9


async def look(somebody: Citizen, path: str, wrong: list[str], status: int = 200) -> None:
    await somebody.goto(path, status)
    wrong += [f"{path}: {found}" for found in await somebody.axe()]
    if await somebody.overflow() > 0:
        wrong.append(f"{path}: wider than the screen by {await somebody.overflow()}")
    if await somebody.page.locator("h1").count() != 1:
        wrong.append(f"{path}: not one h1")


@pytest.mark.parametrize(("width", "language"), LOOKS)
async def test_pages_for_everybody(citizen: Open, width: int, language: str) -> None:
    async with citizen(width, language=language, bypass_csp=True) as somebody:
        wrong: list[str] = []
        for path in OPEN:
            await look(somebody, path, wrong, 404 if path == OPEN[-1] else 200)
        await look(somebody, "/login/callback?state=x&error=access_denied", wrong, 403)
        await look(somebody, "/login", wrong)  # the sandbox's provider
        assert wrong == []


@pytest.mark.parametrize(("width", "language"), LOOKS)
async def test_pages_of_a_citizen(
    running: Running, world: World, citizen: Open, send: Send, width: int, language: str
) -> None:
    async with citizen(width, language=language, bypass_csp=True) as anna:
        wrong: list[str] = []
        await anna.log_in()
        for path in ("/welcome", "/welcome/choose?terms=1", "/welcome/language?terms=1&mode=AUTO"):
            await look(anna, path, wrong)
        await look(anna, "/welcome/choose?terms=", wrong, 400)
        await anna.welcome()
        await look(anna, "/", wrong)  # empty
        message = await send(
            world.anna,
            anna.fiscal_code,
            subject=LONG[:120],
            due_date="2030-01-31T22:59:59Z",
            payment_data={"amount": 99_999, "notice_number": "301122334455667735"},
            markdown="# Titolo\n\n> citazione\n\n1. uno\n2. due\n\n```\n" + "x" * 300 + "\n```\n\n"
            "[un collegamento](https://example.org/" + "y" * 200 + ") e `codice`.",
        )
        await send(world.bruno, anna.fiscal_code)
        for path in (
            *("/", "/?archived=1", "/?unread=1&kind=payment", "/?q=nulladitutto", "/?q=tessera"),
            *(f"/messages/{message}", f"/messages/{message}/not-for-me", "/?done=archive-2"),
            *("/services", "/services?q=nulladitutto", f"/services/{world.anna.id}"),
            *("/preferences", "/data", "/sessions", "/data/delete", "/data/changes"),
        ):
            await look(anna, path, wrong)
        await look(anna, "/messages/01ARZ3NDEKTSV4RRFFQ69G5FAV", wrong, 404)
        async with running.started.pool.transaction() as conn:
            await close_all_sessions(conn, anna.fiscal_code)
        await look(anna, "/preferences", wrong, 401)
        assert wrong == []


async def test_twice_the_size_is_still_usable(world: World, citizen: Open, send: Send) -> None:
    """WCAG 1.4.4 and 1.4.10: at 200 % a desktop of 1280 px is 640 px wide; at 400 %, 320 px."""
    async with citizen(320) as anna:
        await anna.welcome()
        message = await send(world.anna, anna.fiscal_code, subject=LONG[:120])
        for width in (640, 320):
            await anna.page.set_viewport_size({"width": width, "height": 400})
            for path in ("/", f"/messages/{message}", "/services", "/preferences", "/data"):
                await anna.goto(path)
                assert await anna.overflow() <= 0, f"{path} at {width}"
