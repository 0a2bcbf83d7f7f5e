"""Reminders of notices that are not paid, and of messages that nobody has opened, as promised.

Owns: reminders.reminder, .schedule. Runs the steps `reminders.plan` and `reminders.replan`, and
periodically `reminders.hand_over` and `reminders.forget`. Hands over to `notifications.remind`, and
has `payments.ask` look at a notice first. Others may call what is listed here.
"""

from messo.reminders.rules import Window
from messo.reminders.still_due import not_any_more

__all__ = ["Window", "not_any_more"]
