"""What each citizen changed, for their own eyes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from messo.base import clock
from messo.base.db import Connection, Row
from messo.base.ids import new_id
from messo.recipients.profile import queries

Changed = Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Note:
    """One line of the history. `changed`: by name, what it was and what it is."""

    kind: str
    changed: Changed = field(default_factory=dict)
    service_id: str = ""


async def note(conn: Connection, fiscal_code: str, notes: Sequence[Note]) -> None:
    """Add to a citizen's history, in the transaction of the change."""
    if not notes:
        return
    await conn.run(
        queries.note_changes,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        now=clock.now(),
        ids=[new_id() for _ in notes],
        kinds=[one.kind for one in notes],
        service_ids=[one.service_id for one in notes],
        details=[msgspec.json.encode(one.changed).decode() for one in notes],
    )


async def history(
    conn: Connection, fiscal_code: str, limit: int = 100, before: str | None = None
) -> Sequence[Row]:
    """A citizen's changes, newest first: id, at, kind, service_id, service_name, detail.

    `kind` is "enrolled", "service", or the name of what changed in the profile. `detail` maps names
    to [what it was, what it is]. `service_id` is empty and `service_name` None where no service is
    meant. `before`: only those older than this id.
    """
    rows = await conn.rows(
        queries.read_changes,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        limit=limit,
        before=before,
    )
    return [{**row, "detail": msgspec.json.decode(row["detail"])} for row in rows]
