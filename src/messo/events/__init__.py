"""What happened to messages: written in the transaction of the fact itself, told to institutions.

Owns: events.log, where facts wait; events.published, counter and publisher, where they have their
positions; figure (figures.py); webhook, webhook_cursor and webhook_retry. Steps: `events.publish`
(publish.py) and `events.deliver` (hand_on.py), both outward; `events.forget` (upkeep.py), periodic.
Others may call: `append`, `of_message`, `forget`, and figures.py's `per_day` and `totals`.
"""

from messo.events.log import append, forget, of_message

__all__ = ["append", "forget", "of_message"]
