"""Token buckets, and the headers that tell a client where it stands.

RateLimit and RateLimit-Policy as in draft-ietf-httpapi-ratelimit-headers-10.
"""

import time

from messo.base.http import Request


class RateLimit:
    """So many requests a second for each key, with a burst. Held in this process only."""

    def __init__(self, per_second: int, burst: int) -> None:
        self.per_second = per_second
        self.burst = burst
        window = max(1, burst // per_second)
        self.policy = b'"default";q=%d;w=%d' % (burst, window)
        self._tokens: dict[str, tuple[float, float]] = {}  # key -> tokens left, as of when
        self._swept = 0.0

    def charge(self, request: Request, key: str) -> int:
        """Use one token and say so in the answer's headers: 0, or the seconds to wait."""
        left, wait = self.take(key)
        seconds = max(1, round(wait + 0.5))
        request.answer_headers.append((b"ratelimit-policy", self.policy))
        request.answer_headers.append(
            (b"ratelimit", b'"default";r=%d;t=%d' % (max(left, 0), seconds))
        )
        return seconds if left < 0 else 0

    def take(self, key: str) -> tuple[int, float]:
        """Use one token: how many whole ones are left, and 0; or -1 and the seconds to wait."""
        now = time.monotonic()
        left, then = self._tokens.get(key, (float(self.burst), now))
        left = min(self.burst, left + (now - then) * self.per_second)
        if left < 1:
            self._tokens[key] = (left, now)
            return -1, (1 - left) / self.per_second
        self._tokens[key] = (left - 1, now)
        if now - self._swept > 60:  # noqa: PLR2004  once a minute
            self._sweep(now)
        return int(left - 1), 0.0

    def _sweep(self, now: float) -> None:
        """Forget keys whose bucket is full again, so that memory follows use."""
        self._swept = now
        refilled = self.burst / self.per_second
        self._tokens = {k: v for k, v in self._tokens.items() if now - v[1] < refilled}
