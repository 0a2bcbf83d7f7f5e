"""A push service on loopback, and the browsers behind it: it checks and decrypts as they would.

Devices are told apart by their path; the first part of it says how the service behaves:
`/ok/…`, `/404/…`, `/429/…`, `/hang/…` and so on.
"""

import asyncio
import base64
import json
import os
import time
from dataclasses import dataclass, field
from typing import Any

import http_ece
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.notifications.channels.web_push.devices import Subscription, put_device
from tests.conftest import free_port


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Device:
    """A browser: its keys, and what it was shown."""

    endpoint: str
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    auth: bytes = field(default_factory=lambda: os.urandom(16))
    shown: list[dict[str, Any]] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)
    lives: list[int] = field(default_factory=list)

    @property
    def subscription(self) -> Subscription:
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return Subscription(self.endpoint, encoded(point), encoded(self.auth))


class PushService:
    """Answers as its devices' paths say. `asked` counts requests by path; `wrong` says what was bad."""

    def __init__(self) -> None:
        self.devices: dict[str, Device] = {}
        self.asked: dict[str, int] = {}
        self.wrong: list[str] = []
        self.behaviour: dict[str, str] = {}  # instead of what the path says
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.hanging = asyncio.Event()
        self.let_go = asyncio.Event()
        self._runner: web.AppRunner | None = None

    def device(self, behaviour: str = "ok") -> Device:
        path = f"/{behaviour}/{len(self.devices)}"
        return self.devices.setdefault(path, Device(self.origin + path))

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/{behaviour}/{number}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        self.let_go.set()
        if self._runner:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        path = request.path
        self.asked[path] = self.asked.get(path, 0) + 1
        behaviour = self.behaviour.get(path, request.match_info["behaviour"])
        body = await request.read()
        if behaviour == "hang":
            self.hanging.set()
            await self.let_go.wait()
        if behaviour == "reset" and request.transport:
            request.transport.abort()
        if behaviour == "429":
            return web.Response(status=429, headers={"Retry-After": "120"})
        if behaviour != "ok":
            return web.Response(status=int(behaviour) if behaviour.isdigit() else 500)
        try:
            self._show(self.devices[path], request, body)
        except Exception as error:  # the test looks at what was wrong
            self.wrong.append(repr(error))
            return web.Response(status=400)
        return web.Response(status=201, headers={"Location": f"{self.origin}/said/1"})

    def _show(self, device: Device, request: web.Request, body: bytes) -> None:
        scheme, _, parameters = request.headers["Authorization"].partition(" ")
        assert scheme == "vapid"
        given = dict(part.strip().split("=", 1) for part in parameters.split(","))
        point = decoded(given["k"])
        assert len(point) == 65
        assert point[0] == 4
        key = ECKey.import_key(
            {"kty": "EC", "crv": "P-256", "x": encoded(point[1:33]), "y": encoded(point[33:])}
        )
        token = jwt.decode(given["t"], key, algorithms=["ES256"])
        assert token.claims["aud"] == self.origin
        assert time.time() < token.claims["exp"] <= time.time() + 24 * 3600
        assert token.claims["sub"].startswith(("mailto:", "https:"))
        assert request.headers["Content-Encoding"] == "aes128gcm"
        assert request.headers["Urgency"] in {"very-low", "low", "normal", "high"}
        assert len(request.headers["Topic"]) <= 32
        assert len(body) <= 4096  # RFC 8030, section 7.2
        plain = http_ece.decrypt(
            body, private_key=device.key, auth_secret=device.auth, version="aes128gcm"
        )
        device.shown.append(json.loads(plain))
        device.topics.append(request.headers["Topic"])
        device.lives.append(int(request.headers["TTL"]))


async def subscribe(
    pool: Pool, secrets: Secrets, fiscal_code: str, device: Device, session_id: str = "S"
) -> None:
    """As the citizen's browser does on the preferences page."""
    async with pool.transaction() as conn:
        await put_device(
            conn,
            secrets,
            fiscal_code,
            device.subscription,
            label="Firefox, Linux",
            session_id=session_id,
        )
