"""Attachments as a message lists them: their names, their sizes, and where they open."""

import re
from dataclasses import dataclass
from urllib.parse import quote

from messo.base.crypto import Secrets
from messo.content import Attachment
from messo.inbox.visit import Visit
from messo.messages.characters import on_one_line

_LONGEST = 120  # characters of a name
# What means something in a path, in a header, or to a shell.
_UNSAFE = re.compile(r"[\\/:*?\"'<>|;`$&%\x00-\x1f\x7f]+")
_KILO = 1000  # as people and browsers count


@dataclass(frozen=True)
class Listed:
    """One attachment as the page shows it. `size` is a text, empty where it is not known."""

    name: str
    size: str
    href: str


def listed(visit: Visit, message_id: str, attachments: list[Attachment]) -> list[Listed]:
    """In the order in which the institution gives them."""
    return [
        Listed(
            file_name(one),
            _size(one.size, visit.texts.language),
            f"/messages/{message_id}/attachments/{key_of(visit.site.secrets, message_id, one)}",
        )
        for one in attachments
    ]


def key_of(secrets: Secrets, message_id: str, attachment: Attachment) -> str:
    """What stands for an attachment in our addresses: they say nothing of it."""
    return secrets.keyed_hash(f"inbox.attachment:{message_id}:{attachment.id}:{attachment.url}")


def file_name(attachment: Attachment) -> str:
    """A name under which it can be kept anywhere: no path, no quotes, no tricks, ending in .pdf."""
    given = re.split(r"[\\/]", attachment.name or "")[-1]
    name = on_one_line(_UNSAFE.sub(" ", given), _LONGEST)
    name = re.sub(r"(?i)\.pdf\Z", "", name).strip(" .…")
    return f"{name or 'allegato'}.pdf"


def disposition(name: str, *, save: bool) -> str:
    """The Content-Disposition header (RFC 6266), with the name in ASCII and as it is."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    kind = "attachment" if save else "inline"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _size(size: int | None, language: str) -> str:
    if size is None or size <= 0:
        return ""
    if (kilo := max(1, round(size / _KILO))) < _KILO:
        return f"{kilo} kB"
    number = f"{size / _KILO / _KILO:.1f}"
    return f"{number.replace('.', ',') if language == 'it' else number} MB"
