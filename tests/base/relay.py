"""Relays for tests on loopback: a well-behaved one of aiosmtpd's, and ones that follow a script."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from messo.base.smtp_server import MailServer


@dataclass
class Relay:
    """Takes mails, and refuses who it is told to. `refuses`: the answer to RCPT, by address."""

    refuses: dict[str, str] = field(default_factory=dict)
    password: str = ""
    mails: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most_open: int = 0
    transports: list[asyncio.WriteTransport] = field(default_factory=list)
    refuses_data: str = ""
    hold: asyncio.Event | None = None
    port: int = 0

    # The names, and what is handed over, are aiosmtpd's.
    async def handle_RCPT(  # noqa: N802
        self, _: SMTP, session: Any, envelope: Any, address: str, __: list[str]
    ) -> str:
        if self.password and not session.authenticated:
            return "530 5.7.0 Authentication required"
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, _: SMTP, __: Any, envelope: Any) -> str:  # noqa: N802
        if self.hold:
            await self.hold.wait()
        if self.refuses_data:
            return self.refuses_data
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 2.0.0 taken"

    def authenticate(self, _: SMTP, __: Any, ___: Any, ____: str, who: Any) -> Any:
        return AuthResult(success=who.password == self.password.encode(), handled=False)

    def server(self, security: Any = "none", username: str = "", password: str = "") -> MailServer:
        return MailServer("127.0.0.1", self.port, security, username, password)


@asynccontextmanager
async def relay(
    tls: ssl.SSLContext | None = None, port: int = 0, **known: Any
) -> AsyncIterator[Relay]:
    """A relay on a free port, TLS from the start where a context is given."""
    one = Relay(**known)

    class Counted(SMTP):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            one.connections += 1
            one.open_now += 1
            one.most_open = max(one.most_open, one.open_now)
            one.transports.append(cast(asyncio.WriteTransport, transport))
            super().connection_made(transport)

        def connection_lost(self, error: Exception | None) -> None:
            one.open_now -= 1
            super().connection_lost(error)

    def protocol() -> SMTP:
        return Counted(
            one,
            hostname="relay.example.org",
            loop=asyncio.get_running_loop(),
            authenticator=one.authenticate,
            auth_require_tls=False,
        )

    listening = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port, ssl=tls)
    one.port = listening.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        listening.close()
        for transport in one.transports:
            transport.abort()


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scripted(*scripts: Script) -> AsyncIterator[MailServer]:
    """The first connection follows the first script, and so on; the last one again and again."""
    left = list(scripts)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = left.pop(0) if len(left) > 1 else left[0]
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield MailServer("127.0.0.1", listening.sockets[0].getsockname()[1], "none")
    finally:
        listening.close()


async def converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *answers: bytes
) -> None:
    """Say the first answer, then one to each line that comes. After a 354 comes a whole mail."""
    writer.write(answers[0] + b"\r\n")
    for before, answer in pairwise(answers):
        await reader.readuntil(b"\r\n.\r\n" if before.startswith(b"354") else b"\r\n")
        writer.write(answer + b"\r\n")


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A self-signed one for 127.0.0.1: the server's context, and that of a client who trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = folder / "relay.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))
