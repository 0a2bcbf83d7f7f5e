"""Requests and answers of the API, problem documents (RFC 9457), and bodies read within bounds.

API routes are plain ASGI callables made by `endpoint.Endpoint`: no framework stands between the server and
a function that takes a `Request` and returns an `Answer`.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec

from messo.base.ids import new_id

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

# Some proxies write 192.0.2.1:50312 or [2001:db8::1]:50312.
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?\Z|([\d.]+):\d+\Z")

JSON = (b"content-type", b"application/json; charset=utf-8")
PROBLEM = (b"content-type", b"application/problem+json")
# How much of a refused body is waited for: bytes, and seconds, of the ten that a request may take.
_DROPPED, _DROPPED_S = 16 * 1024 * 1024, 3.0
_SLOW_S = 0.4  # with the second that keys are remembered for, what is revoked is seen in time
# The reference platform's own, for machines that read answers, and for browsers that open them.
SECURITY: Headers = (
    (b"content-security-policy", b"default-src 'none'; upgrade-insecure-requests"),
    (b"cross-origin-embedder-policy", b"require-corp"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"origin-agent-cluster", b"?1"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=15552000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-dns-prefetch-control", b"off"),
    (b"x-download-options", b"noopen"),
    (b"x-frame-options", b"DENY"),
    (b"x-permitted-cross-domain-policies", b"none"),
    (b"x-xss-protection", b"0"),
    # Any page may call the API with a key of its own. Without allow-credentials no page of another
    # site reads an answer to a cookie.
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"*"),
)


class Answer:
    """Status, body and the headers beyond the usual ones."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes, headers: Headers = (JSON,)) -> None:
        self.status = status
        self.body = body
        self.headers = list(headers)


class StreamedAnswer(Answer):
    """An answer too large for memory: its body comes in pieces.

    `close` is called at the end, however that comes. `within_s`: how long it may take to send,
    with a client that is slow to read. Without a content-length among the headers it is sent in
    chunks.
    """

    __slots__ = ("close", "pieces", "within_s")

    def __init__(
        self,
        status: int,
        pieces: AsyncIterator[bytes],
        headers: Headers,
        close: Callable[[], Awaitable[object]] | None = None,
        within_s: float | None = None,
    ) -> None:
        super().__init__(status, b"", headers)
        self.pieces = pieces
        self.close = close
        self.within_s = within_s


class Problem(Exception):  # noqa: N818  RFC 9457 calls it a problem
    """A refusal: `title` is stable and may be compared, `detail` is for the person who reads it."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        field: str | None = None,
        type_uri: str | None = None,
        headers: Headers = (),
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.field = field
        self.type_uri = type_uri
        self.headers = headers

    def answer(self) -> Answer:
        document: dict[str, Any] = {
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.field is not None:
            document["field"] = self.field
        if self.type_uri is not None:
            document["type"] = self.type_uri
        return Answer(self.status, msgspec.json.encode(document), [PROBLEM, *self.headers])


class GatewayProblem(Problem):
    """A refusal in the shape of the gateway that stands before the reference platform."""

    def __init__(self, status: int, message: str, headers: Headers = ()) -> None:
        super().__init__(status, message, message, headers=headers)

    def answer(self) -> Answer:
        body = msgspec.json.encode({"statusCode": self.status, "message": self.detail})
        return Answer(self.status, body, [(b"content-type", b"application/json"), *self.headers])


class ClientGoneError(Exception):
    """The client closed the connection before it had sent its body."""


class Request:
    """What a route may know of a request."""

    __slots__ = ("_headers", "again", "answer_headers", "id", "path", "receive", "scope")

    def __init__(self, scope: Scope, receive: Receive, path: Mapping[str, str]) -> None:
        self.scope = scope
        self.receive = receive
        self.path = path
        self.id = new_id()
        self.answer_headers: list[tuple[bytes, bytes]] = []  # added to whatever is answered
        self._headers: dict[bytes, bytes] | None = None
        # Whoever lets a request pass says here how to look again; see `still_allowed`. It is given
        # the request and must not hold it: a circle is left to the collector, who makes all wait.
        self.again: Callable[[Request], Awaitable[object]] | None = None

    async def still_allowed(self) -> None:
        """Look once more who asks: a key that died meanwhile must not write any more."""
        if self.again is not None:
            await self.again(self)

    def header(self, name: bytes) -> str | None:
        """A header's value (latin-1), by lower-case name; of several the first."""
        if self._headers is None:
            self._headers = dict(reversed(self.scope["headers"]))
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; of several the last."""
        return dict(parse_qsl(self.scope["query_string"].decode("latin-1")))

    def client_address(self, trusted: Sequence[Any]) -> str | None:
        """The client's address, or None where it cannot be known.

        X-Forwarded-For is read from the right, and only as far as trusted proxies wrote it. Its
        lines count as one list (RFC 9110, section 5.3): a proxy may add a line of its own.
        """
        client = self.scope.get("client")
        address: str | None = client[0] if client else None
        if not trusted or address is None or not _within(address, trusted):
            return address
        lines = [v for name, v in self.scope["headers"] if name == b"x-forwarded-for"]
        for hop in reversed(b",".join(lines).decode("latin-1").split(",")):
            candidate = hop.strip()
            if port := _WITH_PORT.match(candidate):
                candidate = port.group(1) or port.group(2)
            try:
                ip_address(candidate)
            except ValueError:
                return None
            address = candidate
            if not _within(candidate, trusted):
                break
        return address

    async def json_body(self, limit: int) -> bytes:
        """The body, if it says it is JSON and fits `limit` bytes.

        415 or 413 otherwise; `ClientGoneError` if the client hangs up. How long a body may take
        is the server's affair (`base/server.py`).
        """
        kind = self.header(b"content-type")
        if kind is not None and not _is_json(kind):
            raise Problem(
                415,
                "Unsupported media type",
                f"The body must be JSON: send Content-Type: application/json, not {kind[:80]!r}.",
                field="Content-Type",
            )
        if self.header(b"content-encoding") not in (None, "identity"):
            raise Problem(
                415,
                "Unsupported media type",
                "Compressed bodies are not read: send the JSON as it is, without Content-Encoding.",
                field="Content-Encoding",
            )
        return await self.body(limit)

    async def form_body(self, limit: int) -> list[tuple[str, str]]:
        """The fields of a form in their order, if it is one and fits `limit` bytes.

        415, 413 or 400 otherwise; `ClientGoneError` if the client hangs up.
        """
        kind = (self.header(b"content-type") or "").split(";", 1)[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise Problem(
                415,
                "Unsupported media type",
                "Send a form: Content-Type: application/x-www-form-urlencoded.",
                field="Content-Type",
            )
        body = await self.body(limit)
        try:
            return parse_qsl(
                body.decode("ascii"), keep_blank_values=True, max_num_fields=100, errors="strict"
            )
        except ValueError:
            raise Problem(400, "Bad request", "This is not a form as browsers send them.") from None

    async def body(self, limit: int) -> bytes:
        """The body, whatever it says it is. 413 if it does not fit `limit` bytes.

        After a body that took its time it is asked once more whether the request may go on.
        """
        began = time.monotonic()
        if int(self.header(b"content-length") or 0) > limit:
            await self._drop_rest()
            raise _too_large(limit)
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False)
            if size > limit:
                if more:
                    await self._drop_rest()
                raise _too_large(limit)
        if time.monotonic() - began > _SLOW_S:
            await self.still_allowed()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _drop_rest(self) -> None:
        """Read what comes of a body that is refused, within bounds.

        Who sends all before they read would see a reset connection instead of the answer, were it
        closed with bytes unread. Who asks first (RFC 9110, section 10.1.1) is not told to go on.
        """
        left, more = _DROPPED, self.header(b"expect") is None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DROPPED_S):
                while more and left > 0:
                    message = await self.receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGoneError
                    left -= len(message.get("body", b""))
                    more = message.get("more_body", False)


def _is_json(content_type: str) -> bool:
    media = content_type.split(";", 1)[0].strip().lower()
    return media == "application/json" or (
        media.startswith("application/") and media.endswith("+json")
    )


def _within(address: str, networks: Sequence[Any]) -> bool:
    parsed = ip_address(address)
    # A server that listens on :: sees IPv4 clients as ::ffff:a.b.c.d.
    plain = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(plain in network for network in networks)


def _too_large(limit: int) -> Problem:
    return Problem(
        413,
        "Payload too large",
        f"The body may be at most {limit} bytes.",
        headers=[(b"connection", b"close")],
    )


def not_available(detail: str, retry_after_seconds: int = 1) -> Problem:
    """503: what is asked cannot be done now, and when to try again."""
    return Problem(
        503,
        "Service unavailable",
        detail,
        headers=[(b"retry-after", b"%d" % retry_after_seconds)],
    )


@dataclass(frozen=True)
class Parameter:
    """One parameter of a route, for the reference."""

    name: str
    place: Literal["path", "query", "header"]
    about: str
    required: bool = False
    type: Any = str


@dataclass(frozen=True)
class Route:
    """One operation of the API: where it is, what runs, and what the reference says of it.

    `answers` maps a status to the type of the body and what it means. `public`: nobody needs to
    say who they are. `takes_rest`: the last parameter is all the rest of the path, with its slashes.
    """

    method: str
    path: str  # /api/v1/messages/{fiscal_code}
    name: str
    function: Callable[[Request], Awaitable[Answer]]
    summary: str
    about: str = ""
    body: Any = None
    answers: Mapping[int, tuple[Any, str]] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    public: bool = False
    takes_rest: bool = False
