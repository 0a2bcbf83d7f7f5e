"""Reports that a mail came to nothing: delivery status notifications (RFC 3464, 6522).

Anybody may send one, so it is read in time that grows with its length only: the report is taken
apart here, and the library that reads whole mails, whose time grows with what is nested in what,
sees single header blocks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import compat32
from typing import Literal

from messo.base.mailer import NO_SUCH_ADDRESS

LONGEST = 1024 * 1024  # bytes of a report; servers send back headers, not whole mails
_LONGEST_HEADERS = 64 * 1024
_LONGEST_VALUE = 1000
_PARTS = 20
_GROUPS = 20
_ADDRESSES = 20

_PARSER = BytesHeaderParser(policy=compat32)
_BLANK = re.compile(rb"\r?\n[ \t]*\r?\n")
_ADDRESS = re.compile(r"[^\s<>\"(),:;@\[\]\\]{1,64}@[A-Za-z0-9.-]{1,255}")
_STATUS = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})(?![\d.])")  # RFC 3463, section 2
# Where servers write whom they hand a mail to. From and Subject are the sender's words.
_SENT_TO = ("To", "Delivered-To", "X-Original-To", "Original-Recipient", "Envelope-To")


@dataclass(frozen=True, slots=True)
class Report:
    """Whom it was sent to, what was done ("failed", "delayed", …) and why ("5.1.1", or "")."""

    addresses: tuple[str, ...]
    action: str
    status: str


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
    # Parameters are told apart in time that grows with the square of their length.
    if len(str(headers.get("Content-Type", ""))) > _LONGEST_VALUE:
        return None
    if headers.get_content_type() != "multipart/report":
        return None
    kind = headers.get_param("report-type")
    boundary = headers.get_param("boundary")
    if not isinstance(kind, str) or kind.lower() != "delivery-status":
        return None
    if not isinstance(boundary, str) or not boundary.strip():
        return None
    for part in _parts(body, boundary.rstrip()):
        about, content = _split(part)
        if about.get_content_type() in {
            "message/delivery-status",
            "message/global-delivery-status",
        }:
            addresses = tuple(dict.fromkeys(_sent_to(headers)))[:_ADDRESSES]
            reports = [Report(addresses, *ending) for ending in _endings(content)]
            kept = [report for report in reports if verdict(report) != "gone"]
            return next(iter(kept or reports), None)
    return None


def _split(raw: bytes) -> tuple["Message[str, str]", bytes]:
    """A header block and what follows the blank line after it."""
    if raw.startswith((b"\n", b"\r\n")):
        return _PARSER.parsebytes(b""), raw
    blank = _BLANK.search(raw, 0, _LONGEST_HEADERS)
    if blank is None:
        return _PARSER.parsebytes(raw[:_LONGEST_HEADERS]), b""
    return _PARSER.parsebytes(raw[: blank.start()]), raw[blank.end() :]


def _parts(body: bytes, boundary: str) -> Iterator[bytes]:
    """The parts of this multipart and not those of one inside it (RFC 2046, section 5.1.1)."""
    line = rb"(?:\A|\r?\n)--" + re.escape(boundary.encode("latin-1", "replace"))
    for number, part in enumerate(re.split(line, body, maxsplit=_PARTS)):
        if number == 0:
            continue  # the preamble
        if part.startswith(b"--"):
            return
        _, _, content = part.partition(b"\n")  # what may stand behind a boundary is white space
        yield content


def _sent_to(headers: "Message[str, str]") -> Iterator[str]:
    for name in _SENT_TO:
        for value in headers.get_all(name, [])[:_ADDRESSES]:
            yield from _ADDRESS.findall(str(value)[:_LONGEST_VALUE])


def _endings(content: bytes) -> Iterator[tuple[str, str]]:
    """Action and status of each address: a block of fields each, after one about the mail."""
    for block in _BLANK.split(content, maxsplit=_GROUPS)[:_GROUPS]:
        fields = _PARSER.parsebytes(block.strip(b"\r\n")[:_LONGEST_HEADERS])
        action = str(fields.get("Action", ""))[:_LONGEST_VALUE].split("(")[0].strip().lower()
        if action:
            status = _STATUS.match(str(fields.get("Status", ""))[:_LONGEST_VALUE])
            yield action, status.group(1) if status else ""
