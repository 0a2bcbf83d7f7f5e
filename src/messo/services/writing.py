"""Which services can write, for somebody who chooses one to write for."""

from messo.base.db import Connection
from messo.services.listed import ServiceName
from messo.services.services import queries


async def services_that_write(
    conn: Connection, institution_id: str, limit: int
) -> list[ServiceName]:
    """So many of the services whose messages are taken now, by name."""
    rows = await conn.rows(queries.services_that_write, institution_id=institution_id, limit=limit)
    return [ServiceName(**row) for row in rows]
