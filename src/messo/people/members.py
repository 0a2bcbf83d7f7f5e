"""Who belongs to which institution, in which role. An institution keeps at least one admin.

All changes to one institution's people wait for each other, so that two admins who take each other
off at once do not both succeed. What is changed holds for the next request.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from messo.base import clock
from messo.base.db import Connection, Row
from messo.base.http import Problem
from messo.base.ids import new_id
from messo.base.parameters import storable
from messo.operations import record
from messo.people.roles import Role, check_role
from messo.people.sessions import queries


@dataclass(frozen=True)
class Membership:
    """What somebody is, and where."""

    member_id: str
    institution_id: str
    institution_name: str
    fiscal_code: str
    role: Role
    is_suspended: bool


@dataclass(frozen=True)
class Put:
    """What became of `put_member`. `before`: the role they had, None if they are new."""

    member_id: str
    before: Role | None


async def memberships_of(conn: Connection, login: str) -> list[Membership]:
    """The institutions somebody is of, by name."""
    rows = await conn.rows(queries.list_memberships, login=login)
    return [
        Membership(
            row["member_id"],
            row["institution_id"],
            row["name"],
            row["fiscal_code"],
            row["role"],
            row["suspended_at"] is not None,
        )
        for row in rows
    ]


async def list_members(conn: Connection, institution_id: str) -> Sequence[Row]:
    """`id`, `login`, `name`, `email`, `role`, `added_at` of each, in the order they came."""
    return await conn.rows(queries.list_members, institution_id=institution_id)


async def lock_people(conn: Connection, institution_id: str) -> Row:
    """Hold an institution's people until the transaction ends: its `name`, `suspended_at`.

    `Problem` 404 for an unknown one.
    """
    row = None
    if storable(institution_id):
        row = await conn.row(queries.lock_people, institution_id=institution_id)
    if row is None:
        raise no_institution()
    return row


async def still_admin(conn: Connection, institution_id: str, login: str) -> None:
    """Ask again, under the lock, whether somebody may. `Problem` 403, or 404 if they are gone."""
    row = await conn.row(queries.member_of_login, login=login, institution_id=institution_id)
    if row is None:
        raise no_institution()
    check_role(row["role"], "administer")


async def put_member(
    conn: Connection,
    actor: str,
    institution_id: str,
    login: str,
    name: str,
    email: str,
    role: Role,
) -> Put:
    """Make somebody a member, or give a member this role; name and address as they are now.

    `Problem` 404 for an unknown institution, 409 if it would be left without an admin.
    """
    await lock_people(conn, institution_id)
    known = await conn.row(queries.member_of_login, login=login, institution_id=institution_id)
    put = Put(known["id"], known["role"]) if known else Put(new_id(), None)
    if put.before == "admin" and role != "admin":
        await _keep_an_admin(conn, institution_id, put.member_id)
    await conn.run(
        queries.put_member,
        id=put.member_id,
        institution_id=institution_id,
        login=login,
        name=name,
        email=email,
        role=role,
        now=clock.now(),
    )
    if put.before is None:
        await record(conn, actor, "member.add", put.member_id, at=institution_id, role=role)
    elif put.before != role:
        await _role_changed(conn, actor, institution_id, put.member_id, put.before, role)
    return put


async def change_role(
    conn: Connection, actor: str, institution_id: str, member_id: str, role: Role
) -> bool:
    """Give a member another role; False if it is theirs already.

    `Problem` 404 if there is no such member there, 409 for the last admin. The caller holds the
    lock of `lock_people`.
    """
    member = await _find(conn, institution_id, member_id)
    before: Role = member["role"]
    if before == role:
        return False
    if before == "admin":
        await _keep_an_admin(conn, institution_id, member_id)
    await conn.run(queries.set_role, id=member_id, institution_id=institution_id, role=role)
    await _role_changed(conn, actor, institution_id, member_id, before, role)
    return True


async def remove_member(
    conn: Connection,
    actor: str,
    institution_id: str,
    member_id: str,
    *,
    may_be_last: bool = False,
) -> None:
    """Take a member off; their next request is refused.

    `Problem` 404 if there is no such member there, 409 for the last admin, unless `may_be_last`.
    The caller holds the lock of `lock_people`.
    """
    member = await _find(conn, institution_id, member_id)
    if member["role"] == "admin" and not may_be_last:
        await _keep_an_admin(conn, institution_id, member_id)
    await conn.run(queries.remove_member, id=member_id, institution_id=institution_id)
    await _end_invitations(conn, institution_id, member_id)
    told = {"at": institution_id, "role": member["role"]}
    await record(conn, actor, "member.remove", member_id, **told)


def no_institution() -> Problem:
    """404: there is none with this id, or nobody of it asks. Both say the same."""
    return Problem(404, "Not found", "There is no such institution.")


async def _find(conn: Connection, institution_id: str, member_id: str) -> Row:
    row = None
    if storable(member_id):
        row = await conn.row(queries.find_member, id=member_id, institution_id=institution_id)
    if row is None:
        raise Problem(404, "Not found", "Your institution has nobody with this id.")
    return row


async def _keep_an_admin(conn: Connection, institution_id: str, member_id: str) -> None:
    if not await conn.value(queries.has_other_admin, institution_id=institution_id, id=member_id):
        raise Problem(
            409,
            "Last admin",
            "This is the only admin of the institution. Make somebody else an admin first.",
        )


async def _role_changed(
    conn: Connection, actor: str, institution_id: str, member_id: str, before: Role, role: Role
) -> None:
    if before == "admin":
        await _end_invitations(conn, institution_id, member_id)
    told = {"at": institution_id, "before": before, "role": role}
    await record(conn, actor, "member.role", member_id, **told)


async def _end_invitations(conn: Connection, institution_id: str, member_id: str) -> None:
    """An admin who is taken off must not come back by a link they made before."""
    await conn.run(
        queries.withdraw_invitations_of,
        institution_id=institution_id,
        invited_by=f"member:{member_id}",
        now=clock.now(),
    )
