"""The only HTTP client for addresses that others gave us: bounded, and to public addresses only.

An address is checked when the connection is made, and what is connected to is what was checked:
a name that points elsewhere a moment later gains nothing. Redirects are not followed, cookies not
kept, and no proxy is taken from the environment.
"""

import asyncio
import contextlib
import functools
import re
import socket
import ssl
import time
import weakref
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

import aiohttp
from multidict import CIMultiDict
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
from messo.base.outbound_reply import Limits, OpenReply, Reply, foreseen
from messo.base.places import Outcome, Places

__all__ = [
    "BusyError",
    "ForbiddenAddressError",
    "Limits",
    "OpenReply",
    "Outbound",
    "OutboundError",
    "Reply",
    "TooLargeError",
    "UnreachableError",
    "can_be_sent",
]

_HOSTS = 10_000
# Common servers close an idle connection after five seconds: we are first, so that a request is
# seldom sent into a connection that is just being closed.
_KEEP_S = 4.0
_READ_AHEAD = 64 * 1024  # bytes; each of many downloads holds so much, and what one read adds
_UNABLE = {502, 503, 504}  # the host answers, and says that it cannot
_FIELD_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")  # RFC 9110, section 5.6.2
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e]*\Z")
_PER_CONNECTION = {"host", "connection", "content-length", "transfer-encoding", "te", "upgrade"}

outcomes = Counter(
    "messo_outbound", "Requests sent outside, by what came of them.", ["outcome"], registry=registry
)


_USUAL = Limits()


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
        unable: Collection[int] = _UNABLE,
    ) -> None:
        """`allowed`: networks that may be asked although not public, and without encryption.

        `per_host` and `connections`: requests under way to one host and in all. `open_s` and
        `longest_s`: how long a host that fails is left alone, at first and at most, in seconds.
        `resolve` and `tls` replace the system's names and authorities. `unable`: statuses that
        count as failures of the host.
        """
        self._allowed = tuple(allowed)
        self._connections = connections
        self._places = Places(per_host, connections, open_s, _HOSTS, longest_s)
        self._names = SystemNames()
        self._resolve = resolve or self._names
        self._tls = tls
        self._unable = unable
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
        async with self.open(method, url, headers=headers, body=body, limits=limits) as reply:
            return await reply.read()

    @contextlib.asynccontextmanager
    async def open(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        limits: Limits = _USUAL,
        place: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> AsyncIterator[OpenReply]:
        """Send one request; its answer can be read, or passed on piece by piece, until this is left.

        `place`: whose places and circuit these are, if not the host's own. `tls`: for this request
        alone, with a certificate of ours or other authorities. Raises as `send` does, and so does
        reading the answer.
        """
        told = "cancelled"
        try:
            target = parse(url)
            if target.is_literal:  # no resolver will see it
                Permitted(self._allowed, public=target.scheme == "https").require(target.host)
            sent = _headers(headers)
            host = (target.scheme, target.host, target.port)
            key = host if place is None else (place, "", 0)
            taken = await self._places.enter(key, limits.wait_s)
            outcome: Outcome = "neither"
            try:
                try:
                    reply = await self._request(method, target, sent, body, limits, tls)
                except UnreachableError:
                    outcome = "failed"
                    raise
                outcome = "failed" if reply.status in self._unable else "answered"
                told = f"{reply.status // 100}xx"
                try:
                    yield reply
                finally:
                    reply.close()
                    if reply.is_broken:
                        # A server that was made to wait may have given up: that is not its fault.
                        outcome = "neither" if reply.was_held_up else "failed"
            finally:
                taken.leave(outcome)
        except OutboundError as error:
            told = error.kind
            raise
        finally:
            _outcome(told).inc()

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

    async def _request(
        self,
        method: str,
        target: Target,
        headers: CIMultiDict[str],
        body: bytes,
        limits: Limits,
        tls: ssl.SSLContext | None,
    ) -> OpenReply:
        if self._is_crowded():
            headers["Connection"] = "close"
        began = time.monotonic()
        try:
            async with asyncio.timeout(limits.first_byte_s or limits.total_s):
                response = await self._session(target.scheme).request(
                    method,
                    target.url,
                    headers=headers,
                    data=body or None,
                    allow_redirects=False,
                    timeout=_timeout(limits.connect_s),
                    ssl=tls or self._tls or True,
                )
        except (aiohttp.ClientError, OSError, RuntimeError, ValueError) as error:
            raise foreseen(error) from None
        return OpenReply(response, limits, time.monotonic() - began)

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
                    limit=0,  # the places are the limit
                    keepalive_timeout=_KEEP_S,
                    socket_factory=connect,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "Messo"},
                skip_auto_headers=("Accept", "Content-Type"),
                auto_decompress=False,
                read_bufsize=_READ_AHEAD,
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
def _timeout(connect_s: float) -> aiohttp.ClientTimeout:
    """Only of connecting: the other bounds are ours, for who passes an answer on may be slow."""
    return aiohttp.ClientTimeout(connect=connect_s, ceil_threshold=1000)


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


def can_be_sent(headers: Mapping[str, str]) -> bool:
    """Whether these names and values may stand in a request of ours."""
    try:
        _headers(headers)
    except OutboundError:
        return False
    return True


@functools.lru_cache(maxsize=1000)
def _check_name(name: str) -> None:
    # The client writes those about the connection itself, so that they fit.
    if not _FIELD_NAME.match(name) or name.lower() in _PER_CONNECTION:
        raise OutboundError("header")
