"""The life of one message, for its institution's people: each thing once, oldest first."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from messo import events
from messo.base import clock
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.base.work import Worker
from messo.messages import mailbox, sent
from messo.messages.sent import SentMessage
from messo.messages.timeline import Step, payment_of, timeline
from messo.messages.wire import PaymentSeen
from messo.recipients.preferences import Preference, put_preferences
from messo.recipients.profile import Profile, create_profiles
from messo.sandbox.fiscal_codes import many
from messo.services.permissions import Permission
from messo.services.services import grant, revoke
from tests.conftest import Running
from tests.messages.mail import PAYMENT, Mail
from tests.world import ACTOR, AUTO, STRANGER, World

PEOPLE = iter(many(700)[600:])


@pytest.fixture(scope="module")
def mail(running: Running, worker: Worker) -> Mail:
    return Mail(running, worker)


@pytest.fixture
async def citizen(pool: Pool) -> str:
    code = next(PEOPLE)
    async with pool.transaction() as conn:
        await create_profiles(conn, [Profile(code, "AUTO", 0, is_inbox_enabled=True)])
    return code


async def found(pool: Pool, world: World, message_id: str) -> SentMessage:
    async with pool.connection() as conn:
        message = await sent.find(conn, message_id, world.anna.institution)
    assert message is not None
    return message


async def steps_of(pool: Pool, message: SentMessage, paid: PaymentSeen | None = None) -> list[Step]:
    async with pool.connection() as conn:
        return list((await timeline(conn, message, paid)).steps)


async def told(pool: Pool, message: SentMessage, **states: str) -> None:
    """Notices as if dispatched: by channel, the state."""
    async with pool.transaction() as conn:
        for number, (channel, state) in enumerate(states.items()):
            await conn.raw.execute(
                "INSERT INTO notifications.delivery VALUES ($1, $2, $3, 'new', $4, $5, 'FULL',"
                " 'it', $6, now() + make_interval(secs => $7), now() + interval '1 day')",
                message.bucket,
                new_id(),
                message.id,
                channel.rstrip("_"),
                str(number),
                state,
                float(number),
            )


async def test_all_that_happened_oldest_first_and_once(
    pool: Pool, mail: Mail, world: World, citizen: str
) -> None:
    message_id = await mail.send(world.anna, citizen, "ADVANCED", payment_data=PAYMENT)
    message = await found(pool, world, message_id)
    await told(pool, message, email="FAILED", email_="SENT", web_push="QUEUED")
    now = clock.now()
    async with pool.transaction() as conn:
        await events.append(
            conn, message.bucket, ["notified"], [message_id], [message.service_id], now, ["email"]
        )
        await mailbox.mark(conn, citizen, [message_id], read=True, archived=None)
        await mailbox.report_not_for_me(conn, citizen, message_id)
        await conn.raw.execute(
            "UPDATE messages.message SET read_at = now() + interval '1 minute' WHERE id = $1",
            message_id,
        )
        await conn.raw.execute(
            "UPDATE messages.report SET reported_at = now() + interval '3 minutes'"
            " WHERE message_id = $1",
            message_id,
        )
    at = clock.to_wire(now + timedelta(minutes=2))
    paid = PaymentSeen("paid", paid_at=at)
    message = await found(pool, world, message_id)
    steps = await steps_of(pool, message, paid)
    assert [(step.kind, step.channel, step.state) for step in steps] == [
        ("accepted", None, None),
        ("processed", None, None),
        ("notified", "email", "SENT"),
        ("notified", "webhook", "QUEUED"),
        ("read", None, None),
        ("paid", None, None),
        ("reported", None, None),
    ]
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    # Logged as a fact, too, it is paid once; and what deliveries say may be gone by then.
    async with pool.transaction() as conn:
        await events.append(conn, message.bucket, ["paid"], [message_id], [message.service_id], now)
        await conn.raw.execute("DELETE FROM notifications.delivery")
    steps = await steps_of(pool, message, paid)
    assert [step.at for step in steps if step.kind == "paid"] == [now]
    assert [(s.channel, s.state, s.at) for s in steps if s.kind == "notified"] == [
        ("email", "SENT", now)
    ]


@pytest.mark.parametrize("why", ["denied", "standard", "permission"])
async def test_reading_that_is_not_shared_is_not_shown(
    pool: Pool, mail: Mail, world: World, citizen: str, why: str
) -> None:
    level = "STANDARD" if why == "standard" else "ADVANCED"
    message_id = await mail.send(world.anna, citizen, level, payment_data=PAYMENT)
    async with pool.transaction() as conn:
        # They let the sender know, and took it back afterwards.
        await mailbox.mark(conn, citizen, [message_id], read=True, archived=None)
        if why == "denied":
            denied = Preference(citizen, world.anna.id, 0, access_read_message_status="DENY")
            await put_preferences(conn, [denied])
        elif why == "permission":
            await revoke(conn, ACTOR, world.anna.institution, [Permission.MESSAGE_READ_ADVANCED])
    try:
        message = await found(pool, world, message_id)
    finally:
        async with pool.transaction() as conn:
            await grant(conn, ACTOR, world.anna.institution, [Permission.MESSAGE_READ_ADVANCED])
    assert message.read_status == ("UNAVAILABLE" if why == "denied" else None)
    assert "read" not in {step.kind for step in await steps_of(pool, message)}
    asked: list[Any] = []

    async def state(*notice: str) -> PaymentSeen:
        asked.append(notice)
        return PaymentSeen("unpaid")

    seen = await payment_of(message, state)
    assert (seen is not None) == (why == "denied")
    assert asked == ([("00000000001", PAYMENT["notice_number"])] if why == "denied" else [])


async def test_why_it_was_rejected_or_that_it_failed(pool: Pool, mail: Mail, world: World) -> None:
    refused = await found(pool, world, await mail.send(world.anna, STRANGER))
    steps = await steps_of(pool, refused)
    assert [(step.kind, step.reason) for step in steps] == [
        ("accepted", None),
        ("rejected", "USER_NOT_FOUND"),
    ]
    assert await payment_of(refused, None) is None
    waiting = await found(pool, world, await mail.post(world.anna, AUTO))
    assert [step.kind for step in await steps_of(pool, waiting)] == ["accepted"]
    later = datetime.now(UTC) + timedelta(minutes=1)
    async with pool.transaction() as conn:
        await events.append(
            conn, waiting.bucket, ["failed"], [waiting.id], [waiting.service_id], later
        )
    assert [step.kind for step in await steps_of(pool, waiting)] == ["accepted", "failed"]
    await mail.settle()
