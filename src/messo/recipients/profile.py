"""Profiles: who is enrolled, and how each wants to be reached."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from messo.base import clock
from messo.base.db import Connection, Row
from messo.base.http import Problem
from messo.base.sql import Queries
from messo.recipients.wire import Language

queries = Queries("messo.recipients")

Mode = Literal["AUTO", "MANUAL", "LEGACY"]
SPOKEN: tuple[Literal["it", "en"], ...] = ("it", "en")


@dataclass(frozen=True)
class Profile:
    """One citizen's profile, as stored.

    `settings_version` is -1 in LEGACY mode and counts up from 0 with each change of mode: the
    preferences of an older version are never used again. `quiet_from` and `quiet_until` are minutes of
    Rome's day between which there are no reminders, both or none. `blocked` maps a service id to INBOX,
    EMAIL or WEBHOOK and means something in LEGACY mode only.
    """

    fiscal_code: str
    mode: Mode = "LEGACY"
    settings_version: int = -1
    version: int = 0
    is_inbox_enabled: bool = False
    is_webhook_enabled: bool = False
    is_email_enabled: bool = False
    is_email_validated: bool = False
    email: str | None = None
    is_test_profile: bool = False
    accepted_tos_version: float | None = None
    blocked: dict[str, list[str]] = field(default_factory=dict)
    preferred_languages: list[Language] | None = None
    last_app_version: str | None = None
    push_notifications_content_type: Literal["FULL", "ANONYMOUS"] | None = None
    reminder_status: Literal["ENABLED", "DISABLED"] | None = None
    quiet_from: int | None = None
    quiet_until: int | None = None


async def create_profiles(conn: Connection, profiles: Sequence[Profile]) -> int:
    """Enrol citizens; how many were new. Who is enrolled already is left as they are."""
    created = await conn.run(
        queries.create_profiles,
        buckets=[conn.bucket(profile.fiscal_code) for profile in profiles],
        profiles=msgspec.json.encode(profiles).decode(),
        now=clock.now(),
    )
    owners = [p for p in profiles if p.is_email_validated and p.email]
    if owners:
        await conn.run(
            queries.own_emails,
            buckets=[conn.bucket((owner.email or "").lower()) for owner in owners],
            emails=[owner.email for owner in owners],
            citizen_buckets=[conn.bucket(owner.fiscal_code) for owner in owners],
            fiscal_codes=[owner.fiscal_code for owner in owners],
        )
    return created


async def read_profile(conn: Connection, fiscal_code: str) -> Profile | None:
    """One citizen's profile, or None if they are not enrolled."""
    row = await conn.row(
        queries.read_profile, bucket=conn.bucket(fiscal_code), fiscal_code=fiscal_code
    )
    return None if row is None else _profile(row)


async def lock_profile(conn: Connection, fiscal_code: str) -> Profile | None:
    """The same, and nobody else changes it before this transaction ends.

    Whoever changes anything of a citizen takes this lock first: two devices then come one after
    the other, and never wait for each other in a circle.
    """
    row = await conn.row(
        queries.lock_profile, bucket=conn.bucket(fiscal_code), fiscal_code=fiscal_code
    )
    return None if row is None else _profile(row)


async def lock_enrolled(conn: Connection, fiscal_code: str) -> Profile:
    """The same; `Problem` 404 if there is no such profile."""
    found = await lock_profile(conn, fiscal_code)
    if found is None:
        raise not_enrolled()
    return found


def language_of_browser(accept_language: str) -> Literal["it", "en"]:
    """What a browser asks for (RFC 9110, section 12.5.4), by order alone; Italian otherwise."""
    for part in accept_language[:200].lower().split(","):
        for language in SPOKEN:
            if part.strip().startswith(language):
                return language
    return "it"


def language_of(preferred: Sequence[str] | None) -> Literal["it", "en"] | None:
    """The first preferred language that we speak; None where there is none."""
    for locale in preferred or ():
        for language in SPOKEN:
            if locale.startswith(language):
                return language
    return None


def not_enrolled() -> Problem:
    """What is answered where there is no profile."""
    return Problem(404, "Not found", "There is no profile for you here. Log in again to have one.")


def _profile(row: Row) -> Profile:
    return msgspec.convert(
        {**row, "blocked": msgspec.json.decode(row["blocked"])}, Profile, strict=False
    )


async def count_enrolled(conn: Connection) -> bool:
    """Count the citizens with an open inbox; the mass guard's share refers to them.

    False: as a periodic step it is done in one go.
    """
    await conn.run(queries.count_enrolled, now=clock.now())
    return False


async def enrolled(conn: Connection) -> int:
    """How many citizens had an open inbox when they were last counted."""
    return int(await conn.value(queries.read_census) or 0)
