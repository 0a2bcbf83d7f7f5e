"""A mail as bytes, read back by the standard library: what went in comes out, and nothing more."""

import re
from email import message_from_bytes
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from messo.messages.characters import on_one_line
from messo.notifications.channels.channel import Language
from messo.notifications.mail import Mail, sender_of

SENDER = sender_of("Messo <no-reply@example.org>")
UNSUBSCRIBE = f"<https://messo.example.org/unsubscribe?t={'T' * 300}>"
PACKAGE = "messo.notifications.channels.email"
STOPPED = {"host": "a.example", "since_it": "4 luglio 2026", "since_en": "4 July 2026"}

# Whatever a database can hold, and more often what could be taken for the form of a mail.
PIECES = st.sampled_from(
    [
        *(
            "\r\n",
            "\n",
            "\r",
            "\x00",
            "\x0b",
            "\x85",
            "\u2028",
            "\t",
            " ",
            "  ",
            "\u200b",
            "\u202e",
        ),
        *("\r\nBcc: evil@example.com", "\r\n\r\n", "\n.\n", "--=_01jd", "From ", "=", "=3D", "=_"),
        *(
            "=?utf-8?q?x?=",
            "?=",
            '"',
            "<b>",
            "&amp;",
            "{",
            "}",
            "{subject}",
            "{{ 7 }}",
            "{0}",
            "%s",
        ),
        *("è", "👨‍👩‍👧‍👦", "e\u0301", "中" * 30, "x" * 90, "\x01", "\x00subject\x01"),
    ]
)
HOSTILE = st.lists(PIECES | st.text(max_size=20), max_size=12).map("".join)
WRITTEN = HOSTILE.map(lambda text: on_one_line(text, 200))


def letter(headers: dict[str, str] | None = None, sender: Address = SENDER, **values: str) -> bytes:
    filled = {**STOPPED, **values}
    return Mail(
        "x", sender, "a@b.it", "s", "webhook_stopped", "it", filled, headers or {}
    ).as_bytes()


def mail(subject: str, preview: str = "", language: Language = "it", **more: str) -> Mail:
    values = {
        "subject": on_one_line(subject, 200),
        "organization": "Comune",
        "service": "Biblioteca",
        "preview": preview,
        "message_url": "https://messo.example.org/messages/1",
        "preferences_url": "https://messo.example.org/preferences",
        "unsubscribe_url": UNSUBSCRIBE[1:-1],
        **more,
    }
    headers = {
        "List-Unsubscribe": UNSUBSCRIBE,
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    return Mail(
        "01JD0000000000000000000000",
        *(SENDER, "anna@example.net", subject, "copy", language, values, headers, PACKAGE),
    )


def read(raw: bytes) -> EmailMessage:
    parsed = message_from_bytes(raw, policy=default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def is_well_formed(raw: bytes) -> bool:
    lines = raw.split(b"\r\n")
    return (
        raw.isascii() and max(map(len, lines)) <= 998 and not re.search(rb"[\r\n]", b"".join(lines))
    )


@given(HOSTILE, WRITTEN, WRITTEN, WRITTEN, st.sampled_from(["it", "en"]))
def test_what_was_written_is_read_back_exactly(
    subject: str, preview: str, organization: str, service: str, language: Language
) -> None:
    raw = mail(subject, preview, language, organization=organization, service=service).as_bytes()

    assert is_well_formed(raw)
    found = read(raw)
    assert found["Subject"] == on_one_line(subject, 150)
    assert found["From"].addresses == (SENDER,)
    assert [name for name, _ in found.items()] == [
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
        *("X-Auto-Response-Suppress", "List-Unsubscribe", "List-Unsubscribe-Post"),
        *("MIME-Version", "Content-Type"),
    ]
    assert f"\r\nList-Unsubscribe: {UNSUBSCRIBE}\r\n".encode() in raw
    assert not found.defects
    plain, html = found.iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert not plain.defects
    assert not html.defects
    lines = plain.get_content().split("\r\n")
    for text in filter(None, (on_one_line(subject, 200), preview)):
        assert text in lines
        assert _escaped(text) in html.get_content()
    assert f" {organization}" in lines[2]
    assert f" {service}." in lines[2]
    assert f"<strong>{_escaped(organization)}</strong>" in html.get_content()
    assert f"<strong>{_escaped(service)}</strong>" in html.get_content()


def _escaped(text: str) -> str:
    for mark, entity in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ('"', "&#34;"),
        ("'", "&#39;"),
    ):
        text = text.replace(mark, entity)
    return text


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60))
def test_any_name_of_the_sender_is_read_back(name: str) -> None:
    sender = Address(name, "no-reply", "example.org")
    raw = letter(sender=sender)
    assert is_well_formed(raw)
    # Python 3.11 reads a space between two encoded words of a name, which RFC 2047, 6.2 forbids,
    # with its newer parser but not with the older one.
    found = str(make_header(decode_header(message_from_bytes(raw)["From"])))
    assert found in {f"{name} <no-reply@example.org>", str(sender)}


@pytest.mark.parametrize(
    "value", ["<https://x.it>\r\nBcc: a@b.it", "a\nb", "a\x00", "\x7f", "è", "\u2028"]
)
def test_a_header_that_is_not_one_line_of_ascii_is_refused(value: str) -> None:
    with pytest.raises(ValueError):
        Mail(
            "x", SENDER, "a@b.it", "s", "webhook_stopped", "it", STOPPED, {"X-Y": value}
        ).as_bytes()


def test_a_value_of_several_lines_stays_in_its_part() -> None:
    """A line that looks like the end of the part, or of the mail, is text."""
    broken = "a\r\n--=_x--\r\n.\r\nb\rc\nd \t\ne"
    raw = Mail(
        "x", SENDER, "a@b.it", "s", "webhook_stopped", "it", {**STOPPED, "host": broken}
    ).as_bytes()
    assert is_well_formed(raw)
    assert b"\r\n.\r\n" not in raw
    plain, html = read(raw).iter_parts()
    for part in (plain, html):
        assert "a\n--=_x--\n.\nb\nc\nd \t\ne" in part.get_content().replace("\r\n", "\n")


def test_a_template_that_lacks_a_value_says_so() -> None:
    with pytest.raises(UndefinedError, match="confirm_url"):
        Mail("x", SENDER, "a@b.it", "s", "validation", "it", {}).as_bytes()
