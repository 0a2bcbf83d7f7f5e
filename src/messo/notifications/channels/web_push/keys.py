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


async def read_key(conn: Connection, secrets: Secrets) -> ECKey | None:
    """The installation's key, if it was ever needed. Subscriptions are bound to it for good."""
    sealed = await conn.value(queries.read_key)
    return None if sealed is None else ECKey.import_key(secrets.decrypt(sealed))


async def read_or_make(conn: Connection, secrets: Secrets) -> ECKey:
    """The same, made now if it was not. Of two who make it at once the first one's holds."""
    found = await read_key(conn, secrets)
    if found is None:
        made = ECKey.generate_key("P-256").as_pem(private=True).decode()
        await conn.run(queries.put_key, sealed=secrets.encrypt(made), now=clock.now())
        found = await read_key(conn, secrets)
    assert found is not None  # noqa: S101  just stored, by us or by somebody else
    return found


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
