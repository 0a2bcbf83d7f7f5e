"""What institutions see of events: the feed's pages, and webhooks with what became of them."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from messo.base.wire import Text, Timestamp, Ulid

Kind = Literal["accepted", "processed", "rejected", "failed", "notified", "read", "paid"]
State = Literal["on", "off"]
Url = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2000,
        description="An https address.",
        examples=["https://hooks.example.org/messo"],
    ),
]
Kinds = Annotated[list[Kind], Meta(min_length=1, max_length=7)]
Cursor = Annotated[
    str,
    Meta(min_length=1, max_length=100, description="A place in a list. Pass it on as it is."),
]
# The number of an event in its service's feed.
Position = Annotated[int, Meta(ge=1)]


class EventData(Struct, omit_defaults=True):
    """What it happened to. `channel`: by which the citizen was told, `email` or `webhook` (devices)."""

    message_id: Ulid
    service_id: Text
    channel: Text | UnsetType = UNSET


class Event(Struct):
    """One fact. The `id` never changes, and stays the same when it is sent again."""

    id: Ulid
    type: Annotated[str, Meta(examples=["message.processed"])]
    position: Position
    at: Timestamp
    data: EventData


class EventPage(Struct):
    """Facts in the order of their positions. `next` is always given: ask from there the next time."""

    items: list[Event]
    next: Cursor
    has_more: bool


class NewWebhook(Struct, forbid_unknown_fields=True):
    """Which address is told of which kinds of events of a service. No kinds: of all."""

    service_id: Text
    url: Url
    kinds: Kinds | UnsetType = UNSET


class WebhookChange(Struct, forbid_unknown_fields=True):
    """What is not named stays. `on` also ends a pause after failures."""

    url: Url | UnsetType = UNSET
    kinds: Kinds | UnsetType = UNSET
    state: State | UnsetType = UNSET


class Health(Struct, omit_defaults=True):
    """How deliveries go. `waiting`: events to be tried again; `dead_letters`: given up."""

    waiting: int
    dead_letters: int
    last_success_at: Timestamp | UnsetType = UNSET
    last_failure_at: Timestamp | UnsetType = UNSET
    last_error: Text | UnsetType = UNSET
    failing_since: Timestamp | UnsetType = UNSET
    next_try_at: Timestamp | UnsetType = UNSET


class Webhook(Struct, omit_defaults=True):
    """One webhook. `secret` is shown when it is made and when it is replaced, and never again.

    But for a repeated creation: that shows it for 24 hours, unless it was replaced meanwhile.

    `stopped_why`: `asked` by the institution, `gone` after an answer 410, `failing` for 5 days.
    """

    id: Ulid
    service_id: Text
    url: Url
    kinds: Kinds
    state: State
    created_at: Timestamp
    stopped_at: Timestamp | UnsetType = UNSET
    stopped_why: Literal["asked", "gone", "failing"] | UnsetType = UNSET
    secret: Text | UnsetType = UNSET
    old_secret_until: Timestamp | UnsetType = UNSET
    health: Health | UnsetType = UNSET


class WebhookList(Struct):
    """All webhooks of the institution, oldest first."""

    items: list[Webhook]


class DeadLetter(Struct, omit_defaults=True):
    """An event that was given up. `error`: what the last try met."""

    event: Event
    attempts: int
    dead_at: Timestamp
    error: Text | UnsetType = UNSET


class DeadLetters(Struct, omit_defaults=True):
    """Dead letters in the order of their positions. No `next`: these are the last."""

    items: list[DeadLetter]
    next: Cursor | UnsetType = UNSET


class Replay(Struct, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    """One event, or all that were published within a stretch of the last 30 days."""

    event_id: Ulid | UnsetType = UNSET
    since: Timestamp | UnsetType = UNSET
    until: Timestamp | UnsetType = UNSET


class Replayed(Struct, omit_defaults=True):
    """How many events are sent again. `next_from`: there are more, ask again from this moment."""

    events: int
    next_from: Timestamp | UnsetType = UNSET


class Tested(Struct, omit_defaults=True):
    """What the address answered to a test event. No `status`: it did not answer."""

    delivered: bool
    ms: int
    status: int | UnsetType = UNSET
    error: Text | UnsetType = UNSET
