"""Readers who dawdle or leave, and attachments that say what became of them."""

import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx

from tests.clients.institution import HEADERS


class Large:
    """An attachment in pieces that says how much of it was drawn, and when it was closed."""

    piece = b"x" * 100_000
    size = 50_000_000

    def __init__(self) -> None:
        self.drawn = 0
        self.closed = threading.Event()

    def plain(self) -> Iterator[bytes]:
        try:
            while self.drawn < self.size:
                self.drawn += len(self.piece)
                yield self.piece
        finally:
            self.closed.set()

    async def beside(self) -> AsyncIterator[bytes]:
        try:
            while self.drawn < self.size:
                self.drawn += len(self.piece)
                yield self.piece
        finally:
            self.closed.set()


def reader(url: str, path: str) -> socket.socket:
    """Asks for something, with a small buffer, and reads none of it."""
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    opened.settimeout(20)
    host, port = url.removeprefix("http://").split(":")
    opened.connect((host, int(port)))
    headers = HEADERS | {"Host": host, "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    opened.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
    return opened


def until_nothing_is_drawn(large: Large, client: httpx.Client) -> None:
    """Wait until it is begun, and the server draws no more while it answers others."""
    before = -1
    while large.drawn != before or not large.drawn:
        before = large.drawn
        for _ in range(30):
            client.get("/messages/plain")


def read_all(opened: socket.socket) -> int:
    """How many bytes come until the connection ends."""
    received = 0
    while piece := opened.recv(1 << 20):
        received += len(piece)
    return received


def is_open(path: Path) -> bool:
    """Whether this process has the file open."""
    own = Path("/proc/self/fd")
    return any(each.is_symlink() and each.resolve() == path for each in own.iterdir())
