"""Bounds on what goes out, held in this process: how much to whom, and how fast.

Nothing waits in here: who is turned away is told how many seconds later to come again.
"""

import time
from collections.abc import Callable


class _Destination:
    __slots__ = ("as_of", "next_turn", "tokens", "under_way")

    def __init__(self, tokens: float, now: float) -> None:
        self.under_way = 0
        self.tokens = tokens
        self.as_of = now
        self.next_turn = now


class Pace:
    """For each key so many under way, and so many a minute (a token bucket of one minute)."""

    def __init__(
        self, at_once: int, per_minute: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        """`now`: seconds of a clock that only goes on."""
        self._now = now
        self._at_once = at_once
        self._per_minute = per_minute
        self._per_second = per_minute / 60
        self._known: dict[str, _Destination] = {}
        self._swept = now()

    def enter(self, key: str) -> float:
        """0, and `leave` is owed; or the seconds to wait, which of a backlog may be hours."""
        now = self._now()
        self._sweep(now)
        one = self._known.get(key)
        if one is None:
            one = self._known[key] = _Destination(float(self._per_minute), now)
        one.tokens = min(self._per_minute, one.tokens + (now - one.as_of) * self._per_second)
        one.as_of = now
        if one.under_way < self._at_once and one.tokens >= 1:
            one.under_way += 1
            one.tokens -= 1
            return 0.0
        # Told one after the other, so that thousands turned away do not come back at one moment.
        # Without a bound: all who are beyond it would, again and again, and few of them be taken.
        one.next_turn = max(one.next_turn, now) + 1 / self._per_second
        return one.next_turn - now

    def leave(self, key: str) -> None:
        """What entered has ended, however it did."""
        self._known[key].under_way -= 1

    def _sweep(self, now: float) -> None:
        """Once a minute forget whom nobody asked for since, so that memory follows use.

        Their tokens are all there again; who was told a turn later than that finds one of them.
        """
        if now - self._swept < 60:  # noqa: PLR2004  seconds
            return
        self._swept = now
        self._known = {
            key: one
            for key, one in self._known.items()
            if one.under_way or now - one.as_of < 60  # noqa: PLR2004
        }
