"""Messages: accepting, deciding, and what the sender may see.

Owns: messages.message, .content, .sender, .idempotency, .guard_recipient, .guard_hold,
.guard_allowance. Runs the step `messages.process`.
Writes to others' tables only by their functions: `work.item` (queue), `events.log` (append),
the audit log (record).
"""
