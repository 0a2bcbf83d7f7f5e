"""Handing events on to webhooks: lease, send without a connection, record for many at once.

A webhook is its cursor: what it takes leaves no row. Rows are made only for what it did not take
(webhook_retry); a webhook that does not answer at all makes none, and waits with its cursor.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Row
from messo.base.outbound import Limits, Outbound
from messo.base.outward import Outward
from messo.base.work import LEASE
from messo.events import sign
from messo.events.feed import without_secret_reading
from messo.events.log import queries
from messo.events.post import LIMITS, body_of
from messo.events.settle import Settled, settle
from messo.events.window import Item, Outcome, Sending, Window

AT_ONCE = 64  # webhooks; each sends a few events side by side
_MOST = 100  # events of a window, and the same again of those tried before
_PROBE = 8  # events of a window while the address does not answer
_STRETCH = 1000  # positions looked at for a window, so that rare kinds cost no long scan

# (conn, institution id, e-mail address, host, failing since): queue the mail that says so.
TellStopped = Callable[[Connection, str, str, str, datetime], Awaitable[None]]


def step(
    outbound: Outbound, secrets: Secrets, tell_stopped: TellStopped, limits: Limits = LIMITS
) -> Outward[Window, Outcome]:
    """The step that sends. `tell_stopped` is called in the transaction that switches one off.

    `limits` of each send; in all they must stay well below the lease.
    """

    async def claim(conn: Connection, bucket: int, limit: int) -> Sequence[Window]:
        return await claim_windows(conn, secrets, bucket, limit)

    async def send(window: Window) -> Outcome:
        return await Sending(outbound, window, limits).run()

    async def record(conn: Connection, bucket: int, sent: Sequence[tuple[Window, Outcome]]) -> None:
        await record_windows(conn, bucket, sent, tell_stopped)

    return Outward("events.deliver", claim, send, record, at_once=AT_ONCE)


async def claim_windows(
    conn: Connection, secrets: Secrets, bucket: int, limit: int
) -> list[Window]:
    """Take up to `limit` webhooks with something to do, with everything needed to send it."""
    now = clock.now()
    lease = now + LEASE
    leased = await conn.rows(
        queries.lease_webhooks, bucket=bucket, now=now, until=lease, limit=limit
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
    mosts = {row["webhook_id"]: _PROBE if row["failures"] else _MOST for row in leased}
    new = await conn.rows(
        queries.read_windows,
        bucket=bucket,
        ids=ids,
        afters=[row["position"] for row in leased],
        untils=ends,
        mosts=[mosts[webhook] for webhook in ids],
    )
    again = await conn.rows(queries.read_due, bucket=bucket, ids=ids, now=now, most=_MOST)
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
        if _key(row) in told:
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


async def record_windows(
    conn: Connection,
    bucket: int,
    sent: Sequence[tuple[Window, Outcome]],
    tell_stopped: TellStopped,
) -> None:
    """Write down what came of these windows, in the caller's transaction."""
    now = clock.now()
    settled = {window.webhook_id: settle(window, outcome, now) for window, outcome in sent}
    windows = [window for window, _ in sent]
    values = [settled[window.webhook_id] for window in windows]
    mine = {
        row["webhook_id"]
        for row in await conn.rows(
            queries.settle_webhooks,
            bucket=bucket,
            now=now,
            ids=[window.webhook_id for window in windows],
            leases=[window.lease for window in windows],
            positions=[one.position for one in values],
            dues=[one.due for one in values],
            failures=[one.failures for one in values],
            failing_since=[one.failing_since for one in values],
            succeeded=[one.succeeded for one in values],
            errors=[one.error for one in values],
        )
    }
    await _write_retries(conn, bucket, {k: v for k, v in settled.items() if k in mine})
    stopped = [w for w in windows if w.webhook_id in mine and settled[w.webhook_id].stop]
    if not stopped:
        return
    ids = [window.webhook_id for window in stopped]
    await conn.run(
        queries.stop_webhooks, ids=ids, whys=[settled[webhook].stop for webhook in ids], now=now
    )
    await conn.run(queries.park_cursors, bucket=bucket, ids=ids)
    for window in stopped:  # seldom, and each is a letter of its own
        since = settled[window.webhook_id].failing_since or now
        host = urlsplit(window.url).hostname or ""
        await tell_stopped(conn, window.institution_id, window.email, host, since)


async def _write_retries(conn: Connection, bucket: int, settled: dict[str, Settled]) -> None:
    kept = [(webhook, retry) for webhook, one in settled.items() for retry in one.retries]
    gone = [(webhook, position) for webhook, one in settled.items() for position in one.dropped]
    if kept:
        await conn.run(
            queries.put_retries,
            bucket=bucket,
            ids=[webhook for webhook, _ in kept],
            positions=[retry.position for _, retry in kept],
            message_ids=[retry.message_id for _, retry in kept],
            attempts=[retry.attempts for _, retry in kept],
            since=[retry.since for _, retry in kept],
            dues=[retry.due for _, retry in kept],
            errors=[retry.error for _, retry in kept],
            dead=[retry.dead_at for _, retry in kept],
        )
    if gone:
        await conn.run(
            queries.drop_retries,
            bucket=bucket,
            ids=[webhook for webhook, _ in gone],
            positions=[position for _, position in gone],
        )
