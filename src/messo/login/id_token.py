"""The checks of an ID token: OpenID Connect Core 1.0, section 3.1.3.7, point by point."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from messo.base import clock
from messo.login.refusal import LoginError

Key = RSAKey | ECKey

# Point 7. Asymmetric only: a "secret" that everybody can read signs nothing, nor does "none".
ALGORITHMS = frozenset(f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512))
_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC"}
_RSA_BITS = range(2048, 8193)  # RFC 7518, section 3.3; and no key that takes seconds to use
_KEYS = 100  # of a provider, at most
_LEEWAY = 60  # seconds that clocks may differ
_OLDEST = 600  # seconds since it was issued: a login does not take longer than the pending cookie
_REGISTRY = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
_claims = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True)
class Expected:
    """What we asked for, and with which access token the ID token came. No `levels`: any will do."""

    issuer: str
    client_id: str
    nonce: str
    levels: Sequence[str]
    access_token: str | None


@dataclass(frozen=True)
class Header:
    """The part of a token's header that says how it is signed."""

    alg: str
    kid: str | None


def read_header(token: str) -> Header:
    """How a token says it is signed. `LoginError` unless it is a signed token as we take them."""
    try:
        header = jws.extract_compact(token.encode("ascii"), registry=_REGISTRY).headers()
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        raise LoginError("refused", "ID token: not a JWS") from None
    alg, kid = header.get("alg"), header.get("kid")
    if not isinstance(alg, str) or alg not in ALGORITHMS:
        raise LoginError("refused", "ID token: algorithm")
    return Header(alg, kid if isinstance(kid, str) else None)


def read_keys(document: bytes) -> list[Key]:
    """The usable keys of a JWK set (RFC 7517, section 5: the others are passed over)."""
    try:
        listed = _claims.decode(document).get("keys")
    except (msgspec.DecodeError, RecursionError):
        listed = None
    if not isinstance(listed, list):
        raise LoginError("provider_down", "keys: not a JWK set")
    read = (_key(given) for given in listed[:_KEYS])
    return [key for key in read if key is not None]


def _key(given: object) -> Key | None:
    if not isinstance(given, dict) or given.get("kty") not in ("RSA", "EC"):
        return None
    public = {name: value for name, value in given.items() if name not in {"d", "key_ops"}}
    try:
        if given["kty"] == "EC":
            return ECKey.import_key(public)
        key = RSAKey.import_key(public)
        size = key.public_key.key_size
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
    return key if size in _RSA_BITS else None


def pick(keys: Sequence[Key], header: Header) -> Key | None:
    """The key a token is signed with. Without `kid` there must be only one that can be meant."""
    fitting = [
        key
        for key in keys
        if key.key_type == _TYPES[header.alg[:2]]
        and key.get("use") in (None, "sig")
        and key.get("alg") in (None, header.alg)
        and header.kid in (None, key.get("kid"))
    ]
    return fitting[0] if len(fitting) == 1 or (fitting and header.kid is not None) else None


def verify(token: str, key: Key, header: Header, expected: Expected) -> tuple[dict[str, Any], str]:
    """The claims and the level of assurance, empty where none was asked for.

    `LoginError` (`level`, `refused`) otherwise.
    """
    try:
        signed = jws.deserialize_compact(token.encode("ascii"), key, registry=_REGISTRY)
        claims = _claims.decode(signed.payload or b"")
    except (JoseError, ValueError, TypeError, RecursionError):  # msgspec's are ValueErrors
        raise LoginError("refused", "ID token: signature") from None
    _require(claims.get("iss") == expected.issuer, "iss")  # point 2
    # Points 3 to 5: other audiences than us are not trusted by us.
    _require(claims.get("aud") in (expected.client_id, [expected.client_id]), "aud")
    _require(claims.get("azp") in (None, expected.client_id), "azp")
    now = clock.now().timestamp()
    _require(_number(claims.get("exp")) > now - _LEEWAY, "exp")  # point 9
    _require(_number(claims.get("nbf", 0)) < now + _LEEWAY, "nbf")
    issued = _number(claims.get("iat"))  # point 10
    _require(now - _OLDEST - _LEEWAY < issued < now + _LEEWAY, "iat")
    nonce = claims.get("nonce")  # point 11
    _require(isinstance(nonce, str) and _same(nonce, expected.nonce), "nonce")
    _require(isinstance(claims.get("sub"), str) and claims["sub"] != "", "sub")
    if "at_hash" in claims:  # section 3.1.3.8
        _require(_is_hash(claims["at_hash"], expected.access_token, header.alg), "at_hash")
    if not expected.levels:
        return claims, ""
    level = claims.get("acr")  # point 12
    if not isinstance(level, str) or level not in expected.levels:
        raise LoginError("level")
    return claims, level


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise LoginError("refused", f"ID token: {what}")


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LoginError("refused", "ID token: a time is not a number")
    try:
        return float(value)
    except OverflowError:
        raise LoginError("refused", "ID token: a time is not a number") from None


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _is_hash(given: object, access_token: str | None, alg: str) -> bool:
    if not isinstance(given, str) or access_token is None:
        return False
    digest = hashlib.new(f"sha{alg[2:]}", access_token.encode()).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    return _same(given, half)
