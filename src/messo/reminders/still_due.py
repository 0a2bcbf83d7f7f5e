"""The last look, right before a reminder is sent: what must not be sent any more."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import cast

from messo.base import clock
from messo.base.db import Connection
from messo.reminders.facts import Facts, Subject, queries, read_facts
from messo.reminders.plan import subject_of
from messo.reminders.rules import Kind, Reason, day_of, fits, is_quiet

Told = tuple[str, str]  # a message's id and the occasion: kind and planned day


async def not_any_more(conn: Connection, bucket: int, about: Sequence[Told]) -> Collection[Told]:
    """Those of these reminders that must not be sent now, which are dropped by this."""
    ids = sorted({message_id for message_id, _ in about})
    rows = await conn.rows(queries.subjects_of, bucket=bucket, ids=ids)
    subjects = {row["id"]: subject_of(row) for row in rows}
    facts = await read_facts(conn, bucket, list(set(subjects.values())))
    stopped: dict[Told, tuple[Subject | None, Reason]] = {}
    for message_id, occasion in about:
        subject = subjects.get(message_id)
        reason: Reason | None = "gone"
        if subject is not None:
            reason = _why_not(facts[subject], message_id, occasion)
        if reason is not None:
            stopped[message_id, occasion] = (subject, reason)
    dropped = [
        (told, subject, reason)
        for told, (subject, reason) in stopped.items()
        if subject is not None
    ]
    if dropped:
        await conn.run(
            queries.drop_handed,
            bucket=bucket,
            fiscal_codes=[subject.fiscal_code for _, subject, _ in dropped],
            subjects=[subject.key for _, subject, _ in dropped],
            days=[parse(told[1])[1] for told, _, _ in dropped],
            kinds=[parse(told[1])[0] for told, _, _ in dropped],
            reasons=[reason for _, _, reason in dropped],
        )
    return stopped.keys()


def parse(occasion: str) -> tuple[Kind, date]:
    """The kind and the planned day that an occasion names."""
    kind, _, day = occasion.partition(":")
    return cast(Kind, kind), date.fromisoformat(day)


def _why_not(facts: Facts, message_id: str, occasion: str) -> Reason | None:
    kind, day = parse(occasion)
    now = clock.now()
    today = day_of(now)
    if reason := facts.why_not(today):
        return reason
    if facts.notice is not None:
        if facts.notice.state == "in_progress":
            return "in_progress"
        if not fits(kind, day, facts.notice.due):
            return "past_due"
    message = next((one for one in facts.messages if one.id == message_id), None)
    if message is None:
        return "gone"
    # Chosen since it was handed over; until when it may be sent was said by those of then.
    return "quiet_hours" if is_quiet(now, message.quiet) else facts.why_not_of(message)
