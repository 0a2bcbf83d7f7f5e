"""What happened to messages: written in the transaction of the fact itself.

Owns: events.log. Others may call: `append`, `of_message`.
"""

from messo.events.log import append, of_message

__all__ = ["append", "of_message"]
