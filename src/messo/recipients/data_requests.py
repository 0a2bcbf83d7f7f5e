"""What a citizen asks to be done with their data: have it, or be erased. Contract §9.

(none, CLOSED, FAILED, ABORTED) → PENDING → WIP → CLOSED or FAILED; PENDING → ABORTED for an
erasure that is not due yet. Carried out by `carry_out.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Row
from messo.base.http import Problem
from messo.recipients.profile import lock_enrolled, queries

Choice = Literal["DOWNLOAD", "DELETE"]
Status = Literal["PENDING", "WIP", "CLOSED", "FAILED", "ABORTED"]

ATTEMPTS = 10  # then it is FAILED, for operators to look at


@dataclass(frozen=True)
class DataRequest:
    """The latest wish of one kind. `due_at`: when it is carried out, while it is PENDING."""

    choice: Choice
    status: Status
    version: int
    created_at: datetime
    updated_at: datetime
    due_at: datetime


@dataclass(frozen=True)
class Job:
    """A request that one worker carries out. `attempts` tells it from the next one's claim."""

    bucket: int
    fiscal_code: str
    choice: Choice
    attempts: int
    erased_at: datetime | None


async def ask(conn: Connection, fiscal_code: str, choice: Choice, due: datetime) -> DataRequest:
    """Keep a citizen's wish, to be carried out once due.

    `Problem` 404 without a profile, 409 while the same wish is waiting or being carried out.
    """
    await lock_enrolled(conn, fiscal_code)
    row = await conn.row(
        queries.ask_request,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        choice=choice,
        due=due,
        now=clock.now(),
    )
    if row is None:
        raise Problem(409, "Conflict", "You have asked for this already, and it is not done yet.")
    return DataRequest(**row)


async def state(conn: Connection, fiscal_code: str, choice: Choice) -> DataRequest | None:
    """The latest wish of this kind, or None."""
    row = await conn.row(
        queries.read_request,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        choice=choice,
    )
    return None if row is None else DataRequest(**row)


async def abort(conn: Connection, fiscal_code: str, choice: Choice) -> DataRequest:
    """Take back the wish to be erased, while it waits.

    `Problem` 404 where there is none, 409 where it cannot be taken back any more, or is none that
    can be.
    """
    row = await conn.row(
        queries.abort_request,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        choice=choice,
        now=clock.now(),
    )
    if row is not None:
        return DataRequest(**row)
    if await state(conn, fiscal_code, choice) is None:
        raise Problem(404, "Not found", "You have not asked for this.")
    raise Problem(409, "Conflict", "Only an erasure that has not begun can be taken back.")


async def claim(conn: Connection, lease: timedelta) -> Job | None:
    """The next request that is due, now WIP; others leave it alone for the lease.

    An attempt is counted when it begins: a worker that dies in it has used it up. One that has
    used up all is FAILED.
    """
    now = clock.now()
    for bucket in range(conn.buckets):
        await conn.run(queries.give_up_requests, bucket=bucket, now=now, attempts=ATTEMPTS)
        row = await conn.row(queries.claim_request, bucket=bucket, now=now, until=now + lease)
        if row is not None:
            return Job(bucket=bucket, **row)
    return None


async def hold(conn: Connection, job: Job, lease: timedelta) -> bool:
    """Lock a claimed request and renew the lease; False if it is no longer this worker's."""
    return bool(await conn.run(queries.hold_request, until=clock.now() + lease, **_key(job)))


async def close(conn: Connection, job: Job) -> None:
    """It is done."""
    await conn.run(queries.close_request, now=clock.now(), **_key(job))


async def put_off(conn: Connection, job: Job, delay: timedelta) -> None:
    """It failed, and is tried again after the delay."""
    await conn.run(queries.put_off_request, due=clock.now() + delay, **_key(job))


async def await_sweep(conn: Connection, job: Job, erased_at: datetime, due: datetime) -> None:
    """The citizen is erased; what was under way then is swept once due."""
    await conn.run(queries.await_sweep, erased_at=erased_at, due=due, **_key(job))


async def forget(conn: Connection, job: Job) -> None:
    """The last trace of an erased citizen."""
    await conn.run(queries.forget_request, **_key(job))


async def begin_erasure(conn: Connection, fiscal_code: str, lease: timedelta) -> Job:
    """An operator's erasure: a request that is being carried out from the start."""
    now, bucket = clock.now(), conn.bucket(fiscal_code)
    row = await conn.row(
        queries.begin_erasure, bucket=bucket, fiscal_code=fiscal_code, now=now, until=now + lease
    )
    if row is None:
        raise Problem(409, "Conflict", "This citizen is being erased.")
    return Job(bucket=bucket, **row)


async def count_requests(conn: Connection) -> Sequence[Row]:
    """How many requests there are: choice, status, requests, oldest (of the last change)."""
    return await conn.rows(queries.count_requests)


async def failed_requests(
    conn: Connection, secrets: Secrets, limit: int
) -> list[dict[str, object]]:
    """Requests that were given up: citizen (keyed hash), choice, attempts, updated_at."""
    rows = await conn.rows(queries.failed_requests, limit=limit)
    return [
        {
            "citizen": secrets.keyed_hash(row["fiscal_code"]),
            "choice": row["choice"],
            "attempts": row["attempts"],
            "updated_at": row["updated_at"],
        }
        for row in rows
    ]


def _key(job: Job) -> dict[str, object]:
    return {
        "bucket": job.bucket,
        "fiscal_code": job.fiscal_code,
        "choice": job.choice,
        "attempts": job.attempts,
    }
