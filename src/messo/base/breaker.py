"""Who fails again and again is left alone for a while: a circuit breaker, one for each host."""

import random

_DOUBLINGS = 20  # more would say nothing: the bound above is reached long before


def soon_s() -> float:
    """Seconds after which a place may be free; spread, so that not all come back at once."""
    return random.uniform(2, 4)  # noqa: S311  no secret


class Breaker:
    """Closed while a host answers, open after some failures in a row, doubling with each probe.

    Open, nobody asks. When its time is over, one probe is let through: if it succeeds everything
    is as before, else it is open for twice as long.
    """

    __slots__ = ("_after", "_longest_s", "_open_s", "_opened", "_probing", "_until", "failures")

    def __init__(self, open_s: float, longest_s: float, after: int = 5) -> None:
        """How long it is open at first and at most, in seconds, and after how many failures."""
        self._after = after
        self._open_s = open_s
        self._longest_s = longest_s
        self._opened = 0  # times in a row; 0 is closed
        self._until = 0.0
        self._probing = False
        self.failures = 0  # in a row

    @property
    def is_open(self) -> bool:
        """Whether the host has failed too often, and has not answered since."""
        return self._opened > 0

    def wait_s(self, now: float) -> float:
        """0 where the host may be asked, or the seconds to wait. `now` is monotonic, in seconds."""
        if not self._opened:
            return 0.0
        if now < self._until:
            # Spread, for all who wait for the same host come back.
            return self._until - now + random.uniform(0, 2)  # noqa: S311
        return soon_s() if self._probing else 0.0

    def begin(self) -> bool:
        """Note that somebody asks who need not wait. Whether it is the probe."""
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
        opens = probe if self._opened else self.failures >= self._after
        if not opens:
            return False
        length = min(self._longest_s, self._open_s * 2 ** min(self._opened, _DOUBLINGS))
        self._until = now + length * random.uniform(0.8, 1.2)  # noqa: S311
        self._opened += 1
        self._probing = False
        return True

    def abandoned(self) -> None:
        """The probe came to no end that says anything: the next one is it."""
        self._probing = False
