"""Who we are to push services (VAPID, RFC 8292): one key pair per installation, made once."""

import base64
import time

from joserfc import jwt
from joserfc.jwk import ECKey

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.base.sql import Queries

queries = Queries("messo.notifications.channels.web_push")

_LIVES_S = 12 * 3600  # RFC 8292, section 2: at most 24 h
_RENEW_S = 3600  # before its end
_MOST = 1000  # origins remembered


async def read_or_make(conn: Connection, secrets: Secrets) -> ECKey:
    """The installation's key. Subscriptions are bound to it, so it is never replaced."""
    sealed = await conn.value(queries.read_key)
    if sealed is None:
        made = ECKey.generate_key("P-256")
        await conn.run(
            queries.put_key,
            sealed=secrets.encrypt(made.as_pem(private=True).decode()),
            now=clock.now(),
        )
        sealed = await conn.value(queries.read_key)
    return ECKey.import_key(secrets.decrypt(sealed))


async def public_key(conn: Connection, secrets: Secrets) -> str:
    """What a browser needs to subscribe: the public point, uncompressed, base64url."""
    return encoded_point(await read_or_make(conn, secrets))


def encoded_point(key: ECKey) -> str:
    """65 bytes, 0x04 first (SEC 1, section 2.3.3), as base64url without padding."""
    values = key.as_dict(private=False)
    point = b"\x04" + _decoded(str(values["x"])) + _decoded(str(values["y"]))
    return base64.urlsafe_b64encode(point).rstrip(b"=").decode()


class Signer:
    """The Authorization header for each push service; a signature serves for hours."""

    def __init__(self, key: ECKey, contact: str) -> None:
        """`contact`: a mailto: or https: address of whoever runs this."""
        self._key = key
        self._contact = contact
        self._public = encoded_point(key)
        self._signed: dict[str, tuple[float, str]] = {}

    def authorization(self, origin: str) -> str:
        """The header's value for an origin: `https://push.example.org`."""
        now = time.time()
        until, value = self._signed.get(origin, (0.0, ""))
        if until - _RENEW_S < now:
            if len(self._signed) >= _MOST:
                self._signed.clear()
            until = now + _LIVES_S
            claims = {"aud": origin, "exp": int(until), "sub": self._contact}
            token = jwt.encode({"typ": "JWT", "alg": "ES256"}, claims, self._key)
            value = f"vapid t={token}, k={self._public}"
            self._signed[origin] = (until, value)
        return value


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
