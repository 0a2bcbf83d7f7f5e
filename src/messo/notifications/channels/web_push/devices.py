"""Browsers that their citizens asked to be told by: any number, up to a bound."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

from messo.base import clock
from messo.base.addresses import parse
from messo.base.crypto import SecretError, Secrets
from messo.base.db import Connection
from messo.base.http import Problem
from messo.base.outbound_errors import ForbiddenAddressError
from messo.notifications.channels.web_push.keys import public_key, queries

__all__ = [
    "Device",
    "Subscription",
    "decoded",
    "device_id",
    "forget_device",
    "list_devices",
    "log_out_device",
    "log_out_everywhere",
    "meet_device",
    "public_key",
    "put_device",
    "renew_device",
]

MOST = 20  # browsers of one citizen; the one that asked longest ago gives way
_LONGEST = 2000  # characters of an endpoint
_AUTH_BYTES = 16  # RFC 8291, section 3.2


class Subscription(msgspec.Struct, frozen=True):
    """What a browser says of itself (Push API): where, and for whose eyes, in base64url."""

    endpoint: str
    p256dh: str
    auth: str

    def check(self) -> None:
        """`Problem` 400 that names the field, unless it can be sent to."""
        # Whether its name leads to a public address is asked at each try: names change.
        if len(self.endpoint) > _LONGEST:
            raise _wrong("endpoint")
        try:
            parse(self.endpoint)
        except ForbiddenAddressError:
            raise _wrong("endpoint") from None
        try:
            EllipticCurvePublicKey.from_encoded_point(SECP256R1(), decoded(self.p256dh))
        except ValueError:
            raise _wrong("p256dh") from None
        try:
            secret = decoded(self.auth)
        except ValueError:
            raise _wrong("auth") from None
        if len(secret) != _AUTH_BYTES:
            raise _wrong("auth")


_subscription = msgspec.json.Decoder(Subscription)


@dataclass(frozen=True)
class Device:
    """A browser as its owner sees it. `label`: `Firefox, Linux`."""

    id: str
    label: str
    created_at: datetime


def device_id(endpoint: str) -> str:
    """Stands for an endpoint, which is a secret: whoever knows it can send."""
    return hashlib.sha256(endpoint.encode()).hexdigest()[:32]


def origin_of(endpoint: str) -> str:
    """The push service of an endpoint: `https://push.example.org`."""
    return "://".join(urlsplit(endpoint)[:2])


async def put_device(
    conn: Connection,
    secrets: Secrets,
    fiscal_code: str,
    subscription: Subscription,
    *,
    label: str,
    session_id: str,
) -> None:
    """Keep a browser, or what is new of it. Whoever used it before is not told there any more.

    `Problem` 400 for a subscription that is none.
    """
    subscription.check()
    bucket, one = conn.bucket(fiscal_code), device_id(subscription.endpoint)
    await _take(conn, fiscal_code, one)
    await conn.run(
        queries.put_device,
        bucket=bucket,
        id=one,
        fiscal_code=fiscal_code,
        sealed=secrets.encrypt(msgspec.json.encode(subscription).decode()),
        origin=origin_of(subscription.endpoint),
        label=label,
        session_id=session_id,
        now=clock.now(),
    )
    await conn.run(queries.drop_oldest, bucket=bucket, fiscal_code=fiscal_code, keep=MOST)


async def meet_device(conn: Connection, fiscal_code: str, endpoint: str, session_id: str) -> bool:
    """A citizen is logged in at a browser that has a subscription; whether it is theirs.

    Another's is given up: what they are told must not be shown to this one.
    """
    one = device_id(endpoint)
    await _take(conn, fiscal_code, one)
    return bool(
        await conn.run(
            queries.greet_device,
            bucket=conn.bucket(fiscal_code),
            id=one,
            fiscal_code=fiscal_code,
            session_id=session_id,
        )
    )


async def renew_device(
    conn: Connection, secrets: Secrets, old_endpoint: str, old_auth: str, new: Subscription
) -> bool:
    """The browser replaced its subscription by itself; False if we do not know the old one.

    Nobody is logged in then. The proof is the old one's `auth` secret: the push service, which
    knows every endpoint, does not know it, and must not be able to name keys of its own.
    """
    new.check()
    old = device_id(old_endpoint)
    row = await conn.row(queries.find_device, buckets=list(range(conn.buckets)), id=old)
    if row is None:
        return False
    try:
        kept = _subscription.decode(secrets.decrypt(row["sealed"]))
    except (SecretError, ValueError):
        return False
    if not hmac.compare_digest(kept.auth.encode(), old_auth.encode("utf-8", "replace")):
        return False
    fiscal_code = row["fiscal_code"]
    if not await forget_device(conn, fiscal_code, old):
        return False  # renewed, turned off or taken over in this very moment
    await put_device(
        conn, secrets, fiscal_code, new, label=row["label"], session_id=row["session_id"]
    )
    if row["is_logged_out"]:
        await log_out_device(conn, fiscal_code, row["session_id"])
    return True


async def log_out_device(conn: Connection, fiscal_code: str, session_id: str) -> None:
    """The citizen logged out there: from now on it is told without content."""
    await conn.run(
        queries.log_out_devices,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        session_id=session_id,
    )


async def log_out_everywhere(conn: Connection, fiscal_code: str) -> None:
    """The citizen ended every login: no browser of theirs is shown content from now on."""
    await conn.run(
        queries.log_out_everywhere, bucket=conn.bucket(fiscal_code), fiscal_code=fiscal_code
    )


async def list_devices(conn: Connection, fiscal_code: str) -> Sequence[Device]:
    """A citizen's browsers, the newest first."""
    rows = await conn.rows(
        queries.list_devices, bucket=conn.bucket(fiscal_code), fiscal_code=fiscal_code
    )
    return [Device(row["id"], row["label"], row["created_at"]) for row in rows]


async def forget_device(conn: Connection, fiscal_code: str, device: str) -> bool:
    """Tell them there no more; False if it is not theirs."""
    return bool(
        await conn.run(
            queries.forget_device,
            bucket=conn.bucket(fiscal_code),
            fiscal_code=fiscal_code,
            id=device,
        )
    )


def decoded(text: str) -> bytes:
    """From base64url, padded or not. `ValueError` for anything else."""
    try:
        return base64.b64decode(
            text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True
        )
    except binascii.Error:
        raise ValueError("not base64url") from None


async def _take(conn: Connection, fiscal_code: str, device: str) -> None:
    await conn.run(
        queries.take_from_others,
        buckets=list(range(conn.buckets)),
        id=device,
        fiscal_code=fiscal_code,
    )


def _wrong(field: str) -> Problem:
    return Problem(400, "Bad request", "This is no push subscription of a browser.", field=field)
