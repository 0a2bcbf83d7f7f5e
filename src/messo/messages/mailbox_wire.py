"""What comes in and goes out of the citizen's message routes. The OpenAPI document uses these."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from messo.base.wire import Timestamp
from messo.messages.wire import StoredContent


class Category(Struct, frozen=True):
    """What a message is about, for a client's icon. PAYMENT carries `rptId`, PN the rest."""

    tag: Literal["PAYMENT", "LEGAL_MESSAGE", "EU_COVID_CERT", "GENERIC", "PN"]
    rptId: str | UnsetType = UNSET  # noqa: N815  the wire's own spelling
    id: str | UnsetType = UNSET
    original_sender: str | UnsetType = UNSET
    original_receipt_date: str | UnsetType = UNSET
    summary: str | UnsetType = UNSET
    has_attachments: bool | UnsetType = UNSET
    has_remote_content: bool | UnsetType = UNSET


class Item(Struct, kw_only=True):
    """One message of a list. All but the first five are there with `enrich_result_data`."""

    id: str
    fiscal_code: str
    created_at: Timestamp
    sender_service_id: str
    time_to_live: Annotated[int, Meta(description="Seconds.")]
    service_name: str | UnsetType = UNSET
    organization_name: str | UnsetType = UNSET
    organization_fiscal_code: str | UnsetType = UNSET
    message_title: str | UnsetType = UNSET
    is_read: bool | UnsetType = UNSET
    is_archived: bool | UnsetType = UNSET
    category: Category | UnsetType = UNSET
    has_attachments: bool | UnsetType = UNSET
    has_remote_content: bool | UnsetType = UNSET
    has_precondition: (
        Annotated[bool, Meta(description="Something must be accepted before it opens.")] | UnsetType
    ) = UNSET


class Items(Struct):
    """A page. `prev` is its first id, `next` its last one if older messages follow."""

    items: list[Item]
    prev: str | UnsetType = UNSET
    next: str | UnsetType = UNSET


class CitizenMessage(Struct, kw_only=True):
    """One message with its content; the members after it are there with `public_message`."""

    id: str
    fiscal_code: str
    created_at: Timestamp
    sender_service_id: str
    time_to_live: Annotated[int, Meta(description="Seconds.")]
    content: StoredContent
    category: Category | UnsetType = UNSET
    is_read: bool | UnsetType = UNSET
    is_archived: bool | UnsetType = UNSET
    message_title: str | UnsetType = UNSET
    service_name: str | UnsetType = UNSET
    organization_name: str | UnsetType = UNSET
    organization_fiscal_code: str | UnsetType = UNSET


class Reading(Struct, tag_field="change_type", tag="reading"):
    """Read, for good."""

    is_read: Literal[True]


class Archiving(Struct, tag_field="change_type", tag="archiving"):
    """Into the archive or back; whether it is read stays as it is."""

    is_archived: bool


class Bulk(Struct, tag_field="change_type", tag="bulk"):
    """Both at once. Without `is_read` that stays as it is."""

    is_archived: bool
    is_read: Literal[True] | UnsetType = UNSET


class Status(Struct):
    """How a message stands after the change."""

    is_read: bool
    is_archived: bool


StatusChange = Reading | Archiving | Bulk
status_change: "msgspec.json.Decoder[StatusChange]" = msgspec.json.Decoder(StatusChange)
