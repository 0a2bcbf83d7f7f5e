"""Handing events on to webhooks: lease, send without a connection, record for many at once.

A webhook is its cursor: what it takes leaves no row. Rows are made only for what it did not take
(webhook_retry); a webhook that does not answer at all makes none, and waits with its cursor.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.base.outbound import Limits, Outbound
from messo.base.outward import Outward
from messo.events.claim import claim_windows
from messo.events.log import queries
from messo.events.post import LIMITS
from messo.events.settle import Settled, settle
from messo.events.webhooks import Record
from messo.events.window import Outcome, Sending, Window

AT_ONCE = 256  # webhooks; each sends a few events side by side

# (conn, institution id, e-mail address, host, failing since): queue the mail that says so.
TellStopped = Callable[[Connection, str, str, str, datetime], Awaitable[None]]


def step(
    outbound: Outbound,
    secrets: Secrets,
    tell_stopped: TellStopped,
    audit: Record,
    limits: Limits = LIMITS,
    at_once: int = AT_ONCE,
) -> Outward[Window, Outcome]:
    """The step that sends. Both are called in the transaction that switches a webhook off.

    `limits` of each send; in all they must stay well below the lease. Of `at_once` windows under
    way at most half may have failed the last time: servers that hang leave places to the others.
    """
    failing: set[str] = set()  # under way; a lease makes each the only one of its webhook

    async def claim(conn: Connection, bucket: int, limit: int) -> Sequence[Window]:
        most = max(0, min((limit + 1) // 2, at_once // 2 - len(failing)))
        return await claim_windows(conn, secrets, bucket, limit, most)

    async def send(window: Window) -> Outcome:
        if window.failures:
            failing.add(window.webhook_id)
        try:
            return await Sending(outbound, window, limits).run()
        finally:
            failing.discard(window.webhook_id)

    async def record(conn: Connection, bucket: int, sent: Sequence[tuple[Window, Outcome]]) -> None:
        await record_windows(conn, bucket, sent, tell_stopped, audit)

    return Outward("events.deliver", claim, send, record, at_once=at_once)


async def record_windows(
    conn: Connection,
    bucket: int,
    sent: Sequence[tuple[Window, Outcome]],
    tell_stopped: TellStopped,
    audit: Record,
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
    await _write_retries(conn, bucket, {k: v for k, v in settled.items() if k in mine}, now)
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
        why = settled[window.webhook_id].stop
        await audit(conn, "worker", "webhook.stop", window.webhook_id, why=why)
        await tell_stopped(conn, window.institution_id, window.email, host, since)


async def _write_retries(
    conn: Connection, bucket: int, settled: dict[str, Settled], now: datetime
) -> None:
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
    moved = [(webhook, retry.message_id) for webhook, retry in kept]
    if gone:
        dropped = await conn.rows(
            queries.drop_retries,
            bucket=bucket,
            ids=[webhook for webhook, _ in gone],
            positions=[position for _, position in gone],
        )
        moved += [(row["webhook_id"], row["message_id"]) for row in dropped]
    if moved:
        await conn.run(
            queries.release_behind,
            bucket=bucket,
            ids=[webhook for webhook, _ in moved],
            message_ids=[message for _, message in moved],
            now=now,
        )
