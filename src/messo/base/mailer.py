"""Mail handed over to the relay of the installation: SMTP (RFC 5321) over connections kept open.

`send` takes bounded time, and what went wrong is told by what can be done about it. No error holds
an address or the relay's words, which quote addresses.
"""

import asyncio
import contextlib
import re
import ssl
import time
from dataclasses import dataclass

from aiosmtplib import SMTP, errors
from aiosmtplib.response import SMTPResponse

from messo.base.breaker import Breaker
from messo.base.mail_errors import (
    NO_SUCH_ADDRESS,
    LaterError,
    MailError,
    NoSuchAddressError,
    RefusedError,
    no_connection,
    refusal,
)
from messo.base.pacing import Pace
from messo.base.smtp_server import MailServer, parse_server

__all__ = [
    "NO_SUCH_ADDRESS",
    "LaterError",
    "MailError",
    "MailServer",
    "Mailer",
    "NoSuchAddressError",
    "RefusedError",
    "parse_server",
]

_MAILS = 100  # over one connection
_LIVES_S = 300.0  # a connection; relays close idle ones after about as long
_ALIVE_WITHIN_S = 5.0  # for a connection that has been idle
_FRESH_S = 1.0  # after a mail, for so long nobody needs to ask whether the relay is still there
_QUIT_WITHIN_S = 1.0
_FAILURES = 3  # in a row, and the relay is not there
_LONGEST_REST_S = 300.0
_CLOSING = 421  # RFC 5321, section 3.8: may come at any moment, and the connection is over
# Printable ASCII without what ends an address on a command line.
_ADDRESS = re.compile(r"[!-;=?A-~]{1,64}@[!-;=?A-~]{1,255}\Z")


class _LostError(LaterError):
    """The connection is over. `sent`: the mail itself may have gone out."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


class _NoLineError(Exception):
    """There is no connection. `told`: what the caller learns."""

    def __init__(self, told: MailError) -> None:
        super().__init__(told.reason)
        self.told = told


@dataclass(slots=True)
class _Line:
    """A connection to the relay, greeted and logged in.

    `is_clean`: no mail has begun that did not end (RFC 5321, section 4.1.1.4, resets after each).
    """

    client: SMTP
    opened: float
    mails: int = 0
    is_clean: bool = True
    used: float = 0.0

    def may_go_on(self) -> bool:
        age = time.monotonic() - self.opened
        return self.client.is_connected and self.mails < _MAILS and age < _LIVES_S

    async def hang_up(self) -> None:
        """Politely, but not for long."""
        with contextlib.suppress(errors.SMTPException, OSError):
            await self.client.quit(timeout=_QUIT_WITHIN_S)
        self.client.close()


class Mailer:
    """The way to one relay.

    `connections` at most; of the mails to one domain `per_domain` under way and
    `per_domain_minute` a minute; `total_s` for everything about one mail. While the relay is not
    there, mails are turned away at once for `rest_s`, growing to 5 minutes. `tls`: whom to trust,
    if not the authorities this machine trusts.
    """

    def __init__(
        self,
        server: MailServer,
        *,
        connections: int = 4,
        per_domain: int = 2,
        per_domain_minute: int = 120,
        total_s: float = 20,
        rest_s: float = 5,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._server = server
        self._tls = None
        if server.security != "none":
            self._tls = tls or ssl.create_default_context()
        self._total_s = total_s
        self._free = asyncio.Semaphore(connections)
        self._idle: list[_Line] = []
        self._pace = Pace(per_domain, per_domain_minute)
        self._relay = Breaker(rest_s, _LONGEST_REST_S, _FAILURES)
        self._own_name: str | None = None
        self._closed = False

    async def send(self, sender: str, to: str, message: bytes) -> None:
        """Hand over one mail: envelope addresses, and the mail (RFC 5322) with CRLF.

        Returns when the relay has taken it. Raises a `MailError`, or `ValueError` for what is no
        plain ASCII address, such as one with a line break.
        """
        if not (_ADDRESS.match(sender) and _ADDRESS.match(to)):
            raise ValueError("an envelope address is not one")
        if wait := self.rests_s():
            raise LaterError("resting", wait, tried=False)
        domain = to.rpartition("@")[2].lower()
        if wait := self._pace.enter(domain):
            raise LaterError("too many to this domain", wait, tried=False)
        probe = self._relay.begin()
        try:
            async with asyncio.timeout(self._total_s):
                await self._in_turn(sender, to, message)
        except (TimeoutError, _LostError, _NoLineError) as fault:
            self._relay.failed(time.monotonic(), probe=probe)
            raise _told(fault) from None
        finally:
            if probe:  # whatever became of it; after an answer or a failure this changes nothing
                self._relay.abandoned()
            self._pace.leave(domain)

    def rests_s(self) -> float:
        """How long nothing is sent, because the relay did not answer; 0 where it does."""
        return self._relay.wait_s(time.monotonic())

    async def close(self) -> None:
        """Hang up; what is under way ends first, and hangs up then."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(line.hang_up() for line in idle))

    async def _in_turn(self, sender: str, to: str, message: bytes) -> None:
        try:
            # Who comes later than that would have no time left.
            async with asyncio.timeout(self._total_s / 2):
                await self._free.acquire()
        except TimeoutError:
            raise LaterError("no free connection", tried=False) from None
        try:
            await self._hand_over(sender, to, message)
        finally:
            self._free.release()

    async def _hand_over(self, sender: str, to: str, message: bytes) -> None:
        line = await self._idle_line()
        if line is not None:
            try:
                await self._use(line, sender, to, message)
            except _LostError as lost:
                if lost.sent:
                    raise
            else:
                return
        # Relays close what is idle: once more, over a new connection.
        await self._use(await self._open(), sender, to, message)

    async def _idle_line(self) -> _Line | None:
        while self._idle:
            line = self._idle.pop()
            if line.may_go_on():
                return line
            await line.hang_up()
        return None

    async def _open(self) -> _Line:
        server = self._server
        client = SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username or None,
            password=server.password or None,
            local_hostname=self._own_name,
            timeout=self._total_s,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=self._tls,
        )
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
        except (errors.SMTPException, OSError, ValueError) as fault:
            client.close()
            # A login that is refused counts too: who goes on trying is locked out.
            raise _NoLineError(no_connection(fault)) from None
        except BaseException:
            client.close()
            raise
        self._own_name = client.local_hostname  # looked up once: a resolver that is down is slow
        return _Line(client, time.monotonic())

    async def _use(self, line: _Line, sender: str, to: str, message: bytes) -> None:
        try:
            await _announce(line, sender, to, message)
            await _transmit(line, message)
        except _LostError:
            line.client.close()
            raise
        except MailError:
            await self._put_back(line)
            raise
        except BaseException:  # cancelled, or out of time
            line.client.close()
            raise
        else:
            await self._put_back(line)

    async def _put_back(self, line: _Line) -> None:
        self._relay.answered()
        line.mails += 1
        line.used = time.monotonic()
        if line.may_go_on() and not self._closed:
            self._idle.append(line)
        else:
            await line.hang_up()


def _told(fault: TimeoutError | _LostError | _NoLineError) -> MailError:
    if isinstance(fault, _NoLineError):
        return fault.told
    return fault if isinstance(fault, _LostError) else LaterError("timeout")


async def _announce(line: _Line, sender: str, to: str, message: bytes) -> None:
    """The envelope."""
    client = line.client
    options: list[bytes] = []
    if client.supports_extension("size"):
        options.append(b"SIZE=%d" % len(message))  # RFC 1870: too large is said before it is sent
    if not message.isascii():
        if not client.supports_extension("8bitmime"):
            raise RefusedError("8BITMIME is not offered")  # RFC 6152, section 3
        options.append(b"BODY=8BITMIME")
    if not line.is_clean or (line.mails and time.monotonic() - line.used > _FRESH_S):
        _must_be_fine(await _ask(client, b"RSET", within_s=_ALIVE_WITHIN_S))
    line.is_clean = False
    _must_be_fine(await _ask(client, b"MAIL", b"FROM:<" + sender.encode() + b">", *options))
    _must_be_fine(await _ask(client, b"RCPT", b"TO:<" + to.encode() + b">"), of_address=True)


async def _ask(client: SMTP, *command: bytes, within_s: float | None = None) -> SMTPResponse:
    try:
        answer = await client.execute_command(*command, timeout=within_s)
    except (errors.SMTPServerDisconnected, errors.SMTPTimeoutError):
        raise _LostError("connection lost", sent=False) from None
    except errors.SMTPResponseException:
        raise _LostError("not an answer", sent=False) from None
    if answer.code == _CLOSING:
        raise _LostError("421", sent=False)
    return answer


async def _transmit(line: _Line, message: bytes) -> None:
    try:
        await line.client.data(message, timeout=None)
        line.is_clean = True
    except errors.SMTPDataError as error:
        raise refusal(error.code, error.message, of_address=True) from None
    except (errors.SMTPServerDisconnected, errors.SMTPTimeoutError):
        # Lost before the answer: a second try may be a second mail, so the caller decides.
        raise _LostError("connection lost", sent=True) from None
    except errors.SMTPResponseException:
        raise _LostError("not an answer", sent=True) from None


def _must_be_fine(answer: SMTPResponse, *, of_address: bool = False) -> None:
    if answer.code // 100 != 2:  # noqa: PLR2004  RFC 5321, section 4.2.1
        raise refusal(answer.code, answer.message, of_address=of_address)
