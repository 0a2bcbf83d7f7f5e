"""Payment events as the node writes them, with people in them that we must not keep in clear."""

import json
from typing import Any

from messo.payments import Notice

DEBTOR = "RSSMRA80A01Y123H"
DEBTOR_NAME = "Mario Rossi"


def event(notice: Notice, **info: Any) -> dict[str, Any]:
    """`info` replaces members of `paymentInfo`."""
    return {
        "id": f"E{notice.number}",
        "version": "2",
        "complete": "false",
        "missingInfo": ["paymentInfo.primaryCiIncurredFee"],
        "debtorPosition": {
            "modelType": "2",
            "noticeNumber": notice.number,
            "iuv": notice.number[1:],
        },
        "creditor": {"idPA": notice.payee, "companyName": "Comune di Anna"},
        "psp": {"idPsp": "BPPIITRRXXX", "psp": "Poste"},
        "debtor": {"fullName": DEBTOR_NAME, "entityUniqueIdentifierValue": DEBTOR},
        "payer": {"fullName": DEBTOR_NAME, "entityUniqueIdentifierValue": DEBTOR},
        "paymentInfo": {
            "paymentDateTime": "2026-03-01T10:30:00.123456789",
            "amount": "123.45",
            "paymentToken": f"T{notice.number}",
            "remittanceInformation": "TARI 2030",
            **info,
        },
        "transferList": [{"fiscalCodePA": notice.payee, "amount": "123.45"}],
    }


def broken(mark: str) -> dict[str, Any]:
    """An event about a notice whose number is none; `mark` makes it another one."""
    return {
        "debtorPosition": {"noticeNumber": mark},
        "creditor": {"idPA": "00000000001"},
        "debtor": {"fullName": DEBTOR_NAME, "entityUniqueIdentifierValue": DEBTOR},
    }


def lines(*events: Any) -> bytes:
    """One on each line; what is bytes already stays as it is."""
    written = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in events]
    return b"\n".join(written) + b"\n"
