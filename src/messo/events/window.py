"""A window: what one webhook is to be sent at a time, and the sending of it.

Events of one message go one after the other, each after the one before was taken; several
messages' events go side by side.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest

from messo.base.outbound import Limits, Outbound
from messo.events.post import LIMITS, Answered, post
from messo.events.sign import SigningSecret

SIDE_BY_SIDE = 8
# Of a webhook that failed the last time: many that hang must leave connections to the others.
_PROBING = 2
# Nothing is begun later than this, so that with the last answer's 10 s the lease of 30 s holds.
_BEGIN_WITHIN_S = 12


@dataclass(frozen=True, slots=True)
class Item:
    """One event to send. `attempts` and `since`: of one that waits in webhook_retry."""

    position: int
    event_id: str
    message_id: str
    published_at: datetime
    body: bytes
    attempts: int = 0
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """One webhook's share of work, its own until `lease`.

    `items` are new, up to the position `end`; `again` were tried before. `behind` are new too, but
    an earlier event of their message waits. `void` are positions of webhook_retry whose event may
    not be told any more.
    """

    webhook_id: str
    institution_id: str
    email: str
    url: str
    secrets: Sequence[SigningSecret]
    lease: datetime
    start: int
    end: int
    failures: int
    failing_since: datetime | None
    failure_at: datetime | None = None
    items: Sequence[Item] = ()
    again: Sequence[Item] = ()
    behind: Sequence[Item] = ()
    void: Sequence[int] = ()


@dataclass(slots=True)
class Outcome:
    """What was answered, by position, and the positions that are held up by one that failed."""

    answers: dict[int, Answered] = field(default_factory=dict)
    held: set[int] = field(default_factory=set)

    @property
    def succeeded(self) -> bool:
        """Anything was taken."""
        return any(answered.verdict == "ok" for answered in self.answers.values())

    def of(self, items: Sequence[Item]) -> list[Answered]:
        """The answers to these, as far as they were sent."""
        found = (self.answers.get(item.position) for item in items)
        return [answered for answered in found if answered is not None]


class Sending:
    """One window on its way."""

    def __init__(self, outbound: Outbound, window: Window, limits: Limits = LIMITS) -> None:
        self.outbound = outbound
        self.window = window
        self.limits = limits
        self.outcome = Outcome()
        self.chains = deque(_chains(window))
        self.stopped = False
        self.until = time.monotonic() + _BEGIN_WITHIN_S

    async def run(self) -> Outcome:
        """Send what there is time for; what is not begun has no answer."""
        most = _PROBING if self.window.failures else SIDE_BY_SIDE
        senders = min(most, len(self.chains))
        await asyncio.gather(*(self._work() for _ in range(senders)))
        return self.outcome

    async def _work(self) -> None:
        while self.chains and not self._over():
            chain = self.chains.popleft()
            while chain and not self._over():
                item = chain.popleft()
                answered = await post(
                    self.outbound, self.window, item.event_id, item.body, self.limits
                )
                self.outcome.answers[item.position] = answered
                if answered.verdict != "ok":
                    self._failed(answered, chain)
                    break

    def _failed(self, answered: Answered, chain: deque[Item]) -> None:
        if answered.verdict in {"refused", "down"}:
            self.outcome.held |= {item.position for item in chain}
        # By new events alone: those that failed before may be to blame themselves.
        dead = (
            not self.outcome.succeeded and len(self.outcome.of(self.window.items)) >= SIDE_BY_SIDE
        )
        # Asked to slow down, or no use: the rest of the window would only meet the same.
        self.stopped |= answered.verdict in {"gone", "busy"} or answered.after_s is not None or dead

    def _over(self) -> bool:
        return self.stopped or time.monotonic() > self.until


def _chains(window: Window) -> list[deque[Item]]:
    """The items by message, in the order of positions: new ones and ones tried before in turn.

    So neither holds up the other. No message is in both: while one of its events waits to be tried
    again, its new ones stand in `behind`.
    """
    in_turn = zip_longest(_by_message(window.items), _by_message(window.again))
    return [chain for pair in in_turn for chain in pair if chain]


def _by_message(items: Sequence[Item]) -> list[deque[Item]]:
    chains: dict[str, deque[Item]] = {}
    for item in items:
        chains.setdefault(item.message_id, deque()).append(item)
    return list(chains.values())
