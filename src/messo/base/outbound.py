"""The only HTTP client for addresses that others gave us: bounded, and to public addresses only.

An address is checked when the connection is made, and what is connected to is what was checked:
a name that points elsewhere a moment later gains nothing. Redirects are not followed, cookies not
kept, and no proxy is taken from the environment.
"""

import functools
import re
import socket
import ssl
import weakref
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from prometheus_client import Counter

from messo.base.addresses import Network, Permitted, Resolve, Resolver, SystemNames, Target, parse
from messo.base.metrics import registry
from messo.base.outbound_errors import (
    BusyError,
    ForbiddenAddressError,
    OutboundError,
    TooLargeError,
    UnreachableError,
)
from messo.base.places import Outcome, Places

__all__ = [
    "BusyError",
    "ForbiddenAddressError",
    "Limits",
    "Outbound",
    "OutboundError",
    "Reply",
    "TooLargeError",
    "UnreachableError",
]

_HOSTS = 10_000
# Common servers close an idle connection after five seconds: we are first, so that a request is
# seldom sent into a connection that is just being closed.
_KEEP_S = 4.0
_UNABLE = {502, 503, 504}  # the host answers, and says that it cannot
_FIELD_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")  # RFC 9110, section 5.6.2
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e]*\Z")
_PER_CONNECTION = {"host", "connection", "content-length", "transfer-encoding", "te", "upgrade"}
_PACKED = {"gzip", "x-gzip", "deflate"}

outcomes = Counter(
    "messo_outbound", "Requests sent outside, by what came of them.", ["outcome"], registry=registry
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how large, at most.

    `connect_s`: until connected, names and TLS included. `total_s`: until the whole answer has
    come. `wait_s`: for a place, before all that. `answer_bytes`: of a body, unpacked.
    """

    connect_s: float = 2
    total_s: float = 10
    wait_s: float = 0.5
    answer_bytes: int = 64 * 1024


_USUAL = Limits()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whatever its status; 3xx among them. Names of headers ignore case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Outbound:
    """Sends requests. One for each process, so that its bounds hold for all of it."""

    def __init__(
        self,
        allowed: Sequence[Network] = (),
        *,
        per_host: int = 32,
        connections: int = 512,
        resolve: Resolve | None = None,
        open_s: float = 15,
        longest_s: float = 600,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`allowed`: networks that may be asked although not public, and without encryption.

        `per_host` and `connections`: requests under way to one host and in all. `open_s` and
        `longest_s`: how long a host that fails is left alone, at first and at most, in seconds.
        `resolve` and `tls` replace the system's names and authorities.
        """
        self._allowed = tuple(allowed)
        self._connections = connections
        self._places = Places(per_host, connections, open_s, _HOSTS, longest_s)
        self._names = SystemNames()
        self._resolve = resolve or self._names
        self._tls = tls
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        limits: Limits = _USUAL,
    ) -> Reply:
        """Send one request and read the whole answer.

        Raises `ForbiddenAddressError`, `UnreachableError`, `TooLargeError`, `BusyError`, and
        `OutboundError` itself for headers that cannot be sent.
        """
        try:
            target = parse(url)
            if target.is_literal:  # no resolver will see it
                Permitted(self._allowed, public=target.scheme == "https").require(target.host)
            sent = _headers(headers)
            place = await self._places.enter(
                (target.scheme, target.host, target.port), limits.wait_s
            )
            outcome: Outcome = "neither"
            try:
                reply = await self._exchange(method, target, sent, body, limits)
                outcome = "failed" if reply.status in _UNABLE else "answered"
            except UnreachableError:
                outcome = "failed"
                raise
            finally:
                place.leave(outcome)
        except OutboundError as error:
            _outcome(error.kind).inc()
            raise
        _outcome(f"{reply.status // 100}xx").inc()
        return reply

    def room(self, origin: str) -> tuple[int, float]:
        """How many more requests may begin at `https://host` now, and the seconds others better wait."""
        target = parse(origin)
        return self._places.room((target.scheme, target.host, target.port))

    async def close(self) -> None:
        """Close all connections. What is under way fails."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()
        self._names.close()

    async def _exchange(
        self, method: str, target: Target, headers: CIMultiDict[str], body: bytes, limits: Limits
    ) -> Reply:
        if self._is_crowded():
            headers["Connection"] = "close"
        session = self._session(target.scheme)
        try:
            response = await session.request(
                method,
                target.url,
                headers=headers,
                data=body or None,
                allow_redirects=False,
                timeout=_timeout(limits),
            )
            try:
                packed = await _read(response, method, limits.answer_bytes)
            finally:
                response.close()  # unless it was read to its end, and may be used again
        except (aiohttp.ClientError, OSError, RuntimeError, ValueError) as error:
            raise _foreseen(error) from None
        return _unpack(response, packed, limits.answer_bytes)

    def _session(self, scheme: str) -> aiohttp.ClientSession:
        """One for each scheme: without encryption fewer addresses are permitted."""
        session = self._sessions.get(scheme)
        if session is None:
            permitted = Permitted(self._allowed, public=scheme == "https")

            def connect(info: aiohttp.AddrInfoType) -> socket.socket:
                # Once more where it cannot be circumvented, whatever the layers above make of
                # a host.
                family, kind, protocol, _, address = info
                permitted.require(str(address[0]))
                opened = socket.socket(family, kind, protocol)
                self._open.add(opened)
                return opened

            session = self._sessions[scheme] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=Resolver(self._resolve, permitted),
                    ssl=self._tls or True,
                    limit=0,  # the places are the limit
                    keepalive_timeout=_KEEP_S,
                    socket_factory=connect,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "Messo"},
                skip_auto_headers=("Accept", "Content-Type"),
                auto_decompress=False,
                trust_env=False,
            )
        return session

    def _is_crowded(self) -> bool:
        """Whether so many connections are open that this one had better not be kept.

        Those under way have a bound; those kept for their next request would have none.
        """
        if len(self._open) < self._connections:
            return False
        for closed in [one for one in self._open if one.fileno() < 0]:
            self._open.discard(closed)
        return len(self._open) >= self._connections


@functools.cache
def _timeout(limits: Limits) -> aiohttp.ClientTimeout:
    """As aiohttp counts it: the whole time covers the reading of the body."""
    return aiohttp.ClientTimeout(
        total=limits.total_s, connect=limits.connect_s, ceil_threshold=1000
    )


@functools.cache
def _outcome(kind: str) -> Counter:
    return outcomes.labels(kind)


def _headers(given: Mapping[str, str] | None) -> CIMultiDict[str]:
    headers: CIMultiDict[str] = CIMultiDict(given or ())
    for name in headers:
        _check_name(name)
    # A tab is the one allowed character that is none of a text: all values at one look.
    if not _FIELD_VALUE.match("\t".join(headers.values())):
        raise OutboundError("header")
    headers["Accept-Encoding"] = "identity"
    return headers


@functools.lru_cache(maxsize=1000)
def _check_name(name: str) -> None:
    # The client writes those about the connection itself, so that they fit.
    if not _FIELD_NAME.match(name) or name.lower() in _PER_CONNECTION:
        raise OutboundError("header")


async def _read(response: aiohttp.ClientResponse, method: str, most: int) -> bytes:
    """The body as it came. `most`: bytes."""
    if method != "HEAD" and (response.content_length or 0) > most:
        raise TooLargeError("too large")
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > most:
            raise TooLargeError("too large")
    return bytes(body)


def _unpack(response: aiohttp.ClientResponse, body: bytes, most: int) -> Reply:
    """The answer, with its body unpacked if it was packed although we asked not to."""
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if not body or coding in {"identity", ""}:
        return Reply(response.status, response.headers, body)
    if coding not in _PACKED:
        raise TooLargeError("encoding")
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, whichever it is
    try:
        plain = unpacking.decompress(body, most + 1)
    except zlib.error:
        raise UnreachableError("malformed") from None
    if len(plain) > most:
        raise TooLargeError("too large")
    if not unpacking.eof:
        raise UnreachableError("malformed")
    headers = CIMultiDict(response.headers)
    for name in ("Content-Encoding", "Content-Length"):
        headers.popall(name, None)
    return Reply(response.status, CIMultiDictProxy(headers), plain)


def _foreseen(error: Exception) -> OutboundError:
    if isinstance(error, TimeoutError):
        return UnreachableError("timeout")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return UnreachableError("tls")
    if isinstance(error, aiohttp.ClientConnectorError):
        return UnreachableError("refused")
    if isinstance(error, aiohttp.InvalidURL):
        return ForbiddenAddressError("url")
    if isinstance(error, aiohttp.ClientResponseError | ValueError):
        return UnreachableError("malformed")
    return UnreachableError("reset")
