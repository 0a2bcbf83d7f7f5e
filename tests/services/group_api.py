"""The routes to groups and manage keys, and what hangs on services, asked as institutions would."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import httpx
from starlette.applications import Starlette

from messo.base.db import Pool
from messo.base.http import Request
from messo.base.limits import RateLimit
from messo.base.outbound import Outbound
from messo.events.webhook_routes import WebhookRoutes
from messo.events.webhooks import Webhooks
from messo.front import App
from messo.operations import record
from messo.services import Authenticate, Directory, Manager, Permission, groups
from messo.services.authenticate import Need
from messo.services.group_routes import GroupRoutes
from messo.services.keys import create_pair
from messo.services.manage_routes import ManageRoutes
from messo.services.manage_routes import Rules as ServiceRules
from messo.services.owned import find_own
from messo.settings import Settings
from messo.sso.client_routes import ClientRoutes
from messo.sso.registration import Rules
from tests.world import ACTOR, World

GROUPS, MANAGE_KEY = "/messo/v1/groups", "/messo/v1/manage-key"
NOT_ALLOWED = (403, "You are not allowed here")
OTHER_GROUP = (403, "User has no valid scopes")


@dataclass(frozen=True)
class Api:
    """`directory` is a second behind at most, as with everybody; `ask` does not wait for it."""

    client: httpx.AsyncClient
    directory: Directory
    master: str
    bruno: str

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        address: str | None = None,
    ) -> httpx.Response:
        """With the master key of Anna's town, unless another is given; from there, if said."""
        await self.directory.refresh(0)
        headers = {"Ocp-Apim-Subscription-Key": key or self.master}
        if address is not None:
            headers["X-Forwarded-For"] = address
        return await self.client.request(method, path, json=body, headers=headers)

    async def make(self, name: str, *cidrs: str, key: str | None = None) -> tuple[str, str]:
        """A group: its path and its primary key."""
        body = {"name": name, "authorized_cidrs": list(cidrs)}
        made = await self.ask("POST", GROUPS, body, key=key)
        assert made.status_code == 201, made.text
        path = f"{GROUPS}/{made.json()['id']}"
        assert made.headers["location"] == path
        pair = (await self.ask("GET", f"{path}/keys", key=key)).json()
        return path, pair["primary_key"]

    async def move(self, service: str, path: str | None, key: str | None = None) -> httpx.Response:
        group = path and path.rpartition("/")[2]
        return await self.ask(
            "PUT", f"/messo/v1/services/{service}/group", {"group_id": group}, key=key
        )

    async def refused(self, *asked: Any, **more: Any) -> tuple[int, str]:
        """Status and title of what should be a problem."""
        answer = await self.ask(*asked, **more)
        return answer.status_code, answer.json().get("title", "")


@asynccontextmanager
async def asking(pool: Pool, world: World) -> AsyncIterator[Api]:
    directory = Directory(pool)
    loopback = (ip_network("127.0.0.0/8"),)
    authenticate = Authenticate(directory, RateLimit(100_000, 100_000), loopback)

    async def manager(request: Request, _: Need) -> Manager:
        return await authenticate.manager(request, Permission.SERVICE_WRITE)

    outbound = Outbound()
    routes = [
        *GroupRoutes(manager, pool, world.secrets, loopback).routes(),
        *ManageRoutes(
            manager, authenticate.anyone, pool, world.secrets, ServiceRules.of(Settings())
        ).routes(),
        *WebhookRoutes(
            authenticate.manager,
            find_own,
            groups.among,
            pool,
            Webhooks(world.secrets, record),
            outbound,
        ).routes(),
        *ClientRoutes(authenticate.manager, pool, Rules("https://messo.example.org", ())).routes(),
    ]
    async with pool.transaction() as conn:
        bruno = await create_pair(conn, world.secrets, ACTOR, world.bruno.institution, None)
    transport = httpx.ASGITransport(app=App(routes, Starlette()))
    async with httpx.AsyncClient(transport=transport, base_url="http://messo") as client:
        yield Api(client, directory, world.manage_key, bruno["primary"])
    await outbound.close()


async def within_a_second(condition: Callable[[], Awaitable[bool]]) -> None:
    """As others see it, whose look at the database is up to a second old."""
    async with asyncio.timeout(1):
        while not await condition():
            await asyncio.sleep(0.01)
