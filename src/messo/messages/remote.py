"""Which remote content belongs to a message, and who may read it."""

from msgspec import UNSET

from messo.base.http import Problem
from messo.content import Promised, Remote
from messo.messages.citizen_view import Message


def remote_of(message: Message) -> Remote:
    """What to ask the institution for. `Problem` 400 for a message without remote content."""
    third = message.content.third_party_data
    if third is UNSET or third.configuration_id is UNSET:
        raise Problem(400, "Bad request", "This message has no remote content.", field="id")
    return Remote(
        message.line.id,
        message.line.fiscal_code,
        third.configuration_id,
        third.id,
        Promised(
            bool(third.has_remote_content),
            bool(third.has_attachments),
            message.content.subject,
            message.content.markdown,
        ),
    )
