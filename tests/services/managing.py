"""Managing services as an institution does, for the tests."""

from dataclasses import dataclass
from typing import Any

import httpx

from messo.base.db import Pool
from messo.services import Manager, Permission, owned, review
from tests.conftest import Running
from tests.world import World

PATH = "/api/v1/manage/services"
MOST = 1_000_000  # euro cents, of what is approved


def payload(**more: Any) -> dict[str, Any]:
    """All that a service needs for its approval; None takes a member away."""
    body: dict[str, Any] = {
        "name": "Mensa scolastica",
        "description": "Iscrizioni e pagamenti della **mensa**.",
        "organization": {"name": "Comune di Anna", "fiscal_code": "00000000001"},
        "metadata": {
            "scope": "LOCAL",
            "topic_id": 6,
            "privacy_url": "https://example.org/privacy",
            "email": "mensa@example.org",
        },
    }
    metadata = {**body["metadata"], **more.pop("metadata", {})}
    body["metadata"] = {name: value for name, value in metadata.items() if value is not None}
    return {name: value for name, value in {**body, **more}.items() if value is not None}


def manager_of(institution_id: str, group_id: str | None = None) -> Manager:
    """As a manage key of an institution, or of one of its groups, is known to us."""
    return Manager(institution_id, frozenset(Permission), f"institution:{institution_id}", group_id)


@dataclass(frozen=True)
class Managing:
    """Requests with a manage key."""

    client: httpx.AsyncClient
    key: str

    async def ask(
        self, method: str, path: str = "", body: Any = None, expect: int = 200, **headers: str
    ) -> Any:
        """The decoded answer (None for an empty one), after its status was checked."""
        answer = await self.send(method, path, body, **headers)
        assert answer.status_code == expect, (method, path, answer.text)
        return answer.json() if answer.content else None

    async def send(
        self, method: str, path: str = "", body: Any = None, **headers: str
    ) -> httpx.Response:
        """The answer, whatever it is. `headers`: `If_Match` for If-Match."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(
            method,
            PATH + path,
            json=body,
            headers={"Ocp-Apim-Subscription-Key": self.key, **given},
        )

    async def make(self, **more: Any) -> str:
        """A new service; its id."""
        made = await self.ask("POST", "", payload(**more), 201)
        return str(made["id"])

    async def status(self, service_id: str) -> dict[str, Any]:
        """How far its working version is."""
        found = await self.ask("GET", f"/{service_id}")
        status: dict[str, Any] = found["status"]
        return status


async def version_of(pool: Pool, service_id: str) -> int:
    """Of the working version: what a reviewer has looked at; 1 where there is none."""
    async with pool.connection() as conn:
        found = await owned.find(conn, service_id)
    return int(found["version"]) if found else 1


async def approve(pool: Pool, service_id: str) -> None:
    """As an operator does."""
    version = await version_of(pool, service_id)
    async with pool.transaction() as conn:
        await review.approve(conn, "operator:tests", service_id, version, MOST)


async def reject(pool: Pool, service_id: str, reason: str = "No.") -> None:
    """As an operator does."""
    version = await version_of(pool, service_id)
    async with pool.transaction() as conn:
        await review.reject(conn, "operator:tests", service_id, version, reason)


def of(running: Running, world: World) -> Managing:
    """As Anna's institution."""
    return Managing(running.client, world.manage_key)
