"""One notice that went to several people: each is reminded by their own messages only."""

from messo.base.buckets import short_hash
from messo.base.db import Pool
from messo.base.work import Worker
from messo.recipients import Profile, create_profiles
from messo.reminders.facts import Subject, read_facts
from messo.sandbox.fiscal_codes import many
from messo_client import notices
from tests.conftest import Running
from tests.messages.mail import Mail
from tests.world import World

PAYEE = "00000000001"


def alike(pool: Pool) -> tuple[str, str]:
    """Two fiscal codes of one bucket whose short hashes are the same."""
    seen: dict[tuple[int, int], str] = {}
    for code in many(20_000):
        key = pool.bucket(code), short_hash(code)
        if key in seen:
            return seen[key], code
        seen[key] = code
    raise AssertionError("no two are alike")


async def test_people_whom_the_hash_does_not_tell_apart_are_told_apart(
    pool: Pool, running: Running, worker: Worker, world: World
) -> None:
    one, other = alike(pool)
    stranger = next(code for code in many(100) if short_hash(code) != short_hash(one))
    async with pool.transaction() as conn:
        people = [
            Profile(
                code,
                mode="AUTO",
                settings_version=0,
                is_inbox_enabled=True,
                is_webhook_enabled=True,
                reminder_status="ENABLED",
            )
            for code in (one, other, stranger)
        ]
        await create_profiles(conn, people)
    number = notices.make(f"{1:013d}", code="06")
    payment = {"amount": 100, "notice_number": number}
    mail = Mail(running, worker)
    sent = {
        code: [await mail.send(world.anna, code, payment_data=payment) for _ in range(2)]
        for code in (one, other, stranger)
    }
    subjects = [Subject(code, PAYEE + number) for code in (one, other)]
    async with pool.connection() as conn:
        facts = await read_facts(conn, pool.bucket(one), subjects)
        assert {
            subject.fiscal_code: [message.id for message in facts[subject].messages]
            for subject in subjects
        } == {one: sent[one], other: sent[other]}
        planned = await conn.raw.fetch(
            "SELECT fiscal_code, count(*) FROM reminders.reminder GROUP BY 1"
        )
    assert {row[0] for row in planned} == {one, other, stranger}
    assert len({row[1] for row in planned}) == 1, "as many for each, however many messages"
