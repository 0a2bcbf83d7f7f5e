"""What an institution's functions are given, and what they give.

What is personal is left out of every `repr`, so that a log line with one of these tells nothing.
"""

import math
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Asked:
    """Somebody opens a message.

    `message_id` is the institution's own, the `third_party_data.id` it sent with the message.
    `fiscal_code` is of the person who reads: 16 characters, upper case.
    """

    message_id: str
    fiscal_code: str = field(repr=False)


@dataclass(frozen=True)
class Attachment:
    """A PDF that belongs to a message, as it is announced; its bytes are asked for apart.

    `id` is unique within the message and may contain anything. `name` is what the reader sees, and
    ends in ".pdf". `size` is in bytes. `category` is 2 to 30 of A-Z, 0-9 and "_".
    """

    id: str
    name: str | None = None
    size: int | None = None
    content_type: str | None = "application/pdf"
    category: str | None = None


@dataclass(frozen=True)
class Precondition:
    """What the reader has to accept before the message is opened."""

    title: str
    markdown: str


@dataclass(frozen=True)
class Detail:
    """A message.

    `recipient` is the fiscal code it is meant for: whoever else asks is refused. `subject` has 10
    to 120 characters and `markdown` 80 to 10,000; both are None where the text that was sent with
    the message holds, and only the attachments are served from here.
    """

    recipient: str = field(repr=False)
    subject: str | None = field(repr=False)
    markdown: str | None = field(repr=False)
    attachments: Sequence[Attachment] = ()
    precondition: Precondition | None = field(default=None, repr=False)


class NotReady(Exception):  # noqa: N818  it is no error, only too early
    """It exists, but not yet: come again in `after_s` seconds, such as while a PDF is made.

    Raises `ValueError` where that is less than 0 or never.
    """

    def __init__(self, after_s: float = 30) -> None:
        if not 0 <= after_s < math.inf:
            raise ValueError("after_s: must be 0 or more seconds")
        super().__init__("not ready")
        self.after_s = after_s


# Bytes at once, in pieces of any size, or in a file.
Content = bytes | Iterable[bytes] | AsyncIterable[bytes] | Path
DetailFunction = Callable[[Asked], Detail | Awaitable[Detail | None] | None]
AttachmentFunction = Callable[[Asked, str], Content | Awaitable[Content | None] | None]
