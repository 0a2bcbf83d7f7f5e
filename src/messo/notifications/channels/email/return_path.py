"""The envelope sender of each mail: it names the delivery and is signed, so that a bounce is a proof.

`bounces@example.org` becomes `bounces+<delivery id>-<signature>@example.org`. Who can write such an
address has been sent that mail, or carried it.
"""

import hmac
import re

from messo.base.crypto import Secrets

# A ULID and 64 bits of HMAC: too many to guess over a mail server, and short enough for
# the 64 characters of a local part (RFC 5321, section 4.5.3.1.1).
_TAG = re.compile(r"([0-7][0-9a-hjkmnp-tv-z]{25})-([0-9a-f]{16})\Z")
_LONGEST_LOCAL = 64


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
    local, _, domain = template.lower().rpartition("@")
    given, _, place = address.lower().rpartition("@")
    if not local or place != domain or not given.startswith(local + "+"):
        return None
    tag = _TAG.match(given, len(local) + 1)
    if tag is None:
        return None
    delivery_id = tag.group(1).upper()
    genuine = hmac.compare_digest(tag.group(2), _signature(secrets, delivery_id))
    return delivery_id if genuine else None


def _signature(secrets: Secrets, delivery_id: str) -> str:
    return secrets.keyed_digest(f"email.return:{delivery_id.upper()}")[:8].hex()
