"""The feed: a service's events by position, for those who ask rather than wait to be told."""

import base64
import binascii
import struct
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256

from msgspec import UNSET

from messo.base import clock
from messo.base.db import Connection, Row
from messo.base.http import Problem
from messo.events import wire
from messo.events.kinds import TOLD, type_of
from messo.events.log import queries

KEPT = timedelta(days=30)
_STRETCH = 10_000  # positions looked at for one page, so that rare kinds cost no long scan
_CURSOR = struct.Struct(">q4s")


async def read_page(
    conn: Connection,
    service_id: str,
    after: str | None,
    limit: int,
    kinds: Sequence[str] = TOLD,
    *,
    reading: bool,
) -> wire.EventPage:
    """Up to `limit` events after a cursor; None is the oldest event kept.

    `reading`: the institution may learn that a message was read, if the citizen lets it know now.
    A page may be empty although `has_more` says that there are more: go on from `next`.
    """
    position = 0 if after is None else read_cursor(after, service_id)
    bucket = conn.bucket(service_id)
    mine = {"bucket": bucket, "service_id": service_id}
    # Before the events: all of them up to this one are committed.
    last = await conn.value(queries.last_position, **mine) or 0
    if position > last:
        raise _bad_cursor()

    async def rows_after(start: int) -> Sequence[Row]:
        return await conn.rows(
            queries.read_events,
            **mine,
            after=start,
            until=min(last, start + _STRETCH),
            kinds=[kind for kind in kinds if reading or kind != "read"],
            limit=limit + 1,
        )

    rows = await rows_after(position)
    kept_since = clock.now() - KEPT
    if position < last and (not rows or rows[0]["published_at"] < kept_since):
        oldest = await conn.value(queries.first_since, **mine, moment=kept_since) - 1
        if oldest > position:
            position = oldest
            rows = await rows_after(position)
    if len(rows) > limit:
        rows = rows[:limit]
        position = rows[-1]["position"]
    else:
        position = min(last, position + _STRETCH)
    return wire.EventPage(
        items=[event_of(row, service_id) for row in await without_secret_reading(conn, rows)],
        next=make_cursor(position, service_id),
        has_more=position < last,
    )


async def without_secret_reading(conn: Connection, rows: Sequence[Row]) -> Sequence[Row]:
    """These events but for the "read" ones whose citizen does not let the sender know (any more)."""
    read = [row["message_id"] for row in rows if row["kind"] == "read"]
    if not read:
        return rows
    shared = await conn.rows(queries.reading_shared, buckets=list(range(conn.buckets)), ids=read)
    open_ones = {row["id"] for row in shared}
    return [row for row in rows if row["kind"] != "read" or row["message_id"] in open_ones]


def event_of(row: Row, service_id: str) -> wire.Event:
    """An event as institutions see it, from `id`, `kind`, `about`, `position`, `at`, `message_id`."""
    data = wire.EventData(row["message_id"], service_id, row["about"] or UNSET)
    return wire.Event(
        row["id"], type_of(row["kind"]), row["position"], clock.to_wire(row["at"]), data
    )


def make_cursor(position: int, owner: str) -> str:
    """A place among the events of one owner, as clients pass it back."""
    return base64.urlsafe_b64encode(_CURSOR.pack(position, _check(owner))).decode()


def read_cursor(text: str, owner: str) -> int:
    """The position a cursor stands for. `Problem` 400 if it was not made for this owner."""
    try:
        position, check = _CURSOR.unpack(base64.b64decode(text, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, struct.error):
        raise _bad_cursor() from None
    if check != _check(owner) or position < 0:
        raise _bad_cursor()
    return int(position)


def _check(owner: str) -> bytes:
    return sha256(owner.encode()).digest()[:4]


def _bad_cursor() -> Problem:
    return Problem(
        400,
        "Bad request",
        "after must be a cursor that was given to you before for the same list.",
        field="after",
    )
