"""The event that the sandbox's payment node sends of a payment."""

from typing import Any

from messo.base import clock
from messo.base.ids import new_id
from messo.payments import Notice
from messo.reminders.rules import ROME


def payment_event(notice: Notice, amount: int | None) -> dict[str, Any]:
    """What the node's events say of a payment just made; debtor and payer are left out."""
    number = new_id()
    return {
        "id": number,
        "version": "2",
        "complete": "true",
        "debtorPosition": {"modelType": "2", "noticeNumber": notice.number},
        "creditor": {"idPA": notice.payee},
        "paymentInfo": {
            "paymentDateTime": clock.now().astimezone(ROME).replace(tzinfo=None).isoformat(),
            "paymentToken": number.lower(),
            "amount": f"{(amount or 0) / 100:.2f}",
        },
    }
