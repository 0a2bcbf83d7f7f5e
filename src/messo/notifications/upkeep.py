"""What this room forgets: of erased citizens everything, of everybody what is old."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.base.ids import lowest_id
from messo.notifications import letters
from messo.notifications.channels import Channel, devices, mail
from messo.notifications.dispatch import queries
from messo.recipients import read_profile
from messo.recipients.archive import Others
from messo.recipients.erase import Eraser

KEEP = timedelta(days=400)  # a year later a sender may still ask whether somebody was told
_AT_ONCE = 20_000


def eraser(channels: Sequence[Channel]) -> Eraser:
    """Part of erasing a citizen; before the messages themselves, by which deliveries are found."""

    async def erase(conn: Connection, fiscal_code: str, before: datetime) -> None:
        bucket = conn.bucket(fiscal_code)
        rows = await conn.rows(
            queries.lock_messages_of, bucket=bucket, fiscal_code=fiscal_code, before=before
        )
        await conn.run(
            queries.erase_deliveries, bucket=bucket, message_ids=[row["id"] for row in rows]
        )
        await letters.erase(conn, fiscal_code, before)
        for channel in channels:
            await channel.erase(conn, fiscal_code, before)

    return erase


def export(secrets: Secrets) -> Others:
    """What a citizen's archive holds from this room. Endpoints are secrets of their browsers."""

    async def others(conn: Connection, fiscal_code: str) -> dict[str, Any]:
        profile = await read_profile(conn, fiscal_code)
        dead = await mail.suppressed(conn, secrets, profile) if profile else None
        browsers = await devices.list_devices(conn, fiscal_code)
        return {"notices.json": {"browsers": browsers, "dead_address": dead}}

    return others


async def forget_old(conn: Connection) -> bool:
    """The periodic step: delete a bounded number of what is old; True if more may be left."""
    below, more = lowest_id(clock.now() - KEEP), await letters.forget_letters(conn)
    for bucket in range(conn.buckets):
        gone = await conn.run(queries.forget_deliveries, bucket=bucket, below=below, limit=_AT_ONCE)
        more = more or gone == _AT_ONCE
    return more
