"""Which services are reported how often, quickly enough for a page that operators open often.

`reports.reported_services` is exact and reads messages; this reads figures, a few rows a day.
"""

from dataclasses import dataclass
from datetime import timedelta

from messo.base import clock
from messo.base.db import Connection
from messo.messages.submit import queries

WINDOW = timedelta(days=30)


@dataclass(frozen=True)
class Share:
    """A service, its reports, and what it put into inboxes in the same days."""

    service_id: str
    service_name: str
    institution_id: str
    institution_name: str
    reports: int
    received: int

    @property
    def share(self) -> float:
        """From 0 to 1: a report may be of a message from before these days."""
        return min(1.0, self.reports / max(1, self.received))


async def shares(conn: Connection, institution_id: str | None = None) -> list[Share]:
    """Services that were reported in the last 30 days, the largest share first.

    Of one institution, or of all.
    """
    since = clock.now() - WINDOW
    rows = await conn.rows(
        queries.shares_of_reports,
        buckets=list(range(conn.buckets)),
        since=clock.day_in_rome(since),
        reported_since=since,
        institution_id=institution_id,
    )
    return sorted((Share(**row) for row in rows), key=lambda one: (-one.share, one.service_id))
