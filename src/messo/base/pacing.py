"""Bounds on what goes out, held in this process: how much to whom, and rest for who is down.

Nothing waits in here: who is turned away is told how many seconds later to come again.
"""

import time

_LONGEST_S = 900.0
_FAILURES = 3
_LONGEST_REST_S = 300.0


class _Destination:
    __slots__ = ("as_of", "next_turn", "tokens", "under_way")

    def __init__(self, tokens: float, now: float) -> None:
        self.under_way = 0
        self.tokens = tokens
        self.as_of = now
        self.next_turn = now


class Pace:
    """For each key so many under way, and so many a minute (a token bucket of one minute)."""

    def __init__(self, at_once: int, per_minute: int) -> None:
        self._at_once = at_once
        self._per_minute = per_minute
        self._per_second = per_minute / 60
        self._known: dict[str, _Destination] = {}
        self._swept = time.monotonic()

    def enter(self, key: str) -> float:
        """0, and `leave` is owed; or the seconds to wait."""
        now = time.monotonic()
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
        # Told one after the other, so that a thousand turned away do not come back at one moment.
        one.next_turn = max(one.next_turn, now) + 1 / self._per_second
        return min(one.next_turn - now, _LONGEST_S)

    def leave(self, key: str) -> None:
        """What entered has ended, however it did."""
        self._known[key].under_way -= 1

    def _sweep(self, now: float) -> None:
        """Once a minute forget who is as if never seen, so that memory follows use."""
        if now - self._swept < 60:  # noqa: PLR2004  seconds
            return
        self._swept = now
        self._known = {
            key: one
            for key, one in self._known.items()
            if one.under_way or now - one.as_of < 60 or one.next_turn > now  # noqa: PLR2004
        }


class Rest:
    """After three failures in a row nothing for `rest_s`, then one try; each that fails doubles it.

    A try is given `try_s` seconds to end, and only then another may begin.
    """

    def __init__(self, rest_s: float, try_s: float) -> None:
        self._rest_s = rest_s
        self._try_s = try_s
        self._failures = 0
        self._rests_until = 0.0
        self._tries_until = 0.0

    def wait_s(self) -> float:
        """0: one may begin; or the seconds to wait."""
        if self._failures < _FAILURES:
            return 0.0
        return max(0.0, self._rests_until - time.monotonic(), self._tries_until - time.monotonic())

    def begin(self) -> None:
        """One begins, and will say how it went; in a rest it is the one try."""
        if self._failures >= _FAILURES:
            self._tries_until = time.monotonic() + self._try_s

    def failed(self) -> None:
        """The other side was not there, or did not go on."""
        now = time.monotonic()
        if now < self._rests_until:
            return  # begun before the rest: it tells nothing new
        self._failures += 1
        if self._failures >= _FAILURES:
            doubled = self._rest_s * 2 ** min(self._failures - _FAILURES, 10)
            self._rests_until = now + min(_LONGEST_REST_S, doubled)
            self._tries_until = 0.0

    def answered(self) -> None:
        """The other side is there, whatever it said."""
        self._failures = 0
        self._rests_until = 0.0
