"""Somebody who works at an institution in the console: pages below its home, and forms."""

import httpx

from messo.base.db import Pool
from messo.people.members import put_member
from messo.people.roles import Role
from tests.console.colleague import Colleague
from tests.world import ACTOR


class Clerk:
    """A browser that is logged in, at one institution."""

    def __init__(self, colleague: Colleague, institution: str, csrf: str) -> None:
        self.client = colleague.client
        self.home = f"/console/institutions/{institution}"
        self.csrf = csrf

    async def get(self, path: str, status: int = 200) -> str:
        """The page below the institution's home."""
        answer = await self.client.get(self.home + path)
        assert answer.status_code == status, (path, answer.text)
        return answer.text

    async def post(self, path: str, status: int = 303, /, **form: str) -> httpx.Response:
        """The answer to a form."""
        answer = await self.client.post(self.home + path, data={"csrf": self.csrf, **form})
        assert answer.status_code == status, (path, answer.text)
        return answer

    async def follow(self, path: str, /, **form: str) -> str:
        """The page that a form leads to."""
        answer = await self.post(path, **form)
        page = await self.client.get(answer.headers["location"])
        assert page.status_code == 200, page.text
        return page.text


async def clerk_at(
    colleague: Colleague, pool: Pool, institution: str, role: Role = "admin", login: str = ""
) -> Clerk:
    """Log somebody in, in this role."""
    name = login or f"clerk.{role}"
    async with pool.transaction() as conn:
        await put_member(
            conn, ACTOR, institution, name, f"Clerk {role}", f"{name}@example.org", role
        )
    await colleague.log_in(name)
    csrf = await colleague.csrf()
    return Clerk(colleague, institution, csrf)
