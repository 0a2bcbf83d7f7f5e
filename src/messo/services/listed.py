"""An institution's services in short, for its people: names to choose among, and how many stand how."""

from collections.abc import Sequence
from dataclasses import dataclass

from messo.base.db import Connection
from messo.base.parameters import storable
from messo.services.services import queries

_LONGEST = 200  # characters of a name that are looked at
_MOST_WORDS = 8


@dataclass(frozen=True)
class ServiceName:
    """A service to choose. `state`: of the live version; deleted ones are there, too."""

    id: str
    name: str
    state: str


@dataclass(frozen=True)
class Standing:
    """How many of an institution's services there are, and how many of them stand how.

    `waiting`: approved and not released. `with_networks`: taken from a list of addresses only.
    `largest_amount`: euro cents, the most that any of them may ask for.
    """

    services: int
    drafts: int
    submitted: int
    rejected: int
    waiting: int
    suspended: int
    live: int
    with_networks: int
    largest_amount: int


async def names_of(conn: Connection, institution_id: str, limit: int) -> list[ServiceName]:
    """So many of its services, by name."""
    rows = await conn.rows(queries.names_of_services, institution_id=institution_id, limit=limit)
    return [ServiceName(**row) for row in rows]


async def find_named(
    conn: Connection, institution_id: str, text: str, limit: int
) -> Sequence[ServiceName]:
    """Those with this id, or with each word of the text in their name; none for an empty text."""
    if not storable(text):
        return []
    rows = await conn.rows(
        queries.services_named,
        institution_id=institution_id,
        id=text.strip(),
        words=_patterns(text),
        limit=limit,
    )
    return [ServiceName(**row) for row in rows]


async def find_name(conn: Connection, institution_id: str, service_id: str) -> ServiceName | None:
    """The one with this id; None for another institution's."""
    if not storable(service_id):
        return None
    row = await conn.row(queries.name_of_service, institution_id=institution_id, id=service_id)
    return None if row is None else ServiceName(**row)


async def standing(conn: Connection, institution_id: str) -> Standing:
    """How its services stand now."""
    row = await conn.row(queries.standing_of_services, institution_id=institution_id)
    assert row is not None, "a count has a row"  # noqa: S101
    return Standing(**row)


async def any_key_used(conn: Connection, institution_id: str) -> bool:
    """Whether a program has ever used a key of one of its services. For those with few of them."""
    return bool(await conn.value(queries.any_key_used, institution_id=institution_id))


def _patterns(text: str) -> list[str]:
    escaped = text[:_LONGEST].replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    words = list(dict.fromkeys(escaped.lower().split()))[:_MOST_WORDS]
    return [f"%{word}%" for word in words]
