"""All configurations of an institution, a page at a time: for people."""

from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.content import wire
from messo.content.configurations import queries, shown


async def page_of(
    conn: Connection, secrets: Secrets, institution_id: str, after: str, limit: int
) -> tuple[list[wire.Configuration], str]:
    """So many after this id, oldest first; and the id after which the next page comes, or ""."""
    rows = await conn.rows(
        queries.page_of_configurations, institution_id=institution_id, after=after, limit=limit + 1
    )
    found = [shown(secrets, row) for row in rows[:limit]]
    return found, found[-1].configuration_id if len(rows) > limit else ""
