"""From the path of a request to what it asks for.

An id may contain anything, slashes too. They are sent encoded, which the decoded path of ASGI and
WSGI no longer tells; so the path as it was sent is used where the server passes it on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes


@dataclass(frozen=True)
class Place:
    """What is asked for. `attachment_id` goes with kind "attachment" only."""

    kind: str  # detail, precondition or attachment
    message_id: str
    attachment_id: str = ""


def attachment_url(attachment_id: str) -> str:
    """Where an attachment is, relative to its message."""
    return "attachments/" + quote(attachment_id, safe="")


def segments(path: bytes, raw: bytes | None) -> list[bytes]:
    """The decoded parts of a path between its slashes.

    `path` is decoded and begins where the application is mounted. `raw` is the target of the
    request as it was sent, if known: encoded, perhaps with a query, and with whatever comes before
    the mount. Only that end of it counts which decodes to `path`: a server or framework may have
    rewritten the one and not the other.
    """
    parts = (raw or b"").split(b"?", 1)[0].split(b"/")
    for start in range(1, len(parts)):
        if unquote_to_bytes(b"/" + b"/".join(parts[start:])) == path:
            return [unquote_to_bytes(part) for part in parts[start:]]
    return path.split(b"/")


def place(parts: list[bytes], prefix: str) -> Place | None:
    """What the parts of a path ask for below `prefix`, or None when it is nothing.

    Slashes of an id that have come apart are put together again: on servers that tell only the
    decoded path, and where the platform has decoded the address of an attachment.
    """
    try:
        texts = [part.decode() for part in parts]
    except UnicodeDecodeError:
        return None
    for expected in [*prefix.split("/"), "messages"]:
        # A base address that ends in a slash makes two of it.
        while expected and texts[:1] == [""]:
            del texts[0]
        if expected and texts[:1] != [expected]:
            return None
        del texts[: bool(expected)]
    # Before the precondition: an attachment may be called so.
    if "attachments" in texts[1:-1]:
        at = texts.index("attachments", 1)
        return _place("attachment", texts[:at], texts[at + 1 :])
    if texts[1:] and texts[-1] == "precondition":
        return _place("precondition", texts[:-1])
    return _place("detail", texts)


def _place(kind: str, message_id: list[str], attachment_id: Sequence[str] = ()) -> Place | None:
    found = Place(kind, "/".join(message_id), "/".join(attachment_id))
    return found if found.message_id else None
