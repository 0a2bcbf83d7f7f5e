"""Which relying party asks, and the proof it brings: a secret, or an assertion it signed.

RFC 6749, section 2.3.1; RFC 7523, section 3; OpenID Connect Core 1.0, section 9.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from messo.base import clock
from messo.base.crypto import key_digest
from messo.base.db import Connection
from messo.base.http import Request
from messo.base.parameters import storable
from messo.sso.clients import Client, find_client, queries
from messo.sso.refusals import OAuthProblem

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ["RS256", "ES256"]  # of assertions
_LEEWAY_S = 60
_LONGEST_LIFE_S = 600  # of an assertion, so that not many need to be remembered
_LONGEST_ASSERTION = 8_000
_LONGEST_JTI = 500
_LAST = 1e11  # seconds since 1970 that anybody means
_WRONG = "The client could not be authenticated."


async def authenticate(
    conn: Connection, request: Request, form: Mapping[str, str], audiences: tuple[str, ...]
) -> Client:
    """The client that asks, by the method it is registered for. `OAuthProblem` otherwise.

    `audiences`: whom an assertion may be meant for. An assertion counts once, so the caller commits.
    """
    basic = _basic(request)
    ways = [basic is not None, "client_secret" in form, "client_assertion" in form]
    if sum(ways) > 1:
        raise OAuthProblem("invalid_request", "Authenticate in one way, not in several.")
    if "client_assertion" in form:
        return await _by_assertion(conn, form, audiences)
    method = "client_secret_basic" if basic else "client_secret_post"
    client_id, secret = basic or (form.get("client_id", ""), form.get("client_secret", ""))
    if basic and form.get("client_id", client_id) != client_id:
        raise OAuthProblem("invalid_request", "client_id is not the one in Authorization.")
    client = await find_client(conn, client_id)
    if client is None or client.auth_method != method or not _is_good(client, secret):
        raise _refused()
    return client


def _refused() -> OAuthProblem:
    """Not which of them was wrong: whoever guesses learns nothing."""
    return OAuthProblem("invalid_client", _WRONG, "Basic")


def _basic(request: Request) -> tuple[str, str] | None:
    """Client id and secret of the Authorization header, if there is one."""
    header = request.header(b"authorization")
    if header is None:
        return None
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        raise _refused()
    try:
        text = base64.b64decode(value.strip(), validate=True).decode("utf-8")
    except (ValueError, binascii.Error):
        raise _refused() from None
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def _is_good(client: Client, secret: str) -> bool:
    digest = hashlib.sha256(secret.encode("utf-8", "replace")).digest()
    return any(hmac.compare_digest(digest, known) for known in client.secrets)


async def _by_assertion(
    conn: Connection, form: Mapping[str, str], audiences: tuple[str, ...]
) -> Client:
    assertion = form["client_assertion"]
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise OAuthProblem("invalid_request", f"client_assertion_type must be {ASSERTION_TYPE}.")
    client_id = form.get("client_id") or _issuer_of(assertion)
    client = await find_client(conn, client_id)
    if client is None or client.jwks is None:  # those of `private_key_jwt` have keys
        raise _refused()
    claims = _verified(assertion, client.jwks)
    until = _until(claims, client, audiences)
    digest = key_digest(f"{client.id}:{claims['jti']}")
    fresh = await conn.run(
        queries.use_assertion,
        bucket=conn.bucket(digest.hex()),
        digest=digest,
        expires_at=until,
    )
    if not fresh:
        raise _refused()
    return client


def _issuer_of(assertion: str) -> str:
    """Who an assertion says it is of: looked at only to find the keys to verify it with."""
    try:
        payload = assertion.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["iss"])
    except (ValueError, LookupError, TypeError, RecursionError):
        raise _refused() from None


def _verified(assertion: str, jwks: dict[str, Any]) -> dict[str, Any]:
    if len(assertion) > _LONGEST_ASSERTION:
        raise _refused()
    try:
        keys = KeySet.import_key_set({"keys": jwks["keys"]})
        return dict(jwt.decode(assertion, keys, algorithms=ALGORITHMS).claims)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        raise _refused() from None


def _until(claims: Mapping[str, Any], client: Client, audiences: tuple[str, ...]) -> datetime:
    """Until when the assertion must be remembered. RFC 7523, section 3, point by point."""
    now = clock.now()
    audience, expires, jti = claims.get("aud"), claims.get("exp"), claims.get("jti")
    named = [audience] if isinstance(audience, str) else audience
    holds = (
        claims.get("iss") == client.id
        and claims.get("sub") == client.id
        # One audience: meant for us and for nobody who could present it here.
        and isinstance(named, list)
        and len(named) == 1
        and named[0] in audiences
        and isinstance(jti, str)
        and 0 < len(jti) <= _LONGEST_JTI
        and storable(jti)
        and now.timestamp() - _LEEWAY_S < _time(expires) < now.timestamp() + _LONGEST_LIFE_S
        and _time(claims.get("nbf", 0)) < now.timestamp() + _LEEWAY_S
        and _time(claims.get("iat", 0)) < now.timestamp() + _LEEWAY_S
    )
    if not holds:
        raise _refused()
    return datetime.fromtimestamp(float(claims["exp"]), UTC) + timedelta(seconds=_LEEWAY_S)


def _time(value: object) -> float:
    """Seconds since 1970; never for what is no number, so that no comparison holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return float("nan")
    return float(value) if abs(value) < _LAST else float("nan")
