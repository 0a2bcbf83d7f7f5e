"""Parameters of a query, read strictly: what is not exactly right is refused by name."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from messo.base.http import Problem, Request

_NUMBER = re.compile(r"[0-9]{1,9}\Z", re.ASCII)
_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")
_TITLE = "Bad request"


def of_query(request: Request) -> dict[str, str]:
    """The query's parameters, empty ones too; of several the last."""
    text = request.scope["query_string"].decode("latin-1")
    return dict(parse_qsl(text, keep_blank_values=True))


def storable(text: str) -> bool:
    """Whether the database takes this text at all: no NUL, no half of a surrogate pair."""
    return "\x00" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)


def idempotency_key(request: Request) -> str | None:
    """The Idempotency-Key header, if there is one. `Problem` 400 if it is not usable."""
    key = request.header(b"idempotency-key")
    if key is not None and not _KEY.match(key):
        raise Problem(
            400,
            "Bad parameters",
            "Idempotency-Key must be 1 to 255 visible ASCII characters, without spaces.",
            field="Idempotency-Key",
        )
    return key


def boolean(given: Mapping[str, str], name: str) -> bool:
    """`true` or `false`, exactly; false when it is not given. `Problem` 400 otherwise."""
    value = given.get(name, "false")
    if value not in {"true", "false"}:
        raise Problem(400, _TITLE, f"{name} must be true or false.", field=name)
    return value == "true"


def number(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """A whole number within these bounds. `Problem` 400 otherwise."""
    value = given.get(name)
    if value is None:
        return default
    if not _NUMBER.match(value) or not least <= int(value) <= most:
        raise Problem(
            400, _TITLE, f"{name} must be a whole number from {least} to {most}.", field=name
        )
    return int(value)


def matching(
    given: Mapping[str, str], name: str, pattern: re.Pattern[str], is_a: str
) -> str | None:
    """A text of this form, None when it is not given. `Problem` 400 otherwise."""
    value = given.get(name)
    if value is not None and not pattern.match(value):
        raise Problem(400, _TITLE, f"{name} must be {is_a}.", field=name)
    return value
