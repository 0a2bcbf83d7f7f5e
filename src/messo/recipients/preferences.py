"""What a citizen allows each service, and activations of SPECIAL services."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from messo.base import clock
from messo.base.db import Connection
from messo.recipients.profile import queries


@dataclass(frozen=True)
class Preference:
    """One citizen's choice for one service, under one settings version of their profile."""

    fiscal_code: str
    service_id: str
    settings_version: int
    is_inbox_enabled: bool = True
    is_email_enabled: bool = True
    is_webhook_enabled: bool = True
    access_read_message_status: Literal["UNKNOWN", "ALLOW", "DENY"] = "UNKNOWN"


@dataclass(frozen=True)
class Activation:
    """Whether one citizen has one SPECIAL service switched on."""

    fiscal_code: str
    service_id: str
    status: Literal["ACTIVE", "INACTIVE", "PENDING"]


async def put_preferences(conn: Connection, preferences: Sequence[Preference]) -> int:
    """Write choices, the last one wins; how many were written.

    One made under a settings version that is not the profile's is left out.
    """
    return await conn.run(
        queries.put_preferences,
        buckets=[conn.bucket(p.fiscal_code) for p in preferences],
        fiscal_codes=[p.fiscal_code for p in preferences],
        service_ids=[p.service_id for p in preferences],
        settings_versions=[p.settings_version for p in preferences],
        inbox=[p.is_inbox_enabled for p in preferences],
        email=[p.is_email_enabled for p in preferences],
        webhook=[p.is_webhook_enabled for p in preferences],
        access=[p.access_read_message_status for p in preferences],
        now=clock.now(),
    )


async def put_activations(conn: Connection, activations: Sequence[Activation]) -> int:
    """Write activations; each write counts the version up. No profile is needed."""
    return await conn.run(
        queries.put_activations,
        buckets=[conn.bucket(a.fiscal_code) for a in activations],
        fiscal_codes=[a.fiscal_code for a in activations],
        service_ids=[a.service_id for a in activations],
        statuses=[a.status for a in activations],
        now=clock.now(),
    )
