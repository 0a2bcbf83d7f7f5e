"""The payment node's client: every answer of the contract, and every way not to give one."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import date
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from messo.base import clock
from messo.base.outbound import Limits
from messo.payments import Node, make_outbound
from messo.payments.ledger import State
from messo.payments.node import NodeError, RefusedByNodeError, read_answer, seen_of
from tests.payments.cases import fresh
from tests.payments.node import KEY, PAID, UNKNOWN, FakeNode, Mood, Said, fault, payable

# Section 5 of the contract, whole.
PAYABLE_NOT: list[tuple[int, str, State | None, str]] = [
    (404, "PAYMENT_DATA_ERROR", "unknown", "PPT_SINTASSI_EXTRAXSD PPT_SINTASSI_XSD"),
    (404, "PAYMENT_DATA_ERROR", "unknown", "PPT_DOMINIO_SCONOSCIUTO"),
    (404, "PAYMENT_DATA_ERROR", "unknown", "PPT_STAZIONE_INT_PA_SCONOSCIUTA"),
    (404, "PAYMENT_UNKNOWN", "unknown", "PAA_PAGAMENTO_SCONOSCIUTO"),
    (409, "PAYMENT_ONGOING", "in_progress", "PPT_PAGAMENTO_IN_CORSO PAA_PAGAMENTO_IN_CORSO"),
    (409, "PAYMENT_EXPIRED", "expired", "PAA_PAGAMENTO_SCADUTO"),
    (409, "PAYMENT_CANCELED", "cancelled", "PAA_PAGAMENTO_ANNULLATO"),
    (409, "PAYMENT_DUPLICATED", "paid", "PAA_PAGAMENTO_DUPLICATO PPT_PAGAMENTO_DUPLICATO"),
    (502, "GENERIC_ERROR", None, "anything at all"),
    (
        502,
        "PAYMENT_UNAVAILABLE",
        None,
        (
            "PPT_PSP_SCONOSCIUTO PPT_PSP_DISABILITATO PPT_INTERMEDIARIO_PSP_SCONOSCIUTO "
            "PPT_INTERMEDIARIO_PSP_DISABILITATO PPT_CANALE_SCONOSCIUTO PPT_CANALE_DISABILITATO "
            "PPT_AUTENTICAZIONE PPT_AUTORIZZAZIONE PPT_DOMINIO_DISABILITATO "
            "PPT_INTERMEDIARIO_PA_DISABILITATO PPT_STAZIONE_INT_PA_DISABILITATA "
            "PPT_CODIFICA_PSP_SCONOSCIUTA PPT_SEMANTICA PPT_SYSTEM_ERROR PAA_SEMANTICA"
        ),
    ),
    (
        503,
        "DOMAIN_UNKNOWN",
        None,
        (
            "PPT_STAZIONE_INT_PA_IRRAGGIUNGIBILE PPT_STAZIONE_INT_PA_TIMEOUT "
            "PPT_STAZIONE_INT_PA_ERRORE_RESPONSE PPT_IBAN_NON_CENSITO PAA_SINTASSI_EXTRAXSD "
            "PAA_SINTASSI_XSD PAA_ID_DOMINIO_ERRATO PAA_ID_INTERMEDIARIO_ERRATO "
            "PAA_STAZIONE_INT_ERRATA PAA_ATTIVA_RPT_IMPORTO_NON_VALIDO PPT_ERRORE_EMESSO_DA_PAA "
            "PAA_SYSTEM_ERROR"
        ),
    ),
]
FAULTS = [
    (status, category, detail, state)
    for status, category, state, details in PAYABLE_NOT
    for detail in details.split()
]
CATEGORIES = sorted({category for _, category, _, _ in FAULTS})
NOW = clock.now()
NOTICE = fresh()


@contextlib.asynccontextmanager
async def asking(node: FakeNode) -> AsyncIterator[Node]:
    made = Node(node.url, KEY, make_outbound((ip_network("127.0.0.0/8"),)))
    try:
        yield made
    finally:
        await made.close()


@pytest.mark.parametrize(("status", "category", "detail", "state"), FAULTS)
async def test_each_fault_of_the_contract_has_its_state_and_is_the_evidence(
    node: FakeNode, status: int, category: str, detail: str, state: State | None
) -> None:
    notice = fresh()
    node.says[notice.rpt_id] = fault(status, category, detail)
    async with asking(node) as made:
        answer = await made.ask(notice.rpt_id)
    assert (answer.status, answer.info) == (status, None)
    assert answer.fault is not None
    assert (answer.fault.faultCodeCategory, answer.fault.faultCodeDetail) == (category, detail)
    seen = seen_of(notice, answer)
    assert (seen.state, seen.source, seen.code, seen.amount) == (state, "node", detail, None)


@given(
    status=st.sampled_from([404, 409, 502, 503]),
    category=st.sampled_from(CATEGORIES),
    detail=st.sampled_from(sorted({detail for _, _, detail, _ in FAULTS})) | st.text(max_size=40),
)
def test_paid_is_said_only_by_the_codes_that_mean_it(
    status: int, category: str, detail: str
) -> None:
    """A status, a category or a detail that does not fit the others is no evidence of a payment."""
    answer = read_answer(status, fault(status, category, detail).body, NOTICE.rpt_id, NOW)
    means_paid = (status, category) == (409, "PAYMENT_DUPLICATED") and detail in {
        "PAA_PAGAMENTO_DUPLICATO",
        "PPT_PAGAMENTO_DUPLICATO",
    }
    seen = seen_of(NOTICE, answer)
    assert (seen.state == "paid") is means_paid
    assert len(seen.code) <= 64


async def test_a_notice_that_can_be_paid_brings_all_that_is_shown(node: FakeNode) -> None:
    notice = fresh()
    node.says[notice.rpt_id] = payable(notice.rpt_id, 99, description=" TARI\n2030\u202e \x00")
    async with asking(node) as made:
        seen = seen_of(notice, await made.ask(notice.rpt_id))
    assert (seen.state, seen.source, seen.code) == ("unpaid", "node", "200")
    assert (seen.amount, seen.due_date) == (99, date(2030, 1, 31))
    assert (seen.payee_name, seen.reason) == ("Comune di Anna", "TARI 2030")


@pytest.mark.parametrize("due", ["31/01/2030", "2030-13-01", "", "soon", "2030-02-30"])
async def test_a_due_date_that_is_none_is_no_due_date(node: FakeNode, due: str) -> None:
    notice = fresh()
    node.says[notice.rpt_id] = payable(notice.rpt_id, dueDate=due)
    async with asking(node) as made:
        seen = seen_of(notice, await made.ask(notice.rpt_id))
    assert (seen.state, seen.due_date) == ("unpaid", None)


STRANGE: list[tuple[Said, str]] = [
    (Said(200), "unreadable"),
    (Said(200, b"{}"), "unreadable"),
    (Said(200, b"null"), "unreadable"),
    (Said(200, b"[" * 50_000), "unreadable"),
    (Said(200, b'{"amount": "12"}'), "unreadable"),
    (Said(200, b'{"amount": -1}'), "unreadable"),
    (Said(200, b'{"amount": 1.5}'), "unreadable"),
    (Said(200, b'{"amount": 1e999}'), "unreadable"),
    (Said(200, b'{"amount": 100000000000}'), "unreadable"),
    (Said(200, b'{"amount": 1, "paName": "\xff\xfe"}'), "unreadable"),
    (Said(200, b'{"amount": 1, "paName": "\\ud800"}'), "unreadable"),
    (Said(200, b'{"amount": 1, "paName": 7}'), "unreadable"),
    (payable(fresh().rpt_id), "another notice"),
    (payable(NOTICE.rpt_id, paFiscalCode="00000000009"), "another payee"),
    (Said(404, b"<p>not found</p>"), "unreadable"),
    (Said(409), "unreadable"),
    (Said(409, b'{"faultCodeCategory": "PAYMENT_DUPLICATED"}'), "unreadable"),
    (Said(409, b'{"faultCodeCategory": "PAID", "faultCodeDetail": "x"}'), "unreadable"),
    (Said(502, b"Bad Gateway"), "unreadable"),
    (Said(503), "unreadable"),
    (Said(401), "401"),
    (Said(403), "403"),
    (Said(429, headers=("Retry-After: 60",)), "429"),
    (Said(500, b"{}"), "500"),
    (Said(504, PAID.body), "504"),
    (Said(302, headers=("Location: http://169.254.169.254/",)), "302"),
    (Said(204), "204"),
    (Said(201, payable(NOTICE.rpt_id).body), "201"),
]


@pytest.mark.parametrize(("answer", "reason"), STRANGE)
async def test_an_answer_that_is_none_is_a_node_error(
    node: FakeNode, answer: Said, reason: str
) -> None:
    node.says[NOTICE.rpt_id] = answer
    async with asking(node) as made:
        with pytest.raises(NodeError) as failed:
            await made.ask(NOTICE.rpt_id)
    assert failed.value.reason == reason
    seen = seen_of(NOTICE, failed.value)
    assert (seen.state, seen.code) == (None, reason)


async def test_a_refusal_of_the_question_is_told_apart(node: FakeNode) -> None:
    node.says[NOTICE.rpt_id] = Said(400, b'{"title": "Bad Request"}')
    async with asking(node) as made:
        with pytest.raises(RefusedByNodeError):
            await made.ask(NOTICE.rpt_id)


@pytest.mark.parametrize(
    "mood", [Mood.RESET, Mood.GARBAGE, Mood.NOT_JSON, Mood.HUGE, Mood.CUT, Mood.DRIP, Mood.HANG]
)
async def test_a_node_that_misbehaves_is_a_node_error(
    node: FakeNode, mood: Mood, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.says[NOTICE.rpt_id] = payable(NOTICE.rpt_id)
    limits = Limits(connect_s=2, total_s=0.3, answer_bytes=64 * 1024)
    if mood in {Mood.DRIP, Mood.HANG}:  # ten seconds are too long to wait for in a test
        monkeypatch.setattr("messo.payments.node._LIMITS", limits)
    node.let_go.clear()
    node.mood = mood
    async with asking(node) as made:
        with pytest.raises(NodeError) as failed:
            await made.ask(NOTICE.rpt_id)
        assert seen_of(NOTICE, failed.value).state is None
        node.recover()
        assert (await made.ask(NOTICE.rpt_id)).status == 200


async def test_a_node_that_is_not_there_is_a_node_error(node: FakeNode) -> None:
    absent = FakeNode()
    await absent.start()
    await absent.stop()
    async with asking(absent) as made:
        with pytest.raises(NodeError):
            await made.ask(NOTICE.rpt_id)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
FIELDS = ["amount", "rptId", "paFiscalCode", "paName", "description", "dueDate"]
FIELDS += ["faultCodeCategory", "faultCodeDetail", "title"]


@given(
    status=st.integers(100, 599) | st.sampled_from([200, 404, 409, 502, 503]),
    body=st.binary(max_size=200)
    | st.dictionaries(st.sampled_from(FIELDS), JSON).map(lambda given: json.dumps(given).encode()),
)
@example(status=200, body=b'{"amount": 1, "dueDate": "0000-00-00"}')
@example(status=409, body=b'{"faultCodeCategory": "GENERIC_ERROR", "faultCodeDetail": "\\u0000"}')
def test_whatever_comes_is_an_answer_or_a_node_error(status: int, body: bytes) -> None:
    """And whatever is an answer can be stored: texts on one line, without a NUL."""
    try:
        answer = read_answer(status, body, NOTICE.rpt_id, NOW)
    except NodeError:
        return
    assert (answer.info is None) is not (answer.fault is None)
    seen = seen_of(NOTICE, answer)
    stored: list[Any] = [seen.code, seen.payee_name, seen.reason]
    assert all("\x00" not in text and "\n" not in text for text in stored if text is not None)


async def test_fifty_who_ask_the_same_at_once_are_one_question(node: FakeNode) -> None:
    notice = fresh()
    node.says[notice.rpt_id] = payable(notice.rpt_id)
    node.hang()
    async with asking(node) as made:
        asking_now = [asyncio.create_task(made.ask(notice.rpt_id)) for _ in range(50)]
        await node.hanging.wait()
        node.recover()
        answers = await asyncio.gather(*asking_now)
    assert node.asked[notice.rpt_id] == 1
    assert all(answer == answers[0] for answer in answers)


async def test_fifty_who_ask_the_same_are_told_of_the_same_failure(node: FakeNode) -> None:
    notice = fresh()
    node.mood = Mood.RESET
    async with asking(node) as made:
        told = await asyncio.gather(
            *(made.ask(notice.rpt_id) for _ in range(50)), return_exceptions=True
        )
        assert {type(one) for one in told} == {NodeError}
        assert node.asked[notice.rpt_id] <= 2  # a client may try a kept connection once more
        node.recover()
        assert (await made.ask(notice.rpt_id)).status == 404  # a failure is not kept


async def test_who_asked_first_may_go_away(node: FakeNode) -> None:
    notice = fresh()
    node.says[notice.rpt_id] = payable(notice.rpt_id)
    node.hang()
    async with asking(node) as made:
        first = asyncio.create_task(made.ask(notice.rpt_id))
        await node.hanging.wait()
        others = [asyncio.create_task(made.ask(notice.rpt_id)) for _ in range(5)]
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        node.recover()
        assert [answer.status for answer in await asyncio.gather(*others)] == [200] * 5
    assert node.asked[notice.rpt_id] == 1


async def test_an_answer_holds_for_a_moment_unless_it_is_asked_again(node: FakeNode) -> None:
    notice = fresh()
    async with asking(node) as made:
        assert (await made.ask(notice.rpt_id)).status == 404
        node.says[notice.rpt_id] = payable(notice.rpt_id)
        assert (await made.ask(notice.rpt_id)).status == 404
        assert (await made.ask(notice.rpt_id, again=True)).status == 200
        node.says[notice.rpt_id] = PAID
        assert (await made.ask(notice.rpt_id)).status == 200
        assert node.asked[notice.rpt_id] == 2
        async with asyncio.timeout(30):
            while (await made.ask(notice.rpt_id)).status != 409:
                await asyncio.sleep(0.1)
    assert node.asked[notice.rpt_id] == 3


async def test_a_node_that_fails_again_and_again_is_left_alone(node: FakeNode) -> None:
    node.mood = Mood.RESET
    reasons = []
    async with asking(node) as made:
        for _ in range(20):
            with pytest.raises(NodeError) as failed:
                await made.ask(fresh().rpt_id)
            reasons.append(failed.value.reason)
        asked = node.asked.total()
        with pytest.raises(NodeError) as failed:
            await made.ask(fresh().rpt_id)
    assert failed.value.reason == "busy"
    assert failed.value.after_s is not None
    assert 0 < failed.value.after_s < 10
    assert reasons[:5] == ["unreachable"] * 5
    assert reasons[5:] == ["busy"] * 15
    assert node.asked.total() == asked


@pytest.mark.parametrize("answer", [Said(502, b"x"), Said(503, b"x"), UNKNOWN])
async def test_creditors_that_are_unable_do_not_close_the_node(
    node: FakeNode, answer: Said
) -> None:
    """502 and 503 tell of one creditor; the node itself answers."""
    unable = [fresh() for _ in range(20)]
    node.says |= {notice.rpt_id: answer for notice in unable}
    async with asking(node) as made:
        for notice in unable:
            with contextlib.suppress(NodeError):
                await made.ask(notice.rpt_id)
        well = fresh()
        node.says[well.rpt_id] = payable(well.rpt_id)
        assert (await made.ask(well.rpt_id)).status == 200
