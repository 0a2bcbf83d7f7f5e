"""The days on which this installation reminds: read, and changed within limits."""

import itertools
from collections.abc import Sequence

from messo.base.db import Connection
from messo.base.http import Problem
from messo.operations import record
from messo.reminders.facts import queries
from messo.reminders.rules import APART, Schedule

_MOST = 4  # of each kind, beside the last one: what citizens are promised
_LONGEST = 60  # days


async def read_schedule(conn: Connection) -> Schedule:
    """The days that are in force."""
    rows = await conn.rows(queries.read_schedules)
    return Schedule(**{row["kind"]: tuple(row["days"]) for row in rows})


async def change_days(conn: Connection, actor: str, kind: str, days: Sequence[int]) -> None:
    """Remind on other days. `Problem` 400 says what citizens would be promised in vain.

    Reminders that are planned already stay until a fact about them changes.
    """
    chosen = sorted(set(days), reverse=kind == "due")
    least = APART - 1 if kind == "due" else APART
    if kind not in Schedule.__slots__:
        raise Problem(400, "Bad request", "There are due, undated and unread.", field="kind")
    if len(chosen) > _MOST or any(not least <= day <= _LONGEST for day in chosen):
        raise Problem(
            400, "Bad request", f"At most {_MOST} days from {least} to {_LONGEST}.", field="days"
        )
    if any(abs(a - b) < APART for a, b in itertools.pairwise(chosen)):
        raise Problem(400, "Bad request", f"Days are at least {APART} apart.", field="days")
    await conn.run(queries.write_schedule, kind=kind, days=chosen)
    await record(conn, actor, "reminders.schedule", kind, days=chosen)
