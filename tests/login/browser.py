"""A browser at the login, redirects followed by hand, and a client application that began it."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

import httpx

from tests.login.provider import sent

APP = "https://app.example.org/back?from=messo"
LOOPBACK = "http://127.0.0.1/back"
VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)


@dataclass
class Visitor:
    """`choose` and `come_back` are the steps of a login after the first."""

    client: httpx.AsyncClient

    async def choose(self, begun: httpx.Response, **form: str) -> str:
        """From the answer that begins a login to the address of the callback."""
        assert begun.status_code in {302, 303}
        answer = await self.client.post(begun.headers["location"], data=form)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def log_in(self, fiscal_code: str, return_to: str = "/") -> httpx.Response:
        """A login by the pages; the answer of the callback."""
        begun = await self.client.get("/login", params={"return_to": return_to})
        return await self.client.get(await self.choose(begun, fiscal_code=fiscal_code))

    async def begin_client(self, **changed: str | None) -> httpx.Response:
        """What a client application opens in a browser."""
        asked: dict[str, str | None] = {
            "redirect_uri": APP,
            "state": "of the app",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changed,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        return await self.client.get("/api/auth/v1/login", params=given)

    async def code(self, fiscal_code: str, redirect_uri: str = APP) -> str:
        """A client application's code, at the end of a login."""
        begun = await self.begin_client(redirect_uri=redirect_uri)
        back = await self.client.get(await self.choose(begun, fiscal_code=fiscal_code))
        assert back.headers["location"].startswith(redirect_uri)
        return sent(back.headers["location"])["code"]

    async def exchange(self, code: str, **changed: Any) -> httpx.Response:
        given = {"code": code, "code_verifier": VERIFIER, "redirect_uri": APP, **changed}
        return await self.client.post("/api/auth/v1/token", json=given)

    async def bearer(self, fiscal_code: str) -> dict[str, str]:
        """The header of a new session of a client application."""
        answer = await self.exchange(await self.code(fiscal_code))
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['token']}"}
