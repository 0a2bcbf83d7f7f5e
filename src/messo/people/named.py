"""Who and what the audit log speaks of, by their names: for operators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from messo.base.db import Connection
from messo.people.sessions import queries


@dataclass(frozen=True)
class Named:
    """A member, service or institution as it is called now, and the institution it is of."""

    kind: Literal["member", "service", "institution"]
    name: str
    institution_id: str
    institution_name: str


async def named(conn: Connection, ids: Sequence[str]) -> Mapping[str, Named]:
    """Of these ids, those of members, services and institutions that there are."""
    rows = await conn.rows(queries.named, ids=sorted(set(ids)))
    return {row["id"]: Named(**{k: v for k, v in row.items() if k != "id"}) for row in rows}
