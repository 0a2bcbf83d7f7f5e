"""An answer from outside: how long it may take, how large it may be, and how it is read."""

import asyncio
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy

from messo.base.outbound_errors import (
    ForbiddenAddressError,
    OutboundError,
    TooLargeError,
    UnreachableError,
)

_HELD_UP_S = 1.0
_PACKED = {"gzip", "x-gzip", "deflate"}


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how large, at most.

    `connect_s`: until connected, names and TLS included. `first_byte_s`: until the head of the
    answer is there; if None, `total_s`. `total_s`: for the whole answer, not counting the time in
    which who reads it does something else. `bytes_per_s`: each byte that comes adds its time at
    this rate to `total_s`; 0 adds nothing. `wait_s`: for a place, before all that.
    `answer_bytes`: of a body, unpacked.
    """

    connect_s: float = 2
    first_byte_s: float | None = None
    total_s: float = 10
    bytes_per_s: int = 0
    wait_s: float = 0.5
    answer_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whatever its status; 3xx among them. Names of headers ignore case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class OpenReply:
    """An answer of which the head has come, whatever its status."""

    __slots__ = ("_left_s", "_limits", "_read_at", "_response", "is_broken", "was_held_up")

    def __init__(self, response: aiohttp.ClientResponse, limits: Limits, spent_s: float) -> None:
        self._response = response
        self._limits = limits
        self._left_s = limits.total_s - spent_s
        self.is_broken = False  # it ended before it was whole
        self.was_held_up = False  # who reads it took their time
        self._read_at = time.monotonic()

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def length(self) -> int | None:
        """How many bytes are announced, if so."""
        return self._response.content_length

    async def read(self) -> Reply:
        """The whole answer, unpacked if it was packed although we asked not to."""
        body = b"".join([piece async for piece in self._pieces()])
        coding = self._coding()
        if not body or coding == "identity":
            return Reply(self.status, self.headers, body)
        if coding not in _PACKED:
            raise TooLargeError("encoding")
        headers = CIMultiDict(self.headers)
        for name in ("Content-Encoding", "Content-Length"):
            headers.popall(name, None)
        plain = _unpack(body, self._limits.answer_bytes)
        return Reply(self.status, CIMultiDictProxy(headers), plain)

    def pieces(self) -> AsyncIterator[bytes]:
        """The body in pieces as they come; the other side is held up while nobody takes one.

        A packed body is `TooLargeError`, for nobody knows how large it is.
        """
        if self._coding() != "identity":
            raise TooLargeError("encoding")
        return self._pieces()

    def close(self) -> None:
        """End the connection, unless the answer was read to its end and it may be used again."""
        self._response.close()

    def _coding(self) -> str:
        return self.headers.get("Content-Encoding", "").strip().lower() or "identity"

    async def _pieces(self) -> AsyncIterator[bytes]:
        most, size = self._limits.answer_bytes, 0
        if self._response.method != "HEAD" and (self.length or 0) > most:
            raise TooLargeError("too large")
        while piece := await self._next():
            size += len(piece)
            if size > most:
                raise TooLargeError("too large")
            yield piece

    async def _next(self) -> bytes:
        began = time.monotonic()
        self.was_held_up = self.was_held_up or began - self._read_at > _HELD_UP_S
        try:
            self._let_come()
            async with asyncio.timeout(self._left_s):
                piece = await self._response.content.readany()
            self._hold_up()
        except (aiohttp.ClientError, OSError, RuntimeError, ValueError) as error:
            self.is_broken = True
            raise foreseen(error) from None
        self._read_at = time.monotonic()
        self._left_s -= self._read_at - began
        if rate := self._limits.bytes_per_s:
            self._left_s += len(piece) / rate
        return piece

    # The client would fetch the next piece while this one is being passed on: with a reader that is
    # slow, each of many answers would hold one more.
    def _let_come(self) -> None:
        if (transport := self._transport()) is not None:
            transport.resume_reading()

    def _hold_up(self) -> None:
        if (transport := self._transport()) is not None:
            transport.pause_reading()

    def _transport(self) -> asyncio.Transport | None:
        """None once all has come, or nothing more will: the connection may be another's by then."""
        connection = self._response.connection
        transport = None if connection is None else connection.transport
        return transport if transport is not None and not transport.is_closing() else None


def foreseen(error: Exception) -> OutboundError:
    """What an exception of the client means."""
    if isinstance(error, TimeoutError):
        return UnreachableError("timeout")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return UnreachableError("tls")
    if isinstance(error, aiohttp.ClientConnectorError):
        return UnreachableError("refused")
    if isinstance(error, aiohttp.InvalidURL):
        return ForbiddenAddressError("url")
    if isinstance(error, aiohttp.ClientResponseError | ValueError):
        return UnreachableError("malformed")
    return UnreachableError("reset")


def _unpack(body: bytes, most: int) -> bytes:
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, whichever it is
    try:
        plain = unpacking.decompress(body, most + 1)
    except zlib.error:
        raise UnreachableError("malformed") from None
    if len(plain) > most:
        raise TooLargeError("too large")
    if not unpacking.eof:
        raise UnreachableError("malformed")
    return plain
