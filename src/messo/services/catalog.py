"""The catalogue: which services there are, and what a citizen may know of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from messo.base.db import Connection, Row
from messo.base.parameters import storable
from messo.services import contacts
from messo.services.services import queries

_LONGEST = 200  # characters of a search that are looked at
_FEATURED = 5


@dataclass(frozen=True)
class Service:
    """A service as citizens see it. `fiscal_code` is its institution's.

    `metadata` has every name of the wire's that `contacts` knows; what is not known is "".
    """

    id: str
    name: str
    description: str
    department: str
    category: str
    institution_name: str
    fiscal_code: str
    version: int
    metadata: dict[str, str]


async def read_service(conn: Connection, service_id: str) -> Service | None:
    """One service, listed or not; None if it is unknown, deleted or suspended."""
    if not storable(service_id):
        return None
    row = await conn.row(queries.read_service, id=service_id)
    if row is None:
        return None
    stored = msgspec.json.decode(row["metadata"])
    return Service(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        department=row["department"],
        category=row["category"],
        institution_name=row["institution_name"],
        fiscal_code=row["fiscal_code"],
        version=row["version"],
        metadata={name: stored.get(name, "") for name in contacts.NAMES},
    )


async def search_services(conn: Connection, text: str, limit: int, offset: int) -> Sequence[Row]:
    """Published services, by institution and name, in whose names each word of `text` occurs.

    `service_id`, `name`, `department`, `category`, `description`, `institution_name`, `fiscal_code`.
    """
    return await conn.rows(
        queries.search_services, words=_clean(text).split(), limit=limit, offset=offset
    )


async def search_institutions(
    conn: Connection, text: str, limit: int, offset: int
) -> tuple[Sequence[Row], int]:
    """`fiscal_code` and `name` of institutions with published services, and how many there are."""
    search = _clean(text)
    rows = await conn.rows(queries.search_institutions, search=search, limit=limit, offset=offset)
    return rows, int(await conn.value(queries.count_institutions, search=search))


async def services_of(
    conn: Connection, fiscal_code: str, limit: int, offset: int
) -> tuple[Sequence[Row], int]:
    """`id`, `name`, `version` of an institution's published services, and how many there are."""
    rows = await conn.rows(
        queries.list_published, fiscal_code=fiscal_code, limit=limit, offset=offset
    )
    return rows, int(await conn.value(queries.count_published, fiscal_code=fiscal_code))


async def featured(conn: Connection) -> Sequence[Row]:
    """A handful of services to begin with: those for the whole country, then the newest."""
    return await conn.rows(queries.feature_services, limit=_FEATURED)


def _clean(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text[:_LONGEST]).strip()
