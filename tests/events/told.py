"""What the tests of this room share: facts, webhooks, and one round of handing on at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any

from messo import events
from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.ids import new_id
from messo.base.outbound import Limits, Outbound
from messo.base.outward import Sending
from messo.events import hand_on, publish, wire
from messo.events.webhooks import Webhooks
from messo.operations import record
from tests.events.receiver import Receiver
from tests.world import ACTOR, Caller

LOOPBACK = (ip_network("127.0.0.0/8"),)
# Facts wherever they stand: a worker may publish them at any moment.
FACTS = (
    "(SELECT message_id, kind, at FROM events.log "
    "UNION ALL SELECT message_id, kind, at FROM events.published) AS facts"
)
QUICK = Limits(total_s=1)


async def happen(
    pool: Pool, service_id: str, *facts: tuple[str, str], at: datetime | None = None
) -> None:
    """These facts (message id, kind) happen, each in a transaction of its own."""
    for message_id, kind in facts:
        async with pool.transaction() as conn:
            await events.append(
                conn,
                pool.bucket(message_id),
                [kind],
                [message_id],
                [service_id],
                at or clock.now(),
                ["email" if kind == "notified" else ""],
            )


async def publish_all(pool: Pool) -> int:
    """Until nothing waits; how many facts left the log."""
    total = 0
    for bucket in range(pool.buckets):
        count = 1
        while count or await waits(pool, bucket):
            count = await publish.publish(pool, bucket)
            total += count
    return total


async def waits(pool: Pool, bucket: int) -> bool:
    sql = "SELECT EXISTS (SELECT FROM events.log WHERE bucket = $1)"
    return bool(await value(pool, sql, bucket))


async def tell(pool: Pool, service_id: str, *kinds: str, messages: int = 1) -> list[str]:
    """New messages to which all this has happened, published; their ids."""
    ids = [new_id() for _ in range(messages)]
    await happen(pool, service_id, *((one, kind) for one in ids for kind in kinds))
    await publish_all(pool)
    return ids


async def value(pool: Pool, sql: str, *values: Any) -> Any:
    async with pool.connection() as conn:
        return await conn.raw.fetchval(sql, *values)


async def rows(pool: Pool, sql: str, *values: Any) -> list[dict[str, Any]]:
    async with pool.connection() as conn:
        return [dict(row) for row in await conn.raw.fetch(sql, *values)]


async def execute(pool: Pool, sql: str, *values: Any) -> None:
    async with pool.connection() as conn:
        await conn.raw.execute(sql, *values)


@dataclass
class Post:
    """Webhooks of one test, and the step that hands events on to them."""

    pool: Pool
    secrets: Secrets
    outbound: Outbound
    receiver: Receiver
    stopped: list[tuple[str, str, str, datetime]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.webhooks = Webhooks(self.secrets, record, LOOPBACK)
        self.step = hand_on.step(self.outbound, self.secrets, self.tell_stopped, record, QUICK)

    async def tell_stopped(
        self, _conn: Connection, institution: str, email: str, host: str, since: datetime
    ) -> None:
        self.stopped.append((institution, email, host, since))

    async def create(self, who: Caller, kinds: Sequence[Any] = ()) -> wire.Webhook:
        """A webhook to the receiver, which is given its secret."""
        new = wire.NewWebhook(who.id, self.receiver.url)
        if kinds:
            new.kinds = list(kinds)
        async with self.pool.transaction() as conn:
            made = await self.webhooks.create(conn, ACTOR, who.institution, new)
        self.receiver.secrets.append(str(made.secret))
        return made

    async def round(self) -> int:
        """One batch: claimed, sent and recorded; how many webhooks had something to do."""
        return await Sending(self.step, self.pool, self.pool.buckets).once()

    async def settle(self) -> None:
        """Rounds until nothing is due."""
        for _ in range(100):
            if not await self.round():
                return
        raise AssertionError("still something to do after 100 rounds")

    async def cursor(self, webhook: wire.Webhook) -> dict[str, Any]:
        sql = "SELECT * FROM events.webhook_cursor WHERE webhook_id = $1"
        return (await rows(self.pool, sql, webhook.id))[0]

    async def retries(self, webhook: wire.Webhook) -> list[dict[str, Any]]:
        return await rows(
            self.pool,
            "SELECT r.*, p.kind FROM events.webhook_retry AS r "
            "INNER JOIN events.webhook AS w ON w.id = r.webhook_id "
            "INNER JOIN events.published AS p ON p.bucket = r.bucket "
            "AND p.service_id = w.service_id AND p.position = r.position "
            "WHERE r.webhook_id = $1 ORDER BY r.position",
            webhook.id,
        )

    async def later(self, **after: float) -> None:
        """So much time passes: everything that was written is that much older."""
        passed = timedelta(**after)
        await execute(
            self.pool,
            "UPDATE events.webhook_cursor SET due_at = due_at - $1::interval, "
            "failing_since = failing_since - $1::interval, "
            "failure_at = failure_at - $1::interval",
            passed,
        )
        await execute(
            self.pool,
            "UPDATE events.webhook_retry SET due_at = due_at - $1::interval, "
            "since = since - $1::interval, dead_at = dead_at - $1::interval",
            passed,
        )
        await execute(
            self.pool,
            "UPDATE events.published SET published_at = published_at - $1::interval",
            passed,
        )

    async def failing_all_the_time(self, **after: float) -> None:
        """So much time passes, and it was tried in vain all along."""
        await self.later(**after)
        await execute(self.pool, "UPDATE events.webhook_cursor SET failure_at = $1", clock.now())

    async def clear(self) -> None:
        """No webhook is left, so that no test meets another's."""
        for table in ("webhook_cursor", "webhook_retry", "webhook"):
            await execute(self.pool, f"DELETE FROM events.{table}")
