"""The sandbox's payment node answers as pagoPA does, and its checkout pays what people want paid."""

import re
import time
from collections.abc import AsyncIterator
from datetime import date
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from starlette.applications import Starlette

from messo.base.crypto import Secrets, new_secret
from messo.payments.notices import Notice
from messo.sandbox import checkout_page, payment_node_page
from messo.sandbox.payment_node import (
    CHECKOUT_PATH,
    HEADER,
    PATH,
    Known,
    Mood,
    PaymentNode,
    State,
    api_key,
    base_url,
    checkout_template,
)
from messo.settings import Settings

PAYEE = "01199250158"
DUE = date(2025, 12, 16)
HERE = "http://messo.example.org"
BACK = f"{HERE}/messages/01ARZ3NDEKTSV4RRFFQ69G5FAV?x=1&y=2"
HOSTILE = "<script>alert(1)</script>\"'{{ 7*7 }}"


def notice(serial: int) -> Notice:
    stem = f"30101{serial:011d}"
    return Notice(PAYEE, f"{stem}{int(stem) % 93:02d}")


TAX, NO_DUE, AT_ONCE, ODD, NOBODYS = (notice(serial) for serial in range(1, 6))
KNOWN = {
    TAX: Known(15_050, "Comune di Monteverde", "Tassa rifiuti", DUE, is_paid_at_once=False),
    NO_DUE: Known(1, "Comune di Monteverde", "Mensa", None, is_paid_at_once=False),
    AT_ONCE: Known(200, "Comune di Monteverde", "Tessera", DUE, is_paid_at_once=True),
    ODD: Known(9_999_999_999, HOSTILE * 9, HOSTILE * 9, DUE, is_paid_at_once=False),
}


async def lookup(rpt_id: str) -> Known | None:
    found = Notice.of_rpt_id(rpt_id)
    assert found, "asked about what is no rpt id"
    if found.number.startswith("301019"):
        return KNOWN[TAX]
    return KNOWN.get(found)


@pytest.fixture
def settings() -> Settings:
    return Settings(public_url=HERE, host="0.0.0.0", port=8480)  # noqa: S104  compared, not bound


@pytest.fixture
def key(secrets: Secrets) -> dict[str, str]:
    return {HEADER: api_key(secrets)}


@pytest.fixture
def node(settings: Settings, secrets: Secrets) -> PaymentNode:
    return PaymentNode(settings, secrets, lookup, slow_s=0.05)


@pytest.fixture
async def client(node: PaymentNode) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=Starlette(routes=node.routes()))
    async with httpx.AsyncClient(transport=transport, base_url=HERE) as opened:
        yield opened


def path(asked: Notice) -> str:
    return f"{PATH}/payment-requests/{asked.rpt_id}"


def checkout(settings: Settings, asked: Notice, back: str = BACK, amount: int = 15_050) -> str:
    return checkout_template(settings).format(
        rpt_id=asked.rpt_id, amount=amount, return_url=quote(back, safe="")
    )


def form(asked: Notice, do: str, **other: str) -> dict[str, str]:
    return {"rpt_id": asked.rpt_id, "amount": "", "return_url": BACK, "do": do} | other


def terms(state: str = "unpaid", amount: str = "", due: str = "") -> dict[str, str]:
    return {"state": state, "amount": amount, "due": due}


async def change(client: httpx.AsyncClient, asked: Notice, fields: dict[str, str]) -> None:
    answer = await client.post(f"{PATH}/notices/{asked.rpt_id}", data=fields)
    assert answer.status_code == 303, answer.text


async def test_an_unpaid_notice_is_answered_with_what_is_to_be_paid(
    client: httpx.AsyncClient, key: dict[str, str]
) -> None:
    answer = await client.get(path(TAX), headers=key)
    assert answer.status_code == 200
    assert answer.json() == {
        "amount": 15_050,
        "rptId": TAX.rpt_id,
        "paFiscalCode": PAYEE,
        "paName": "Comune di Monteverde",
        "description": "Tassa rifiuti",
        "dueDate": "2025-12-16",
    }
    assert "dueDate" not in (await client.get(path(NO_DUE), headers=key)).json()


async def test_names_and_reasons_are_no_longer_than_on_the_wire(
    client: httpx.AsyncClient, key: dict[str, str]
) -> None:
    body = (await client.get(path(ODD), headers=key)).json()
    assert (len(body["paName"]), len(body["description"])) == (140, 140)


@pytest.mark.parametrize(
    ("state", "status", "category"),
    [
        (State.IN_PROGRESS, 409, "PAYMENT_ONGOING"),
        (State.PAID, 409, "PAYMENT_DUPLICATED"),
        (State.EXPIRED, 409, "PAYMENT_EXPIRED"),
        (State.CANCELLED, 409, "PAYMENT_CANCELED"),
        (State.UNKNOWN, 404, "PAYMENT_UNKNOWN"),
    ],
)
async def test_every_other_state_is_a_fault(
    client: httpx.AsyncClient,
    node: PaymentNode,
    key: dict[str, str],
    state: State,
    status: int,
    category: str,
) -> None:
    await change(client, TAX, terms(state))
    answer = await client.get(path(TAX), headers=key)
    assert (answer.status_code, answer.json()["faultCodeCategory"]) == (status, category)
    assert re.fullmatch(r"(PAA|PPT)_[A-Z_]+", answer.json()["faultCodeDetail"])
    assert await node.state_of(TAX) == state
    await node.set_state(TAX, State.UNPAID)
    assert (await client.get(path(TAX), headers=key)).status_code == 200


async def test_what_nobody_knows_is_unknown_and_what_is_paid_at_once_is_paid(
    client: httpx.AsyncClient, key: dict[str, str]
) -> None:
    """Whatever people decide."""
    for state in State:
        await change(client, NOBODYS, terms(state, "10"))
        await change(client, AT_ONCE, terms(state, "10"))
        answer = await client.get(path(NOBODYS), headers=key)
        assert (answer.status_code, answer.json()["faultCodeCategory"]) == (404, "PAYMENT_UNKNOWN")
        answer = await client.get(path(AT_ONCE), headers=key)
        assert answer.status_code == 409
        assert answer.json()["faultCodeCategory"] == "PAYMENT_DUPLICATED"


async def test_a_creditor_asks_for_another_amount_and_moves_the_due_date(
    client: httpx.AsyncClient, key: dict[str, str]
) -> None:
    async def said() -> tuple[Any, Any]:
        body = (await client.get(path(TAX), headers=key)).json()
        return body["amount"], body.get("dueDate")

    await change(client, TAX, terms(amount="160,5", due="2026-01-31"))
    assert await said() == (16_050, "2026-01-31")
    await change(client, TAX, terms(amount="99999999.99", due=""))
    assert await said() == (9_999_999_999, None)
    await change(client, TAX, terms(amount="", due="2025-12-16"))
    assert await said() == (15_050, "2025-12-16")


@pytest.mark.parametrize("given", [None, "", "wrong", "é", "x" * 5000])
async def test_nobody_without_the_key_is_answered_nor_kept_waiting(
    client: httpx.AsyncClient, node: PaymentNode, given: str | None
) -> None:
    node._slow_s = 1000
    for mood in Mood:
        node.mood = mood
        headers = {} if given is None else {HEADER: given.encode()}
        answer = await client.get(path(TAX), headers=headers)  # type: ignore[arg-type]
        assert (answer.status_code, answer.content) == (401, b"")
    assert TAX.grouped not in (await client.get(PATH)).text


def test_the_key_belongs_to_the_installation(secrets: Secrets) -> None:
    assert api_key(secrets) == api_key(secrets)
    assert api_key(secrets) != api_key(Secrets.parse(new_secret()))


@pytest.mark.parametrize(
    "rpt_id", ["1", TAX.rpt_id[:-1], TAX.rpt_id + "0", "x" * 29, "٣" * 29, PAYEE + "9" * 18, "%00"]
)
async def test_what_is_no_rpt_id_is_malformed(
    client: httpx.AsyncClient, key: dict[str, str], rpt_id: str
) -> None:
    answer = await client.get(f"{PATH}/payment-requests/{rpt_id}", headers=key)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    answer = await client.post(f"{PATH}/notices/{rpt_id}", data=terms())
    assert answer.status_code == 400
    query = {"rpt_id": rpt_id, "return_url": BACK}
    assert (await client.get(CHECKOUT_PATH, params=query)).status_code == 400
    answer = await client.post(CHECKOUT_PATH, data=query | {"do": "pay"})
    assert answer.status_code == 400


async def test_the_node_has_moods(
    client: httpx.AsyncClient, node: PaymentNode, key: dict[str, str]
) -> None:
    async def set_mood(mood: Mood) -> httpx.Response:
        answer = await client.post(f"{PATH}/mood", data={"mood": mood})
        assert (answer.status_code, node.mood) == (303, mood)
        page = (await client.get(PATH)).text
        assert re.findall(r'value="(\w+)" checked', page) == [mood]
        return await client.get(path(TAX), headers=key)

    assert ((await set_mood(Mood.DOWN)).status_code) == 503
    garbage = await set_mood(Mood.GARBAGE)
    assert garbage.status_code == 200
    with pytest.raises(ValueError):
        garbage.json()
    unable = await set_mood(Mood.UNABLE)
    assert (unable.status_code, unable.json()["faultCodeCategory"]) == (502, "GENERIC_ERROR")
    started = time.monotonic()
    slow = await set_mood(Mood.SLOW)
    assert (slow.status_code, slow.json()["amount"]) == (200, 15_050)
    assert time.monotonic() - started >= 0.05
    assert (await set_mood(Mood.FINE)).status_code == 200


async def test_the_page_lists_what_was_asked_about_the_newest_first(
    client: httpx.AsyncClient, key: dict[str, str]
) -> None:
    assert "None yet" in (await client.get(PATH)).text
    for asked in (TAX, NO_DUE, NOBODYS, TAX):
        await client.get(path(asked), headers=key)
    page = (await client.get(PATH)).text
    assert re.findall(r'<li id="n(\d+)"', page) == [
        one.rpt_id for one in (TAX, NOBODYS, NO_DUE)
    ]  # each once
    assert 'value="150.50"' in page
    assert 'value="2025-12-16"' in page
    assert "No message in this sandbox has this notice" in page


async def test_of_too_many_notices_those_go_that_nobody_touched(
    client: httpx.AsyncClient, node: PaymentNode, key: dict[str, str]
) -> None:
    await client.post(CHECKOUT_PATH, data=form(TAX, "pay"))
    for serial in range(250):
        await client.get(path(notice(90_000_000_000 + serial)), headers=key)
    page = (await client.get(PATH)).text
    assert page.count("<li id=") == 200
    assert await node.state_of(TAX) == State.PAID
    for serial in range(250):
        await node.set_state(notice(90_000_000_000 + serial), State.EXPIRED)
    assert (await client.get(PATH)).text.count("<li id=") == 200


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"mood": "furious"}, "mood"),
        ({}, "mood"),
        ({"mood": "x" * 20_000}, "mood"),
        (terms("lost"), "state"),
        (terms(""), "state"),
        (terms(amount="0"), "amount"),
        (terms(amount="0,00"), "amount"),
        (terms(amount="-1"), "amount"),
        (terms(amount="1e3"), "amount"),
        (terms(amount="1.234,50"), "amount"),
        (terms(amount="100000000"), "amount"),
        (terms(amount="٣"), "amount"),
        (terms(amount='"><script>x</script>'), "amount"),
        (terms(due="16/12/2025"), "due"),
        (terms(due="2025-02-30"), "due"),
        (terms(due="2025-W01-1"), "due"),
        (terms(due="0000-00-00"), "due"),
        (terms(due="\x00"), "due"),
    ],
)
async def test_the_page_refuses_what_it_cannot_set_and_names_it(
    client: httpx.AsyncClient, node: PaymentNode, wrong: dict[str, str], field: str
) -> None:
    await node.set_state(TAX, State.PAID)
    where = "mood" if field == "mood" else f"notices/{TAX.rpt_id}"
    answer = await client.post(f"{PATH}/{where}", data=wrong)
    assert answer.status_code == 400
    assert f"<code>{field}</code>" in answer.text
    assert "<script" not in answer.text
    assert (field == "mood") == ('aria-invalid="true"' not in answer.text)
    assert (node.mood, await node.state_of(TAX)) == (Mood.FINE, State.PAID)


async def test_the_checkout_shows_what_is_to_be_paid(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    answer = await client.get(checkout(settings, TAX))
    assert answer.status_code == 200
    for text in ("Comune di Monteverde", "Tassa rifiuti", "€150.50", TAX.grouped):
        assert text in answer.text
    assert "creditor now asks" not in answer.text
    assert answer.text.count("<button") == 3
    await change(client, TAX, terms(amount="160"))
    answer = await client.get(checkout(settings, TAX))
    assert "You were told €150.50; the creditor now asks for €160.00." in answer.text
    assert "Pay €160.00" in answer.text


@pytest.mark.parametrize(
    ("do", "state"),
    [("pay", State.PAID), ("leave", State.IN_PROGRESS), ("cancel", State.UNPAID)],
)
async def test_every_button_goes_back(
    client: httpx.AsyncClient, node: PaymentNode, key: dict[str, str], do: str, state: State
) -> None:
    answer = await client.post(CHECKOUT_PATH, data=form(TAX, do))
    assert (answer.status_code, answer.headers["location"]) == (303, BACK)
    assert await node.state_of(TAX) == state
    listed = TAX.grouped in (await client.get(PATH)).text
    assert listed == (do != "cancel")


async def test_a_payment_in_progress_can_be_completed_and_pressing_twice_pays_once(
    client: httpx.AsyncClient, node: PaymentNode, settings: Settings
) -> None:
    await client.post(CHECKOUT_PATH, data=form(TAX, "leave"))
    assert "is in progress" in (await client.get(checkout(settings, TAX))).text
    for _ in range(2):
        answer = await client.post(CHECKOUT_PATH, data=form(TAX, "pay"))
        assert (answer.status_code, answer.headers["location"]) == (303, BACK)
    assert await node.state_of(TAX) == State.PAID
    page = await client.get(checkout(settings, TAX))
    assert "is paid already" in page.text
    assert "<button" not in page.text
    assert f'<a href="{BACK.replace("&", "&amp;")}">' in page.text
    answer = await client.post(CHECKOUT_PATH, data=form(TAX, "leave"))
    assert answer.status_code == 409
    assert await node.state_of(TAX) == State.PAID


@pytest.mark.parametrize("state", [State.EXPIRED, State.CANCELLED, State.UNKNOWN])
async def test_what_cannot_be_paid_is_not_paid(
    client: httpx.AsyncClient, node: PaymentNode, settings: Settings, state: State
) -> None:
    await node.set_state(TAX, state)
    page = await client.get(checkout(settings, TAX))
    assert page.status_code == (404 if state == State.UNKNOWN else 200)
    assert "<button" not in page.text
    assert "Go back" in page.text
    for do in ("pay", "leave"):
        assert (await client.post(CHECKOUT_PATH, data=form(TAX, do))).status_code == 409
    assert await node.state_of(TAX) == state


@pytest.mark.parametrize(
    "back",
    [
        "",
        "/messages",
        HERE,
        "https://evil.example/",
        "//evil.example/",
        f"{HERE}.evil.example/",
        f"{HERE}@evil.example/",
        f"{HERE}:80@evil.example/",
        f"{HERE}\\@evil.example/",
        f" {HERE}/",
        f"{HERE}/\r\nSet-Cookie: a=b",
        f"{HERE}/\x00",
        f"{HERE}/\\evil",
        f"{HERE}/é",
        f"{HERE}/{'x' * 2000}",
        "javascript:alert(1)",
        "data:text/html,x",
        HERE.upper() + "/",
    ],
)
async def test_nobody_is_sent_elsewhere(
    client: httpx.AsyncClient, node: PaymentNode, settings: Settings, back: str
) -> None:
    answers = [
        await client.get(checkout(settings, TAX, back)),
        *[
            await client.post(CHECKOUT_PATH, data=form(TAX, do, return_url=back))
            for do in ("pay", "leave", "cancel")
        ],
    ]
    for answer in answers:
        assert answer.status_code == 400
        assert "location" not in answer.headers
        assert "<code>return_url</code>" in answer.text
        assert "evil" not in answer.text
    assert await node.state_of(TAX) == State.UNPAID


@pytest.mark.parametrize(
    "fields",
    [
        form(TAX, "steal"),
        form(TAX, ""),
        form(TAX, "pay", amount="x"),
        form(TAX, "pay", amount="-1"),
        form(TAX, "pay", amount="1" * 11),
        form(TAX, "pay", amount="٣"),
        form(TAX, "pay", padding="x" * 20_000),
        {},
    ],
)
async def test_a_checkout_that_cannot_be_read_is_refused(
    client: httpx.AsyncClient, node: PaymentNode, fields: dict[str, str]
) -> None:
    assert (await client.post(CHECKOUT_PATH, data=fields)).status_code == 400
    assert await node.state_of(TAX) == State.UNPAID


@pytest.mark.parametrize("body", [b"\xff\xfe", b"%ff=%00&rpt_id=%ed%a0%80", b"&" * 9000, b"[1]"])
async def test_bytes_that_are_no_form_are_refused(client: httpx.AsyncClient, body: bytes) -> None:
    for place in (CHECKOUT_PATH, f"{PATH}/mood", f"{PATH}/notices/{TAX.rpt_id}"):
        assert (await client.post(place, content=body)).status_code == 400
    query = quote(body, safe="=&%")
    assert (await client.get(f"{CHECKOUT_PATH}?{query}")).status_code == 400


async def test_what_a_creditor_writes_is_text(
    client: httpx.AsyncClient, key: dict[str, str], settings: Settings
) -> None:
    await client.get(path(ODD), headers=key)
    for page in (await client.get(PATH), await client.get(checkout(settings, ODD))):
        assert page.status_code == 200
        assert "&lt;script&gt;" in page.text
        assert "{{ 7*7 }}" in page.text
        assert "<script" not in page.text


@pytest.mark.parametrize(("language", "other"), [("it", "en"), ("en", "it")])
async def test_the_pages_speak_two_languages_and_carry_no_code(
    client: httpx.AsyncClient, node: PaymentNode, settings: Settings, language: str, other: str
) -> None:
    client.headers["Accept-Language"] = f"{language}-IT,{other};q=0.5"
    await node.set_state(TAX, State.PAID)
    titles = {
        "it": ("Il nodo dei pagamenti", "Paga l&#39;avviso", "Questo pagamento non può continuare"),
        "en": ("The payment node", "Pay the notice", "This payment cannot go on"),
    }
    answers = [
        await client.get(PATH),
        await client.get(checkout(settings, NO_DUE)),
        await client.get(CHECKOUT_PATH),
    ]
    for answer, title, not_this in zip(answers, titles[language], titles[other], strict=True):
        assert f'<html lang="{language}">' in answer.text
        assert f"<h1>{title}</h1>" in answer.text
        assert answer.text.count("<h1") == 1
        assert not_this not in answer.text
        assert not re.search(r"<script|<style|\sstyle\s*=|\son[a-z]+\s*=", answer.text)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "form-action 'self'" in policy
        assert "unsafe-inline" not in policy
        assert answer.headers["vary"] == "Accept-Language"


def test_every_mood_and_state_has_words_in_both_languages() -> None:
    for texts in payment_node_page._TEXTS.values():
        assert list(texts["moods"]) == list(Mood)
        assert list(texts["states"]) == list(State)
    first, second = checkout_page._TEXTS.values()
    assert set(first) == set(second)
    assert {state.value for state in State} - {"unpaid"} <= set(first)
    english, italian = payment_node_page._TEXTS.values()
    assert set(english) == set(italian)


async def test_addresses(client: httpx.AsyncClient, settings: Settings) -> None:
    assert base_url(settings) == "http://127.0.0.1:8480/sandbox/payment-node"
    made = urlsplit(checkout(settings, TAX))
    assert parse_qs(made.query) == {
        "rpt_id": [TAX.rpt_id],
        "amount": ["15050"],
        "return_url": [BACK],
    }
    for name in ("sinks.css", "payments.css"):
        assert (await client.get(f"{PATH}/{name}")).headers["content-type"].startswith("text/css")
