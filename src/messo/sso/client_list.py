"""All relying parties of an institution, a page at a time: for people."""

from collections.abc import Sequence

from messo.base.db import Connection, Row
from messo.sso.clients import queries


async def page_of(
    conn: Connection, institution_id: str, after: str, limit: int
) -> tuple[Sequence[Row], str]:
    """So many after this id; and the id after which the next page comes, or "".

    `id`, `service_id`, `service_name`, `environment`, `redirects`, `auth_method`, `created_at` and
    `changed_at` of each.
    """
    rows = await conn.rows(
        queries.page_of_clients, institution_id=institution_id, after=after, limit=limit + 1
    )
    shown = rows[:limit]
    return shown, shown[-1]["id"] if len(rows) > limit else ""
