"""From hostile bytes to a message that follows the contract, or a refusal that names the field.

Numbers follow JavaScript (3600.0 and 1e4 are integers), lengths count UTF-16 units, moments roll
over short months: so do the clients that were built for the reference platform.
"""

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET

from messo.base import clock
from messo.base.decode import whole_numbers
from messo.base.http import Problem
from messo.base.utf16 import utf16_length
from messo.login import FISCAL_CODE
from messo.messages import wire

T = TypeVar("T")

# The shortest and the longest, in UTF-16 units.
SUBJECT = (10, 120)
MARKDOWN = (80, 10_000)

_FISCAL_CODE = re.compile(FISCAL_CODE)
_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))?\Z",
    re.ASCII,
)
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}\Z"
)
_MEMBER = re.compile(rb'"([a-z_]+)"\s*:')
_ESCAPED_LETTER = re.compile(rb"\\u00[567]")  # a member's name may be written with escapes
_EXPLAINED = {
    "fiscal_code": "must be a fiscal code: for a citizen 16 characters in upper case, "
    "for an organisation 11 digits",
    "prescriber_fiscal_code": "must be a citizen's fiscal code, 16 characters in upper case",
    "notice_number": "must be 18 digits, the first of them 0 to 3",
    "configuration_id": "must be a ULID, 26 characters",
}


def parse_message(body: bytes, *, check_digits: bool = True) -> wire.NewMessage:
    """A complete, normalised message. `Problem` 400 titled "Invalid message structure" if not.

    `check_digits`: whether a notice number with wrong check digits is refused.
    """
    title = "Invalid message structure"
    message = _decode(body, wire.new_message, title)
    content = message.content
    _length(content.subject, "content.subject", *SUBJECT, title)
    _length(content.markdown, "content.markdown", *MARKDOWN, title)
    if message.time_to_live is None:
        message.time_to_live = 3600
    if message.feature_level_type is None:
        message.feature_level_type = "STANDARD"
    if content.due_date is not UNSET:
        content.due_date = _moment(content.due_date, "content.due_date", title)
    _settle_defaults(content, title)
    if check_digits and content.payment_data is not UNSET:
        _check_digits(content.payment_data.notice_number, title)
    addresses = message.default_addresses
    if (
        addresses is not UNSET
        and addresses.email is not UNSET
        and not _EMAIL.match(addresses.email)
    ):
        raise Problem(
            400,
            title,
            "default_addresses.email must be an e-mail address.",
            field="default_addresses.email",
        )
    if b"\\u0000" in body:
        _refuse_nul(content, title)
    return message


def parse_recipient(body: bytes) -> str:
    """The fiscal code of a profile check."""
    return _decode(body, wire.recipient, "Invalid FiscalCodePayload").fiscal_code


def path_fiscal_code(text: str) -> str:
    """The fiscal code of a path."""
    if not _FISCAL_CODE.match(text):
        pattern = FISCAL_CODE.removesuffix(r"\Z") + "$"
        raise Problem(
            400,
            f'Invalid string that matches the pattern "{pattern}"',
            "The path must name a citizen's fiscal code: 16 characters in upper case.",
            field="fiscal_code",
        )
    return text


def moment(text: str) -> datetime | None:
    """A moment as clients write it, UTC unless an offset says otherwise; None if it is not one.

    The 30th of February is the 2nd of March, as in JavaScript; a 13th month is nothing.
    """
    match = _MOMENT.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, off_hour, off_minute = match.groups()[6:]
    zone: timezone = UTC
    try:
        if sign:
            offset = timedelta(hours=int(off_hour), minutes=int(off_minute))
            zone = timezone(-offset if sign == "-" else offset)
        if not 1 <= day <= 31:  # noqa: PLR2004
            return None
        first = datetime(
            year, month, 1, hour, minute, second, int(f"{fraction or 0:0<6}"[:6]), zone
        )
        return (first + timedelta(days=day - 1)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _decode(body: bytes, decoder: "msgspec.json.Decoder[T]", title: str) -> T:
    names = _MEMBER.findall(body)
    if len(set(names)) != len(names) or _ESCAPED_LETTER.search(body):
        _refuse_duplicates(body, title)
    try:
        return decoder.decode(body)
    except (ValueError, RecursionError) as error:
        if isinstance(error, msgspec.ValidationError) and "got `float`" in str(error):
            return _decode_with_javascript_numbers(body, decoder, title)
        raise _unreadable(error, body, title) from None


def _unreadable(error: ValueError | RecursionError, body: bytes, title: str) -> Problem:
    if isinstance(error, msgspec.ValidationError):
        return _invalid(error, title)
    if isinstance(error, msgspec.DecodeError):
        return Problem(400, title, f"The body is not valid JSON: {_place(error, body)}.")
    if isinstance(error, UnicodeDecodeError):
        return Problem(400, title, f"The body is not valid UTF-8 (byte {error.start}).")
    if isinstance(error, RecursionError):
        return Problem(400, title, "The body is nested too deeply.")
    return Problem(400, title, "The body cannot be read as JSON.")


def _decode_with_javascript_numbers(
    body: bytes, decoder: "msgspec.json.Decoder[T]", title: str
) -> T:
    """The slow way, for bodies that write an integer as 3600.0 or 1e4."""
    try:
        return msgspec.convert(whole_numbers(msgspec.json.decode(body)), decoder.type)
    except (ValueError, RecursionError) as error:
        raise _unreadable(error, body, title) from None


def _refuse_duplicates(body: bytes, title: str) -> None:
    """A name that occurs twice may be two objects' member, or one object's: look closely."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            name, count = Counter(name for name, _ in pairs).most_common(1)[0]
            raise Problem(
                400,
                title,
                f"The member {name!r} is given {count} times in one object. "
                "Send it once, so that it is clear what you mean.",
                field=name,
            )
        return found

    try:
        # Numbers stay text: one of 5,000 digits must not end the search.
        json.loads(body, object_pairs_hook=once, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return  # the decoder says what is wrong with it


def _invalid(error: msgspec.ValidationError, title: str) -> Problem:
    reason, _, path = str(error).partition(" - at `")
    field = path.rstrip("`").removeprefix("$").removeprefix(".")
    if missing := re.search(r"missing required field `(\w+)`", reason):
        name = missing.group(1)
        field = f"{field}.{name}" if field else name
        return Problem(400, title, f"{field} is required.", field=field)
    explained = _EXPLAINED.get(field.rsplit(".", 1)[-1]) if "matching regex" in reason else None
    where = field or "The body"
    sentence = explained or reason[:1].lower() + reason[1:].replace("`", "")
    return Problem(400, title, f"{where}: {sentence[:300]}.", field=field or None)


def _place(error: msgspec.DecodeError, body: bytes) -> str:
    text = str(error).removeprefix("JSON is malformed: ")
    if "truncated" in text and re.search(rb"\\u[dD][89a-fA-F]", body):
        return "an escape such as \\ud83d is half of a surrogate pair"
    byte = re.search(r"\s*\(byte (\d+)\)", text)
    before = body[: int(byte.group(1))] if byte else body  # no byte: it ends too early
    text = text[: byte.start()] if byte else text[:1].lower() + text[1:]
    line = before.count(b"\n") + 1
    column = len(before) - before.rfind(b"\n")
    return f"{text} at line {line}, column {column}"


def _length(text: str, field: str, least: int, most: int, title: str) -> None:
    length = utf16_length(text)
    if not least <= length <= most:
        bounds = f"{least}" if least == most else f"{least} to {most}"
        raise Problem(
            400,
            title,
            f"{field} must be {bounds} characters long; it has {length}.",
            field=field,
        )


def _moment(text: str, field: str, title: str) -> str:
    found = moment(text)
    if found is None:
        raise Problem(
            400,
            title,
            f"{field} must be a moment such as 2030-01-31T22:59:59Z; {text[:40]!r} is not one.",
            field=field,
        )
    return clock.to_wire(found)


def _settle_defaults(content: wire.Content, title: str) -> None:
    """Where a null means the default, write the default."""
    if content.payment_data is not UNSET:
        payment = content.payment_data
        payment.invalid_after_due_date = bool(payment.invalid_after_due_date)
    if content.third_party_data is not UNSET:
        third = content.third_party_data
        third.has_remote_content = bool(third.has_remote_content)
        third.has_attachments = bool(third.has_attachments)
        if third.original_receipt_date is not UNSET:
            third.original_receipt_date = _moment(
                third.original_receipt_date,
                "content.third_party_data.original_receipt_date",
                title,
            )
    if content.prescription_data is not UNSET:
        prescription = content.prescription_data
        _length(prescription.nre, "content.prescription_data.nre", 15, 15, title)
        if prescription.iup is not UNSET:
            _length(prescription.iup, "content.prescription_data.iup", 1, 16, title)
    if content.legal_data is not UNSET:
        content.legal_data.has_attachment = bool(content.legal_data.has_attachment)


def fits_check_digits(notice_number: str) -> bool:
    """Whether its last two digits are the others modulo 93; with auxiliary digit 1 it has none.

    Source: pagoPA's standard for notices; a mistyped number would fail when the citizen pays.
    """
    return notice_number[0] == "1" or int(notice_number[:16]) % 93 == int(notice_number[16:])


def _check_digits(notice_number: str, title: str) -> None:
    if not fits_check_digits(notice_number):
        field = "content.payment_data.notice_number"
        raise Problem(
            400,
            title,
            f"{field} has wrong check digits: one of its digits is probably mistyped.",
            field=field,
        )


def _refuse_nul(content: wire.Content, title: str) -> None:
    def look(value: Any, path: str) -> None:  # noqa: ANN401  JSON
        if isinstance(value, str) and "\x00" in value:
            raise Problem(
                400, title, f"{path} contains the character U+0000, which no text may.", field=path
            )
        if isinstance(value, dict):
            for name, member in value.items():
                look(member, f"{path}.{name}")

    look(msgspec.to_builtins(content), "content")
