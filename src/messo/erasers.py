"""Erasing a citizen: what the rooms above the citizens' own forget."""

from collections.abc import Sequence

from messo.base.crypto import Secrets
from messo.messages import mailbox
from messo.notifications import Channel, upkeep
from messo.payments import upkeep as payments_upkeep
from messo.recipients.erase import Eraser
from messo.reminders import upkeep as reminders_upkeep
from messo.sso import upkeep as sso_upkeep


def erasers(channels: Sequence[Channel], secrets: Secrets) -> list[Eraser]:
    """What rooms above the citizens' own forget, when one is erased."""
    return [
        upkeep.eraser(channels),
        payments_upkeep.erase,
        reminders_upkeep.erase,
        sso_upkeep.eraser(secrets),
        mailbox.erase,
    ]
