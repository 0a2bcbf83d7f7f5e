"""What a citizen sees of their own messages, and what they do with them.

One rule of visibility everywhere: a message is theirs once it is PROCESSED, and anything else,
another's message included, is not there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from messo import events
from messo.base import clock, parameters, work
from messo.base.db import Connection, Row
from messo.base.wire import ULID
from messo.messages import search
from messo.messages.citizen_view import Line, Message, Payment, line_of, message_of
from messo.messages.submit import queries

__all__ = [
    "Filters",
    "Kind",
    "Line",
    "Marked",
    "Message",
    "Page",
    "Payment",
    "count_unread",
    "erase",
    "export",
    "list_messages",
    "mark",
    "read_message",
    "report_not_for_me",
    "senders_of",
]

Kind = Literal["payment", "due_date", "attachments"]

_PLAN = "reminders.plan"  # what is read, or put away, is reminded of no more
_ULID = re.compile(ULID)
_CURSOR = re.compile(ULID.replace(r"\Z", r"~?\Z"))
_FIRST, _LAST = "", "~"  # below and above every id


@dataclass(frozen=True)
class Filters:
    """What a list is narrowed to. `words` is a full-text search."""

    archived: bool = False
    unread: bool = False
    kind: Kind | None = None
    service_id: str | None = None
    words: str | None = None


@dataclass(frozen=True)
class Page:
    """Messages, newest first, and whether the list goes on in either direction."""

    items: list[Line]
    has_newer: bool
    has_older: bool


@dataclass(frozen=True)
class Marked:
    """How a message stands after it was marked."""

    id: str
    is_read: bool
    is_archived: bool


async def list_messages(
    conn: Connection,
    fiscal_code: str,
    filters: Filters,
    *,
    limit: int,
    before: str | None = None,
    after: str | None = None,
    nearest: bool = False,
) -> Page:
    """One page, newest first. `before` and `after` are ids, not included; both make a window.

    `before` with a `~` behind the id includes it. With `nearest`, the messages next to `after`;
    otherwise the newest of the window. A cursor that is no id is as none.
    """
    narrowed = await _narrowed(conn, fiscal_code, filters)
    if narrowed is None:
        return Page([], has_newer=False, has_older=False)
    upper, lower = _cursor(before, _LAST), _cursor(after, _FIRST)
    upwards = nearest and lower != _FIRST

    async def ids(*, upwards: bool, before: str, after: str, limit: int) -> list[str]:
        statement = queries.page_upwards if upwards else queries.page_of_messages
        rows = await conn.rows(statement, before=before, after=after, limit=limit, **narrowed)
        return [row["id"] for row in rows]

    found = await ids(upwards=upwards, before=upper, after=lower, limit=limit + 1)
    more, found = len(found) > limit, found[:limit]
    if upwards:
        found.reverse()
        below = found[-1] if found else _LAST
        older = bool(await ids(upwards=False, before=below, after=_FIRST, limit=1))
        return Page(await _lines(conn, fiscal_code, found), has_newer=more, has_older=older)
    above = found[0] if found else _FIRST
    newer = upper != _LAST and bool(await ids(upwards=True, before=_LAST, after=above, limit=1))
    return Page(await _lines(conn, fiscal_code, found), has_newer=newer, has_older=more)


async def read_message(conn: Connection, fiscal_code: str, message_id: str) -> Message | None:
    """One message with its content, or None. Reading it does not mark it."""
    rows = await _rows(conn, fiscal_code, _ids([message_id]), whole=True)
    return message_of(rows[0]) if rows else None


async def mark(
    conn: Connection,
    fiscal_code: str,
    message_ids: Sequence[str],
    *,
    read: bool = False,
    archived: bool | None = None,
) -> list[Marked]:
    """Mark messages as read, archived or not archived, in the caller's transaction.

    What is not named stays as it is; read is for good. An id that is not this citizen's is absent
    from the answer. The sender may see a "read" only where the citizen lets them know.
    """
    ids = _ids(message_ids)
    if not ids:
        return []
    bucket, now = conn.bucket(fiscal_code), clock.now()
    rows = await conn.rows(
        queries.mark_messages,
        bucket=bucket,
        fiscal_code=fiscal_code,
        ids=ids,
        read=read,
        archived=archived,
        now=now,
    )
    moved = [row for row in rows if row["just_read"] or row["just_moved"]]
    if moved:
        lanes = [work.lane_of(row["service_id"]) for row in moved]
        await work.queue(conn, bucket, _PLAN, [row["id"] for row in moved], lanes, now)
    told = [row for row in rows if row["just_read"] and row["shared"]]
    if told:
        await events.append(
            conn,
            bucket,
            ["read"] * len(told),
            [row["id"] for row in told],
            [row["service_id"] for row in told],
            now,
        )
    return [Marked(row["id"], row["is_read"], row["is_archived"]) for row in rows]


async def count_unread(conn: Connection, fiscal_code: str) -> int:
    """How many messages in the inbox are not read yet; 100 stands for more."""
    return int(
        await conn.value(
            queries.count_unread, bucket=conn.bucket(fiscal_code), fiscal_code=fiscal_code
        )
    )


async def report_not_for_me(conn: Connection, fiscal_code: str, message_id: str) -> bool:
    """The citizen says that a message is not meant for them. False if they have no such message.

    The sender sees it among the message's events; a second report changes nothing.
    """
    ids = _ids([message_id])
    if not ids:
        return False
    bucket, now = conn.bucket(fiscal_code), clock.now()
    service = await conn.value(
        queries.report_message, bucket=bucket, id=ids[0], fiscal_code=fiscal_code, now=now
    )
    if service is not None:
        await events.append(conn, bucket, ["reported"], ids, [service], now)
        return True
    return await read_message(conn, fiscal_code, message_id) is not None


async def senders_of(conn: Connection, fiscal_code: str) -> Sequence[Row]:
    """`service_id`, `service_name`, `organization_name` of who wrote to them; at most 200."""
    return await conn.rows(
        queries.senders_of, bucket=conn.bucket(fiscal_code), fiscal_code=fiscal_code
    )


async def erase(conn: Connection, fiscal_code: str, before: datetime) -> None:
    """Part of erasing a citizen: of what was accepted before that moment, nothing is left here."""
    bucket = conn.bucket(fiscal_code)
    rows = await conn.rows(
        queries.lock_messages_of, bucket=bucket, fiscal_code=fiscal_code, before=before
    )
    await conn.run(queries.erase_words, bucket=bucket, fiscal_code=fiscal_code)
    if not rows:
        return
    ids = [row["id"] for row in rows]
    await conn.run(queries.delete_contents, bucket=bucket, ids=ids)
    await conn.run(queries.erase_reports, bucket=bucket, ids=ids)
    await conn.run(
        queries.erase_idempotency_keys,
        bucket=bucket,
        service_ids=sorted({row["service_id"] for row in rows}),
        fiscal_code=fiscal_code,
        before=before,
    )
    await events.forget(conn, bucket, ids, [row["service_id"] for row in rows])
    await conn.run(queries.erase_messages, bucket=bucket, ids=ids)


async def export(conn: Connection, fiscal_code: str, after: str, limit: int) -> list[Message]:
    """Messages with an id above `after`, oldest first, archived ones too: for a copy of the data."""
    rows = await conn.rows(
        queries.page_upwards,
        before=_LAST,
        after=_cursor(after, _FIRST),
        limit=limit,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        archived=None,
        unread=False,
        kind=None,
        service_id=None,
        query=None,
    )
    ids = [row["id"] for row in rows]
    return [message_of(row) for row in await _rows(conn, fiscal_code, ids, whole=True)]


async def _narrowed(conn: Connection, fiscal_code: str, filters: Filters) -> dict[str, Any] | None:
    """The filters as the statements take them; None if nothing can pass."""
    query = None
    if filters.words is not None and filters.words.strip():
        query = await search.prepare(conn, fiscal_code, filters.words)
        if not query:
            return None
    if filters.service_id is not None and not parameters.storable(filters.service_id):
        return None
    return {
        "bucket": conn.bucket(fiscal_code),
        "fiscal_code": fiscal_code,
        "archived": filters.archived,
        "unread": filters.unread,
        "kind": filters.kind,
        "service_id": filters.service_id,
        "query": query,
    }


async def _lines(conn: Connection, fiscal_code: str, ids: list[str]) -> list[Line]:
    return [line_of(row) for row in await _rows(conn, fiscal_code, ids, whole=False)]


async def _rows(
    conn: Connection, fiscal_code: str, ids: Sequence[str], *, whole: bool
) -> list[Row]:
    """What is known of these messages, in this order; `whole`: with the body."""
    if not ids:
        return []
    rows = await conn.rows(
        queries.read_for_citizen,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        ids=ids,
        whole=whole,
    )
    found = {row["id"]: row for row in rows}
    return [found[message_id] for message_id in ids if message_id in found]


def _cursor(text: str | None, otherwise: str) -> str:
    return text.upper() if text is not None and _CURSOR.match(text) else otherwise


def _ids(given: Sequence[str]) -> list[str]:
    return sorted({text for text in given if _ULID.match(text)})
