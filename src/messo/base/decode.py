"""From hostile JSON to a typed value, or a refusal that names the place."""

import re
from typing import Any, TypeVar

import msgspec

from messo.base.http import Problem

T = TypeVar("T")

_PLACE = re.compile(r" - at `\$\.?(?P<place>[^`]*)`\Z")
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
# An escape of U+0000 that is not itself escaped: PostgreSQL stores no such text.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def decode(body: bytes, decoder: msgspec.json.Decoder[T], title: str = "Bad request") -> T:
    """The value a body stands for. `Problem` 400 with `field`, where one thing is wrong, if not."""
    if b"\\u0000" in body and _NUL.search(body):  # the first look is far quicker
        raise Problem(400, title, "Text may not contain the character U+0000.")
    try:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            if "got `float`" not in str(error):
                raise
            # The slow way, for bodies that write an integer as JavaScript may: 3600.0 or 1e4.
            return msgspec.convert(whole_numbers(msgspec.json.decode(body)), decoder.type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        said = str(error) if isinstance(error, msgspec.DecodeError) else "This is not JSON"
        said = said.replace("\\\\Z", "$")  # the sign for the end of a text that people know
        if not body.strip():
            said = "The body is empty: send JSON"
        raise Problem(400, title, _PLACE.sub("", said) + ".", field=_field(said)) from None


def whole_numbers(value: Any) -> Any:  # noqa: ANN401  JSON
    """The same JSON with integers where numbers are whole."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: whole_numbers(member) for name, member in value.items()}
    if isinstance(value, list):
        return [whole_numbers(member) for member in value]
    return value


def _field(said: str) -> str | None:
    """The place that a sentence of the decoder's is about; a member that is missing, too."""
    place, missing = _PLACE.search(said), _MISSING.match(said)
    names = [place["place"] if place else "", missing["name"] if missing else ""]
    return ".".join(filter(None, names)) or None
