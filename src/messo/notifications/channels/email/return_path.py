"""The envelope sender of each mail: it names the delivery and is signed, so that a bounce is a proof.

`bounces@example.org` becomes `bounces+<delivery id>-<signature>@example.org`. Who can write such an
address has been sent that mail, or carried it.
"""

import functools
import hmac
import itertools
import re

from messo.base.crypto import Secrets

# A ULID and 64 bits of HMAC: too many to guess over a mail server, and short enough for
# the 64 characters of a local part (RFC 5321, section 4.5.3.1.1).
_TAG = r"\+([0-7][0-9a-hjkmnp-tv-z]{25})-([0-9a-f]{16})@"
# What would be part of the same address, so that it is another than ours.
_NOT_AFTER = r"(?<![0-9a-z!#$%&'*+/=?^_`{|}~.-])"
_NOT_BEFORE = r"(?![0-9a-z.-])"
_LONGEST_LOCAL = 64
_FOUND = 20  # in one text; servers write it once or twice


def make(secrets: Secrets, template: str, delivery_id: str) -> str:
    """The return path of one delivery, whose id is a ULID.

    `template`: the address that bounces go to. `ValueError` if it leaves no room for the rest.
    """
    local, _, domain = template.rpartition("@")
    signed = f"{local}+{delivery_id.lower()}-{_signature(secrets, delivery_id)}"
    if not local or not domain or len(signed) > _LONGEST_LOCAL:
        raise ValueError("MESSO_MAIL_RETURN_PATH is an address with at most 20 characters before @")
    return f"{signed}@{domain}"


def read(secrets: Secrets, template: str, address: str) -> str | None:
    """The delivery that this return path was made for, in whatever letter case; None for others.

    `template` "": no return path was ever signed.
    """
    found = _pattern(template).fullmatch(address)
    return _genuine(secrets, found) if found else None


def find(secrets: Secrets, template: str, text: str) -> str | None:
    """The delivery of the first genuine return path among the addresses of a text, or None.

    In time that grows with the length of the text only; after twenty forged ones nobody looks on.
    """
    for found in itertools.islice(_pattern(template).finditer(text), _FOUND):
        if delivery_id := _genuine(secrets, found):
            return delivery_id
    return None


@functools.cache
def _pattern(template: str) -> "re.Pattern[str]":
    """A return path of this template, its id and its signature. Of no template, nothing."""
    local, _, domain = template.rpartition("@")
    if not local or not domain:
        return re.compile(r"(?!)")
    path = re.escape(local) + _TAG + re.escape(domain)
    return re.compile(_NOT_AFTER + path + _NOT_BEFORE, re.IGNORECASE | re.ASCII)


def _genuine(secrets: Secrets, found: "re.Match[str]") -> str | None:
    delivery_id = found[1].upper()
    signature = _signature(secrets, delivery_id)
    return delivery_id if hmac.compare_digest(found[2].lower(), signature) else None


def _signature(secrets: Secrets, delivery_id: str) -> str:
    return secrets.keyed_digest(f"email.return:{delivery_id.upper()}")[:8].hex()
