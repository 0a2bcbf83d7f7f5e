"""The sandbox's mail server: takes every mail, keeps the last ones to look at, and sends none on.

What happens is decided by the domain that is written to, so that refusals and delays can be tried.
It listens on loopback only, in the server process, and forgets everything when that ends.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from aiosmtpd.smtp import SMTP, Envelope, Session

from messo.base import clock

NO_SUCH_ADDRESS = "bounces.example.org"
MAILBOX_FULL = "full.example.org"
SLOW = "slow.example.org"

_ANSWERS = {
    NO_SUCH_ADDRESS: "550 5.1.1 There is no such mailbox here",
    MAILBOX_FULL: "452 4.2.2 This mailbox is full",
}
_KEPT = 200
_LARGEST = 1024 * 1024  # bytes of a mail
_IDLE_S = 60.0  # a connection that says nothing


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as it came, one for each recipient; `number` counts from 1."""

    number: int
    sender: str
    recipient: str
    raw: bytes
    at: datetime


class MailSink:
    """The server. `port` 0: a free one, known once it has started; `slow_s`: how slow "slow" is."""

    def __init__(self, port: int, slow_s: float = 3.0) -> None:
        self.port = port
        self.slow_s = slow_s
        self._mails: deque[Mail] = deque(maxlen=_KEPT)
        self._count = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.BaseTransport] = set()

    @property
    def mails(self) -> Sequence[Mail]:
        """The last 200, oldest first."""
        return list(self._mails)

    def mail(self, number: int) -> Mail | None:
        """One of them."""
        return next((mail for mail in self._mails if mail.number == number), None)

    async def start(self) -> None:
        """Listen. `OSError` when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more, and end the conversations under way."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for transport in list(self._open):
            transport.close()

    def keep(self, sender: str, recipients: Sequence[str], raw: bytes) -> None:
        """Put a mail where it can be looked at."""
        for recipient in recipients:
            self._count += 1
            self._mails.append(Mail(self._count, sender, recipient, raw, clock.now()))

    def _protocol(self) -> SMTP:
        return _Conversation(_Handler(self), self._open)


class _Conversation(SMTP):
    """The library's, known to the sink while it is open."""

    def __init__(self, handler: "_Handler", open_ones: set[asyncio.BaseTransport]) -> None:
        super().__init__(
            handler,
            hostname="sandbox",
            ident="Messo sandbox",
            data_size_limit=_LARGEST,
            timeout=_IDLE_S,
            loop=asyncio.get_running_loop(),
        )
        self._open_ones = open_ones

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._open_ones.add(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self.transport is not None:
            self._open_ones.discard(self.transport)
        super().connection_lost(error)


class _Handler:
    """What is answered; the names of the methods are the library's."""

    def __init__(self, sink: MailSink) -> None:
        self._sink = sink

    async def handle_RCPT(  # noqa: N802
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]
    ) -> str:
        refusal = _ANSWERS.get(_domain(address))
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Fine"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802
        if SLOW in map(_domain, envelope.rcpt_tos):
            await asyncio.sleep(self._sink.slow_s)
        content = envelope.content
        raw = content if isinstance(content, bytes) else (content or "").encode()
        self._sink.keep(envelope.mail_from or "", envelope.rcpt_tos, raw)
        return "250 2.0.0 Kept for you to look at"


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()
