"""What a citizen may know of one message of theirs, from what is stored.

A part that cannot be read, a sender or a body that is gone leave a gap in their place; the message
is shown all the same.
"""

from dataclasses import dataclass
from datetime import datetime

import msgspec
from msgspec import UNSET

from messo.base.db import Row
from messo.messages import checks, wire
from messo.messages.mailbox_wire import Category

# The service of SEND on the reference platform, whose messages have a category of their own.
SEND = "01G40DWQGKY5GRWSNM4303VNRP"


@dataclass(frozen=True)
class Payment:
    """A payment notice. `amount` in euro cents; the payee is the sender if none was named."""

    amount: int
    notice_number: str
    payee_fiscal_code: str
    invalid_after_due_date: bool


@dataclass(frozen=True)
class Line:
    """One message in a list. `has_precondition`: whether something must be accepted first, now."""

    id: str
    fiscal_code: str
    service_id: str
    service_name: str
    organization_name: str
    organization_fiscal_code: str
    department_name: str
    subject: str
    created_at: datetime
    time_to_live: int
    is_read: bool
    is_archived: bool
    due_date: datetime | None
    payment: Payment | None
    has_attachments: bool
    has_remote_content: bool
    has_precondition: bool
    category: Category


@dataclass(frozen=True)
class Message:
    """A message with its content. The markdown is empty only if the body is lost."""

    line: Line
    content: wire.StoredContent
    read_at: datetime | None
    reported_at: datetime | None  # when its reader said that it is not for them


def line_of(row: Row) -> Line:
    """A row of `read_for_citizen`, as it stands in a list."""
    return _line(row, _parts(row))


def message_of(row: Row) -> Message:
    """A row of `read_for_citizen` with its body, the payee filled in as the contract says."""
    parts = _parts(row)
    line = _line(row, parts)
    payment = parts.payment_data
    if payment is not UNSET and payment.payee is UNSET and line.organization_fiscal_code:
        payment.payee = wire.Payee(line.organization_fiscal_code)
    content = wire.StoredContent(
        subject=line.subject,
        markdown=row["markdown"] or "",
        require_secure_channels=parts.require_secure_channels,
        due_date=parts.due_date,
        payment_data=payment,
        third_party_data=parts.third_party_data,
        eu_covid_cert=parts.eu_covid_cert,
    )
    return Message(line, content, row["read_at"], row["reported_at"])


def _line(row: Row, parts: wire.Parts) -> Line:
    sender = row["organization_fiscal_code"] or ""
    third, due = parts.third_party_data, parts.due_date
    is_read = row["read_at"] is not None
    category = _category(row["service_id"], parts, sender)
    return Line(
        id=row["id"],
        fiscal_code=row["fiscal_code"],
        service_id=row["service_id"],
        service_name=row["service_name"] or "",
        organization_name=row["organization_name"] or "",
        organization_fiscal_code=sender,
        department_name=row["department_name"] or "",
        subject=row["subject"] or "",
        created_at=row["created_at"],
        time_to_live=row["time_to_live"],
        is_read=is_read,
        is_archived=row["is_archived"],
        due_date=None if due is UNSET else checks.moment(due),
        payment=_payment(parts, sender),
        has_attachments=third is not UNSET and bool(third.has_attachments),
        has_remote_content=third is not UNSET and bool(third.has_remote_content),
        has_precondition=category.tag == "PN" or _has_precondition(parts, is_read=is_read),
        category=category,
    )


def _parts(row: Row) -> wire.Parts:
    """What the message carries; of what cannot be read, the rest."""
    text = row["parts"]
    if text is None:
        return wire.Parts()
    try:
        return wire.stored_parts.decode(text)
    except msgspec.ValidationError:
        members = msgspec.json.decode(text)
    parts = wire.Parts()
    if isinstance(members, dict):
        for name in members.keys() & set(wire.Parts.__struct_fields__):
            try:
                alone = msgspec.convert({name: members[name]}, wire.Parts)
            except msgspec.ValidationError:
                continue
            setattr(parts, name, getattr(alone, name))
    return parts


def _payment(parts: wire.Parts, sender: str) -> Payment | None:
    payment = parts.payment_data
    if payment is UNSET:
        return None
    return Payment(
        payment.amount,
        payment.notice_number,
        sender if payment.payee is UNSET else payment.payee.fiscal_code,
        bool(payment.invalid_after_due_date),
    )


def _category(service_id: str, parts: wire.Parts, sender: str) -> Category:
    """The first that fits, in the contract's order (citizen-api §5)."""
    if parts.eu_covid_cert is not UNSET:
        return Category("EU_COVID_CERT")
    third = parts.third_party_data
    if third is not UNSET:
        if service_id != SEND:
            return Category("GENERIC")
        return Category(
            "PN",
            id=third.id,
            original_sender=third.original_sender,
            original_receipt_date=third.original_receipt_date,
            summary=third.summary,
            has_attachments=bool(third.has_attachments),
            has_remote_content=bool(third.has_remote_content),
        )
    payment = _payment(parts, sender)
    if payment is not None and payment.payee_fiscal_code:
        return Category("PAYMENT", rptId=payment.payee_fiscal_code + payment.notice_number)
    return Category("GENERIC")


def _has_precondition(parts: wire.Parts, *, is_read: bool) -> bool:
    third = parts.third_party_data
    if third is UNSET:
        return False
    level = third.has_precondition
    return level == "ALWAYS" or (level == "ONCE" and not is_read)
