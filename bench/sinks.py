"""`python -m bench.sinks`: a push service and a mail server that take everything at once, and a push
service that takes connections and never answers.

Prints their ports. Each costs next to nothing, so that what is measured is the sender.
"""

import asyncio
import json

import uvloop

_CREATED = b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n"


class PushSink(asyncio.Protocol):
    """HTTP/1.1 with a Content-Length; every request is answered 201."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.got = b""

    def data_received(self, data: bytes) -> None:
        self.got += data
        while (end := self.got.find(b"\r\n\r\n")) >= 0:
            head = self.got[:end].lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n", 1)[0])
            if len(self.got) < end + 4 + length:
                return
            self.got = self.got[end + 4 + length :]
            self.transport.write(_CREATED)  # type: ignore[attr-defined]


class MailSink(asyncio.Protocol):
    """SMTP, enough of it for a client that is well behaved."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.got = b""
        self.in_data = False
        self._say(b"220 sink")

    def data_received(self, data: bytes) -> None:
        self.got += data
        while True:
            if self.in_data:
                end = self.got.find(b"\r\n.\r\n")
                if end < 0:
                    return
                self.got, self.in_data = self.got[end + 5 :], False
                self._say(b"250 2.0.0 taken")
                continue
            line, found, rest = self.got.partition(b"\r\n")
            if not found:
                return
            self.got = rest
            self._answer(line[:4].upper())

    def _answer(self, verb: bytes) -> None:
        if verb == b"EHLO":
            self._say(b"250-sink\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES")
        elif verb == b"DATA":
            self.in_data = True
            self._say(b"354 go on")
        elif verb == b"QUIT":
            self._say(b"221 bye")
            self.transport.close()
        else:
            self._say(b"250 2.0.0 ok")

    def _say(self, text: bytes) -> None:
        self.transport.write(text + b"\r\n")  # type: ignore[attr-defined]


class HangingSink(asyncio.Protocol):
    """Nobody is at home, and nobody says so."""


async def main() -> None:
    loop = asyncio.get_running_loop()
    ports = {}
    for name, protocol in (("push", PushSink), ("mail", MailSink), ("hang", HangingSink)):
        server = await loop.create_server(protocol, "127.0.0.1", 0, backlog=1024)
        ports[name] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
