"""Citizens' client applications: where they may be sent back to, and the codes they exchange.

OAuth 2.0 for native apps (RFC 8252) with PKCE (RFC 7636): applications have no secret.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode, urlsplit

import msgspec

from messo.base import clock
from messo.base.crypto import SecretError, Secrets, key_digest, new_api_key
from messo.base.db import Connection
from messo.base.sql import Queries
from messo.login.sessions import Identity

queries = Queries("messo.login")

_LIFE = timedelta(seconds=60)
_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::([0-9]{1,5}))?(/[\x21-\x7e]*)?\Z")
_PORTS = range(1, 65_536)


class ClientTarget(msgspec.Struct, frozen=True):
    """The client application that began a login, and where it awaits the answer."""

    redirect_uri: str
    code_challenge: str
    state: str | None = None

    @property
    def name(self) -> str:
        """What a citizen recognises it by: its host, or its own URI scheme."""
        parts = urlsplit(self.redirect_uri)
        return parts.hostname or parts.scheme

    def address(self, **answer: str) -> str:
        """Where the browser is sent with this answer."""
        if self.state is not None:
            answer["state"] = self.state
        joint = "&" if "?" in self.redirect_uri else "?"
        return f"{self.redirect_uri}{joint}{urlencode(answer)}"


class Sealed(msgspec.Struct, frozen=True, tag="login.code"):
    """An identity on its way from the login to the exchange. The tag says what was encrypted."""

    identity: Identity


_sealed = msgspec.json.Decoder(Sealed)


@dataclass(frozen=True)
class Granted:
    """A code that was worth something."""

    identity: Identity
    client: str


def is_registered(redirect_uri: str, registered: Sequence[str]) -> bool:
    """Exactly one of those, or on loopback the same with any port (RFC 8252, section 7.3)."""
    if redirect_uri in registered:
        return True
    given = _LOOPBACK.match(redirect_uri)
    if given is None or (given[2] is not None and int(given[2]) not in _PORTS):
        return False
    known = (_LOOPBACK.match(one) for one in registered)
    return any(one is not None and (one[1], one[3]) == (given[1], given[3]) for one in known)


async def mint_code(
    conn: Connection, secrets: Secrets, identity: Identity, target: ClientTarget
) -> str:
    """A code that stands for this citizen once, within a minute."""
    code = new_api_key()
    digest = key_digest(code)
    await conn.run(
        queries.put_code,
        bucket=conn.bucket(digest.hex()),
        digest=digest,
        identity=secrets.encrypt(msgspec.json.encode(Sealed(identity)).decode()),
        redirect_uri=target.redirect_uri,
        challenge=target.code_challenge,
        expires_at=clock.now() + _LIFE,
    )
    return code


async def take_code(
    conn: Connection, secrets: Secrets, code: str, verifier: str, redirect_uri: str
) -> Granted | None:
    """What a code stands for; None if it is unknown, used, late, or another application's.

    The code is gone in any case, so the caller commits also where this answers None.
    """
    digest = key_digest(code)
    row = await conn.row(queries.take_code, bucket=conn.bucket(digest.hex()), digest=digest)
    if row is None or row["expires_at"] <= clock.now():
        return None
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    if not hmac.compare_digest(challenge, row["challenge"].encode()):
        return None
    if redirect_uri != row["redirect_uri"]:
        return None
    try:
        found = _sealed.decode(secrets.decrypt(row["identity"]))
    except SecretError:  # the secret was taken out of the list within this minute
        return None
    client = ClientTarget(redirect_uri, "").name
    return Granted(found.identity, client)
