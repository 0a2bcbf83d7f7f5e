"""One payment event of the node: from hostile JSON to what the ledger is told, tolerantly.

Whatever an event carries beside what is needed here is not looked at, and not kept: it names
debtors and payers.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from messo.messages.characters import on_one_line
from messo.payments.ledger import Seen
from messo.payments.notices import Notice

_ROME = ZoneInfo("Europe/Rome")
_FRACTION = re.compile(r"\.\d+")
_LONGEST = 140
_LARGEST = 99_999_999_999  # euro cents
_AHEAD = timedelta(days=1)  # a clock may be wrong; a payment of next year is a mistake


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that tells of no notice, as some do."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """An event that ought to tell of a notice and cannot be understood. `reason` quotes nothing."""

    reason: str


def read_json(text: bytes) -> Any:  # noqa: ANN401  JSON
    """Events as they are written. `ValueError` or `RecursionError` if this is no JSON.

    Half a surrogate pair, where a name was cut, or a number beyond all bounds is no reason to
    refuse what stands beside it: the standard library takes both.
    """
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return json.loads(text, parse_int=str)


def read_event(event: Any, now: datetime) -> Seen | Ignored | Unusable:  # noqa: ANN401  JSON
    """What this event says. A time that cannot be read is no reason to lose a payment."""
    if not isinstance(event, dict):
        return Unusable("not an object")
    notice = _notice(event)
    if not isinstance(notice, Notice):
        return notice
    creditor, info = event["creditor"], event.get("paymentInfo")
    info = info if isinstance(info, dict) else {}
    code = event.get("id") or event.get("uuid")
    return Seen(
        notice,
        "paid",
        "event",
        code[:64] if isinstance(code, str) and code.isascii() and code.isprintable() else "",
        now,
        amount=_cents(info.get("amount")),
        payee_name=_line(creditor.get("companyName")),
        reason=_line(info.get("remittanceInformation")),
        paid_at=_moment(info.get("paymentDateTime"), now),
        receipt=_line(info.get("paymentToken")),
    )


def _notice(event: dict[str, Any]) -> Notice | Ignored | Unusable:
    position, creditor = event.get("debtorPosition"), event.get("creditor")
    if position is None or creditor is None:
        return Ignored()
    if not isinstance(position, dict) or not isinstance(creditor, dict):
        return Unusable("debtorPosition or creditor is not an object")
    number, payee = position.get("noticeNumber"), creditor.get("idPA")
    if number in (None, "") or payee in (None, ""):
        # Paid without a notice. By the IUV alone no notice could be named without guessing.
        return Ignored()
    if not isinstance(number, str) or not isinstance(payee, str):
        return Unusable("noticeNumber or idPA is not a text")
    return Notice.of_rpt_id(payee.strip() + number.strip()) or Unusable(
        "noticeNumber or idPA is not one"
    )


def _moment(value: Any, now: datetime) -> datetime | None:  # noqa: ANN401
    """A local time of Rome where it has no zone."""
    if not isinstance(value, str):
        return None
    try:
        # Java writes up to nine digits of a second.
        text = _FRACTION.sub(lambda found: found.group()[:7], value.strip()[:40])
        read = datetime.fromisoformat(text)
        at = (read if read.tzinfo else read.replace(tzinfo=_ROME)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if at - now < _AHEAD else None


def _cents(value: Any) -> int | None:  # noqa: ANN401
    """Euros as a text or a number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        cents = Decimal(str(value).strip()[:20].replace(",", ".")) * 100
        if not cents.is_finite() or cents != cents.to_integral_value():
            return None
    except ArithmeticError:  # no number, or one beyond all bounds
        return None
    return int(cents) if 0 < cents <= _LARGEST else None


def _line(value: Any) -> str | None:  # noqa: ANN401
    return (on_one_line(value, _LONGEST) or None) if isinstance(value, str) else None
