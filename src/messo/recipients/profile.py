"""Profiles: who is enrolled, and how each wants to be reached."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from messo.base import clock
from messo.base.db import Connection
from messo.base.sql import Queries

queries = Queries("messo.recipients")

Mode = Literal["AUTO", "MANUAL", "LEGACY"]


@dataclass(frozen=True)
class Profile:
    """One citizen's profile, as stored.

    `settings_version` is -1 in LEGACY mode and counts up from 0 with each change of mode: the
    preferences of an older version are never used again. `blocked` maps a service id to INBOX,
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
    preferred_languages: list[str] | None = None
    last_app_version: str | None = None
    push_notifications_content_type: Literal["FULL", "ANONYMOUS"] | None = None
    reminder_status: Literal["ENABLED", "DISABLED"] | None = None


async def create_profiles(conn: Connection, profiles: Sequence[Profile]) -> int:
    """Enrol citizens; how many were new. Who is enrolled already is left as they are."""
    now = clock.now()
    return await conn.run(
        queries.create_profiles,
        buckets=[conn.bucket(profile.fiscal_code) for profile in profiles],
        profiles=msgspec.json.encode(profiles).decode(),
        now=now,
    )


async def read_profile(conn: Connection, fiscal_code: str) -> Profile | None:
    """One citizen's profile, or None if they are not enrolled."""
    row = await conn.row(
        queries.read_profile, bucket=conn.bucket(fiscal_code), fiscal_code=fiscal_code
    )
    if row is None:
        return None
    return msgspec.convert(
        {**row, "blocked": msgspec.json.decode(row["blocked"])}, Profile, strict=False
    )


async def change_mode(conn: Connection, fiscal_code: str, mode: Mode) -> int | None:
    """Change how services are let in; the settings version then in force.

    A change of mode starts a new settings version, so what was chosen per service before is not
    seen any more. From LEGACY to AUTO what was blocked stays blocked, as preferences of the new
    version. None if there is no profile, or it would go back to LEGACY.
    """
    if mode == "AUTO":
        await conn.run(
            queries.keep_what_was_blocked,
            bucket=conn.bucket(fiscal_code),
            fiscal_code=fiscal_code,
            now=clock.now(),
        )
    return await conn.value(  # type: ignore[no-any-return]
        queries.change_mode,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        mode=mode,
        now=clock.now(),
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
