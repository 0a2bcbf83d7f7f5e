"""An operator at the console, and what somebody who is none gets there."""

from dataclasses import dataclass
from typing import Any

import httpx

from messo.base.db import Pool
from messo.operations import operators
from tests.console.colleague import Colleague

HOME = "/console/operate"


@dataclass
class Operator:
    """Logged in; `csrf` is of that login."""

    client: httpx.AsyncClient
    csrf: str

    async def get(self, path: str, status: int = 200, language: str = "en") -> str:
        """The text of a page below the operators' home."""
        answer = await self.client.get(HOME + path, headers={"Accept-Language": language})
        assert answer.status_code == status, answer.text
        return answer.text

    async def post(self, path: str, status: int = 303, **form: Any) -> httpx.Response:
        """A form sent; for a redirect, the answer of the page behind it."""
        answer = await self.client.post(HOME + path, data={"csrf": self.csrf, **form})
        assert answer.status_code == status, answer.text
        if status == 303:
            answer = await self.client.get(answer.headers["location"])
            assert answer.status_code == 200, answer.text
        return answer

    async def rows(self, path: str) -> list[str]:
        """The lines of a CSV file, the first with the names of its columns."""
        answer = await self.client.get(HOME + path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/csv")
        return answer.text.lstrip("\ufeff").splitlines()


async def operating(colleague: Colleague, pool: Pool, login: str = "olga") -> Operator:
    """This browser, logged in as an operator."""
    await colleague.log_in(login)
    async with pool.transaction() as conn:
        await operators.add(conn, "tests", login)
    return Operator(colleague.client, await colleague.csrf())


async def not_for_others(other: Colleague, pages: list[str], forms: list[str]) -> None:
    """Somebody who is logged in and no operator is told that there is nothing."""
    await other.log_in("norma")
    csrf = await other.csrf()
    for path in pages:
        assert (await other.client.get(HOME + path)).status_code == 404, path
    for path in forms:
        answer = await other.client.post(HOME + path, data={"csrf": csrf})
        assert answer.status_code == 404, path
