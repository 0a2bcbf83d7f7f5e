"""Sending with a login: the same gates as with a key, and one message for each idempotency key."""

import asyncio
import json
from typing import Any

import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.http import Problem
from messo.content import Configurations
from messo.messages.advice import Advise
from messo.messages.send import Send
from messo.services import Sender
from messo.services.directory import sender_of
from messo.services.permissions import DEFAULT, Permission
from messo.services.services import (
    NewService,
    create_institution,
    set_state,
    suspend_institution,
    suspend_service,
)
from messo.sso.known_sites import KnownSites
from tests.conftest import Running
from tests.world import ACTOR, AUTO, MANUAL, Caller, World, add_service, message

NOTICE = "000000000000000000"
LINK = '---\nit:\n  cta_1:\n    text: "Vai"\n    action: "iosso://https://example.org"\n---\n'


@pytest.fixture(scope="module")
def send(running: Running, secrets: Secrets) -> Send:
    started = running.started
    return Send(
        Configurations(started.pool, started.directory, secrets),
        started.guard,
        started.accept,
        Advise(KnownSites(started.pool, lambda: started.directory.version)),
    )


async def logged_in(pool: Pool, caller: Caller) -> Sender:
    async with pool.connection() as conn:
        found = await sender_of(conn, caller.id, caller.institution)
    assert found is not None
    return found


def body_of(to: str | None = AUTO, level: str = "STANDARD", **content: Any) -> bytes:
    return json.dumps(message(to, **content) | {"feature_level_type": level}).encode()


def payment(amount: int, **more: Any) -> dict[str, Any]:
    return {"payment_data": {"amount": amount, "notice_number": NOTICE, **more}}


def gates(world: World) -> list[tuple[Caller, bytes]]:
    """One message for each gate, and one that passes all of them."""
    third = {"id": "1", "configuration_id": "01K5ZJ7M8N9PQRSTVWXYZ01234"}
    return [
        (world.bruno, body_of()),
        (world.bruno, b"{"),
        (world.bruno, body_of(subject="Breve")),
        (world.bruno, body_of(level="ADVANCED")),
        (world.bruno, body_of(**payment(1, payee={"fiscal_code": "00000000009"}))),
        (world.bruno, body_of(to=None)),
        (world.anna, body_of(third_party_data={"id": "1"})),
        (world.anna, body_of(third_party_data=third)),
        (world.limited, body_of(to=MANUAL)),
        (world.draft, body_of()),
        (world.anna, body_of(**payment(100_001))),
        (world.bruno, body_of(to=MANUAL, level="ADVANCED", **payment(100_001))),
    ]


async def test_every_gate_refuses_a_login_as_it_refuses_a_key(
    running: Running, pool: Pool, world: World, send: Send
) -> None:
    titles = set()
    for caller, body in gates(world):
        by_key = await running.client.post(
            "/api/v1/messages",
            content=body,
            headers=caller.headers | {"Content-Type": "application/json"},
        )
        sender = await logged_in(pool, caller)
        said: Any = (201, None, None)
        try:
            await send(sender, body)
        except Problem as problem:
            said = (problem.status, problem.title, problem.field)
            with pytest.raises(Problem) as checked:
                await send.check(sender, body)
            assert (checked.value.status, checked.value.title, checked.value.field) == said
        answer = by_key.json()
        assert said == (by_key.status_code, answer.get("title"), answer.get("field"))
        titles.add(said[1])
    assert len(titles) >= 8


async def test_an_institution_that_may_not_write_is_refused_before_anything_is_read(
    pool: Pool, secrets: Secrets, send: Send
) -> None:
    async with pool.transaction() as conn:
        reading = await create_institution(
            conn, ACTOR, "00000000071", "Comune", "c@example.org", (Permission.MESSAGE_READ,)
        )
        caller = await add_service(conn, secrets, reading, NewService("Solo lettura"))
    sender = await logged_in(pool, caller)
    for refused in (send(sender, b"{"), send.check(sender, b"{")):
        with pytest.raises(Problem) as problem:
            await refused
        assert (problem.value.status, problem.value.title) == (403, "You are not allowed here")


async def test_a_check_sends_nothing_and_says_what_would_be_sent(
    running: Running, pool: Pool, world: World, send: Send
) -> None:
    sender = await logged_in(pool, world.bruno)
    body = body_of(markdown=LINK + "Un testo abbastanza lungo da essere un messaggio. " * 3)
    async with pool.connection() as conn:
        before = await conn.raw.fetchval("SELECT count(*) FROM messages.message")
    checked = await send.check(sender, body)
    async with pool.connection() as conn:
        assert before == await conn.raw.fetchval("SELECT count(*) FROM messages.message")
    assert checked.fiscal_code == AUTO
    assert checked.message.time_to_live == 3600
    assert [one.rule for one in checked.advice] == ["sso-unknown-relying-party"]
    sent = await send(sender, body, reference="pratica-1")
    assert sent.advice == checked.advice
    async with pool.connection() as conn:
        row = await conn.raw.fetchrow(
            "SELECT service_id, fiscal_code, reference FROM messages.message WHERE id = $1",
            sent.message_id,
        )
    assert tuple(row) == (world.bruno.id, AUTO, "pratica-1")


async def test_a_form_that_is_sent_twice_makes_one_message(
    pool: Pool, world: World, send: Send
) -> None:
    body = body_of(subject="Mandato due volte")

    async def once() -> str:
        sender = await logged_in(pool, world.bruno)
        return (await send(sender, body, key="form-1")).message_id

    assert len(set(await asyncio.gather(*(once() for _ in range(8))))) == 1
    async with pool.connection() as conn:
        assert 1 == await conn.raw.fetchval(
            "SELECT count(*) FROM messages.message WHERE subject = 'Mandato due volte'"
        )
    other = body_of(subject="Un altro messaggio")
    with pytest.raises(Problem) as problem:
        await send(await logged_in(pool, world.bruno), other, key="form-1")
    assert (problem.value.status, problem.value.field) == (422, "Idempotency-Key")


@pytest.mark.parametrize(
    ("given", "field"),
    [({"reference": "due parole"}, "X-Messo-Reference"), ({"key": "è"}, "Idempotency-Key")],
)
async def test_references_and_keys_are_visible_ascii(
    pool: Pool, world: World, send: Send, given: dict[str, str], field: str
) -> None:
    with pytest.raises(Problem) as problem:
        await send(await logged_in(pool, world.bruno), body_of(), **given)
    assert (problem.value.status, problem.value.field) == (400, field)


async def test_many_logins_of_one_service_are_remembered_once_and_disturb_no_key(
    running: Running, pool: Pool, world: World, send: Send
) -> None:
    accept = send.accept
    by_key = await running.started.directory.find(world.anna.key)
    assert isinstance(by_key, Sender)
    await send(by_key, body_of())
    kept = accept._snapshots[by_key.rate_key]
    before = len(accept._snapshots)
    senders = {id(sender): sender for sender in [await logged_in(pool, world.anna) for _ in "1234"]}
    for sender in senders.values():
        await send(sender, body_of())
    assert len(senders) == 4
    assert len(accept._snapshots) <= before + 1
    assert accept._snapshots[by_key.rate_key] is kept
    # What the citizen sees of the sender is the same, and stored once.
    assert {accept._snapshots[sender.rate_key][2] for sender in senders.values()} == {kept[2]}


async def test_a_login_stands_for_what_a_key_stands_for(
    running: Running, pool: Pool, world: World
) -> None:
    for caller in (world.anna, world.secure, world.limited):
        by_key = await running.started.directory.find(caller.key)
        found = await logged_in(pool, caller)
        assert isinstance(by_key, Sender)
        names = [name for name in Sender.__slots__ if name not in {"rate_key", "networks"}]
        assert [getattr(found, name) for name in names] == [getattr(by_key, name) for name in names]
        assert found.rate_key == f"login:{caller.id}"
        assert found.networks == ()


async def test_nobody_sends_for_a_service_that_is_not_theirs_or_not_usable(
    pool: Pool, world: World, secrets: Secrets
) -> None:
    async with pool.transaction() as conn:
        made = await create_institution(
            conn, ACTOR, "00000000072", "Comune", "c@example.org", DEFAULT
        )
        services = [await add_service(conn, secrets, made, NewService(name)) for name in "ABC"]
        await suspend_service(conn, ACTOR, services[0].id, suspend=True, reason="x")
        await set_state(conn, ACTOR, services[1].id, "deleted")
        asked = [
            (world.anna.id, world.bruno.institution),
            ("01K5ZJ7M8N9PQRSTVWXYZ01234", made),
            ("\x00", made),
            (services[0].id, made),
            (services[1].id, made),
        ]
        assert [await sender_of(conn, *pair) for pair in asked] == [None] * len(asked)
        assert await sender_of(conn, services[2].id, made) is not None
        await suspend_institution(conn, ACTOR, made, suspend=True, reason="x")
        assert await sender_of(conn, services[2].id, made) is None
