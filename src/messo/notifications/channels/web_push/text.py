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
# Of reminders, by kind: the title, which tells nothing of whom or what, and what to do. A notice is
# reminded of whether or not its message was read.
_READ_IT: dict[Language, str] = {
    "it": "Non l'hai ancora letto: ti aspetta nella tua casella.",
    "en": "You have not read it yet: it waits in your inbox.",
}
_PAY_IT: dict[Language, tuple[str, str]] = {
    "it": ("Entra nella tua casella per pagarlo.", "Non l'hai ancora letto: lo trovi in casella."),
    "en": ("Open your inbox to pay it.", "You have not read it yet: it is in your inbox."),
}
_TITLES: dict[str, dict[Language, str]] = {
    "due": {"it": "Hai un avviso da pagare", "en": "You have a notice to pay"},
    "undated": {"it": "Hai un avviso da pagare", "en": "You have a notice to pay"},
    "last": {"it": "Un avviso scade domani", "en": "A notice expires tomorrow"},
    "unread": {"it": "Un messaggio ti aspetta", "en": "A message waits for you"},
}


def notice(delivery: Delivery, wording: Wording) -> bytes:
    """The JSON that the service worker shows: title, body, language, and the message to open."""
    kind = delivery.occasion.partition(":")[0]
    if kind in _TITLES:
        title, body = _TITLES[kind][delivery.language], _what_to_do(delivery, kind)
        if wording == "FULL":
            body = on_one_line(f"{delivery.organization_name}: {delivery.subject}", BODY)
    elif wording == "FULL":
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


def _what_to_do(delivery: Delivery, kind: str) -> str:
    if kind == "unread":
        return _READ_IT[delivery.language]
    when_read, unread = _PAY_IT[delivery.language]
    return when_read if delivery.is_read else unread
