"""From hostile JSON to a typed value, or a refusal that names the place."""

import re
from typing import TypeVar

import msgspec

from messo.base.http import Problem

T = TypeVar("T")

_PLACE = re.compile(r" - at `\$\.?(?P<place>[^`]*)`\Z")
# An escape of U+0000 that is not itself escaped: PostgreSQL stores no such text.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def decode(body: bytes, decoder: msgspec.json.Decoder[T], title: str = "Bad request") -> T:
    """The value a body stands for. `Problem` 400 with `field`, where one thing is wrong, if not."""
    if b"\\u0000" in body and _NUL.search(body):  # the first look is far quicker
        raise Problem(400, title, "Text may not contain the character U+0000.")
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        said = str(error) if isinstance(error, msgspec.DecodeError) else "This is not JSON"
        said = said.replace("\\\\Z", "$")  # the sign for the end of a text that people know
        place = _PLACE.search(said)
        raise Problem(
            400,
            title,
            _PLACE.sub("", said) + ".",
            field=place["place"] or None if place else None,
        ) from None
