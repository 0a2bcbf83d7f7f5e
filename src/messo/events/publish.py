"""Publishing: facts leave the log and get their position among their service's events, once.

Whoever writes a fact must not wait for a number, so the log takes facts from many transactions at
the same time, and they are numbered afterwards. A counter's row stays locked until the numbers it
gave are committed: who reads as far as a counter says has missed nothing (docs/decisions/0010).
"""

from collections.abc import Sequence

from messo.base import clock
from messo.base.db import Connection, Pool, Row
from messo.base.ids import new_id
from messo.base.outward import Outward
from messo.events import figures
from messo.events.kinds import RANK
from messo.events.log import queries

BATCH = 5000


def step() -> Outward[None, None]:
    """Publishing as a step of its own pace, faster than a period and without items of work.

    Nothing is sent: `claim` does it all in its transaction. A full batch answers one empty job,
    which says that there may be more at once; else the loop pauses as it does for every step.
    """

    async def claim(conn: Connection, bucket: int, _limit: int) -> list[None]:
        return [None] if await publish_batch(conn, bucket) >= BATCH else []

    async def send(_job: None) -> None: ...

    async def record(
        _conn: Connection, _bucket: int, _sent: Sequence[tuple[None, None]]
    ) -> None: ...

    return Outward("events.publish", claim, send, record, at_once=1)


async def publish(pool: Pool, bucket: int) -> int:
    """Publish one batch of this bucket, in a transaction of its own; how many facts were taken."""
    async with pool.transaction() as conn:
        return await publish_batch(conn, bucket)


async def publish_batch(conn: Connection, bucket: int) -> int:
    """Publish up to `BATCH` facts of citizens in this bucket, and the rest of the last message's.

    How many left the log. 0 also while another process publishes this bucket.
    """
    if not await conn.value(queries.any_unpublished, bucket=bucket):
        return 0  # without a lock, which would be a write at every look
    if not await conn.value(queries.lock_publisher, bucket=bucket):
        # Locked by another, or never run here: then the next look finds the row.
        await conn.run(queries.add_publisher, bucket=bucket)
        return 0
    taken = await conn.rows(queries.take_unpublished, bucket=bucket, limit=BATCH)
    known = await conn.rows(
        queries.find_published,
        buckets=[conn.bucket(row["service_id"]) for row in taken],
        service_ids=[row["service_id"] for row in taken],
        message_ids=[row["message_id"] for row in taken],
        kinds=[row["kind"] for row in taken],
        abouts=[row["about"] for row in taken],
    )
    # A step that ran twice logs a fact again that has left the log meanwhile.
    old = {row["place"] - 1 for row in known}
    fresh = in_order([row for place, row in enumerate(taken) if place not in old])
    if fresh:
        # Looked up before the counters are locked, which others wait for.
        counted = await figures.tally(conn, bucket, fresh)
        await _number(conn, fresh)
        await figures.add(conn, counted)
    return len(taken)


async def _number(conn: Connection, fresh: Sequence[Row]) -> None:
    amounts: dict[str, int] = {}
    places = []
    for row in fresh:
        place = amounts[row["service_id"]] = amounts.get(row["service_id"], 0) + 1
        places.append(place)
    buckets = {service: conn.bucket(service) for service in amounts}
    # Sorted: publishers of other buckets count for the same services, and must not deadlock.
    services = sorted(amounts)
    counted = await conn.rows(
        queries.count_up,
        buckets=[buckets[service] for service in services],
        service_ids=services,
        amounts=[amounts[service] for service in services],
    )
    before = {row["service_id"]: row["last"] - amounts[row["service_id"]] for row in counted}
    await conn.run(
        queries.put_published,
        buckets=[buckets[row["service_id"]] for row in fresh],
        service_ids=[row["service_id"] for row in fresh],
        positions=[
            before[row["service_id"]] + place for row, place in zip(fresh, places, strict=True)
        ],
        ids=[new_id() for _ in fresh],
        message_ids=[row["message_id"] for row in fresh],
        kinds=[row["kind"] for row in fresh],
        abouts=[row["about"] for row in fresh],
        ats=[row["at"] for row in fresh],
        now=clock.now(),
    )


def in_order(rows: Sequence[Row]) -> list[Row]:
    """By time, but each message's facts by what they are: machines' clocks differ a little.

    Rows have `message_id`, `kind`, `about` and `at`. A fact counts as no older than those that
    must have come before it.
    """
    latest: dict[str, int] = {}
    keyed = []
    for row in sorted(rows, key=lambda row: (RANK.get(row["kind"], len(RANK)), row["at"])):
        moment = max(latest.get(row["message_id"], 0), _microseconds(row))
        latest[row["message_id"]] = moment
        # The sort is stable: facts of one moment stay in the order of their ranks.
        keyed.append((moment, row["message_id"], row))
    keyed.sort(key=lambda entry: entry[:2])
    return [row for _, _, row in keyed]


def _microseconds(row: Row) -> int:
    return int(row["at"].timestamp() * 1_000_000)
