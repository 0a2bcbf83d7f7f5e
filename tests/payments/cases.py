"""What the tests of this room share: notices never seen before, and looks at what is stored."""

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import Any

from messo.base import clock
from messo.base.db import Pool
from messo.payments import Known, Notice, ledger
from messo.payments.ledger import Seen, Source, State
from messo_client import notices
from tests.messages.mail import Mail
from tests.world import AUTO, Caller

_NUMBERS = count(1)
PAYEE = "00000000001"  # Anna's institution


def fresh(payee: str = PAYEE) -> Notice:
    """A notice that nobody has seen yet, with the right check digits."""
    return Notice(payee, notices.make(f"{next(_NUMBERS):013d}", code="02"))


def payment(notice: Notice, amount: int = 12_345) -> dict[str, Any]:
    """As it stands in a message's `payment_data`."""
    return {
        "amount": amount,
        "notice_number": notice.number,
        "payee": {"fiscal_code": notice.payee},
    }


async def send(mail: Mail, caller: Caller, notice: Notice, to: str = AUTO, **content: Any) -> str:
    """A decided message with this notice, which is in the ledger; the message's id."""
    data = payment(notice, content.pop("amount", 12_345))
    return await mail.send(caller, to, "ADVANCED", payment_data=data, **content)


def said(notice: Notice, state: State | None, source: Source = "node", **more: Any) -> Seen:
    """Something seen of it just now."""
    at = more.pop("at", None) or clock.now()
    return Seen(notice, state, source, more.pop("code", "CODE"), at, **more)


async def record(pool: Pool, *seen: Seen) -> dict[Notice, Known]:
    async with pool.transaction() as conn:
        return await ledger.record(conn, seen)


async def record_paid(pool: Pool, *seen: Seen) -> int:
    async with pool.transaction() as conn:
        return await ledger.record_paid(conn, seen)


async def known(pool: Pool, notice: Notice) -> Known | None:
    async with pool.connection() as conn:
        return (await ledger.read(conn, [notice])).get(notice)


async def items(pool: Pool, step: str, references: Sequence[str]) -> list[str]:
    """The references of this step's work items among these, sorted, each as often as it waits."""
    sql = "SELECT reference FROM work.item WHERE step = $1 AND reference = ANY($2) ORDER BY 1"
    return [row["reference"] for row in await rows(pool, sql, step, list(references))]


async def sweep_of(pool: Pool, notice: Notice) -> Any:
    """When the sweep takes this notice."""
    sql = "SELECT sweep_at FROM payments.notice WHERE payee = $1 AND number = $2"
    (row,) = await rows(pool, sql, notice.payee, notice.number)
    return row["sweep_at"]


async def rows(pool: Pool, sql: str, *values: Any) -> list[dict[str, Any]]:
    async with pool.connection() as conn:
        return [dict(row) for row in await conn.raw.fetch(sql, *values)]


async def execute(pool: Pool, sql: str, *values: Any) -> None:
    async with pool.transaction() as conn:
        await conn.raw.execute(sql, *values)


async def lock_waits(pool: Pool) -> int:
    """Statements of this database that wait for a lock of another."""
    sql = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return int((await rows(pool, sql))[0]["count"])


async def until_one_waits(pool: Pool, task: "asyncio.Task[Any]") -> None:
    """Until a statement waits for a lock; `task` is what it belongs to."""
    async with asyncio.timeout(20):
        while not await lock_waits(pool):
            assert not task.done(), "it did not wait for the other transaction"
            await asyncio.sleep(0.01)
