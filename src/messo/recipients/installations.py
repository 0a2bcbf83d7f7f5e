"""Devices that a citizen's client applications registered for push: any number, up to a bound."""

from collections.abc import Sequence
from typing import Literal

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Row
from messo.recipients.profile import lock_enrolled, queries

Platform = Literal["apns", "gcm", "fcmv1"]

MOST = 20  # devices of one citizen; the one used longest ago gives way


async def put_installation(
    conn: Connection,
    secrets: Secrets,
    fiscal_code: str,
    installation_id: str,
    platform: Platform,
    push_channel: str,
) -> None:
    """Keep a device, or what is new of it. The channel is a secret and is stored encrypted.

    `Problem` 404 without a profile.
    """
    await lock_enrolled(conn, fiscal_code)
    bucket = conn.bucket(fiscal_code)
    await conn.run(
        queries.put_installation,
        bucket=bucket,
        fiscal_code=fiscal_code,
        id=installation_id,
        platform=platform,
        push_channel=secrets.encrypt(push_channel),
        now=clock.now(),
    )
    await conn.run(queries.drop_installations, bucket=bucket, fiscal_code=fiscal_code, keep=MOST)


async def list_installations(conn: Connection, fiscal_code: str) -> Sequence[Row]:
    """`id`, `platform`, `updated_at` of a citizen's registered devices, by id."""
    return await conn.rows(
        queries.all_installations, bucket=conn.bucket(fiscal_code), fiscal_code=fiscal_code
    )
