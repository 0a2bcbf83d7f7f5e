"""What operators decide over the API: what an institution may do, and what is suspended.

Asking for what is so already changes nothing and is not recorded again. Whatever changes is seen by
every process within a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from messo.base.db import Connection, Row
from messo.base.http import Problem
from messo.base.parameters import storable
from messo.operations import record
from messo.services.permissions import Permission
from messo.services.services import changed, queries, suspend_institution, suspend_service

Kind = Literal["institution", "service"]


@dataclass(frozen=True)
class Permitted:
    """What an institution may do now, and what is new of it. All sorted."""

    permissions: list[str]
    added: list[str]
    removed: list[str]


async def set_permissions(
    conn: Connection, actor: str, institution_id: str, permissions: Sequence[str]
) -> Permitted:
    """Let an institution do exactly this.

    `Problem` 400 naming what is no permission, 404 for an unknown institution.
    """
    unknown = sorted(set(permissions) - set(Permission))
    if unknown:
        named = ", ".join(name[:60] for name in unknown[:10])
        raise Problem(
            400,
            "Bad request",
            f"There is no permission {named}. There are: {', '.join(Permission)}.",
            field="permissions",
        )
    row = await _lock(conn, "institution", institution_id)
    before, after = set(row["permissions"]), set(permissions)
    found = Permitted(sorted(after), sorted(after - before), sorted(before - after))
    if before != after:
        await conn.run(queries.set_permissions, id=institution_id, permissions=found.permissions)
        await changed(conn)
        told = {"added": found.added, "removed": found.removed}
        await record(conn, actor, "institution.permissions", institution_id, **told)
    return found


async def suspend(conn: Connection, actor: str, kind: Kind, wanted: str, reason: str) -> bool:
    """Refuse all keys of an institution or a service; False if they are refused already.

    `Problem` 404 for an unknown one. `reason` is for the audit log.
    """
    return await _set_suspended(conn, actor, kind, wanted, suspend=True, reason=reason)


async def restore(conn: Connection, actor: str, kind: Kind, wanted: str, reason: str = "") -> bool:
    """Accept its keys again; False if they are. `Problem` 404 for an unknown one."""
    return await _set_suspended(conn, actor, kind, wanted, suspend=False, reason=reason)


async def _set_suspended(
    conn: Connection, actor: str, kind: Kind, wanted: str, *, suspend: bool, reason: str
) -> bool:
    row = await _lock(conn, kind, wanted)
    if (row["suspended_at"] is not None) is suspend:
        return False
    change = suspend_institution if kind == "institution" else suspend_service
    await change(conn, actor, wanted, suspend=suspend, reason=reason)
    return True


async def _lock(conn: Connection, kind: Kind, wanted: str) -> Row:
    row = None
    if storable(wanted):
        statement = queries.lock_institution if kind == "institution" else queries.lock_service
        row = await conn.row(statement, id=wanted)
    if row is None:
        raise Problem(404, "Not found", f"There is no such {kind}.")
    return row
