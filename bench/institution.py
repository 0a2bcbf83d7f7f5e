"""`python -m bench.institution`: an institution's server, in the three states that matter.

Prints a port for each: `well` answers at once, `hangs` takes connections and never answers, `drips`
announces an answer and sends one byte of it a second. What it serves costs it next to nothing, so
that what is measured is whoever asks it.

Under any `…/messages/{id}`: the detail, about 2 kB, and below it `attachments/large` (20 MiB),
`attachments/small` (200 kB) and `attachments/unannounced` (20 MiB, chunked, no length announced).
"""

import asyncio
import json
import random
import re
from typing import Any

import uvloop

PIECE = 64 * 1024
LARGE, SMALL = 20 * 1024 * 1024, 200_000
# What of the content must be nowhere else. Random bytes lie between, so that no piece can stand for
# another.
MARK = b"referto-di-Giovannino-Perduto"
DETAIL = {
    "details": {
        "subject": "Il referto del laboratorio",
        "markdown": f"{MARK.decode()}: il **referto** è pronto, lo trovi tra gli allegati. " * 20,
    },
    "attachments": [
        {
            "id": name,
            "url": f"attachments/{name}",
            "name": f"{name}.pdf",
            "content_type": "application/pdf",
        }
        for name in ("large", "small", "unannounced")
    ],
}
_REQUEST = re.compile(rb"GET \S*/messages/[^/ ]+(?:/attachments/(\w+))? HTTP/1\.1\r\n")
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


def pdf(size: int) -> bytes:
    """It begins like one, and holds the mark every 64 KiB; always the same."""
    filling = random.Random(size).randbytes(PIECE - len(MARK))
    body = b"%PDF-1.7\n" + b"".join(
        MARK + filling[at % 997 :] + filling[: at % 997] for at in range(size // PIECE + 1)
    )
    return body[:size]


def _head(kind: str, length: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{length}\r\n\r\n".encode()


class Served:
    """Every answer, made beforehand: in pieces to be written one after another."""

    def __init__(self) -> None:
        text = json.dumps(DETAIL, ensure_ascii=False).encode()
        self.detail = [_head("application/json", f"content-length: {len(text)}") + text]
        large = self._file(pdf(LARGE))
        self.files = {b"large": large, b"small": self._file(pdf(SMALL))}
        self.files[b"unannounced"] = [
            _head("application/pdf", "transfer-encoding: chunked"),
            *(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in large[1:]),
            b"0\r\n\r\n",
        ]

    def _file(self, body: bytes) -> list[bytes]:
        pieces = [body[at : at + PIECE] for at in range(0, len(body), PIECE)]
        return [_head("application/pdf", f"content-length: {len(body)}"), *pieces]


class Well(asyncio.Protocol):
    """One connection: one request after another."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.got = b""
        self.left: list[bytes] = []  # to be written, the last one first
        self.is_full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.got += data
        end = self.got.find(b"\r\n\r\n")
        if end < 0:
            return
        asked, self.got = _REQUEST.match(self.got), self.got[end + 4 :]
        if asked is None:
            self.transport.write(_NOT_FOUND)
        elif asked[1] is None:
            self.transport.writelines(self.served.detail)
        else:
            self.left = self.served.files.get(asked[1], [_NOT_FOUND])[::-1]
            self._go_on()

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        self._go_on()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.left = []

    def _go_on(self) -> None:
        while self.left and not self.is_full:
            self.transport.write(self.left.pop())


class Hangs(asyncio.Protocol):
    """Nobody is at home, and nobody says so."""


class Drips(asyncio.Protocol):
    """It is at home, and takes its time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, _data: bytes) -> None:
        self.transport.write(_head("application/json", "content-length: 2000"))
        self._drip()

    def _drip(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b" ")
            asyncio.get_running_loop().call_later(1, self._drip)


async def main() -> None:
    loop = asyncio.get_running_loop()
    served = Served()
    ports = {}
    for name, protocol in (("well", lambda: Well(served)), ("hangs", Hangs), ("drips", Drips)):
        server = await loop.create_server(protocol, "127.0.0.1", 0, backlog=1024)
        ports[name] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
