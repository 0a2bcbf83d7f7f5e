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
) -> None:
    """Log one fact per message. `kinds`: accepted, processed, rejected, failed, read, reported."""
    await conn.run(
        queries.append_events,
        bucket=bucket,
        kinds=kinds,
        message_ids=message_ids,
        service_ids=service_ids,
        at=at,
    )


async def of_message(conn: Connection, bucket: int, message_id: str) -> Sequence[Row]:
    """`kind`, `about`, `at` of one message's facts, oldest first."""
    return await conn.rows(queries.events_of_message, bucket=bucket, message_id=message_id)


async def forget(conn: Connection, bucket: int, message_ids: Sequence[str]) -> None:
    """Remove all facts of these messages: their recipient is erased."""
    await conn.run(queries.forget_events, bucket=bucket, message_ids=message_ids)
