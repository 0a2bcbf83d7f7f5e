"""The key of a client application's device, given at login: how the device is known again.

The wire contract calls the scheme lollipop. The thumbprint is RFC 7638's, made of the members
exactly as they were sent: some applications write them in another base64 than the standard's.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

ALGORITHMS = ("sha256", "sha384", "sha512")
_LONGEST = 4000  # characters of the header
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}\Z")
_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}
# Bits. A large modulus or exponent would make one look at a signature take long.
_RSA = range(2048, 4096 + 1)
_LARGEST_EXPONENT = 2**32


@dataclass(frozen=True)
class DeviceKey:
    """`assertion_ref`: `sha256-` and the thumbprint. `public_key`: base64url of the JSON Web Key."""

    assertion_ref: str
    public_key: str


def read_device_key(header: str, algorithm: str) -> DeviceKey:
    """From the two headers of a login. `ValueError` for anything but an EC P-256 or RSA key."""
    if algorithm not in ALGORITHMS or len(header) > _LONGEST:
        raise ValueError("device key")
    jwk = _jwk(header)
    public_key(header)
    required = {name: jwk[name] for name in _MEMBERS[jwk["kty"]]}
    text = json.dumps(required, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.new(algorithm, text.encode()).digest()
    thumbprint = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return DeviceKey(f"{algorithm}-{thumbprint}", header)


def public_key(header: str) -> PublicKey:
    """The key that verifies the device's signatures. `ValueError` if it is none."""
    jwk = _jwk(header)
    if jwk.get("kty") == "EC" and jwk.get("crv") == "P-256":
        x, y = _number(jwk.get("x")), _number(jwk.get("y"))
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    if jwk.get("kty") == "RSA":
        exponent, modulus = _number(jwk.get("e")), _number(jwk.get("n"))
        if exponent < _LARGEST_EXPONENT and modulus.bit_length() in _RSA:
            return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    raise ValueError("device key")


def _jwk(header: str) -> dict[str, Any]:
    try:
        found = json.loads(_bytes(header))
    except RecursionError:
        found = None
    if not isinstance(found, dict):
        raise ValueError("device key")  # noqa: TRY004  a malformed header
    return found


def _number(text: object) -> int:
    if not isinstance(text, str):
        raise ValueError("device key")  # noqa: TRY004
    return int.from_bytes(_bytes(text), "big")


def _bytes(text: str) -> bytes:
    """From either alphabet of base64, padded or not."""
    if not _BASE64.match(text):
        raise ValueError("device key")
    plain = text.rstrip("=").translate(str.maketrans("+/", "-_"))
    return base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
