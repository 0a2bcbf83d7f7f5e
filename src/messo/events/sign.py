"""Signing secrets and signatures: Standard Webhooks (github.com/standard-webhooks/standard-webhooks).

A replaced secret goes on signing beside the new one for a day, so that an institution can change
over without losing an event.
"""

import base64
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from standardwebhooks import Webhook

OVERLAP = timedelta(hours=24)
_SECRET_BYTES = 32
MOST = 5  # secrets at a time; each is promised its day


class SigningSecret(msgspec.Struct, omit_defaults=True):
    """`secret` is whsec_ and base64; `until`: it signs up to then, None for ever.

    `original`: it was made with the webhook itself.
    """

    secret: str
    until: datetime | None = None
    original: bool = False


_stored = msgspec.json.Decoder(list[SigningSecret])


def first_secret() -> list[SigningSecret]:
    """The secret of a new webhook."""
    return [SigningSecret(_random(), original=True)]


def replaced(secrets: Sequence[SigningSecret], now: datetime) -> list[SigningSecret]:
    """A new secret in front; the others sign for a while yet."""
    old = [
        SigningSecret(one.secret, min(one.until or now + OVERLAP, now + OVERLAP))
        for one in live(secrets, now)
    ]
    return [SigningSecret(_random()), *old]


def _random() -> str:
    return "whsec_" + base64.b64encode(os.urandom(_SECRET_BYTES)).decode()


def live(secrets: Sequence[SigningSecret], now: datetime) -> list[SigningSecret]:
    """Those that sign now, newest first."""
    return [one for one in secrets if one.until is None or one.until > now]


def dump(secrets: Sequence[SigningSecret]) -> str:
    """As JSON, to be encrypted."""
    return msgspec.json.encode(secrets).decode()


def load(text: str) -> list[SigningSecret]:
    """What `dump` made."""
    return _stored.decode(text)


def signed_headers(
    secrets: Sequence[SigningSecret], event_id: str, body: bytes, now: datetime
) -> Mapping[str, str]:
    """The headers of one try: the id stays the same for all tries of an event, the time does not."""
    moment = now.astimezone(UTC).replace(microsecond=0)
    text = body.decode()
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(
            Webhook(one.secret).sign(event_id, moment, text) for one in live(secrets, now)
        ),
    }
