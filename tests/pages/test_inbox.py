"""From the first login to an archived message, as a citizen does it in a browser."""

import pytest

from tests.conftest import Running
from tests.pages.conftest import WIDTHS, Open, Send
from tests.world import World

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize("width", WIDTHS)
async def test_first_login_reading_search_and_archiving(
    running: Running, world: World, citizen: Open, send: Send, width: int
) -> None:
    async with citizen(width) as anna:
        page = await anna.welcome()
        assert await page.locator(".empty h2").inner_text() == "Non hai ancora messaggi"
        card = await send(world.anna, anna.fiscal_code)
        await send(world.anna, anna.fiscal_code, subject="Il bollettino della mensa")
        await send(world.bruno, anna.fiscal_code, subject="Prestito in scadenza tra poco")

        page = await anna.goto("/")
        assert await page.locator(".line").count() == 3
        assert await page.locator(".line.unread").count() == 3
        await page.locator(f"#m-{card} a").click()
        assert await page.locator("h1").inner_text() == "La tua tessera è pronta"
        assert "ritirarla allo sportello" in await page.locator(".message-body").inner_text()
        await page.locator(".back a").click()
        await page.wait_for_url("**/?at=*")
        assert await page.locator(".line.unread").count() == 2

        # Stems: "mense" finds "mensa".
        await page.locator("#q").fill("mense")
        await page.locator("form.search button").click()
        assert await page.locator(".line").count() == 1
        assert "bollettino" in await page.locator(".line-subject").inner_text()
        await page.locator("#q").fill("pinguini")
        await page.locator("form.search button").click()
        assert "pinguini" in await page.locator(".empty h2").inner_text()

        page = await anna.goto("/")
        for box in await page.locator(".line > input").all():
            await box.check()
        await page.locator("button[value=archive]").click()
        assert await page.locator(".done").inner_text() == "3 messaggi archiviati."
        assert await page.locator(".line").count() == 0
        page = await anna.goto("/?archived=1")
        assert await page.locator(".line").count() == 3
        await page.locator(f"#m-{card} > input").check()
        await page.locator("button[value=restore]").click()
        page = await anna.goto("/")
        assert await page.locator(".line").count() == 1
        assert anna.said == []


async def test_reading_needs_no_javascript(world: World, citizen: Open, send: Send) -> None:
    async with citizen(360, javascript=False) as anna:
        await anna.welcome()
        first = await send(world.anna, anna.fiscal_code)
        page = await anna.goto("/")
        await page.locator(f"#m-{first} a").click()
        assert await page.locator("h1").inner_text() == "La tua tessera è pronta"
        await page.locator("button[value=archive]").click()
        assert await page.locator(".done").inner_text() == "1 messaggio archiviato."
        page = await anna.goto("/preferences")
        assert await page.locator("main form").count() >= 1
        page = await anna.goto("/")
        await page.locator(".languages button[value=en]").click()
        assert await page.locator("html").get_attribute("lang") == "en"
        assert await page.locator("h1").inner_text() == "Messages"


async def test_new_messages_appear_without_reload(world: World, citizen: Open, send: Send) -> None:
    async with citizen() as anna:
        await anna.welcome()
        await send(world.anna, anna.fiscal_code)
        page = await anna.goto("/")
        assert await page.locator(".line").count() == 1
        await send(world.anna, anna.fiscal_code, subject="È arrivato adesso")
        # The page asks every 20 s; a test need not wait for it.
        await page.evaluate(
            "htmx.ajax('GET', document.getElementById('poll').getAttribute('hx-get'),"
            " {target: '#lines', swap: 'afterbegin'})"
        )
        await page.locator(".line").nth(1).wait_for()
        assert await page.locator(".line-subject").first.inner_text() == "È arrivato adesso"
        assert await page.locator("#news").inner_text() == "1 nuovo messaggio"
        assert await page.locator("#unread").inner_text() == "2 da leggere"
        after = await page.locator("#poll").get_attribute("hx-get")
        newest = await page.locator(".line").first.get_attribute("id")
        assert after is not None
        assert newest is not None
        assert after.endswith(newest.removeprefix("m-"))


async def test_older_pages_keep_the_place(world: World, citizen: Open, send: Send) -> None:
    async with citizen() as anna:
        await anna.welcome()
        for number in range(30):
            await send(world.anna, anna.fiscal_code, subject=f"Messaggio numero {number:03d}")
        page = await anna.goto("/")
        assert await page.locator(".line").count() == 25
        await page.locator(".more a", has_text="precedenti").click()
        assert await page.locator(".line").count() == 5
        await page.locator(".line a", has_text="numero 003").click()
        await page.locator(".back a").click()
        subjects = await page.locator(".line-subject").all_inner_texts()
        assert subjects[0] == "Messaggio numero 003"
        await page.locator(".more a", has_text="recenti").click()
        subjects = await page.locator(".line-subject").all_inner_texts()
        assert subjects[-1] == "Messaggio numero 004"
        assert len(subjects) == 25


async def test_a_keyboard_is_enough(world: World, citizen: Open, send: Send) -> None:
    """Skip link, list, message, back, tick, archive: with Tab, Enter and Space alone."""
    async with citizen() as anna:
        await anna.welcome()
        await send(world.anna, anna.fiscal_code)
        page = await anna.goto("/")

        async def tab_to(selector: str) -> None:
            for _ in range(40):
                await page.keyboard.press("Tab")
                if await page.evaluate("s => document.activeElement.matches(s)", selector):
                    return
            raise AssertionError(f"Tab never reaches {selector}")

        await tab_to(".skip")
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "main"
        await tab_to(".line a")
        # The focus can be seen.
        assert (
            await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        )
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/messages/*")
        await tab_to(".back a")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/?at=*")
        await tab_to(".line > input")
        await page.keyboard.press("Space")
        for _ in range(40):
            await page.keyboard.press("Shift+Tab")
            if await page.evaluate("document.activeElement.value === 'archive'"):
                break
        await page.keyboard.press("Enter")
        await page.locator(".done").wait_for()
        assert await page.locator(".line").count() == 0


async def test_the_message_page_says_what_there_is_to_do(
    running: Running, world: World, citizen: Open, send: Send
) -> None:
    async with citizen(language="en-GB") as anna:
        await anna.welcome()
        sent = await send(
            world.anna,
            anna.fiscal_code,
            due_date="2030-01-31T22:59:59Z",
            payment_data={"amount": 12_050, "notice_number": "301122334455667735"},
            markdown='---\nit:\n  cta_1:\n    text: "Vai al sito"\n    action: '
            '"iohandledlink://https://example.org/it"\nen:\n  cta_1:\n    text: "Go to the site"\n'
            '    action: "iohandledlink://https://example.org/en"\n---\n'
            "Una **scadenza** si avvicina: paga con il codice avviso che trovi qui, entro il mese.",
        )
        page = await anna.goto(f"/messages/{sent}")
        assert "€120.50" in await page.locator(".box-payment").inner_text()
        assert "3011 2233 4455 6677 35" in await page.locator(".box-payment").inner_text()
        assert "31 January 2030, 23:59" in await page.locator(".box-due").inner_text()
        button = page.locator(".message-buttons a")
        assert await button.count() == 1
        assert await button.get_attribute("href") == "https://example.org/en"
        calendar = await page.request.get(f"{anna.base}/messages/{sent}/due.ics")
        assert calendar.headers["content-type"] == "text/calendar; charset=utf-8"
        assert "20300131T225959Z" in await calendar.text()
        assert anna.fiscal_code not in await calendar.text()


async def test_not_for_me_is_told_to_the_sender(
    running: Running, world: World, citizen: Open, send: Send
) -> None:
    async with citizen() as anna:
        await anna.welcome()
        sent = await send(world.anna, anna.fiscal_code)
        page = await anna.goto(f"/messages/{sent}")
        await page.get_by_text("Non è per me").click()
        await page.locator("main form button").click()
        assert "abbiamo avvisato" in await page.locator(".done").inner_text()
        life = await running.client.get(f"/messo/v1/messages/{sent}", headers=world.anna.headers)
        assert "reported" in [event["kind"] for event in life.json()["events"]]
