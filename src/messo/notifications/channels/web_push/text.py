"""What a notice says: in full or without its content, in Italian or English.

Bounds are what platforms show of a notice before they cut it themselves.
"""

import msgspec

from messo.messages.characters import on_one_line
from messo.notifications.channels.channel import Delivery, Language, Wording

TITLE, BODY = 50, 150  # characters

_ANONYMOUS: dict[Language, tuple[str, str]] = {
    "it": ("Hai un nuovo messaggio", "Entra nella tua casella per leggerlo."),
    "en": ("You have a new message", "Open your inbox to read it."),
}


def notice(delivery: Delivery, wording: Wording) -> bytes:
    """The JSON that the service worker shows: title, body, language, and the message to open."""
    if wording == "FULL":
        title = on_one_line(delivery.organization_name, TITLE)
        body = on_one_line(delivery.subject, BODY)
    else:
        title, body = _ANONYMOUS[delivery.language]
    return msgspec.json.encode(
        {
            "title": title,
            "body": body,
            "lang": delivery.language,
            "message_id": delivery.message_id,
        }
    )
