"""Why a mail was not sent, told by what can be done about it.

No error holds an address or a relay's words, which quote addresses.
"""

import re
import ssl

from aiosmtplib.errors import SMTPResponseException

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
# RFC 3463 section 3.2, RFC 7505: mailbox, system or syntax wrong, moved, and no mail at all.
NO_SUCH_ADDRESS = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})


class MailError(Exception):
    """A mail that was not sent. `reason`: "550 5.1.1", "timeout" and the like."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NoSuchAddressError(MailError):
    """The address does not exist.

    Said only by an enhanced status code (RFC 3463). A bare 550 is also how relays refuse *us*,
    for want of reputation or by a rule, and that must switch nobody's address off.
    """


class RefusedError(MailError):
    """For good, but not for a fault of the address: policy, a full mailbox, our login, our sender."""


class LaterError(MailError):
    """Not now. `after_s` where the moment is known; `tried` is False when nothing was asked.

    Where the relay's answer to a whole mail was lost, it may have been sent.
    """

    def __init__(self, reason: str, after_s: float | None = None, *, tried: bool = True) -> None:
        super().__init__(reason)
        self.after_s = after_s
        self.tried = tried


def refusal(code: int, text: str, *, of_address: bool) -> MailError:
    """What a negative answer means. `of_address`: it may be about who is written to."""
    found = _ENHANCED.match(text)
    status = found.group(1) if found else ""
    reason = f"{code} {status}".strip()
    if code // 100 != 5:  # noqa: PLR2004  4xx passes; what is neither, nobody can interpret
        return LaterError(reason)
    if of_address and status in NO_SUCH_ADDRESS:
        return NoSuchAddressError(reason)
    return RefusedError(reason)


def no_connection(fault: Exception) -> MailError:
    """Why there is no connection, greeting, TLS or login."""
    if isinstance(fault, SMTPResponseException):
        return refusal(fault.code, fault.message, of_address=False)
    if isinstance(fault, ssl.SSLError) or isinstance(fault.__cause__, ssl.SSLError):
        return LaterError("TLS")
    if isinstance(fault, TimeoutError):
        return LaterError("timeout")
    if isinstance(fault, OSError):
        return LaterError("no connection")
    return LaterError("TLS or login is not offered")
