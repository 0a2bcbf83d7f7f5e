"""The log of facts about messages. A fact's key is the fact, so none is logged twice."""

from collections.abc import Sequence
from datetime import datetime

from messo.base.db import Connection, Row
from messo.base.sql import Queries

queries = Queries("messo.events")


async def append(
    conn: Connection,
    bucket: int,
    kinds: Sequence[str],
    message_ids: Sequence[str],
    service_ids: Sequence[str],
    at: datetime,
    abouts: Sequence[str] | None = None,
) -> None:
    """Log one fact per message, in the transaction of the fact. `kinds`: those of kinds.py.

    `abouts` tells facts of one kind and message apart: the channel of "notified". None: all empty.
    """
    await conn.run(
        queries.append_events,
        bucket=bucket,
        kinds=kinds,
        message_ids=message_ids,
        service_ids=service_ids,
        abouts=[""] * len(kinds) if abouts is None else abouts,
        at=at,
    )


async def of_message(
    conn: Connection, bucket: int, message_id: str, service_id: str
) -> Sequence[Row]:
    """`kind`, `about`, `at` of one message's facts, oldest first, published or not yet.

    `bucket` is the citizen's; the published ones are in the bucket of the service.
    """
    return await conn.rows(
        queries.events_of_message,
        citizen_bucket=bucket,
        service_bucket=conn.bucket(service_id),
        message_id=message_id,
        service_id=service_id,
    )


async def forget(
    conn: Connection, bucket: int, message_ids: Sequence[str], service_ids: Sequence[str]
) -> None:
    """Remove all facts of these messages: their recipient is erased.

    `service_ids` are the senders', one for each message. Positions keep a gap; what a webhook has
    not taken yet is not sent any more.
    """
    # The log first: what a publisher takes meanwhile is waited for, and found by the next one.
    await conn.run(queries.forget_events, bucket=bucket, message_ids=message_ids)
    sent = {
        "service_buckets": [conn.bucket(service) for service in service_ids],
        "service_ids": service_ids,
        "message_ids": message_ids,
    }
    await conn.run(queries.forget_retries, **sent)
    await conn.run(queries.forget_published, **sent)
