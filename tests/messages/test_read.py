"""What a sender may see of its message: its state, its content, whether it was read or paid."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal

import httpx
import pytest

from messo.base import server
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.base.work import Worker
from messo.front import App
from messo.messages.routes import MessageRoutes
from messo.messages.wire import PaymentSeen
from messo.recipients.preferences import Activation, Preference, put_activations, put_preferences
from messo.recipients.profile import Profile, create_profiles
from messo.recipients.update import change_mode
from messo.sandbox.fiscal_codes import many
from messo.services.permissions import Permission
from messo.services.services import grant, revoke
from tests.conftest import Running, free_port, until_started
from tests.world import (
    ACTOR,
    AUTO,
    BLOCKING,
    CLOSED,
    LEGACY,
    MANUAL,
    STRANGER,
    Caller,
    World,
    message,
)

CITIZENS = iter(many(100))
Send = Callable[..., Awaitable[str]]
Read = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture(scope="module")
def send(running: Running) -> Send:
    """Sends a message; where it can be read."""

    async def post(caller: Caller, to: str = AUTO, level: str = "ADVANCED", **content: Any) -> str:
        body = message(to, **content) | {"feature_level_type": level}
        sent = await running.client.post("/api/v1/messages", json=body, headers=caller.headers)
        assert sent.status_code == 201, sent.text
        return sent.headers["location"]

    return post


@pytest.fixture(scope="module")
def read(running: Running, worker: Worker) -> Read:
    """Processes what waits, then reads."""

    async def get(caller: Caller, location: str) -> dict[str, Any]:
        while await worker.work_once():
            pass
        answer = await running.client.get(location, headers=caller.headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    return get


async def enrol(pool: Pool, mode: Literal["AUTO", "MANUAL", "LEGACY"], **more: Any) -> str:
    """A new citizen; their fiscal code."""
    fiscal_code = next(CITIZENS)
    version = -1 if mode == "LEGACY" else 0
    profile = Profile(fiscal_code, mode, version, is_inbox_enabled=True, **more)
    async with pool.transaction() as conn:
        await create_profiles(conn, [profile])
    return fiscal_code


async def mark_read(pool: Pool, location: str) -> None:
    """As the citizen's inbox will do."""
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE messages.message SET read_at = created_at WHERE id = $1",
            location.rpartition("/")[2],
        )


# Status ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipient", "status"),
    [
        (AUTO, "PROCESSED"),
        (MANUAL, "PROCESSED"),
        (LEGACY, "PROCESSED"),
        (STRANGER, "REJECTED"),
        (CLOSED, "REJECTED"),
        (BLOCKING, "REJECTED"),
    ],
)
async def test_content_is_there_once_processed_and_only_then(
    running: Running, world: World, send: Send, read: Read, recipient: str, status: str
) -> None:
    location = await send(world.anna, recipient, "STANDARD")
    before = (await running.client.get(location, headers=world.anna.headers)).json()
    assert before["status"] == "ACCEPTED"
    after = await read(world.anna, location)
    assert after["status"] == status
    assert set(before) == set(after) == {"message", "status"}
    plain = {
        "id": location.rpartition("/")[2],
        "fiscal_code": recipient,
        "sender_service_id": world.anna.id,
        "time_to_live": 3600,
        "feature_level_type": "STANDARD",
        "created_at": before["message"]["created_at"],
    }
    assert before["message"] == plain
    content = {"content": message()["content"]} if status == "PROCESSED" else {}
    assert after["message"] == plain | content


@pytest.mark.parametrize("status", ["THROTTLED", "FAILED"])
async def test_what_we_could_not_decide_shows_no_content(
    running: Running, world: World, send: Send, pool: Pool, worker: Worker, status: str
) -> None:
    location = await send(world.anna)
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE messages.message SET status = $1 WHERE id = $2",
            status,
            location.rpartition("/")[2],
        )
    found = (await running.client.get(location, headers=world.anna.headers)).json()
    assert found["status"] == status
    assert "content" not in found["message"]
    assert set(found) == {"message", "status"}


# Who may read ----------------------------------------------------------------------------------


async def test_only_the_service_that_sent_it_may_read_it(
    running: Running, world: World, send: Send
) -> None:
    """Not even another service of the same institution; to other institutions it does not exist."""
    location = await send(world.anna)
    unknown = f"/api/v1/messages/{AUTO}/{new_id()}"
    for other in (world.secure, world.draft):
        answer = await running.client.get(location, headers=other.headers)
        assert answer.status_code == 403
        assert answer.json()["title"] == "You are not allowed here"
    for other in (world.bruno, world.limited):
        answers = [
            await running.client.get(one, headers=other.headers) for one in (location, unknown)
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].text == answers[1].text


async def test_an_unknown_message_is_not_found(running: Running, world: World, send: Send) -> None:
    location = await send(world.anna)
    message_id = location.rpartition("/")[2]
    for path in (
        f"/api/v1/messages/{AUTO}/{new_id()}",
        f"/api/v1/messages/{AUTO}/x",
        f"/api/v1/messages/{AUTO}/{message_id.lower()}",
        f"/api/v1/messages/{MANUAL}/{message_id}",
    ):
        answer = await running.client.get(path, headers=world.anna.headers)
        assert answer.status_code == 404
        assert answer.json()["title"] == "Message not found"


async def test_the_life_of_anothers_message_is_as_unknown_as_no_message(
    running: Running, world: World, send: Send
) -> None:
    theirs = (await send(world.anna)).rpartition("/")[2]
    answers = [
        await running.client.get(f"/messo/v1/messages/{what}", headers=other.headers)
        for what in (theirs, new_id())
        for other in (world.secure, world.bruno)
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    own = await running.client.get(f"/messo/v1/messages/{theirs}", headers=world.anna.headers)
    assert own.status_code == 200


async def test_the_life_of_a_message_says_when_and_why(
    running: Running, world: World, send: Send, read: Read
) -> None:
    for recipient, expected in (
        (AUTO, ("PROCESSED", None, ["accepted", "processed"])),
        (STRANGER, ("REJECTED", "USER_NOT_FOUND", ["accepted", "rejected"])),
        (CLOSED, ("REJECTED", "SERVICE_NOT_ALLOWED", ["accepted", "rejected"])),
    ):
        location = await send(world.anna, recipient)
        created_at = (await read(world.anna, location))["message"]["created_at"]
        life = await running.client.get(
            f"/messo/v1/messages/{location.rpartition('/')[2]}", headers=world.anna.headers
        )
        found = life.json()
        kinds = [event["kind"] for event in found["events"]]
        assert (found["status"], found.get("rejection_reason"), kinds) == expected
        assert found["created_at"] == created_at <= found["decided_at"]
        assert found["decided_at"] == found["events"][1]["at"]


async def test_a_search_finds_only_ones_own(running: Running, world: World) -> None:
    reference = "pratica-" + new_id()
    for caller in (world.anna, world.bruno):
        sent = await running.client.post(
            "/api/v1/messages",
            json=message(),
            headers=caller.headers | {"X-Messo-Reference": reference},
        )
        found = await running.client.get(
            "/messo/v1/messages", params={"reference": reference}, headers=caller.headers
        )
        assert [item["id"] for item in found.json()["items"]] == [sent.json()["id"]]
    nothing = await running.client.get(
        "/messo/v1/messages", params={"reference": reference + "x"}, headers=world.anna.headers
    )
    assert nothing.json() == {"items": []}


@pytest.mark.parametrize("query", ["", "?reference=", "?reference=a%20b", "?reference=%00", "?x=y"])
async def test_a_search_needs_a_reference(running: Running, world: World, query: str) -> None:
    answer = await running.client.get(f"/messo/v1/messages{query}", headers=world.anna.headers)
    assert (answer.status_code, answer.json()["title"]) == (400, "Bad parameters")
    assert answer.json()["field"] == "reference"


# Read state ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "access", "shared"),
    [
        ("AUTO", None, True),
        ("AUTO", "UNKNOWN", True),
        ("AUTO", "ALLOW", True),
        ("AUTO", "DENY", False),
        ("MANUAL", "UNKNOWN", True),
        ("MANUAL", "ALLOW", True),
        ("MANUAL", "DENY", False),
        ("LEGACY", None, False),
    ],
)
async def test_the_citizen_decides_whether_reading_is_shared(
    pool: Pool,
    world: World,
    send: Send,
    read: Read,
    mode: Literal["AUTO", "MANUAL", "LEGACY"],
    access: Any,
    shared: bool,
) -> None:
    citizen = await enrol(pool, mode)
    if access is not None:
        async with pool.transaction() as conn:
            preference = Preference(citizen, world.anna.id, 0, access_read_message_status=access)
            assert await put_preferences(conn, [preference]) == 1
    location = await send(world.anna, citizen)
    before = await read(world.anna, location)
    assert before["status"] == "PROCESSED"
    await mark_read(pool, location)
    after = await read(world.anna, location)
    expected = ("UNREAD", "READ") if shared else ("UNAVAILABLE", "UNAVAILABLE")
    assert (before["read_status"], after["read_status"]) == expected


async def test_manual_without_a_choice_shares_nothing(
    pool: Pool, world: World, send: Send, read: Read
) -> None:
    """The service is SPECIAL: its activation lets the message in without a preference."""
    citizen = await enrol(pool, "MANUAL")
    async with pool.transaction() as conn:
        await put_activations(conn, [Activation(citizen, world.special.id, "ACTIVE")])
    location = await send(world.special, citizen)
    await mark_read(pool, location)
    found = await read(world.special, location)
    assert (found["status"], found["read_status"]) == ("PROCESSED", "UNAVAILABLE")


async def test_choices_made_before_a_change_of_mode_count_no_more(
    pool: Pool, world: World, send: Send, read: Read
) -> None:
    citizen = await enrol(pool, "AUTO")
    async with pool.transaction() as conn:
        await put_preferences(
            conn, [Preference(citizen, world.anna.id, 0, access_read_message_status="ALLOW")]
        )
    location = await send(world.anna, citizen)
    assert (await read(world.anna, location))["read_status"] == "UNREAD"
    async with pool.transaction() as conn:
        await change_mode(conn, citizen, "MANUAL")
    assert (await read(world.anna, location))["read_status"] == "UNAVAILABLE"


async def test_no_version_of_an_app_is_asked_for(
    pool: Pool, world: World, send: Send, read: Read
) -> None:
    for version in (None, "UNKNOWN", "1.0.0", "99.0.0"):
        citizen = await enrol(pool, "AUTO", last_app_version=version)
        found = await read(world.anna, await send(world.anna, citizen))
        assert found["read_status"] == "UNREAD"


async def test_standard_messages_have_no_read_state(world: World, send: Send, read: Read) -> None:
    assert "read_status" not in await read(world.anna, await send(world.anna, level="STANDARD"))


async def test_before_and_without_processing_there_is_no_read_state(
    running: Running, world: World, send: Send, read: Read
) -> None:
    location = await send(world.anna, CLOSED)
    before = await running.client.get(location, headers=world.anna.headers)
    assert "read_status" not in before.json()
    assert "read_status" not in await read(world.anna, location)


async def test_read_state_needs_the_permission_at_reading_time(
    running: Running, pool: Pool, world: World, send: Send, read: Read
) -> None:
    location = await send(world.anna)
    for change, there in ((revoke, False), (grant, True)):
        async with pool.transaction() as conn:
            await change(conn, ACTOR, world.anna.institution, [Permission.MESSAGE_READ_ADVANCED])
        await running.started.directory.refresh(0)
        found = await read(world.anna, location)
        assert found["status"] == "PROCESSED"
        assert ("read_status" in found) is there


# Payment state ---------------------------------------------------------------------------------


@dataclasses.dataclass
class Payments:
    """Somebody who knows payments: what is asked, and what is answered."""

    url: str
    asked: list[tuple[str, str]]
    answers: dict[str, PaymentSeen | None]


@pytest.fixture(scope="module")
async def payments(running: Running) -> AsyncIterator[Payments]:
    """The same server, with a function passed in that knows payments."""
    known = Payments("", [], {})

    async def state(payee: str, notice_number: str) -> PaymentSeen | None:
        known.asked.append((payee, notice_number))
        return known.answers[notice_number]

    plain = running.started.app.router._exact["POST", "/api/v1/messages"].function
    routes: MessageRoutes = plain.__self__  # type: ignore[attr-defined]
    knowing = dataclasses.replace(routes, payment_state=state)
    port = free_port()
    beside = server.beside_server(
        App(knowing.routes(), running.started.app.pages), "127.0.0.1", port
    )
    task = asyncio.create_task(beside.serve())
    await until_started(beside)
    known.url = f"http://127.0.0.1:{port}"
    yield known
    beside.should_exit = True
    await task


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        (PaymentSeen("paid", source="event"), "PAID"),
        (PaymentSeen("unpaid", source="node"), "NOT_PAID"),
        (PaymentSeen("in_progress", source="node"), "NOT_PAID"),
        (PaymentSeen("expired", source="node"), "NOT_PAID"),
        (PaymentSeen("cancelled", source="node"), "NOT_PAID"),
        (PaymentSeen("unknown", source="node"), "NOT_PAID"),
        (PaymentSeen("unknown"), None),  # nobody has said anything yet
        (None, None),
    ],
)
@pytest.mark.parametrize("payee", [None, "01234567890"])
async def test_the_payment_state_of_the_notice_is_shown(
    world: World,
    payments: Payments,
    send: Send,
    read: Read,
    seen: PaymentSeen | None,
    status: str | None,
    payee: str | None,
) -> None:
    notice = "302000000000000083"
    payment: dict[str, Any] = {"amount": 1, "notice_number": notice}
    if payee:
        payment["payee"] = {"fiscal_code": payee}
    location = await send(world.anna, payment_data=payment)
    await read(world.anna, location)
    payments.asked.clear()
    payments.answers[notice] = seen
    async with httpx.AsyncClient(base_url=payments.url) as client:
        found = (await client.get(location, headers=world.anna.headers)).json()
    assert payments.asked == [(payee or "00000000001", notice)]
    assert found["read_status"] == "UNREAD"
    assert found.get("payment_status") == status
    assert ("payment_status" in found) is (status is not None)
    assert found.get("payment", {}).get("state") == (seen.state if seen else None)


async def test_the_payment_state_is_asked_only_where_it_will_be_shown(
    world: World, payments: Payments, send: Send, read: Read, pool: Pool, running: Running
) -> None:
    payment = {"amount": 1, "notice_number": "302000000000000083"}
    locations = [
        await send(world.anna, level="STANDARD", payment_data=payment),
        await send(world.anna, CLOSED, payment_data=payment),
        await send(world.anna),
    ]
    await read(world.anna, locations[0])
    locations.append(await send(world.anna, payment_data=payment))  # not processed yet
    payments.asked.clear()
    async with httpx.AsyncClient(base_url=payments.url) as client:
        for location in locations:
            found = (await client.get(location, headers=world.anna.headers)).json()
            assert "payment_status" not in found
    assert payments.asked == []


async def test_who_knows_nothing_of_payments_shows_none(
    world: World, send: Send, read: Read
) -> None:
    payment = {"amount": 1, "notice_number": "302000000000000083"}
    found = await read(world.anna, await send(world.anna, payment_data=payment))
    assert found["read_status"] == "UNREAD"
    assert "payment_status" not in found
