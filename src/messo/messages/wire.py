"""What comes in and goes out of the message routes. The OpenAPI document is made from these types.

Bounds that JSON Schema and the driver count differently (lengths in UTF-16 units) are stated here
for readers and enforced in `checks.py`.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from messo.base.wire import Text, Timestamp, Ulid
from messo.content import Precondition
from messo.login import FiscalCode
from messo.recipients.wire import Language

OrganizationFiscalCode = Annotated[
    str, Meta(pattern=r"^[0-9]{11}\Z", description="An organisation's fiscal code: 11 digits.")
]


class Payee(Struct):
    """To whom the payment goes, when it is not the sender."""

    fiscal_code: OrganizationFiscalCode


class PaymentData(Struct):
    """A pagoPA payment notice."""

    amount: Annotated[int, Meta(ge=1, le=9_999_999_999, description="Euro cents.")]
    notice_number: Annotated[str, Meta(pattern=r"^[0123][0-9]{17}\Z", description="18 digits.")]
    invalid_after_due_date: bool | None = False
    payee: Payee | UnsetType = UNSET


class ThirdPartyData(Struct):
    """Content that stays with the institution and is fetched when the citizen reads."""

    id: Text
    configuration_id: Ulid | UnsetType = UNSET
    has_remote_content: bool | None = False
    has_attachments: bool | None = False
    has_precondition: Precondition | UnsetType = UNSET
    original_sender: Text | UnsetType = UNSET
    original_receipt_date: Timestamp | UnsetType = UNSET
    summary: Text | UnsetType = UNSET


class EUCovidCert(Struct):
    """Kept for the contract's sake; needs a permission of its own."""

    auth_code: str


class PrescriptionData(Struct):
    """Kept for the contract's sake; not given back."""

    nre: Annotated[str, Meta(extra_json_schema={"minLength": 15, "maxLength": 15})]
    iup: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": 16})] | UnsetType = (
        UNSET
    )
    prescriber_fiscal_code: FiscalCode | UnsetType = UNSET


class LegalData(Struct):
    """Kept for the contract's sake; not given back."""

    sender_mail_from: Text
    message_unique_id: Text
    has_attachment: bool | None = False
    original_message_url: Text | UnsetType = UNSET
    pec_server_service_id: Text | UnsetType = UNSET


class Parts(Struct):
    """What a message carries beside its text. Any combination."""

    require_secure_channels: bool | UnsetType = UNSET
    due_date: Timestamp | UnsetType = UNSET
    payment_data: PaymentData | UnsetType = UNSET
    third_party_data: ThirdPartyData | UnsetType = UNSET
    eu_covid_cert: EUCovidCert | UnsetType = UNSET
    prescription_data: PrescriptionData | UnsetType = UNSET
    legal_data: LegalData | UnsetType = UNSET


class Content(Parts, kw_only=True):
    """Text and parts. Members not listed here are dropped."""

    subject: Annotated[
        str,
        Meta(
            description="10 to 120 characters (UTF-16 units).",
            extra_json_schema={"minLength": 10, "maxLength": 120},
        ),
    ]
    markdown: Annotated[
        str,
        Meta(
            description="80 to 10,000 characters (UTF-16 units), front matter included.",
            extra_json_schema={"minLength": 80, "maxLength": 10_000},
        ),
    ]


class DefaultAddresses(Struct):
    """Checked and then ignored: addresses are the citizen's business."""

    email: Annotated[str, Meta(description="An e-mail address.")] | UnsetType = UNSET


class NewMessage(Struct):
    """A message to one person. The fiscal code stands here or in the path, never in both."""

    content: Content
    fiscal_code: FiscalCode | UnsetType = UNSET
    time_to_live: Annotated[int, Meta(ge=3600, le=604_800, description="Seconds.")] | None = 3600
    feature_level_type: Literal["STANDARD", "ADVANCED"] | None = "STANDARD"
    default_addresses: DefaultAddresses | UnsetType = UNSET


class Advice(Struct):
    """Something that will not serve the message's readers, at a place like `content.subject`."""

    rule: str
    place: str
    reason: str


class CreatedMessage(Struct):
    """The answer to a message that is kept. `advice` is there only when there is some."""

    id: Ulid
    advice: list[Advice] | UnsetType = UNSET


class StoredContent(Struct, omit_defaults=True):
    """Content as given back: what was accepted, with defaults and payee filled in."""

    subject: str
    markdown: str
    require_secure_channels: bool | UnsetType = UNSET
    due_date: str | UnsetType = UNSET
    payment_data: PaymentData | UnsetType = UNSET
    third_party_data: ThirdPartyData | UnsetType = UNSET
    eu_covid_cert: EUCovidCert | UnsetType = UNSET


class MessageBody(Struct):
    """A message as its sender sees it. `content` is there once it is PROCESSED."""

    id: str
    fiscal_code: str
    created_at: Timestamp
    sender_service_id: str
    time_to_live: int
    feature_level_type: Literal["STANDARD", "ADVANCED"]
    content: StoredContent | UnsetType = UNSET


NotificationState = Literal["SENT", "THROTTLED", "EXPIRED", "FAILED"]
Notification = Annotated[
    dict[str, NotificationState],
    Meta(
        description="What came of telling the citizen: `email` for copies, `webhook` for devices. "
        "A way that they did not choose is absent."
    ),
]


class PaymentSeen(Struct):
    """What is known of the notice, and who said so when; amount (euro cents) as last seen."""

    state: Literal["unpaid", "in_progress", "paid", "expired", "cancelled", "unknown"]
    observed_at: Timestamp | UnsetType = UNSET
    source: Literal["node", "event"] | UnsetType = UNSET
    amount: int | UnsetType = UNSET
    due_date: str | UnsetType = UNSET
    paid_at: Timestamp | UnsetType = UNSET
    receipt: str | UnsetType = UNSET


ReadStatus = Literal["READ", "UNREAD", "UNAVAILABLE"]


class MessageStatus(Struct):
    """A message and what became of it. `payment` says more than `payment_status`."""

    message: MessageBody
    status: Literal["ACCEPTED", "THROTTLED", "PROCESSED", "REJECTED", "FAILED"]
    notification: Notification | UnsetType = UNSET
    read_status: ReadStatus | UnsetType = UNSET
    payment_status: Literal["PAID", "NOT_PAID"] | UnsetType = UNSET
    payment: PaymentSeen | UnsetType = UNSET


class Recipient(Struct):
    """Whom a profile check asks about."""

    fiscal_code: FiscalCode


class LimitedProfile(Struct):
    """Whether the asking service may write to this citizen."""

    sender_allowed: bool
    preferred_languages: list[Language] | UnsetType = UNSET


class LifeEvent(Struct):
    """One thing that happened to a message. `channel`: how the citizen was told."""

    kind: str
    at: Timestamp
    channel: str | UnsetType = UNSET


class MessageLife(Struct):
    """A message's whole life, for its sender."""

    id: str
    status: Literal["ACCEPTED", "THROTTLED", "PROCESSED", "REJECTED", "FAILED"]
    created_at: Timestamp
    events: list[LifeEvent]
    rejection_reason: Literal["USER_NOT_FOUND", "SERVICE_NOT_ALLOWED"] | UnsetType = UNSET
    decided_at: Timestamp | UnsetType = UNSET
    reference: str | UnsetType = UNSET


class FoundMessage(Struct):
    """One line of a search by the sender's own reference."""

    id: str
    status: Literal["ACCEPTED", "THROTTLED", "PROCESSED", "REJECTED", "FAILED"]
    created_at: Timestamp
    reference: str


class FoundMessages(Struct):
    """Messages that carry a reference, newest first, at most 100."""

    items: list[FoundMessage]


class ReportedMessage(Struct):
    """A message of which its recipient says that it was not meant for them."""

    id: str
    reported_at: Timestamp


class ReportedMessages(Struct):
    """Reported messages of one service, newest report first, at most 100."""

    items: list[ReportedMessage]


new_message = msgspec.json.Decoder(NewMessage)
recipient = msgspec.json.Decoder(Recipient)
stored_parts = msgspec.json.Decoder(Parts)
notification = msgspec.json.Decoder(Notification)
