"""What citizens' clients get of remote content. The OpenAPI document uses these types."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from messo.content import Detail
from messo.messages.mailbox_wire import CitizenMessage


class RemoteAttachment(Struct):
    """One attachment. `url` is the tail of its own address here; `size` in bytes is Messo's own."""

    id: str
    url: str
    name: str | UnsetType = UNSET
    content_type: str | UnsetType = UNSET
    category: str = "DOCUMENT"
    size: int | UnsetType = UNSET


class RemoteContent(Struct):
    """What the institution serves. `details` has at least `subject` and `markdown`."""

    attachments: list[RemoteAttachment]
    details: Annotated[
        dict[str, Any], Meta(description="`subject`, `markdown`, and whatever else was served.")
    ]


class RemoteMessage(CitizenMessage, kw_only=True):
    """A message, and beside it what its institution serves now."""

    third_party_message: RemoteContent


def remote_content(detail: Detail) -> RemoteContent:
    """What was fetched, as clients get it."""
    attachments = [
        RemoteAttachment(
            one.id,
            one.url,
            one.name or UNSET,
            one.content_type or UNSET,
            one.category or "DOCUMENT",
            UNSET if one.size is None else one.size,
        )
        for one in detail.attachments
    ]
    return RemoteContent(attachments, detail.details)
