"""People who act: a login, a cookie, and the routes served in this process on the real database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

import httpx
from starlette.applications import Starlette

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.http import Request, Route
from messo.base.limits import RateLimit
from messo.front import App
from messo.login import web_limits
from messo.operations import operators
from messo.people import members
from messo.people.authenticate import AuthenticatePeople
from messo.people.invitations import SendInvitation
from messo.people.people_routes import PeopleRoutes
from messo.people.roles import Role
from messo.people.sessions import open_session
from messo.people.staff_web import StaffWeb
from messo.settings import Settings
from tests.world import ACTOR

T = TypeVar("T")

URL = "https://messo.example.org"
ROLES: tuple[Role, ...] = ("admin", "editor", "sender", "reader")
_NUMBERS = count(1)
_WAITING = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@dataclass
class Actor:
    """Somebody who is logged in; `id` is that of their membership, where they have one."""

    login: str
    name: str
    email: str
    cookie: dict[str, str]
    id: str = ""


@dataclass
class Acting:
    """Serves the routes, and makes people who ask them."""

    pool: Pool
    secrets: Secrets
    send: SendInvitation | None = None
    extra: list[Route] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.web = StaffWeb(self.secrets, URL, web_limits(Settings()))
        self.authenticate = AuthenticatePeople(self.pool, self.web, RateLimit(100_000, 100_000))
        self.routes = PeopleRoutes(
            self.authenticate, self.pool, self.secrets, URL, self.send
        ).routes()
        app = App([*self.routes, *self.extra], Starlette())
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=URL)

    async def person(
        self, institution: str | None = None, role: Role = "admin", *, operator: bool = False
    ) -> Actor:
        """Somebody who has just logged in, of this institution if one is given."""
        number = next(_NUMBERS)
        login, name = f"login-{number}", f"Persona Numero{number}"
        email = f"persona{number}@example.org"
        async with self.pool.transaction() as conn:
            token = await open_session(conn, login, name, email, self.web.limits)
            someone = Actor(login, name, email, {"Cookie": f"{self.web.session_cookie}={token}"})
            if institution:
                put = await members.put_member(conn, ACTOR, institution, login, name, email, role)
                someone.id = put.member_id
            if operator:
                await operators.add(conn, ACTOR, login)
        return someone

    async def ask(
        self, who: Actor | None, method: str, path: str, body: Any = None, **headers: str
    ) -> httpx.Response:
        """`path` under /messo/v1; headers with `_` for `-`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(
            method,
            f"/messo/v1{path}",
            json=body,
            headers={**(who.cookie if who else {}), **sent},
        )

    async def audit(self, *subjects: str) -> list[tuple[str, str, str]]:
        """Action, actor and detail of the entries about these, in order."""
        async with self.pool.connection() as conn:
            rows = await conn.raw.fetch(
                "SELECT action, actor, detail::text FROM operations.audit "
                "WHERE subject = ANY($1::text[]) ORDER BY id",
                list(subjects),
            )
        return [tuple(row) for row in rows]


@asynccontextmanager
async def acting(
    pool: Pool, secrets: Secrets, send: SendInvitation | None = None
) -> AsyncIterator[Acting]:
    made = Acting(pool, secrets, send)
    async with made.client:
        yield made


async def at_once(
    pool: Pool, institution: str, *asked: Awaitable[T], meanwhile: Any = None
) -> list[T]:
    """Answers to requests that all have come as far as the lock of the institution's row.

    `meanwhile(conn)` is done by whoever holds it until then.
    """
    async with pool.connection() as watching, pool.connection() as conn:
        async with conn.transaction():
            await members.lock_people(conn, institution)
            tasks = [asyncio.ensure_future(one) for one in asked]
            async with asyncio.timeout(10):
                while await watching.raw.fetchval(_WAITING) < len(tasks):
                    await asyncio.sleep(0.01)
            if meanwhile is not None:
                await meanwhile(conn)
        return list(await asyncio.gather(*tasks))


def request(cookie: dict[str, str], method: str = "GET", **headers: str) -> Request:
    """A request as a route sees it."""
    given = {**cookie, **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()]
    scope = {"type": "http", "method": method, "path": "/", "query_string": b"", "headers": raw}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    return Request(scope, receive, {})
