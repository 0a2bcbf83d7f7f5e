"""Whose service is this? Another institution's is answered as one that does not exist.

A row that is found here has all of a service: `id`, `institution_id`, `institution_name`,
`fiscal_code`, `group_id`; of the working version `status`, `reason`, `data`, `version`,
`changed_at`, `auto_publish`, `waits`; of the live one `state`, `suspended_at`, `live_at` and its
columns.
"""

from messo.base.db import Connection, Row
from messo.base.http import Problem
from messo.base.parameters import storable
from messo.services.directory import Manager
from messo.services.services import queries


async def find(conn: Connection, service_id: str) -> Row | None:
    """A service, whoever owns it; None if there is none."""
    return await conn.row(queries.find_service, id=service_id) if storable(service_id) else None


async def find_held(conn: Connection, service_id: str) -> Row | None:
    """The same, and nobody else changes it until this transaction ends."""
    if storable(service_id):
        await conn.row(queries.hold_service, id=service_id)
    return await find(conn, service_id)


async def find_own(conn: Connection, manager: Manager, service_id: str) -> Row:
    """A service that this key or person manages, deleted or not.

    `Problem` 404 if there is none or it is another institution's, 403 if another group's.
    """
    return _own(await find(conn, service_id), manager, service_id)


async def find_live(conn: Connection, manager: Manager, service_id: str) -> Row:
    """The same for a service that is not deleted. `Problem` 404 if it is."""
    row = await find_own(conn, manager, service_id)
    if row["status"] == "deleted":
        raise no_item(service_id)
    return row


async def hold(
    conn: Connection, manager: Manager, service_id: str, version: int | None = None
) -> Row:
    """The same, deleted or not, and nobody else changes it until this transaction ends.

    `version`: which one whoever asks has seen; `Problem` 412 if it is another by now.
    """
    found = _own(await find_held(conn, service_id), manager, service_id)
    if version is not None and version != found["version"]:
        raise Problem(
            412,
            "Precondition failed",
            "The service was changed since you read it: read it again, then decide.",
            field="If-Match",
        )
    return found


def not_found(service_id: str) -> Problem:
    """404: there is none, or it is another institution's."""
    return Problem(404, "Not found", f"{service_id} not found")


def no_item(service_id: str, why: str = "it is deleted") -> Problem:
    """404 for what the service does not have, or no longer."""
    return Problem(404, "Not found", f"no item with id {service_id} found: {why}")


def _own(row: Row | None, manager: Manager, service_id: str) -> Row:
    if row is None or row["institution_id"] != manager.institution_id:
        raise not_found(service_id)
    if manager.group_id is not None and row["group_id"] != manager.group_id:
        raise Problem(
            403,
            "User has no valid scopes",
            "This key is of a group that the service is not in. Use a key of its own group, "
            "or one of the whole institution.",
        )
    return row
