"""The HTTP server: uvicorn, with the bounds it lacks.

A request must arrive whole within a time, its head must fit a size, and whoever misses either
gets a plain answer and a closed connection.
"""

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT = 32 * 1024  # bytes of request line and headers
_REFUSAL = (
    b"HTTP/1.1 %s\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n"
    b"connection: close\r\n\r\n%s"
)


class GatheredTransport:
    """Sends what one turn of the event loop wrote in one system call.

    uvicorn writes the head and the body of an answer apart; together they are a third cheaper.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._parts:
            if not self._transport.is_closing():  # else the client has gone meanwhile
                self._transport.write(b"".join(self._parts))
            self._parts.clear()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever else a transport can do
        return getattr(self._transport, name)


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `arrive_seconds` bounds the time from first byte to last of a request."""

    arrive_seconds: float = 10

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(GatheredTransport(transport, self.loop))  # type: ignore[arg-type]
        self._head = 0
        self._silent = 0  # bytes given to the parser since it last told us of any
        self._deadline = self._arm()

    def data_received(self, data: bytes) -> None:
        self._silent += len(data)
        super().data_received(data)
        if self._silent > HEAD_LIMIT:  # a header without end: the parser gathers it, silently
            self._refuse_head()
        elif self._silent and self._deadline.cancelled() and self.cycle.response_complete:
            self._deadline = self._arm()  # empty lines between requests begin none, and keep us

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = 0
        self._deadline.cancel()
        self._deadline = self._arm()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_body(self, body: bytes) -> None:
        self._silent = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._silent = 0
        self._deadline.cancel()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)

    def _arm(self) -> asyncio.TimerHandle:
        return self.loop.call_later(self.arrive_seconds, self._late)

    def _count(self, size: int) -> None:
        self._silent = 0
        self._head += size
        if self._head > HEAD_LIMIT:
            self._refuse_head()

    def _refuse_head(self) -> None:
        self._refuse(
            b"431 Request Header Fields Too Large",
            b'{"title":"Request header fields too large","status":431,'
            b'"detail":"Request line and headers may be at most 32768 bytes together."}',
        )

    def _late(self) -> None:
        self._refuse(
            b"408 Request Timeout",
            b'{"title":"Request timeout","status":408,'
            b'"detail":"The whole request must arrive within %d seconds."}' % self.arrive_seconds,
        )

    def _refuse(self, status: bytes, document: bytes) -> None:
        if self.transport.is_closing():
            return
        if self.cycle and not (self.cycle.more_body or self.cycle.response_complete):
            # An earlier request of this connection is whole: it gets its own answer, then we close.
            self.cycle.keep_alive = False
            self.transport.pause_reading()
            return
        answering = self.cycle is not None and self.cycle.response_started
        if not answering or self.cycle.response_complete:
            self.transport.write(_REFUSAL % (status, len(document), document))
        self.transport.close()


def calm_collector() -> None:
    """Let the garbage collector rest.

    What was made at the start stays, and requests leave almost no cycles; in its usual rhythm the
    collector stops all requests for tens of milliseconds now and then.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


class _BesideServer(uvicorn.Server):
    """A second server in one process: the first one owns the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def public_server(app: Any, host: str, port: int, arrive_seconds: float) -> uvicorn.Server:  # noqa: ANN401
    """The server of the public port. It stops at SIGINT or SIGTERM, answering what it has begun."""
    protocol = type("Protocol", (BoundedProtocol,), {"arrive_seconds": arrive_seconds})
    return uvicorn.Server(_config(app, host, port, protocol))


def beside_server(app: Any, host: str, port: int) -> uvicorn.Server:  # noqa: ANN401
    """A server for operators; set `should_exit` to stop it."""
    return _BesideServer(_config(app, host, port, BoundedProtocol))


def _config(app: Any, host: str, port: int, protocol: type[asyncio.Protocol]) -> uvicorn.Config:  # noqa: ANN401
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol,
        ws="none",
        loop="uvloop",
        lifespan="off",
        log_config=None,
        access_log=False,  # paths carry fiscal codes; Endpoint logs what may be known
        proxy_headers=False,  # Request.client_address believes only configured proxies
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=30,
        backlog=4096,
        limit_concurrency=8192,  # beyond that many connections: 503 at once
    )
