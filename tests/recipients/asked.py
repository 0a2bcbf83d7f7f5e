"""Carrying out what citizens asked, one transaction at a time, as the worker does."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.messages import archive, mailbox
from messo.notifications import upkeep
from messo.recipients.archive import Letters
from messo.recipients.carry_out import CarryOut
from messo.recipients.erase import Eraser

DAYS = timedelta(days=7)


def worker(
    secrets: Secrets, letters: Letters = archive.letters, erasers: Sequence[Eraser] | None = None
) -> CarryOut:
    """A worker of the step, with the real messages unless told otherwise."""
    forget = [mailbox.erase] if erasers is None else erasers
    return CarryOut(letters, upkeep.export(secrets), forget, secrets, DAYS)


async def once(pool: Pool, step: CarryOut) -> bool:
    """One transaction of it."""
    async with pool.transaction() as conn:
        return await step.run(conn)


async def until_idle(pool: Pool, step: CarryOut) -> int:
    """All that is due; how many transactions it took."""
    count = 1
    while await once(pool, step):
        count += 1
        assert count < 10_000
    return count


async def make_due(pool: Pool, fiscal_code: str) -> None:
    """The waiting period, the lease or the delay is over."""
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE recipients.data_request SET due_at = now() - interval '1 second' "
            "WHERE fiscal_code = $1",
            fiscal_code,
        )


async def requests_of(pool: Pool, fiscal_code: str) -> dict[str, Any]:
    """Status and attempts, by choice."""
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT choice, status, attempts FROM recipients.data_request WHERE fiscal_code = $1",
            fiscal_code,
        )
    return {row[0]: (row[1], row[2]) for row in rows}


async def broken(conn: Connection, fiscal_code: str, *_: Any) -> Any:
    """What a higher room does when it cannot: with a statement that the server refuses."""
    await conn.raw.execute("SELECT 1 / 0")
