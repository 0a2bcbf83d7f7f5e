"""Who asks, from the cookie of a login, and what they may do there. Asked anew for every request."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool, Row
from messo.base.http import Problem, Request
from messo.base.limits import RateLimit
from messo.base.parameters import storable
from messo.operations.operators import is_operator
from messo.people.members import no_institution
from messo.people.roles import MAY, Role, check_role
from messo.people.sessions import Person, queries
from messo.people.staff_web import StaffWeb
from messo.services import Manager, Need, Permission, lacks, not_allowed

INSTITUTION_HEADER = b"messo-institution"

_SAFE = frozenset({"GET", "HEAD"})
_USUAL_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Access:
    """An institution that somebody may look into. `role`: theirs there, if they have one.

    `actor`: as the audit log calls them there. `by_office`: they may as an operator, which they
    could not in their role.
    """

    person: Person
    actor: str
    institution_id: str
    name: str
    fiscal_code: str
    email: str
    permissions: Sequence[str]
    suspended_at: datetime | None
    created_at: datetime
    role: Role | None
    by_office: bool = False

    @property
    def may(self) -> frozenset[Need]:
        """What their role there allows, were the institution not suspended."""
        return MAY[self.role] if self.role else frozenset()


def actor_of(secrets: Secrets, login: str) -> str:
    """An operator in the audit log: a keyed hash, since a login may be an address or worse."""
    return f"operator:{secrets.keyed_hash(f'people.login:{login}')}"


class AuthenticatePeople:
    """Turns a request into the person it speaks for, or refuses it.

    A cookie travels by itself, also when another site makes a browser ask. So what changes
    something is taken only from our own pages, or from what is no browser.
    """

    def __init__(self, pool: Pool, web: StaffWeb, limit: RateLimit) -> None:
        self._pool = pool
        self._web = web
        self._limit = limit
        self._origin = _origin(web.public_url)

    def asks(self, request: Request) -> bool:
        """Whether a request says who asks by a login: it names an institution, or has the cookie."""
        cookies = request.header(b"cookie") or ""
        return request.header(INSTITUTION_HEADER) is not None or self._web.session_cookie in cookies

    async def person(self, request: Request) -> Person:
        """Who is logged in. `Problem` 401, 403 if another site asks, 429."""
        async with self._pool.connection() as conn:
            return await self._person(conn, request)

    async def operator(self, request: Request) -> tuple[Person, str]:
        """An operator, and what the audit log calls them. 403 for everybody else."""
        async with self._pool.connection() as conn:
            person = await self._person(conn, request)
            if await is_operator(conn, person.login):
                return person, actor_of(self._web.secrets, person.login)
        raise Problem(
            403, "You are not allowed here", "This is for the operators of the installation."
        )

    async def is_operator(self, person: Person) -> bool:
        """Whether they may operate the installation."""
        async with self._pool.connection() as conn:
            return await is_operator(conn, person.login)

    async def member_or_operator(self, request: Request, institution_id: str, need: Need) -> Access:
        """Somebody of this institution who may do this there, or an operator, who always may.

        `Problem` 404 for an unknown institution and another one's alike; 403 if the role is too
        low or, for all but reading, while the institution is suspended.
        """
        async with self._pool.connection() as conn:
            person = await self._person(conn, request)
            access = await find_access(conn, self._web.secrets, person, institution_id)
            if access is None:
                raise no_institution()
            with contextlib.suppress(Problem):
                return allowed(access, need)
            if await is_operator(conn, person.login):
                actor = actor_of(self._web.secrets, person.login)
                return replace(access, actor=actor, by_office=True)
        return allowed(access, need)

    async def manager(self, request: Request, need: Need, *any_of: Permission) -> Manager:
        """Who manages services with a login, at the institution that Messo-Institution names.

        By id or fiscal code. `Problem` 400 without the header, otherwise as for a member above;
        403 also if the institution is suspended or lacks all of the permissions.
        """
        async with self._pool.connection() as conn:
            person = await self._person(conn, request)
            named = request.header(INSTITUTION_HEADER)
            if not named:
                raise Problem(
                    400,
                    "Bad request",
                    "Say for which institution you ask: send its id or fiscal code in the header "
                    "Messo-Institution.",
                    field="Messo-Institution",
                )
            found = await find_access(conn, self._web.secrets, person, named, named)
            if found and found.role is None and await is_operator(conn, person.login):
                raise not_allowed(
                    "You operate this installation and do not belong to this institution: use the "
                    "commands (`messo service …`), or have somebody invite you."
                )
            access = allowed(found, need)
        if access.suspended_at is not None:
            raise _suspended()
        if any_of and not set(access.permissions) & set(any_of):
            raise lacks(any_of, access.permissions)
        request.again = lambda again: self.manager(again, need, *any_of)
        return Manager(access.institution_id, frozenset(access.permissions), access.actor)

    async def _person(self, conn: Connection, request: Request) -> Person:
        person = await self._web.find(conn, request.header(b"cookie"))
        if person is None:
            raise Problem(401, "Not logged in", "Log in at /console first.")
        if request.scope["method"] not in _SAFE:
            self._check_site(request)
        if request.again is None and (seconds := self._limit.charge(request, person.login)):
            raise Problem(
                429,
                "Too many requests",
                f"Rate limit is exceeded. Try again in {seconds} seconds.",
                headers=[(b"retry-after", b"%d" % seconds)],
            )
        return person

    def _check_site(self, request: Request) -> None:
        """What browsers say of where a request comes from (W3C Fetch Metadata, else RFC 6454)."""
        site, origin = request.header(b"sec-fetch-site"), request.header(b"origin")
        if site is not None:
            ours = site in {"same-origin", "none"}
        else:
            ours = origin is None or _origin(origin) == self._origin
        if not ours:
            raise Problem(
                403,
                "You are not allowed here",
                "Another site made your browser send this. Do it in the console, or at this "
                "installation's own address.",
            )


async def find_access(
    conn: Connection,
    secrets: Secrets,
    person: Person,
    institution_id: str,
    fiscal_code: str = "",
) -> Access | None:
    """The institution, whether or not somebody is of it; None for an unknown one."""
    if not storable(institution_id):
        return None
    row = await conn.row(
        queries.find_access, login=person.login, id=institution_id, fiscal_code=fiscal_code
    )
    return _read(secrets, person, row) if row else None


def _read(secrets: Secrets, person: Person, row: Row) -> Access:
    member_id = row["member_id"]
    return Access(
        person,
        f"member:{member_id}" if member_id else actor_of(secrets, person.login),
        row["id"],
        row["name"],
        row["fiscal_code"],
        row["email"],
        row["permissions"],
        row["suspended_at"],
        row["created_at"],
        row["role"],
    )


def allowed(access: Access | None, need: Need) -> Access:
    """The same access, if a member may do this there. `Problem` 403 or 404 if not."""
    if access is None or access.role is None:
        raise no_institution()
    check_role(access.role, need)
    if need != "read" and access.suspended_at is not None:
        raise _suspended()
    return access


def _suspended() -> Problem:
    return Problem(
        403,
        "You are not allowed here",
        "Your institution is suspended. Ask the operator of this installation.",
    )


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of an address; of what is none, nothing that an address has."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or _USUAL_PORTS.get(parts.scheme)
    except ValueError:
        return "", None, None
