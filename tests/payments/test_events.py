"""Payment events pushed to us: authenticated, tolerant, idempotent, and nothing is lost."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import settings as bounds
from hypothesis import strategies as st
from starlette.applications import Starlette

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.limits import RateLimit
from messo.base.outbound import Outbound
from messo.front import App
from messo.payments import intake
from messo.payments.event_routes import EventRoutes
from tests.conftest import Running
from tests.events.receiver import receiving
from tests.events.told import LOOPBACK, Post, publish_all
from tests.messages.mail import Mail
from tests.payments.cases import fresh, known, record, rows, said, send
from tests.payments.conftest import EVENTS_KEY
from tests.payments.node import FakeNode
from tests.payments.pushed import DEBTOR, DEBTOR_NAME, broken, event
from tests.world import AUTO, LEGACY, World

PATH = "/messo/v1/payment-events"
KEY = {"Authorization": f"Bearer {EVENTS_KEY}"}
PAID_AT = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)  # 10:30 in Rome


async def push(running: Running, *sent: Any) -> dict[str, int]:
    """Of one event as such, of several as a list."""
    body = list(sent) if len(sent) != 1 else sent[0]
    answer = await running.client.post(PATH, json=body, headers=KEY)
    assert answer.status_code == 200, answer.text
    counts: dict[str, int] = answer.json()
    return counts


def counts(paid: int = 0, known: int = 0, ignored: int = 0, dead: int = 0) -> dict[str, int]:
    return {"paid": paid, "known": known, "ignored": ignored, "dead": dead}


async def letters(pool: Pool, limit: int = 10_000) -> dict[str, str]:
    async with pool.connection() as conn:
        return {row["id"]: row["reason"] for row in await intake.dead_letters(conn, limit)}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {EVENTS_KEY}x"},
        {"Authorization": f"Bearer {EVENTS_KEY[:-1]}"},
        {"Authorization": f"Basic {EVENTS_KEY}"},
        {"Authorization": EVENTS_KEY},
        {"Ocp-Apim-Subscription-Key": EVENTS_KEY},
    ],
)
async def test_without_the_key_nothing_is_taken(
    pool: Pool, running: Running, headers: dict[str, str]
) -> None:
    notice = fresh()
    answer = await running.client.post(PATH, json=event(notice), headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert await known(pool, notice) is None


def alone(pool: Pool, secrets: Secrets, key: str, burst: int = 100) -> httpx.AsyncClient:
    """A client of an application with this route and no other."""
    routes = EventRoutes(pool, secrets, key, RateLimit(1, burst)).routes()
    transport = httpx.ASGITransport(app=App(routes, Starlette()))
    return httpx.AsyncClient(transport=transport, base_url="http://messo")


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer "}, KEY])
async def test_where_no_key_is_configured_nobody_may(
    pool: Pool, secrets: Secrets, header: dict[str, str]
) -> None:
    async with alone(pool, secrets, "") as client:
        answer = await client.post(PATH, json=event(fresh()), headers=header)
    assert answer.status_code == 401


async def test_a_body_that_is_too_large_is_refused(pool: Pool, secrets: Secrets) -> None:
    body = b'"' + b"x" * (8 * 1024 * 1024) + b'"'
    headers = KEY | {"Content-Type": "application/json"}
    async with alone(pool, secrets, EVENTS_KEY) as client:
        answer = await client.post(PATH, content=body, headers=headers)
        assert answer.status_code == 413


async def test_keys_are_not_tried_at_any_speed(pool: Pool, secrets: Secrets) -> None:
    async with alone(pool, secrets, EVENTS_KEY, burst=3) as client:
        wrong = {"Authorization": "Bearer wrong"}
        answers = [await client.post(PATH, json={}, headers=wrong) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_one_event_makes_a_notice_paid_with_its_evidence(
    pool: Pool, world: World, mail: Mail
) -> None:
    notice = fresh()
    await send(mail, world.anna, notice)
    assert await push(mail.running, event(notice)) == counts(paid=1)
    found = await known(pool, notice)
    assert found is not None
    assert (found.state, found.source, found.code) == ("paid", "event", f"E{notice.number}")
    assert (found.paid_at, found.receipt) == (PAID_AT, f"T{notice.number}")
    assert (found.amount, found.payee_name) == (12_345, "Comune di Anna")
    assert await push(mail.running, event(notice)) == counts(known=1)
    assert await known(pool, notice) == found


async def test_a_list_is_taken_at_once_and_what_is_strange_in_it_holds_up_nothing(
    pool: Pool, running: Running
) -> None:
    good, by_iuv = [fresh() for _ in range(5)], event(fresh())
    del by_iuv["debtorPosition"]["noticeNumber"]
    sent = [broken("x1"), event(good[0]), 7, by_iuv, {}, *(event(one) for one in good)]
    assert await push(running, *sent) == counts(paid=5, known=1, ignored=2, dead=2)
    assert await push(running, *sent) == counts(known=6, ignored=2, dead=2)
    async with pool.connection() as conn:
        assert conn.buckets == 1 or len({conn.bucket(one.rpt_id) for one in good}) > 1
    for notice in good:
        found = await known(pool, notice)
        assert found is not None
        assert found.state == "paid"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (json.dumps([{}] * 1001).encode(), "application/json", 413),
    ],
    ids=lambda one: str(one)[:12],
)
async def test_what_is_no_list_of_events_is_refused(
    running: Running, body: bytes, kind: str, status: int
) -> None:
    headers = KEY | {"Content-Type": kind}
    answer = await running.client.post(PATH, content=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["status"] == status


@pytest.mark.parametrize(
    "odd", [b'"TARI \\ud83d"', b"1e999", b"NaN", b"1" * 5000, b'{"x": "\\ud800"}']
)
async def test_a_value_that_strict_readers_refuse_holds_up_nothing(
    pool: Pool, running: Running, odd: bytes
) -> None:
    """A name cut at so many UTF-16 units ends in half a pair."""
    good, with_it = fresh(), fresh()
    told = json.dumps(event(with_it)).encode()[:-1] + b', "debtor": {"fullName": ' + odd + b"}}"
    body = b"[" + json.dumps(event(good)).encode() + b"," + told + b"," + odd + b"]"
    answer = await running.client.post(PATH, content=body, headers=KEY)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "paid": 2,
        "known": 0,
        "ignored": answer.json()["ignored"],
        "dead": 1 - answer.json()["ignored"],
    }
    assert (await known(pool, good), await known(pool, with_it)) != (None, None)


async def test_a_thousand_events_are_taken_and_none_too(running: Running) -> None:
    assert await push(running, *[{}] * 1000) == counts(ignored=1000)
    answer = await running.client.post(PATH, json=[], headers=KEY)
    assert answer.json() == counts()


@pytest.mark.parametrize(
    ("said_there", "paid_at"),
    [
        ("2026-03-01T10:30:00.123456789", PAID_AT),
        ("2026-03-01T10:30:00.123456", PAID_AT),
        ("2026-03-01T09:30:00.123456Z", PAID_AT),
        ("2026-03-01T10:30:00.123456+01:00", PAID_AT),
        ("01/03/2026 10:30", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1_772_357_400, None),
        ({"time": "10:30"}, None),
        ("2999-01-01T00:00:00", None),
        ("0001-01-01T00:00:00", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
    ],
)
async def test_a_time_that_cannot_be_read_loses_no_payment(
    pool: Pool, running: Running, said_there: Any, paid_at: datetime | None
) -> None:
    notice = fresh()
    assert await push(running, event(notice, paymentDateTime=said_there)) == counts(paid=1)
    found = await known(pool, notice)
    assert found is not None
    if said_there == "0001-01-01T00:00:00":  # long ago, and a time all the same
        assert found.paid_at is None or found.paid_at.year == 1
    else:
        assert found.paid_at == paid_at


async def test_an_event_out_of_order_changes_nothing_of_what_is_final(
    pool: Pool, world: World, mail: Mail, node: FakeNode
) -> None:
    """The node said first that it was paid; then it says otherwise, and the event comes last."""
    notice = fresh()
    await send(mail, world.anna, notice)
    await record(pool, said(notice, "paid", code="PAA_PAGAMENTO_DUPLICATO"))
    await record(pool, said(notice, "unpaid"))
    assert await push(mail.running, event(notice)) == counts(known=1)
    found = await known(pool, notice)
    assert found is not None
    assert (found.state, found.code) == ("paid", "PAA_PAGAMENTO_DUPLICATO")
    assert (found.paid_at, found.receipt) == (PAID_AT, f"T{notice.number}")


async def test_a_dead_letter_is_listed_once_and_sealed(
    pool: Pool, secrets: Secrets, running: Running
) -> None:
    before = await letters(pool)
    dead = broken("twice")
    for _ in range(2):
        assert await push(running, dead) == counts(dead=1)
    assert await push(running, dead, dead) == counts(dead=2)
    new = {key: reason for key, reason in (await letters(pool)).items() if key not in before}
    assert list(new.values()) == ["noticeNumber or idPA is not one"]
    stored = await rows(pool, "SELECT l::text AS text, sealed FROM payments.dead_letter AS l")
    for row in stored:
        whole = row["text"].encode() + row["sealed"]
        assert DEBTOR.encode() not in whole
        assert DEBTOR.encode().hex().encode() not in whole
        assert DEBTOR_NAME.encode() not in whole
    async with pool.connection() as conn:
        body = await intake.dead_letter(conn, secrets, next(iter(new)))
        assert await intake.dead_letter(conn, secrets, "0" * 16) is None
    assert body is not None
    assert json.loads(body) == dead


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(
        ["\x00", "9e999999", "1e-999999", "NaN", "Infinity", "0" * 400, "2030-01-01"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=5,
)
PLACES = [
    ("id",),
    ("uuid",),
    ("debtorPosition",),
    ("debtorPosition", "noticeNumber"),
    ("creditor",),
    ("creditor", "idPA"),
    ("creditor", "companyName"),
    ("paymentInfo",),
    ("paymentInfo", "paymentDateTime"),
    ("paymentInfo", "amount"),
    ("paymentInfo", "paymentToken"),
    ("paymentInfo", "remittanceInformation"),
]


@bounds(max_examples=150, deadline=None)
@given(place=st.sampled_from(PLACES), value=JSON)
@example(place=("paymentInfo", "amount"), value="9e999999")
@example(place=("paymentInfo", "amount"), value=10**400)
@example(place=("paymentInfo", "paymentToken"), value="\x00")
@example(place=("debtorPosition", "noticeNumber"), value="٣" * 18)
@example(place=("id",), value="\x00")
async def test_no_value_of_any_field_does_any_harm(
    pool: Pool, running: Running, place: tuple[str, ...], value: Any
) -> None:
    """It is paid, ignored or dead; the notice beside it is paid in any case."""
    strange, beside = fresh(), fresh()
    hostile = event(strange)
    inside = hostile
    for name in place[:-1]:
        inside = inside[name]
    inside[place[-1]] = value
    answer = await running.client.post(PATH, json=[hostile, event(beside)], headers=KEY)
    assert answer.status_code == 200, answer.text
    came = answer.json()
    assert came["known"] == 0
    assert came["paid"] + came["ignored"] + came["dead"] == 2
    found = await known(pool, beside)
    assert found is not None
    assert found.state == "paid"
    if place[0] in {"id", "uuid", "paymentInfo"} or place[-1] == "companyName":
        assert came["paid"] == 2
        assert await known(pool, strange) is not None


async def test_an_event_of_any_depth_is_taken_or_refused(running: Running) -> None:
    """What can just be read must not fail where it is written."""
    told = set()
    # Where reading ends depends on how deep the server's own calls are.
    for depth in range(850, 1000):
        body = b'{"debtorPosition": 1, "creditor": ' + b"[" * depth + b"]" * depth + b"}"
        headers = KEY | {"Content-Type": "application/json"}
        told.add((await running.client.post(PATH, content=body, headers=headers)).status_code)
    assert told == {200, 400}


async def test_the_sender_is_told_once_in_the_feed_and_of_each_message(
    world: World, mail: Mail
) -> None:
    """Two messages carry the notice, one of them another citizen's; the event comes three times."""
    notice = fresh()
    messages = [await send(mail, world.anna, notice, to) for to in (AUTO, LEGACY)]
    bystander = await send(mail, world.anna, fresh())
    for _ in range(3):
        await push(mail.running, event(notice))
        await mail.settle()
    told = [
        (one["type"], one["data"]["message_id"])
        for one in await feed_after_publishing(mail, world)
        if one["data"]["message_id"] in [*messages, bystander]
    ]
    assert sorted(one for kind, one in told if kind == "message.paid") == sorted(messages)
    for message in messages:
        answer = await mail.running.client.get(
            f"/messo/v1/messages/{message}", headers=world.anna.headers
        )
        assert [one["kind"] for one in answer.json()["events"]].count("paid") == 1


async def test_a_webhook_is_told_once(
    pool: Pool, world: World, mail: Mail, secrets: Secrets
) -> None:
    notice = fresh()
    outbound = Outbound(LOOPBACK)
    async with receiving() as receiver:
        post = Post(pool, secrets, outbound, receiver)
        await post.create(world.anna, ["paid"])
        message = await send(mail, world.anna, notice)
        for _ in range(2):
            await push(mail.running, event(notice))
            await mail.settle()
            await publish_all(pool)
            await post.settle()
        assert [(one.message, one.kind) for one in receiver.seen] == [(message, "paid")]
        await post.clear()
    await outbound.close()


async def feed_after_publishing(mail: Mail, world: World) -> list[dict[str, Any]]:
    """All events of Anna's service, once nothing waits to be published."""
    async with asyncio.timeout(60):
        while await rows(mail.worker.pool, "SELECT FROM events.log LIMIT 1"):
            await mail.worker.send_once()
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 1000}
    more = True
    while more:
        answer = await mail.running.client.get(
            "/messo/v1/events", params=query, headers=world.anna.headers
        )
        page = answer.json()
        found += page["items"]
        query["after"], more = page["next"], page["has_more"]
    return found
