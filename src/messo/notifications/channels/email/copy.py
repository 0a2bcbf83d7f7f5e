"""The mail that says a message has come: its first words, and the way to the whole of it.

A copy never holds the message itself, its attachments or its payment, and asks for no answer.
"""

from dataclasses import dataclass
from email.headerregistry import Address

from messo.messages.characters import on_one_line
from messo.notifications.channels.channel import Delivery
from messo.notifications.channels.email.preview import preview, without_fiscal_codes
from messo.notifications.mail import Mail

_NAME = 200  # characters of an institution's or a service's name


@dataclass(frozen=True, slots=True)
class Place:
    """Where copies come from and lead to: `sender` is the From header, `public_url` our pages."""

    sender: Address
    public_url: str


def copy_of(
    delivery: Delivery, markdown: str, recipient: str, place: Place, unsubscribe_token: str
) -> Mail:
    """The copy for one delivery. `markdown`: the message's body, of which a preview is shown.

    Mailboxes offer a button from its headers: RFC 2369 (where to), RFC 8058 (with one click).
    """
    language = delivery.language
    subject = without_fiscal_codes(on_one_line(delivery.subject, _NAME), language)
    unsubscribe = f"{place.public_url}/unsubscribe?t={unsubscribe_token}"
    return Mail(
        id=delivery.id,
        sender=place.sender,
        recipient=recipient,
        subject=subject or ("Nuovo messaggio" if language == "it" else "New message"),
        template="copy",
        language=language,
        values={
            "subject": subject,
            "organization": on_one_line(delivery.organization_name, _NAME),
            "service": on_one_line(delivery.service_name, _NAME),
            "preview": preview(markdown, language),
            "message_url": f"{place.public_url}/messages/{delivery.message_id}",
            "preferences_url": f"{place.public_url}/preferences",
            "unsubscribe_url": unsubscribe,
        },
        headers={
            "List-Unsubscribe": f"<{unsubscribe}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
        package=__package__,
    )
