"""Somebody of an institution at a browser, redirects followed by hand."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

COOKIE = "messo-staff"
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')
_SHOWN = re.compile(r'name="shown" value="([0-9a-f]+)"')


@dataclass
class Colleague:
    """`choose` and `come_back` are the steps of a login after the first."""

    client: httpx.AsyncClient

    @property
    def token(self) -> str:
        """Of the session of this browser."""
        return str(self.client.cookies[COOKIE])

    async def begin(self, return_to: str = "/console") -> httpx.Response:
        return await self.client.get("/console/login", params={"return_to": return_to})

    async def choose(self, begun: httpx.Response, **form: str) -> str:
        """From the answer that begins a login to the address of the callback."""
        assert begun.status_code == 303, begun.text
        answer = await self.client.post(begun.headers["location"], data=form)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def log_in(self, login: str, return_to: str = "/console") -> httpx.Response:
        """The whole login; the answer of the callback."""
        return await self.client.get(await self.choose(await self.begin(return_to), login=login))

    async def csrf(self) -> str:
        """The token of forms, as the first page has it."""
        return _found(_CSRF, (await self.client.get("/console")).text)

    async def accept(self, page: httpx.Response, **changed: str) -> httpx.Response:
        """Press the button of the page of an invitation."""
        form = {"csrf": _found(_CSRF, page.text), "shown": _found(_SHOWN, page.text), **changed}
        return await self.client.post("/console/invitation", data=form)


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    assert match, text
    return match[1]


@asynccontextmanager
async def browser_at(url: str) -> AsyncIterator[Colleague]:
    """A browser without cookies, that prefers English."""
    headers = {"Accept-Language": "en"}
    async with httpx.AsyncClient(base_url=url, timeout=30, headers=headers) as client:
        yield Colleague(client)
