"""Services as institutions give and get them. The OpenAPI document is made from these types."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from messo.base.wire import Text, Timestamp
from messo.login import FiscalCode
from messo.services.lifecycle import Publication, Status

MOST_RECIPIENTS = 1000  # authorized, of one service

Name = Annotated[str, Meta(min_length=1, max_length=500, description="Without line ends.")]
Description = Annotated[str, Meta(min_length=1, max_length=10_000, description="Markdown.")]
Member = Annotated[str, Meta(min_length=1, max_length=4_000)]
Cidr = Annotated[
    str,
    Meta(
        max_length=18,
        description="An IPv4 network, or an address.",
        examples=["192.0.2.0/24"],
    ),
]
Amount = Annotated[int, Meta(ge=0, le=9_999_999_999, description="Euro cents.")]
Scope = Literal["NATIONAL", "LOCAL"]
KeyType = Literal["primary", "secondary"]


class OrganizationGiven(Struct):
    """What an institution says of itself. Its name and fiscal code are the ones we have of it."""

    name: Name | UnsetType = UNSET
    fiscal_code: Annotated[str, Meta(pattern=r"^[0-9]{11}\Z")] | UnsetType = UNSET
    department_name: Name | UnsetType = UNSET


class _Contacts(Struct, kw_only=True):
    privacy_url: Member | UnsetType = UNSET
    tos_url: Member | UnsetType = UNSET
    web_url: Member | UnsetType = UNSET
    support_url: Member | UnsetType = UNSET
    app_ios: Member | UnsetType = UNSET
    app_android: Member | UnsetType = UNSET
    email: Member | UnsetType = UNSET
    pec: Member | UnsetType = UNSET
    phone: Member | UnsetType = UNSET
    address: Member | UnsetType = UNSET
    cta: (
        Annotated[Member, Meta(description="Buttons, written as a message begins with them.")]
        | UnsetType
    ) = UNSET
    token_name: Member | UnsetType = UNSET


class MetadataGiven(_Contacts, kw_only=True):
    """How a service is reached. For its approval: `privacy_url`, and `email`, `pec`, `phone` or `support_url`."""

    scope: Scope
    topic_id: Annotated[int, Meta(description="One of `GET /manage/services/topics`.")]


class ServicePayload(Struct, kw_only=True):
    """All of a service: what is left out is not kept."""

    name: Name
    description: Description
    organization: OrganizationGiven | UnsetType = UNSET
    require_secure_channel: bool = False
    authorized_recipients: Annotated[list[FiscalCode], Meta(max_length=MOST_RECIPIENTS)] = []
    authorized_cidrs: list[Cidr] = []
    max_allowed_payment_amount: Amount = 0
    suitable_for_minors: bool | UnsetType = UNSET
    metadata: MetadataGiven


class Organization(Struct):
    """Who offers a service."""

    name: Text
    fiscal_code: str
    department_name: Text | UnsetType = UNSET


class TopicName(Struct):
    """What a service is about."""

    id: int
    name: str


class Metadata(_Contacts, kw_only=True):
    """How a service is reached; `group_id`: whose manage key it is for, besides the institution's."""

    scope: Scope
    topic: TopicName
    group_id: str | UnsetType = UNSET


class _Shown(Struct, kw_only=True):
    id: str
    last_update: Timestamp
    name: str
    description: str
    organization: Organization
    require_secure_channel: bool
    authorized_recipients: list[str]
    authorized_cidrs: list[str]
    max_allowed_payment_amount: int
    suitable_for_minors: bool | UnsetType = UNSET
    metadata: Metadata


class LifecycleStatus(Struct):
    """How far it is; `reason` only of what is rejected."""

    value: Status
    reason: str | UnsetType = UNSET


class ServiceLifecycle(_Shown, kw_only=True):
    """The version of a service that its institution works at."""

    status: LifecycleStatus


class ServicePublication(_Shown, kw_only=True):
    """The version of a service that was approved last and released: messages and citizens see it."""

    status: Publication


class HistoryStatus(Struct):
    """What became of the working version, or of the publication."""

    kind: Literal["lifecycle", "publication"]
    value: Status | Publication
    reason: str | UnsetType = UNSET


class HistoryItem(_Shown, kw_only=True):
    """A service as it was after a change; `last_update` is when."""

    status: HistoryStatus


class History(Struct, rename={"continuation_token": "continuationToken"}):
    """A page; ask for the next with `continuationToken`, where there is one."""

    items: list[HistoryItem]
    continuation_token: str | UnsetType = UNSET


class Pagination(Struct):
    """`count`: how many are in this page."""

    offset: int
    limit: int
    count: int


class ServiceList(Struct):
    """A page of an institution's services, deleted ones too; the oldest first."""

    value: list[ServiceLifecycle]
    pagination: Pagination


class Topics(Struct):
    """What services can be about."""

    topics: list[TopicName]


class KeyPair(Struct):
    """Two keys, equally good, so that one can be replaced while the other is used."""

    primary_key: str
    secondary_key: str


class ReviewRequest(Struct):
    """`auto_publish`: release it once it is approved. Otherwise what is published stays until then."""

    auto_publish: bool
