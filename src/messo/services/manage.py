"""Making, changing, listing and deleting services, as institutions do."""

from collections.abc import Sequence

from messo.base.crypto import Secrets
from messo.base.db import Connection, Row
from messo.base.http import Problem
from messo.base.ids import new_id
from messo.operations import record
from messo.services import groups, keys, owned, payload, versions
from messo.services import manage_wire as wire
from messo.services.directory import Manager
from messo.services.payload import Data
from messo.services.services import insert_service, queries


async def create(
    conn: Connection,
    secrets: Secrets,
    manager: Manager,
    data: Data,
    repeatable: str | None = None,
) -> Row:
    """A new service, a draft, with its keys; or the one made before under the same key.

    `repeatable`: the Idempotency-Key. `Problem` 422 for one that stands for something else.
    """
    digest = secrets.keyed_digest(payload.stored(data)) if repeatable else None
    await conn.row(queries.hold_institution, id=manager.institution_id)
    await groups.hold_own(conn, manager)
    if repeatable and (first := await _repeated(conn, manager, repeatable)):
        if first["idempotency_digest"] == digest:
            await owned.find_own(conn, manager, first["id"])  # it may be in another group by now
            return first
        raise Problem(
            422,
            "Idempotency key reused",
            "This Idempotency-Key was used for another service. Use a new key for a new one.",
            field="Idempotency-Key",
        )
    service = new_id()
    await insert_service(
        conn,
        service,
        manager.institution_id,
        data,
        actor=manager.actor,
        state="draft",
        group_id=manager.group_id,
        idempotency=(repeatable, digest) if repeatable else (None, None),
    )
    await keys.create_pair(conn, secrets, manager.actor, manager.institution_id, service)
    await record(conn, manager.actor, "service.create", service, institution=manager.institution_id)
    return await owned.find_own(conn, manager, service)


async def _repeated(conn: Connection, manager: Manager, key: str) -> Row | None:
    """What was made under this key, as it was then."""
    return await conn.row(
        queries.find_repeated, institution_id=manager.institution_id, idempotency_key=key
    )


async def edit(
    conn: Connection, manager: Manager, service_id: str, data: Data, version: int | None
) -> Row:
    """Replace the working version; the service as it is now.

    One that was never approved is live at once, for its authorized recipients alone.
    `Problem` 409 while it is reviewed or once it is deleted; what `owned.hold` raises.
    """
    held = await owned.hold(conn, manager, service_id, version)
    await versions.move(conn, held, "edit", actor=manager.actor, data=data)
    if held["state"] == "draft":
        await versions.write_live(conn, service_id, "draft", data, manager.actor)
    await record(conn, manager.actor, "service.edit", service_id)
    return await owned.find_own(conn, manager, service_id)


async def delete(conn: Connection, manager: Manager, service_id: str, version: int | None) -> None:
    """Delete a service for good: its keys die within a second, its messages stay.

    `Problem` 409 while it is reviewed or if it is deleted; what `owned.hold` raises.
    """
    held = await owned.hold(conn, manager, service_id, version)
    await versions.move(conn, held, "delete", actor=manager.actor)
    await versions.set_live_state(conn, held, "deleted", manager.actor)
    await record(conn, manager.actor, "service.delete", service_id)


async def list_page(conn: Connection, manager: Manager, limit: int, offset: int) -> Sequence[Row]:
    """A page of the services of an institution or of a group, the oldest first, deleted ones too."""
    asked = {
        "institution_id": manager.institution_id,
        "first": offset,
        "end": offset + limit,
    }
    if manager.group_id is None:
        return await conn.rows(queries.list_services_of_institution, **asked)
    return await conn.rows(queries.list_services_of_group, group_id=manager.group_id, **asked)


async def history(
    conn: Connection,
    manager: Manager,
    service_id: str,
    *,
    ascending: bool,
    limit: int,
    beyond: int | None,
) -> tuple[list[wire.HistoryItem], int | None]:
    """A page of what became of a service, and where the next one begins, if there is more.

    `beyond`: the number of the last item of the page before.
    """
    found = await owned.find_live(conn, manager, service_id)
    statement = queries.history_up if ascending else queries.history_down
    rows = await conn.rows(statement, id=service_id, beyond=beyond, limit=limit + 1)
    page = rows[:limit]
    more = page[-1]["number"] if len(rows) > limit else None
    return [versions.item(found, row) for row in page], more
