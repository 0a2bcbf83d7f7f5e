"""What a reminder depends on: the citizen's wishes, their message, and what the ledger says.

Read in the same way for planning, for handing over, right before sending, and for explaining.
"""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from messo.base import clock
from messo.base.buckets import short_hash
from messo.base.db import Connection, Row
from messo.base.sql import Queries
from messo.messages.decide import PENDING_GRACE
from messo.reminders.rules import Quiet, Reason

queries = Queries("messo.reminders")

_RPT_ID = 29  # characters; a message's id has 26
_STOPS: dict[str, Reason] = {"paid": "paid", "cancelled": "cancelled", "expired": "expired"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What somebody is reminded of: a notice (payee and number), or one message's id."""

    fiscal_code: str
    key: str

    @property
    def is_notice(self) -> bool:
        """Whether it is a notice."""
        return len(self.key) == _RPT_ID

    @property
    def payee(self) -> str:
        """Of a notice."""
        return self.key[:11]

    @property
    def number(self) -> str:
        """Of a notice."""
        return self.key[11:]


@dataclass(frozen=True, slots=True)
class Message:
    """One message, and what its citizen wants now."""

    id: str
    fiscal_code: str
    service_id: str
    processed_at: datetime
    is_read: bool
    is_archived: bool
    has_consent: bool
    are_devices_on: bool
    is_service_on: bool
    is_inbox_open: bool
    quiet: Quiet | None

    def why_not(self, *, is_notice: bool) -> Reason | None:
        """Why its citizen must not be reminded of it; a notice is reminded of, read or not."""
        if not self.has_consent:
            return "consent"
        if not self.are_devices_on:
            return "devices_off"
        if not self.is_inbox_open:
            return "inbox_closed"
        if not self.is_service_on:
            return "service_off"
        if self.is_archived:
            return "archived"
        return "read" if self.is_read and not is_notice else None


@dataclass(frozen=True, slots=True)
class Notice:
    """What the ledger says of a notice, and which messages carry it, as far as one citizen goes."""

    state: str
    due: date | None
    is_seen: bool  # somebody has said something of it, beside the message
    observed_at: datetime
    message_ids: tuple[str, ...]

    def why_not(self, today: date) -> Reason | None:
        """Why nobody must be reminded of it."""
        if self.state in _STOPS:
            return _STOPS[self.state]
        return "past_due" if self.due is not None and self.due <= today else None


@dataclass(frozen=True)
class Facts:
    """All that is known about one subject. `messages`: the citizen's own, the oldest first.

    `until`: when a message without a notice is out of date.
    """

    subject: Subject
    messages: tuple[Message, ...]
    notice: Notice | None
    until: datetime | None = None

    @functools.cached_property
    def message(self) -> Message | None:
        """The one to tell of: the oldest of those that may be reminded of."""
        return next((one for one in self.messages if self.why_not_of(one) is None), None)

    def why_not(self, today: date) -> Reason | None:
        """Why the citizen must not be reminded today, None if they may be."""
        if not self.messages or (self.subject.is_notice and self.notice is None):
            return "gone"
        if self.notice is not None and (reason := self.notice.why_not(today)):
            return reason
        if self.until is not None and self.until <= clock.now():
            return "past_due"
        return None if self.message else self.why_not_of(self.messages[-1])

    def why_not_of(self, message: Message) -> Reason | None:
        """Why its citizen must not be reminded of this one message."""
        return message.why_not(is_notice=self.subject.is_notice)


async def read_facts(
    conn: Connection, bucket: int, subjects: Sequence[Subject]
) -> dict[Subject, Facts]:
    """The facts about each of these subjects, of citizens of one bucket; in two statements."""
    notices = await _notices(conn, bucket, [one for one in subjects if one.is_notice])
    ids = {one.key for one in subjects if not one.is_notice}
    ids.update(*(notice.message_ids for notice in notices.values()))
    found = await _messages(conn, bucket, ids)
    untils = await _untils(conn, bucket, [one.key for one in subjects if not one.is_notice])
    facts = {}
    for subject in subjects:
        notice = notices.get(subject)
        of = notice.message_ids if notice else (subject.key,)
        own = [
            found[one]
            for one in of
            if one in found and found[one].fiscal_code == subject.fiscal_code
        ]
        own.sort(key=lambda message: message.id)
        facts[subject] = Facts(subject, tuple(own), notice, untils.get(subject.key))
    return facts


async def _notices(
    conn: Connection, bucket: int, subjects: Sequence[Subject]
) -> dict[Subject, Notice]:
    if not subjects:
        return {}
    hashes = {subject: short_hash(subject.fiscal_code) for subject in subjects}
    rows = await conn.rows(
        queries.notices_with_carriers,
        message_bucket=bucket,
        buckets=[conn.bucket(subject.key) for subject in subjects],
        payees=[subject.payee for subject in subjects],
        numbers=[subject.number for subject in subjects],
        recipients=list(hashes.values()),
    )
    found = {
        (row["payee"] + row["number"], row["recipient"]): Notice(
            row["state"],
            row["due_date"],
            row["source"] != "message",
            row["observed_at"],
            tuple(row["message_ids"]),
        )
        for row in rows
    }
    return {
        subject: found[subject.key, short]
        for subject, short in hashes.items()
        if (subject.key, short) in found
    }


async def _untils(conn: Connection, bucket: int, message_ids: Sequence[str]) -> dict[str, datetime]:
    if not message_ids:
        return {}
    rows = await conn.rows(queries.due_dates_of, bucket=bucket, ids=message_ids)
    return {row["id"]: row["due_at"] for row in rows}


async def carriers_of(conn: Connection, bucket: int, subjects: Sequence[Subject]) -> set[str]:
    """Ids of all messages about these subjects; other citizens' may be among them."""
    notices = await _notices(conn, bucket, [one for one in subjects if one.is_notice])
    ids = {one.key for one in subjects if not one.is_notice}
    return ids.union(*(notice.message_ids for notice in notices.values()))


async def _messages(conn: Connection, bucket: int, ids: Iterable[str]) -> dict[str, Message]:
    rows = await conn.rows(
        queries.facts_of,
        bucket=bucket,
        ids=sorted(ids),
        fresh_after=clock.now() - PENDING_GRACE,
    )
    return {row["id"]: _message(row) for row in rows}


def _message(row: Row) -> Message:
    since, until = row["quiet_from"], row["quiet_until"]
    return Message(
        row["id"],
        row["fiscal_code"],
        row["service_id"],
        row["processed_at"],
        row["is_read"],
        row["is_archived"],
        row["has_consent"],
        row["are_devices_on"],
        row["is_service_on"],
        row["is_inbox_open"],
        None if since is None or until is None else Quiet(since, until),
    )
