"""A message's payment notice as its reader sees it: what the ledger knows, in words."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from messo.base import clock
from messo.inbox.visit import Visit
from messo.messages.mailbox import Line
from messo.payments import Known, Notice

# `late`: its message says that it cannot be paid after the due date, which is over.
State = Literal["unpaid", "in_progress", "paid", "expired", "cancelled", "unknown", "late"]
WAIT_S = 3.0  # for who opens the notice itself, to see what is to be paid now
_FRESH = timedelta(minutes=2)
_LASTS = timedelta(minutes=35)  # a payment under way, at the most
_NOT_KNOWN = {"PAA_PAGAMENTO_SCONOSCIUTO", "PPT_DOMINIO_SCONOSCIUTO"}


@dataclass(frozen=True)
class PaymentShown:
    """What is shown of a notice. `amount` in euro cents, `due` a day in Rome.

    `asked_before`: the amount that the message named, where it is another one now. `seen_at`: when
    somebody last said how it stands; None if nobody has. `is_fresh`: just now. `is_unknown_to_node`:
    it was asked, and does not find this notice.
    """

    notice: Notice
    state: State
    amount: int
    asked_before: int | None
    due: date | None
    days_left: int | None
    payee_name: str
    reason: str
    paid_at: datetime | None
    receipt: str
    seen_at: datetime | None
    is_fresh: bool
    is_unknown_to_node: bool

    @property
    def can_be_paid(self) -> bool:
        """Whether it makes sense to show how."""
        is_whole = Notice.of_rpt_id(self.notice.rpt_id) is not None  # the sender may be gone
        return is_whole and self.amount > 0 and self.state in {"unpaid", "unknown"}


async def look(visit: Visit, line: Line, within_s: float, *, again: bool = False) -> PaymentShown:
    """The notice of this message, after waiting so long for the payment node at the most.

    No transaction may be open. `again`: ask the node in any case.
    """
    assert line.payment is not None, "this message has no notice"  # noqa: S101
    notice = Notice(line.payment.payee_fiscal_code, line.payment.notice_number)
    return shown(line, notice, await visit.site.live.look(notice, within_s, again=again))


def shown(line: Line, notice: Notice, known: Known | None) -> PaymentShown:
    """What the message and the ledger say together; without the ledger the message alone."""
    payment = line.payment
    assert payment is not None, "this message has no notice"  # noqa: S101
    now = clock.now()
    due = known.due_date if known else None
    if due is None and line.due_date is not None:
        due = clock.day_in_rome(line.due_date)
    amount = known.amount if known and known.amount is not None else payment.amount
    state: State = known.state if known else "unknown"
    if known and state == "in_progress" and now - known.observed_at > _LASTS:
        state = "unknown"  # however it ended, nobody has told
    days_left = (due - clock.day_in_rome(now)).days if due else None
    is_over = days_left is not None and days_left < 0
    if state in {"unpaid", "unknown"} and payment.invalid_after_due_date and is_over:
        state = "late"
    seen_at = known.observed_at if known and known.source != "message" else None
    return PaymentShown(
        notice=notice,
        state=state,
        amount=amount,
        asked_before=payment.amount if amount != payment.amount else None,
        due=due,
        days_left=days_left,
        payee_name=(known.payee_name if known else None) or _payee_of(line),
        reason=(known.reason if known else None) or line.subject,
        paid_at=known.paid_at if known else None,
        receipt=(known.receipt if known else None) or "",
        seen_at=seen_at,
        is_fresh=seen_at is not None and now - seen_at < _FRESH,
        is_unknown_to_node=known is not None and known.asked_code in _NOT_KNOWN,
    )


def _payee_of(line: Line) -> str:
    """The sender's name only where the sender is paid; else all that is known is the code."""
    payee = line.payment.payee_fiscal_code if line.payment else ""
    return line.organization_name if payee == line.organization_fiscal_code else payee
