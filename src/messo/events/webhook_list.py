"""All webhooks of an institution, a page at a time, and how deliveries of them go: for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from messo.base.db import Connection, Row
from messo.events.log import queries

MOST_COUNTED = 1000  # events that wait or were given up, of one webhook
# What stands behind `on` and `off`: `stopped` is off after days of failures.
Standing = Literal["on", "failing", "asked", "gone", "stopped"]


@dataclass(frozen=True)
class Deliveries:
    """How they go. `waiting`: to be tried again; `behind`: not come to yet, of whatever kind.

    `waiting` and `dead` (given up) say `MOST_COUNTED` where there are so many or more.
    """

    waiting: int = 0
    dead: int = 0
    behind: int = 0
    failing_since: datetime | None = None
    success_at: datetime | None = None
    failure_at: datetime | None = None
    next_try_at: datetime | None = None
    last_error: str = ""


@dataclass(frozen=True)
class Listed:
    """A webhook as a list shows it, without its secrets."""

    id: str
    service_id: str
    service_name: str
    url: str
    kinds: Sequence[str]
    created_at: datetime
    standing: Standing
    deliveries: Deliveries


async def page_of(
    conn: Connection, institution_id: str, after: str, limit: int
) -> tuple[list[Listed], str]:
    """So many after this id, oldest first; and the id after which the next page comes, or ""."""
    rows = await conn.rows(
        queries.page_of_webhooks, institution_id=institution_id, after=after, limit=limit + 1
    )
    shown = rows[:limit]
    health = await _healths(conn, shown)
    items = [_listed(row, health.get(row["id"], Deliveries())) for row in shown]
    return items, shown[-1]["id"] if len(rows) > limit else ""


async def deliveries_of(conn: Connection, webhook: Row) -> Deliveries:
    """Of one: a row of `Webhooks.find`."""
    return (await _healths(conn, [webhook])).get(webhook["id"], Deliveries())


def standing_of(webhook: Row, deliveries: Deliveries) -> Standing:
    """How it stands: a row with `state` and `stopped_why`."""
    if webhook["state"] == "on":
        return "failing" if deliveries.failing_since else "on"
    standings: dict[str, Standing] = {"gone": "gone", "failing": "stopped"}
    return standings.get(webhook["stopped_why"], "asked")


async def _healths(conn: Connection, webhooks: Sequence[Row]) -> dict[str, Deliveries]:
    rows = await conn.rows(
        queries.read_healths,
        buckets=[conn.bucket(row["service_id"]) for row in webhooks],
        ids=[row["id"] for row in webhooks],
        most=MOST_COUNTED,
    )
    return {
        row["webhook_id"]: Deliveries(
            row["waiting"],
            row["dead"],
            row["behind"],
            row["failing_since"],
            row["success_at"],
            row["failure_at"],
            row["next_try_at"],
            row["last_error"] or "",
        )
        for row in rows
    }


def _listed(row: Row, deliveries: Deliveries) -> Listed:
    return Listed(
        row["id"],
        row["service_id"],
        row["service_name"],
        row["url"],
        row["kinds"],
        row["created_at"],
        standing_of(row, deliveries),
        deliveries,
    )
