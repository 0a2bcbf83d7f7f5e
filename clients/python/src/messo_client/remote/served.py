"""What is served, to whom and under which path."""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from messo_client.remote.shapes import AttachmentFunction, DetailFunction

# A header's name as in RFC 9110, section 5.6.2; and values that no server or proxy trims or
# translates.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_KEY = re.compile(r"[!-~]([ -~]*[!-~])?\Z")


def cgi_name(header: str) -> str:
    """A header's name as WSGI has it: "X-API-Key" as "X_API_KEY".

    ASGI headers are looked up by it too, so that both fronts let in the same requests: also with
    a `Fiscal-Code`, as which a proxy may pass on what it would otherwise drop.
    """
    return header.upper().replace("-", "_")


@dataclass(frozen=True)
class Served:
    """An institution's functions, and the keys that open them.

    Raises `TypeError` or `ValueError` where something could not work, or would let anybody in.
    """

    detail: DetailFunction
    attachment: AttachmentFunction
    keys: Sequence[str]
    header: str
    prefix: str

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("keys: empty, must have at least one key")
        for position, key in enumerate(self.keys):
            if not isinstance(key, str):
                raise TypeError(f"keys[{position}]: {type(key).__name__}, must be text")
            if not _KEY.match(key):
                raise ValueError(f"keys[{position}]: empty, or other than visible ASCII characters")
        if not _NAME.match(self.header):
            raise ValueError("header: not a name of a header")
        if cgi_name(self.header) == "FISCAL_CODE":
            raise ValueError("header: fiscal_code is who reads, the key needs another header")
        if self.prefix and not self.prefix.startswith("/"):
            raise ValueError('prefix: must be empty or begin with "/"')
        for name, function in (("detail", self.detail), ("attachment", self.attachment)):
            if not callable(function):
                raise TypeError(f"{name}: {type(function).__name__}, must be a function")

    def opens(self, given: bytes) -> bool:
        """Whether this is one of the keys. Takes as long for a wrong one as for any right one."""
        found = False
        for key in self.keys:
            found |= hmac.compare_digest(given, key.encode())
        return found
