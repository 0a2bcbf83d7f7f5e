"""Telling citizens of their messages: who is told by which channel, in which words, and what came of it.

Owns: notifications.channel, .delivery, .suppression, .letter, and the tables of the channels.
Runs the steps `notifications.dispatch` and `notifications.remind`, one `notifications.deliver.<channel>` for each channel, and
`notifications.letter`.
Others may call what is listed here, and what the registry of channels lists for pages.
"""

from messo.notifications.channels import Channel, make_channels
from messo.notifications.dispatch import DISPATCH
from messo.notifications.letters import Letters

__all__ = ["DISPATCH", "Channel", "Letters", "make_channels"]
