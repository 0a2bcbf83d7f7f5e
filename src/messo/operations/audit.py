"""The audit log: every change that someone may dispute, sealed into a chain of hashes.

Entries are appended unsealed, so that nothing waits on a global lock; a periodic step seals what
is new. Entries name citizens by keyed hash only, so erasing a citizen breaks no seal.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
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
    buckets = list(range(conn.buckets))
    return await conn.rows(
        queries.page_of_audit, buckets=buckets, before="~", first="", limit=limit
    )


class Place(msgspec.Struct, frozen=True):
    """A seal in the order of verification: all of a bucket, then those of the next."""

    bucket: int = -1
    number: int = 0


_END = Place(32_767, 2**63 - 1)  # after every seal


@dataclass(frozen=True)
class Broken:
    """A seal that does not match its entries, or that they name and that is gone."""

    bucket: int
    number: int
    is_missing: bool

    @property
    def sentence(self) -> str:
        """As the command says it."""
        fault = "is missing" if self.is_missing else "does not match its entries"
        return f"seal {self.number} of bucket {self.bucket} {fault}"


@dataclass(frozen=True)
class Portion:
    """What came of a portion of seals. `next`: the `after` of the next one, None at the end."""

    seals: int
    broken: Sequence[Broken]
    next: Place | None


async def verify(conn: Connection) -> list[str]:
    """Recompute every seal. An empty list, or one sentence per seal that does not hold."""
    broken: list[str] = []
    place: Place | None = Place()
    while place is not None:
        portion = await verify_portion(conn, place)
        broken += [one.sentence for one in portion.broken]
        place = portion.next
    return broken


async def verify_portion(
    conn: Connection, after: Place, seals: int = 500, entries: int = 20_000
) -> Portion:
    """Recompute the seals that come after this one: so many, or as few as have so many entries.

    What is sealed meanwhile is not looked at.
    """
    found = await conn.rows(
        queries.seals_after, after_bucket=after.bucket, after_number=after.number, limit=seals
    )
    chosen = found[: _how_many(found, entries)]
    is_last = len(found) < seals and len(chosen) == len(found)
    end = _END if is_last else Place(chosen[-1]["bucket"], chosen[-1]["number"])
    before: dict[int, bytes] = {}
    if after.number:
        digest = await conn.value(queries.digest_before, bucket=after.bucket, number=after.number)
        before[after.bucket] = digest or b""
    covered: dict[Place, list[Row]] = {}
    for row in await conn.rows(
        queries.entries_of_seals,
        after_bucket=after.bucket,
        after_number=after.number,
        last_bucket=end.bucket,
        last_number=end.number,
    ):
        covered.setdefault(Place(row["bucket"], row["seal"]), []).append(row)
    broken = []
    for row in chosen:
        bucket, number = row["bucket"], row["number"]
        of_it = covered.pop(Place(bucket, number), [])
        computed = _digest(before.get(bucket, b""), of_it)
        if len(of_it) != row["entries"] or computed != row["digest"]:
            broken.append(Broken(bucket, number, is_missing=False))
        before[bucket] = row["digest"]
    broken += [
        Broken(place.bucket, place.number, is_missing=True)
        for place, of_it in covered.items()
        if of_it[0]["is_without_seal"]
    ]
    return Portion(len(chosen), broken, None if is_last else end)


async def unsealed_since(conn: Connection) -> datetime | None:
    """When the oldest entry was made that has no seal yet; None if all have one."""
    found: datetime | None = await conn.value(queries.oldest_unsealed)
    return found


async def count_seals(conn: Connection) -> int:
    """How many seals a verification has before it."""
    return int(await conn.value(queries.count_seals))


def _how_many(seals: Sequence[Row], entries: int) -> int:
    """How many of these seals cover about so many entries: at least one."""
    total = 0
    for at, row in enumerate(seals):
        total += row["entries"]
        if total >= entries:
            return at + 1
    return len(seals)


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
