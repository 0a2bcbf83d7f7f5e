"""The sandbox's push service, and the devices behind it: what they were shown can be looked at.

The keys of these invented devices follow from the installation's secret, so that the sink, in one
process, opens what the worker, in another, encrypted. Real browsers use their own push service.
"""

import base64
import json
from collections import deque
from dataclasses import dataclass
from datetime import datetime

import http_ece
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from messo.base import clock
from messo.base.crypto import Secrets
from messo.notifications.channels import devices
from messo.sandbox import pages

PATH = "/sandbox/push"
# Whose device, and how it answers.
DEVICES = {
    "Giulia Ferretti": "here",
    "Ana Kovač": "here",
    "Push gone": "gone",
    "Never reads": "here",
}

_KEPT = 200
_LARGEST = 8 * 1024  # bytes; a push service takes 4,096
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
_TEXTS = {
    "it": {
        "title": "Le notifiche dei dispositivi di prova",
        "lead": "Ogni notifica è arrivata cifrata, e qui è aperta con la chiave del dispositivo.",
        "none": "Ancora nessuna: manda un messaggio a Giulia Ferretti o ad Ana Kovač.",
        "lives": "vale ancora {hours} ore",
    },
    "en": {
        "title": "Notices on the test devices",
        "lead": "Each came encrypted, and is opened here with the key of its device.",
        "none": "None yet: send a message to Giulia Ferretti or to Ana Kovač.",
        "lives": "worth telling for {hours} hours more",
    },
}


@dataclass(frozen=True)
class Shown:
    """A notice as a device shows it."""

    owner: str
    title: str
    body: str
    language: str
    seconds: int
    at: datetime


def subscription(secrets: Secrets, public_url: str, name: str, kind: str) -> devices.Subscription:
    """What the browser of this test citizen would say of itself."""
    point = (
        _key(secrets, name).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    )
    number = list(DEVICES).index(name)
    return devices.Subscription(
        f"{public_url.rstrip('/')}{PATH}/{kind}/{number}",
        _encoded(point),
        _encoded(_auth(secrets, name)),
    )


class PushSink:
    """Takes, opens and shows. In memory, for one server process."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._shown: deque[Shown] = deque(maxlen=_KEPT)
        self._template = pages.template("push.html")

    def routes(self) -> list[Route]:
        """The page, its style, and the endpoints."""
        return [
            Route(PATH, self.show),
            pages.style_sheet(PATH, "push.css"),
            Route(PATH + "/{kind}/{number:int}", self.take, methods=["POST"]),
        ]

    async def take(self, request: Request) -> Response:
        """As a push service answers (RFC 8030, section 5)."""
        number = request.path_params["number"]
        if request.path_params["kind"] == "gone":
            return Response(status_code=410)
        if number >= len(DEVICES):
            return Response(status_code=404)
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > _LARGEST:
                return Response(status_code=413)
        name = list(DEVICES)[number]
        try:
            opened = http_ece.decrypt(
                bytes(body),
                private_key=_key(self._secrets, name),
                auth_secret=_auth(self._secrets, name),
                version="aes128gcm",
            )
            said = json.loads(opened)
            lives = int(request.headers.get("ttl", ""))
            shown = Shown(name, said["title"], said["body"], said["lang"], lives, clock.now())
        except (http_ece.ECEException, InvalidTag, ValueError, KeyError, TypeError):
            return Response(status_code=400)
        self._shown.appendleft(shown)
        return Response(status_code=201, headers={"Location": str(request.url)})

    async def show(self, request: Request) -> Response:
        """What the devices were shown, newest first."""
        language = pages.language_of(request)
        html = self._template.render(
            language=language, texts=_TEXTS[language], notices=list(self._shown)
        )
        return HTMLResponse(html, headers=pages.headers())


def _key(secrets: Secrets, name: str) -> ec.EllipticCurvePrivateKey:
    number = int.from_bytes(secrets.keyed_digest(f"sandbox.push.key:{name}"))
    return ec.derive_private_key(number % (_ORDER - 1) + 1, ec.SECP256R1())


def _auth(secrets: Secrets, name: str) -> bytes:
    return secrets.keyed_digest(f"sandbox.push.auth:{name}")[:16]


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
