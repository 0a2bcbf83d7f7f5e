"""Payment notices: what is known of each, who is asked, and how it is shown and paid.

Owns: payments.notice (the ledger), .carrier, .dead_letter. Runs the steps `payments.watch` and
`payments.paid`, the outward step `payments.ask`, and periodically `payments.sweep` and
`payments.forget`. Has `reminders.plan` plan anew when what it knows has changed.
Others may call what is listed here.
"""

from messo.payments.ledger import Known
from messo.payments.live import Live
from messo.payments.node import Node, make_outbound
from messo.payments.notices import Notice

__all__ = ["Known", "Live", "Node", "Notice", "make_outbound"]
