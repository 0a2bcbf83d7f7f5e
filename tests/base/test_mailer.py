"""Mails handed to relays of every temper, on loopback."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from messo.base.mailer import LaterError, Mailer, MailError, NoSuchAddressError, RefusedError
from messo.base.smtp_server import MailServer, parse_server
from tests.base.relay import certificate, converse, relay, scripted

FROM, TO = "bounces@example.org", "anna@example.net"
MAIL = b"From: a@example.org\r\nSubject: one\r\n\r\n.A dot first\r\nciao\r\n"
HELLO = (b"220 ready", b"250 relay")
FINE = (b"250 fine", b"250 fine", b"354 go on", b"250 taken")


@asynccontextmanager
async def mailer(server: MailServer, **bounds: Any) -> AsyncIterator[Mailer]:
    one = Mailer(server, **bounds)
    try:
        yield one
    finally:
        await one.close()


async def failure(one: Mailer, to: str = TO) -> MailError:
    with pytest.raises(MailError) as caught:
        await one.send(FROM, to, MAIL)
    assert "@" not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


async def later(one: Mailer, to: str = TO) -> LaterError:
    error = await failure(one, to)
    assert isinstance(error, LaterError)
    return error


@pytest.mark.parametrize(
    ("url", "server"),
    [
        (
            "smtp://posta:p%40ss%2F@mail.example.org",
            MailServer("mail.example.org", 587, "starttls", "posta", "p@ss/"),
        ),
        ("smtp://mail.example.org:25/", MailServer("mail.example.org", 25, "starttls")),
        ("smtps://mail.example.org", MailServer("mail.example.org", 465, "tls")),
        ("smtp+plain://127.0.0.1:8484", MailServer("127.0.0.1", 8484, "none")),
        ("smtp+plain://[::1]:8484", MailServer("::1", 8484, "none")),
        ("smtp+plain://localhost", MailServer("localhost", 25, "none")),
    ],
)
def test_an_address_of_a_mail_server_says_how_it_is_spoken_to(url: str, server: MailServer) -> None:
    assert parse_server(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example.org",
        "http://a:segreto@mail.example.org",
        "smtp://",
        "smtp://a:segreto@",
        "smtp://a:segreto@mail.example.org:99999",
        "smtp://a:segreto@mail.example.org:0",
        "smtp://a:segreto/x@mail.example.org",
        "smtp://a:segreto#x@mail.example.org",
        "smtp://a:segreto@mail.example.org/inbox",
        "smtp://a:segreto@mail.example.org?x=1",
        "smtp://:segreto@mail.example.org",
        "smtp://a@mail.example.org",
        "smtp://a:segreto%0d%0a@mail.example.org",
        "smtp://a:segreto@[::1",
        "smtp+plain://mail.example.org",
        "smtp+plain://192.0.2.1:25",
    ],
)
def test_a_wrong_address_of_a_mail_server_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_server(url)
    assert "segreto" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_password_is_not_shown_with_its_server() -> None:
    assert "segreto" not in repr(parse_server("smtp://a:segreto@mail.example.org"))


async def test_a_mail_arrives_as_it_is_and_the_next_uses_the_same_connection() -> None:
    async with relay() as there, mailer(there.server()) as one:
        for number in range(3):
            await one.send(FROM, f"{number}@example.net", MAIL)
    assert there.mails == [(FROM, [f"{number}@example.net"], MAIL) for number in range(3)]
    assert there.connections == 1


async def test_a_connection_carries_a_hundred_mails_and_no_more() -> None:
    async with relay() as there, mailer(there.server(), per_domain_minute=1000) as one:
        for _ in range(101):
            await one.send(FROM, TO, MAIL)
    assert (len(there.mails), there.connections) == (101, 2)


async def test_eight_bits_are_announced() -> None:
    text = "Subject: one\r\n\r\nperché\r\n".encode()
    async with relay() as there, mailer(there.server()) as one:
        await one.send(FROM, TO, text)
    assert there.mails[0][2] == text


async def test_eight_bits_are_not_sent_where_they_are_not_offered() -> None:
    async with scripted(lambda r, w: converse(r, w, *HELLO)) as there, mailer(there) as one:
        with pytest.raises(RefusedError):
            await one.send(FROM, TO, "Subject: one\r\n\r\nperché\r\n".encode())


async def test_the_mailer_logs_in() -> None:
    async with relay(password="segreto") as there:
        async with mailer(there.server("none", "posta", "segreto")) as one:
            await one.send(FROM, TO, MAIL)
        async with mailer(there.server("none", "posta", "falso")) as one:
            error = await failure(one)
        async with mailer(there.server()) as one:
            nobody = await failure(one)
    assert isinstance(error, RefusedError)
    assert error.reason.startswith("535")
    assert isinstance(nobody, RefusedError)
    assert len(there.mails) == 1


async def test_a_login_that_is_refused_is_not_tried_without_end() -> None:
    async with (
        relay(password="segreto") as there,
        mailer(there.server("none", "posta", "falso"), rest_s=60) as one,
    ):
        for _ in range(3):
            await failure(one)
        resting = await later(one)
    assert (resting.reason, resting.tried) == ("resting", False)
    assert there.connections == 3


async def test_tls_from_the_start_is_verified(tmp_path: Path) -> None:
    server, trusting = certificate(tmp_path)
    async with relay(tls=server) as there:
        async with mailer(there.server("tls"), tls=trusting) as one:
            await one.send(FROM, TO, MAIL)
        async with mailer(there.server("tls")) as one:
            assert (await later(one)).reason == "TLS"
    assert len(there.mails) == 1


async def test_starttls_is_verified_and_begun_before_anything_is_said(tmp_path: Path) -> None:
    server, trusting = certificate(tmp_path)
    said: list[bytes] = []

    async def upgrading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await converse(reader, writer, b"220 ready", b"250-relay\r\n250 STARTTLS", b"220 begin")
        await writer.start_tls(server)
        for answer in (b"250 relay", *FINE):
            said.append(await reader.readuntil(b"\r\n"))
            writer.write(answer + b"\r\n")
            if answer.startswith(b"354"):
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 taken\r\n")
                break

    async with scripted(upgrading) as there:
        protected = MailServer(there.host, there.port, "starttls")
        async with mailer(protected, tls=trusting) as one:
            await one.send(FROM, TO, MAIL)
        assert said[1].startswith(b"MAIL FROM:<" + FROM.encode())
        said.clear()
        async with mailer(protected) as one:
            assert (await later(one)).reason == "TLS"
        assert said == []


async def test_without_starttls_nothing_is_sent() -> None:
    async with relay() as there, mailer(there.server("starttls"), rest_s=0.01) as one:
        error = await later(one)
    assert error.tried
    assert there.mails == []


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        ("550 5.1.1 <anna@example.net>: no such user", NoSuchAddressError, "550 5.1.1"),
        ("550 5.1.2 no such host", NoSuchAddressError, "550 5.1.2"),
        ("556 5.1.10 null MX", NoSuchAddressError, "556 5.1.10"),
        ("550-5.1.1 The account\r\n550 5.1.1 anna@example.net", NoSuchAddressError, "550 5.1.1"),
        ("550 5.7.1 blocked, see example.net", RefusedError, "550 5.7.1"),
        ("552 5.2.2 mailbox full", RefusedError, "552 5.2.2"),
        ("552 5.3.4 too large", RefusedError, "552 5.3.4"),
        ("550 5.1.8 sender's domain", RefusedError, "550 5.1.8"),
        ("550 no such user here", RefusedError, "550"),
        ("550 because of 5.1.1", RefusedError, "550"),
        ("553 sorry", RefusedError, "553"),
        ("452 4.2.2 mailbox full", LaterError, "452 4.2.2"),
        ("450 5.1.1 greylisted", LaterError, "450 5.1.1"),
        ("451 later", LaterError, "451"),
        ("421 4.7.0 too busy", LaterError, "421"),
    ],
)
async def test_what_an_answer_says_of_the_address(
    answer: str, kind: type[MailError], reason: str
) -> None:
    async with relay(refuses={TO: answer}) as there, mailer(there.server()) as one:
        error = await failure(one)
        await one.send(FROM, "bruno@example.net", MAIL)  # the relay goes on
    assert isinstance(error, kind)
    assert error.reason == reason


@pytest.mark.parametrize("code", [b"550 5.1.1", b"553 5.1.3", b"550 5.7.1"])
async def test_a_refused_sender_says_nothing_of_the_address(code: bytes) -> None:
    async with scripted(lambda r, w: converse(r, w, *HELLO, code)) as there, mailer(there) as one:
        assert isinstance(await failure(one), RefusedError)


async def test_a_refused_mail_leaves_the_connection_for_the_next() -> None:
    async with relay(refuses={TO: "550 5.1.1 no"}) as there, mailer(there.server()) as one:
        await failure(one)
        there.refuses_data = "554 5.7.1 looks bad"
        assert (await failure(one, "b@example.net")).reason == "554 5.7.1"
        there.refuses_data = ""
        await one.send(FROM, "b@example.net", MAIL)
    assert there.connections == 1
    assert len(there.mails) == 1


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never a word, until the other side gives up."""
    await reader.read()


async def deaf_to_data(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await converse(reader, writer, *HELLO, *FINE[:3])
    await reader.read()


async def breaks_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await converse(reader, writer, *HELLO, *FINE[:3])
    await reader.readexactly(10)
    writer.transport.abort()


async def garbles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await converse(reader, writer, *HELLO, b"\xff\xfe what?")


async def babbles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220-" + b"x" * 100_000 + b"\r\n")
    await reader.read()


async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await converse(reader, writer, b"421 4.3.2 come later")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (silent, "timeout"),
        (deaf_to_data, "timeout"),
        (breaks_off, "connection lost"),
        (garbles, "not an answer"),
        (babbles, "-1"),
        (busy, "421 4.3.2"),
    ],
)
async def test_a_relay_that_does_not_go_on_is_tried_later(script: Any, reason: str) -> None:
    bound = 0.3 if reason == "timeout" else 10
    async with scripted(script) as there, mailer(there, total_s=bound) as one:
        error = await later(one)
    assert (error.reason, error.tried) == (reason, True)


@pytest.fixture
def long_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every mail finds a connection that has been idle, which is asked first (RSET)."""
    monkeypatch.setattr("messo.base.mailer._FRESH_S", -1.0)


@pytest.mark.usefixtures("long_idle")
async def test_what_may_have_been_sent_is_not_sent_again_at_once() -> None:
    """The second mail of a connection is lost after its text went out: one try, not two."""
    tries = 0

    async def loses_the_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        await converse(reader, writer, *HELLO, *FINE, b"250 reset", *FINE[:3])
        await reader.readuntil(b"\r\n.\r\n")
        writer.transport.abort()

    async with scripted(loses_the_second) as there, mailer(there) as one:
        await one.send(FROM, TO, MAIL)
        assert (await later(one)).reason == "connection lost"
    assert tries == 1


async def ends_after_a_mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await converse(reader, writer, *HELLO, *FINE)


async def ends_at_the_reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await converse(reader, writer, *HELLO, *FINE)
    await reader.readuntil(b"\r\n")


async def ends_at_the_address(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await converse(reader, writer, *HELLO, *FINE, b"250 reset", b"250 fine")
    await reader.readuntil(b"\r\n")


async def says_it_ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await converse(reader, writer, *HELLO, *FINE, b"421 4.4.2 idle too long")


@pytest.mark.usefixtures("long_idle")
@pytest.mark.parametrize(
    "script", [ends_after_a_mail, ends_at_the_reset, ends_at_the_address, says_it_ends]
)
async def test_a_connection_closed_while_idle_is_replaced(script: Any) -> None:
    async with scripted(script, ends_after_a_mail) as there, mailer(there) as one:
        await one.send(FROM, TO, MAIL)
        await one.send(FROM, TO, MAIL)


async def test_a_connection_closed_right_after_a_mail_is_replaced_too() -> None:
    async with scripted(ends_after_a_mail, ends_after_a_mail) as there, mailer(there) as one:
        await one.send(FROM, TO, MAIL)
        await one.send(FROM, TO, MAIL)


@pytest.mark.usefixtures("long_idle")
async def test_a_connection_is_replaced_once() -> None:
    async with scripted(ends_at_the_reset, busy) as there, mailer(there) as one:
        await one.send(FROM, TO, MAIL)
        assert (await later(one)).reason == "421 4.3.2"


async def test_connections_are_bounded_and_who_finds_none_free_was_not_tried() -> None:
    async with relay(hold=asyncio.Event()) as there:
        bounds = {"connections": 2, "per_domain": 9, "total_s": 0.5}
        async with mailer(there.server(), **bounds) as one:
            sent = await asyncio.gather(
                *(one.send(FROM, TO, MAIL) for _ in range(5)), return_exceptions=True
            )
    assert there.most_open == 2
    untried = [error for error in sent if isinstance(error, LaterError) and not error.tried]
    assert [error.reason for error in untried] == ["no free connection"] * 3


async def test_one_domain_cannot_take_all_connections() -> None:
    hold = asyncio.Event()
    async with relay() as there, mailer(there.server(), per_domain=2) as one:
        there.hold = hold
        waiting = [asyncio.create_task(one.send(FROM, TO, MAIL)) for _ in range(2)]
        await asyncio.sleep(0)
        first, second = await later(one, "b@EXAMPLE.net"), await later(one)
        there.hold = None
        await one.send(FROM, "carla@example.com", MAIL)
        hold.set()
        await asyncio.gather(*waiting)
        await one.send(FROM, TO, MAIL)
    assert not first.tried
    assert first.after_s is not None
    assert second.after_s is not None
    assert 0 < first.after_s < second.after_s, "they do not come back together"


async def test_a_domain_gets_so_many_a_minute() -> None:
    async with relay() as there, mailer(there.server(), per_domain_minute=2) as one:
        await one.send(FROM, TO, MAIL)
        await one.send(FROM, TO, MAIL)
        error = await later(one)
        await one.send(FROM, "carla@example.com", MAIL)
    assert not error.tried
    assert error.after_s == pytest.approx(30, abs=1)


async def test_a_dead_relay_is_left_alone_and_found_again() -> None:
    async with relay() as gone:
        server = gone.server()
    async with mailer(server, rest_s=0.3) as one:
        for _ in range(3):
            assert (await later(one)).reason == "no connection"
        resting = await later(one)
        assert (resting.reason, resting.tried) == ("resting", False)
        await until_no_rest(one)  # its try fails, and the rest is doubled
        assert ((await later(one)).after_s or 0) > 0.3
        async with relay(port=server.port) as there:
            async with asyncio.timeout(5):
                while not there.mails:
                    try:
                        await one.send(FROM, TO, MAIL)
                    except LaterError:
                        await asyncio.sleep(0.02)
            await one.send(FROM, TO, MAIL)


async def test_a_try_that_is_given_up_is_followed_by_another() -> None:
    """Meanwhile nobody else bothers a relay that may be down."""
    async with relay() as gone:
        server = gone.server()
    async with mailer(server, rest_s=0.05) as one:
        for _ in range(3):
            await later(one)
        async with relay(port=server.port, hold=asyncio.Event()) as there:
            await until_may_try(one)
            trying = asyncio.create_task(one.send(FROM, TO, MAIL))
            await asyncio.sleep(0)
            other = await later(one, "carla@example.com")
            trying.cancel()
            with pytest.raises(asyncio.CancelledError):
                await trying
            there.hold = None
            await one.send(FROM, TO, MAIL)
            await one.send(FROM, TO, MAIL)
    assert (other.reason, other.tried) == ("resting", False)
    assert 2 <= (other.after_s or 0) <= 4


async def until_may_try(one: Mailer) -> None:
    async with asyncio.timeout(5):
        while one.rests_s():
            await asyncio.sleep(0.01)


async def until_no_rest(one: Mailer) -> None:
    async with asyncio.timeout(5):
        while (await later(one)).reason == "resting":
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "address",
    [
        "a@b.org\r\nDATA",
        "a\n@b.org",
        "a\0@b.org",
        "a@b.org> SIZE=1",
        "a b@c.org",
        "è@b.org",
        "",
        "a",
    ],
)
async def test_an_address_cannot_carry_a_command(address: str) -> None:
    one = Mailer(MailServer("127.0.0.1", 9, "none"))
    for sender, to in ((address, TO), (FROM, address)):
        with pytest.raises(ValueError):
            await one.send(sender, to, MAIL)


async def test_a_mail_that_is_given_up_leaves_no_connection_behind() -> None:
    async with relay(hold=asyncio.Event()) as there, mailer(there.server()) as one:
        task = asyncio.create_task(one.send(FROM, TO, MAIL))
        async with asyncio.timeout(5):
            while not there.open_now:
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            while there.open_now:
                await asyncio.sleep(0.01)


def test_certificates_are_verified_by_default() -> None:
    one = Mailer(MailServer("mail.example.org", 465, "tls"))
    assert one._tls is not None
    assert one._tls.verify_mode is ssl.CERT_REQUIRED
    assert one._tls.check_hostname
