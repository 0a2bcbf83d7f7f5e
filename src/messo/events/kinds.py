"""The kinds of facts, and which of them institutions are told."""

# One message's facts in the order in which they can only have happened, whatever clocks say.
RANK = {
    "accepted": 0,
    "failed": 1,  # a failed message may be replayed, and is decided then
    "processed": 2,
    "rejected": 2,
    "notified": 3,
    "read": 4,
    "paid": 5,
    "reported": 6,
}
# What the feed and webhooks carry. Reports are for the one message's life.
TOLD = ("accepted", "processed", "rejected", "failed", "notified", "read", "paid")


def type_of(kind: str) -> str:
    """The kind as the `type` of an event on the wire."""
    return f"message.{kind}"
