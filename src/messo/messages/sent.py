"""Messages that an institution has sent, for its people: lists that stay bounded, and one message.

Lists go from new to old by id (a ULID, so by time). What no index can find is looked for in a window
of so many messages a page; a page says back to when it has looked, and where the next one goes on.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from messo.base import clock
from messo.base.db import Connection, Row
from messo.base.ids import lowest_id, moment_of
from messo.base.wire import ULID
from messo.messages import wire
from messo.messages.status import read_status, stored_content
from messo.messages.submit import queries
from messo.services import Permission

Status = Literal["ACCEPTED", "THROTTLED", "PROCESSED", "REJECTED", "FAILED"]
Level = Literal["STANDARD", "ADVANCED"]
Rejection = Literal["USER_NOT_FOUND", "SERVICE_NOT_ALLOWED"]

MOST_SERVICES = 200  # in one list: whoever has more chooses among them
WINDOW = 5_000  # messages looked at for one page
_UNNARROWED = 2_000  # where each of them is wanted
_FEW = 8  # of each service and bucket at first, where these are many
_MOST_WORDS = 10
_ULID = re.compile(ULID)
_FIRST, _LAST = "", "~"  # below and above every id
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # ids are not older


@dataclass(frozen=True)
class Wanted:
    """What a list is narrowed to.

    `since` and `until`: days in Rome, both included. `words`: each must stand in the subject,
    whatever its letter case; `%` and `_` are themselves. `reference`: the whole of it.
    """

    service_id: str | None = None
    since: date | None = None
    until: date | None = None
    fiscal_code: str | None = None
    words: str | None = None
    reference: str | None = None
    status: Status | None = None


@dataclass(frozen=True)
class SentRow:
    """A line of the list. For people who may write there: it says to whom.

    `service_name` as the service is called now. `subject`: None once REJECTED. `read_status` as in
    the API: None where it says nothing (not PROCESSED, not ADVANCED, or the institution lacks
    ApiMessageReadAdvanced), UNAVAILABLE where the citizen does not share it.
    """

    id: str
    fiscal_code: str
    service_id: str
    service_name: str
    subject: str | None
    status: Status
    rejection_reason: Rejection | None
    feature_level_type: Level
    read_status: wire.ReadStatus | None
    reference: str | None
    created_at: datetime


@dataclass(frozen=True)
class Page:
    """Messages, newest first. `next`: the `before` of the page that follows, None at the end.

    `searched_back_to`: set when the page is not full although there is more: all since then has
    been looked at. A page without any row can be followed by one with rows.
    """

    rows: Sequence[SentRow]
    searched_back_to: datetime | None
    next: str | None


@dataclass(frozen=True)
class SentMessage(SentRow):
    """One message, whole.

    `content`: as accepted, the payee filled in (its `payment_data` has notice number, amount in
    cents and payee; `due_date` is wire time); None once REJECTED. `require_secure_channels`: the
    stricter of message and service. `reads_advanced`: the institution has ApiMessageReadAdvanced.
    """

    bucket: int
    institution_id: str
    organization_fiscal_code: str
    require_secure_channels: bool
    time_to_live: int
    decided_at: datetime | None
    read_at: datetime | None
    reported_at: datetime | None
    content: wire.StoredContent | None
    reads_advanced: bool


async def page(
    conn: Connection,
    service_ids: Sequence[str],
    wanted: Wanted,
    before: str | None = None,
    limit: int = 50,
) -> Page:
    """Messages of these services (at most 200: `ValueError` if more), newest first.

    `before` is the `next` of the page before; one that is no id is as none. Whether somebody may
    see all of these services is the caller's affair; a `wanted.service_id` outside finds nothing.
    """
    services = _services(service_ids, wanted)
    if not services or "\x00" in f"{wanted.fiscal_code}{wanted.reference}":
        return Page((), None, None)
    words = _words(wanted.words or "")
    looked_at = await _look(conn, services, wanted, words, before, limit)
    most = limit + 1 if looked_at.exact else WINDOW
    rows = await conn.rows(
        queries.sent_rows,
        buckets=looked_at.buckets[:most],
        ids=looked_at.ids[:most],
        status=wanted.status,
        reference=wanted.reference,
        words=words,
        limit=limit + 1,
    )
    shown = [SentRow(**_line(row)) for row in rows[:limit]]
    if len(rows) > limit:
        return Page(shown, None, shown[-1].id)
    # Fewer than there were a moment ago: somebody was erased, and the list goes on all the same.
    floor = looked_at.ids[most - 1] if len(looked_at.ids) > most else looked_at.floor
    return Page(shown, None if floor is None else moment_of(floor), floor)


async def find(conn: Connection, message_id: str, institution_id: str) -> SentMessage | None:
    """A message of any service of this institution; None for anybody else's, or any other text."""
    if not _ULID.match(message_id):
        return None
    row = await conn.row(
        queries.find_sent,
        buckets=list(range(conn.buckets)),
        id=message_id.upper(),
        institution_id=institution_id,
    )
    if row is None:
        return None
    return SentMessage(
        **_line(row),
        bucket=row["bucket"],
        institution_id=row["institution_id"],
        organization_fiscal_code=row["organization_fiscal_code"],
        require_secure_channels=row["require_secure_channels"],
        time_to_live=row["time_to_live"],
        decided_at=row["decided_at"],
        read_at=row["read_at"],
        reported_at=row["reported_at"],
        content=None if row["parts"] is None else stored_content(row),
        reads_advanced=Permission.MESSAGE_READ_ADVANCED in row["permissions"],
    )


@dataclass(frozen=True)
class _LookedAt:
    """Ids, newest first, in which a page is looked for.

    `floor`: there may be more below this one. `exact`: each of them is wanted.
    """

    buckets: Sequence[int]
    ids: Sequence[str]
    floor: str | None
    exact: bool


async def _look(
    conn: Connection,
    services: Sequence[str],
    wanted: Wanted,
    words: Sequence[str],
    before: str | None,
    limit: int,
) -> _LookedAt:
    after, end = _bounds(wanted, before)
    exact = not words and wanted.status is None
    if wanted.fiscal_code is not None:
        bucket = conn.bucket(wanted.fiscal_code)
        (row,) = await conn.rows(
            queries.newest_sent_to,
            bucket=bucket,
            fiscal_code=wanted.fiscal_code,
            service_ids=services,
            before=end,
            after=after,
            window=WINDOW,
        )
        exact = exact and wanted.reference is None
        return _LookedAt([bucket] * len(row["ids"]), row["ids"], row["floor"], exact)
    buckets = list(range(conn.buckets))
    if wanted.reference is not None:
        (row,) = await conn.rows(
            queries.sent_with_reference,
            buckets=buckets,
            service_ids=services,
            reference=wanted.reference,
            before=end,
            after=after,
            window=WINDOW,
        )
        if not row["too_many"]:
            return _LookedAt(row["buckets"], row["ids"], None, exact)
        exact = False
    pairs = len(buckets) * len(services)
    (row,) = await conn.rows(
        queries.newest_sent,
        buckets=buckets,
        service_ids=services,
        before=end,
        after=after,
        first=limit + 1 if pairs * (limit + 1) <= WINDOW else _FEW,
        window=_UNNARROWED if exact else WINDOW,
    )
    return _LookedAt(row["buckets"], row["ids"], row["floor"], exact)


def _services(service_ids: Sequence[str], wanted: Wanted) -> list[str]:
    """Whose messages are looked for, each once."""
    if len(service_ids) > MOST_SERVICES:
        raise ValueError(f"more than {MOST_SERVICES} services")
    if wanted.service_id is None:
        return sorted(set(service_ids))
    return [wanted.service_id] if wanted.service_id in service_ids else []


def _bounds(wanted: Wanted, before: str | None) -> tuple[str, str]:
    """The lowest id that is looked at, and the one below which all of them are."""
    after, end = _FIRST, _LAST
    if wanted.since is not None:
        after = lowest_id(max(clock.day_begins(wanted.since), _EPOCH))
    if wanted.until is not None and wanted.until < date.max:
        end = lowest_id(max(clock.day_begins(wanted.until + timedelta(days=1)), _EPOCH))
    if before is not None and _ULID.match(before):
        end = min(end, before.upper())
    return after, end


def _words(text: str) -> list[str]:
    """What must stand in a subject, the signs of LIKE escaped."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    return [re.sub(r"([\\%_])", r"\\\1", word) for word in plain.split()[:_MOST_WORDS]]


def _line(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "fiscal_code": row["fiscal_code"],
        "service_id": row["service_id"],
        "service_name": row["service_name"],
        "subject": row["subject"],
        "status": row["status"],
        "rejection_reason": row["rejection_reason"],
        "feature_level_type": row["feature_level_type"],
        "read_status": read_status(row, row["permissions"]),
        "reference": row["reference"],
        "created_at": row["created_at"],
    }
