"""The routes to who is logged in, to an institution's people and to its invitations."""

from dataclasses import dataclass

import msgspec
from msgspec import UNSET

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.decode import decode
from messo.base.http import Answer, Request, Route
from messo.people import invitations, members
from messo.people import people_wire as wire
from messo.people.authenticate import Access, AuthenticatePeople
from messo.people.institution_reference import PATH
from messo.people.institution_routes import BODY_LIMIT, InstitutionRoutes, answered
from messo.people.invitations import Inviter, SendInvitation
from messo.people.members import Membership
from messo.people.people_reference import described

_role = msgspec.json.Decoder(wire.RoleWanted)
_invitation = msgspec.json.Decoder(wire.NewInvitation)
_acceptance = msgspec.json.Decoder(wire.Acceptance)


@dataclass(frozen=True)
class PeopleRoutes:
    """The routes and what they need; those to institutions are among them.

    `send`: queues the mail of an invitation; None where the installation has no mail server.
    """

    authenticate: AuthenticatePeople
    pool: Pool
    secrets: Secrets
    public_url: str
    send: SendInvitation | None

    async def me(self, request: Request) -> Answer:
        person = await self.authenticate.person(request)
        operator = await self.authenticate.is_operator(person)
        async with self.pool.connection() as conn:
            mine = await members.memberships_of(conn, person.login)
        views = [_membership(one) for one in mine]
        return answered(wire.Me(person.login, person.name, person.email, operator, views))

    async def list_people(self, request: Request) -> Answer:
        access = await self.authenticate.member_or_operator(request, _institution(request), "read")
        async with self.pool.connection() as conn:
            rows = await members.list_members(conn, access.institution_id)
        return answered(
            wire.MemberList(
                [
                    wire.MemberView(
                        row["id"],
                        row["name"],
                        row["email"],
                        row["role"],
                        clock.to_wire(row["added_at"]),
                        row["login"] == access.person.login,
                    )
                    for row in rows
                ]
            )
        )

    async def put_person(self, request: Request) -> Answer:
        access = await self._administrator(request)
        role = decode(await request.json_body(BODY_LIMIT), _role).role
        member = request.path["member_id"]
        async with self.pool.transaction() as conn:
            await _lock(conn, access)
            changed = await members.change_role(
                conn, access.actor, access.institution_id, member, role
            )
        return answered(wire.RoleSet(member, role, changed))

    async def delete_person(self, request: Request) -> Answer:
        """Everybody may leave by themselves, also while the institution is suspended."""
        member = request.path["member_id"]
        access = await self.authenticate.member_or_operator(request, _institution(request), "read")
        is_oneself = access.actor == f"member:{member}"
        if not is_oneself:
            access = await self._administrator(request)
        async with self.pool.transaction() as conn:
            await _lock(conn, access, is_oneself=is_oneself)
            await members.remove_member(conn, access.actor, access.institution_id, member)
        return Answer(204, b"", ())

    async def list_invitations(self, request: Request) -> Answer:
        access = await self._administrator(request)
        async with self.pool.connection() as conn:
            rows = await invitations.list_open(conn, access.institution_id)
        return answered(
            wire.InvitationList(
                [
                    wire.InvitationView(
                        row["id"], row["email"], row["role"], clock.to_wire(row["expires_at"])
                    )
                    for row in rows
                ]
            )
        )

    async def invite(self, request: Request) -> Answer:
        access = await self._administrator(request)
        wanted = decode(await request.json_body(BODY_LIMIT), _invitation)
        inviter = Inviter(access.actor, access.person.name)
        async with self.pool.transaction() as conn:
            await _lock(conn, access)
            made = await invitations.invite(
                conn,
                self.secrets,
                inviter,
                access.institution_id,
                wanted.email,
                wanted.role,
                self.send,
            )
        one = made.invitation
        is_sent = self.send is not None
        link = UNSET if is_sent else invitations.link_to(self.public_url, made.token)
        created = wire.CreatedInvitation(
            one.id, one.email, one.role, clock.to_wire(one.expires_at), sent=is_sent, link=link
        )
        place = f"{PATH}/{one.institution_id}/invitations/{one.id}"
        return answered(created, 201, (b"location", place.encode()))

    async def withdraw(self, request: Request) -> Answer:
        access = await self._administrator(request)
        async with self.pool.transaction() as conn:
            await _lock(conn, access)
            await invitations.withdraw(
                conn, access.actor, access.institution_id, request.path["invitation_id"]
            )
        return Answer(204, b"", ())

    async def accept(self, request: Request) -> Answer:
        person = await self.authenticate.person(request)
        token = decode(await request.json_body(BODY_LIMIT), _acceptance).token
        async with self.pool.transaction() as conn:
            return answered(_membership(await invitations.accept(conn, token, person)))

    def routes(self) -> list[Route]:
        """As served and as documented."""
        of_institutions = InstitutionRoutes(self.authenticate, self.pool, self.secrets)
        return [*described(self), *of_institutions.routes()]

    async def _administrator(self, request: Request) -> Access:
        return await self.authenticate.member_or_operator(
            request, _institution(request), "administer"
        )


async def _lock(conn: Connection, access: Access, *, is_oneself: bool = False) -> None:
    """Hold the institution's people, and look again: meanwhile somebody may be no admin any more."""
    await members.lock_people(conn, access.institution_id)
    if not access.by_office and not is_oneself:
        await members.still_admin(conn, access.institution_id, access.person.login)


def _institution(request: Request) -> str:
    return request.path["institution_id"]


def _membership(one: Membership) -> wire.MembershipView:
    return wire.MembershipView(
        one.member_id,
        one.institution_id,
        one.institution_name,
        one.fiscal_code,
        one.role,
        one.is_suspended,
    )
