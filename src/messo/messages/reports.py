"""Messages that their recipients say were not meant for them: for senders, and for operators."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from messo.base import clock
from messo.base.db import Connection
from messo.base.ids import lowest_id
from messo.messages import wire
from messo.messages.submit import queries
from messo.services import Sender

_WINDOW = timedelta(days=30)
_LONGEST_WAIT = timedelta(days=14)  # from accepting to deciding: a week, and for operators as much
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CURSOR = re.compile(r"([0-9]{1,17})-([0-9A-Z]{26})\Z")


@dataclass(frozen=True)
class Reported:
    """A service and its reports of the last 30 days, `share` of what it put into inboxes then."""

    service_id: str
    service_name: str
    institution_name: str
    reports: int
    received: int
    share: float


@dataclass(frozen=True)
class Report:
    """A message that its recipient (`fiscal_code`) says was not meant for them, and when they did."""

    message_id: str
    service_id: str
    service_name: str
    reported_at: datetime
    subject: str | None
    fiscal_code: str


@dataclass(frozen=True)
class ReportsPage:
    """Newest report first. `next`: the `before` of the page that follows, None at the end."""

    rows: Sequence[Report]
    next: str | None


async def reports(
    conn: Connection, service_ids: Sequence[str], before: str | None = None, limit: int = 100
) -> ReportsPage:
    """Reports about all of these services. A `before` that is no cursor of ours is as none."""
    at, message_id = _cursor(before)
    rows = await conn.rows(
        queries.reports_of_services,
        buckets=list(range(conn.buckets)),
        service_ids=service_ids,
        before_at=at,
        before_id=message_id,
        limit=limit + 1,
    )
    shown = [
        Report(
            row["id"],
            row["service_id"],
            row["service_name"],
            row["reported_at"],
            row["subject"],
            row["fiscal_code"],
        )
        for row in rows[:limit]
    ]
    more = len(rows) > limit
    return ReportsPage(shown, _written(shown[-1]) if more else None)


def _written(report: Report) -> str:
    """Where a page ended: microseconds since 1970, and the message."""
    return f"{(report.reported_at - _EPOCH) // _MICROSECOND}-{report.message_id}"


def _cursor(text: str | None) -> tuple[datetime | None, str | None]:
    found = _CURSOR.match(text or "")
    if found is None:
        return None, None
    return _EPOCH + int(found.group(1)) * _MICROSECOND, found.group(2)


async def reports_of(conn: Connection, sender: Sender) -> wire.ReportedMessages:
    """This service's reported messages, newest report first, at most 100."""
    found = await reports(conn, [sender.service_id])
    return wire.ReportedMessages(
        [wire.ReportedMessage(row.message_id, clock.to_wire(row.reported_at)) for row in found.rows]
    )


async def reported_services(conn: Connection) -> Sequence[Reported]:
    """Services with reports in the last 30 days, the largest share first."""
    since = clock.now() - _WINDOW
    rows = await conn.rows(
        queries.reported_services,
        buckets=list(range(conn.buckets)),
        since=since,
        first=lowest_id(since - _LONGEST_WAIT),
    )
    found = [
        Reported(
            row["service_id"],
            row["service_name"] or "",
            row["institution_name"] or "",
            row["reports"],
            row["received"],
            # A report may be of an older message, one that was received before the 30 days.
            min(1.0, row["reports"] / max(1, row["received"])),
        )
        for row in rows
    ]
    return sorted(found, key=lambda one: (-one.share, -one.reports, one.service_id))
