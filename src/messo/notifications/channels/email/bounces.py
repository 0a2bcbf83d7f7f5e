"""Reports that a mail came to nothing: delivery status notifications (RFC 3464, 6522).

Anybody may send one, so it is read in time that grows with its length only and has a bound: the
report is taken apart here, of each header block the few fields that count are picked out, and the
library that reads whole mails sees single values.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Literal

from messo.base.mailer import NO_SUCH_ADDRESS

LONGEST = 1024 * 1024  # bytes of a report; servers send back headers, not whole mails
_LONGEST_HEADERS = 16 * 1024
_LONGEST_STATUS = 64 * 1024  # bytes about all the addresses of a report
_LONGEST_VALUE = 1000
_LONGEST_BOUNDARY = 70  # RFC 2046, section 5.1.1
_PARTS = 10  # a report has three
_GROUPS = 20

_BLANK = re.compile(rb"\n[ \t]*\r?\n")
_STATUS = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})(?![\d.])", re.ASCII)  # RFC 3463, section 2
# Where servers write whom they hand a mail to. From and Subject are the sender's words.
_SENT_TO = ("To", "Delivered-To", "X-Original-To", "Original-Recipient", "Envelope-To")


@dataclass(frozen=True, slots=True)
class Report:
    """What was done ("failed", "delayed", …) and why ("5.1.1", or "")."""

    action: str
    status: str


def sent_to(raw: bytes) -> str:
    """What the first headers of a mail say of whom it was handed to, a line for each field.

    At most the first 16 KiB are looked at. Never raises.
    """
    headers, _ = _split(raw)
    return "\n".join(value for name in _SENT_TO for value in _fields(headers, name))


def read_report(raw: bytes) -> Report | None:
    """A report, or None for any other mail: an answer, a receipt, a text without a status.

    Never raises. One about several addresses says what became of the one that fared best: an alias
    of which one end is gone is not gone.
    """
    if len(raw) > LONGEST:
        return None
    try:
        return _read(raw)
    except Exception:  # noqa: BLE001  the library raises what it likes at hostile headers
        return None


def verdict(report: Report) -> Literal["gone", "none"]:
    """Whether the address itself does not exist. Policy, quota and whatever passes say nothing."""
    is_gone = report.action == "failed" and report.status in NO_SUCH_ADDRESS
    return "gone" if is_gone else "none"


def _read(raw: bytes) -> Report | None:
    headers, body = _split(raw)
    about = _content_type(headers)
    if about.get_content_type() != "multipart/report":
        return None
    kind = about.get_param("report-type")
    boundary = about.get_param("boundary")
    if not isinstance(kind, str) or kind.lower() != "delivery-status":
        return None
    if not isinstance(boundary, str) or not 0 < len(boundary.rstrip()) <= _LONGEST_BOUNDARY:
        return None
    for part in _parts(body, boundary.rstrip()):
        headers, content = _split(part)
        if _content_type(headers).get_content_type() in {
            "message/delivery-status",
            "message/global-delivery-status",
        }:
            reports = [Report(*ending) for ending in _endings(content[:_LONGEST_STATUS])]
            kept = [report for report in reports if verdict(report) != "gone"]
            return next(iter(kept or reports), None)
    return None


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """A header block, of which the first 16 KiB, and what follows the blank line after it."""
    if raw.startswith((b"\n", b"\r\n")):
        return b"", raw
    blank = _BLANK.search(raw, 0, _LONGEST_HEADERS)
    if blank is None:
        return raw[:_LONGEST_HEADERS], b""
    return raw[: blank.start()], raw[blank.end() :]


def _parts(body: bytes, boundary: str) -> Iterator[bytes]:
    """The parts of this multipart and not those of one inside it (RFC 2046, section 5.1.1)."""
    line = b"\n--" + boundary.encode("latin-1", "replace")
    body = b"\n" + body
    at = body.find(line)
    for _ in range(_PARTS):
        if at < 0 or body.startswith(b"--", at + len(line)):
            return
        end = body.find(line, at + len(line))
        part = body[at + len(line) : end if end >= 0 else len(body)]
        _, _, content = part.partition(b"\n")  # what may stand behind a boundary is white space
        yield content
        at = end


def _content_type(headers: bytes) -> "Message[str, str]":
    about: Message[str, str] = Message()
    # Parameters are told apart in time that grows with the square of their length.
    about["Content-Type"] = next(_fields(headers, "Content-Type"), "")[:_LONGEST_VALUE]
    return about


def _fields(headers: bytes, name: str) -> Iterator[str]:
    """The values of a field, unfolded (RFC 5322, section 2.2.3)."""
    for found in _field(name).finditer(headers):
        yield found[1].decode("latin-1").replace("\r", "").replace("\n", "").strip()


@functools.cache
def _field(name: str) -> "re.Pattern[bytes]":
    return re.compile(
        rb"^" + name.encode() + rb"[ \t]*:(.*(?:\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE
    )


def _endings(content: bytes) -> Iterator[tuple[str, str]]:
    """Action and status of each address: a block of fields each, after one about the mail."""
    for block in _BLANK.split(content, maxsplit=_GROUPS)[:_GROUPS]:
        headers = block[:_LONGEST_HEADERS]
        action = next(_fields(headers, "Action"), "")[:_LONGEST_VALUE].split("(")[0].strip().lower()
        if action:
            status = _STATUS.match(next(_fields(headers, "Status"), "")[:_LONGEST_VALUE])
            yield action, status.group(1) if status else ""
