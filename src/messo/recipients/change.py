"""A profile changes: the row, what hangs on it, the feed and the history, in one transaction."""

from dataclasses import replace
from datetime import timedelta

import msgspec

from messo.base import clock, work
from messo.base.db import Connection
from messo.recipients import feed
from messo.recipients.history import Note, note
from messo.recipients.profile import Profile, queries

# What a citizen decides. An application's version is no decision; settings versions are ours.
_TOLD = (
    "accepted_tos_version",
    "mode",
    "is_inbox_enabled",
    "is_webhook_enabled",
    "is_email_enabled",
    "email",
    "is_email_validated",
    "preferred_languages",
    "reminder_status",
    "push_notifications_content_type",
    "quiet_from",
    "quiet_until",
    "blocked",
)
# What reminders depend on, beside the choices for single services.
_REMINDS = (
    *("reminder_status", "is_webhook_enabled", "is_inbox_enabled", "mode"),
    *("blocked", "quiet_from", "quiet_until"),
)
_REPLAN = "reminders.replan"


async def change_profile(conn: Connection, old: Profile, wanted: Profile) -> Profile:
    """Store `wanted` in place of `old`, whose lock is held; what is stored then.

    The version counts up. What follows from the contract (§2.4) follows here, for whoever asks:
    another address is not proven, another mode starts a settings version, the first acceptance
    of the terms opens inbox and push, and only LEGACY profiles have a list of what is blocked.
    """
    new = _settled(old, wanted)
    bucket, fiscal_code = conn.bucket(old.fiscal_code), old.fiscal_code
    if (old.mode, new.mode) == ("LEGACY", "AUTO"):
        await conn.run(
            queries.keep_what_was_blocked, bucket=bucket, fiscal_code=fiscal_code, now=clock.now()
        )
    await conn.run(
        queries.write_profile,
        bucket=bucket,
        fiscal_code=fiscal_code,
        profile=msgspec.json.encode(new).decode(),
        now=clock.now(),
    )
    if old.email and old.is_email_validated and not new.is_email_validated:
        address = old.email.lower()
        await conn.run(
            queries.release_email,
            bucket=conn.bucket(address),
            email=address,
            fiscal_code=fiscal_code,
        )
    await feed.enter_change(conn, old, new)
    changed = [
        Note(name, {name: (getattr(old, name), getattr(new, name))})
        for name in _TOLD
        if getattr(old, name) != getattr(new, name)
    ]
    await note(conn, fiscal_code, changed)
    if any(getattr(old, name) != getattr(new, name) for name in _REMINDS):
        await plan_reminders(conn, old, new)
    return new


async def plan_reminders(conn: Connection, *profiles: Profile) -> None:
    """Have a citizen's reminders planned anew, for they have chosen otherwise.

    Nothing for who wants none in any of these states of their profile.
    """
    if all(profile.reminder_status != "ENABLED" for profile in profiles):
        return
    fiscal_code = profiles[0].fiscal_code
    lanes = [work.lane_of(fiscal_code)]
    # Once more a little later: a message that is being decided at this moment, by the old wishes, is
    # not among theirs yet.
    later = clock.now() + timedelta(minutes=2)
    await work.queue(conn, conn.bucket(fiscal_code), _REPLAN, [fiscal_code], lanes, later)
    await work.queue(conn, conn.bucket(fiscal_code), _REPLAN, [fiscal_code], lanes, clock.now())


def _settled(old: Profile, wanted: Profile) -> Profile:
    new = replace(wanted, version=old.version + 1)
    if new.email != old.email:
        new = replace(new, is_email_validated=False)
    if new.mode != old.mode:
        new = replace(new, settings_version=old.settings_version + 1)
    if old.accepted_tos_version is None and new.accepted_tos_version is not None:
        new = replace(new, is_inbox_enabled=True, is_webhook_enabled=True)
    if new.mode != "LEGACY":
        new = replace(new, blocked={})
    return new
