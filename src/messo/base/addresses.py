"""Which addresses may be connected to, and how an address is read out of a URL or a name."""

import asyncio
import contextlib
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from messo.base.outbound_errors import ForbiddenAddressError, UnreachableError

Network = IPv4Network | IPv6Network
Resolve = Callable[[str], Awaitable[Sequence[str]]]

# Lists of our own: `ipaddress.is_global` differs between releases of Python.
# Source: the IANA special-purpose address registries (RFC 6890 and its successors).
_SPECIAL = [
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind a carrier's NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local; clouds tell secrets there
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",
        "2001::/23",  # among them Teredo, which carries an IPv4 address
        "2001:db8::/32",
        "2002::/16",  # 6to4, which carries one too
        "3fff::/20",
    )
]
# Nothing else of IPv6 is routed on the internet, so mapped, compatible and translated IPv4
# addresses, loopback, site-local and unique local ones lie outside.
_GLOBAL_6 = ip_network("2000::/3")

# Stricter than the URL standard, so that no two readers can disagree about the host: plain ASCII,
# no backslash, nothing percent-encoded or unescaped before the path.
_URL = re.compile(
    r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9._-]{1,254})(?::([0-9]{1,5}))?((?:[/?#][\x21-\x5b\x5d-\x7e]*)?)\Z",
    re.IGNORECASE | re.ASCII,  # else k, s and i have relatives outside ASCII
)
_SCHEME = re.compile(r"(?!https?:)[a-z][a-z0-9+.-]*:", re.IGNORECASE | re.ASCII)
_CREDENTIALS = re.compile(r"https?://[^/?#\\]*@", re.IGNORECASE | re.ASCII)
_LABELS = re.compile(
    r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?\Z", re.ASCII
)
# Such a host is an IPv4 address in some form, for whoever reads leniently ("0x7f.1").
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?\Z", re.ASCII)
_LONGEST = 8192  # characters of a URL
_LOOKUPS = 64  # names looked up at the same time
_LOOKUPS_OF_ONE = 8


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is routed on the internet, to a single host."""
    if isinstance(address, IPv6Address) and (address.scope_id or address not in _GLOBAL_6):
        return False
    return not any(address in network for network in _SPECIAL)


@dataclass(frozen=True, slots=True)
class Permitted:
    """What may be connected to: what the operator listed and, if `public`, the internet."""

    listed: Sequence[Network]
    public: bool

    def __contains__(self, text: str) -> bool:
        """Whether this address, in its canonical form, is one of them."""
        try:
            address = ip_address(text)
        except ValueError:
            return False
        if any(address in network for network in self.listed):
            return True
        return self.public and is_public(address)

    def require(self, text: str) -> None:
        """Raise `ForbiddenAddressError` unless it may be connected to."""
        if text not in self:
            raise self.refusal([text])

    def refusal(self, texts: Sequence[str]) -> ForbiddenAddressError:
        """Why none of these will do: where only encryption is missing, that is what is said."""
        encrypted = Permitted(self.listed, public=True)
        missing = not self.public and any(text in encrypted for text in texts)
        return ForbiddenAddressError("scheme" if missing else "address")


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a URL leads to. `host` is in lower case; `is_literal`: it is an address, not a name."""

    url: URL
    scheme: str
    host: str
    port: int
    is_literal: bool


def parse(text: str) -> Target:
    """The parts of a URL that could be asked; whether its address is permitted comes later.

    Raises `ForbiddenAddressError`.
    """
    found = _URL.match(text) if len(text) <= _LONGEST else None
    if found is None:
        raise ForbiddenAddressError(
            ("scheme" if _SCHEME.match(text) else None)
            or ("credentials" if _CREDENTIALS.match(text) else "url")
        )
    scheme, host = found[1].lower(), found[2].lower()
    port = int(found[3] or (443 if scheme == "https" else 80))
    name = host.strip("[]")
    is_literal = _is_address(name)
    if not 0 < port < 1 << 16 or not (is_literal or _LABELS.match(host)):
        raise ForbiddenAddressError("url")
    if _NUMERIC.match(host) and not is_literal:
        raise ForbiddenAddressError("address")
    # What follows the host goes out as it came: it may be signed, or a secret.
    url = URL(f"{scheme}://{host}:{port}{found[4]}", encoded=True)
    return Target(url, scheme, name, port, is_literal)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class Resolver(AbstractResolver):
    """Names to addresses that may be connected to, all others left out."""

    def __init__(self, resolve: Resolve, permitted: Permitted) -> None:
        self._resolve = resolve
        self._permitted = permitted

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002  always that
    ) -> list[ResolveResult]:
        """The good addresses of a name. Raises `UnreachableError` or `ForbiddenAddressError`."""
        try:
            found = await self._resolve(host)
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise UnreachableError("name")
        good = [address for address in found if address in self._permitted]
        if not good:
            raise self._permitted.refusal(found)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in good
        ]

    async def close(self) -> None:
        """Nothing is kept."""


_owner: ContextVar[str] = ContextVar("owner", default="")


@asynccontextmanager
async def looking_up_for(owner: str) -> AsyncIterator[None]:
    """Names looked up within are this owner's: many that hang leave threads to others' names."""
    token = _owner.set(owner)
    try:
        yield
    finally:
        _owner.reset(token)


class SystemNames:
    """Looks names up as the system does, in threads of its own.

    The event loop has four or so, and as many names whose servers hang would stop all others. A
    look-up that nobody waits for any longer still has its thread, so those of one owner are few.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUPS, "names")
        self._unfinished: Counter[str] = Counter()

    async def __call__(self, host: str) -> Sequence[str]:
        """The addresses of a name, without doubles. Raises `OSError`."""
        owner, loop = _owner.get(), asyncio.get_running_loop()
        if owner and self._unfinished[owner] >= _LOOKUPS_OF_ONE:
            raise OSError("too many names that nobody knows")
        self._unfinished[owner] += 1
        looked = self._threads.submit(_look_up, host)

        def finished(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has gone before the thread
                loop.call_soon_threadsafe(self._finished, owner)

        looked.add_done_callback(finished)
        return list(dict.fromkeys(await asyncio.wrap_future(looked)))

    def _finished(self, owner: str) -> None:
        self._unfinished[owner] -= 1
        if not self._unfinished[owner]:
            del self._unfinished[owner]

    def close(self) -> None:
        """Wait for nothing; what is being looked up ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str) -> Iterable[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]
