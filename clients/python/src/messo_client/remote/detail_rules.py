"""What the platform demands of a message, beyond the types of its members.

Each fault is a sentence that begins with its place, and repeats nothing personal.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from messo_client.remote.shapes import Attachment, Detail, Precondition

# Shortest and longest, in UTF-16 code units, as the platform counts.
SUBJECT = (10, 120)
MARKDOWN = (80, 10_000)
MOST_ATTACHMENTS = 100
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]")  # never asked for in a path
_CATEGORY = re.compile(r"[A-Z0-9_]{2,30}\Z")


def check_detail(detail: Detail) -> Iterator[str]:
    """The faults of a message, of what it announces and of its precondition."""
    attachments = announced(detail)
    if detail.subject is None and detail.markdown is None:
        if not attachments:
            yield "details: neither a subject and a markdown nor attachments"
    else:
        yield from _text("details.subject", detail.subject, SUBJECT)
        yield from _text("details.markdown", detail.markdown, MARKDOWN)
    if not isinstance(detail.attachments, Sequence):
        yield f"attachments: {kind(detail.attachments)}, must be a list"
    if len(attachments) > MOST_ATTACHMENTS:
        yield f"attachments: {len(attachments)}, must be at most {MOST_ATTACHMENTS}"
    for position, attachment in enumerate(attachments):
        yield from _attachment(f"attachments[{position}]", attachment)
    yield from _duplicates(attachments)
    yield from _precondition(detail.precondition)


def announced(detail: Detail) -> Sequence[Attachment]:
    """The attachments, or none where they are no list."""
    return detail.attachments if isinstance(detail.attachments, Sequence) else ()


def kind(value: object) -> str:
    """The type of a value, for a sentence."""
    return "None" if value is None else type(value).__name__


def _text(place: str, text: object, bounds: tuple[int, int]) -> Iterator[str]:
    shortest, longest = bounds
    if not isinstance(text, str):
        yield f"{place}: {kind(text)}, must be text of {shortest} to {longest} characters"
        return
    length = len(text.encode("utf-16-le", "surrogatepass")) // 2
    if not shortest <= length <= longest:
        yield f"{place}: {length} characters, must be {shortest} to {longest}"
    yield from _unicode(place, text)


def _unicode(place: str, text: str) -> Iterator[str]:
    try:
        text.encode()
    except UnicodeEncodeError:
        yield f"{place}: half of a surrogate pair, which cannot be sent"


def _attachment(place: str, attachment: object) -> Iterator[str]:
    if not isinstance(attachment, Attachment):
        yield f"{place}: {kind(attachment)}, must be an Attachment"
        return
    yield from _id(f"{place}.id", attachment.id)
    name: object = attachment.name
    if name is not None and not (isinstance(name, str) and name.endswith(".pdf")):
        yield f'{place}.name: must end in ".pdf"'
    elif isinstance(name, str):
        yield from _unicode(f"{place}.name", name)
    if attachment.content_type not in {None, "application/pdf"}:
        yield f'{place}.content_type: must be "application/pdf"'
    category: object = attachment.category
    if category is not None and not (isinstance(category, str) and _CATEGORY.match(category)):
        yield f"{place}.category: must be 2 to 30 of A-Z, 0-9 and _"
    size: object = attachment.size
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        yield f"{place}.size: must be a number of bytes"


def _id(place: str, given: object) -> Iterator[str]:
    if not isinstance(given, str):
        yield f"{place}: {kind(given)}, must be text"
    elif not given:
        yield f"{place}: empty"
    elif {".", ".."} & set(given.split("/")):
        yield f"{place}: must not be . or .. or have them between slashes, they vanish from a path"
    elif _UNSAFE.search(given):
        yield f"{place}: must not have a backslash or control characters"
    else:
        yield from _unicode(place, given)


def _duplicates(attachments: Sequence[Attachment]) -> Iterator[str]:
    ids = [each.id for each in attachments if isinstance(each, Attachment)]
    times = Counter(each for each in ids if isinstance(each, str))
    for position, each in enumerate(ids):
        if isinstance(each, str) and times[each] > 1 and each in ids[:position]:
            yield f"attachments[{position}].id: the same as of attachments[{ids.index(each)}]"


def _precondition(precondition: object) -> Iterator[str]:
    if precondition is None:
        return
    if not isinstance(precondition, Precondition):
        yield f"precondition: {kind(precondition)}, must be a Precondition"
        return
    for place, text in (
        ("precondition.title", precondition.title),
        ("precondition.markdown", precondition.markdown),
    ):
        if not isinstance(text, str):
            yield f"{place}: {kind(text)}, must be text"
        elif not text.strip():
            yield f"{place}: empty"
        else:
            yield from _unicode(place, text)
