"""What every channel is. A channel is one folder, listed in `channels/__init__.py` and nowhere else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from messo.base.db import Connection

Wording = Literal["FULL", "ANONYMOUS"]
Language = Literal["it", "en"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One address that is to be told of one message.

    `address` stands for the address and is none: a keyed hash, or a device's id. `host`: through
    whom, where there are several that may fail each by itself; it tells nothing of the citizen.
    """

    message_id: str
    address: str
    wording: Wording
    language: Language
    host: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notice of one message to one address, with what its text is made of."""

    id: str
    message_id: str
    occasion: str
    address: str
    wording: Wording
    language: Language
    expires_at: datetime
    fiscal_code: str
    subject: str
    service_id: str
    service_name: str
    organization_name: str
    is_read: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """Taken over by the other side."""


@dataclass(frozen=True, slots=True)
class Again:
    """Not now. `after_s`: when the other side or our own bounds say so, else growing delays.

    `tried` is False where nothing was asked of the address itself: a bound of ours was full.
    """

    reason: str
    after_s: float | None = None
    tried: bool = True


@dataclass(frozen=True, slots=True)
class Gone:
    """The address itself is no more: it is switched off."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """This notice can never be sent, and its address is fine."""

    reason: str


Outcome = Sent | Again | Gone | Failed


class Channel(Protocol):
    """A way to tell citizens. `name` is its key in the tables; `at_once`: sends side by side.

    `reminds`: whether reminders go this way too.
    """

    name: str
    at_once: int
    reminds: bool

    async def choose(self, conn: Connection, bucket: int, ids: Sequence[str]) -> Sequence[Choice]:
        """Whom of these messages' recipients to tell, where, and in which words; in one statement.

        Only addresses that are open now and not suppressed. The messages are locked afterwards.
        """

    def room(self, host: str, /) -> tuple[int, float]:
        """How many more can be sent through this host now, and the seconds others better wait."""

    async def targets(
        self, conn: Connection, bucket: int, deliveries: Sequence[Delivery]
    ) -> Mapping[str, Any]:
        """By delivery id, what `send` needs; in one statement, just before sending.

        The citizen's preferences are asked again: who has opted out since is missing here.
        """

    async def send(self, delivery: Delivery, target: Any) -> Outcome:  # noqa: ANN401  its own type
        """Send one, in bounded time (20 s at most). Raises nothing that can be foreseen."""

    async def switch_off(
        self, conn: Connection, bucket: int, gone: Sequence[tuple[Delivery, str]]
    ) -> None:
        """These addresses are no more; the texts say why. In one statement."""

    async def erase(self, conn: Connection, fiscal_code: str, before: datetime) -> None:
        """Forget a citizen's addresses from before that moment."""
