"""What a citizen lets one service do: read with the defaults, and changed by the contract's rules."""

from dataclasses import dataclass
from typing import Literal

from messo.base.db import Connection, Row
from messo.base.http import Problem
from messo.recipients import feed
from messo.recipients.change import plan_reminders
from messo.recipients.history import Note, note
from messo.recipients.preferences import Preference, put_preferences
from messo.recipients.profile import lock_enrolled, not_enrolled, queries


@dataclass(frozen=True)
class ServiceChoice:
    """One citizen's switches for one service, under one settings version of their profile."""

    is_inbox_enabled: bool
    is_email_enabled: bool
    is_webhook_enabled: bool
    can_access_message_read_status: bool
    settings_version: int


async def read_choice(conn: Connection, fiscal_code: str, service_id: str) -> ServiceChoice:
    """The choice in force, chosen or by the mode (contract §3.3).

    The inbox of a SPECIAL service is open exactly while it is activated. `Problem` 404 without a
    profile or service, 409 in LEGACY mode.
    """
    return _in_force(await _look(conn, fiscal_code, service_id))


async def put_choice(
    conn: Connection,
    fiscal_code: str,
    service_id: str,
    choice: ServiceChoice,
    *,
    read_status_given: bool = True,
) -> ServiceChoice:
    """Store a choice; what is in force now.

    `read_status_given`: False where the citizen's client said nothing about the read status.
    `Problem`, in this order: 404 without a profile or service; 409 in LEGACY mode, for another
    settings version than the profile's, for a SPECIAL service whose inbox is not its activation;
    400 for a closed inbox that shares what is read.
    """
    profile = await lock_enrolled(conn, fiscal_code)
    row = await _look(conn, fiscal_code, service_id)
    before = _in_force(row)
    if choice.settings_version != before.settings_version:
        raise _conflict(
            f"Your settings are at version {before.settings_version}: the mode changed meanwhile. "
            "Read them again.",
            "settings_version",
        )
    special = row["category"] == "SPECIAL"
    if special and choice.is_inbox_enabled != before.is_inbox_enabled:
        raise _conflict(
            "The service itself switches this inbox on and off, when you activate it there.",
            "is_inbox_enabled",
        )
    shares = choice.can_access_message_read_status and read_status_given
    if shares and not choice.is_inbox_enabled:
        raise Problem(
            400,
            "Bad request",
            "Without messages there is nothing to tell about reading them: send "
            "can_access_message_read_status false when is_inbox_enabled is false.",
            field="can_access_message_read_status",
        )
    access: Literal["UNKNOWN", "ALLOW", "DENY"] = "ALLOW" if shares else "DENY"
    await put_preferences(
        conn,
        [
            Preference(
                fiscal_code,
                service_id,
                choice.settings_version,
                choice.is_inbox_enabled,
                choice.is_email_enabled,
                choice.is_webhook_enabled,
                access if read_status_given else "UNKNOWN",
            )
        ],
    )
    first = row["is_inbox_enabled"] is None
    if not special and (first or row["is_inbox_enabled"] != choice.is_inbox_enabled):
        await feed.enter_services(conn, fiscal_code, {service_id: choice.is_inbox_enabled})
    after = _in_force(await _look(conn, fiscal_code, service_id))
    changed = {k: (vars(before)[k], v) for k, v in vars(after).items() if vars(before)[k] != v}
    if changed:
        await note(conn, fiscal_code, [Note("service", changed, service_id)])
        await plan_reminders(conn, profile)
    return after


async def count_choices(conn: Connection, fiscal_code: str) -> int:
    """For how many services a citizen has chosen since their mode last changed."""
    return int(
        await conn.value(
            queries.count_choices, bucket=conn.bucket(fiscal_code), fiscal_code=fiscal_code
        )
    )


async def _look(conn: Connection, fiscal_code: str, service_id: str) -> Row:
    row = await conn.row(
        queries.read_choice,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        service_id=service_id,
    )
    if row is None:
        raise Problem(404, "Not found", "There is no such service.", field="service_id")
    if row["mode"] is None:
        raise not_enrolled()
    if row["mode"] == "LEGACY":
        raise _conflict(
            "Choose first, in your profile, how services are let in: AUTO or MANUAL.",
            "service_preferences_settings.mode",
        )
    return row


def _in_force(row: Row) -> ServiceChoice:
    if row["is_inbox_enabled"] is None:
        inbox = email = webhook = access = row["mode"] == "AUTO"
    else:
        inbox, email = row["is_inbox_enabled"], row["is_email_enabled"]
        webhook = row["is_webhook_enabled"]
        access = row["access_read_message_status"] != "DENY"
    if row["category"] == "SPECIAL":
        inbox = row["activation"] == "ACTIVE"
    return ServiceChoice(inbox, email, webhook, access, row["settings_version"])


def _conflict(detail: str, field: str) -> Problem:
    return Problem(409, "Conflict", detail, field=field)
