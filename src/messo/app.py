"""Builds the HTTP application: what the routes need, in the order it depends on each other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route as Page

from messo import __version__
from messo.base import migrate, openapi
from messo.base.coalesce import Coalescer
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.http import Answer, Endpoint, GatewayProblem, Receive, Route, Router, Scope, Send
from messo.base.http import Request as ApiRequest
from messo.base.limits import RateLimit
from messo.content import Configurations
from messo.messages.guard import Guard
from messo.messages.reach import ProfileReader
from messo.messages.routes import MessageRoutes
from messo.messages.status import MessageReader
from messo.messages.submit import Accept
from messo.operations import health, reference
from messo.services import Authenticate, Directory
from messo.settings import Settings

_API = ("/api/", "/messo/")
_PREFLIGHT = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"*"),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-max-age", b"86400"),
    (b"content-length", b"0"),
]


class App:
    """The ASGI application: API routes are dispatched before the framework that serves pages."""

    def __init__(self, routes: list[Route], pages: Starlette) -> None:
        self.router = Router(routes)
        self.pages = pages
        self.unknown = Endpoint("unknown", _unknown)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self.router.find(scope)
        if endpoint is not None:
            await endpoint(scope, receive, send)
        elif not scope["path"].startswith(_API):
            await self.pages(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await send({"type": "http.response.start", "status": 200, "headers": _PREFLIGHT})
            await send({"type": "http.response.body"})
        else:
            await self.unknown(scope, receive, send)


async def _unknown(_: ApiRequest) -> Answer:
    raise GatewayProblem(404, "Resource not found")


@dataclass(frozen=True)
class Server:
    """A started application and what operators ask of it."""

    app: App
    pool: Pool
    directory: Directory
    guard: Guard
    accept: Accept
    messages: MessageReader
    profiles: ProfileReader


@contextlib.asynccontextmanager
async def start(settings: Settings, database_url: str, secrets: Secrets) -> AsyncIterator[Server]:
    """The application with its background tasks, stopped in the reverse order at the end.

    Leaving it commits what is queued before the connections go.
    """
    connections = settings.pool_size + settings.accept_connections + _READERS * 2
    pool = await Pool.open(database_url, connections, statement_seconds=10)
    async with pool.connection() as conn:
        await migrate.check(conn)
    directory = Directory(pool)
    await directory.refresh()
    guard = Guard(pool, directory, secrets, settings.guard_recipients, settings.guard_share)
    accept = Accept(pool, settings.accept_connections, settings.accept_queue)
    messages = MessageReader(pool, _READERS, settings.accept_queue)
    profiles = ProfileReader(pool, _READERS, settings.accept_queue)
    routes = MessageRoutes(
        authenticate=Authenticate(
            directory,
            RateLimit(settings.rate_limit, settings.rate_burst),
            settings.trusted_proxies,
        ),
        configurations=Configurations(pool, directory),
        guard=guard,
        accept=accept,
        messages=messages,
        profiles=profiles,
        pool=pool,
        body_limit=settings.body_limit,
        check_digits=settings.check_notice_numbers,
    ).routes()
    queues: list[Coalescer[Any, Any]] = [accept.queue, messages.queue, profiles.queue]
    for queue in queues:
        queue.start()
    background = [
        asyncio.create_task(directory.keep_fresh()),
        asyncio.create_task(guard.record_for_ever()),
    ]
    try:
        api = App(routes, _pages(routes, settings, pool))
        yield Server(api, pool, directory, guard, accept, messages, profiles)
    finally:
        for queue in queues:
            await queue.close()
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        with contextlib.suppress(Exception):  # a database that is gone cannot take it
            await guard.close()
        await pool.close()


_READERS = 2  # statements under way at once for each kind of read


def _pages(routes: list[Route], settings: Settings, pool: Pool) -> Starlette:
    document = describe(routes, settings)
    encoded = msgspec.json.encode(document)

    async def show_document(_: Request) -> Response:
        return Response(encoded, media_type="application/json")

    async def home(_: Request) -> Response:
        return RedirectResponse("/docs")

    return Starlette(
        routes=[
            Page("/", home),
            Page("/docs/openapi.json", show_document),
            *reference.pages(document),
            *health.public_routes(pool),
        ]
    )


def describe(routes: list[Route], settings: Settings) -> dict[str, Any]:
    """The OpenAPI document of the institutions' routes."""
    return openapi.document(
        routes,
        title="Messo for institutions",
        version=__version__,
        about=(
            "Send a personal message to a citizen by fiscal code, and see what became of it. "
            "Paths under /api/v1 follow the wire contract of Italy's IO platform: a client built "
            "for it works here unchanged. Paths under /messo/v1 add what it lacks."
        ),
        server=settings.public_url,
    )
