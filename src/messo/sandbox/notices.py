"""What the sandbox's payment node knows of notices, and what it tells of those that are paid."""

from datetime import datetime
from typing import Any

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.sql import Queries
from messo.payments import Notice, intake
from messo.sandbox.fiscal_codes import MAGIC
from messo.sandbox.payment_node import Known, Lookup, Tell

queries = Queries("messo.sandbox")


def teller(pool: Pool, secrets: Secrets) -> Tell:
    """The node's events come in as they do elsewhere, only without the way over the network."""

    async def tell(event: dict[str, Any]) -> None:
        async with pool.transaction() as conn:
            await intake.take(conn, secrets, [event])

    return tell


def lookup(pool: Pool) -> Lookup:
    """What the node asks: a notice as the newest message with it describes it."""

    async def find(rpt_id: str) -> Known | None:
        notice = Notice.of_rpt_id(rpt_id)
        if notice is None:
            return None
        async with pool.connection() as conn:
            row = await conn.row(
                queries.find_notice,
                payee=notice.payee,
                number=notice.number,
                buckets=[conn.bucket(rpt_id)],
                pays_at_once=MAGIC["pays_at_once"],
            )
        if row is None:
            return None
        due: datetime | None = row["due_at"]
        return Known(
            row["amount"],
            row["payee_name"],
            row["subject"],
            clock.day_in_rome(due) if due else None,
            row["is_paid_at_once"],
        )

    return find
