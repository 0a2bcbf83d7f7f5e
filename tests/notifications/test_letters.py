"""Letters: the proof of an address, and an institution that hears that its webhook was stopped."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from messo.base import clock, work
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.http import Problem
from messo.base.outward import Sending
from messo.notifications import letters
from messo.notifications.channels.channel import Outcome
from messo.notifications.letters import LETTER, MOST_AN_HOUR, Job, Letters
from messo.recipients import Wishes, amend, confirm_email
from messo.recipients.email import SendValidation, ask_validation
from messo.recipients.profile import Profile, create_profiles
from messo.sandbox.fiscal_codes import make
from messo.settings import Settings
from tests.notifications.post_office import PostOffice, opened

NUMBERS = count(1)
SETTINGS = Settings(
    mail_from="Messo <no-reply@example.org>", public_url="https://messo.example.org"
)
INSTITUTION = "01JINSTITUTION"
SINCE = datetime(2026, 7, 3, 22, 30, tzinfo=UTC)  # the 4th in Rome


@pytest.fixture(scope="module")
async def office() -> AsyncIterator[PostOffice]:
    async with opened() as office:
        yield office


@pytest.fixture
def sending(pool: Pool, office: PostOffice, secrets: Secrets) -> Sending[Job, Outcome]:
    return Sending(letters.step(office.mailer, secrets, SETTINGS), pool, pool.buckets)


@pytest.fixture
def post(secrets: Secrets) -> Letters:
    return Letters(secrets)


async def citizen(pool: Pool, **more: object) -> str:
    fiscal_code = make(f"TSTLTR80A01Y{next(NUMBERS):03}")
    values = {"mode": "AUTO", "settings_version": 0, "email": f"{fiscal_code[-5:]}@example.net"}
    async with pool.transaction() as conn:
        await create_profiles(conn, [Profile(fiscal_code, **{**values, **more})])  # type: ignore[arg-type]
    return fiscal_code


async def asked(pool: Pool, post: Letters, fiscal_code: str) -> None:
    """As if the minute between two mails were over."""
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE recipients.email_validation SET created_at = created_at - interval '1 minute' "
            "WHERE fiscal_code = $1",
            fiscal_code,
        )
        await ask_validation(conn, fiscal_code, post.queue_validation)


async def amended(pool: Pool, fiscal_code: str, send: SendValidation) -> None:
    async with pool.transaction() as conn:
        await amend(conn, fiscal_code, Wishes(email="another@example.net"), send)


async def rows(pool: Pool, fiscal_code: str) -> list[str]:
    """What is kept of a citizen's letters."""
    async with pool.connection() as conn:
        found = await conn.raw.fetch(
            "SELECT sealed FROM notifications.letter WHERE fiscal_code = $1", fiscal_code
        )
    return [row["sealed"] for row in found]


async def waiting(pool: Pool) -> int:
    async with pool.connection() as conn:
        return int(
            await conn.raw.fetchval("SELECT count(*) FROM work.item WHERE step = $1", LETTER)
        )


async def sent_all(sending: Sending[Job, Outcome]) -> None:
    """Items without a letter are dropped while claiming: a round that sends nothing is no end."""
    for _ in range(5):
        await sending.once()


async def set_due(pool: Pool, conn: Connection) -> None:
    await conn.raw.execute("UPDATE work.item SET due_at = now() WHERE step = $1", LETTER)


@pytest.mark.parametrize(
    ("preferred", "subject", "words"),
    [
        (None, "Conferma il tuo indirizzo", ("30 giorni", "Non l’hai chiesto tu?")),
        (["en_GB"], "Confirm your address", ("30 days", "It was not you?")),
    ],
)
async def test_the_link_in_the_mail_proves_the_address(
    pool: Pool,
    office: PostOffice,
    post: Letters,
    sending: Sending[Job, Outcome],
    preferred: list[str] | None,
    subject: str,
    words: tuple[str, ...],
) -> None:
    someone = await citizen(pool, preferred_languages=preferred)
    await asked(pool, post, someone)
    (sealed,) = await rows(pool, someone)
    assert "example.net" not in sealed

    assert await sending.once() == 1

    (taken,) = office.to(f"{someone[-5:]}@example.net")
    assert taken.sender == "no-reply@example.org"
    assert taken.mail["Subject"] == subject
    assert taken.mail["Auto-Submitted"] == "auto-generated"
    assert taken.mail["List-Unsubscribe"] is None
    link = r"https://messo\.example\.org/confirm-email\?token=([0-9A-Z]{26}:[0-9a-f]{24})"
    for kind in ("plain", "html"):
        assert re.search(link, taken.text(kind))
        assert all(word in taken.text(kind).replace("&#39;", "'") for word in words)
    assert someone.encode() not in taken.raw.upper()
    assert await rows(pool, someone) == [""]
    assert await waiting(pool) == 0
    found = re.search(link, taken.text("plain"))
    assert found is not None
    async with pool.transaction() as conn:
        assert await confirm_email(conn, someone, found[1])


async def test_six_mails_within_an_hour_are_one_too_many_and_the_newest_link_stays(
    pool: Pool, office: PostOffice, post: Letters, sending: Sending[Job, Outcome], secrets: Secrets
) -> None:
    """Counted in the database: by whichever process, sent or not, to whatever address."""
    someone = await citizen(pool)
    await asked(pool, post, someone)
    await sending.once()
    for number in range(1, MOST_AN_HOUR - 1):
        async with pool.transaction() as conn:
            wishes = Wishes(email=f"changed{number}-{someone[-5:]}@example.net")
            await amend(conn, someone, wishes, Letters(secrets).queue_validation)
    await asked(pool, post, someone)
    assert len(await rows(pool, someone)) == MOST_AN_HOUR
    with pytest.raises(Problem) as refused:
        await asked(pool, post, someone)
    assert refused.value.status == 429
    assert dict(refused.value.headers)[b"retry-after"] == b"3600"
    with pytest.raises(Problem):
        await amended(pool, someone, post.queue_validation)

    await sending.once()
    assert office.to(f"changed1-{someone[-5:]}@example.net") == []  # its link was dead already
    (newest,) = office.to(f"changed{MOST_AN_HOUR - 2}-{someone[-5:]}@example.net")
    token = re.search(r"token=(\S+)", newest.text("plain"))
    assert token is not None
    async with pool.transaction() as conn:
        assert await confirm_email(conn, someone, token[1])


async def test_an_hour_later_there_are_mails_again(pool: Pool, post: Letters) -> None:
    someone = await citizen(pool)
    for _ in range(MOST_AN_HOUR):
        await asked(pool, post, someone)
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE notifications.letter SET id = '00' || substr(id, 3) WHERE fiscal_code = $1",
            someone,
        )
    await asked(pool, post, someone)
    async with pool.transaction() as conn:
        await letters.erase(conn, someone, clock.now() + timedelta(seconds=1))


async def test_without_a_mail_server_nothing_is_queued(pool: Pool, secrets: Secrets) -> None:
    someone, before = await citizen(pool), await waiting(pool)
    silent = Letters(secrets, configured=False)
    for _ in range(MOST_AN_HOUR + 1):
        await asked(pool, silent, someone)
    async with pool.transaction() as conn:
        await silent.queue_webhook_stopped(conn, INSTITUTION, "a@example.it", "x.example", SINCE)
    assert await rows(pool, someone) == []
    assert await waiting(pool) == before


async def test_a_rolled_back_fact_sends_no_letter(pool: Pool, post: Letters) -> None:
    someone, before = await citizen(pool), await waiting(pool)

    async def fail(conn: Connection, who: str, email: str, token: str) -> None:
        await post.queue_validation(conn, who, email, token)
        raise KeyError

    with pytest.raises(KeyError):
        await amended(pool, someone, fail)
    assert await rows(pool, someone) == []
    assert await waiting(pool) == before


async def test_an_erased_citizen_gets_no_letter(
    pool: Pool, office: PostOffice, post: Letters, sending: Sending[Job, Outcome]
) -> None:
    someone = await citizen(pool)
    await asked(pool, post, someone)
    async with pool.transaction() as conn:
        await letters.erase(conn, someone, clock.now() + timedelta(seconds=1))
    await sent_all(sending)
    assert office.to(f"{someone[-5:]}@example.net") == []
    assert await waiting(pool) == 0


@pytest.mark.parametrize(
    ("answer", "is_kept"),
    [("550 5.1.1 nobody", False), ("550 5.7.1 policy", True), ("451 4.3.0 later", True)],
)
async def test_a_letter_is_tried_again_unless_nobody_lives_there(
    pool: Pool,
    office: PostOffice,
    post: Letters,
    sending: Sending[Job, Outcome],
    answer: str,
    is_kept: bool,
) -> None:
    someone = await citizen(pool)
    address = f"{someone[-5:]}@example.net"
    office.answers[address] = answer
    await asked(pool, post, someone)
    assert await sending.once() == 1
    assert [bool(sealed) for sealed in await rows(pool, someone)] == [is_kept]
    assert await waiting(pool) == is_kept
    assert await sending.once() == 0  # not at once
    async with pool.connection() as conn:
        attempts = await conn.raw.fetchval("SELECT attempts FROM work.item WHERE step = $1", LETTER)
    assert attempts == (1 if is_kept else None)
    del office.answers[address]
    async with pool.transaction() as conn:
        await set_due(pool, conn)
    await sending.once()
    assert len(office.to(address)) == is_kept
    assert await waiting(pool) == 0


async def test_a_letter_dies_after_a_day_and_its_row_is_forgotten(
    pool: Pool, office: PostOffice, post: Letters, sending: Sending[Job, Outcome]
) -> None:
    someone = await citizen(pool)
    await asked(pool, post, someone)
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE notifications.letter SET expires_at = now() WHERE fiscal_code = $1", someone
        )
    await sending.once()
    assert office.to(f"{someone[-5:]}@example.net") == []
    assert await waiting(pool) == 0
    async with pool.transaction() as conn:
        assert await letters.forget_letters(conn) is False
    assert await rows(pool, someone) == []


async def test_a_letter_that_cannot_be_opened_holds_up_no_other(
    pool: Pool, office: PostOffice, post: Letters, sending: Sending[Job, Outcome]
) -> None:
    broken, fine = await citizen(pool), await citizen(pool)
    await asked(pool, post, broken)
    await asked(pool, post, fine)
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE notifications.letter SET sealed = (SELECT l.sealed FROM notifications.letter "
            "AS l WHERE l.fiscal_code = $2) WHERE fiscal_code = $1",
            broken,
            fine,
        )
    await sending.once()
    assert len(office.to(f"{fine[-5:]}@example.net")) == 1
    assert office.to(f"{broken[-5:]}@example.net") == []
    async with pool.transaction() as conn:
        await letters.erase(conn, broken, clock.now() + timedelta(seconds=1))
        await set_due(pool, conn)
    await sending.once()
    assert await waiting(pool) == 0


async def test_an_institution_hears_in_two_languages_that_its_webhook_was_stopped(
    pool: Pool, office: PostOffice, post: Letters, sending: Sending[Job, Outcome]
) -> None:
    async with pool.transaction() as conn:
        await post.queue_webhook_stopped(
            conn, INSTITUTION, "ufficio@example.it", "hooks.example.it\r\nBcc: x@y.it<b>", SINCE
        )
        await post.queue_webhook_stopped(conn, INSTITUTION, "no address", "x.example", SINCE)
    assert await sending.once() == 1
    (taken,) = office.to("ufficio@example.it")
    assert taken.mail["Subject"] == "Webhook fermo · Webhook stopped"
    assert taken.mail["Bcc"] is None
    for kind in ("plain", "html"):
        text = taken.text(kind)
        assert "Dal 4 luglio 2026" in text
        assert "Since 4 July 2026" in text
        assert "hooks.example.it" in text
    assert "<b>" not in taken.text("html")


async def test_a_dead_worker_loses_no_letter(
    pool: Pool, office: PostOffice, post: Letters, secrets: Secrets, sending: Sending[Job, Outcome]
) -> None:
    someone = await citizen(pool)
    await asked(pool, post, someone)
    step = letters.step(office.mailer, secrets, SETTINGS)
    bucket = pool.bucket(someone)
    async with pool.transaction() as conn:
        (job,) = await step.claim(conn, bucket, 8)
    async with pool.transaction() as conn:
        assert await step.claim(conn, bucket, 8) == []  # leased
        await set_due(pool, conn)  # the lease ends
    assert await sending.once() == 1
    # The first worker was only slow: its record changes nothing any more.
    async with pool.transaction() as conn:
        await step.record(conn, bucket, [(job, await step.send(job))])
    assert await waiting(pool) == 0
    assert work.LEASE.total_seconds() > 20
    first, second = office.to(f"{someone[-5:]}@example.net")
    assert first.mail["Message-ID"] == second.mail["Message-ID"]
