"""Messages that their recipients say were not meant for them: for senders, and for operators."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from messo.base import clock
from messo.base.db import Connection
from messo.messages import wire
from messo.messages.submit import queries
from messo.services import Sender

_WINDOW = timedelta(days=30)


@dataclass(frozen=True)
class Reported:
    """A service and its reports of the last 30 days, `share` of what it put into inboxes then."""

    service_id: str
    service_name: str
    institution_name: str
    reports: int
    received: int
    share: float


async def reports_of(conn: Connection, sender: Sender) -> wire.ReportedMessages:
    """This service's reported messages, newest report first, at most 100."""
    rows = await conn.rows(
        queries.reports_of_service,
        buckets=list(range(conn.buckets)),
        service_id=sender.service_id,
    )
    return wire.ReportedMessages(
        [wire.ReportedMessage(row["id"], clock.to_wire(row["reported_at"])) for row in rows]
    )


async def reported_services(conn: Connection) -> Sequence[Reported]:
    """Services with reports in the last 30 days, the largest share first."""
    rows = await conn.rows(
        queries.reported_services,
        buckets=list(range(conn.buckets)),
        since=clock.now() - _WINDOW,
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
