"""What a citizen allows each service, and activations of SPECIAL services."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from messo.base import clock
from messo.base.db import Connection, Row
from messo.recipients.change import plan_reminders
from messo.recipients.profile import lock_profile, queries

Status = Literal["ACTIVE", "INACTIVE", "PENDING"]


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
    status: Status


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


async def put_activations(conn: Connection, activations: Sequence[Activation]) -> Sequence[int]:
    """Write activations; the version of each, which is 0 at first and counts up. No profile is needed."""
    rows = await conn.rows(
        queries.put_activations,
        buckets=[conn.bucket(a.fiscal_code) for a in activations],
        fiscal_codes=[a.fiscal_code for a in activations],
        service_ids=[a.service_id for a in activations],
        statuses=[a.status for a in activations],
        now=clock.now(),
    )
    versions = {(row["fiscal_code"], row["service_id"]): int(row["version"]) for row in rows}
    return [versions[a.fiscal_code, a.service_id] for a in activations]


async def activate(conn: Connection, activation: Activation) -> int:
    """Write what an institution says of one citizen, enrolled or not; the version it has now.

    Under the citizen's lock if there is a profile: whoever changes anything of a citizen takes it
    first. Who has none is safe by the row's key.
    """
    profile = await lock_profile(conn, activation.fiscal_code)
    (version,) = await put_activations(conn, [activation])
    if profile is not None:
        # Nobody is reminded of what would not be let in any more.
        await plan_reminders(conn, profile)
    return version


async def read_activation(conn: Connection, fiscal_code: str, service_id: str) -> Row | None:
    """`status` and `version`; None where the service never wrote one."""
    return await conn.row(
        queries.read_activation,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        service_id=service_id,
    )
