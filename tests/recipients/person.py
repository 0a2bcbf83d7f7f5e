"""A citizen with a client application, as these tests meet them."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import httpx

from messo.base.db import Pool
from messo.login import Identity, Limits, open_session
from messo.recipients.profile import Profile, create_profiles
from messo.sandbox.fiscal_codes import make

LIMITS = Limits(timedelta(days=1), timedelta(days=1))
PROFILE = "/api/identity/v1/profile"
DATA = "/api/identity/v1/user-data-processing"


@dataclass(frozen=True)
class Person:
    """`request` speaks with this citizen's token."""

    code: str
    token: str
    client: httpx.AsyncClient

    async def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **more)

    async def get(self, path: str) -> httpx.Response:
        return await self.request("GET", path)

    async def post(self, path: str, body: Any = None) -> httpx.Response:
        return await self.request("POST", path, json=body)


def code(number: int, letters: str = "PRS") -> str:
    """A fiscal code never issued; each test file has letters of its own."""
    return make(f"TST{letters}80A01Y{number:03d}")


async def enter(
    pool: Pool, client: httpx.AsyncClient, fiscal_code: str, *, profile: bool = True, **more: Any
) -> Person:
    """Enrol (AUTO, open, unless told otherwise) and log in."""
    identity = Identity(
        fiscal_code,
        "Ada",
        "Prova",
        "https://www.spid.gov.it/SpidL2",
        date(1980, 1, 1),
        "ada@login.example.org",
    )
    async with pool.transaction() as conn:
        if profile:
            values: dict[str, Any] = {
                "mode": "AUTO",
                "settings_version": -1 if more.get("mode") == "LEGACY" else 0,
                "is_inbox_enabled": True,
                "is_webhook_enabled": True,
                **more,
            }
            await create_profiles(conn, [Profile(fiscal_code, **values)])
        token = await open_session(conn, identity, "client", "tests", LIMITS)
    return Person(fiscal_code, token, client)


async def feed_of(pool: Pool, fiscal_code: str) -> dict[str, bool]:
    """What the feed says today of a citizen, by service; "" is the whole profile."""
    from messo.recipients.feed import citizen_digest

    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT service_id, subscribed FROM recipients.subscription_change WHERE citizen = $1",
            citizen_digest(fiscal_code),
        )
    return {row[0]: row[1] for row in rows}


async def kinds_of(pool: Pool, fiscal_code: str) -> list[str]:
    """The kinds of a citizen's history, newest first."""
    from messo.recipients.history import history

    async with pool.connection() as conn:
        return [row["kind"] for row in await history(conn, fiscal_code)]
