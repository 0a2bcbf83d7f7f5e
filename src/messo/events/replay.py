"""Sending events once more: what was given up, or what an institution has lost."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec import UNSET, UnsetType

from messo.base import clock
from messo.base.db import Connection, Row
from messo.base.http import Problem
from messo.events import wire
from messo.events.feed import KEPT, event_of, make_cursor, read_cursor, without_secret_reading
from messo.events.kinds import TOLD
from messo.events.log import queries

AT_ONCE = 10_000
# Ids and times of publication come from machines whose clocks differ a little.
_SKEW = timedelta(minutes=2)
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_END_OF_TIME = 253_370_764_800_000  # the year 9999 in milliseconds: later is no time of ours
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)?\Z", re.ASCII
)


async def dead_letters(
    conn: Connection, webhook: Row, after: str | None, limit: int
) -> wire.DeadLetters:
    """What one webhook did not take for 3 days, a page after a cursor of the page before.

    A page may be empty although there is a next one: what may not be told any more is not shown.
    """
    owner = f"dead:{webhook['id']}"
    rows = await conn.rows(
        queries.list_dead,
        bucket=conn.bucket(webhook["service_id"]),
        service_id=webhook["service_id"],
        id=webhook["id"],
        after=0 if after is None else read_cursor(after, owner),
        limit=limit + 1,
    )
    told = await may_be_told(conn, webhook, rows[:limit])
    page = wire.DeadLetters([_dead_letter(row, webhook["service_id"]) for row in told])
    if len(rows) > limit:
        page.next = make_cursor(rows[limit - 1]["position"], owner)
    return page


def _dead_letter(row: Row, service_id: str) -> wire.DeadLetter:
    return wire.DeadLetter(
        event_of(row, service_id),
        row["attempts"],
        clock.to_wire(row["dead_at"]),
        row["last_error"] or UNSET,
    )


async def replay(
    conn: Connection, webhook: Row, wanted: wire.Replay, at_once: int = AT_ONCE
) -> wire.Replayed:
    """Queue one event or a stretch of time again, at most `at_once` events; how many.

    The webhook is locked (`find_locked`). What it has not come to yet comes by itself and is left
    out, as is what may not be told any more. `Problem` 400 for what is neither an event nor a
    stretch, 404 for an event that there is not.
    """
    if wanted.event_id is UNSET:
        first, end = await _stretch(conn, webhook, wanted)
        kinds = webhook["kinds"]
    else:
        if wanted.since is not UNSET or wanted.until is not UNSET:
            raise _bad("Give event_id, or from and to, but not both.", "event_id")
        first = await _position_of(conn, webhook, wanted.event_id.upper())
        end, kinds = first + 1, list(TOLD)
    bucket = conn.bucket(webhook["service_id"])
    found = await conn.rows(
        queries.find_replayable,
        bucket=bucket,
        id=webhook["id"],
        first=first,
        end=end,
        kinds=kinds,
        limit=at_once,
    )
    told = await may_be_told(conn, webhook, found)
    if found and not told and wanted.event_id is not UNSET:
        raise _no_event()
    await conn.run(
        queries.replay_events,
        bucket=bucket,
        id=webhook["id"],
        positions=[row["position"] for row in told],
        message_ids=[row["message_id"] for row in told],
        now=clock.now(),
    )
    answer = wire.Replayed(len(told))
    if len(found) == at_once:
        # Some of this very moment may come twice; less than a batch of them is published at once.
        answer.next_from = found[-1]["published_at"].astimezone(UTC).isoformat()
    return answer


async def may_be_told(conn: Connection, webhook: Row, rows: Sequence[Row]) -> Sequence[Row]:
    """The rule of sending: reading is told with permission, and while its citizen lets it know."""
    if all(row["kind"] != "read" for row in rows):
        return rows
    if not await conn.value(queries.may_learn_reading, institution_id=webhook["institution_id"]):
        return [row for row in rows if row["kind"] != "read"]
    return await without_secret_reading(conn, rows)


async def _position_of(conn: Connection, webhook: Row, event_id: str) -> int:
    moment = _made_at(event_id)
    position = None
    if moment is not None:
        mine = {
            "bucket": conn.bucket(webhook["service_id"]),
            "service_id": webhook["service_id"],
        }
        position = await conn.value(
            queries.find_event,
            **mine,
            first=await conn.value(queries.first_since, **mine, moment=moment - _SKEW),
            end=await conn.value(queries.first_since, **mine, moment=moment + _SKEW),
            event_id=event_id,
        )
    if position is None:
        raise _no_event()
    return int(position)


def _no_event() -> Problem:
    return Problem(
        404, "Event not found", "This service has no event with this id.", field="event_id"
    )


def _made_at(ulid: str) -> datetime | None:
    """The moment in a ULID: its first ten digits, base 32, in milliseconds. None: out of range."""
    milliseconds = 0
    for digit in ulid[:10]:
        milliseconds = milliseconds * 32 + _DIGITS.index(digit)
    if milliseconds >= _END_OF_TIME:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


async def _stretch(conn: Connection, webhook: Row, wanted: wire.Replay) -> tuple[int, int]:
    since, until = _read(wanted.since, "from"), _read(wanted.until, "to")
    if since >= until:
        raise _bad("from must be before to.", "from")
    if since < clock.now() - KEPT:
        raise _bad(f"from is longer ago than events are kept: {KEPT.days} days.", "from")
    mine = {"bucket": conn.bucket(webhook["service_id"]), "service_id": webhook["service_id"]}
    first = await conn.value(queries.first_since, **mine, moment=since)
    end = await conn.value(queries.first_since, **mine, moment=until)
    return first or 1, end or 1  # without a counter there are no events


def _read(text: str | UnsetType, name: str) -> datetime:
    if text is UNSET:
        raise _bad("Give event_id, or from and to.", name)
    try:
        moment = datetime.fromisoformat(text if _MOMENT.match(text) else "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _bad(
            f"{name} must be a moment as YYYY-MM-DDTHH:MM:SS, in UTC or with an offset.", name
        ) from None


def _bad(detail: str, field: str) -> Problem:
    return Problem(400, "Bad request", detail, field=field)
