"""Questions to the identity provider, bounded in time and size, and its documents remembered."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import httpx

from messo.base.outbound import Limits, Outbound, OutboundError
from messo.login.refusal import LoginError

ANSWER_WITHIN_S = 5.0
# Before the time of all that is asked at once is over, so that a provider that hangs is noted.
_LIMITS = Limits(total_s=ANSWER_WITHIN_S - 0.5, answer_bytes=256 * 1024)
_SENT = ("accept", "authorization", "content-type")  # all others are the client's own
_FRESH_S = 3600
_USABLE_S = 24 * 3600  # while the provider cannot be asked
_PAUSE_S = 2.0  # after a failure, so that waiting citizens do not wait one after the other

T = TypeVar("T")


class GuardedTransport(httpx.AsyncBaseTransport):
    """HTTP through the one client that asks nobody inside, for libraries that speak httpx.

    Whatever can be foreseen becomes `httpx.TransportError`.
    """

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The whole answer, without its headers: nobody reads them, and the body is unpacked."""
        sent = {name: request.headers[name] for name in _SENT if name in request.headers}
        try:
            reply = await self._outbound.send(
                request.method,
                str(request.url),
                headers=sent,
                body=await request.aread(),
                limits=_LIMITS,
            )
        except OutboundError as error:
            raise httpx.TransportError(error.reason, request=request) from None
        return httpx.Response(reply.status, content=reply.body, request=request)


class Remembered(Generic[T]):
    """A document of the provider: fetched when it is needed, kept for an hour.

    When it cannot be fetched anew, the old one is used for up to a day.
    `fetch` raises `LoginError` when it fails.
    """

    def __init__(self, fetch: Callable[[], Awaitable[T]], pause_s: float = _PAUSE_S) -> None:
        self._fetch = fetch
        self._pause_s = pause_s
        self._lock = asyncio.Lock()
        self._value: T | None = None
        self._fetched = self._failed = float("-inf")

    async def get(self) -> T:
        """The document, at most an hour old if the provider answers."""
        value = self._value
        if value is not None and time.monotonic() < self._fetched + _FRESH_S:
            return value
        return await self.newer(value)

    async def newer(self, seen: T | None) -> T:
        """Another one than `seen`, if the provider has one and answers."""
        async with self._lock:
            if self._value is not None and self._value is not seen:
                return self._value  # somebody else asked meanwhile
            now = time.monotonic()
            old = self._value if now < self._fetched + _USABLE_S else None
            if now < self._failed + self._pause_s:
                return _or_down(old)
            try:
                self._value = await self._fetch()
            except LoginError:
                self._failed = time.monotonic()
                return _or_down(old)
            self._fetched = time.monotonic()
            return self._value


def _or_down(old: T | None) -> T:
    if old is None:
        raise LoginError("provider_down")
    return old
