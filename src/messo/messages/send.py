"""Sending one message, whoever asks: the gates in the contract's order, then it is kept.

The API calls it after the key, the console after the login, so that both refuse alike.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import UNSET

from messo.base.http import Problem
from messo.content import Configurations, Precondition
from messo.messages import checks, gates, wire
from messo.messages.advice import Advise
from messo.messages.guard import Guard
from messo.messages.submit import Accept
from messo.services import Permission, Sender, lacks

# One of these is needed to write at all.
MAY_WRITE = (Permission.MESSAGE_WRITE, Permission.LIMITED_MESSAGE_WRITE)
REFERENCE = re.compile(r"[\x21-\x7e]{1,64}\Z")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")


@dataclass(frozen=True)
class Sent:
    """What was kept. Under a key used before: the id of the first message, and not `is_first`."""

    message_id: str
    fiscal_code: str
    advice: Sequence[wire.Advice]
    is_first: bool


@dataclass(frozen=True)
class Checked:
    """A message that would be taken now, as it would be: defaults written out, text normalised."""

    message: wire.NewMessage
    fiscal_code: str
    advice: Sequence[wire.Advice]


@dataclass(frozen=True)
class Send:
    """The gates and the queue behind them. `check_digits`: of notice numbers."""

    configurations: Configurations
    guard: Guard
    accept: Accept
    advise: Advise
    check_digits: bool = True

    async def __call__(
        self,
        sender: Sender,
        body: bytes,
        *,
        in_path: str | None = None,
        reference: str | None = None,
        key: str | None = None,
    ) -> Sent:
        """Keep the message that `body` is (JSON of `wire.NewMessage`), or raise its `Problem`.

        `in_path`: the recipient, if not in the body. `reference`: the sender's own. `key`: the same
        key with the same message gives the first one's id, with another message 422.
        `QueueFullError` when too many wait; a database that is away raises what it raises.
        """
        message, fiscal_code, precondition = await self._pass(sender, body, in_path)
        _visible(reference, "X-Messo-Reference", REFERENCE, 64)
        _visible(key, "Idempotency-Key", _IDEMPOTENCY_KEY, 255)
        draft = self.accept.draft(sender, fiscal_code, message, reference, key, precondition)
        try:
            await self.guard.admit(
                sender, fiscal_code, draft.subject, draft.markdown, _own(message)
            )
        except Problem:
            # A repeated request of a message kept before the hold gets its first answer.
            before = await self.accept.kept_before(draft)
            if before is None:
                raise
            message_id = before
        else:
            message_id = await self.accept.keep(draft)
        advice = await self.advise(sender.institution_id, draft.markdown)
        return Sent(message_id, fiscal_code, advice, is_first=message_id == draft.id)

    async def check(self, sender: Sender, body: bytes) -> Checked:
        """Everything that needs no write, with the same `Problem`s; nothing is sent or counted.

        The mass-communication guard only speaks when a message is sent.
        """
        message, fiscal_code, _ = await self._pass(sender, body, None)
        advice = await self.advise(sender.institution_id, message.content.markdown)
        return Checked(message, fiscal_code, advice)

    async def _pass(
        self, sender: Sender, body: bytes, in_path: str | None
    ) -> tuple[wire.NewMessage, str, Precondition | None]:
        if sender.permissions.isdisjoint(MAY_WRITE):  # a key was asked before its body was read
            raise lacks(MAY_WRITE, sender.permissions)
        message = checks.parse_message(body, check_digits=self.check_digits)
        if in_path is not None:
            checks.path_fiscal_code(in_path)
        gates.check_permissions(sender, message)
        fiscal_code = gates.only_one_fiscal_code(in_path, message)
        precondition = await gates.check_third_party(sender, message, self.configurations)
        gates.check_recipient(sender, fiscal_code)
        gates.check_amount(sender, message)
        return message, fiscal_code, precondition


def _own(message: wire.NewMessage) -> str:
    """What makes the message one person's by nature: its payment notice, or its remote content."""
    content = message.content
    payment, third_party = content.payment_data, content.third_party_data
    if payment is not UNSET:
        payee = "" if payment.payee is UNSET else payment.payee.fiscal_code
        return f"{payee}{payment.notice_number}"
    if third_party is not UNSET and third_party.has_remote_content:
        return third_party.id
    return ""


def _visible(value: str | None, name: str, pattern: re.Pattern[str], most: int) -> None:
    if value is not None and not pattern.match(value):
        raise Problem(
            400,
            "Bad parameters",
            f"{name} must be 1 to {most} visible ASCII characters, without spaces.",
            field=name,
        )
