"""The audit log: every change that someone may dispute, sealed into a chain of hashes.

Entries are appended unsealed, so that nothing waits on a global lock; a periodic step seals what
is new. Entries name citizens by keyed hash only, so erasing a citizen breaks no seal.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from messo.base import clock
from messo.base.db import Connection, Row
from messo.base.ids import new_id
from messo.base.sql import Queries

queries = Queries("messo.operations")

_SEAL_AT_ONCE = 1000


async def record(conn: Connection, actor: str, action: str, subject: str, **detail: Any) -> None:  # noqa: ANN401
    """Append one entry, in the transaction of the change itself.

    `subject` is an id of ours or a keyed hash; `detail` is JSON-serializable and not personal.
    """
    await conn.run(
        queries.append_audit,
        bucket=conn.bucket(subject),
        id=new_id(),
        at=clock.now(),
        actor=actor,
        action=action,
        subject=subject,
        detail=msgspec.json.encode(detail).decode(),
    )


async def seal(conn: Connection) -> bool:
    """Seal new entries of every bucket that has some; True if more may be left."""
    more = False
    for bucket in [row["bucket"] for row in await conn.rows(queries.buckets_to_seal)]:
        more = await _seal_bucket(conn, bucket) == _SEAL_AT_ONCE or more
    return more


async def _seal_bucket(conn: Connection, bucket: int) -> int:
    entries = await conn.rows(queries.take_unsealed, bucket=bucket, limit=_SEAL_AT_ONCE)
    last = await conn.row(queries.last_seal, bucket=bucket)
    number, before = (last["number"] + 1, last["digest"]) if last else (1, b"")
    await conn.run(
        queries.add_seal,
        bucket=bucket,
        number=number,
        at=clock.now(),
        entries=len(entries),
        digest=_digest(before, entries),
    )
    await conn.run(
        queries.mark_sealed, bucket=bucket, seal=number, ids=[row["id"] for row in entries]
    )
    return len(entries)


async def newest(conn: Connection, limit: int) -> Sequence[Row]:
    """The latest entries, newest first."""
    return await conn.rows(queries.list_audit, limit=limit)


async def verify(conn: Connection) -> list[str]:
    """Recompute every seal. An empty list, or one sentence per seal that does not hold."""
    broken = []
    before: dict[int, bytes] = {}
    entries: dict[tuple[int, int], list[Row]] = {}
    for row in await conn.rows(queries.sealed_entries):
        entries.setdefault((row["bucket"], row["seal"]), []).append(row)
    for seal_row in await conn.rows(queries.all_seals):
        bucket, number = seal_row["bucket"], seal_row["number"]
        covered = entries.pop((bucket, number), [])
        computed = _digest(before.get(bucket, b""), covered)
        if len(covered) != seal_row["entries"] or computed != seal_row["digest"]:
            broken.append(f"seal {number} of bucket {bucket} does not match its entries")
        before[bucket] = seal_row["digest"]
    broken += [f"seal {number} of bucket {bucket} is missing" for bucket, number in entries]
    return broken


def _digest(before: bytes, entries: Sequence[Row]) -> bytes:
    """SHA-256 over the seal before and each entry as canonical JSON."""
    chain = hashlib.sha256(before)
    for row in entries:
        chain.update(
            msgspec.json.encode(
                [
                    row["id"],
                    clock.to_wire(row["at"]),
                    row["actor"],
                    row["action"],
                    row["subject"],
                    msgspec.json.decode(row["detail"]),
                ],
                order="sorted",
            )
        )
    return chain.digest()
