"""Shapes that every API of ours speaks: moments, ids, refusals."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

# `\Z`, not `$`: the latter lets a trailing newline pass.
ULID = r"^[0-9a-hjkmnp-tv-zA-HJKMNP-TV-Z]{26}\Z"

Text = Annotated[str, Meta(min_length=1)]
Timestamp = Annotated[
    str,
    Meta(
        description="A moment as YYYY-MM-DDTHH:MM:SS, optionally with a fraction and with Z or an "
        "offset; without either it is UTC.",
        extra_json_schema={"format": "date-time"},
    ),
]
IdempotencyKey = Annotated[str, Meta(pattern=r"^[\x21-\x7e]{1,255}\Z")]
ETag = Annotated[str, Meta(pattern=r'^(\*|"[0-9]{1,9}")\Z', examples=['"3"'])]
Ulid = Annotated[str, Meta(pattern=ULID, description="A ULID.")]


class ProblemDocument(Struct):
    """RFC 9457. `title` is stable; `field` names what was wrong, where one thing was."""

    title: str
    status: int
    detail: str
    field: str | UnsetType = UNSET
    type: str | UnsetType = UNSET


class GatewayError(Struct):
    """Refusals about the key, the address or the rate, in the gateway's shape."""

    statusCode: int  # noqa: N815  the wire's own spelling
    message: str
