"""The audit log as operators read it: newest first, narrowed to what they look for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from messo.base import clock
from messo.base.db import Connection, Row
from messo.base.ids import lowest_id
from messo.base.wire import ULID
from messo.operations.audit import Place, queries

_ULID = re.compile(ULID)
_LAST = "~"  # above every id


@dataclass(frozen=True)
class Wanted:
    """What an operator looks for; empty: everything.

    `about`: an id or a keyed hash, of who did it or of what it was done to. `seal`: what it covers,
    whatever else is wanted.
    """

    action: str = ""
    about: str = ""
    day: date | None = None
    seal: Place | None = None


@dataclass(frozen=True)
class Entry:
    """One entry. `seal`: what seals it, None until something does."""

    id: str
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    seal: Place | None


@dataclass(frozen=True)
class EntriesPage:
    """Newest first. `next`: the `before` of the page that follows, None at the end."""

    rows: Sequence[Entry]
    next: str | None


async def entries(
    conn: Connection, wanted: Wanted, before: str | None = None, limit: int = 50
) -> EntriesPage:
    """Entries of all buckets. A `before` that is no id is as none."""
    place = before.upper() if before is not None and _ULID.match(before) else _LAST
    rows = await _find(conn, wanted, place, limit + 1)
    shown = [_entry(row) for row in rows[:limit]]
    return EntriesPage(shown, shown[-1].id if len(rows) > limit else None)


async def actions(conn: Connection) -> list[str]:
    """Those that occur."""
    rows = await conn.rows(queries.audited_actions, buckets=list(range(conn.buckets)))
    return [row["action"] for row in rows]


async def _find(conn: Connection, wanted: Wanted, before: str, limit: int) -> Sequence[Row]:
    if wanted.seal is not None:
        return await conn.rows(
            queries.page_of_audit_seal,
            bucket=wanted.seal.bucket,
            seal=wanted.seal.number,
            before=before,
            limit=limit,
        )
    first = ""
    if wanted.day is not None:
        first = lowest_id(clock.day_begins(wanted.day))
        before = min(before, lowest_id(clock.day_begins(wanted.day + timedelta(days=1))))
    common: dict[str, Any] = {
        "buckets": list(range(conn.buckets)),
        "before": before,
        "first": first,
        "limit": limit,
    }
    if wanted.about:
        return await conn.rows(
            queries.page_of_audit_about, about=wanted.about, action=wanted.action, **common
        )
    if wanted.action:
        return await conn.rows(queries.page_of_audit_action, action=wanted.action, **common)
    return await conn.rows(queries.page_of_audit, **common)


def _entry(row: Row) -> Entry:
    return Entry(
        row["id"],
        row["at"],
        row["actor"],
        row["action"],
        row["subject"],
        msgspec.json.decode(row["detail"]),
        None if row["seal"] is None else Place(row["bucket"], row["seal"]),
    )
