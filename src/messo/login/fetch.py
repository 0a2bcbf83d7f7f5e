"""Questions to the identity provider, bounded in time and size, and its documents remembered."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

import httpx

from messo.login.refusal import LoginError

ANSWER_WITHIN_S = 5.0
_LARGEST = 256 * 1024  # bytes of an answer
_FRESH_S = 3600
_USABLE_S = 24 * 3600  # while the provider cannot be asked
_PAUSE_S = 2.0  # after a failure, so that waiting citizens do not wait one after the other

T = TypeVar("T")


class TooLargeError(httpx.TransportError):
    """An answer that is larger than any honest one, or whose size cannot be known."""


class BoundedTransport(httpx.AsyncBaseTransport):
    """HTTP as usual, except that nobody can fill our memory."""

    def __init__(self) -> None:
        self._inner: httpx.AsyncHTTPTransport | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._inner is None:  # reading the certificates takes a while: not at every start
            self._inner = httpx.AsyncHTTPTransport(retries=1)
        request.headers["Accept-Encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()  # a few bytes may unpack into gigabytes
            raise TooLargeError("compressed, although asked not to", request=request)
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101  asked for it
        response.stream = _BoundedStream(response.stream)
        return response

    async def aclose(self) -> None:
        """Called by each client when it ends; the connections stay for the next one."""

    async def close(self) -> None:
        """Close the connections."""
        if self._inner is not None:
            await self._inner.aclose()


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._inner:
            size += len(part)
            if size > _LARGEST:
                raise TooLargeError(f"more than {_LARGEST} bytes")
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


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
