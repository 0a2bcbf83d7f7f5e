"""The outbound client against addresses that lead inside, and against servers that misbehave."""

import asyncio
import contextlib
import gzip
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from messo.base import addresses
from messo.base.addresses import is_public, parse
from messo.base.metrics import registry
from messo.base.outbound import (
    ForbiddenAddressError,
    Limits,
    Outbound,
    OutboundError,
    TooLargeError,
)

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
QUICK = Limits(total_s=0.3)
PATIENT = Limits(connect_s=10, total_s=30)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSE = OK.replace(b"Content", b"Connection: close\r\nContent")

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """A server on loopback that answers as it is told; heads of requests are kept."""

    port: int
    connections: int = 0
    heads: list[str] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


@contextlib.asynccontextmanager
async def serving(
    answer: bytes | Answer,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Server]:
    """`answer`: the bytes of every answer, or what to do once a head has been read."""
    server = Server(port)
    serving_now: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            while not writer.is_closing():
                server.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def served(task: asyncio.Task[None]) -> None:  # also if it was stopped before it began
            serving_now.discard(task)
            writer.transport.abort()

        task = asyncio.create_task(serve(reader, writer))
        serving_now.add(task)
        task.add_done_callback(served)

    listening = await asyncio.start_server(accept, host, port, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        # A connection accepted in this very moment is known a round later, and one aborted is
        # closed a round later: without them the loop would be closed over an open connection.
        for _ in range(3):
            await asyncio.sleep(0)
            for task in serving_now:
                task.cancel()
            await asyncio.gather(*serving_now, return_exceptions=True)
        await listening.wait_closed()


@contextlib.asynccontextmanager
async def client(**more: Any) -> AsyncIterator[Outbound]:
    outbound = Outbound(more.pop("allowed", LOOPBACK), **more)
    try:
        yield outbound
    finally:
        await outbound.close()


def names(*answers: Sequence[str]) -> Callable[[str], Awaitable[Sequence[str]]]:
    """A resolver whose answers follow each other; the last one stays."""
    left = list(answers)

    async def resolve(_: str) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


async def reason(outbound: Outbound, url: str, limits: Limits = PATIENT) -> str:
    with pytest.raises(OutboundError) as failed:
        await outbound.send("GET", url, limits=limits)
    assert str(failed.value) == failed.value.reason
    return f"{failed.value.kind}: {failed.value.reason}"


INSIDE = [
    "0.0.0.0",  # noqa: S104  connected to, not bound
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001:0:7f00:1::1",
    "2001:2::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", INSIDE)
async def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    """As it stands in the URL, and as what a name leads to."""
    host = f"[{address}]" if ":" in address else address
    async with client(allowed=(), resolve=names([address])) as outbound:
        assert await reason(outbound, f"https://{host}/") == "forbidden: address"
        assert await reason(outbound, f"https://{host}:8443/") == "forbidden: address"
        assert await reason(outbound, "https://name.example.org/") == "forbidden: address"


@pytest.mark.parametrize("address", ["1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "0177.1",
        "017700000001",
        "127.0.0.1.",
        "127.0.0.0x1",
        "0",
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
    ],
)
async def test_another_spelling_of_an_address_does_not_get_through(host: str) -> None:
    """Not even where the address itself is allowed."""
    async with serving(OK) as server, client() as outbound:
        assert await reason(outbound, f"http://{host}:{server.port}/") == "forbidden: address"
        assert not server.connections


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://1.1.1.1/", "scheme"),
        ("http://public.example.org/", "scheme"),
        ("ftp://127.0.0.1/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("gopher://127.0.0.1/", "scheme"),
        ("https://somebody@127.0.0.1/", "credentials"),
        ("https://some:body@127.0.0.1/", "credentials"),
        ("https://@127.0.0.1/", "credentials"),
        ("", "url"),
        ("/relative", "url"),
        ("//127.0.0.1/", "url"),
        ("https:127.0.0.1", "url"),
        ("https:///path", "url"),
        ("https://127.0.0.1:0/", "url"),
        ("https://127.0.0.1:65536/", "url"),
        ("https://127.0.0.1:+80/", "url"),
        ("https://127.0.0.1:80:90/", "url"),
        ("https://1.1.1.1\\@127.0.0.1/", "url"),
        ("https://1.1.1.1\\127.0.0.1/", "url"),
        ("https://127.0.0.1 .example.org/", "url"),
        ("https://127.0.0.1/\r\nX: y", "url"),
        ("https://127.0.0.1/\n", "url"),
        ("https://127.0.0.1/\x00", "url"),
        ("https://%31%32%37.0.0.1/", "url"),
        ("https://127。0。0。1/", "url"),
        ("https://①②⑦.⓪.⓪.①/", "url"),
        ("https://\u017fome.example.org/", "url"),
        ("https://\u0131t.example.org/", "url"),
        ("https://\u0130t.example.org/", "url"),
        ("https://\u212aelvin.example.org/", "url"),
        ("http\u017f://name.example.org/", "url"),
        ("\u212aelvin://name.example.org/", "url"),
        ("http\u017f://somebody@127.0.0.1/", "url"),
        ("https://[::1/", "url"),
        ("https://[fe80::1%25lo]/", "url"),
        ("https://[v1.127]/", "url"),
        ("https://a..b/", "url"),
        ("https://-a.example.org/", "url"),
        ("https://" + "a" * 64 + ".example.org/", "url"),
        ("https://a/" + "a" * 9000, "url"),
    ],
)
async def test_an_url_that_is_not_plain_is_refused(url: str, expected: str) -> None:
    async with client(allowed=(), resolve=names(["1.1.1.1"])) as outbound:
        assert await reason(outbound, url) == f"forbidden: {expected}"


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://1.1.1.1#@127.0.0.1/", "1.1.1.1", 443),
        ("https://1.1.1.1?@127.0.0.1:80/", "1.1.1.1", 443),
        ("https://1.1.1.1/@127.0.0.1", "1.1.1.1", 443),
        ("HTTPS://Name.Example.ORG.:8443", "name.example.org.", 8443),
        ("http://[2606:4700::1111]/", "2606:4700::1111", 80),
    ],
)
def test_the_host_of_an_url_is_what_stands_before_the_path(url: str, host: str, port: int) -> None:
    target = parse(url)
    assert (target.host, target.port) == (host, port)
    assert (target.url.raw_host, target.url.port) == (host, port)


async def test_only_the_good_addresses_of_a_name_are_connected_to() -> None:
    only = [ip_network("127.0.0.2/32")]
    async with (
        serving(OK, "127.0.0.2") as good,
        serving(OK, "127.0.0.1", good.port) as bad,
        client(allowed=only, resolve=names(["127.0.0.1", "127.0.0.2"])) as outbound,
    ):
        reply = await outbound.send("GET", f"http://name.example.org:{good.port}/")
        assert (reply.status, reply.body) == (200, b"ok")
        assert (good.connections, bad.connections) == (1, 0)


async def test_a_name_that_is_pointed_elsewhere_afterwards_gains_nothing() -> None:
    only = [ip_network("127.0.0.2/32")]
    asked: list[str] = []

    async def rebinding(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.2"] if len(asked) == 1 else ["127.0.0.1"]

    async with (
        serving(CLOSE, "127.0.0.2") as good,
        serving(OK, "127.0.0.1", good.port) as bad,
        client(allowed=only, resolve=rebinding) as outbound,
    ):
        url = f"http://name.example.org:{good.port}/"
        assert (await outbound.send("GET", url)).status == 200
        for session in outbound._sessions.values():  # as if its time were over
            session.connector.clear_dns_cache()  # type: ignore[union-attr]
        assert await reason(outbound, url) == "forbidden: address"
        assert (len(asked), good.connections, bad.connections) == (2, 1, 0)


async def test_what_is_connected_to_is_checked_whatever_the_layers_above_believe() -> None:
    """As if the connector had found an address that the resolver never let through."""
    async with (
        serving(CLOSE, "127.0.0.2") as good,
        serving(OK, "127.0.0.1", good.port) as bad,
        client(allowed=[ip_network("127.0.0.2/32")], resolve=names(["127.0.0.2"])) as outbound,
    ):
        url = f"http://name.example.org:{good.port}/"
        await outbound.send("GET", url)
        connector: Any = outbound._sessions["http"].connector
        known, _ = connector._cached_hosts._addrs_rr["name.example.org", good.port]
        next(known)["host"] = "127.0.0.1"
        assert await reason(outbound, url) == "forbidden: address"
        assert not bad.connections


async def test_a_look_up_that_hangs_ends_with_the_time_to_connect() -> None:
    async def hanging(_: str) -> list[str]:
        await asyncio.Event().wait()
        return []

    async with client(resolve=hanging) as outbound:
        limits = Limits(connect_s=0.1, total_s=30)
        assert await reason(outbound, "http://name.example.org/", limits) == "unreachable: timeout"


async def test_a_name_without_an_address_cannot_be_reached() -> None:
    async def missing(_: str) -> list[str]:
        raise OSError("no such name")

    async with client(resolve=missing) as outbound:
        assert await reason(outbound, "http://name.example.org/") == "unreachable: name"
    async with client(resolve=names([])) as outbound:
        assert await reason(outbound, "http://name.example.org/") == "unreachable: name"


async def test_names_are_looked_up_as_the_system_does() -> None:
    async with serving(OK) as server, client() as outbound:
        reply = await outbound.send("GET", f"http://localhost:{server.port}/")
        assert reply.body == b"ok"


async def test_what_goes_out_is_ours_and_nothing_else() -> None:
    """No referer, no cookie that was set, the path as it was given, and one connection."""
    answer = OK.replace(b"Content", b"Set-Cookie: a=b\r\nContent")
    async with serving(answer) as server, client() as outbound:
        for _ in range(2):
            reply = await outbound.send("GET", f"{server.url}a%3Ab%2F?x=%20#part")
            assert reply.headers["content-length"] == "2"
        expected = [
            "GET /a%3Ab%2F?x=%20 HTTP/1.1",
            "Accept-Encoding: identity",
            f"Host: 127.0.0.1:{server.port}",
            "User-Agent: Messo",
        ]
        for head in server.heads:
            assert sorted(head.split("\r\n")[1:]) == ["", "", *expected[1:]]
            assert head.startswith(expected[0])
        assert server.connections == 1


async def test_a_body_and_headers_are_sent() -> None:
    taken: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if "Content-Length: 5" in server.heads[-1]:
            taken.append(await reader.readexactly(5))
        writer.write(OK)

    async with serving(take) as server, client() as outbound:
        headers = {"Content-Type": "text/plain", "user-agent": "Other", "accept-encoding": "br"}
        await outbound.send("POST", server.url, headers=headers, body=b"hello")
        await outbound.send("POST", server.url)
    assert taken == [b"hello"]
    assert "Content-Type: text/plain" in server.heads[0]
    assert "Accept-Encoding: identity" in server.heads[0]
    assert "ccept-encoding: br" not in server.heads[0]
    assert "Content-Length: 0" in server.heads[1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\r\nX-B: b"),
        ("X-A", "a\nb"),
        ("X-A", "a\x00"),
        ("X-A", "è"),
        ("X-A\r\nX-B", "b"),
        ("X A", "b"),
        ("", "b"),
        ("Host", "elsewhere.example.org"),
        ("Content-Length", "100"),
        ("Transfer-Encoding", "chunked"),
    ],
)
async def test_a_header_that_would_bend_the_request_is_refused(name: str, value: str) -> None:
    async with serving(OK) as server, client() as outbound:
        with pytest.raises(OutboundError) as failed:
            await outbound.send("GET", server.url, headers={name: value})
        assert failed.value.reason == "header"
        assert not server.connections


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_an_answer_and_not_followed(status: int) -> None:
    async with serving(OK) as other:
        answer = f"HTTP/1.1 {status} Gone\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n"
        async with serving(answer.encode()) as server, client() as outbound:
            reply = await outbound.send("GET", server.url)
            assert (reply.status, reply.headers["Location"]) == (status, other.url)
        assert not other.connections


def head(*lines: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode()


async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(head("Transfer-Encoding: chunked"))
    while True:
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()


BOMB = gzip.compress(bytes(10_000_000))
HONEST = gzip.compress(b"x" * 1000)


@pytest.mark.parametrize(
    "answer",
    [
        endless,
        head("Content-Length: 65537"),
        head("Content-Length: 99999999999999"),
        head(f"Content-Length: {len(BOMB)}", "Content-Encoding: gzip") + BOMB,
        head(f"Content-Length: {len(BOMB)}", "Content-Encoding: br") + BOMB,
        head(f"Content-Length: {len(BOMB)}", "Content-Encoding: gzip, gzip") + BOMB,
    ],
    ids=["endless", "announced", "announced huge", "bomb", "unknown coding", "two codings"],
)
async def test_an_answer_that_is_too_large_is_not_read(answer: bytes | Answer) -> None:
    """The client closes at once; no answer is waited for that was announced too large."""
    async with serving(answer) as server, client() as outbound:
        with pytest.raises(TooLargeError):
            await outbound.send("GET", server.url, limits=Limits(total_s=5))


async def test_an_answer_packed_unasked_is_unpacked_within_the_bound() -> None:
    answer = head(f"Content-Length: {len(HONEST)}", "Content-Encoding: gzip") + HONEST
    async with serving(answer) as server, client() as outbound:
        reply = await outbound.send("GET", server.url, limits=Limits(answer_bytes=1000))
        assert reply.body == b"x" * 1000
        assert "Content-Encoding" not in reply.headers
        with pytest.raises(TooLargeError):
            await outbound.send("GET", server.url, limits=Limits(answer_bytes=999))


async def test_the_head_of_an_answer_has_a_length_and_no_body() -> None:
    async with serving(head("Content-Length: 99999999")) as server, client() as outbound:
        reply = await outbound.send("HEAD", server.url)
        assert (reply.status, reply.body) == (200, b"")


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(head("Content-Length: 10000"))
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def continuing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(head("Content-Length: 10000") + b"x" * 100)
    await writer.drain()
    writer.transport.abort()


async def leave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (drip, "timeout"),
        (continuing, "timeout"),
        (silent, "timeout"),
        (reset, "reset"),
        (leave, "reset"),
        (b"220 mail.example.org ESMTP\r\n\r\n", "malformed"),
        (b"HTTP/1.1 abc\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 20_000 + b"\r\n\r\n", "malformed"),
        (head(*(f"X-{number}: y" for number in range(2000))), "malformed"),
        (head("Content-Length: -1"), "malformed"),
        (head("Content-Length: x"), "malformed"),
        (head("Content-Length: 9", "Content-Encoding: gzip") + b"not gzip!", "malformed"),
        (head("Content-Length: 20", "Content-Encoding: gzip") + HONEST[:20], "malformed"),
    ],
)
async def test_a_server_that_misbehaves_is_unreachable(
    answer: bytes | Answer, expected: str
) -> None:
    async with serving(answer) as server, client() as outbound:
        limits = QUICK if expected == "timeout" else PATIENT
        assert await reason(outbound, server.url, limits) == f"unreachable: {expected}"


async def test_chunks_that_are_none_are_refused() -> None:
    async with (
        serving(head("Transfer-Encoding: chunked") + b"zz\r\nxx\r\n") as server,
        client() as outbound,
    ):
        assert await reason(outbound, server.url) in {
            "unreachable: malformed",
            "unreachable: reset",
        }


async def test_nobody_listens() -> None:
    async with serving(OK) as server:
        pass
    async with client() as outbound:
        assert await reason(outbound, server.url) == "unreachable: refused"


async def test_a_handshake_that_hangs_ends_with_the_time_to_connect() -> None:
    """A server that takes connections and says nothing."""
    async with serving(silent) as server, client() as outbound:
        limits = Limits(connect_s=0.1, total_s=30)
        url = f"https://127.0.0.1:{server.port}/"
        assert await reason(outbound, url, limits) == "unreachable: timeout"


def make_authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    return key, make_certificate(name, key, name, key, authority=True)


def make_certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    signing: ec.EllipticCurvePrivateKey,
    *,
    authority: bool = False,
    dns: str = "name.example.org",
    days: int = 1,
) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(dns)]), critical=False)
        .sign(signing, hashes.SHA256())
    )


@pytest.mark.parametrize(
    ("dns", "days", "trusted", "expected"),
    [
        ("name.example.org", 1, True, "200"),
        ("name.example.org", 1, False, "unreachable: tls"),
        ("other.example.org", 1, True, "unreachable: tls"),
        ("name.example.org", -1, True, "unreachable: tls"),
    ],
    ids=["good", "unknown authority", "another name", "expired"],
)
async def test_who_answers_is_checked(
    tmp_path: Path, dns: str, days: int, trusted: bool, expected: str
) -> None:
    signing, authority = make_authority()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Somebody")])
    certificate = make_certificate(name, key, authority.subject, signing, dns=dns, days=days)
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(pem)
    ours = None
    if trusted:
        trust = authority.public_bytes(serialization.Encoding.PEM).decode()
        ours = ssl.create_default_context(cadata=trust)
    async with (
        serving(OK, tls=theirs) as server,
        client(resolve=names(["127.0.0.1"]), tls=ours) as outbound,
    ):
        url = f"https://name.example.org:{server.port}/"
        if expected == "200":
            assert (await outbound.send("GET", url)).status == 200
        else:
            assert await reason(outbound, url) == expected
            assert not server.heads


async def test_a_reader_who_takes_their_time_opens_no_circuit() -> None:
    """A server that gives up waiting for them is well; one that breaks off by itself is not."""

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
        await writer.drain()
        writer.close()

    async def read(outbound: Outbound, url: str, pause_s: float) -> None:
        async with outbound.open("GET", url) as reply:
            pieces = reply.pieces()
            await anext(pieces)
            await asyncio.sleep(pause_s)
            with contextlib.suppress(OutboundError):
                await anext(pieces)

    async with serving(break_off) as server, client() as outbound:
        await asyncio.gather(*[read(outbound, server.url, 1.2) for _ in range(8)])
        assert outbound.room(server.url.rstrip("/"))[0] > 0
        for _ in range(5):
            await read(outbound, server.url, 0)
        assert outbound.room(server.url.rstrip("/"))[0] == 0


async def test_names_that_hang_are_few_of_one_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their threads stay although nobody waits any longer; others' names are looked up."""
    release = threading.Event()

    def look_up(host: str) -> list[str]:
        if host.startswith("hang"):
            release.wait(20)
        return ["127.0.0.1"]

    monkeypatch.setattr(addresses, "_look_up", look_up)
    system = addresses.SystemNames()
    try:
        async with addresses.looking_up_for("one"):
            for number in range(20):
                with pytest.raises((TimeoutError, OSError)):
                    await asyncio.wait_for(system(f"hang{number}"), 0.02)
        async with addresses.looking_up_for("another"):
            assert await asyncio.wait_for(system("well"), 5) == ["127.0.0.1"]
    finally:
        release.set()
        system.close()


async def test_outcomes_are_counted_by_kind() -> None:
    def count(outcome: str) -> float:
        return registry.get_sample_value("messo_outbound_total", {"outcome": outcome}) or 0

    before = count("2xx"), count("forbidden")
    async with serving(OK) as server, client() as outbound:
        await outbound.send("GET", server.url)
        with pytest.raises(ForbiddenAddressError):
            await outbound.send("GET", "https://10.0.0.1/")
    assert (count("2xx"), count("forbidden")) == (before[0] + 1, before[1] + 1)


async def test_a_caller_that_goes_away_closes_its_connection() -> None:
    gone = asyncio.Event()

    async def watch(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()
        gone.set()

    async with serving(watch) as server, client() as outbound:
        task = asyncio.create_task(outbound.send("GET", server.url))
        async with asyncio.timeout(5):
            while not server.heads:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await gone.wait()


async def test_connections_that_would_be_kept_have_a_bound() -> None:
    """With as many open as may be under way, further ones are closed after their answer."""
    async with (
        serving(OK) as first,
        serving(OK) as second,
        serving(OK) as third,
        client(connections=2) as outbound,
    ):
        for server in (first, second, third, first):
            await outbound.send("GET", server.url)
        assert "Connection: close" in third.heads[0]
        assert not any("Connection" in head for head in first.heads[:1] + second.heads)


async def test_a_connection_that_was_closed_while_kept_is_replaced_if_asking_twice_does_no_harm() -> (
    None
):
    """A question is asked again at once; what may have been done already is left to the caller."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with serving(once) as server, client() as outbound:
        for _ in range(3):
            assert (await outbound.send("GET", server.url)).status == 200
        assert server.connections == 3
        with pytest.raises(OutboundError) as failed:
            await outbound.send("POST", server.url)
        assert failed.value.reason == "reset"
