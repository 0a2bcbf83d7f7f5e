"""Which attachments may be opened: those that a detail call of the last minutes announced.

Kept are keyed hashes of who may open what, and nothing that came from an institution.
"""

from collections.abc import Sequence
from datetime import timedelta

from messo.base import clock
from messo.base.crypto import Secrets, key_digest, new_api_key
from messo.base.db import Connection
from messo.content.address import tail_of
from messo.content.answers import Attachment
from messo.content.configurations import queries

_FOR = timedelta(minutes=15)
_CODE_FOR = timedelta(minutes=1)
_FORGET_AT_ONCE = 5000


async def announce(
    conn: Connection,
    secrets: Secrets,
    fiscal_code: str,
    message_id: str,
    attachments: Sequence[Attachment],
) -> None:
    """This citizen may open these attachments of this message, for a quarter of an hour."""
    tails = {tail_of(attachment.url) for attachment in attachments}
    digests = [_digest(secrets, fiscal_code, message_id, tail) for tail in tails if tail]
    if digests:
        await conn.run(
            queries.allow,
            bucket=conn.bucket(fiscal_code),
            digests=sorted(digests),  # two of us never wait for each other in a circle
            expires_at=clock.now() + _FOR,
        )


async def is_announced(
    conn: Connection, secrets: Secrets, fiscal_code: str, message_id: str, tail: str
) -> bool:
    """Whether they may open the one at this address, in the form of `address.tail`."""
    found = await conn.value(
        queries.is_allowed,
        bucket=conn.bucket(fiscal_code),
        digest=_digest(secrets, fiscal_code, message_id, tail),
        now=clock.now(),
    )
    return bool(found)


async def hand_over(conn: Connection, secrets: Secrets, what: bytes) -> str:
    """A code that stands for this once, within a minute: for a browser on its way to another origin."""
    code = new_api_key()
    digest = key_digest(code)
    await conn.run(
        queries.hand_over,
        bucket=conn.bucket(digest.hex()),
        digest=digest,
        sealed=secrets.seal(what, "content.code"),
        expires_at=clock.now() + _CODE_FOR,
    )
    return code


async def take_over(conn: Connection, secrets: Secrets, code: str) -> bytes | None:
    """What a code stands for; None if it is unknown, used, or too old."""
    digest = key_digest(code)
    row = await conn.row(queries.take_over, bucket=conn.bucket(digest.hex()), digest=digest)
    if row is None or row["expires_at"] <= clock.now():
        return None
    return secrets.unseal(row["sealed"], "content.code")


async def forget(conn: Connection) -> bool:
    """The periodic step of this room: delete what is too old; True if more may be left."""
    now, more = clock.now(), False
    for bucket in range(conn.buckets):
        gone = await conn.run(queries.forget_allowed, bucket=bucket, now=now, limit=_FORGET_AT_ONCE)
        more = more or gone == _FORGET_AT_ONCE
    return more


def _digest(secrets: Secrets, fiscal_code: str, message_id: str, tail: str) -> bytes:
    return secrets.keyed_digest(f"content.attachment:{fiscal_code}:{message_id}:{tail}")
