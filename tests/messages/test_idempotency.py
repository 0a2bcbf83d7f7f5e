"""A request repeated under its Idempotency-Key is answered as the first time, and kept once."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from messo import app
from messo.base import server
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.base.work import Worker
from messo.settings import Settings
from tests.conftest import Running, free_port, until_started
from tests.events.told import FACTS
from tests.world import AUTO, LEGACY, MANUAL, STRANGER, Caller, World, message


@pytest.fixture(scope="module")
async def second(
    settings: Settings, database_url: str, secrets: Secrets, world: World
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a second server on the same database."""
    port = free_port()
    async with app.start(settings, database_url, secrets) as started:
        beside = server.beside_server(started.app, "127.0.0.1", port)
        task = asyncio.create_task(beside.serve())
        await until_started(beside)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
        beside.should_exit = True
        await task


async def post(
    client: httpx.AsyncClient, caller: Caller, body: Any, key: Any, path: str = "", **headers: str
) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await client.post(
        f"/api/v1/messages{path}",
        content=content,
        headers=caller.headers | {"Idempotency-Key": key} | headers,
    )


async def rows(pool: Pool, ids: set[str]) -> list[int]:
    """How many rows these messages have: of message, content, work, event."""
    async with pool.connection() as conn:
        return [
            await conn.raw.fetchval(f"SELECT count(*) FROM {table} = ANY($1)", list(ids))
            for table in (
                "messages.message WHERE id",
                "messages.content WHERE id",
                "work.item WHERE reference",
                f"{FACTS} WHERE message_id",
            )
        ]


async def kept(pool: Pool, subject: str) -> int:
    async with pool.connection() as conn:
        found: int = await conn.raw.fetchval(
            "SELECT count(*) FROM messages.message WHERE subject = $1", subject
        )
        return found


async def test_a_repetition_gets_the_first_answer(
    running: Running, world: World, pool: Pool
) -> None:
    key = new_id()
    answers = [await post(running.client, world.anna, message(), key) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert await rows(pool, {answers[0].json()["id"]}) == [1, 1, 1, 1]


async def test_without_a_key_every_request_is_a_message(running: Running, world: World) -> None:
    sent = [
        await running.client.post("/api/v1/messages", json=message(), headers=world.anna.headers)
        for _ in range(2)
    ]
    assert sent[0].json() != sent[1].json()


async def test_what_counts_is_the_message_not_how_it_is_written(
    running: Running, world: World
) -> None:
    key = new_id()
    whole = message(payment_data={"amount": 1, "notice_number": "302000000000000083"})
    first = await post(running.client, world.anna, whole, key)
    explicit = {**whole, "time_to_live": 3600, "feature_level_type": None, "unknown": 1}
    explicit["content"] = dict(reversed(whole["content"].items()))
    spelled = json.dumps(explicit, indent=4, ensure_ascii=False).replace("3600", "3.6e3").encode()
    in_path = {"content": whole["content"]}
    for body, path in ((spelled, ""), (explicit, ""), (in_path, f"/{AUTO}")):
        again = await post(running.client, world.anna, body, key, path)
        assert (again.status_code, again.json()) == (201, first.json())


async def test_a_decided_message_is_still_the_answer(
    running: Running, world: World, worker: Worker
) -> None:
    for recipient in (AUTO, STRANGER):
        key = new_id()
        first = await post(running.client, world.anna, message(recipient), key)
        while await worker.work_once():
            pass
        again = await post(running.client, world.anna, message(recipient), key)
        assert (again.status_code, again.json()) == (201, first.json())


@pytest.mark.parametrize(
    "change",
    [
        {"content": message()["content"] | {"subject": "La tua tessera è scaduta"}},
        {"content": message()["content"] | {"markdown": message()["content"]["markdown"] + "!"}},
        {"content": message()["content"] | {"require_secure_channels": False}},
        {"content": message()["content"] | {"due_date": "2030-01-01T00:00:00Z"}},
        {"time_to_live": 3601},
        {"feature_level_type": "ADVANCED"},
    ],
)
async def test_another_message_under_the_same_key_is_refused(
    running: Running, world: World, pool: Pool, change: dict[str, Any]
) -> None:
    key = new_id()
    first = await post(running.client, world.anna, message(), key)
    other = await post(running.client, world.anna, message() | change, key)
    assert other.status_code == 422
    assert other.headers["content-type"] == "application/problem+json"
    assert other.json()["title"] == "Idempotency key reused"
    assert other.json()["field"] == "Idempotency-Key"
    # The refusal changes nothing for the first message.
    again = await post(running.client, world.anna, message(), key)
    assert again.json() == first.json()
    assert await rows(pool, {first.json()["id"]}) == [1, 1, 1, 1]


async def test_a_key_is_one_services_and_one_recipients(running: Running, world: World) -> None:
    key = new_id()
    answers = [
        await post(running.client, caller, message(recipient), key)
        for caller in (world.anna, world.bruno, world.secure)
        for recipient in (AUTO, MANUAL, LEGACY)
    ]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 9


async def test_a_refused_message_does_not_use_up_its_key(running: Running, world: World) -> None:
    key = new_id()
    too_much = message(payment_data={"amount": 100_001, "notice_number": "302000000000000083"})
    assert (await post(running.client, world.anna, too_much, key)).status_code == 400
    assert (await post(running.client, world.anna, message(), key)).status_code == 201


@pytest.mark.parametrize("key", ["k", "!", "~" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"'])
async def test_visible_ascii_makes_a_key(running: Running, world: World, key: str) -> None:
    sent = [await post(running.client, world.anna, message(), key) for _ in range(2)]
    assert [answer.status_code for answer in sent] == [201, 201]
    assert sent[0].json() == sent[1].json()


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "è".encode("latin-1"), "a\tb"])
async def test_another_key_is_refused(running: Running, world: World, key: Any) -> None:
    sent = await post(running.client, world.anna, message(), key)
    assert (sent.status_code, sent.json()["title"]) == (400, "Bad parameters")
    assert sent.json()["field"] == "Idempotency-Key"


async def test_keys_differ_by_letter_case(running: Running, world: World) -> None:
    stem = new_id()
    sent = [
        await post(running.client, world.anna, message(), key)
        for key in (stem.upper(), stem.lower())
    ]
    assert sent[0].json() != sent[1].json()


# At once ---------------------------------------------------------------------------------------


async def test_fifty_at_once_are_one_message(running: Running, world: World, pool: Pool) -> None:
    key, subject = new_id(), f"Cinquanta volte {new_id()}"
    answers = await asyncio.gather(
        *(post(running.client, world.anna, message(subject=subject), key) for _ in range(50))
    )
    assert {answer.status_code for answer in answers} == {201}
    ids = {answer.json()["id"] for answer in answers}
    assert len(ids) == 1
    assert await kept(pool, subject) == 1
    assert await rows(pool, ids) == [1, 1, 1, 1]


async def test_fifty_at_once_on_two_servers_are_one_message(
    running: Running, second: httpx.AsyncClient, world: World, pool: Pool
) -> None:
    for _ in range(5):
        key, subject = new_id(), f"Due servizi {new_id()}"
        answers = await asyncio.gather(
            *(
                post(client, world.anna, message(subject=subject), key)
                for _ in range(25)
                for client in (running.client, second)
            )
        )
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert await kept(pool, subject) == 1


async def test_a_batch_with_repetitions_and_conflicts_answers_each_its_own(
    running: Running, second: httpx.AsyncClient, world: World, pool: Pool
) -> None:
    """Forty keys, each sent three times with one body and once with another, on two servers."""
    stem = new_id()
    subjects = {"same": f"Stesso oggetto {stem}", "other": f"Altro oggetto {stem}"}
    asked = [(f"{stem}-{n}", which) for n in range(40) for which in ("same",) * 3 + ("other",)]
    # Interleaved, so that equal keys meet in one batch and in two servers' batches.
    asked = [asked[i * 37 % len(asked)] for i in range(len(asked))]
    assert Counter(asked)[f"{stem}-0", "same"] == 3
    answers = await asyncio.gather(
        *(
            post(
                (running.client, second)[i % 2],
                world.anna,
                message((AUTO, MANUAL)[int(key.rpartition("-")[2]) % 2], subject=subjects[which]),
                key,
            )
            for i, (key, which) in enumerate(asked)
        )
    )
    by_key: dict[str, dict[str, list[httpx.Response]]] = {}
    for (key, which), answer in zip(asked, answers, strict=True):
        by_key.setdefault(key, {}).setdefault(which, []).append(answer)
    for both in by_key.values():
        outcomes = {
            which: {(answer.status_code, answer.json().get("id")) for answer in found}
            for which, found in both.items()
        }
        # Whichever body came first is kept; the other is refused; nobody gets another's id.
        assert all(len(outcome) == 1 for outcome in outcomes.values())
        statuses = sorted(status for outcome in outcomes.values() for status, _ in outcome)
        assert statuses == [201, 422]
    in_all = await kept(pool, subjects["same"]) + await kept(pool, subjects["other"])
    assert in_all == 40


async def test_messages_with_and_without_keys_share_a_batch(
    running: Running, world: World, pool: Pool
) -> None:
    key, subject = new_id(), f"Misto {new_id()}"
    body = message(subject=subject)
    plain = [
        running.client.post("/api/v1/messages", json=body, headers=world.anna.headers)
        for _ in range(20)
    ]
    keyed = [post(running.client, world.anna, body, key) for _ in range(20)]
    answers = await asyncio.gather(
        *(one for pair in zip(plain, keyed, strict=True) for one in pair)
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers[::2]}) == 20
    assert len({answer.json()["id"] for answer in answers[1::2]}) == 1
    assert await kept(pool, subject) == 21
