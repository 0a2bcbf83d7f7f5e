"""The public keys with which a relying party proves who it is: read strictly, kept bare.

JSON Web Key (RFC 7517), its parameters for EC and RSA (RFC 7518, sections 6.2 and 6.3).
"""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from messo.sso.addresses import refusal

_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_COORDINATE = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_MODULUS = re.compile(r"[A-Za-z0-9_-]{340,684}\Z")
# A longer exponent is nobody's, and makes every check of a signature slow.
_EXPONENT = re.compile(r"[A-Za-z0-9_-]{1,6}\Z")
_KID = re.compile(r"[\x21-\x7e]{1,200}\Z")
_LEAST_BITS, _MOST_BITS = 2048, 4096
_ALGORITHMS = {"EC": "ES256", "RSA": "RS256"}


def public_keys(keys: Sequence[Mapping[str, Any]], field: str) -> dict[str, Any]:
    """The JWK set, with the members that are needed and no other. `field`: where `keys` is.

    `Problem` 400 for a key that is private, weak, or not one; for several that nobody can tell
    apart.
    """
    found = [_public(key, f"{field}[{place}]") for place, key in enumerate(keys)]
    kids = [key.get("kid") for key in found]
    for place, kid in enumerate(kids):
        if len(kids) > 1 and kid is None:
            raise refusal(f"{field}[{place}].kid", "is missing: of several keys each needs its own")
        if kid in kids[:place]:
            raise refusal(f"{field}[{place}].kid", "is another key's too: each needs its own")
    return {"keys": found}


def _public(key: Mapping[str, Any], field: str) -> dict[str, str]:
    for name in _PRIVATE:
        if name in key:
            raise refusal(
                f"{field}.{name}",
                "belongs to a private key. Send the public part only, and make a new key: this "
                "one has been sent",
            )
    kind = key.get("kty")
    if kind == "EC":
        bare = _bare_ec(key, field)
    elif kind == "RSA":
        bare = _bare_rsa(key, field)
    else:
        raise refusal(f"{field}.kty", "must be EC or RSA")
    try:
        if kind == "EC":
            ECKey.import_key(bare)
        else:
            RSAKey.import_key(bare)
    except (JoseError, ValueError):
        raise refusal(field, f"is no {kind} key: the numbers do not fit together") from None
    return bare | _about(key, kind, field)


def _bare_ec(key: Mapping[str, Any], field: str) -> dict[str, Any]:
    if key.get("crv") != "P-256":
        raise refusal(f"{field}.crv", "must be P-256")
    for name in ("x", "y"):
        _must_match(key, name, field, _COORDINATE, "32 bytes in base64url, without padding")
    return {name: key[name] for name in ("kty", "crv", "x", "y")}


def _bare_rsa(key: Mapping[str, Any], field: str) -> dict[str, Any]:
    size = f"a modulus of {_LEAST_BITS} to {_MOST_BITS} bits in base64url, without padding"
    _must_match(key, "n", field, _MODULUS, size)
    _must_match(key, "e", field, _EXPONENT, "the exponent in base64url, usually AQAB")
    try:
        modulus = int.from_bytes(base64.urlsafe_b64decode(key["n"] + "=="), "big")
    except ValueError:  # a length that base64 never has
        modulus = 0
    if not _LEAST_BITS <= modulus.bit_length() <= _MOST_BITS or not modulus % 2:
        raise refusal(f"{field}.n", f"must be {size}")
    return {name: key[name] for name in ("kty", "n", "e")}


def _about(key: Mapping[str, Any], kind: str, field: str) -> dict[str, str]:
    """What a key says it is for. What else it says (certificates, …) is not needed."""
    given = {name: key[name] for name in ("kid", "use", "alg") if key.get(name) is not None}
    if given.get("use", "sig") != "sig":
        raise refusal(f"{field}.use", "must be sig: the key checks signatures")
    if given.get("alg", _ALGORITHMS[kind]) != _ALGORITHMS[kind]:
        raise refusal(f"{field}.alg", f"must be {_ALGORITHMS[kind]} for a key of this kind")
    if "kid" in given:
        _must_match(given, "kid", field, _KID, "1 to 200 visible ASCII characters")
    return given


def _must_match(
    key: Mapping[str, Any], name: str, field: str, pattern: re.Pattern[str], is_a: str
) -> None:
    value = key.get(name)
    if not isinstance(value, str) or not pattern.match(value):
        raise refusal(f"{field}.{name}", f"must be {is_a}")
