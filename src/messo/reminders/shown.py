"""What is planned about a message, what was sent, and why not: for its reader and its sender."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from messo.base import clock
from messo.base.db import Connection, Row
from messo.reminders.facts import queries, read_facts
from messo.reminders.plan import subject_of
from messo.reminders.rules import Kind, Reason, day_of

# `sending`: under way to a device. `nowhere`: the citizen has no device that could show it.
Outcome = Literal["planned", "sending", "sent", "nowhere", "failed", "dropped"]
_OUTCOMES: dict[str, Outcome] = {
    "SENT": "sent",
    "QUEUED": "sending",
    "THROTTLED": "sending",
    "EXPIRED": "failed",
    "FAILED": "failed",
    "STOPPED": "dropped",
}
_SOON = timedelta(minutes=10)  # after which what was handed over has reached its devices' queues
_BEST = list(_OUTCOMES)


@dataclass(frozen=True, slots=True)
class Shown:
    """One reminder. `at`: when it is planned for, or when it was sent; None where neither."""

    day: date
    kind: Kind
    outcome: Outcome
    at: datetime | None
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Explained:
    """All about one message. `why_not`: why there will be none from now on, if so.

    `is_notice`: they are about the notice, whatever other messages of the citizen carry it.
    """

    is_notice: bool
    reminders: list[Shown]
    why_not: Reason | None


async def explain(conn: Connection, fiscal_code: str, message_id: str) -> Explained | None:
    """Of a message of this citizen; None if they have no such message in their inbox."""
    bucket = conn.bucket(fiscal_code)
    row = await conn.row(queries.subjects_of, bucket=bucket, ids=[message_id])
    if row is None or row["fiscal_code"] != fiscal_code:
        return None
    subject = subject_of(row)
    facts = (await read_facts(conn, bucket, [subject]))[subject]
    planned = await conn.rows(
        queries.reminders_of,
        bucket=bucket,
        fiscal_codes=[subject.fiscal_code],
        subjects=[subject.key],
    )
    told = await conn.rows(
        queries.told_of,
        bucket=bucket,
        message_ids=sorted({row["message_id"] for row in planned if row["message_id"]}),
    )
    shown = [_shown(row, told) for row in planned]
    return Explained(subject.is_notice, shown, facts.why_not(day_of(clock.now())))


def _shown(row: Row, told: Sequence[Row]) -> Shown:
    if row["state"] == "planned":
        return Shown(row["day"], row["kind"], "planned", row["due_at"], None)
    occasion = f"{row['kind']}:{row['day']}"
    is_recent = clock.now() - row["due_at"] < _SOON
    states = {
        one["state"]: one["state_at"]
        for one in told
        if (one["message_id"], one["occasion"]) == (row["message_id"], occasion)
    }
    best = min(states, key=_BEST.index, default=None)
    if row["state"] == "dropped" and best != "SENT":  # another device may have shown it before
        return Shown(row["day"], row["kind"], "dropped", None, row["reason"])
    if best is None:
        return Shown(row["day"], row["kind"], "sending" if is_recent else "nowhere", None, None)
    at = states[best] if best == "SENT" else None
    return Shown(row["day"], row["kind"], _OUTCOMES[best], at, None)
