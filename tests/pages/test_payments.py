"""A payment notice in a browser, from the list to paid, with the sandbox's node and checkout."""

import pytest
from playwright.async_api import Page, expect

from messo_client import notices
from tests.pages.conftest import Citizen, Open, Send
from tests.world import World

pytestmark = pytest.mark.acceptance

LOOKS = [(320, "it-IT"), (1280, "en-GB")]
WORDS = {
    "it-IT": {
        "pay": "Paga",
        "see": "Vedi l'avviso",
        "to_pay": "Da pagare",
        "paid": "Pagato",
        "thanks": "È pagato",
        "leave": "in corso",
        "expired": "Scaduto",
        "being": "In pagamento",
        "unsure": "Non siamo ancora riusciti a chiedere",
        "receipt": "Ricevuta:",
        "copy": "Copia",
        "copied": "Copiato",
        "remind": "Ricordamelo",
        "consent": "non ce l'hai chiesto",
        "save": "Salva",
        "planned": "Previsto verso",
    },
    "en-GB": {
        "pay": "Pay",
        "see": "See notice",
        "to_pay": "To pay",
        "paid": "Paid",
        "thanks": "It is paid",
        "leave": "progress",
        "expired": "Expired",
        "being": "Being paid",
        "unsure": "We could not ask yet",
        "receipt": "Receipt:",
        "copy": "Copy",
        "copied": "Copied",
        "remind": "Remind me",
        "consent": "you have not asked for it",
        "save": "Save",
        "planned": "Planned for",
    },
}
_numbers = iter(range(1, 1000))


async def receive(world: World, send: Send, anna: Citizen, **content: object) -> tuple[str, str]:
    """A message with a new notice: the path of its page, and the rpt id."""
    number = notices.make(f"{next(_numbers):013d}", code="03")
    sent = await send(
        world.anna,
        anna.fiscal_code,
        subject="Tassa rifiuti: il saldo del 2026",
        payment_data={"amount": 14_250, "notice_number": number},
        **content,
    )
    return f"/messages/{sent}", f"00000000001{number}"


async def decide(anna: Citizen, page: Page, rpt_id: str, state: str) -> None:
    """On the page of the sandbox's payment node."""
    await anna.goto("/sandbox/payment-node")
    await page.locator(f"#s{rpt_id}").select_option(state)
    await page.locator(f"#n{rpt_id} button").click()
    await page.wait_for_load_state()


async def sound(anna: Citizen) -> None:
    assert await anna.axe() == []
    assert await anna.overflow() <= 0


@pytest.mark.parametrize(("width", "language"), LOOKS)
async def test_a_notice_is_paid_from_the_list_to_the_receipt(
    world: World, citizen: Open, send: Send, width: int, language: str
) -> None:
    words = WORDS[language]
    async with citizen(width, language=language, bypass_csp=True) as anna:
        page = await anna.welcome()
        path, _ = await receive(world, send, anna, due_date="2030-01-31T22:59:59Z")
        await anna.goto("/")
        await expect(page.locator(".kind-payment")).to_contain_text("142")
        await page.locator(".line-link").click()
        await expect(page.locator(".box-payment .standing")).to_contain_text(words["to_pay"])
        await sound(anna)
        await page.get_by_role("link", name=words["see"]).click()
        await expect(page.locator("svg.code-qr")).to_be_visible()
        await sound(anna)
        await page.get_by_role("link", name=words["pay"], exact=True).click()
        assert "/sandbox/checkout?" in page.url
        assert anna.fiscal_code not in page.url
        await page.locator("button[value=cancel]").click()
        await page.wait_for_url(f"**{path}?done=unpaid-1")
        await page.get_by_role("link", name=words["pay"], exact=True).click()
        await page.locator("button[value=pay]").click()
        await page.wait_for_url(f"**{path}?done=paid-1")
        await expect(page.locator(".done")).to_contain_text(words["thanks"])
        await expect(page.locator(".box-payment .standing")).to_contain_text(words["paid"])
        await expect(page.locator(".box-payment")).to_contain_text(words["receipt"])
        assert await page.get_by_role("link", name=words["pay"], exact=True).count() == 0
        await sound(anna)
        await page.get_by_role("link", name=words["see"]).click()
        await expect(page.locator(".notice-page")).to_contain_text(words["receipt"])
        await expect(page.locator("svg.code-qr")).to_have_count(0)
        await sound(anna)
        await anna.goto("/")
        await expect(page.locator(".line-kinds")).to_contain_text(words["paid"])
        await sound(anna)


@pytest.mark.parametrize(("width", "language"), LOOKS)
async def test_expired_paid_elsewhere_and_left_in_the_middle(
    world: World, citizen: Open, send: Send, width: int, language: str
) -> None:
    words = WORDS[language]
    async with citizen(width, language=language, bypass_csp=True) as anna:
        page = await anna.welcome()
        for state, shown in (("expired", "expired"), ("paid", "paid"), ("in_progress", "being")):
            path, rpt_id = await receive(world, send, anna)
            await anna.goto(path)  # the node is asked, and knows it from then on
            await decide(anna, page, rpt_id, state)
            await anna.goto(f"{path}/paid")
            await expect(page.locator(".box-payment .standing")).to_contain_text(words[shown])
            assert await page.get_by_role("link", name=words["pay"], exact=True).count() == 0
            await sound(anna)


async def test_a_node_that_is_down_leaves_everything_readable(
    world: World, citizen: Open, send: Send
) -> None:
    words = WORDS["it-IT"]
    async with citizen(360, bypass_csp=True) as anna:
        page = await anna.welcome()
        path, _ = await receive(world, send, anna)
        for mood in ("down", "garbage", "unable"):
            await anna.goto("/sandbox/payment-node")
            await page.locator(f"#mood-{mood}").check()
            await page.locator("form button.enter").click()
            await anna.goto(path)
            await expect(page.locator(".box-payment")).to_contain_text(words["unsure"])
            await expect(page.locator(".message-body")).to_be_visible()
            await sound(anna)
        await anna.goto("/sandbox/payment-node")
        await page.locator("#mood-fine").check()
        await page.locator("form button.enter").click()
        await anna.goto(f"{path}/paid")
        await expect(page.locator(".box-payment .standing")).to_contain_text(words["to_pay"])
        assert words["unsure"] not in await page.locator(".box-payment").inner_text()


async def test_numbers_are_copied_without_their_spaces(
    world: World, citizen: Open, send: Send
) -> None:
    async with citizen(360) as anna:
        await anna.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = await anna.welcome()
        path, rpt_id = await receive(world, send, anna)
        await anna.goto(f"{path}/notice")
        button = page.locator("[data-copy]").first
        await button.click()
        await expect(button).to_contain_text("Copiato")
        assert await page.evaluate("navigator.clipboard.readText()") == rpt_id[11:]
        assert anna.said == []


@pytest.mark.parametrize("javascript", [True, False])
async def test_the_notice_needs_no_javascript(
    world: World, citizen: Open, send: Send, javascript: bool
) -> None:
    async with citizen(360, javascript=javascript) as anna:
        page = await anna.welcome()
        path, _ = await receive(world, send, anna)
        await anna.goto(f"{path}/notice")
        await expect(page.locator("svg.code-qr")).to_be_visible()
        buttons = page.locator("[data-copy]:visible")
        assert await buttons.count() == (2 if javascript else 0)


@pytest.mark.parametrize(("width", "language"), LOOKS)
async def test_reminders_are_explained_before_and_after_consent(
    world: World, citizen: Open, send: Send, worker: object, width: int, language: str
) -> None:
    words = WORDS[language]
    async with citizen(width, language=language, bypass_csp=True) as anna:
        page = await anna.welcome()
        path, _ = await receive(world, send, anna, due_date="2030-01-31T22:59:59Z")
        await anna.goto(f"{path}/reminders")
        await expect(page.locator("main")).to_contain_text(words["consent"])
        await sound(anna)
        await anna.goto("/preferences")
        await page.get_by_label(words["remind"], exact=True).check()
        await page.locator("#quiet_from").select_option("8")
        await page.locator("#quiet_until").select_option("12")
        await page.locator("form[action='/preferences/reminders'] button").click()
        await sound(anna)
        # The worker plans anew; a message is sent, so that it has its turn.
        for _ in range(3):
            await receive(world, send, anna)
        await anna.goto(f"{path}/reminders")
        await expect(page.locator(".reminders li")).to_have_count(5)
        await expect(page.locator(".reminders")).to_contain_text(words["planned"])
        await sound(anna)
