"""An identity provider on loopback that says whatever a test wants it to say."""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from messo.base import server
from messo.base.crypto import Secrets
from messo.base.outbound import Outbound
from messo.login import Finished, Identity, LoginFlow, Provider, citizen_registration
from messo.settings import Settings
from tests.conftest import free_port, until_started

LEVEL_2 = "https://www.spid.gov.it/SpidL2"
CITIZEN = "TSTAUT80A01Y001S"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Hostile:
    """What it answers. `replaced` maps a path to a whole answer, `claims` change the ID token."""

    url: str
    key: Any = field(default_factory=lambda: ECKey.generate_key("P-256"))
    alg: str = "ES256"
    metadata: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    sign: Callable[["Hostile", dict[str, Any]], str] | None = None
    replaced: dict[str, Callable[[], Response]] = field(default_factory=dict)
    keys: list[dict[str, Any]] | None = None
    nonce: str = ""
    asked: list[str] = field(default_factory=list)
    token_request: dict[str, str] = field(default_factory=dict)
    authorization: str | None = None
    release: asyncio.Event = field(default_factory=asyncio.Event)
    clients: list[Outbound] = field(default_factory=list)

    async def leave(self) -> None:
        """End what a test began, and be honest again."""
        self.release.set()
        for client in self.clients:
            await client.close()
        vars(self).update(vars(Hostile(self.url)))

    def id_token(self) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url,
            "sub": "subject",
            "aud": "messo",
            "exp": now + 300,
            "iat": now,
            "nonce": self.nonce,
            "acr": LEVEL_2,
            "fiscal_code": CITIZEN,
            "given_name": "Anna",
            "family_name": "Prova",
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.sign:
            return self.sign(self, claims)
        header = {"alg": self.alg, "kid": "first", **self.header}
        header = {name: value for name, value in header.items() if value is not None}
        return jws.serialize_compact(header, json.dumps(claims), self.key, [self.alg])

    def public_keys(self) -> list[dict[str, Any]]:
        if self.keys is not None:
            return self.keys
        return [{**self.key.as_dict(private=False), "kid": "first", "use": "sig"}]

    async def answer(self, request: Request) -> Response:
        path = request.url.path
        self.asked.append(path)
        if path in self.replaced:
            return self.replaced[path]()
        if path == "/hang":
            await self.release.wait()
        if path == "/.well-known/openid-configuration":
            return JSONResponse(
                {
                    "issuer": self.url,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "jwks_uri": f"{self.url}/jwks",
                    "userinfo_endpoint": f"{self.url}/userinfo",
                    "end_session_endpoint": f"{self.url}/end",
                    **self.metadata,
                }
            )
        if path == "/jwks":
            return JSONResponse({"keys": self.public_keys()})
        if path == "/userinfo":
            self.authorization = request.headers.get("authorization")
            return JSONResponse({"sub": "subject", **self.userinfo})
        body = (await request.body()).decode()
        self.token_request = {name: values[0] for name, values in parse_qs(body).items()}
        self.authorization = request.headers.get("authorization")
        return JSONResponse(
            {"access_token": "access", "token_type": "Bearer", "id_token": self.id_token()}
        )


@asynccontextmanager
async def hostile_provider() -> AsyncIterator[Hostile]:
    port = free_port()
    hostile = Hostile(f"http://127.0.0.1:{port}")
    app = Starlette(routes=[Route("/{rest:path}", hostile.answer, methods=["GET", "POST"])])
    running = server.beside_server(app, "127.0.0.1", port)
    task = asyncio.create_task(running.serve())
    await until_started(running)
    try:
        yield hostile
    finally:
        await hostile.leave()
        running.should_exit = True
        await task


def flow_to(hostile: Hostile, secrets: Secrets, **more: Any) -> LoginFlow:
    """A flow that remembers nothing yet, and asks again at once after a failure."""
    settings = Settings(login_issuer=hostile.url, **more)
    hostile.clients.append(Outbound([ip_network("127.0.0.0/8")]))
    provider = Provider(citizen_registration(settings), hostile.clients[-1], pause_s=0)
    return LoginFlow(settings.public_url, secrets, provider)


def sent(url: str) -> dict[str, str]:
    """The parameters of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def log_in(hostile: Hostile, flow: LoginFlow, **query: str) -> Finished[Identity]:
    """The whole login, the browser's part played by this function."""
    url, cookie = await flow.begin("/", None)
    asked = sent(url)
    hostile.nonce = asked["nonce"]
    return await flow.finish({"code": "code", "state": asked["state"], **query}, cookie)


def unsigned(hostile: Hostile, claims: dict[str, Any]) -> str:
    """Algorithm none (RFC 7515, appendix A.5)."""
    header = b64(b'{"alg":"none","typ":"JWT"}')
    return f"{header}.{b64(json.dumps(claims).encode())}."


def signed_with_public_key(hostile: Hostile, claims: dict[str, Any]) -> str:
    """HS256 whose secret is the public key that everybody can read."""
    import hmac

    header = b64(b'{"alg":"HS256","typ":"JWT","kid":"first"}')
    signed = f"{header}.{b64(json.dumps(claims).encode())}"
    secret = hostile.key.as_pem(private=False)
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def rsa_key(bits: int) -> RSAKey:
    return RSAKey.generate_key(bits)
