"""The registry of channels: the one place that lists them."""

from email.utils import parseaddr

from messo.base.crypto import Secrets
from messo.base.mailer import Mailer
from messo.base.outbound import Outbound
from messo.notifications.channels.channel import (
    Again,
    Channel,
    Choice,
    Delivery,
    Failed,
    Gone,
    Language,
    Outcome,
    Sent,
    Wording,
)
from messo.notifications.channels.email import suppression as mail
from messo.notifications.channels.email import unsubscribe
from messo.notifications.channels.email.bounce_intake import BounceMailbox, BounceRoutes
from messo.notifications.channels.email.channel import Email
from messo.notifications.channels.web_push import devices
from messo.notifications.channels.web_push.channel import WebPush
from messo.settings import Settings

__all__ = [
    "Again",
    "BounceMailbox",
    "BounceRoutes",
    "Channel",
    "Choice",
    "Delivery",
    "Failed",
    "Gone",
    "Language",
    "Outcome",
    "Sent",
    "Wording",
    "devices",
    "mail",
    "make_channels",
    "unsubscribe",
]


def make_channels(
    settings: Settings, secrets: Secrets, outbound: Outbound, mailer: Mailer | None
) -> list[Channel]:
    """Every channel of this installation."""
    return [
        WebPush(outbound, secrets, contact=settings.contact or parseaddr(settings.mail_from)[1]),
        Email(
            mailer,
            secrets,
            sender=settings.mail_from,
            return_path=settings.mail_return_path,
            public_url=settings.public_url,
            sandbox_fiscal_code=settings.sandbox_fiscal_code,
            excluded_services=settings.mail_excluded_services,
        ),
    ]
