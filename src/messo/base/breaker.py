"""Hosts that fail are left alone for a while: a circuit breaker, one for each host."""

import random

from messo.base.outbound_errors import BusyError

_FAILURES = 5  # in a row
_LONGEST_S = 600.0
_DOUBLINGS = 20  # more would say nothing: the bound above is reached long before


def soon_s() -> float:
    """Seconds after which a place may be free; spread, so that not all come back at once."""
    return random.uniform(2, 4)  # noqa: S311  no secret


class Breaker:
    """Closed while a host answers, open after five failures in a row, doubling with each probe.

    Open, nobody asks. When its time is over, one probe is let through: if it succeeds everything
    is as before, else it is open for twice as long, up to ten minutes.
    """

    __slots__ = ("_open_s", "_opened", "_probing", "_until", "failures")

    def __init__(self, open_s: float) -> None:
        """`open_s`: how long it is open at first, in seconds."""
        self._open_s = open_s
        self._opened = 0  # times in a row; 0 is closed
        self._until = 0.0
        self._probing = False
        self.failures = 0  # in a row

    def check(self, now: float) -> None:
        """Raise `BusyError` unless the host may be asked. `now` is monotonic, in seconds."""
        if not self._opened:
            return
        if now < self._until:
            # Spread, for all who wait for the same host come back.
            spread = random.uniform(0, 2)  # noqa: S311
            raise BusyError("circuit", self._until - now + spread)
        if self._probing:
            raise BusyError("circuit", soon_s())

    def begin(self) -> bool:
        """Note that somebody asks who passed `check`. Whether it is the probe."""
        self._probing = self._opened > 0
        return self._probing

    def answered(self) -> None:
        """The host answered: whatever was before is forgotten."""
        self.failures = self._opened = 0
        self._probing = False

    def failed(self, now: float, *, probe: bool) -> bool:
        """The host failed. Whether it is open from now on, or anew.

        What was under way before it opened adds nothing: only a probe makes it longer.
        """
        self.failures += 1
        opens = probe if self._opened else self.failures >= _FAILURES
        if not opens:
            return False
        length = min(_LONGEST_S, self._open_s * 2 ** min(self._opened, _DOUBLINGS))
        self._until = now + length * random.uniform(0.8, 1.2)  # noqa: S311
        self._opened += 1
        self._probing = False
        return True

    def abandoned(self) -> None:
        """The probe came to no end that says anything: the next one is it."""
        self._probing = False
