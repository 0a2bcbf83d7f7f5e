"""Where mail is handed over, from one address in the settings."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

Security = Literal["starttls", "tls", "none"]

_SCHEMES: dict[str, tuple[Security, int]] = {
    "smtp": ("starttls", 587),  # RFC 6409
    "smtps": ("tls", 465),  # RFC 8314
    "smtp+plain": ("none", 25),
}


@dataclass(frozen=True, slots=True)
class MailServer:
    """A relay. `starttls`: TLS is begun by a command and is not optional; `tls`: from the start.

    `username` is empty where nobody logs in.
    """

    host: str
    port: int
    security: Security
    username: str = ""
    password: str = field(default="", repr=False)


def parse_server(url: str) -> MailServer:
    """`smtp://user:password@host:587`, `smtps://host`, `smtp+plain://127.0.0.1:25`.

    Without TLS only to this machine. `ValueError` says in a sentence what is wrong, and never
    repeats what was given: a password may stand anywhere in it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # The library's own words quote what it took for the port.
        raise ValueError(
            "The mail server's address cannot be read: percent-encode what is special in its "
            "user name and password."
        ) from None
    if parts.scheme not in _SCHEMES:
        raise ValueError(
            "The mail server's address begins with smtp:// (STARTTLS), smtps:// (TLS) or, for "
            "this machine only, smtp+plain://."
        )
    security, usual = _SCHEMES[parts.scheme]
    host = parts.hostname or ""
    _must_be_complete(parts, host)
    if security == "none" and not _is_here(host):
        raise ValueError(
            "Without TLS mail is handed over on a loopback address only: use smtp:// or smtps://."
        )
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(username) != bool(password):
        raise ValueError("The mail server's address needs a user name and a password, or neither.")
    if not (host + username + password).isprintable():
        raise ValueError("The mail server's address holds control characters.")
    return MailServer(host, usual if port is None else port, security, username, password)


def _must_be_complete(parts: SplitResult, host: str) -> None:
    if not host:
        raise ValueError("The mail server's address names no host.")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError(
            "The mail server's address ends after host and port: percent-encode what is special "
            "in its user name and password."
        )
    if parts.port == 0:
        raise ValueError("The mail server's port is a number from 1 to 65535.")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"  # RFC 6761, section 6.3
