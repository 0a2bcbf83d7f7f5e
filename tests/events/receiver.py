"""An institution's server on loopback: it verifies every signature, and fails in every way."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

OK = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"
GARBAGE = b"\x16\x03 this is not HTTP\r\n\r\n"
HUGE = b"HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n" + b"x" * 200_000
RESET = b"reset"
HANG = b"hang"
Answer = Callable[["Seen"], bytes]


def status(code: int, *headers: str) -> bytes:
    """An answer without a body."""
    lines = [f"HTTP/1.1 {code} X", "content-length: 0", "connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode()


@dataclass(frozen=True)
class Seen:
    """One request as it came. `signers`: which of the secrets it was signed with, by place."""

    id: str
    type: str
    data: dict[str, Any]
    signers: list[int]
    body: bytes

    @property
    def message(self) -> str:
        return str(self.data["message_id"])

    @property
    def kind(self) -> str:
        return self.type.removeprefix("message.")


class Receiver:
    """`answer` decides for each request; `seen` are all in the order in which they came."""

    def __init__(self) -> None:
        self.port = 0
        self.secrets: list[str] = []
        self.seen: list[Seen] = []
        self.answer: Answer = lambda _: OK
        self.under_way = self.most_under_way = 0
        self.arrived = asyncio.Event()
        self.released = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks?token=s3cret"

    def kinds_of(self, message_id: str) -> list[str]:
        return [one.kind for one in self.seen if one.message == message_id]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.under_way += 1
        self.most_under_way = max(self.under_way, self.most_under_way)
        try:
            seen = await self._read(reader)
            self.seen.append(seen)
            self.arrived.set()
            answer = self.answer(seen)
            if answer == HANG:
                await self.released.wait()
            elif answer == RESET:
                writer.transport.abort()
            else:
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.under_way -= 1
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Seen:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        assert lines[0] == "POST /hooks?token=s3cret HTTP/1.1"
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        headers = {name.lower(): value for name, value in headers.items()}
        assert headers["content-type"] == "application/json"
        body = await reader.readexactly(int(headers["content-length"]))
        signers = [n for n, one in enumerate(self.secrets) if _verified(one, body, headers)]
        event = json.loads(body)
        assert set(event) == {"type", "timestamp", "data"}
        return Seen(headers["webhook-id"], event["type"], event["data"], signers, body)


def _verified(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        receiver.released.set()
        server.close()
