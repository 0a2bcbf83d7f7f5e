"""The people of an institution, a page at a time: for its admins."""

from collections.abc import Sequence

from messo.base.db import Connection, Row
from messo.base.http import Problem
from messo.base.parameters import storable
from messo.people.sessions import queries


async def page_of(
    conn: Connection, institution_id: str, after: str, limit: int
) -> tuple[Sequence[Row], str]:
    """So many after this id, in the order they came; and the id before the next page, or "".

    `id`, `login`, `name`, `email`, `role`, `added_at` of each.
    """
    rows = await conn.rows(
        queries.page_of_members, institution_id=institution_id, after=after, limit=limit + 1
    )
    shown = rows[:limit]
    return shown, shown[-1]["id"] if len(rows) > limit else ""


async def find(conn: Connection, institution_id: str, member_id: str) -> Row:
    """The same of one. `Problem` 404 if the institution has nobody with this id."""
    row = None
    if storable(member_id):
        row = await conn.row(queries.read_member, id=member_id, institution_id=institution_id)
    if row is None:
        raise Problem(404, "Not found", "Your institution has nobody with this id.")
    return row
