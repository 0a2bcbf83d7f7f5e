"""Sending a notice to a browser: encrypted for it alone, through its maker's push service.

Sources: RFC 8030 (delivery), RFC 8188 and 8291 (encryption), RFC 8292 (who sends).
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

import http_ece
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from messo.base import clock
from messo.base.crypto import SecretError, Secrets
from messo.base.db import Connection
from messo.base.outbound import (
    BusyError,
    Limits,
    Outbound,
    OutboundError,
    Reply,
)
from messo.base.retry_after import retry_after_s
from messo.notifications.channels.channel import (
    Again,
    Choice,
    Delivery,
    Failed,
    Gone,
    Outcome,
    Sent,
    Wording,
)
from messo.notifications.channels.web_push.devices import Subscription, decoded, origin_of
from messo.notifications.channels.web_push.keys import Signer, queries, read_key, read_or_make
from messo.notifications.channels.web_push.text import notice
from messo.recipients import language_of

_LIMITS = Limits(connect_s=5, total_s=10, wait_s=2, answer_bytes=4096)
_GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
_subscription = msgspec.json.Decoder(Subscription)


@dataclass(frozen=True, slots=True)
class Target:
    """A browser, as it is just before sending.

    It is opened only then, so that one that cannot be opened keeps no other waiting.
    """

    sealed: str
    wording: Wording
    signer: Signer


class WebPush:
    """The channel. `contact`: an e-mail or https address that push services may complain to."""

    name = "web_push"
    at_once = 512  # most of them wait for their turn at their push service
    reminds = True

    def __init__(self, outbound: Outbound, secrets: Secrets, contact: str) -> None:
        self._outbound = outbound
        self._secrets = secrets
        self._contact = contact if contact.startswith("https:") else f"mailto:{contact}"
        self._signer: Signer | None = None

    async def choose(self, conn: Connection, bucket: int, ids: Sequence[str]) -> list[Choice]:
        rows = await conn.rows(queries.choose, bucket=bucket, ids=ids)
        return [
            Choice(
                row["message_id"],
                row["address"],
                "FULL" if row["is_full"] else "ANONYMOUS",
                language_of(row["preferred_languages"]) or "it",
                row["origin"],
            )
            for row in rows
        ]

    def room(self, host: str) -> tuple[int, float]:
        return self._outbound.room(host)

    async def targets(
        self, conn: Connection, bucket: int, deliveries: Sequence[Delivery]
    ) -> Mapping[str, Target]:
        signer = await self._signs(conn)
        rows = await conn.rows(
            queries.open_devices, bucket=bucket, ids=[delivery.id for delivery in deliveries]
        )
        chosen = {delivery.id: delivery.wording for delivery in deliveries}
        return {
            row["id"]: Target(
                row["sealed"],
                # The stricter of what held then and what holds now.
                "FULL" if row["is_full"] and chosen[row["id"]] == "FULL" else "ANONYMOUS",
                signer,
            )
            for row in rows
        }

    async def send(self, delivery: Delivery, target: Target) -> Outcome:
        try:
            subscription = _subscription.decode(self._secrets.decrypt(target.sealed))
        except (SecretError, ValueError):  # a secret that is listed no more, or a damaged row
            return Failed("cannot be opened")
        url = subscription.endpoint
        headers = {
            "Authorization": target.signer.authorization(origin_of(url)),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(max(0, int((delivery.expires_at - clock.now()).total_seconds()))),
            "Urgency": "normal",
            "Topic": topic(delivery.message_id),
        }
        body = encrypt(notice(delivery, target.wording), subscription)
        try:
            reply = await self._outbound.send(
                "POST", url, headers=headers, body=body, limits=_LIMITS
            )
        except BusyError as busy:
            return Again("busy", busy.after_s, tried=False)
        except OutboundError as error:
            return Again(error.reason)
        return outcome(reply, clock.now())

    async def _signs(self, conn: Connection) -> Signer:
        if self._signer is None:
            key = await read_key(conn, self._secrets)
            if key is None:
                # Made in a transaction that may yet fail, so that it is not kept.
                return Signer(await read_or_make(conn, self._secrets), self._contact)
            self._signer = Signer(key, self._contact)
        return self._signer

    async def switch_off(
        self, conn: Connection, bucket: int, gone: Sequence[tuple[Delivery, str]]
    ) -> None:
        await conn.run(
            queries.drop_devices, bucket=bucket, ids=[delivery.address for delivery, _ in gone]
        )

    async def erase(self, conn: Connection, fiscal_code: str, before: datetime) -> None:
        await conn.run(
            queries.erase_devices,
            bucket=conn.bucket(fiscal_code),
            fiscal_code=fiscal_code,
            before=before,
        )


def encrypt(content: bytes, subscription: Subscription) -> bytes:
    """For this browser alone, in one record, with a key and a salt of their own (RFC 8291)."""
    body: bytes = http_ece.encrypt(
        content,
        private_key=ec.generate_private_key(ec.SECP256R1()),
        dh=decoded(subscription.p256dh),
        auth_secret=decoded(subscription.auth),
        version="aes128gcm",
    )
    return body


def topic(message_id: str) -> str:
    """A newer notice of the same message takes the place of one that waits (RFC 8030, 5.4).

    32 base64url characters that tell a push service nothing.
    """
    digest = hashlib.sha256(f"topic:{message_id}".encode()).digest()
    return base64.urlsafe_b64encode(digest[:24]).decode()


def outcome(reply: Reply, now: datetime) -> Outcome:
    """What an answer means. Only "not here any more" is about the address; the rest passes."""
    if reply.status in range(200, 300):
        return Sent()
    if reply.status in _GONE:
        return Gone(str(reply.status))
    if reply.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Failed(str(reply.status))
    return Again(str(reply.status), retry_after_s(reply.headers.get("Retry-After"), now))
