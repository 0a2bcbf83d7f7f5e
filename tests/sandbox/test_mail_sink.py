"""The sandbox's mail server and the pages that show what it took."""

import smtplib
import socket
from asyncio import to_thread
from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.policy import SMTP

import httpx
import pytest
from starlette.applications import Starlette

from messo.base.mailer import LaterError, Mailer, NoSuchAddressError
from messo.base.smtp_server import MailServer
from messo.sandbox.mail_page import MailPages
from messo.sandbox.mail_sink import MailSink

FROM, TO = "bounces@messo.example.org", "anna@example.org"


@pytest.fixture
async def sink() -> AsyncIterator[MailSink]:
    one = MailSink(0, slow_s=0.01)
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def mailer(sink: MailSink) -> AsyncIterator[Mailer]:
    one = Mailer(MailServer("127.0.0.1", sink.port, "none"), per_domain_minute=1000)
    yield one
    await one.close()


@pytest.fixture
async def pages(sink: MailSink) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=Starlette(routes=MailPages(sink).routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://messo") as client:
        yield client


def mail(subject: str, text: str = "Ciao!\n", html: str | None = None) -> bytes:
    made = EmailMessage(policy=SMTP)
    made["From"] = "Messo <no-reply@messo.example.org>"
    made["To"] = TO
    made["Subject"] = subject
    made["List-Unsubscribe"] = "<https://messo.example.org/unsubscribe?t=abc>"
    made.set_content(text)
    if html is not None:
        made.add_alternative(html, subtype="html")
    return made.as_bytes()


async def test_what_is_sent_is_kept_as_it_came(sink: MailSink, mailer: Mailer) -> None:
    raw = mail("La tua tessera è pronta")
    await mailer.send(FROM, TO, raw)
    (kept,) = sink.mails
    assert (kept.number, kept.sender, kept.recipient, kept.raw) == (1, FROM, TO, raw)


async def test_domains_decide_what_happens(sink: MailSink, mailer: Mailer) -> None:
    with pytest.raises(NoSuchAddressError) as gone:
        await mailer.send(FROM, "nobody@Bounces.example.org", mail("one"))
    assert gone.value.reason == "550 5.1.1"
    with pytest.raises(LaterError) as full:
        await mailer.send(FROM, "anna@full.example.org", mail("two"))
    assert full.value.reason == "452 4.2.2"
    await mailer.send(FROM, "anna@slow.example.org", mail("three"))
    assert [one.recipient for one in sink.mails] == ["anna@slow.example.org"]


async def test_the_last_two_hundred_are_kept_under_their_numbers(sink: MailSink) -> None:
    for number in range(1, 206):
        sink.keep(FROM, [TO], b"%d" % number)
    assert len(sink.mails) == 200
    assert sink.mail(5) is None
    oldest, newest = sink.mail(6), sink.mail(205)
    assert oldest is not None
    assert newest is not None
    assert (oldest.raw, newest.raw) == (b"6", b"205")


async def test_it_listens_on_this_machine_only_and_no_more_once_stopped() -> None:
    one = MailSink(0)
    await one.start()
    assert one._server is not None
    assert [s.getsockname()[0] for s in one._server.sockets] == ["127.0.0.1"]
    client = await to_thread(smtplib.SMTP, "127.0.0.1", one.port, timeout=5)
    await one.stop()
    await one.stop()
    with pytest.raises(smtplib.SMTPServerDisconnected):
        await to_thread(client.noop)
    with pytest.raises(ConnectionError), socket.socket() as probe:
        probe.connect(("127.0.0.1", one.port))


async def test_a_port_that_is_taken_is_an_error(sink: MailSink) -> None:
    second = MailSink(sink.port)
    with pytest.raises(OSError, match="in use"):
        await second.start()
    await second.stop()


async def test_a_mail_that_is_too_large_is_refused(sink: MailSink, mailer: Mailer) -> None:
    with pytest.raises(Exception, match="552"):
        await mailer.send(FROM, TO, mail("one", "x" * 70 + "\n") + b"x\r\n" * 400_000)
    assert sink.mails == []


async def test_the_list_shows_the_newest_first(sink: MailSink, pages: httpx.AsyncClient) -> None:
    empty = await pages.get("/sandbox/mail")
    assert "None yet" in empty.text
    for subject in ("Prima", "Seconda <b>"):
        sink.keep(FROM, [TO], mail(subject))
    page = await pages.get("/sandbox/mail", headers={"Accept-Language": "it-IT"})
    assert page.status_code == 200
    assert '<html lang="it">' in page.text
    assert page.text.index("Seconda &lt;b&gt;") < page.text.index("Prima")
    assert 'href="/sandbox/mail/2"' in page.text


async def test_a_mail_is_shown_without_running_anything_of_it(
    sink: MailSink, pages: httpx.AsyncClient
) -> None:
    html = '<h1 style="color:#17324d">Ciao</h1><script>alert("1")</script>'
    sink.keep(
        "<s>@x.org", [TO], mail("Una <i>", "Apri https://messo.example.org/m/1?a=1&b=2.\n", html)
    )
    page = await pages.get("/sandbox/mail/1")
    assert page.status_code == 200
    assert "<script>" not in page.text
    assert "<s>" not in page.text
    assert '<iframe sandbox title="As a page" srcdoc="&lt;h1' in page.text
    assert 'href="https://messo.example.org/m/1?a=1&amp;b=2"' in page.text
    assert "Una &lt;i&gt;" in page.text
    assert "List-Unsubscribe" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


async def test_the_source_of_a_mail_is_text(sink: MailSink, pages: httpx.AsyncClient) -> None:
    raw = b"Subject: <script>\r\n\r\n<script>alert(1)</script>"
    sink.keep(FROM, [TO], raw)
    source = await pages.get("/sandbox/mail/1/raw")
    assert source.content == raw
    assert source.headers["content-type"].startswith("text/plain")
    assert source.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in source.headers["content-security-policy"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff\xfe",
        b"Subject: =?utf-8?q?=ff=fe?=\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\xff\xfe",
        b"Content-Type: text/plain; charset=none\r\n\r\nciao",
        b"To: " + b"(" * 5000,
        b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
            for n in range(500)
        ),
    ],
)
async def test_what_is_hardly_a_mail_does_not_break_the_pages(
    raw: bytes, sink: MailSink, pages: httpx.AsyncClient
) -> None:
    sink.keep(FROM, [TO], raw)
    assert (await pages.get("/sandbox/mail")).status_code == 200
    assert (await pages.get("/sandbox/mail/1")).status_code == 200


async def test_a_mail_that_is_not_there_is_not_found(pages: httpx.AsyncClient) -> None:
    page = await pages.get("/sandbox/mail/7")
    assert page.status_code == 404
    assert "not here" in page.text
    assert (await pages.get("/sandbox/mail/7/raw")).status_code == 404
    assert (await pages.get("/sandbox/mail/x")).status_code == 404
    assert (
        (await pages.get("/sandbox/mail/sinks.css")).headers["content-type"].startswith("text/css")
    )
