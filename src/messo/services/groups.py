"""Groups of an institution's services, each with manage keys of its own; and all lists of networks.

The caller has checked who asks: a master key, an administrator, an operator; `hold_own` and `among`
are for all. Whoever changes groups first locks their institution, then the group, then services.
"""

import unicodedata
from collections.abc import Sequence

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Row
from messo.base.http import Problem
from messo.base.ids import new_id
from messo.operations import record
from messo.services import cidrs, keys
from messo.services.authenticate import not_allowed
from messo.services.directory import Manager, is_within, networks_of
from messo.services.owned import hold, no_item
from messo.services.services import NotAcceptedError, changed, queries

MOST = 100  # of one institution
LONGEST_NAME = 100  # characters


async def create(
    conn: Connection, secrets: Secrets, manager: Manager, name: str, networks: Sequence[str]
) -> Row:
    """Make a group with its key pair; its row, as `read` has it.

    `Problem` 400 for a name or a list that breaks a rule, 409 for a name that is taken, or one
    group too many.
    """
    name = _checked(name, networks)
    await _lock_groups(conn, manager)
    fresh = new_id()
    created = await conn.run(
        queries.create_group,
        id=fresh,
        institution_id=manager.institution_id,
        name=name,
        authorized_cidrs=list(networks),
        most=MOST,
        now=clock.now(),
    )
    if not created:
        await _must_be_free(conn, manager, name, None)
        raise Problem(
            409,
            "Too many groups",
            f"An institution may have {MOST} groups. Delete one that is not needed.",
        )
    await record(
        conn,
        manager.actor,
        "group.create",
        fresh,
        institution=manager.institution_id,
        networks=len(networks),
    )
    await keys.create_pair(conn, secrets, manager.actor, manager.institution_id, None, fresh)
    return await read(conn, manager, fresh)


async def list_all(conn: Connection, manager: Manager) -> Sequence[Row]:
    """All groups of an institution, by name.

    Each has `id`, `name`, `authorized_cidrs`, `created_at` and how many `services` are in it.
    """
    return await conn.rows(queries.list_groups, institution_id=manager.institution_id, id=None)


async def read(conn: Connection, manager: Manager, group_id: str) -> Row:
    """One of them. `Problem` 404 for another institution's, as for none."""
    row = await conn.row(queries.list_groups, institution_id=manager.institution_id, id=group_id)
    if row is None:
        raise _no_group()
    return row


async def change(
    conn: Connection, manager: Manager, group_id: str, name: str, networks: Sequence[str]
) -> Row:
    """Replace its name and its list, in force within a second. `Problem` as `create` and `read`."""
    name = _checked(name, networks)
    await _lock_groups(conn, manager)
    before = await read(conn, manager, group_id)
    await _must_be_free(conn, manager, name, group_id)
    await conn.run(queries.change_group, id=group_id, name=name, authorized_cidrs=list(networks))
    await changed(conn)
    await record(
        conn,
        manager.actor,
        "group.change",
        group_id,
        renamed=name != before["name"],
        networks=len(networks),
    )
    return await read(conn, manager, group_id)


async def delete(conn: Connection, manager: Manager, group_id: str) -> None:
    """Delete an empty group; its keys die within a second. `Problem` 404, or 409 if it is not empty."""
    await _lock_groups(conn, manager)
    asked = {"id": group_id, "institution_id": manager.institution_id}
    if await conn.value(queries.lock_group, **asked) is None:
        raise _no_group()
    if (await read(conn, manager, group_id))["services"]:
        raise Problem(
            409, "Group not empty", "There are services in this group. Move them out of it first."
        )
    await conn.run(queries.forget_group_of_deleted, id=group_id)
    await conn.run(queries.forget_key_uses, owner=group_id, slot=None)
    await conn.run(queries.delete_group_keys, id=group_id)
    await conn.run(queries.delete_group, id=group_id)
    await changed(conn)
    await record(conn, manager.actor, "group.delete", group_id, institution=manager.institution_id)


async def move(conn: Connection, manager: Manager, service_id: str, group_id: str | None) -> None:
    """Put a service into a group, or, with None, out of every group; in force at once.

    `Problem` 404 for a service or a group that the institution does not have.
    """
    await _lock_groups(conn, manager)
    if group_id is not None and not await _hold(conn, manager.institution_id, group_id):
        raise _no_group()
    row = await hold(conn, manager, service_id)
    if row["group_id"] == group_id:
        return
    if not await conn.run(queries.put_group_of_service, id=service_id, group_id=group_id):
        raise no_item(service_id)
    await conn.run(
        queries.close_gap_in_group, group_id=row["group_id"], position=row["group_position"]
    )
    await record(
        conn, manager.actor, "service.group", service_id, group=group_id, before=row["group_id"]
    )


async def read_keys(
    conn: Connection, secrets: Secrets, manager: Manager, group_id: str | None
) -> dict[str, str]:
    """Both keys of a group, or the master keys: `{"primary", "secondary"}`. `Problem` 404."""
    if group_id is not None:
        await read(conn, manager, group_id)
    pair = await keys.read_pair(conn, secrets, group_id or manager.institution_id)
    if not pair:
        raise _no_keys()
    return pair


async def rotate(
    conn: Connection, secrets: Secrets, manager: Manager, group_id: str | None, slot: str
) -> dict[str, str]:
    """Replace one of these keys, which dies within a second; both, as they are now. `Problem` 404."""
    if group_id is not None:
        await read(conn, manager, group_id)
    try:
        await keys.rotate(conn, secrets, manager.actor, group_id or manager.institution_id, slot)
    except NotAcceptedError:
        raise _no_keys() from None
    return await read_keys(conn, secrets, manager, group_id)


async def read_networks(conn: Connection, manager: Manager) -> list[str]:
    """Where the master keys of an institution are taken from; an empty list: from anywhere."""
    found = await conn.value(queries.manage_networks, id=manager.institution_id)
    if found is None:
        raise _no_institution()
    return list(found)


async def put_networks(conn: Connection, manager: Manager, networks: Sequence[str]) -> list[str]:
    """Replace the list of the master keys, in force within a second; the list. `Problem` 400."""
    _check_networks(networks)
    before = await _lock_groups(conn, manager)
    if list(before) != list(networks):
        await conn.run(
            queries.put_manage_networks, id=manager.institution_id, authorized_cidrs=list(networks)
        )
        await changed(conn)
        await record(
            conn,
            manager.actor,
            "institution.networks",
            manager.institution_id,
            networks=len(networks),
            before=len(before),
        )
    return list(networks)


def must_reach(address: str | None, networks: Sequence[str]) -> None:
    """Refuse a list of the master keys that would shut out the very key that gives it.

    `address`: where its request comes from. `Problem` 400 for a bad list, 409 for such a one.
    """
    _check_networks(networks)
    if is_within(address, networks_of(networks)):
        return
    whence = f"Your request comes from {address}" if address else "Your address cannot be known"
    raise Problem(
        409,
        "You would shut yourself out",
        f"{whence}, and this list does not have it: this key would be refused from now on. Add the "
        "address, or ask from one that is in the list.",
        field="authorized_cidrs",
    )


async def hold_own(conn: Connection, manager: Manager) -> None:
    """Keep the group of this key until the transaction ends: a service is created in it.

    `Problem` 403 if it was deleted a moment ago, and the key with it.
    """
    group = manager.group_id
    if group is not None and not await _hold(conn, manager.institution_id, group):
        raise not_allowed("The group of this key has been deleted, and the key with it.")


async def among(conn: Connection, manager: Manager, service_ids: Sequence[str]) -> frozenset[str]:
    """Which of these services of its institution this manager may see: a group's key, its own."""
    if manager.group_id is None:
        return frozenset(service_ids)
    rows = await conn.rows(
        queries.services_in_group, ids=list(service_ids), group_id=manager.group_id
    )
    return frozenset(row["id"] for row in rows)


def _checked(name: str, networks: Sequence[str]) -> str:
    """The name as it is stored. `Problem` 400 for it, or for the list."""
    composed = unicodedata.normalize("NFC", name)
    # Controls, what nobody sees, and the ends of lines and paragraphs.
    hidden = any(
        unicodedata.category(sign)[0] == "C" or sign in "\u2028\u2029" for sign in composed
    )
    if not 1 <= len(composed) <= LONGEST_NAME or hidden or composed != composed.strip():
        raise Problem(
            400,
            "Bad request",
            f"The name of a group is 1 to {LONGEST_NAME} characters on one line, without invisible "
            "ones, and without spaces around it.",
            field="name",
        )
    _check_networks(networks)
    return composed


def _check_networks(networks: Sequence[str]) -> None:
    if wrong := cidrs.refusal(networks):
        raise Problem(400, "Bad request", wrong, field="authorized_cidrs")


async def _lock_groups(conn: Connection, manager: Manager) -> Sequence[str]:
    found: Sequence[str] | None = await conn.value(queries.lock_groups, id=manager.institution_id)
    if found is None:
        raise _no_institution()
    return found


async def _must_be_free(
    conn: Connection, manager: Manager, name: str, except_id: str | None
) -> None:
    asked = {"institution_id": manager.institution_id, "name": name, "except_id": except_id}
    if await conn.value(queries.has_group_named, **asked):
        raise Problem(
            409, "Name taken", "Your institution has a group of this name already.", field="name"
        )


async def _hold(conn: Connection, institution_id: str, group_id: str) -> bool:
    found = await conn.value(queries.hold_group, id=group_id, institution_id=institution_id)
    return found is not None


def _no_group() -> Problem:
    return Problem(404, "Group not found", "Your institution has no group with this id.")


def _no_keys() -> Problem:
    return Problem(404, "Keys not found", "There are no such keys. Ask the operator for them.")


def _no_institution() -> Problem:
    return Problem(404, "Institution not found", "There is no institution with this id.")
