"""Institutions as operators look for them: by name, with how much of each there is."""

from collections.abc import Sequence

from messo.base.db import Connection, Row
from messo.base.parameters import storable
from messo.people.sessions import queries

_LONGEST = 200  # characters of a search


async def list_institutions(
    conn: Connection, search: str, *, suspended: bool, after: str, limit: int
) -> Sequence[Row]:
    """A page, by name. `search`: a part of the name, or how the fiscal code begins.

    `suspended`: only those. `after`: the id of the last one seen; behind an unknown one there is
    none. `id`, `fiscal_code`, `name`, `email`, `suspended_at`, `created_at`, and the numbers of
    `services` and `people`.
    """
    if not storable(search) or not storable(after):
        return []
    return await conn.rows(
        queries.page_of_institutions,
        search=search[:_LONGEST],
        suspended=suspended,
        after=after,
        limit=limit,
    )
