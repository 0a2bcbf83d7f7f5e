"""Invitations: an address gets a link, and whoever logs in with it becomes a member.

The token is in the mail and nowhere else; only its SHA-256 is kept. It proves that somebody was
given the link, so the address they log in with may be another one. A token that is unknown,
expired, withdrawn, replaced or used is one and the same to whoever asks.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from messo.base import clock
from messo.base.crypto import Secrets, key_digest, new_api_key
from messo.base.db import Connection, Row
from messo.base.http import Problem
from messo.base.ids import new_id
from messo.base.parameters import storable
from messo.operations import record
from messo.people.members import Membership, lock_people, memberships_of, put_member
from messo.people.roles import Role
from messo.people.sessions import Person, queries
from messo.recipients.email import is_address

# `send(conn, institution_id, to, institution_name, role, inviter_name, token)`: whoever mails
# queues it in this transaction.
SendInvitation = Callable[[Connection, str, str, str, Role, str, str], Awaitable[None]]

LIVES = timedelta(days=7)
MOST_OPEN = 50  # of one institution
_LATELY = timedelta(hours=1)
_AGAIN_AFTER = timedelta(minutes=15)  # to the same address
_FORGET_AT_ONCE = 1000


@dataclass(frozen=True)
class Invitation:
    """An open invitation."""

    id: str
    institution_id: str
    institution_name: str
    email: str
    role: Role
    expires_at: datetime


@dataclass(frozen=True)
class Invited:
    """What was made. `token` is for whoever gives it to the invited, and nowhere else."""

    invitation: Invitation
    token: str


@dataclass(frozen=True)
class Inviter:
    """Who invites: as the audit log calls them, and as the mail does ("" names nobody)."""

    actor: str
    name: str


async def invite(
    conn: Connection,
    secrets: Secrets,
    inviter: Inviter,
    institution_id: str,
    email: str,
    role: Role,
    send: SendInvitation | None,
) -> Invited:
    """Invite an address; an older invitation to it ends. `send`: None where there is no mail.

    `Problem` 400 if it is no address, 404 for an unknown institution, 409 at `MOST_OPEN` others,
    429 to the same address within a quarter of an hour.
    """
    if not is_address(email):
        raise Problem(400, "Bad request", "This is not an e-mail address.", field="email")
    institution = await lock_people(conn, institution_id)
    now = clock.now()
    await _check_number(conn, institution_id, email, now)
    token = new_api_key()
    found = Invitation(new_id(), institution_id, institution["name"], email, role, now + LIVES)
    await conn.run(
        queries.put_invitation,
        id=found.id,
        institution_id=institution_id,
        email=email,
        role=role,
        token_digest=key_digest(token),
        invited_by=inviter.actor,
        now=now,
        expires_at=found.expires_at,
    )
    await record(
        conn,
        inviter.actor,
        "invitation.create",
        found.id,
        at=institution_id,
        role=role,
        address=secrets.keyed_hash(f"people.email:{email.lower()}"),
    )
    if send is not None:
        await send(conn, institution_id, email, institution["name"], role, inviter.name, token)
    return Invited(found, token)


async def list_open(conn: Connection, institution_id: str) -> Sequence[Row]:
    """`id`, `email`, `role`, `created_at`, `expires_at` of each, oldest first."""
    return await conn.rows(queries.list_invitations, institution_id=institution_id, now=clock.now())


async def withdraw(conn: Connection, actor: str, institution_id: str, invitation_id: str) -> None:
    """End an invitation. `Problem` 404 if the institution has none with this id."""
    gone = 0
    if storable(invitation_id):
        gone = await conn.run(
            queries.withdraw_invitation,
            id=invitation_id,
            institution_id=institution_id,
            now=clock.now(),
        )
    if not gone:
        raise Problem(404, "Not found", "Your institution has no invitation with this id.")
    await record(conn, actor, "invitation.withdraw", invitation_id, at=institution_id)


async def look(conn: Connection, token: str) -> Invitation | None:
    """What a token invites to; None if it is worth nothing. Nothing changes."""
    digest = key_digest(token) if storable(token) else b""
    row = await conn.row(queries.find_invitation, token_digest=digest, now=clock.now())
    if row is None:
        return None
    return Invitation(
        row["id"],
        row["institution_id"],
        row["name"],
        row["email"],
        row["role"],
        row["expires_at"],
    )


async def accept(conn: Connection, token: str, person: Person) -> Membership:
    """Make whoever is logged in a member, in the role of the invitation.

    Who is a member already gets that role instead of the one they had. `Problem` 404 for a token
    that is worth nothing; 409 while the institution is suspended, or for its last admin who would
    become something else: the invitation then stays open.
    """
    invited = await look(conn, token)
    if invited is None:
        raise _worthless()
    institution = await lock_people(conn, invited.institution_id)
    taken = await conn.row(queries.take_invitation, token_digest=key_digest(token), now=clock.now())
    if taken is None:  # somebody else was quicker
        raise _worthless()
    if institution["suspended_at"] is not None:
        raise Problem(
            409,
            "Institution suspended",
            "This institution is suspended. Try again once it is restored.",
        )
    put = await put_member(
        conn,
        f"invitation:{taken['id']}",
        invited.institution_id,
        person.login,
        person.name,
        person.email,
        taken["role"],
    )
    await record(
        conn,
        f"member:{put.member_id}",
        "invitation.accept",
        taken["id"],
        at=invited.institution_id,
        role=taken["role"],
    )
    mine = await memberships_of(conn, person.login)
    return next(one for one in mine if one.member_id == put.member_id)


async def forget_invitations(conn: Connection) -> bool:
    """A periodic step: delete a bounded number of expired ones; True if more may be left."""
    before = clock.now() - _LATELY
    gone = await conn.run(queries.forget_invitations, before=before, limit=_FORGET_AT_ONCE)
    return gone == _FORGET_AT_ONCE


def link_to(public_url: str, token: str) -> str:
    """Where an invitation is accepted."""
    return f"{public_url.rstrip('/')}/console/invitation?token={token}"


async def _check_number(conn: Connection, institution_id: str, email: str, now: datetime) -> None:
    """Each invitation may be a mail to somebody who never asked for one."""
    row = await conn.row(
        queries.count_invitations,
        institution_id=institution_id,
        email=email,
        now=now,
        lately=now - _LATELY,
    )
    if row is None:
        return
    if row["others"] >= MOST_OPEN:
        raise Problem(
            409,
            "Too many invitations",
            f"{MOST_OPEN} invitations are open, or were made within the last hour. Withdraw old "
            "ones, or try again later.",
        )
    if row["last_at"] is not None and now - row["last_at"] < _AGAIN_AFTER:
        raise Problem(
            429,
            "Too many requests",
            "This address was invited a moment ago. Try again in a quarter of an hour.",
            headers=[(b"retry-after", b"%d" % _AGAIN_AFTER.total_seconds())],
        )


def _worthless() -> Problem:
    return Problem(
        404,
        "Not found",
        "This invitation is not open: it was accepted, replaced or withdrawn, it has expired, or "
        "it never was one. Ask whoever invited you for a new one.",
    )
