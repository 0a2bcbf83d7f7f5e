"""The routes to webhooks, asked over HTTP as an institution would."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.applications import Starlette

from messo.base.db import Pool
from messo.base.limits import RateLimit
from messo.events.webhook_routes import WebhookRoutes
from messo.front import App
from messo.services import Authenticate, Directory, groups
from messo.services.keys import create_pair
from messo.services.owned import find_own
from tests.events.told import Post
from tests.world import ACTOR, World

PATH = "/messo/v1/webhooks"


@dataclass
class Api:
    """`anna` and `bruno`: headers with the manage key of each institution."""

    client: httpx.AsyncClient
    anna: dict[str, str]
    bruno: dict[str, str]

    async def ask(
        self, method: str, path: str = "", *, who: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        headers = (self.anna if who is None else who) | more.pop("headers", {})
        return await self.client.request(method, PATH + path, headers=headers, **more)

    async def create(self, service: str, url: str, **more: Any) -> dict[str, Any]:
        answer = await self.ask("POST", json={"service_id": service, "url": url, **more})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        assert answer.headers["location"] == f"{PATH}/{made['id']}"
        return made

    async def read(self, webhook_id: str) -> dict[str, Any]:
        answer = await self.ask("GET", f"/{webhook_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@asynccontextmanager
async def asking(pool: Pool, world: World, post: Post) -> AsyncIterator[Api]:
    authenticate = Authenticate(Directory(pool), RateLimit(100_000, 100_000), ())
    routes = WebhookRoutes(
        authenticate.manager, find_own, groups.among, pool, post.webhooks, post.outbound
    ).routes()
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "DELETE FROM services.key WHERE institution_id = $1 AND service_id IS NULL",
            world.bruno.institution,
        )
        bruno = await create_pair(conn, world.secrets, ACTOR, world.bruno.institution, None)
    transport = httpx.ASGITransport(app=App(routes, Starlette()))
    async with httpx.AsyncClient(transport=transport, base_url="http://messo") as client:
        name = "Ocp-Apim-Subscription-Key"
        yield Api(client, {name: world.manage_key}, {name: bruno["primary"]})
