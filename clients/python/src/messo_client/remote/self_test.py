"""Whether an institution's functions give what the platform accepts."""

import secrets
from collections.abc import Iterator
from functools import partial

from messo_client.remote import faults
from messo_client.remote.calls import Flow, Step
from messo_client.remote.detail_rules import announced, check_detail, kind
from messo_client.remote.pieces import AsyncPieces, Pieces, pieces_of
from messo_client.remote.protocol import FISCAL_CODE, is_recipient
from messo_client.remote.served import Served
from messo_client.remote.shapes import Asked, Attachment, Detail, NotReady

LARGEST = 20 * 1024 * 1024  # bytes of an attachment
_PDF = b"%PDF"
# Somebody else: fiscal codes that were never issued.
_OTHERS = ("BBBBBB00A00B000B", "CCCCCC00A00C000C")


class _FaultFoundError(Exception):
    """What follows cannot be checked."""


def findings(served: Served, asked: Asked) -> Flow[list[str]]:
    """What is wrong, a sentence a fault, each beginning with its place."""
    found: list[str] = []
    try:
        yield from _check(found, served, asked)
    except _FaultFoundError as last:
        found.append(str(last))
    return found


def _check(found: list[str], served: Served, asked: Asked) -> Flow[None]:
    if not FISCAL_CODE.match(asked.fiscal_code):
        raise _FaultFoundError("fiscal_code: not 16 upper-case characters of a fiscal code")
    if not asked.message_id:
        raise _FaultFoundError("message_id: empty")
    detail = yield from _called("detail()", partial(served.detail, asked))
    if not isinstance(detail, Detail):
        raise _FaultFoundError(
            f"detail(): gave {kind(detail)}, must be a Detail for a message that exists"
        )
    found += _recipient(detail, asked)
    found += check_detail(detail)
    for probe in (_stranger(served, asked), _unknown(served, asked)):
        found += yield from _or_fault(probe)
    for position, attachment in enumerate(announced(detail)):
        # One without a proper id can be announced, but never asked for.
        if isinstance(attachment, Attachment) and isinstance(attachment.id, str) and attachment.id:
            place = f"attachments[{position}]"
            found += yield from _or_fault(_attachment(served, asked, place, attachment))


def _called(place: str, step: Step) -> Flow[object]:
    try:
        return (yield step)
    except NotReady as early:
        raise _FaultFoundError(f"{place}: not ready for {early.after_s:g} s") from None
    except Exception as fault:  # noqa: BLE001  whatever it is, it is a finding
        raise _FaultFoundError(f"{place}: raised {faults.describe(fault)}") from None


def _or_fault(probe: Flow[list[str]]) -> Flow[list[str]]:
    try:
        return (yield from probe)
    except _FaultFoundError as fault:
        return [str(fault)]


def _recipient(detail: Detail, asked: Asked) -> Iterator[str]:
    if not isinstance(detail.recipient, str):
        yield f"recipient: {kind(detail.recipient)}, must be a fiscal code"
    elif not is_recipient(detail, asked.fiscal_code):
        yield "recipient: not the fiscal code that was given for the test"


def _stranger(served: Served, asked: Asked) -> Flow[list[str]]:
    other = next(each for each in _OTHERS if each != asked.fiscal_code)
    place = "detail() for another fiscal code"
    detail = yield from _called(place, partial(served.detail, Asked(asked.message_id, other)))
    if not isinstance(detail, Detail):
        return [] if detail is None else [f"{place}: gave {kind(detail)}, must be Detail or None"]
    if isinstance(detail.recipient, str) and is_recipient(detail, other):
        return [f"{place}: is let in; recipient must be whom the message is for, not whoever asks"]
    return []


def _unknown(served: Served, asked: Asked) -> Flow[list[str]]:
    nowhere = Asked(f"self-test-{secrets.token_hex(8)}", asked.fiscal_code)
    place = "detail() for an unknown message id"
    detail = yield from _called(place, partial(served.detail, nowhere))
    return [] if detail is None else [f"{place}: gave {kind(detail)}, must be None"]


def _attachment(
    served: Served, asked: Asked, place: str, attachment: Attachment
) -> Flow[list[str]]:
    step = partial(served.attachment, asked, attachment.id)
    given = yield from _called(f"{place}: attachment()", step)
    if given is None:
        return [f"{place}: attachment() gave None, but it is announced"]
    try:
        pieces = pieces_of(given)
    except TypeError as fault:
        return [f"{place}: attachment() gave {fault}"]
    start, size = yield from _drawn(f"{place}: attachment()", pieces)
    yield from _called(f"{place}: closing it", pieces.close)
    return list(_faults_of_bytes(place, attachment, start, size))


def _drawn(place: str, pieces: Pieces | AsyncPieces) -> Flow[tuple[bytes, int]]:
    """The first bytes, and how many there are; it is enough to know that they are too many."""
    start, size = b"", 0
    yield from _called(place, pieces.begin)
    while size <= LARGEST:
        piece = yield from _called(place, pieces.piece)
        if not isinstance(piece, bytes):
            break
        size += len(piece)
        start = start if len(start) >= len(_PDF) else start + piece[: len(_PDF)]
    return start, size


def _faults_of_bytes(place: str, attachment: Attachment, start: bytes, size: int) -> Iterator[str]:
    if not start.startswith(_PDF):
        yield f"{place}: does not begin with %PDF"
    if size > LARGEST:
        yield f"{place}: larger than 20 MiB"
    elif isinstance(attachment.size, int) and 0 <= attachment.size != size:
        yield f"{place}.size: {attachment.size}, but there are {size} bytes"
