"""Downloads, as a process of its own that reads and throws away.

`python -m bench.download` reads a JSON specification on standard input and prints a JSON result.
Each connection asks for one file after another, until `seconds` have passed, or `files` have come
over all connections. With `pace` (bytes a second, each) nobody reads on before every connection has
its first bytes, so that all are under way at once. With `digest` (SHA-256) each file is compared.
"""

import asyncio
import contextlib
import hashlib
import json
import socket
import sys
import time
from collections import Counter
from itertools import cycle
from typing import Any

import uvloop

BUFFER = bytearray(256 * 1024)  # one for all: what is in it is done with before the next is read
VIEW = memoryview(BUFFER)
SMALL_WINDOW = 64 * 1024  # a slow reader's: else the kernel would take in what nobody has read


class Connection(asyncio.BufferedProtocol):
    """One kept connection: one file at a time, each with a Content-Length."""

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.left = 0
        self.is_under_way = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self._ask()

    def get_buffer(self, _sizehint: int) -> bytearray:
        return BUFFER

    def buffer_updated(self, size: int) -> None:
        data = VIEW[:size]
        if self.is_under_way:
            self._take(data)
            return
        self.head += bytes(data)
        head, found, rest = self.head.partition(b"\r\n\r\n")
        if not found:
            return
        self.is_under_way = True
        self.length = self.left = int(
            head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        )
        self.load.begun(self, head[9:12].decode())
        self._take(memoryview(rest))

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.load.is_over:
            self.load.ended(self, "broken" if self.is_under_way or self.head else "refused")

    def _ask(self) -> None:
        self.head, self.is_under_way = b"", False
        if self.load.asked == self.load.files:
            return
        self.load.asked += 1
        self.digest = hashlib.sha256()
        self.transport.write(next(self.load.requests))

    def _take(self, data: memoryview) -> None:
        self.left -= len(data)
        self.load.bytes += len(data)
        if self.load.wanted:
            self.digest.update(data)
        if self.left <= 0:
            is_right = not self.load.wanted or self.digest.hexdigest() == self.load.wanted
            self.load.ended(self, "whole" if self.left == 0 and is_right else "wrong")
            if not self.load.is_over:
                self._ask()
        elif pace := self.load.pace:
            self._wait(pace)

    def _wait(self, pace: float) -> None:
        """Read on when as much time has passed as what was read takes at this pace."""
        if self.load.begin_at is None:
            self.transport.pause_reading()
            return
        ahead = (self.length - self.left) / pace - (time.perf_counter() - self.load.begin_at)
        if ahead > 0:
            self.transport.pause_reading()
            self.load.loop.call_later(ahead, self.resume)

    def resume(self) -> None:
        with contextlib.suppress(RuntimeError):  # closed meanwhile
            self.transport.resume_reading()


class Load:
    """What was asked for and has come."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.loop = asyncio.get_running_loop()
        self.requests = cycle(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{spec['port']}\r\n{header}\r\n\r\n".encode()
            for path, header in spec["requests"]
        )
        self.connections: int = spec["connections"]
        self.files: int | None = spec.get("files")
        self.pace: float = spec.get("pace") or 0
        self.wanted: str = spec.get("digest") or ""
        self.asked = self.bytes = 0
        self.codes: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.under_way: set[Connection] = set()
        self.at_once = 0
        self.begin_at: float | None = None
        self.is_over = False
        self.over = asyncio.Event()

    def begun(self, connection: Connection, code: str) -> None:
        self.codes[code] += 1
        self.under_way.add(connection)
        self.at_once = max(self.at_once, len(self.under_way))
        if self.begin_at is None and len(self.under_way) == self.connections:
            self.begin_at = time.perf_counter()
            for one in self.under_way:
                one.resume()

    def ended(self, connection: Connection, outcome: str) -> None:
        self.under_way.discard(connection)
        self.outcomes[outcome] += 1
        if self.files is not None and self.outcomes.total() >= self.files:
            self.stop()

    def stop(self) -> None:
        self.is_over = True
        self.over.set()


async def run(spec: dict[str, Any]) -> dict[str, Any]:
    load = Load(spec)
    opened = []
    began, spent = time.perf_counter(), time.process_time()
    for _ in range(load.connections):
        connecting = socket.socket()
        if load.pace:
            connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_WINDOW)
        connecting.setblocking(False)
        await load.loop.sock_connect(connecting, ("127.0.0.1", spec["port"]))
        opened.append(await load.loop.create_connection(lambda: Connection(load), sock=connecting))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(load.over.wait(), spec["seconds"])
    load.stop()
    elapsed = time.perf_counter() - began
    busy = (time.process_time() - spent) / elapsed
    for transport, _ in opened:
        transport.abort()
    return {
        "mb_per_second": round(load.bytes / elapsed / 1e6, 1),
        "files": dict(load.outcomes),
        "codes": dict(load.codes),
        "at_once": load.at_once,
        "seconds": round(elapsed, 2),
        "busy": round(busy, 2),
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(json.load(sys.stdin)))))
