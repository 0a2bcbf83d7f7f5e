"""The proof that a request comes from the device that logged in, checked here and passed on.

A client application signs two headers with its device's key (RFC 9421 in the form of the wire
contract, which calls it lollipop). Institutions get the signature with the key, and can check it
once more.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jwt
from joserfc.jwk import OctKey

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.http import Problem, Request
from messo.base.ids import new_id
from messo.login import DeviceKey, Session, public_key

_METHOD = "x-pagopa-lollipop-original-method"
_URL = "x-pagopa-lollipop-original-url"
_INPUT, _SIGNATURE = "signature-input", "signature"
_FORMS = {
    _METHOD: re.compile(r"(?:GET|POST|PUT|PATCH|DELETE)\Z"),
    _URL: re.compile(r"https://[\x21-\x7e]{1,2000}\Z"),
    _INPUT: re.compile(
        r"(?:sig\d+=[\x20-\x2b\x2d-\x7e]*)(?:,\s*(?:sig\d+=[\x20-\x2b\x2d-\x7e]*))*\Z"
    ),
    _SIGNATURE: re.compile(r"(?:sig\d+=:[A-Za-z0-9+/=]*:(?:, ?)?)+\Z"),
}
_LABELLED = re.compile(r"(sig\d+)=([^,]*)(?:,\s*|\Z)")
_PARAMETERS = re.compile(r"\(((?:\"[a-z0-9-]+\" ?)*)\)((?:;.*)?)\Z")
_MOST = 5  # signatures of one request
_FRESH_S = 300
_RAW_EC = 64  # bytes: r and s, as RFC 9421 has it; most applications send DER
_TOKEN_S = 900


@dataclass(frozen=True)
class _Signature:
    components: list[str]
    created: int | None
    nonce: str | None
    key_id: str | None
    base_end: str
    value: bytes


def check_proof(
    request: Request, session: Session, secrets: Secrets, issuer: str
) -> dict[str, str]:
    """The headers that pass the proof on. `issuer`: our own address.

    `Problem` 400 for headers that are missing or malformed, 403 for a proof that does not hold.
    """
    given = {name: _header(request, name) for name in _FORMS}
    key = session.device_key
    if key is None:
        raise _refused("This login gave no device key: log in again and send it.")
    signatures = _signatures(given[_INPUT], given[_SIGNATURE])
    _must_be_about(request, given, signatures, issuer)
    for signature in signatures:
        _must_hold(request, key, signature)
    nonce = next((one.nonce for one in signatures if one.nonce), None)
    return {
        **given,
        "x-pagopa-lollipop-assertion-ref": key.assertion_ref,
        "x-pagopa-lollipop-assertion-type": "OIDC",
        "x-pagopa-lollipop-auth-jwt": _token(secrets, issuer, key, nonce or new_id()),
        "x-pagopa-lollipop-public-key": key.public_key,
        "x-pagopa-lollipop-user-id": session.fiscal_code,
    }


def _header(request: Request, name: str) -> str:
    value = request.header(name.encode())
    if value is None or not _FORMS[name].match(value):
        what = "is missing" if value is None else "is malformed"
        raise Problem(
            400, "Bad request", f"This content needs a signed request: {name} {what}.", field=name
        )
    return value


def _signatures(inputs: str, values: str) -> list[_Signature]:
    told, valued = _LABELLED.findall(inputs), _LABELLED.findall(values)
    found = dict(valued)
    labels = [label for label, _ in told]
    if len(labels) > _MOST or sorted(labels) != sorted(label for label, _ in valued):
        raise Problem(
            400,
            "Bad request",
            f"{_INPUT} and {_SIGNATURE} must have the same labels.",
            field=_INPUT,
        )
    if len(set(labels)) != len(labels):
        raise Problem(400, "Bad request", f"{_INPUT}: a label is given twice.", field=_INPUT)
    signatures = []
    for label, text in told:
        match = _PARAMETERS.match(text)
        if match is None:
            raise Problem(400, "Bad request", f"{_INPUT}: {label} cannot be read.", field=_INPUT)
        parameters = dict(re.findall(r";\s*([a-z]+)=\"?([^\";]*)\"?", match[2]))
        created = parameters.get("created", "")
        try:
            value = base64.b64decode(found[label].strip(":"), validate=True)
        except binascii.Error:
            raise Problem(
                400, "Bad request", f"{_SIGNATURE}: {label} is not base64.", field=_SIGNATURE
            ) from None
        signatures.append(
            _Signature(
                re.findall(r"\"([a-z0-9-]+)\"", match[1]),
                int(created) if re.fullmatch(r"[0-9]{1,12}", created) else None,
                parameters.get("nonce"),
                parameters.get("keyid"),
                text,
                value,
            )
        )
    return signatures


def _must_be_about(
    request: Request, given: dict[str, str], signatures: list[_Signature], issuer: str
) -> None:
    if not any({_METHOD, _URL} <= set(one.components) for one in signatures):
        raise _refused("No signature covers the method and the address.")
    try:
        url = urlsplit(given[_URL])
    except ValueError:
        raise Problem(400, "Bad request", f"{_URL} is malformed.", field=_URL) from None
    raw = request.scope["raw_path"].decode("latin-1")
    query = request.scope["query_string"].decode("latin-1")
    asked = (request.scope["method"], urlsplit(issuer).netloc.lower(), raw, query)
    if (given[_METHOD], url.netloc.lower(), url.path, url.query) != asked:
        raise _refused("The signature is about another request.")


def _must_hold(request: Request, key: DeviceKey, signature: _Signature) -> None:
    thumbprint = key.assertion_ref.partition("-")[2]
    if signature.key_id not in {thumbprint, key.assertion_ref}:
        raise _refused("The signature is of another key than the one given at login.")
    now = clock.now().timestamp()
    if signature.created is None or abs(now - signature.created) > _FRESH_S:
        raise _refused("The signature is not of the last five minutes.")
    lines = []
    for name in signature.components:
        value = request.header(name.encode())
        if value is None:
            raise Problem(400, "Bad request", f"{name} is signed and missing.", field=name)
        lines.append(f'"{name}": {value}')
    lines.append(f'"@signature-params": {signature.base_end}')
    if not _verifies(key, "\n".join(lines).encode("latin-1"), signature.value):
        raise _refused("The signature does not hold.")


def _verifies(key: DeviceKey, signed: bytes, value: bytes) -> bool:
    verifying = public_key(key.public_key)
    try:
        if isinstance(verifying, rsa.RSAPublicKey):
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
            verifying.verify(value, signed, pss, hashes.SHA256())
            return True
        if len(value) == _RAW_EC:
            half = _RAW_EC // 2
            r, s = int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")
            value = encode_dss_signature(r, s)
        verifying.verify(value, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _token(secrets: Secrets, issuer: str, key: DeviceKey, operation_id: str) -> str:
    now = int(clock.now().timestamp())
    claims = {
        "iss": issuer,
        "assertion_ref": key.assertion_ref,
        "operation_id": operation_id,
        "iat": now,
        "exp": now + _TOKEN_S,
    }
    signing = OctKey.import_key(secrets.keyed_digest("content.proof"))
    return jwt.encode({"alg": "HS256"}, claims, signing)


def _refused(detail: str) -> Problem:
    return Problem(403, "You are not allowed here", detail)
