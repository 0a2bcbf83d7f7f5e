"""The decision: the contract's table, and the SQL functions against the pure one, row by row."""

import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from typing import Any, NamedTuple

import pytest

from messo.base import clock
from messo.base.db import Pool
from messo.messages.decide import PENDING_GRACE, Decision, Sending, decide
from messo.messages.process import process
from messo.messages.submit import Accept
from messo.messages.wire import Content, NewMessage
from messo.recipients.preferences import Activation, Preference, put_activations, put_preferences
from messo.recipients.profile import Profile, create_profiles
from messo.sandbox.fiscal_codes import make
from messo.services import Directory, Sender
from tests.world import World

SERVICE = "01JSERVICE"
CITIZEN = make("TSTDCD80A01Y001")
MINUTE = timedelta(minutes=1)
BITS = (False, True)


def profile(mode: Any = "AUTO", *, blocked: tuple[str, ...] = (), **more: Any) -> Profile:
    values: dict[str, Any] = {
        "is_inbox_enabled": True,
        "is_webhook_enabled": True,
        "is_email_enabled": True,
        "is_email_validated": True,
        "email": "citizen@example.org",
        "settings_version": -1 if mode == "LEGACY" else 0,
        "blocked": {SERVICE: list(blocked)} if blocked else {},
        **more,
    }
    return Profile(CITIZEN, mode, **values)


def choice(inbox: int, email: int, push: int, access: Any = "UNKNOWN") -> Preference:
    return Preference(CITIZEN, SERVICE, 0, bool(inbox), bool(email), bool(push), access)


def of(
    who: Profile | None,
    preference: Preference | None = None,
    activation: Any = None,
    age: timedelta | None = MINUTE,
    **sending: Any,
) -> Decision:
    status = Activation(CITIZEN, SERVICE, activation) if activation else None
    return decide(Sending(SERVICE, **sending), who, preference, status, age if status else None)


REFUSED = Decision("SERVICE_NOT_ALLOWED")

# Contract 4.1, by the number of the row.
INBOX_TABLE = [
    ("1", of(None), "USER_NOT_FOUND"),
    ("1 special", of(None, activation="ACTIVE", category="SPECIAL"), "USER_NOT_FOUND"),
    ("2", of(profile(is_inbox_enabled=False)), "SERVICE_NOT_ALLOWED"),
    ("2 chosen", of(profile(is_inbox_enabled=False), choice(1, 1, 1)), "SERVICE_NOT_ALLOWED"),
    (
        "2 special",
        of(profile(is_inbox_enabled=False), activation="ACTIVE", category="SPECIAL"),
        "SERVICE_NOT_ALLOWED",
    ),
    ("3 nothing blocked", of(profile("LEGACY")), None),
    ("3 inbox blocked", of(profile("LEGACY", blocked=("INBOX",))), "SERVICE_NOT_ALLOWED"),
    ("3 channels blocked", of(profile("LEGACY", blocked=("EMAIL", "WEBHOOK"))), None),
    ("3 another", of(Profile(CITIZEN, is_inbox_enabled=True, blocked={"X": ["INBOX"]})), None),
    ("4", of(profile("AUTO")), None),
    ("5", of(profile("MANUAL")), "SERVICE_NOT_ALLOWED"),
    ("6 auto, in", of(profile("AUTO"), choice(1, 0, 0)), None),
    ("6 auto, out", of(profile("AUTO"), choice(0, 1, 1)), "SERVICE_NOT_ALLOWED"),
    ("6 manual, in", of(profile("MANUAL"), choice(1, 0, 0)), None),
    ("6 manual, out", of(profile("MANUAL"), choice(0, 1, 1)), "SERVICE_NOT_ALLOWED"),
    ("7 active", of(profile("MANUAL"), activation="ACTIVE", category="SPECIAL"), None),
    ("7 out", of(profile(), choice(0, 1, 1), activation="ACTIVE", category="SPECIAL"), None),
    (
        "7 legacy",
        of(profile("LEGACY", blocked=("INBOX",)), activation="ACTIVE", category="SPECIAL"),
        None,
    ),
    ("7 pending", of(profile(), activation="PENDING", category="SPECIAL"), None),
    (
        "8 pending too long",
        of(profile(), activation="PENDING", age=PENDING_GRACE, category="SPECIAL"),
        "SERVICE_NOT_ALLOWED",
    ),
    (
        "8 inactive",
        of(profile(), choice(1, 1, 1), activation="INACTIVE", category="SPECIAL"),
        "SERVICE_NOT_ALLOWED",
    ),
    ("8 none", of(profile(), choice(1, 1, 1), category="SPECIAL"), "SERVICE_NOT_ALLOWED"),
]


@pytest.mark.parametrize(("row", "decided", "refusal"), INBOX_TABLE)
def test_inbox_table(row: str, decided: Decision, refusal: str | None) -> None:
    assert decided.refusal == refusal, row


# Contract 4.5, except that the per-service e-mail switch is honoured (design 8) and read access in
# MANUAL mode is never given unasked (docs/decisions/0004).
MATRIX = [
    ("LEGACY", of(profile("LEGACY")), Decision(None, True, True, False)),
    (
        "LEGACY, [EMAIL]",
        of(profile("LEGACY", blocked=("EMAIL",))),
        Decision(None, False, True, False),
    ),
    (
        "LEGACY, [WEBHOOK]",
        of(profile("LEGACY", blocked=("WEBHOOK",))),
        Decision(None, True, False, False),
    ),
    ("LEGACY, [INBOX]", of(profile("LEGACY", blocked=("INBOX",))), REFUSED),
    ("AUTO, none", of(profile()), Decision(None, True, True, True)),
    *[
        (
            f"{mode} {email}{push} {access}",
            of(profile(mode), choice(1, email, push, access)),
            wanted,
        )
        for mode in ("AUTO", "MANUAL")
        for email, push in ((0, 1), (1, 0), (1, 1), (0, 0))
        for access in ("UNKNOWN", "ALLOW", "DENY")
        for wanted in [Decision(None, bool(email), bool(push), access != "DENY")]
    ],
    ("AUTO, inbox 0", of(profile(), choice(0, 1, 1)), REFUSED),
    ("MANUAL, inbox 0", of(profile("MANUAL"), choice(0, 1, 1)), REFUSED),
    ("MANUAL, none", of(profile("MANUAL")), REFUSED),
    ("secure", of(profile(), secure=True), Decision(None, False, True, True)),
    (
        "MANUAL, none, SPECIAL",
        of(profile("MANUAL"), activation="ACTIVE", category="SPECIAL"),
        Decision(None, True, True, False),
    ),
    # Contract 4.2 and 4.3.
    ("e-mail off", of(profile(is_email_enabled=False)), Decision(None, False, True, True)),
    ("not validated", of(profile(is_email_validated=False)), Decision(None, False, True, True)),
    ("no address", of(profile(email=None)), Decision(None, False, True, True)),
    ("excluded", of(profile(), email_excluded=True), Decision(None, False, True, True)),
    ("push off", of(profile(is_webhook_enabled=False)), Decision(None, True, False, True)),
    ("sandbox", of(profile(email=None), to_sandbox=True), Decision(None, True, True, True)),
    (
        "sandbox, secure",
        of(profile(), to_sandbox=True, secure=True),
        Decision(None, False, True, True),
    ),
    (
        "sandbox, excluded",
        of(profile(), to_sandbox=True, email_excluded=True),
        Decision(None, False, True, True),
    ),
]


@pytest.mark.parametrize(("row", "decided", "wanted"), MATRIX)
def test_matrix(row: str, decided: Decision, wanted: Decision) -> None:
    assert decided == wanted, row


class Case(NamedTuple):
    """One row of the whole table."""

    sending: Sending
    profile: Profile | None
    preference: Preference | None
    activation: Activation | None
    age: timedelta | None


def kinds_of_citizen() -> Iterator[tuple[Any, dict[str, list[str]], Preference | None]]:
    """Mode, blocked map and preference: every combination that can be stored."""
    for inbox, email, push in product(BITS, BITS, BITS):
        named = zip(("INBOX", "EMAIL", "WEBHOOK"), (inbox, email, push), strict=True)
        yield "LEGACY", {SERVICE: [channel for channel, on in named if on]}, None
    yield "LEGACY", {}, None
    yield "LEGACY", {"another": ["INBOX", "EMAIL", "WEBHOOK"]}, None
    for mode in ("AUTO", "MANUAL"):
        yield mode, {}, None
        yield mode, {SERVICE: ["INBOX", "EMAIL", "WEBHOOK"]}, None  # means nothing in these modes
        for inbox, email, push in product(BITS, BITS, BITS):
            for access in ("UNKNOWN", "ALLOW", "DENY"):
                yield mode, {}, choice(inbox, email, push, access)


ACTIVATIONS: list[tuple[Any, timedelta | None]] = [
    (None, None),
    ("ACTIVE", MINUTE),
    ("ACTIVE", PENDING_GRACE * 2),
    ("INACTIVE", MINUTE),
    ("PENDING", MINUTE),
    ("PENDING", PENDING_GRACE - MINUTE),
    ("PENDING", PENDING_GRACE + MINUTE),
]


def whole_table() -> Iterator[Case]:
    sendings = [
        Sending(SERVICE, category, secure, sandbox, excluded)  # type: ignore[arg-type]
        for category, secure, sandbox, excluded in product(
            ("STANDARD", "SPECIAL"), BITS, BITS, BITS
        )
    ]
    activated = [
        (Activation(CITIZEN, SERVICE, status) if status else None, age)
        for status, age in ACTIVATIONS
    ]
    for sending, (activation, age) in product(sendings, activated):
        yield Case(sending, None, None, activation, age)
    for mode, blocked, preference in kinds_of_citizen():
        for inbox, push, email, validated, address in product(BITS, BITS, BITS, BITS, BITS):
            who = profile(
                mode,
                is_inbox_enabled=inbox,
                is_webhook_enabled=push,
                is_email_enabled=email,
                is_email_validated=validated,
                email="citizen@example.org" if address else None,
            )
            who = Profile(**{**who.__dict__, "blocked": blocked})
            for sending, (activation, age) in product(sendings, activated):
                yield Case(sending, who, preference, activation, age)


TWIN = """
SELECT
    messages.refusal(u.enrolled, u.inbox, u.mode, u.blocked -> 'SERVICE' ? 'INBOX', u.f_inbox,
        u.category, u.activation, u.fresh),
    messages.by_email(u.email, u.validated, u.address,
        messages.channel_open(u.mode, u.blocked -> 'SERVICE' ? 'EMAIL', u.f_email),
        u.excluded, u.secure, u.sandbox),
    messages.by_push(u.push,
        messages.channel_open(u.mode, u.blocked -> 'SERVICE' ? 'WEBHOOK', u.f_push)),
    messages.read_shared(u.mode, u.access)
FROM unnest($1::boolean[], $2::boolean[], $3::text[], $4::jsonb[], $5::boolean[], $6::boolean[],
    $7::boolean[], $8::text[], $9::text[], $10::text[], $11::boolean[], $12::boolean[],
    $13::boolean[], $14::boolean[], $15::boolean[], $16::boolean[], $17::boolean[],
    $18::boolean[])
WITH ORDINALITY AS u (enrolled, inbox, mode, blocked, f_inbox, f_email, f_push, access, category,
    activation, fresh, email, validated, address, push, excluded, secure, sandbox, position)
ORDER BY u.position
""".replace("SERVICE", SERVICE)


def as_row(case: Case) -> tuple[Any, ...]:
    """What the set statement reads of a case: nulls where a join finds nothing."""
    who, chosen, sending = case.profile, case.preference, case.sending
    return (
        who is not None,
        who and who.is_inbox_enabled,
        who and who.mode,
        json.dumps(who.blocked) if who else None,
        chosen and chosen.is_inbox_enabled,
        chosen and chosen.is_email_enabled,
        chosen and chosen.is_webhook_enabled,
        chosen and chosen.access_read_message_status,
        sending.category,
        case.activation and case.activation.status,
        None if case.age is None else case.age < PENDING_GRACE,
        who and who.is_email_enabled,
        who and who.is_email_validated,
        None if who is None else who.email is not None,
        who and who.is_webhook_enabled,
        sending.email_excluded,
        sending.secure,
        sending.to_sandbox,
    )


async def test_sql_functions_equal_the_pure_function_over_the_whole_table(pool: Pool) -> None:
    cases = list(whole_table())
    assert len(cases) > 100_000
    async with pool.connection() as conn:
        for start in range(0, len(cases), 20_000):
            part = cases[start : start + 20_000]
            columns = [list(column) for column in zip(*map(as_row, part), strict=True)]
            rows = await conn.raw.fetch(TWIN, *columns)
            assert len(rows) == len(part)
            for case, row in zip(part, rows, strict=True):
                refusal, by_email, by_push, shared = row
                found = Decision(refusal) if refusal else Decision(None, by_email, by_push, shared)
                assert found == decide(*case), case


async def test_set_statement_equals_the_pure_function_for_every_stored_citizen(
    pool: Pool, world: World
) -> None:
    """Real rows: profiles, preferences, activations, and the statement that decides."""
    directory = Directory(pool)
    accept = Accept(pool, 1, 10_000)
    accept.queue.start()
    wanted: dict[str, str | None] = {}
    profiles: list[Profile] = []
    preferences: list[Preference] = []
    activations: list[Activation] = []
    stale: list[str] = []
    sent: list[tuple[str, Sender]] = []
    callers = [
        (await sender_of(directory, world.anna.key), "STANDARD"),
        (await sender_of(directory, world.special.key), "SPECIAL"),
    ]
    number = 0
    citizens = [(None, None, None), *kinds_of_citizen()]
    for (mode, blocked, preference), inbox, (sender, category), (status, age) in product(
        citizens, BITS, callers, ACTIVATIONS
    ):
        if (
            preference
            and not preference.is_inbox_enabled
            and preference.access_read_message_status == "ALLOW"
        ):
            continue  # cannot be stored
        number += 1
        code = make(f"TSTDC{'ABCDEFGHIJ'[number // 1000]}80A01Y{number % 1000:03d}")
        service = sender.service_id
        who = chosen = None
        if mode is not None:
            named = {service if key == SERVICE else key: value for key, value in blocked.items()}
            who = Profile(
                **{
                    **profile(mode).__dict__,
                    "fiscal_code": code,
                    "is_inbox_enabled": inbox,
                    "blocked": named,
                }
            )
            profiles.append(who)
        if preference is not None:
            chosen = Preference(
                **{**preference.__dict__, "fiscal_code": code, "service_id": service}
            )
            preferences.append(chosen)
        active = None
        if status is not None:
            active = Activation(code, service, status)
            activations.append(active)
            if age is not None and age > PENDING_GRACE:
                stale.append(code)
        wanted[code] = decide(
            Sending(service, category),
            who,
            chosen,
            active,
            age,
        ).refusal
        sent.append((code, sender))

    async with pool.transaction() as conn:
        assert await create_profiles(conn, profiles) == len(profiles)
        assert await put_preferences(conn, preferences) == len(preferences)
        await put_activations(conn, activations)
        await conn.raw.execute(
            "UPDATE recipients.activation SET updated_at = $2 WHERE fiscal_code = ANY($1)",
            stale,
            clock.now() - PENDING_GRACE - MINUTE,
        )
    body = NewMessage(Content(subject="Un oggetto qualsiasi", markdown="Un testo lungo. " * 9))
    drafts = [accept.draft(sender, code, body, None, None) for code, sender in sent]
    for bucket in range(pool.buckets):
        mine = [draft for draft in drafts if pool.bucket(draft.fiscal_code) == bucket]
        for start in range(0, len(mine), 500):
            await accept._commit(bucket, mine[start : start + 500])
        async with pool.transaction() as conn:
            await process(conn, bucket, [draft.id for draft in mine])
    await accept.queue.close()

    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT fiscal_code, status, rejection_reason FROM messages.message"
        )
    assert len(rows) == len(wanted) > 1000
    for row in rows:
        refusal = wanted[row["fiscal_code"]]
        assert row["rejection_reason"] == refusal, row
        assert row["status"] == ("REJECTED" if refusal else "PROCESSED"), row


async def sender_of(directory: Directory, key: str) -> Sender:
    found = await directory.find(key)
    assert isinstance(found, Sender)
    return found
