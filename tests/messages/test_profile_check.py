"""May this service write to this citizen? Asked before sending, answered without saying too much."""

import asyncio
from typing import Any

import httpx
import pytest

from messo.base.db import Pool
from messo.recipients.preferences import Activation, Preference, put_activations, put_preferences
from messo.recipients.profile import Profile, create_profiles
from messo.recipients.update import change_mode
from messo.sandbox.fiscal_codes import many
from tests.conftest import Running
from tests.world import (
    AUTO,
    BLOCKING,
    CLOSED,
    LEGACY,
    MANUAL,
    SANDBOX,
    STRANGER,
    Caller,
    World,
    message,
)

CITIZENS = iter(many(100))


@pytest.fixture(scope="module", params=["POST", "GET"])
def method(request: pytest.FixtureRequest) -> str:
    """With the fiscal code in the body, or in the path."""
    return str(request.param)


async def check(running: Running, method: str, caller: Caller, fiscal_code: str) -> httpx.Response:
    if method == "POST":
        return await running.client.post(
            "/api/v1/profiles", json={"fiscal_code": fiscal_code}, headers=caller.headers
        )
    return await running.client.get(f"/api/v1/profiles/{fiscal_code}", headers=caller.headers)


async def enrol(pool: Pool, mode: Any, **more: Any) -> str:
    fiscal_code = next(CITIZENS)
    values = {"settings_version": -1 if mode == "LEGACY" else 0, "is_inbox_enabled": True, **more}
    async with pool.transaction() as conn:
        await create_profiles(conn, [Profile(fiscal_code, mode, **values)])
    return fiscal_code


async def test_it_answers_for_each_kind_of_citizen(
    running: Running, world: World, method: str
) -> None:
    expected = {
        AUTO: True,
        LEGACY: True,
        SANDBOX: True,
        MANUAL: True,  # has let this service in
        BLOCKING: False,
    }
    for citizen, allowed in expected.items():
        answer = await check(running, method, world.anna, citizen)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.json()["sender_allowed"] is allowed
    # What one service may, another may not, and the other way round.
    assert (await check(running, method, world.bruno, MANUAL)).json()["sender_allowed"] is False
    assert (await check(running, method, world.bruno, BLOCKING)).json()["sender_allowed"] is True


async def test_languages_are_told_where_they_are_known(
    running: Running, world: World, method: str
) -> None:
    known = await check(running, method, world.anna, AUTO)
    assert known.json() == {"sender_allowed": True, "preferred_languages": ["it_IT", "en_GB"]}
    unknown = await check(running, method, world.anna, LEGACY)
    assert unknown.json() == {"sender_allowed": True}


@pytest.mark.parametrize("citizen", [STRANGER, CLOSED])
async def test_nobody_enrolled_and_inbox_closed_are_one_answer(
    running: Running, world: World, method: str, citizen: str
) -> None:
    answer = await check(running, method, world.anna, citizen)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["title"], problem["status"]) == ("Profile not found", 404)
    other = await check(running, method, world.anna, STRANGER)
    assert answer.content == other.content


async def test_a_limited_sender_learns_nothing_of_others(
    running: Running, world: World, method: str
) -> None:
    """The same answer whether somebody is enrolled or not; only its own recipients are told."""
    answers = [
        await check(running, method, world.limited, citizen)
        for citizen in (MANUAL, LEGACY, BLOCKING, CLOSED, STRANGER)
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["title"] == "Recipient forbidden"
    for citizen in (AUTO, SANDBOX):
        assert (await check(running, method, world.limited, citizen)).status_code == 200


async def test_a_draft_service_learns_nothing_of_others(
    running: Running, world: World, method: str
) -> None:
    answers = [
        await check(running, method, world.draft, citizen) for citizen in (AUTO, CLOSED, STRANGER)
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.content for answer in answers}) == 1
    assert (await check(running, method, world.draft, SANDBOX)).status_code == 200


# Modes and preferences -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "inbox", "allowed"),
    [
        ("AUTO", None, True),
        ("AUTO", True, True),
        ("AUTO", False, False),
        ("MANUAL", None, False),
        ("MANUAL", True, True),
        ("MANUAL", False, False),
    ],
)
async def test_the_preference_decides_and_without_one_the_mode(
    running: Running,
    world: World,
    pool: Pool,
    method: str,
    mode: str,
    inbox: bool | None,
    allowed: bool,
) -> None:
    citizen = await enrol(pool, mode)
    if inbox is not None:
        async with pool.transaction() as conn:
            await put_preferences(
                conn, [Preference(citizen, world.anna.id, 0, is_inbox_enabled=inbox)]
            )
    answer = await check(running, method, world.anna, citizen)
    assert answer.json() == {"sender_allowed": allowed}


@pytest.mark.parametrize(
    ("blocked", "allowed"),
    [
        (["INBOX"], False),
        (["EMAIL", "INBOX", "WEBHOOK"], False),
        (["EMAIL", "WEBHOOK"], True),
        ([], True),
    ],
)
async def test_in_legacy_mode_a_blocked_inbox_refuses(
    running: Running, world: World, pool: Pool, method: str, blocked: list[str], allowed: bool
) -> None:
    citizen = await enrol(pool, "LEGACY", blocked={world.anna.id: blocked})
    assert (await check(running, method, world.anna, citizen)).json()["sender_allowed"] is allowed
    assert (await check(running, method, world.bruno, citizen)).json()["sender_allowed"] is True


async def test_preferences_of_before_a_change_of_mode_count_no_more(
    running: Running, world: World, pool: Pool, method: str
) -> None:
    citizen = await enrol(pool, "AUTO")
    async with pool.transaction() as conn:
        await put_preferences(conn, [Preference(citizen, world.anna.id, 0, is_inbox_enabled=False)])
    seen = []
    for mode in ("AUTO", "MANUAL", "AUTO"):
        async with pool.transaction() as conn:
            await change_mode(conn, citizen, mode)
        answer = await check(running, method, world.anna, citizen)
        seen.append(answer.json()["sender_allowed"])
    assert seen == [False, False, True]


# SPECIAL services ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "hours", "allowed"),
    [
        (None, 0, False),
        ("ACTIVE", 0, True),
        ("ACTIVE", 1000, True),
        ("INACTIVE", 0, False),
        ("PENDING", 0, True),
        ("PENDING", 23, True),
        ("PENDING", 25, False),
    ],
)
@pytest.mark.parametrize("mode", ["AUTO", "MANUAL", "LEGACY"])
async def test_a_special_service_needs_its_activation_and_nothing_else(
    running: Running,
    world: World,
    pool: Pool,
    method: str,
    mode: str,
    status: Any,
    hours: int,
    allowed: bool,
) -> None:
    """PENDING counts as active for a day. What the citizen chose otherwise is not asked."""
    citizen = await enrol(
        pool, mode, blocked={world.special.id: ["INBOX"]} if mode == "LEGACY" else {}
    )
    async with pool.transaction() as conn:
        if mode != "LEGACY":
            refuse = Preference(citizen, world.special.id, 0, is_inbox_enabled=False)
            await put_preferences(conn, [refuse])
        if status is not None:
            await put_activations(conn, [Activation(citizen, world.special.id, status)])
        await conn.raw.execute(
            "UPDATE recipients.activation SET updated_at = updated_at - make_interval(hours => $1)"
            " WHERE fiscal_code = $2",
            hours,
            citizen,
        )
    answer = await check(running, method, world.special, citizen)
    assert answer.json() == {"sender_allowed": allowed}


async def test_an_activation_does_not_open_an_ordinary_service(
    running: Running, world: World, pool: Pool, method: str
) -> None:
    citizen = await enrol(pool, "MANUAL")
    async with pool.transaction() as conn:
        await put_activations(conn, [Activation(citizen, world.anna.id, "ACTIVE")])
    answer = await check(running, method, world.anna, citizen)
    assert answer.json() == {"sender_allowed": False}


async def test_a_closed_inbox_is_not_found_even_with_an_activation(
    running: Running, world: World, pool: Pool, method: str
) -> None:
    citizen = await enrol(pool, "AUTO", is_inbox_enabled=False)
    async with pool.transaction() as conn:
        await put_activations(conn, [Activation(citizen, world.special.id, "ACTIVE")])
    assert (await check(running, method, world.special, citizen)).status_code == 404


# The question ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b'"AAAAAA00A00A000A"',
        b'{"fiscal_code":null}',
        b'{"fiscal_code":1}',
        b'{"fiscal_code":""}',
        b'{"fiscal_code":"aaaaaa00a00a000a"}',
        b'{"fiscal_code":"AAAAAA00A00A000A\\n"}',
        b'{"fiscal_code":["AAAAAA00A00A000A"]}',
        b'{"fiscal_code":"AAAAAA00A00A000A","fiscal_code":"AAAAAA00A00A000A"}',
    ],
)
async def test_a_body_that_names_nobody_is_refused(
    running: Running, world: World, body: bytes
) -> None:
    answer = await running.client.post("/api/v1/profiles", content=body, headers=world.anna.headers)
    assert answer.status_code == 400
    assert answer.json()["title"] == "Invalid FiscalCodePayload"


async def test_other_members_of_the_body_are_tolerated(running: Running, world: World) -> None:
    answer = await running.client.post(
        "/api/v1/profiles",
        json={"fiscal_code": AUTO, "other": {"a": [1.5, None]}},
        headers=world.anna.headers,
    )
    assert answer.status_code == 200


async def test_the_question_is_checked_before_the_recipient(running: Running, world: World) -> None:
    answer = await running.client.get("/api/v1/profiles/x", headers=world.limited.headers)
    assert answer.status_code == 400


async def test_many_questions_at_once_get_their_own_answers(running: Running, world: World) -> None:
    expected = {AUTO: 200, MANUAL: 200, BLOCKING: 200, CLOSED: 404, STRANGER: 404}
    asked = list(expected) * 30
    answers = await asyncio.gather(
        *(check(running, "GET", caller, c) for c in asked for caller in (world.anna, world.bruno))
    )
    for index, answer in enumerate(answers):
        citizen, caller = asked[index // 2], ("anna", "bruno")[index % 2]
        assert answer.status_code == expected[citizen]
        if answer.status_code == 200:
            refused = {(MANUAL, "bruno"), (BLOCKING, "anna")}
            assert answer.json()["sender_allowed"] is ((citizen, caller) not in refused)


async def test_a_check_leaves_no_trace_of_a_message(
    running: Running, world: World, pool: Pool, method: str
) -> None:
    async with pool.connection() as conn:
        before = await conn.raw.fetchval("SELECT count(*) FROM messages.message")
    await check(running, method, world.anna, AUTO)
    async with pool.connection() as conn:
        assert await conn.raw.fetchval("SELECT count(*) FROM messages.message") == before
    sent = await running.client.post("/api/v1/messages", json=message(), headers=world.anna.headers)
    assert sent.status_code == 201
