"""Authorization codes and the access tokens they are exchanged for, once.

RFC 6749, sections 4.1.2 and 4.1.3; RFC 9700, sections 2.1.1, 4.5 and 4.8. A code and its token are
one row, so that a code which comes a second time takes the token of the first with it.
"""

import hmac
import re
from dataclasses import dataclass
from datetime import timedelta

import msgspec
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from messo.base import clock
from messo.base.crypto import SecretError, Secrets, key_digest, new_api_key
from messo.base.db import Connection, Row
from messo.base.ids import new_id
from messo.sso.clients import Client, queries

LIFE = timedelta(seconds=60)  # of a code
# Of its token: a minute would be over at once for libraries that allow clocks a minute's difference.
TOKEN_LIFE = timedelta(seconds=300)
_WRITTEN = re.compile(r"([0-9A-HJKMNP-TV-Z]{26})\.([A-Za-z0-9_-]{43})\Z")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")  # RFC 7636, section 4.1


class Grant(msgspec.Struct, frozen=True, tag="sso.grant"):
    """What a citizen agreed to, and what the request for it said. `auth_time`: seconds since 1970."""

    access_id: str
    fiscal_code: str
    sub: str
    name: str
    family_name: str
    claims: list[str]
    scopes: list[str]
    redirect_uri: str
    acr: str
    auth_time: int
    session_id: str
    email: str | None = None
    email_verified: bool = False
    nonce: str | None = None
    challenge: str | None = None


@dataclass(frozen=True)
class Redeemed:
    """What came of a code. Without `access_token` it was refused; `grant`: whose it was."""

    grant: Grant | None = None
    access_token: str | None = None


_grant = msgspec.json.Decoder(Grant)


async def mint(conn: Connection, secrets: Secrets, client_id: str, grant: Grant) -> str:
    """A code that this client may exchange within a minute."""
    code_id, secret = new_id(), new_api_key()
    await conn.run(
        queries.put_code,
        bucket=conn.bucket(code_id),
        id=code_id,
        client_id=client_id,
        digest=key_digest(secret),
        sealed=secrets.seal(msgspec.json.encode(grant), _about(code_id)),
        now=clock.now(),
    )
    return f"{code_id}.{secret}"


async def redeem(
    conn: Connection,
    secrets: Secrets,
    client: Client,
    code: str,
    redirect_uri: str,
    verifier: str | None,
) -> Redeemed:
    """Exchange a code of this client for an access token; the caller commits whatever is answered.

    A code is spent by the first who comes with it, right or wrong; by the second it is taken back.
    """
    found = _WRITTEN.match(code)
    if found is None:
        return Redeemed()
    now, secret = clock.now(), new_api_key()
    key = {"bucket": conn.bucket(found[1]), "id": found[1], "client_id": client.id}
    digest = key_digest(found[2])
    row = await conn.row(
        queries.spend_code,
        **key,
        digest=digest,
        token_digest=key_digest(secret),
        now=now,
        since=now - LIFE,
    )
    if row is None:
        again = await conn.row(queries.revoke_code, **key, digest=digest)
        return Redeemed(_opened(secrets, again)) if again else Redeemed()
    grant = _opened(secrets, row)
    if grant is None or not _matches(grant, redirect_uri, verifier):
        return Redeemed(grant)  # spent; nobody is told the token that was to be
    return Redeemed(grant, f"{found[1]}.{secret}")


async def find_grant(conn: Connection, secrets: Secrets, token: str) -> tuple[str, Grant] | None:
    """The client and the grant of an access token that is good now."""
    found = _WRITTEN.match(token)
    if found is None:
        return None
    row = await conn.row(
        queries.find_token,
        bucket=conn.bucket(found[1]),
        id=found[1],
        digest=key_digest(found[2]),
        since=clock.now() - TOKEN_LIFE,
    )
    grant = _opened(secrets, row) if row else None
    return (row["client_id"], grant) if row and grant else None


def _matches(grant: Grant, redirect_uri: str, verifier: str | None) -> bool:
    """Whether who redeems is who asked: RFC 6749, section 4.1.3; RFC 7636, section 4.6.

    A verifier for a request without challenge is a downgrade (RFC 9700, section 2.1.1).
    """
    if redirect_uri != grant.redirect_uri or (verifier is None) != (grant.challenge is None):
        return False
    if verifier is None or grant.challenge is None:
        return True
    if not _VERIFIER.match(verifier):
        return False
    return hmac.compare_digest(create_s256_code_challenge(verifier), grant.challenge)


def _opened(secrets: Secrets, row: Row) -> Grant | None:
    """What is sealed in a row; None if its secret was taken out of the list within this minute."""
    try:
        return _grant.decode(secrets.unseal(row["sealed"], _about(row["id"])))
    except SecretError:
        return None


def _about(code_id: str) -> str:
    return f"sso.code:{code_id}"
