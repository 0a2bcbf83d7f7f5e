"""Payment notices on a citizen's pages: what is known, what is shown, and the way to pay."""

import re
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from messo.base import clock
from messo.base.db import Pool
from messo.payments import Notice, intake
from messo.services.services import set_postal_account
from messo.settings import Settings
from messo_client import notices
from tests.conftest import Running
from tests.inbox.conftest import LogIn
from tests.inbox.pages import Browser, citizen
from tests.messages.mail import Mail
from tests.payments import conftest as with_node
from tests.payments.node import (
    CANCELLED,
    EXPIRED,
    ONGOING,
    PAID,
    UNREACHABLE,
    FakeNode,
    Mood,
    payable,
)
from tests.world import World

CHECKOUT = "https://paga.example.org/vai?a={rpt_id}&euro={amount}&poi={return_url}"
PAYEE = "00000000001"
_numbers = iter(range(1, 10_000))

payment_node, node = with_node.payment_node, with_node.node
settings_with_node = with_node.settings


@pytest.fixture(scope="module")
def settings(settings_with_node: Settings) -> Settings:
    return replace(settings_with_node, checkout_url=CHECKOUT)


def new_notice() -> Notice:
    return Notice(PAYEE, notices.make(f"{next(_numbers):013d}", code="02"))


def in_days(days: int) -> str:
    """The end of that day in Rome, as institutions write it."""
    day = clock.day_in_rome(clock.now()) + timedelta(days=days)
    return clock.to_wire(datetime.combine(day, time(21, 59), UTC))


async def write(
    mail: Mail,
    world: World,
    giulia: Browser,
    notice: Notice,
    more: dict[str, Any] | None = None,
    **content: Any,
) -> str:
    """A message with this notice; the path of its page. `more`: of the notice itself."""
    payment = {"amount": 12_345, "notice_number": notice.number, **(more or {})}
    sent = await mail.send(world.anna, giulia.fiscal_code, payment_data=payment, **content)
    return f"/messages/{sent}"


@pytest.mark.parametrize(
    ("said", "shown", "can_pay"),
    [
        (None, "Da pagare", True),
        (ONGOING, "In pagamento", False),
        (PAID, "Pagato", False),
        (EXPIRED, "Scaduto", False),
        (CANCELLED, "Annullato", False),
    ],
)
async def test_the_card_says_how_the_notice_stands_now(
    mail: Mail,
    world: World,
    giulia: Browser,
    node: FakeNode,
    said: object,
    shown: str,
    can_pay: bool,
) -> None:
    notice = new_notice()
    path = await write(mail, world, giulia, notice)
    node.says[notice.rpt_id] = said or payable(notice.rpt_id, amount=12_345)  # type: ignore[assignment]
    page = await giulia.page(path)
    assert f"Avviso di pagamento {shown}" in page.text
    assert "123,45 €" in page.text.replace("\xa0", " ")
    assert notice.grouped in page.text
    assert (f"{path}/pay" in page.links) is can_pay
    assert f"{path}/notice" in page.links
    own = await giulia.page(f"{path}/notice")
    assert shown in own.text
    assert ('class="code-qr"' in (await giulia.get(f"{path}/notice")).text) is can_pay
    pdf = await giulia.get(f"{path}/notice.pdf")
    assert (pdf.status_code, pdf.content[:5] == b"%PDF-") == (
        (200, True) if can_pay else (303, False)
    )
    assert pdf.headers["cache-control"] == "no-store"


async def test_what_the_creditor_changed_since_is_shown_beside_what_the_message_says(
    mail: Mail,
    world: World,
    giulia: Browser,
    node: FakeNode,
) -> None:
    notice = new_notice()
    due = (clock.now() + timedelta(days=9)).date()
    path = await write(mail, world, giulia, notice, due_date=in_days(3))
    node.says[notice.rpt_id] = payable(
        notice.rpt_id,
        amount=20_000,
        dueDate=due.isoformat(),
        paName="Comune di Anna \u202eTributi",
        description="TARI <b>2030</b>",
    )
    answer = await giulia.get(path)
    text = answer.text.replace("\xa0", " ")
    assert "200,00 €" in text
    assert "Nel messaggio c&#39;è scritto 123,45 €" in text
    assert "Comune di Anna Tributi" in text
    assert "TARI &lt;b&gt;2030&lt;/b&gt;" in text
    assert re.search(r"scade tra [89] giorni", text)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0, "scade oggi"),
        (1, "scade domani"),
        (3, "scade tra 3 giorni"),
        (-1, "è scaduto ieri"),
        (-5, "è scaduto 5 giorni fa"),
    ],
)
async def test_the_due_date_is_said_in_words(
    mail: Mail,
    world: World,
    giulia: Browser,
    node: FakeNode,
    days: int,
    words: str,
) -> None:
    notice = new_notice()
    path = await write(mail, world, giulia, notice, due_date=in_days(days))
    node.says[notice.rpt_id] = payable(notice.rpt_id, dueDate=None)
    assert words in (await giulia.page(path)).text


async def test_a_due_date_at_the_end_of_all_calendars_is_shown_and_watched(
    mail: Mail, world: World, giulia: Browser, node: FakeNode
) -> None:
    """Some institutions write so for "never"; in Rome it is the year 10,000 by then."""
    notice = new_notice()
    path = await write(mail, world, giulia, notice, due_date="9999-12-31T23:30:00Z")
    node.says[notice.rpt_id] = payable(notice.rpt_id, dueDate=None)
    assert "31 dicembre 9999" in (await giulia.page(path)).text
    assert (await giulia.get(f"{path}/notice")).status_code == 200
    assert node.asked[notice.rpt_id] == 1  # so it stands in the ledger


async def test_after_its_due_date_one_that_becomes_invalid_is_shown_as_expired(
    mail: Mail,
    world: World,
    giulia: Browser,
    node: FakeNode,
) -> None:
    notice = new_notice()
    path = await write(
        mail, world, giulia, notice, due_date=in_days(-1), more={"invalid_after_due_date": True}
    )
    node.says[notice.rpt_id] = payable(notice.rpt_id, dueDate=None)
    page = await giulia.page(path)
    assert "Scaduto" in page.text
    assert f"{path}/pay" not in page.links


@pytest.mark.parametrize("mood", [Mood.HANG, Mood.GARBAGE, Mood.RESET, Mood.NOT_JSON])
async def test_a_node_that_says_nothing_leaves_the_message_readable(
    mail: Mail,
    world: World,
    giulia: Browser,
    node: FakeNode,
    mood: Mood,
) -> None:
    notice = new_notice()
    path = await write(mail, world, giulia, notice)
    if mood == Mood.HANG:
        node.hang()
    node.mood = mood
    page = await giulia.page(path)
    assert "Non siamo ancora riusciti a chiedere se è pagato" in page.text
    assert "123,45 €" in page.text.replace("\xa0", " ")
    assert notice.grouped in page.text


async def test_an_unreachable_creditor_leaves_what_was_known(
    mail: Mail,
    world: World,
    giulia: Browser,
    node: FakeNode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notice = new_notice()
    path = await write(mail, world, giulia, notice)
    node.says[notice.rpt_id] = payable(notice.rpt_id, amount=20_000)
    assert "200,00 €" in (await giulia.page(path)).text.replace("\xa0", " ")
    node.says[notice.rpt_id] = UNREACHABLE
    later = clock.now() + timedelta(minutes=20)
    monkeypatch.setattr(clock, "now", lambda: later)
    await giulia.get(f"{path}/paid")  # asks in any case
    page = await giulia.page(f"{path}/notice")
    assert "In questo momento non riusciamo a chiedere se è pagato" in page.text
    assert "200,00 €" in page.text.replace("\xa0", " ")


async def test_after_paying_the_notice_stays_with_its_date_and_receipt(
    pool: Pool,
    mail: Mail,
    world: World,
    giulia: Browser,
    node: FakeNode,
) -> None:
    notice = new_notice()
    path = await write(mail, world, giulia, notice)
    event = {
        "debtorPosition": {"noticeNumber": notice.number},
        "creditor": {"idPA": notice.payee},
        "paymentInfo": {
            "paymentDateTime": "2026-03-04T10:20:30.123456",
            "paymentToken": "ricevuta-77",
        },
    }
    async with pool.transaction() as conn:
        await intake.take(conn, world.secrets, [event])
    for address in (path, f"{path}/notice"):
        page = await giulia.page(address)
        assert "Pagato il 4 marzo 2026, 10:20." in page.text
        assert "Ricevuta: ricevuta-77" in page.text
    assert node.asked[notice.rpt_id] == 0  # paid is final
    listed = await giulia.page("/?kind=payment")
    assert "Pagato" in listed.text


async def test_pay_leads_to_the_checkout_with_what_the_node_says_now(
    running: Running,
    mail: Mail,
    world: World,
    giulia: Browser,
    node: FakeNode,
) -> None:
    notice = new_notice()
    path = await write(mail, world, giulia, notice)
    node.says[notice.rpt_id] = payable(notice.rpt_id, amount=20_001)
    answer = await giulia.get(f"{path}/pay")
    assert answer.status_code == 303
    there = urlsplit(answer.headers["location"])
    assert (there.scheme, there.netloc, there.path) == ("https", "paga.example.org", "/vai")
    assert parse_qs(there.query) == {
        "a": [notice.rpt_id],
        "euro": ["20001"],
        "poi": [f"{running.settings.public_url}{path}/paid"],
    }
    assert giulia.fiscal_code not in answer.headers["location"]


@pytest.mark.parametrize(
    ("said", "done"),
    [
        (None, "unpaid"),
        (ONGOING, "paying"),
        (PAID, "paid"),
        (EXPIRED, "closed"),
        (CANCELLED, "closed"),
    ],
)
async def test_coming_back_asks_how_it_stands_whatever_was_said_a_moment_ago(
    mail: Mail,
    world: World,
    giulia: Browser,
    node: FakeNode,
    said: object,
    done: str,
) -> None:
    notice = new_notice()
    path = await write(mail, world, giulia, notice)
    node.says[notice.rpt_id] = payable(notice.rpt_id)
    await giulia.page(path)
    node.says[notice.rpt_id] = said or payable(notice.rpt_id)  # type: ignore[assignment]
    answer = await giulia.get(f"{path}/paid")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?done={done}-1")
    if done != "unpaid":  # nobody pays it a second time
        again = await giulia.get(f"{path}/pay")
        assert again.headers["location"] == f"{path}?done={done}-1"


@pytest.mark.parametrize("took", [timedelta(seconds=20), timedelta(minutes=4)])
async def test_who_comes_back_while_nobody_can_say_is_not_told_to_pay_again(
    took: timedelta,
    mail: Mail,
    world: World,
    giulia: Browser,
    node: FakeNode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notice = new_notice()
    path = await write(mail, world, giulia, notice)
    node.says[notice.rpt_id] = payable(notice.rpt_id)
    assert "paga.example.org" in (await giulia.get(f"{path}/pay")).headers["location"]
    node.says[notice.rpt_id] = UNREACHABLE
    later = clock.now() + took  # to pay; at first the answer of before is still a recent one
    monkeypatch.setattr(clock, "now", lambda: later)
    answer = await giulia.get(f"{path}/paid")
    assert answer.headers["location"] == f"{path}?done=unsure-1"
    assert "Se hai pagato, non rifarlo" in (await giulia.page(f"{path}?done=unsure-1")).text


async def test_one_citizen_does_not_make_the_node_answer_without_end(
    mail: Mail, world: World, giulia: Browser, node: FakeNode
) -> None:
    notice = new_notice()
    path = await write(mail, world, giulia, notice)
    node.says[notice.rpt_id] = payable(notice.rpt_id)
    for _ in range(40):
        assert (await giulia.get(f"{path}/paid")).status_code == 303
    assert node.asked[notice.rpt_id] < 20


async def test_a_notice_that_the_node_does_not_find_says_so(
    mail: Mail, world: World, giulia: Browser, node: FakeNode
) -> None:
    path = await write(mail, world, giulia, new_notice())
    page = await giulia.page(path)
    assert "pagoPA non trova questo avviso: prima di pagare, chiedi a Comune di Anna." in page.text


async def test_a_payment_that_is_under_way_for_days_is_not(
    mail: Mail, world: World, giulia: Browser, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    notice = new_notice()
    path = await write(mail, world, giulia, notice)
    node.says[notice.rpt_id] = ONGOING
    assert "In pagamento" in (await giulia.page(path)).text
    node.says[notice.rpt_id] = UNREACHABLE
    began = clock.now()
    for minutes in (20, 40):  # so that they stay logged in
        later = began + timedelta(minutes=minutes)
        monkeypatch.setattr(clock, "now", lambda later=later: later)
        await giulia.get(f"{path}/paid")
        page = await giulia.page(path)
        assert ("In pagamento" in page.text) is (minutes == 20)
    assert "Ultima risposta:" in page.text


async def test_another_payee_is_not_called_by_the_senders_name(
    mail: Mail, world: World, giulia: Browser, node: FakeNode
) -> None:
    notice = Notice("00000000009", new_notice().number)
    more = {"payee": {"fiscal_code": notice.payee}}
    path = await write(mail, world, giulia, notice, more)
    node.says[notice.rpt_id] = UNREACHABLE
    page = await giulia.page(path)
    assert "A chi00000000009" in page.text.replace(" 0", "0")


async def test_a_slip_for_post_offices_is_there_only_where_its_account_is_known(
    pool: Pool,
    mail: Mail,
    world: World,
    giulia: Browser,
    node: FakeNode,
) -> None:
    mine, others = new_notice(), Notice("00000000009", new_notice().number)
    paths = [
        await write(mail, world, giulia, mine),
        await write(mail, world, giulia, others, more={"payee": {"fiscal_code": others.payee}}),
    ]
    for notice in (mine, others):
        node.says[notice.rpt_id] = payable(notice.rpt_id)

    async def has_slip(path: str) -> bool:
        return "code-data-matrix" in (await giulia.get(f"{path}/notice")).text

    assert [await has_slip(path) for path in paths] == [False, False]
    async with pool.transaction() as conn:
        await set_postal_account(conn, "tests", world.anna.id, "12345678")
    try:
        assert [await has_slip(path) for path in paths] == [True, False]  # not another's account
        for path in paths:
            assert (await giulia.get(f"{path}/notice.pdf")).content.startswith(b"%PDF-")
    finally:
        async with pool.transaction() as conn:
            await set_postal_account(conn, "tests", world.anna.id, "")
    assert not await has_slip(paths[0])


async def test_others_notices_and_messages_without_one_are_not_there(
    mail: Mail,
    world: World,
    giulia: Browser,
    browse: LogIn,
    pool: Pool,
    node: FakeNode,
) -> None:
    path = await write(mail, world, giulia, new_notice())
    plain = f"/messages/{await mail.send(world.anna, giulia.fiscal_code)}"
    stranger = await browse(await citizen(pool, "STR", 1))
    before = node.asked.copy()
    for more in ("/notice", "/notice.pdf", "/pay", "/paid"):
        assert (await stranger.get(path + more)).status_code == 404
        assert (await giulia.get(plain + more)).status_code == 404
        assert (await giulia.get("/messages/x%00y" + more)).status_code == 404
    assert node.asked == before


async def test_a_notice_of_the_last_moment_is_shown_before_the_ledger_knows_it(
    pool: Pool,
    mail: Mail,
    world: World,
    giulia: Browser,
    node: FakeNode,
) -> None:
    notice = new_notice()
    path = await write(mail, world, giulia, notice)
    async with pool.transaction() as conn:
        await conn.raw.execute("DELETE FROM payments.carrier")
        await conn.raw.execute("DELETE FROM payments.notice")
    page = await giulia.page(path)
    assert "Da pagare" in page.text
    assert (await giulia.get(f"{path}/notice")).status_code == 200
