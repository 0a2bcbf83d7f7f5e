"""Claiming windows: which webhooks have something to do, leased, with all that is to be sent."""

from collections.abc import Sequence
from datetime import datetime

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Row
from messo.base.work import LEASE
from messo.events import sign
from messo.events.feed import without_secret_reading
from messo.events.log import queries
from messo.events.post import body_of
from messo.events.window import Item, Window

_MOST = 100  # events of a window, and the same again of those tried before
_PROBE = 8  # events of a window while the address does not answer
_IN_ALL = 6400  # new events of all windows that are claimed together, so that memory stays bounded
_STRETCH = 1000  # positions looked at for a window, so that rare kinds cost no long scan


async def claim_windows(
    conn: Connection, secrets: Secrets, bucket: int, limit: int, most_failing: int
) -> list[Window]:
    """Take up to `limit` webhooks with something to do, with everything needed to send it.

    Among them `most_failing` at most whose last window failed: they may hang.
    """
    now = clock.now()
    lease = now + LEASE
    leased = await conn.rows(
        queries.lease_webhooks,
        bucket=bucket,
        now=now,
        until=lease,
        limit=limit,
        most_failing=most_failing,
    )
    if not leased:
        return []
    targets = {
        row["id"]: row
        for row in await conn.rows(queries.read_targets, ids=[row["webhook_id"] for row in leased])
    }
    leased = [row for row in leased if row["webhook_id"] in targets]
    events = await _read_events(conn, bucket, leased, targets, now)
    return [_window(row, targets[row["webhook_id"]], secrets, lease, events) for row in leased]


class _Events:
    """What was read for all leased webhooks, by webhook."""

    def __init__(self) -> None:
        self.ends: dict[str, int] = {}
        self.new: dict[str, list[Row]] = {}
        self.again: dict[str, list[Row]] = {}
        self.waiting: set[tuple[str, str]] = set()
        self.void: dict[str, list[int]] = {}


async def _read_events(
    conn: Connection,
    bucket: int,
    leased: Sequence[Row],
    targets: dict[str, Row],
    now: datetime,
) -> _Events:
    ids = [row["webhook_id"] for row in leased]
    services = list({row["service_id"] for row in leased})
    last = {
        row["service_id"]: row["last"]
        for row in await conn.rows(queries.last_positions, bucket=bucket, service_ids=services)
    }
    # A service without events has no counter yet.
    ends = [
        max(row["position"], min(last.get(row["service_id"], 0), row["position"] + _STRETCH))
        for row in leased
    ]
    most = max(_PROBE, min(_MOST, _IN_ALL // len(leased)))
    mosts = {row["webhook_id"]: _PROBE if row["failures"] else most for row in leased}
    new = await conn.rows(
        queries.read_windows,
        bucket=bucket,
        ids=ids,
        afters=[row["position"] for row in leased],
        untils=ends,
        mosts=[mosts[webhook] for webhook in ids],
    )
    again = await conn.rows(queries.read_due, bucket=bucket, ids=ids, now=now, most=most)
    told = await _may_be_told(conn, [*new, *again], targets)
    found = _Events()
    for row in await conn.rows(
        queries.find_waiting,
        bucket=bucket,
        ids=[row["webhook_id"] for row in new],
        message_ids=[row["message_id"] for row in new],
    ):
        found.waiting.add((row["webhook_id"], row["message_id"]))
    found.ends = dict(zip(ids, ends, strict=True))
    counted = dict.fromkeys(ids, 0)
    for row in new:
        webhook = row["webhook_id"]
        counted[webhook] += 1
        if counted[webhook] == mosts[webhook]:  # there may be more before the end
            found.ends[webhook] = row["position"]
        if _key(row) in told:
            found.new.setdefault(webhook, []).append(row)
    for row in again:
        if row["wanted"] and _key(row) in told:
            found.again.setdefault(row["webhook_id"], []).append(row)
        else:
            found.void.setdefault(row["webhook_id"], []).append(row["position"])
    return found


async def _may_be_told(
    conn: Connection, rows: Sequence[Row], targets: dict[str, Row]
) -> set[tuple[str, int]]:
    """That a message was read is told only while its citizen lets the institution know."""
    allowed = [
        row
        for row in rows
        if row["id"] is not None
        and (row["kind"] != "read" or targets[row["webhook_id"]]["reading"])
    ]
    return {_key(row) for row in await without_secret_reading(conn, allowed)}


def _key(row: Row) -> tuple[str, int]:
    return row["webhook_id"], row["position"]


def _window(row: Row, target: Row, secrets: Secrets, lease: datetime, events: _Events) -> Window:
    webhook = row["webhook_id"]
    items = [_item(event) for event in events.new.get(webhook, ())]
    waiting = {item.position for item in items if (webhook, item.message_id) in events.waiting}
    return Window(
        webhook_id=webhook,
        institution_id=target["institution_id"],
        email=target["email"],
        url=target["url"],
        secrets=sign.load(secrets.decrypt(target["secrets"])),
        lease=lease,
        start=row["position"],
        end=events.ends[webhook],
        failures=row["failures"],
        failing_since=row["failing_since"],
        failure_at=row["failure_at"],
        items=[item for item in items if item.position not in waiting],
        again=[
            _item(event, event["attempts"], event["since"])
            for event in events.again.get(webhook, ())
        ],
        behind=[item for item in items if item.position in waiting],
        void=events.void.get(webhook, ()),
    )


def _item(row: Row, attempts: int = 0, since: datetime | None = None) -> Item:
    return Item(
        row["position"],
        row["id"],
        row["message_id"],
        row["published_at"],
        body_of(row, row["service_id"]),
        attempts,
        since,
    )
