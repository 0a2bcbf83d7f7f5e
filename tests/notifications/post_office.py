"""A real SMTP server on loopback: it keeps what it takes, and refuses whom it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP

from messo.base.mailer import Mailer
from messo.base.smtp_server import MailServer


@dataclass
class Taken:
    """One mail as it came in."""

    sender: str
    recipient: str
    raw: bytes

    @property
    def mail(self) -> EmailMessage:
        parsed = message_from_bytes(self.raw, policy=default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    def text(self, kind: str) -> str:
        """The part of this kind, "plain" or "html"."""
        part = self.mail.get_body((kind,))
        assert part is not None
        return str(part.get_content())


@dataclass
class PostOffice:
    """`answers`: what is said to `RCPT TO` of an address, instead of taking it."""

    mailer: Mailer
    taken: list[Taken] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)

    async def handle_RCPT(  # noqa: N802  the library's names
        self, _: Any, __: Any, envelope: Any, address: str, ___: Any
    ) -> str:
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802
        (recipient,) = envelope.rcpt_tos
        self.taken.append(Taken(envelope.mail_from, recipient, envelope.original_content))
        return "250 taken"

    def to(self, recipient: str) -> list[Taken]:
        return [one for one in self.taken if one.recipient == recipient]


@asynccontextmanager
async def opened() -> AsyncIterator[PostOffice]:
    """Open until the end of the block."""
    offices: list[PostOffice] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(offices[0], loop=loop, hostname="loopback"), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    mailer = Mailer(MailServer("127.0.0.1", port, "none"), per_domain_minute=10_000)
    offices.append(PostOffice(mailer))
    yield offices[0]
    await mailer.close()
    server.close()
    await server.wait_closed()
