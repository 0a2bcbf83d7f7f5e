"""The protocol: from a request to its answer, with every check in its order.

Key, path and method, who reads, whether the message exists, whether it is theirs.
"""

import hmac
import re
from dataclasses import asdict, dataclass, replace
from functools import partial

from messo_client.remote import faults
from messo_client.remote.answers import (
    Answer,
    RefusedError,
    failed,
    json_answer,
    missing,
    not_ready,
    pdf_answer,
)
from messo_client.remote.calls import Flow
from messo_client.remote.paths import Place, attachment_url, place
from messo_client.remote.pieces import pieces_of
from messo_client.remote.served import Served
from messo_client.remote.shapes import Asked, Attachment, Detail, NotReady

FISCAL_CODE = re.compile(
    r"[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]\Z"
)
_HEADER_MISSING = (
    "The fiscal_code header is missing. A proxy or server in front of this application may have "
    "dropped it because of the underscore in its name."
)
_HEADER_WRONG = "The fiscal_code header is not a fiscal code of 16 upper-case characters."


@dataclass(frozen=True)
class Request:
    """`parts` are those of the path, decoded; `key` and `fiscal_code` come from the headers."""

    method: str
    parts: list[bytes]
    key: bytes | None
    fiscal_code: bytes | None


def answer(served: Served, request: Request) -> Flow[Answer]:
    """The answer to a request, whatever comes of it.

    The pieces of an attachment, if the answer has any, have to be closed.
    """
    try:
        given = yield from _answer(served, request)
    except RefusedError as refused:
        given = refused.answer()
    except NotReady as early:
        given = not_ready(early.after_s).answer()
    except Exception as fault:  # noqa: BLE001  the place where the unforeseen is logged
        faults.log("answering", fault)
        given = failed().answer()
    return replace(given, body=b"") if request.method == "HEAD" else given


def _answer(served: Served, request: Request) -> Flow[Answer]:
    if request.key is None or not served.opens(request.key):
        raise RefusedError(
            401,
            "Key missing or wrong",
            f"The {served.header} header is missing, or is none of the keys.",
        )
    wanted = place(request.parts, served.prefix)
    if wanted is None:
        raise missing("Nothing is served at this path.")
    if request.method not in {"GET", "HEAD"}:
        raise RefusedError(405, "Method not allowed", "Only GET is served.", ("Allow", "GET, HEAD"))
    asked = Asked(wanted.message_id, _reader(request.fiscal_code))
    detail = yield from _detail(served, asked)
    if wanted.kind == "attachment":
        return (yield from _attachment(served, request, asked, wanted, detail))
    if wanted.kind == "detail":
        return json_answer(_document(detail))
    if detail.precondition is None:
        raise missing("The message has no precondition.")
    return json_answer(asdict(detail.precondition))


def _reader(header: bytes | None) -> str:
    if not header:
        raise RefusedError(400, "Invalid fiscal_code header", _HEADER_MISSING)
    fiscal_code = header.decode("latin-1")
    if not FISCAL_CODE.match(fiscal_code):
        raise RefusedError(400, "Invalid fiscal_code header", _HEADER_WRONG)
    return fiscal_code


def is_recipient(detail: Detail, fiscal_code: str) -> bool:
    """Whether the message is meant for this fiscal code; says it in constant time."""
    return hmac.compare_digest(detail.recipient.upper().encode(), fiscal_code.encode())


def _detail(served: Served, asked: Asked) -> Flow[Detail]:
    detail = yield partial(served.detail, asked)
    if detail is None:
        raise missing("There is no such message.")
    if not isinstance(detail, Detail):
        raise TypeError(f"detail() gave {type(detail).__name__}, must be Detail or None")
    if not is_recipient(detail, asked.fiscal_code):
        raise RefusedError(403, "Not the recipient", "The message is meant for somebody else.")
    return detail


def _attachment(
    served: Served, request: Request, asked: Asked, wanted: Place, detail: Detail
) -> Flow[Answer]:
    # Only what is announced: the function need not ask itself whose an attachment is.
    announced = any(each.id == wanted.attachment_id for each in detail.attachments)
    given = (yield partial(served.attachment, asked, wanted.attachment_id)) if announced else None
    if given is None:
        raise missing("The message has no such attachment.")
    pieces = pieces_of(given)
    yield pieces.begin
    if request.method == "HEAD":
        yield pieces.close
    return pdf_answer(pieces)


def _document(detail: Detail) -> dict[str, object]:
    details = _present(subject=detail.subject, markdown=detail.markdown)
    attachments = [_announced(each) for each in detail.attachments]
    return _present(details=details or None, attachments=attachments or None)


def _announced(attachment: Attachment) -> dict[str, object]:
    return _present(
        id=attachment.id,
        url=attachment_url(attachment.id),
        name=attachment.name,
        content_type=attachment.content_type,
        size=attachment.size,
        category=attachment.category,
    )


def _present(**members: object) -> dict[str, object]:
    return {name: value for name, value in members.items() if value is not None}
