"""The routes to institutions, their permissions and suspensions. With the cookie of a login."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET

from messo.base import clock, parameters
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.decode import decode
from messo.base.http import JSON, Answer, Problem, Request, Route
from messo.base.parameters import storable
from messo.base.wire import ULID
from messo.people import people_wire as wire
from messo.people.authenticate import AuthenticatePeople
from messo.people.institution_reference import PATH, described
from messo.people.roles import Role
from messo.people.sessions import queries
from messo.recipients.email import is_address
from messo.services import keys
from messo.services.oversight import Kind, restore, set_permissions, suspend
from messo.services.permissions import DEFAULT
from messo.services.services import NotAcceptedError, create_institution

BODY_LIMIT = 16 * 1024
PRIVATE = [JSON, (b"cache-control", b"no-store")]

_ULID = re.compile(ULID)
_MOST, _USUAL = 100, 50  # institutions on a page
_LONGEST_SEARCH = 200
_new = msgspec.json.Decoder(wire.NewInstitution)
_permissions = msgspec.json.Decoder(wire.PermissionSet)
_suspension = msgspec.json.Decoder(wire.Suspension)


@dataclass(frozen=True)
class InstitutionRoutes:
    """The routes and what they need."""

    authenticate: AuthenticatePeople
    pool: Pool
    secrets: Secrets

    async def list_all(self, request: Request) -> Answer:
        person = await self.authenticate.person(request)
        query = parameters.of_query(request)
        limit = parameters.number(query, "limit", _USUAL, 1, _MOST)
        after = parameters.matching(query, "after", _ULID, "an id that `next` gave")
        search = query.get("search", "")
        if not storable(search) or len(search) > _LONGEST_SEARCH:
            raise Problem(
                400,
                "Bad request",
                f"search is a text of at most {_LONGEST_SEARCH} characters.",
                field="search",
            )
        sees_all = await self.authenticate.is_operator(person)
        async with self.pool.connection() as conn:
            rows = await conn.rows(
                queries.list_institutions,
                login=person.login,
                after=(after or "").upper(),
                all=sees_all,
                search=search,
                limit=limit,
            )
        next_one = rows[-1]["id"] if len(rows) == limit else UNSET
        return answered(wire.InstitutionPage([_of_row(row) for row in rows], next_one))

    async def create(self, request: Request) -> Answer:
        _, actor = await self.authenticate.operator(request)
        new = decode(await request.json_body(BODY_LIMIT), _new)
        if not new.name.isprintable() or new.name != new.name.strip():
            raise Problem(
                400,
                "Bad request",
                "A name is one line without invisible characters or spaces around it.",
                field="name",
            )
        if not is_address(new.email):
            raise Problem(400, "Bad request", "This is not an e-mail address.", field="email")
        async with self.pool.transaction() as conn:
            try:
                made = await create_institution(conn, actor, new.fiscal_code, new.name, new.email)
            except NotAcceptedError as error:  # all else was looked at: it exists
                raise Problem(409, "Conflict", f"{error}.", field="fiscal_code") from None
            pair = await keys.create_pair(conn, self.secrets, actor, made, None)
        created = wire.CreatedInstitution(
            made,
            new.fiscal_code,
            new.name,
            new.email,
            sorted(DEFAULT),
            suspended=False,
            created_at=clock.to_wire(clock.now()),
            manage_keys=wire.ManageKeys(**pair),
        )
        return answered(created, 201, (b"location", f"{PATH}/{made}".encode()))

    async def read(self, request: Request) -> Answer:
        one = await self.authenticate.member_or_operator(
            request, request.path["institution_id"], "read"
        )
        return answered(
            _view(
                one.institution_id,
                one.fiscal_code,
                one.name,
                one.email,
                one.permissions,
                one.suspended_at,
                one.created_at,
                one.role,
            )
        )

    async def put_permissions(self, request: Request) -> Answer:
        _, actor = await self.authenticate.operator(request)
        wanted = decode(await request.json_body(BODY_LIMIT), _permissions).permissions
        async with self.pool.transaction() as conn:
            now = await set_permissions(conn, actor, request.path["institution_id"], wanted)
        changed = bool(now.added or now.removed)
        return answered(
            wire.PermissionsSet(now.permissions, now.added, now.removed, changed=changed)
        )

    async def suspend_institution(self, request: Request) -> Answer:
        return await self._suspend(request, "institution", "institution_id")

    async def restore_institution(self, request: Request) -> Answer:
        return await self._restore(request, "institution", "institution_id")

    async def suspend_service(self, request: Request) -> Answer:
        return await self._suspend(request, "service", "service_id")

    async def restore_service(self, request: Request) -> Answer:
        return await self._restore(request, "service", "service_id")

    def routes(self) -> list[Route]:
        """As served and as documented."""
        return described(self)

    async def _suspend(self, request: Request, kind: Kind, name: str) -> Answer:
        _, actor = await self.authenticate.operator(request)
        reason = decode(await request.json_body(BODY_LIMIT), _suspension).reason
        async with self.pool.transaction() as conn:
            changed = await suspend(conn, actor, kind, request.path[name], reason)
        return answered(wire.Suspended(suspended=True, changed=changed))

    async def _restore(self, request: Request, kind: Kind, name: str) -> Answer:
        _, actor = await self.authenticate.operator(request)
        async with self.pool.transaction() as conn:
            changed = await restore(conn, actor, kind, request.path[name])
        return answered(wire.Suspended(suspended=False, changed=changed))


def answered(body: msgspec.Struct, status: int = 200, *more: tuple[bytes, bytes]) -> Answer:
    """JSON that nobody but the asking browser keeps: it names people, or holds keys."""
    return Answer(status, msgspec.json.encode(body), [*PRIVATE, *more])


def _of_row(row: Any) -> wire.InstitutionView:  # noqa: ANN401  a row
    return _view(
        row["id"],
        row["fiscal_code"],
        row["name"],
        row["email"],
        row["permissions"],
        row["suspended_at"],
        row["created_at"],
        row["role"],
    )


def _view(
    institution_id: str,
    fiscal_code: str,
    name: str,
    email: str,
    permissions: Sequence[str],
    suspended_at: datetime | None,
    created_at: datetime,
    role: Role | None,
) -> wire.InstitutionView:
    return wire.InstitutionView(
        institution_id,
        fiscal_code,
        name,
        email,
        list(permissions),
        suspended_at is not None,
        clock.to_wire(created_at),
        role or UNSET,
    )
