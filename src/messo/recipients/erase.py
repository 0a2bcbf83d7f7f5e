"""Erasing a citizen: everything about them goes, in two steps.

The first removes all there is, in one transaction under the citizen's lock. What another
transaction was writing at that moment cannot be seen by it; the second step, later than any such
transaction lives, removes what was accepted before the first, and then the request itself.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from messo import login
from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.operations import record
from messo.recipients import data_requests, feed
from messo.recipients.data_requests import Job
from messo.recipients.profile import lock_profile, queries

# `eraser(conn, fiscal_code, before)`: a higher room forgets what it got before that moment.
Eraser = Callable[[Connection, str, datetime], Awaitable[None]]

LEASE = timedelta(minutes=15)
SWEEP_AFTER = timedelta(minutes=5)  # no transaction of ours lives longer (statements: 60 s)


async def erase(
    conn: Connection, job: Job, erasers: Sequence[Eraser], secrets: Secrets, actor: str
) -> bool:
    """The first step; False if the request is another worker's by now.

    The feed keeps its entries, which are hashes, and says that this citizen is gone. The audit
    log says that somebody was erased, by keyed hash.
    """
    fiscal_code, bucket = job.fiscal_code, job.bucket
    profile = await lock_profile(conn, fiscal_code)
    if not await data_requests.hold(conn, job, LEASE):
        return False
    now = clock.now()
    for eraser in erasers:
        await eraser(conn, fiscal_code, now)
    await login.erase(conn, fiscal_code)
    for statement in (
        queries.erase_preferences,
        queries.erase_changes,
        queries.erase_installations,
        queries.drop_validation,
        queries.erase_requests,
        queries.drop_archive,
    ):
        await conn.run(statement, bucket=bucket, fiscal_code=fiscal_code)
    await conn.run(queries.erase_activations, bucket=bucket, fiscal_code=fiscal_code, before=now)
    if profile is not None:
        if profile.email is not None:
            address = profile.email.lower()
            await conn.run(
                queries.release_email,
                bucket=conn.bucket(address),
                email=address,
                fiscal_code=fiscal_code,
            )
        await conn.run(queries.delete_profile, bucket=bucket, fiscal_code=fiscal_code)
        await feed.drop_services(conn, fiscal_code)
        await feed.enter_profile(conn, fiscal_code, subscribed=False)
    await record(conn, actor, "citizen.erase", secrets.keyed_hash(fiscal_code))
    await data_requests.await_sweep(conn, job, now, now + SWEEP_AFTER)
    return True


async def sweep(conn: Connection, job: Job, erasers: Sequence[Eraser]) -> bool:
    """The second step; False if the request is another worker's by now, or not erased yet.

    Who has enrolled again meanwhile keeps what is theirs since then.
    """
    fiscal_code, bucket = job.fiscal_code, job.bucket
    profile = await lock_profile(conn, fiscal_code)
    if job.erased_at is None or not await data_requests.hold(conn, job, LEASE):
        return False
    for eraser in erasers:
        await eraser(conn, fiscal_code, job.erased_at)
    await conn.run(
        queries.erase_activations, bucket=bucket, fiscal_code=fiscal_code, before=job.erased_at
    )
    if profile is None:
        await login.erase(conn, fiscal_code)  # a login that was under way
    await data_requests.forget(conn, job)
    return True


async def erase_now(
    conn: Connection, fiscal_code: str, erasers: Sequence[Eraser], secrets: Secrets, actor: str
) -> None:
    """An operator's erasure: the first step at once, the second by a worker five minutes later.

    `Problem` 409 if this citizen is erased already and only the second step is due.
    """
    await lock_profile(conn, fiscal_code)
    job = await data_requests.begin_erasure(conn, fiscal_code, LEASE)
    await erase(conn, job, erasers, secrets, actor)
