"""What the payment node answers, and what citizens' clients are answered in turn."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

Category = Literal[
    "PAYMENT_DUPLICATED",
    "PAYMENT_ONGOING",
    "PAYMENT_EXPIRED",
    "PAYMENT_UNAVAILABLE",
    "PAYMENT_UNKNOWN",
    "DOMAIN_UNKNOWN",
    "PAYMENT_CANCELED",
    "GENERIC_ERROR",
    "PAYMENT_DATA_ERROR",
]
RPT_ID = r"^([a-zA-Z\d]{1,35}|RF\d{2}[a-zA-Z\d]{1,21})\Z"
RptId = Annotated[str, Meta(pattern=RPT_ID, description="Payee's fiscal code and notice number.")]


class PaymentInfo(Struct):
    """A notice that can be paid, as the payment node sees it now."""

    amount: Annotated[int, Meta(ge=0, le=99_999_999_999, description="Euro cents.")]
    rptId: str | UnsetType = UNSET  # noqa: N815  the contract's name
    paFiscalCode: str | UnsetType = UNSET  # noqa: N815
    paName: str | UnsetType = UNSET  # noqa: N815
    description: str | UnsetType = UNSET
    dueDate: (  # noqa: N815
        Annotated[str, Meta(description="A day, 2030-01-31.")] | UnsetType
    ) = UNSET


class PaymentFault(Struct, omit_defaults=True):
    """Why a notice cannot be paid now."""

    faultCodeCategory: Category  # noqa: N815
    faultCodeDetail: str  # noqa: N815
    title: str | UnsetType = UNSET


payment_info = msgspec.json.Decoder(PaymentInfo)
payment_fault = msgspec.json.Decoder(PaymentFault)
