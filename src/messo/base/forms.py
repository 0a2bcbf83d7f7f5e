"""Forms as browsers send them, read within bounds."""

from urllib.parse import parse_qsl

from starlette.requests import Request

from messo.base.http import Problem

_LIMIT = 64 * 1024  # bytes; the largest form is a page of checkboxes
_FIELDS = 500


class Form:
    """The fields of a form; one may come several times."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self.fields = fields

    def get(self, name: str, default: str = "") -> str:
        """The last value of a field."""
        return self.fields.get(name, [default])[-1]

    def all(self, name: str) -> list[str]:
        """Every value of a field."""
        return self.fields.get(name, [])

    def ticked(self, name: str) -> bool:
        """Whether a checkbox was ticked: browsers do not send those that are not."""
        return name in self.fields


async def read_form(request: Request, limit: int = _LIMIT) -> Form:
    """The form of a POST, of at most so many bytes. `Problem` 400, 413 or 415 if it is none of ours."""
    fields: dict[str, list[str]] = {}
    for name, value in await read_fields(request, limit):
        fields.setdefault(name, []).append(value)
    return Form(fields)


async def read_fields(request: Request, limit: int = _LIMIT) -> list[tuple[str, str]]:
    """The fields of a form in their order. `Problem` 400, 413 or 415 if it is none."""
    media = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media != "application/x-www-form-urlencoded":
        raise Problem(415, "Unsupported media type", "A form of this site is expected.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise Problem(413, "Payload too large", "This form is too large.")
    try:
        text = body.decode("ascii")
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")
    except ValueError:
        raise Problem(400, "Bad request", "This form cannot be read.") from None
    if any("\x00" in value for _, value in fields):
        raise Problem(400, "Bad request", "Text may not contain the character U+0000.")
    return fields


def short_text(text: str, limit: int) -> str:
    """What somebody typed into a field or a URL: bounded, and nothing that a database refuses."""
    return text[:limit].replace("\x00", " ").strip()


def whole_number(text: str, digits: int = 9) -> int | None:
    """A number as people and programs write it, of at most so many digits; None for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None
