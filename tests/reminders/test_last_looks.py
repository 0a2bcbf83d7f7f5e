"""What happens between planning and sending: several devices, other messages, a due date that moves."""

from datetime import date, timedelta

from messo.base import clock, work
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.base.work import Step, Worker
from messo.messages import mailbox
from messo.reminders.plan import plan_messages
from messo.reminders.rules import Window, day_of
from messo.reminders.shown import explain
from messo.reminders.still_due import not_any_more
from messo_client import notices
from tests.conftest import Running
from tests.inbox.pages import citizen
from tests.messages.mail import Mail
from tests.world import World

PAYEE = "00000000001"
_numbers = iter(range(1, 1000))


async def remindable(pool: Pool) -> str:
    return await citizen(pool, "LLK", next(_numbers), reminder_status="ENABLED")


def new_number() -> str:
    return notices.make(f"{next(_numbers):013d}", code="07")


async def planned(pool: Pool, code: str) -> list[tuple[date, str, str]]:
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT day, kind, state FROM reminders.reminder WHERE fiscal_code = $1 ORDER BY day",
            code,
        )
    return [tuple(row) for row in rows]


async def hand(pool: Pool, code: str, message_id: str, subject: str) -> str:
    """As the hand-over leaves the first one, today; its occasion."""
    today = day_of(clock.now())
    async with pool.connection() as conn:
        await conn.raw.execute(
            "INSERT INTO reminders.reminder (bucket, fiscal_code, subject, day, kind, state, due_at,"
            " message_id) VALUES ($1, $2, $3, $4, 'undated', 'handed', $5, $6)",
            conn.bucket(code),
            code,
            subject,
            today,
            clock.now(),
            message_id,
        )
    return f"undated:{today}"


async def test_one_that_a_device_has_shown_stays_sent_when_another_device_is_stopped(
    pool: Pool, running: Running, worker: Worker, world: World
) -> None:
    code, number = await remindable(pool), new_number()
    mail = Mail(running, worker)
    sent = await mail.send(world.anna, code, payment_data={"amount": 100, "notice_number": number})
    bucket, today = pool.bucket(code), day_of(clock.now())
    occasion = await hand(pool, code, sent, PAYEE + number)
    async with pool.connection() as conn:
        await conn.raw.execute(
            "INSERT INTO notifications.delivery (bucket, id, message_id, occasion, channel, address,"
            " wording, language, state, state_at, expires_at) SELECT $1, u.id, $2, $3, 'web_push',"
            " u.id, 'FULL', 'it', u.state, $4, $4 FROM unnest($5::text[], $6::text[])"
            " AS u (id, state)",
            bucket,
            sent,
            occasion,
            clock.now(),
            [new_id(), new_id()],
            ["SENT", "THROTTLED"],
        )
        await conn.raw.execute(
            "UPDATE payments.notice SET state = 'in_progress' WHERE number = $1", number
        )
        assert await not_any_more(conn, bucket, [(sent, occasion)]) == {(sent, occasion)}
        found = await explain(conn, code, sent)
        assert found is not None
        assert [one.outcome for one in found.reminders if one.day == today] == ["sent"]
        # What is due tomorrow would come a day after one that was shown.
        await conn.raw.execute(
            "UPDATE payments.notice SET state = 'unpaid', due_date = $2 WHERE number = $1",
            number,
            today + timedelta(days=5),
        )
    async with pool.transaction() as conn:
        await plan_messages(conn, bucket, [sent], Window())
    days = [day for day, _, state in await planned(pool, code) if state == "planned"]
    assert all((day - today).days >= 3 for day in days)


async def test_a_message_that_comes_while_the_other_is_put_away_is_reminded_of(
    pool: Pool, running: Running, worker: Worker, world: World
) -> None:
    """Two plan for one notice: whoever comes later has seen what was true later."""
    code, number = await remindable(pool), new_number()
    mail, payment = Mail(running, worker), {"amount": 100, "notice_number": number}
    first = await mail.send(world.anna, code, payment_data=payment)
    bucket = pool.bucket(code)
    async with pool.transaction() as conn:
        await mailbox.mark(conn, code, [first], archived=True)
    second = await mail.post(world.anna, code, payment_data=payment)
    await mail.settle()
    for order in ([first, second], [second, first]):
        for one in order:
            async with pool.transaction() as conn:
                await plan_messages(conn, bucket, [one], Window())
        assert len(await planned(pool, code)) >= 3


async def test_another_citizens_message_moves_the_due_date_for_all(
    pool: Pool, running: Running, worker: Worker, world: World
) -> None:
    one, other, number = await remindable(pool), await remindable(pool), new_number()
    mail, payment = Mail(running, worker), {"amount": 100, "notice_number": number}

    async def write(to: str, days: int) -> None:
        due = (clock.now() + timedelta(days=days)).replace(hour=12, microsecond=0)
        await mail.send(world.anna, to, payment_data=payment, due_date=clock.to_wire(due))

    await write(one, 30)
    last = {day for day, kind, _ in await planned(pool, one) if kind == "last"}
    await write(other, 20)
    moved = {day for day, kind, _ in await planned(pool, one) if kind == "last"}
    assert {day - timedelta(days=10) for day in last} == moved
    assert await planned(pool, one) == await planned(pool, other)


async def test_an_unread_message_is_not_reminded_of_once_it_is_out_of_date(
    pool: Pool, running: Running, worker: Worker, world: World
) -> None:
    code = await remindable(pool)
    due = clock.now() + timedelta(seconds=1)
    mail = Mail(running, worker)
    sent = await mail.send(world.anna, code, due_date=clock.to_wire(due))
    bucket = pool.bucket(code)
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE messages.content SET parts = jsonb_set(parts, '{due_date}', to_jsonb($2::text))"
            " WHERE id = $1",
            sent,
            clock.to_wire(clock.now() - timedelta(minutes=1)),
        )
        occasion = f"unread:{day_of(clock.now())}"
        assert await not_any_more(conn, bucket, [(sent, occasion)]) == {(sent, occasion)}
        found = await explain(conn, code, sent)
    assert found is not None
    assert found.why_not == "past_due"


async def test_a_wish_that_is_queued_twice_and_fails_is_put_off_once(pool: Pool) -> None:
    """Marking, watching and the ledger each queue the planning of one message."""

    async def fail(*_: object) -> None:
        raise RuntimeError("not today")

    async def go_on(*_: object) -> bool:
        return True

    step = Step("tests.fails", fail, go_on)  # type: ignore[arg-type]
    now = clock.now()
    async with pool.transaction() as conn:
        for minute in range(3):
            due = now - timedelta(minutes=minute)
            await work.queue(conn, 0, step.name, ["A"], [0], due)
    worker = Worker(pool, 1, [step], [], 10)
    await worker.work_once()
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT due_at, attempts FROM work.item WHERE step = $1", step.name
        )
        await conn.raw.execute("DELETE FROM work.item WHERE step = $1", step.name)
    assert [row["attempts"] for row in rows] == [1]
    assert rows[0]["due_at"] > now
