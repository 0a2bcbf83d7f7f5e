"""Postal accounts: where notices can be paid at a post office, if their service has registered one."""

from messo.base.db import Connection, Row
from messo.payments.ledger import queries


async def postal_account(conn: Connection, service_id: str) -> Row | None:
    """`postal_account` and `payee` (whose it is) of this service; None if it has registered none."""
    return await conn.row(queries.postal_account, id=service_id)
