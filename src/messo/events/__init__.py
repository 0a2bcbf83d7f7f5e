"""What happened to messages: written in the transaction of the fact itself.

Owns: events.log. Others may call: `append`, `of_message`, `forget`.
"""

from messo.events.log import append, forget, of_message

__all__ = ["append", "forget", "of_message"]
