"""Figures: how much happened to the messages of each service on each day, by Rome's calendar.

Counted in the transaction that publishes the facts, so each counts once. Numbers only: nothing of
them is of a citizen, and they stay when one is erased.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from messo.base import clock
from messo.base.db import Connection, Row
from messo.events.log import queries

KEPT = timedelta(days=800)  # two years and what is needed to compare with the one before

# Service, day, kind, about.
Tally = Counter[tuple[str, date, str, str]]


@dataclass(frozen=True)
class Figure:
    """`kind`: one of kinds.py. `about`: why it was rejected, by which channel notified, or empty."""

    day: date
    kind: str
    about: str
    number: int


async def tally(conn: Connection, bucket: int, fresh: Sequence[Row]) -> Tally:
    """What to count of these facts of citizens in this bucket; nothing is written.

    That a message was read counts if its citizen lets the sender know now.
    """
    reasons = await _reasons(conn, bucket, fresh)
    shared = await _shared(conn, bucket, fresh)
    counted: Tally = Counter()
    days = _days(fresh)
    for row, day in zip(fresh, days, strict=True):
        kind, about = row["kind"], ""
        if kind == "notified":
            about = row["about"]
        elif kind == "rejected":
            about = reasons.get(row["message_id"], "")
        elif kind == "read" and row["message_id"] not in shared:
            continue
        counted[row["service_id"], day, kind, about] += 1
    return counted


async def add(conn: Connection, counted: Tally) -> None:
    """Write it, in the transaction of the publication."""
    if not counted:
        return
    # Sorted, as counters are: publishers of other buckets that meet here wait, and do not deadlock.
    keys = sorted(counted)
    await conn.run(
        queries.count_figures,
        buckets=[conn.bucket(service_id) for service_id, *_ in keys],
        service_ids=[service_id for service_id, *_ in keys],
        days=[day for _, day, *_ in keys],
        kinds=[kind for *_, kind, _ in keys],
        abouts=[about for *_, about in keys],
        numbers=[counted[key] for key in keys],
    )


async def per_day(
    conn: Connection, service_ids: Sequence[str], since: date, until: date
) -> list[Figure]:
    """The figures of these services together, for each day from `since` to `until`, both included.

    By day, kind and about; a day on which nothing happened has none. A message that was notified by
    two channels is in the figures of both. Whether the institution may learn that messages were
    read (`ApiMessageReadAdvanced`) is for the caller to know.
    """
    chosen = sorted(set(service_ids))
    rows = await conn.rows(
        queries.figures_per_day,
        buckets=[conn.bucket(service_id) for service_id in chosen],
        service_ids=chosen,
        since=since,
        until=until,
    )
    return [Figure(row["day"], row["kind"], row["about"], row["number"]) for row in rows]


async def totals(conn: Connection, day: date) -> Mapping[str, int]:
    """For each kind, how often it happened on this day to messages of all services so far."""
    rows = await conn.rows(queries.figures_of_day, buckets=list(range(conn.buckets)), day=day)
    return {row["kind"]: row["number"] for row in rows}


async def forget_old(conn: Connection, limit: int) -> bool:
    """Delete at most `limit` old figures of each bucket; True if more may be left."""
    before, more = clock.day_in_rome(clock.now() - KEPT), False
    for bucket in range(conn.buckets):
        gone = await conn.run(
            queries.forget_figures_before, bucket=bucket, before=before, limit=limit
        )
        more = more or gone == limit
    return more


async def _reasons(conn: Connection, bucket: int, fresh: Sequence[Row]) -> dict[str, str]:
    ids = _of_kind(fresh, "rejected")
    if not ids:
        return {}
    rows = await conn.rows(queries.reasons_of_rejection, bucket=bucket, ids=ids)
    return {row["id"]: row["rejection_reason"] for row in rows}


async def _shared(conn: Connection, bucket: int, fresh: Sequence[Row]) -> set[str]:
    ids = _of_kind(fresh, "read")
    if not ids:
        return set()
    rows = await conn.rows(queries.readings_shared_now, bucket=bucket, ids=ids)
    return {row["id"] for row in rows}


def _of_kind(fresh: Sequence[Row], kind: str) -> list[str]:
    return [row["message_id"] for row in fresh if row["kind"] == kind]


def _days(fresh: Sequence[Row]) -> list[date]:
    """The day of each; days follow times, so mostly the first and the last say it of all."""
    moments: list[Any] = [row["at"] for row in fresh]
    first, last = clock.day_in_rome(min(moments)), clock.day_in_rome(max(moments))
    if first == last:
        return [first] * len(moments)
    return [clock.day_in_rome(moment) for moment in moments]
