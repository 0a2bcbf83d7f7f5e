"""What somebody searched for, within an address that tells nothing: encrypted, and for them alone.

A fiscal code or the words of a subject must be in no address, since histories and logs keep those;
yet a page has to be left and come back to. So the search travels encrypted.
"""

from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from messo.base import clock
from messo.base.crypto import SecretError, Secrets

_GOOD = timedelta(hours=12)
_LONGEST = 4000  # characters of an address
T = TypeVar("T")


class _Sealed(msgspec.Struct, frozen=True, tag="console.sealed"):
    """The tag says what was encrypted, so that nothing else passes for it."""

    login: str
    until: datetime
    value: msgspec.Raw


_decoder = msgspec.json.Decoder(_Sealed)


def seal(secrets: Secrets, login: str, value: msgspec.Struct) -> str:
    """Encrypt a search for the address of its page."""
    raw = msgspec.Raw(msgspec.json.encode(value))
    whole = _Sealed(login, clock.now() + _GOOD, raw)
    return secrets.encrypt(msgspec.json.encode(whole).decode())


def unseal(secrets: Secrets, login: str, text: str, kind: type[T]) -> T | None:
    """What was sealed for this login; None for what is old, another's, or no such thing."""
    if not text or len(text) > _LONGEST:
        return None
    try:
        whole = _decoder.decode(secrets.decrypt(text))
        if whole.login != login or whole.until < clock.now():
            return None
        return msgspec.json.decode(whole.value, type=kind)
    except (SecretError, ValueError):
        return None
