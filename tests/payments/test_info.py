"""What citizens' clients are told of any notice: the node's answer, with codes that are true."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count

import pytest

from messo.base.db import Pool
from messo.base.outbound import Limits
from messo.payments.ledger import State
from messo.settings import Settings
from tests.conftest import Running
from tests.messages.mail import Mail
from tests.payments.asking import PATHS, Client, client_of
from tests.payments.cases import fresh, known, record_paid, said, send, sweep_of
from tests.payments.node import (
    CANCELLED,
    EXPIRED,
    ONGOING,
    PAID,
    UNKNOWN,
    UNREACHABLE,
    FakeNode,
    Mood,
    Said,
    fault,
    payable,
)
from tests.world import World

NUMBERS = count(1)
UNABLE = fault(502, "PAYMENT_UNAVAILABLE", "PPT_AUTENTICAZIONE")
GENERIC = fault(502, "GENERIC_ERROR", "what it is, in words")


@pytest.fixture(scope="module")
async def test_node() -> AsyncIterator[FakeNode]:
    """The node of UAT: configured, as by a mistake, in production."""
    started = FakeNode()
    await started.start()
    yield started
    await started.stop()


@pytest.fixture(scope="module")
def settings(settings: Settings, test_node: FakeNode) -> Settings:
    return replace(
        settings, payment_node_test_url=test_node.url, payment_node_test_key="another key"
    )


@pytest.fixture
async def client(running: Running) -> Client:
    return await client_of(running, next(NUMBERS))


@pytest.fixture
async def well_after(client: Client, node: FakeNode) -> AsyncIterator[None]:
    """No failure of one test is counted in the next."""
    yield
    node.recover()
    notice = fresh()
    node.says[notice.rpt_id] = payable(notice.rpt_id)
    assert (await client.ask(notice.rpt_id)).status_code == 200


@pytest.mark.parametrize("path", PATHS)
async def test_a_notice_that_can_be_paid_is_passed_on(
    client: Client, node: FakeNode, path: str
) -> None:
    notice = fresh()
    node.says[notice.rpt_id] = payable(notice.rpt_id, 4_200)
    answer = await client.ask(notice.rpt_id, path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == {
        "amount": 4_200,
        "rptId": notice.rpt_id,
        "paFiscalCode": notice.payee,
        "paName": "Comune di Anna",
        "description": "TARI 2030",
        "dueDate": "2030-01-31",
    }


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "said_there",
    [UNKNOWN, PAID, ONGOING, EXPIRED, CANCELLED, UNABLE, GENERIC, UNREACHABLE],
    ids=lambda one: f"{one.status}",
)
async def test_why_a_notice_cannot_be_paid_is_passed_on(
    client: Client, node: FakeNode, said_there: Said, path: str
) -> None:
    """Same code, same body, as a problem document."""
    notice = fresh()
    node.says[notice.rpt_id] = said_there
    answer = await client.ask(notice.rpt_id, path)
    assert answer.status_code == said_there.status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == json.loads(said_there.body)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "rpt_id", ["-", "a b", "0" * 36, "%2e%2e", "00000000001%0a", "RF!!", "caffè", "%00", "1%3f"]
)
async def test_what_is_no_rpt_id_is_refused_and_nobody_is_asked(
    client: Client, node: FakeNode, rpt_id: str, path: str
) -> None:
    asked = node.asked.total()
    answer = await client.ask(rpt_id, path)
    assert answer.status_code == 400, answer.text
    assert answer.json()["status"] == 400
    assert node.asked.total() == asked


@pytest.mark.parametrize("rpt_id", ["RF18539007547034", "A1", "0" * 35])
async def test_a_reference_of_another_kind_is_asked_for_too(
    client: Client, node: FakeNode, rpt_id: str
) -> None:
    """The contract's rptId is any such text."""
    node.says[rpt_id] = payable(rpt_id, paFiscalCode="00000000009")
    answer = await client.ask(rpt_id)
    assert (answer.status_code, answer.json()["rptId"]) == (200, rpt_id)


async def test_a_question_that_the_node_refuses_is_refused(client: Client, node: FakeNode) -> None:
    """400 with 400 inside: code and body agree."""
    notice = fresh()
    node.says[notice.rpt_id] = Said(400, b'{"title": "Bad Request", "status": 400}')
    answer = await client.ask(notice.rpt_id)
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("said_there", "detail"),
    [
        (Said(401), "NODE_401"),
        (Said(403), "NODE_403"),
        (Said(429), "NODE_429"),
        (Said(500, b"{}"), "NODE_500"),
        (Said(504), "NODE_504"),
        (Said(302, headers=("Location: /elsewhere",)), "NODE_302"),
        (Said(200, b'{"amount": "much"}'), "NODE_UNREADABLE"),
        (Said(409, b"<p>conflict</p>"), "NODE_UNREADABLE"),
        (Said(404), "NODE_UNREADABLE"),
        (payable("0" * 29), "NODE_ANOTHER_NOTICE"),
    ],
    ids=lambda one: f"{one.status}" if isinstance(one, Said) else "",
)
async def test_an_answer_that_cannot_be_used_is_a_bad_gateway(
    client: Client, node: FakeNode, well_after: None, said_there: Said, detail: str, path: str
) -> None:
    """Never 500, and never 401: it is not the citizen's key that is wrong."""
    notice = fresh()
    node.says[notice.rpt_id] = said_there
    answer = await client.ask(notice.rpt_id, path)
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["faultCodeCategory"], body["faultCodeDetail"]) == ("GENERIC_ERROR", detail)


@pytest.mark.parametrize(
    "mood", [Mood.HANG, Mood.DRIP, Mood.RESET, Mood.GARBAGE, Mood.HUGE, Mood.CUT, Mood.NOT_JSON]
)
async def test_a_node_that_is_not_well_is_a_bad_gateway(
    client: Client,
    node: FakeNode,
    well_after: None,
    mood: Mood,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if mood in {Mood.HANG, Mood.DRIP}:  # ten seconds are too long to wait for in a test
        monkeypatch.setattr("messo.payments.node._LIMITS", Limits(total_s=0.3))
    node.hang()
    node.mood = mood
    answer = await client.ask(fresh().rpt_id)
    assert answer.status_code == 502
    assert answer.json()["faultCodeCategory"] == "GENERIC_ERROR"


async def test_who_waits_for_a_node_that_is_left_alone_is_told_how_long(
    client: Client, node: FakeNode
) -> None:
    node.mood = Mood.RESET
    answers = [await client.ask(fresh().rpt_id) for _ in range(8)]
    assert {answer.status_code for answer in answers} == {502}
    assert answers[-1].json()["faultCodeDetail"] == "NODE_BUSY"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
    node.recover()
    # Once its time is over a probe finds it well, and so do the next tests of this file.
    notice = fresh()
    node.says[notice.rpt_id] = payable(notice.rpt_id)
    async with asyncio.timeout(60):
        while (await client.ask(notice.rpt_id)).status_code != 200:
            await asyncio.sleep(0.6)  # so that the citizen may go on asking


@pytest.mark.parametrize("path", PATHS)
async def test_without_a_session_nothing_is_said(
    running: Running, node: FakeNode, path: str
) -> None:
    notice = fresh()
    for headers in ({}, {"Authorization": "Bearer nobody"}):
        answer = await running.client.get(path + notice.rpt_id, headers=headers)
        assert answer.status_code == 401
    assert node.asked[notice.rpt_id] == 0


async def test_who_asks_for_very_many_waits_and_another_citizen_does_not(
    running: Running, client: Client, node: FakeNode
) -> None:
    """By whichever path; all questions of a citizen are counted together."""
    notice = fresh()
    node.says[notice.rpt_id] = payable(notice.rpt_id)
    answers = []
    for number in range(200):
        answers.append(await client.ask(notice.rpt_id, PATHS[number % 2]))
        if answers[-1].status_code == 429:
            break
    assert {answer.status_code for answer in answers[:60]} == {200}
    assert answers[-1].status_code == 429
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    another = await client_of(running, next(NUMBERS))
    assert (await another.ask(notice.rpt_id)).status_code == 200


@pytest.mark.parametrize("value", ["true", "TRUE", "True", "false", "", "1"])
async def test_test_does_nothing_in_production(
    pool: Pool,
    world: World,
    mail: Mail,
    client: Client,
    node: FakeNode,
    test_node: FakeNode,
    value: str,
) -> None:
    """Even where a test node is configured: the production node is asked, and its answer entered."""
    notice = fresh()
    await send(mail, world.anna, notice)
    node.says[notice.rpt_id] = payable(notice.rpt_id, 77)
    answer = await client.ask(notice.rpt_id, test=value)
    assert (answer.status_code, answer.json()["amount"]) == (200, 77)
    assert node.asked[notice.rpt_id] == 1
    assert test_node.asked.total() == 0
    found = await known(pool, notice)
    assert found is not None
    assert (found.state, found.amount) == ("unpaid", 77)


@pytest.mark.parametrize(
    ("said_there", "state", "code"),
    [
        (None, "unpaid", "200"),
        (PAID, "paid", "PAA_PAGAMENTO_DUPLICATO"),
        (ONGOING, "in_progress", "PAA_PAGAMENTO_IN_CORSO"),
        (EXPIRED, "expired", "PAA_PAGAMENTO_SCADUTO"),
        (CANCELLED, "cancelled", "PAA_PAGAMENTO_ANNULLATO"),
        (UNKNOWN, "unknown", "PAA_PAGAMENTO_SCONOSCIUTO"),
    ],
)
async def test_what_is_learnt_of_a_known_notice_enters_the_ledger(
    pool: Pool,
    world: World,
    mail: Mail,
    client: Client,
    node: FakeNode,
    said_there: Said | None,
    state: State,
    code: str,
) -> None:
    notice = fresh()
    await send(mail, world.anna, notice)
    node.says[notice.rpt_id] = said_there or payable(notice.rpt_id, 55)
    await client.ask(notice.rpt_id)
    found = await known(pool, notice)
    assert found is not None
    assert (found.state, found.source, found.code, found.asked_code) == (state, "node", code, code)
    assert found.amount == (55 if state == "unpaid" else 12_345)


async def test_a_notice_of_no_message_is_told_and_not_kept(
    pool: Pool, client: Client, node: FakeNode
) -> None:
    notice, paid_before = fresh(), fresh()
    for one in (notice, paid_before):
        node.says[one.rpt_id] = PAID
    assert (await client.ask(notice.rpt_id)).status_code == 409
    assert await known(pool, notice) is None
    # A payment for which no message came is forgotten in time, whoever asks meanwhile.
    await record_paid(pool, said(paid_before, "paid", "event"))
    forgotten = await sweep_of(pool, paid_before)
    assert (await client.ask(paid_before.rpt_id)).status_code == 409
    assert forgotten is not None
    assert await sweep_of(pool, paid_before) == forgotten
