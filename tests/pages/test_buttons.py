"""Institutions' buttons in a real browser: seen, heard, pressed with the keyboard, and out."""

import re

import pytest
from playwright.async_api import expect

from messo.base.db import Pool
from tests.base.test_outbound import OK, Server, serving
from tests.pages.conftest import Open, Send
from tests.sso.test_launch import register
from tests.world import World

pytestmark = pytest.mark.acceptance

LOOKS = [(width, language) for width in (360, 1280) for language in ("it-IT", "en-GB")]
WORDS = {
    "it-IT": ("Ti porta su {host} con l'accesso già fatto", "(nuova scheda)", "Stai andando su"),
    "en-GB": ("Takes you to {host}, already logged in", "(new tab)", "You are leaving for"),
}
BODY = """
# La tua pratica è pronta

Gentile cittadina, l'ufficio ha accolto la tua richiesta del 12 novembre. Puoi leggere il
documento sul sito del Comune e scaricarlo, oppure ritirarlo allo sportello.
"""
PAGE = OK.replace(b"200 OK", b"200 OK\r\nContent-Type: text/html")


def front(*buttons: tuple[str, str]) -> str:
    lines = "".join(
        f"  cta_{n}:\n    text: {text}\n    action: '{action}'\n"
        for n, (text, action) in enumerate(buttons, 1)
    )
    return f"---\nit:\n{lines}en:\n{lines}---\n{BODY}"


def sso(there: Server) -> tuple[str, str]:
    return "Apri la pratica", f"iosso://{there.url}pratica?x=1&y=a%27b"


LONG = "https://sportello-telematico.servizi-demografici.comune-di-anna-sul-mare.example.it/a"
PAIRS = [
    (("Vai al sito del Comune", f"iohandledlink://{LONG}"), ("Chiama", "iohandledlink://tel:112")),
    (("Apri il portafoglio", "ioit://WALLET_HOME"), ("Entra", "iosso://http://rp.example/x")),
    (("Vedi i servizi", "ioit://SERVICES_HOME"), ("In chiaro", "iohandledlink://http://a.it/")),
    (
        ("IBAN", "iohandledlink://copy:IT60X0542811101000000123456"),
        ("Il portafoglio, con un nome che non sta in una riga sola", "ioit://WALLET_HOME"),
    ),
]


@pytest.mark.parametrize(("width", "language"), LOOKS)
async def test_every_kind_of_button_is_sound(
    pool: Pool, world: World, citizen: Open, send: Send, width: int, language: str
) -> None:
    line, new_tab, _ = WORDS[language]
    async with serving(PAGE) as there, citizen(width, language=language, bypass_csp=True) as anna:
        page = await anna.welcome()
        first = ("Leggi la notizia", "iohandledlink://https://www.comune.anna.example/a")
        pairs = [(sso(there), first), *PAIRS]
        for pair in pairs:
            sent = await send(world.anna, anna.fiscal_code, markdown=front(*pair))
            await anna.goto(f"/messages/{sent}")
            outlets = page.locator(".outlet")
            await expect(outlets).to_have_count(2)
            assert await anna.axe() == []
            assert await anna.overflow() <= 0
            for text, _ in pair:
                await expect(page.locator(".message-buttons")).to_contain_text(text)
        host = f"127.0.0.1:{there.port}"
        sent = await send(world.anna, anna.fiscal_code, markdown=front(*pairs[0]))
        await anna.goto(f"/messages/{sent}")
        await expect(outlets.nth(0)).to_contain_text(line.format(host=host))
        # As a screen reader says them: the name, and where it leads as a description.
        button = page.get_by_role("button", name="Apri la pratica")
        described = re.compile(re.escape(line.format(host=host)))
        await expect(button).to_have_accessible_description(described)
        link = page.get_by_role("link", name=f"Leggi la notizia {new_tab}")
        assert await link.get_attribute("target") == "_blank"
        assert await link.get_attribute("rel") == "noopener noreferrer"


@pytest.mark.parametrize("javascript", [True, False])
async def test_a_button_is_pressed_and_leads_out(
    pool: Pool, world: World, citizen: Open, send: Send, javascript: bool
) -> None:
    """By the keyboard alone, with and without JavaScript; nothing tells the site where from."""
    async with serving(PAGE) as there, citizen(javascript=javascript) as anna:
        await register(pool, world.anna, f"{there.url}callback")
        page = await anna.welcome()
        sent = await send(world.anna, anna.fiscal_code, markdown=front(sso(there)))
        await anna.goto(f"/messages/{sent}")
        button = page.get_by_role("button", name="Apri la pratica")
        await button.focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{there.url}pratica?x=1&y=a%27b")
        heads = [head.lower() for head in there.heads if head.startswith("GET /pratica")]
        assert len(heads) == 1
        assert "referer" not in heads[0]
        assert sent.lower() not in heads[0]
        async with pool.connection() as conn:
            tickets = await conn.raw.fetchval(
                "SELECT count(*) FROM sso.launch WHERE message_id = $1", sent
            )
        assert tickets == 1
        # The page in between is not in the history: back is back at the message.
        await page.go_back()
        await expect(page).to_have_url(f"{anna.base}/messages/{sent}")
        assert [said for said in anna.said if "violates" in said or "Refused" in said] == []


@pytest.mark.parametrize(("width", "language"), LOOKS)
async def test_a_site_that_does_not_open_can_be_gone_to_or_given_up(
    pool: Pool, world: World, citizen: Open, send: Send, width: int, language: str
) -> None:
    """The page in between stays where the site shows nothing, or is not registered here."""
    nothing = b"HTTP/1.1 204 No Content\r\n\r\n"
    async with (
        serving(nothing) as there,
        citizen(width, language=language, bypass_csp=True) as anna,
    ):
        if width == 360:
            await register(pool, world.anna, f"{there.url}callback")
        page = await anna.welcome()
        sent = await send(world.anna, anna.fiscal_code, markdown=front(sso(there)))
        await anna.goto(f"/messages/{sent}")
        await page.get_by_role("button", name="Apri la pratica").click()
        await expect(page.locator("h1")).to_contain_text(WORDS[language][2])
        assert await page.locator("meta[http-equiv=refresh]").count() == (width == 360)
        assert await anna.axe() == []
        assert await anna.overflow() <= 0
        links = page.locator(".message-buttons a")
        assert await links.nth(0).get_attribute("href") == f"{there.url}pratica?x=1&y=a%27b"
        await links.nth(1).click()
        await expect(page).to_have_url(f"{anna.base}/messages/{sent}")


@pytest.mark.parametrize(("width", "language"), LOOKS)
async def test_a_services_buttons_are_sound(
    pool: Pool, world: World, citizen: Open, width: int, language: str
) -> None:
    async with serving(PAGE) as there, citizen(width, language=language, bypass_csp=True) as anna:
        async with pool.connection() as conn:
            await conn.raw.execute(
                "UPDATE services.service SET metadata = jsonb_build_object('cta', $1::text) "
                "WHERE id = $2",
                front(sso(there), ("Il portafoglio", "ioit://WALLET_HOME")),
                world.bruno.id,
            )
        await register(pool, world.bruno, f"{there.url}callback")
        page = await anna.welcome()
        await anna.goto(f"/services/{world.bruno.id}")
        assert await anna.axe() == []
        assert await anna.overflow() <= 0
        await page.get_by_role("button", name="Apri la pratica").click()
        await page.wait_for_url(f"{there.url}**")
