"""The load, as a process of its own: raw HTTP/1.1 over kept connections, requests built before.

`python -m bench.load` reads a JSON specification on standard input and prints a JSON result.
Closed loop: each connection sends its next request when it has the answer, or `pause` seconds later.
Open loop (`rate`): requests leave on time whatever the answers do, over as many connections as that
takes.
"""

import asyncio
import json
import sys
import time
from collections import Counter, deque
from itertools import cycle
from typing import Any

import uvloop


class Connection(asyncio.Protocol):
    """One kept connection: at most one request under way."""

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.buffer = b""
        self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.load.idle(self)

    def send(self, request: bytes) -> None:
        self.sent = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lowered = head.lower()
        place = lowered.find(b"content-length:")
        length = int(lowered[place + 15 :].split(b"\r\n", 1)[0])
        if len(rest) < length:
            return
        self.buffer = b""
        self.load.answered(head[9:12].decode(), time.perf_counter() - self.sent)
        if self.load.pause:
            asyncio.get_running_loop().call_later(self.load.pause, self.load.idle, self)
        else:
            self.load.idle(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.load.over:
            self.load.codes["lost"] += 1


class Load:
    """What was sent and answered."""

    def __init__(
        self, requests: list[bytes], seconds: float, rate: float | None, pause: float
    ) -> None:
        self.requests = cycle(requests)
        self.end = time.perf_counter() + seconds
        self.rate = rate
        self.pause = pause
        self.latencies: list[float] = []
        self.codes: Counter[str] = Counter()
        self.free: deque[Connection] = deque()
        self.over = False

    def idle(self, connection: Connection) -> None:
        if self.rate is None and time.perf_counter() < self.end:
            connection.send(next(self.requests))
        else:
            self.free.append(connection)

    def answered(self, code: str, seconds: float) -> None:
        self.codes[code] += 1
        self.latencies.append(seconds)


async def run(spec: dict[str, Any]) -> dict[str, Any]:
    requests = [
        build(spec["port"], method, path, header, body)
        for method, path, header, body in spec["requests"]
    ]
    load = Load(requests, spec["seconds"], spec.get("rate"), spec.get("pause") or 0)
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    count = spec["connections"]
    for _ in range(count):
        await loop.create_connection(lambda: Connection(load), "127.0.0.1", spec["port"])
    late = 0
    if load.rate is not None:
        next_at = time.perf_counter()
        while next_at < load.end:
            now = time.perf_counter()
            if now < next_at:
                await asyncio.sleep(next_at - now)
                continue
            if load.free:
                load.free.popleft().send(next(load.requests))
                next_at += 1 / load.rate
            else:
                late += 1
                await asyncio.sleep(0.0005)
    while len(load.free) < count and time.perf_counter() < load.end + 15:
        await asyncio.sleep(0.005)
    load.over = True
    elapsed = time.perf_counter() - began
    ordered = sorted(load.latencies)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 2)

    return {
        "per_second": round(len(ordered) / elapsed, 1),
        "p50_ms": at(0.5),
        "p99_ms": at(0.99),
        "codes": dict(load.codes),
        "late": late,
    }


def build(port: int, method: str, path: str, header: str, body: str) -> bytes:
    """`header`: one whole line, the one that says who asks."""
    data = body.encode()
    return (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"{header}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    ).encode() + data


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(json.load(sys.stdin)))))
