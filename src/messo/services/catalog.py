"""The catalogue: which services there are, and what a citizen may know of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from messo.base.db import Connection, Row
from messo.base.parameters import storable
from messo.services import contacts
from messo.services.services import queries
from messo.services.topics import BY_ID, OTHER, Topic

_LONGEST = 200  # characters of a search that are looked at
_MOST_WORDS = 8
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
    institution_id: str
    institution_name: str
    fiscal_code: str
    version: int
    topic: Topic
    metadata: dict[str, str]


async def read_service(
    conn: Connection, service_id: str, reader: str | None = None
) -> Service | None:
    """One service, listed or not; None if it is unknown, deleted or suspended.

    `reader`: the fiscal code of whoever looks; a draft is for its authorized recipients alone,
    because nobody has reviewed it. Without: of somebody who has a message of it.
    """
    if not storable(service_id):
        return None
    row = await conn.row(queries.read_service, id=service_id, reader=reader)
    if row is None:
        return None
    stored = msgspec.json.decode(row["metadata"])
    return Service(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        department=row["department"],
        category=row["category"],
        institution_id=row["institution_id"],
        institution_name=row["institution_name"],
        fiscal_code=row["fiscal_code"],
        version=row["version"],
        topic=topic_of(row["topic_id"]),
        metadata={name: stored.get(name, "") for name in contacts.NAMES},
    )


def topic_of(topic_id: int | None) -> Topic:
    """The topic of this number; who never named one, or an unknown one, is with the others."""
    return BY_ID.get(OTHER.id if topic_id is None else topic_id, OTHER)


async def search_services(
    conn: Connection, text: str, limit: int, offset: int, topic: int | None = None
) -> Sequence[Row]:
    """Published services, by institution and name, in whose names each word of `text` occurs.

    `topic`: only those of this topic. `service_id`, `name`, `department`, `category`, `version`,
    `topic_id`, `institution_id`, `institution_name`, `fiscal_code`.
    """
    return await conn.rows(
        queries.search_services, words=_words(text), topic=topic, limit=limit, offset=offset
    )


async def count_by_topic(conn: Connection, text: str) -> dict[Topic, int]:
    """How many services `search_services` would find of each topic that has any, in their order."""
    rows = await conn.rows(queries.count_by_topic, words=_words(text))
    counts = dict.fromkeys(BY_ID.values(), 0)
    for row in rows:
        counts[topic_of(row["topic_id"])] += int(row["services"])
    return {topic: count for topic, count in counts.items() if count}


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


def _words(text: str) -> list[str]:
    """What a search looks for: every word costs a look at every service."""
    escaped = _clean(text).replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return list(dict.fromkeys(escaped.lower().split()))[:_MOST_WORDS]


def _clean(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text[:_LONGEST]).strip()
