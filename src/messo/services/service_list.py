"""An institution's services as its people look for them: by name, by state, by what waits."""

from collections.abc import Sequence
from typing import Literal, get_args

from messo.base.db import Connection, Row
from messo.base.parameters import storable
from messo.services.services import queries

# `yours`: what waits for the institution: rejected, or approved and not released. "": not deleted.
Chosen = Literal[
    "", "yours", "draft", "submitted", "published", "unpublished", "suspended", "deleted"
]
CHOICES: tuple[Chosen, ...] = get_args(Chosen)
_LONGEST = 200  # characters of a search


async def list_by_name(
    conn: Connection,
    institution_id: str,
    *,
    chosen: Chosen,
    words: str,
    group_id: str | None,
    after: str,
    limit: int,
) -> Sequence[Row]:
    """A page of services. `words`: a part of the name, or an id; `after`: the id of the last one seen.

    `id`, `name`, `state` and `suspended_at` of the live version, `status`, `waits`, `reason` and
    `changed_at` of the working one, `group_id` and `group_name`.
    """
    place = await _place(conn, institution_id, after) if after else ""
    return await conn.rows(
        queries.list_services_by_name,
        institution_id=institution_id,
        chosen=chosen,
        words=words[:_LONGEST] if storable(words) else "",
        group_id=group_id,
        after_name=place,
        after_id=after if place else "",
        limit=limit,
    )


async def count_waiting(conn: Connection, institution_id: str) -> tuple[int, int]:
    """How many services there are, and how many of them wait for the institution."""
    row = await conn.row(queries.count_waiting, institution_id=institution_id)
    return (int(row["all"]), int(row["yours"])) if row else (0, 0)


async def list_history(
    conn: Connection, service_id: str, beyond: int | None, limit: int
) -> Sequence[Row]:
    """What became of a service, the newest first, from below the number `beyond`.

    `number`, `kind` and `value` as the API has them, `reason`, `at`; `actor`: who did it, None for
    what is older than we note it.
    """
    return await conn.rows(queries.list_history, id=service_id, beyond=beyond, limit=limit)


async def _place(conn: Connection, institution_id: str, service_id: str) -> str:
    """How the list sorts this service; empty, which is the beginning, for an unknown one."""
    if not storable(service_id):
        return ""
    found = await conn.value(queries.sorted_as, id=service_id, institution_id=institution_id)
    return str(found or "")
