"""What an institution's server answers, as far as the protocol goes, and whether it is coherent."""

import re
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from messo.base.utf16 import utf16_length
from messo.base.wire import Text
from messo.content.problems import wrong

T = TypeVar("T")

MOST_ATTACHMENTS = 100
_LARGEST_SIZE = 2**53  # what every reader of JSON understands; anything else is not known
SUBJECT = (10, 120)  # UTF-16 units, at least and at most
MARKDOWN = (80, 10_000)
_PLACE = re.compile(r" - at `\$\.?(?P<place>[^`]*)`\Z")


class PreconditionText(msgspec.Struct):
    """What the citizen is told before the message opens."""

    title: str
    markdown: str


class Attachment(msgspec.Struct, omit_defaults=True):
    """One attachment as it is announced. `size` in bytes, where the server tells it: Messo's own."""

    id: Text
    url: Text
    content_type: str | None = None  # an empty one is none
    name: str | None = None
    category: str | None = "DOCUMENT"
    size: int | None = None


class Answer(msgspec.Struct):
    """The answer to a detail call, before anything is known of what was promised."""

    attachments: list[Attachment] | None = None
    details: dict[str, Any] | None = None


@dataclass(frozen=True)
class Promised:
    """What the message says of its remote content, and the text that it has of its own."""

    has_remote_content: bool
    has_attachments: bool
    subject: str
    markdown: str


@dataclass(frozen=True)
class Detail:
    """Remote content that is what the message promised. `details` may hold more than the two."""

    subject: str
    markdown: str
    details: dict[str, Any]
    attachments: list[Attachment]


_precondition = msgspec.json.Decoder(PreconditionText)
_answer = msgspec.json.Decoder(Answer)


def read_precondition(body: bytes) -> PreconditionText:
    """`NotServedProblem` if it is not one."""
    return _decode(body, _precondition)


def read_answer(body: bytes) -> Answer:
    """`NotServedProblem` if it is no answer to a detail call at all."""
    answer = _decode(body, _answer)
    for attachment in answer.attachments or ():
        attachment.category = attachment.category or "DOCUMENT"
        if attachment.size is not None and not 0 <= attachment.size <= _LARGEST_SIZE:
            attachment.size = None
    if len(answer.attachments or ()) > MOST_ATTACHMENTS:
        raise wrong(f"attachments: more than {MOST_ATTACHMENTS}.")
    return answer


def coherent(answer: Answer, promised: Promised) -> Detail:
    """The content, if it is what was promised. `NotServedProblem` with the contract's word if not.

    What was not promised is left out: attachments, and another text.
    """
    if promised.has_attachments and not answer.attachments:
        raise wrong("ATTACHMENTS_NOT_PRESENT")
    details = dict(answer.details or {})
    if not promised.has_remote_content:
        details |= {"subject": promised.subject, "markdown": promised.markdown}
    elif answer.details is None:
        raise wrong("REMOTE_CONTENT_NOT_PRESENT")
    elif not is_text(details.get("markdown"), MARKDOWN):
        raise wrong("MARKDOWN_VALIDATION_ERROR")
    elif not is_text(details.get("subject"), SUBJECT):
        raise wrong("SUBJECT_VALIDATION_ERROR")
    return Detail(
        details["subject"],
        details["markdown"],
        details,
        list(answer.attachments or ()) if promised.has_attachments else [],
    )


def is_text(value: object, bounds: tuple[int, int]) -> bool:
    """Whether this is a text of a length within these bounds."""
    return isinstance(value, str) and bounds[0] <= utf16_length(value) <= bounds[1]


def _decode(body: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        # Where it is and what was expected, never what came.
        place = _PLACE.search(str(error))
        said = _PLACE.sub("", str(error)).replace("`", "")
        where = f"{place['place']}: " if place and place["place"] else ""
        raise wrong(f"{where}{said[:1].lower()}{said[1:]}.") from None
    except (ValueError, RecursionError):
        raise wrong("The institution's answer is not JSON.") from None
