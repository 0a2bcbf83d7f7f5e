"""Copies by e-mail: who gets one, asked again just before sending, and what became of it."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from itertools import count, product
from typing import Any

import pytest

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.base.outward import Sending
from messo.messages.decide import Sending as Sent
from messo.messages.decide import decide
from messo.notifications import deliver
from messo.notifications.channels.channel import Choice
from messo.notifications.channels.email.channel import Email
from messo.notifications.channels.email.suppression import suppressed, unsuppress
from messo.notifications.dispatch import Occasion, dispatch
from messo.recipients import Wishes, amend, choose_mode, read_profile
from messo.recipients.preferences import Activation, Preference, put_preferences
from messo.recipients.profile import Profile, create_profiles
from messo.reminders import not_any_more
from messo.sandbox.fiscal_codes import make
from tests.messages.test_decide import SERVICE, kinds_of_citizen
from tests.notifications.post_office import PostOffice, opened

NUMBERS = count(1)
NOBODY = make("TSTEML80A01Y000")
BITS = (False, True)
# Lets everybody's message in whatever the inbox switches say: only the copy is decided here.
ACTIVE = Activation(NOBODY, SERVICE, "ACTIVE")


@pytest.fixture(scope="module")
async def office() -> AsyncIterator[PostOffice]:
    async with opened() as office:
        yield office


@pytest.fixture
def email(office: PostOffice, secrets: Secrets) -> Email:
    return channel(office, secrets)


def channel(office: PostOffice | None, secrets: Secrets, **more: Any) -> Email:
    given: dict[str, Any] = {
        "sender": "Messo <no-reply@example.org>",
        "return_path": "",
        "public_url": "https://messo.example.org/",
        "sandbox_fiscal_code": NOBODY,
        "excluded_services": [],
        **more,
    }
    return Email(office.mailer if office else None, secrets, **given)


def person(**more: Any) -> Profile:
    """Who wants copies, and has proven an address of their own."""
    number = next(NUMBERS)
    values: dict[str, Any] = {
        "mode": "AUTO",
        "settings_version": 0,
        "is_inbox_enabled": True,
        "is_email_enabled": True,
        "is_email_validated": True,
        "email": f"Persona{number}@Example.net",
        **more,
    }
    return Profile(make(f"TST{'EFGHIJ'[number // 1000]}ML80A01Y{number % 1000:03}"), **values)


async def enrol(pool: Pool, *profiles: Profile) -> None:
    async with pool.transaction() as conn:
        assert await create_profiles(conn, profiles) == len(profiles)


async def store(
    pool: Pool,
    recipients: Sequence[str],
    *,
    secure: bool = False,
    user_email: str = "",
    category: str = "STANDARD",
) -> list[str]:
    """A message to each, as if it had been decided; their ids."""
    ids = [new_id() for _ in recipients]
    sender = 1_000 + len(user_email) + 100 * len(category)
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO messages.sender VALUES ($1, 'Biblioteca', 'Comune di Prova', "
            "'00000000001', '-', false, $2, $3) ON CONFLICT DO NOTHING",
            sender,
            category,
            user_email,
        )
        buckets = [pool.bucket(one) for one in recipients]
        await conn.raw.execute(
            "INSERT INTO messages.message (bucket, id, fiscal_code, service_id, sender_id, subject,"
            " status, feature_level_type, require_secure_channels, time_to_live, created_at,"
            " decided_at) SELECT u.b, u.i, u.f, $4, $5, 'La tua tessera è pronta', 'PROCESSED',"
            " 'STANDARD', $6, 3600, now(), now()"
            " FROM unnest($1::smallint[], $2::text[], $3::text[]) AS u (b, i, f)",
            buckets,
            ids,
            list(recipients),
            SERVICE,
            sender,
            secure,
        )
        await conn.raw.execute(
            "INSERT INTO messages.content SELECT u.b, u.i, 'Puoi ritirarla **quando vuoi**.', '{}'"
            " FROM unnest($1::smallint[], $2::text[]) AS u (b, i)",
            buckets,
            ids,
        )
    return ids


async def chosen(pool: Pool, email: Email, ids: Sequence[str]) -> dict[str, Choice]:
    found: list[Choice] = []
    async with pool.transaction() as conn:
        for bucket in range(pool.buckets):
            found += await email.choose(conn, bucket, ids)
    assert len({choice.message_id for choice in found}) == len(found)
    return {choice.message_id: choice for choice in found}


async def told(pool: Pool, email: Email, profile: Profile) -> tuple[str, Sending[Any, Any]]:
    """A message to somebody, its delivery queued; its id and the step that sends."""
    bucket = pool.bucket(profile.fiscal_code)
    (message_id,) = await store(pool, [profile.fiscal_code])
    async with pool.transaction() as conn:
        (await dispatch(conn, bucket, [Occasion(message_id)], [email]))()
    return message_id, Sending(deliver.step(email, not_any_more), pool, pool.buckets)


async def state_of(pool: Pool, message_id: str) -> str | None:
    async with pool.connection() as conn:
        state: str | None = await conn.raw.fetchval(
            "SELECT state FROM notifications.delivery WHERE message_id = $1", message_id
        )
    return state


async def test_who_gets_a_copy_is_the_decisions_over_the_whole_table(
    pool: Pool, office: PostOffice, secrets: Secrets
) -> None:
    """Contract 4.2 and 4.5, with the switch of each service honoured (design, section 8)."""
    people: list[tuple[Profile, Preference | None]] = []
    for mode, blocked, preference in kinds_of_citizen():
        if (
            preference
            and not preference.is_inbox_enabled
            and preference.access_read_message_status == "ALLOW"
        ):
            continue  # cannot be stored
        for wants, proven, known in product(BITS, BITS, BITS):
            who = person(
                mode=mode,
                settings_version=-1 if mode == "LEGACY" else 0,
                blocked=blocked,
                is_email_enabled=wants,
                is_email_validated=proven,
            )
            who = who if known else Profile(**{**vars(who), "email": None})
            own = preference and Preference(**{**vars(preference), "fiscal_code": who.fiscal_code})
            people.append((who, own))
    await enrol(pool, *(who for who, _ in people))
    async with pool.transaction() as conn:
        await put_preferences(conn, [own for _, own in people if own])
    everybody = [who.fiscal_code for who, _ in people]
    yes = no = 0
    for secure, excluded in product(BITS, BITS):
        ids = await store(
            pool, everybody, secure=secure, user_email="ufficio@example.it", category="SPECIAL"
        )
        email = channel(office, secrets, excluded_services=[SERVICE] if excluded else ["another"])
        found = await chosen(pool, email, ids)
        for message_id, (who, own) in zip(ids, people, strict=True):
            sending = Sent(SERVICE, "SPECIAL", secure=secure, email_excluded=excluded)
            decision = decide(sending, who, own, ACTIVE, None)
            assert (message_id in found) == decision.by_email, (who, own, secure, excluded)
            yes, no = yes + decision.by_email, no + (not decision.by_email)
            if decision.by_email:
                address = secrets.keyed_hash(f"email:{(who.email or '').lower()}")
                assert found[message_id].address == address
    assert min(yes, no) >= 30
    for (who, own), secure, excluded in product(people[::13], BITS, BITS):
        sandbox = channel(
            office,
            secrets,
            sandbox_fiscal_code=who.fiscal_code,
            excluded_services=[SERVICE] if excluded else [],
        )
        (message_id,) = await store(
            pool, [who.fiscal_code], secure=secure, user_email="ufficio@example.it"
        )
        found = await chosen(pool, sandbox, [message_id])
        sending = Sent(SERVICE, "SPECIAL", secure, to_sandbox=True, email_excluded=excluded)
        assert (message_id in found) == decide(sending, who, own, ACTIVE, None).by_email
        for choice in found.values():
            assert choice.address == secrets.keyed_hash("email:ufficio@example.it")


async def test_a_copy_speaks_the_citizens_language(pool: Pool, email: Email) -> None:
    wanted = {"it": None, "en": ["de_DE", "en_GB", "it_IT"]}
    for language, preferred in wanted.items():
        who = person(preferred_languages=preferred)
        await enrol(pool, who)
        ids = await store(pool, [who.fiscal_code])
        (choice,) = (await chosen(pool, email, ids)).values()
        assert (choice.language, choice.wording) == (language, "FULL")


async def test_only_what_is_in_the_inbox_is_copied(pool: Pool, email: Email) -> None:
    who = person()
    await enrol(pool, who)
    (message_id,) = await store(pool, [who.fiscal_code])
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE messages.message SET status = 'REJECTED' WHERE id = $1", message_id
        )
    assert await chosen(pool, email, [message_id, "01JUNKNOWN"]) == {}


async def test_without_a_mail_server_nobody_is_chosen(pool: Pool, secrets: Secrets) -> None:
    who = person()
    await enrol(pool, who)
    assert await chosen(pool, channel(None, secrets), await store(pool, [who.fiscal_code])) == {}


async def test_a_copy_arrives_with_the_way_to_the_message(
    pool: Pool, office: PostOffice, email: Email
) -> None:
    who = person()
    await enrol(pool, who)
    message_id, sending = await told(pool, email, who)

    assert await sending.once() == 1

    (taken,) = office.to(str(who.email))
    assert await state_of(pool, message_id) == "SENT"
    assert taken.sender == "no-reply@example.org"
    assert taken.mail["Subject"] == "La tua tessera è pronta"
    for kind in ("plain", "html"):
        assert f"https://messo.example.org/messages/{message_id}" in taken.text(kind)
        assert "Puoi ritirarla quando vuoi." in taken.text(kind)
    assert who.fiscal_code.encode() not in taken.raw.upper()
    assert await sending.once() == 0


async def test_bounces_come_back_to_the_return_path_of_the_delivery(
    pool: Pool, office: PostOffice, secrets: Secrets
) -> None:
    who = person()
    await enrol(pool, who)
    email = channel(office, secrets, return_path="bounce@example.org")
    _, sending = await told(pool, email, who)
    await sending.once()
    (taken,) = office.to(str(who.email))
    assert taken.sender != "bounce@example.org"
    assert taken.sender.startswith("bounce")
    assert taken.sender.endswith("@example.org")


@pytest.mark.parametrize(
    "wrong", [{"sender": "Messo"}, {"return_path": "x"}, {"return_path": f"{'a' * 40}@example.org"}]
)
def test_a_setting_that_is_no_address_is_refused_at_the_start(
    secrets: Secrets, wrong: dict[str, str]
) -> None:
    with pytest.raises(ValueError):
        channel(None, secrets, **wrong)


async def stop_all(pool: Pool, who: Profile) -> None:
    async with pool.transaction() as conn:
        await amend(conn, who.fiscal_code, Wishes(is_email_enabled=False))


async def stop_service(pool: Pool, who: Profile) -> None:
    async with pool.transaction() as conn:
        await put_preferences(
            conn, [Preference(who.fiscal_code, SERVICE, 0, is_email_enabled=False)]
        )


async def close_inbox(pool: Pool, who: Profile) -> None:
    async with pool.transaction() as conn:
        await amend(conn, who.fiscal_code, Wishes(is_inbox_enabled=False))


async def close_service(pool: Pool, who: Profile) -> None:
    async with pool.transaction() as conn:
        await put_preferences(
            conn, [Preference(who.fiscal_code, SERVICE, 0, is_inbox_enabled=False)]
        )


async def let_nobody_in_by_default(pool: Pool, who: Profile) -> None:
    async with pool.transaction() as conn:
        await choose_mode(conn, who.fiscal_code, "MANUAL")


async def move(pool: Pool, who: Profile) -> None:
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE recipients.profile SET email = 'new-' || email WHERE fiscal_code = $1",
            who.fiscal_code,
        )


async def bounce(pool: Pool, who: Profile) -> None:
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO notifications.suppression (bucket, fiscal_code, channel, address, reason,"
            " at) SELECT m.bucket, m.fiscal_code, d.channel, d.address, '5.1.1', now()"
            " FROM notifications.delivery AS d INNER JOIN messages.message AS m"
            " ON m.id = d.message_id WHERE m.fiscal_code = $1",
            who.fiscal_code,
        )


@pytest.mark.parametrize(
    "change",
    [stop_all, stop_service, close_inbox, close_service, let_nobody_in_by_default, move, bounce],
)
async def test_who_has_changed_their_mind_gets_no_copy_any_more(
    pool: Pool, office: PostOffice, email: Email, change: Any
) -> None:
    who = person()
    await enrol(pool, who)
    message_id, sending = await told(pool, email, who)
    await change(pool, who)
    assert await sending.once() == 1
    assert office.to(str(who.email)) == []
    assert office.to(f"new-{who.email}") == []
    assert await state_of(pool, message_id) == "STOPPED"


async def test_a_dead_address_is_switched_off_until_its_citizen_says_otherwise(
    pool: Pool, office: PostOffice, email: Email, secrets: Secrets
) -> None:
    who = person()
    await enrol(pool, who)
    office.answers[str(who.email)] = "550 5.1.1 no such mailbox"
    message_id, sending = await told(pool, email, who)
    await sending.once()
    assert await state_of(pool, message_id) == "FAILED"
    assert await chosen(pool, email, await store(pool, [who.fiscal_code])) == {}

    async with pool.transaction() as conn:
        profile = await read_profile(conn, who.fiscal_code)
        assert profile is not None
        found = await suppressed(conn, secrets, profile)
        assert found is not None
        assert found.reason == "550 5.1.1"
        elsewhere = Profile(**{**vars(profile), "email": "other@example.net"})
        assert await suppressed(conn, secrets, elsewhere) is None
        assert await suppressed(conn, secrets, Profile(**{**vars(profile), "email": None})) is None
        assert await unsuppress(conn, who.fiscal_code)
        assert not await unsuppress(conn, who.fiscal_code)
    assert len(await chosen(pool, email, await store(pool, [who.fiscal_code]))) == 1


@pytest.mark.parametrize(
    "answer", ["550 5.7.1 we do not like you", "552 5.2.2 mailbox full", "451 4.3.0 later"]
)
async def test_a_refusal_of_us_never_costs_the_citizen_their_address(
    pool: Pool, office: PostOffice, email: Email, answer: str
) -> None:
    who = person()
    await enrol(pool, who)
    office.answers[str(who.email)] = answer
    message_id, sending = await told(pool, email, who)
    await sending.once()
    assert await state_of(pool, message_id) == "THROTTLED"
    assert len(await chosen(pool, email, await store(pool, [who.fiscal_code]))) == 1
    async with pool.connection() as conn:
        left = await conn.raw.fetchval(
            "SELECT count(*) FROM notifications.suppression WHERE fiscal_code = $1", who.fiscal_code
        )
    assert left == 0


async def test_a_second_try_is_the_same_mail_to_a_mailbox(
    pool: Pool, office: PostOffice, email: Email
) -> None:
    who = person()
    await enrol(pool, who)
    await told(pool, email, who)
    step = deliver.step(email, not_any_more)
    async with pool.transaction() as conn:
        jobs = await step.claim(conn, pool.bucket(who.fiscal_code), 32)
    (job,) = [one for one in jobs if one.delivery and one.delivery.fiscal_code == who.fiscal_code]
    for _ in range(2):
        await step.send(job)
    first, second = office.to(str(who.email))
    assert first.mail["Message-ID"] == second.mail["Message-ID"]


async def test_erasing_a_citizen_forgets_their_dead_addresses(
    pool: Pool, email: Email, secrets: Secrets
) -> None:
    who = person()
    await enrol(pool, who)
    await told(pool, email, who)
    await bounce(pool, who)
    async with pool.transaction() as conn:
        await email.erase(conn, who.fiscal_code, clock.now() + timedelta(seconds=1))
        assert await suppressed(conn, secrets, who) is None


async def test_without_a_relay_it_is_tried_again_and_a_dead_one_is_not_the_citizens_fault(
    pool: Pool, secrets: Secrets
) -> None:
    who = person()
    async with opened() as closed:
        email = channel(closed, secrets)
    await enrol(pool, who)
    message_id, sending = await told(pool, email, who)
    await sending.once()
    assert await state_of(pool, message_id) in {"THROTTLED", "QUEUED"}
