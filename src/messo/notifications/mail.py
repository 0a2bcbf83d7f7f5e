"""A mail as bytes: plain text first, the same as HTML beside it, and the headers all ours have."""

import re
from base64 import b64encode
from binascii import b2a_qp
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.utils import format_datetime
from functools import cache
from typing import Literal

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import escape

from messo.base import clock
from messo.messages.characters import on_one_line
from messo.notifications.channels.channel import Language

_HERE = "messo.notifications"
_NAMED = re.compile(r"\s*(?P<name>[^<>]*?)\s*<(?P<address>[^<>\s]+)>\s*")
_SUBJECT = 150  # characters; a message's own subject has 120 at most
_ENCODED = 39  # octets in an encoded word: a line of a header that has one ends at 76 characters


@dataclass(frozen=True, slots=True)
class Mail:
    """What a mail is made of.

    `id`: letters and digits, the same at every try, so that a mailbox can tell a mail it has seen.
    `template`: there is one for HTML and one for text, in the folder `templates` of `package`;
    the frame around them is this room's. They may show a value of `values` and ask whether it is
    empty, and nothing else. `headers`: those that only this kind has, printable ASCII.
    """

    id: str
    sender: Address
    recipient: str
    subject: str
    template: str
    language: Language
    values: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    package: str = _HERE

    def as_bytes(self) -> bytes:
        """The mail with CRLF, no line above 998 characters, all of it ASCII.

        Written out here, because the standard library takes a thousand microseconds for it.
        `ValueError` for a header or a recipient that would not be one line of ASCII.
        Source: RFC 5322 (form), RFC 2046, 5.1.4 (alternatives), RFC 3834 (answers nobody wants).
        """
        name = self.id.lower()
        boundary = f"=_{name}"  # quoted-printable has no equals sign before an underscore
        head = [
            f"From: {_mailbox(self.sender)}",
            f"To: {address(self.recipient).addr_spec}",
            f"Subject: {_unstructured(on_one_line(self.subject, _SUBJECT))}",
            f"Date: {format_datetime(clock.now())}",
            f"Message-ID: <{name}@{self.sender.domain}>",
            "Auto-Submitted: auto-generated",
            "X-Auto-Response-Suppress: All",
            # Not folded or encoded, whatever their length: nobody could follow such a link.
            *(_as_written(header, value) for header, value in self.headers.items()),
            "MIME-Version: 1.0",
            f'Content-Type: multipart/alternative; boundary="{boundary}"',
        ]
        return b"".join(
            (
                "\r\n".join(head).encode("ascii"),
                f"\r\n\r\n--{boundary}\r\n".encode(),
                _part("plain", self._filled("txt", str)),
                f"\r\n--{boundary}\r\n".encode(),
                _part("html", self._filled("html", escape)),
                f"\r\n--{boundary}--\r\n".encode(),
            )
        )

    def _filled(self, ending: str, written: Callable[[str], str]) -> str:
        given = tuple([(name, bool(value)) for name, value in self.values.items()])
        outline = _outline(self.package, f"{self.template}.{ending}", self.language, given)
        return outline.format_map({name: written(value) for name, value in self.values.items()})


@cache
def _templates(package: str) -> Environment:
    return Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(_HERE)]),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@cache
def _outline(
    package: str, template: str, language: Language, given: tuple[tuple[str, bool], ...]
) -> str:
    """The template with everything filled in but the values: a text for `str.format_map`.

    `given`: the names of the values, and whether each has one.
    """
    marked = {name: f"\x00{name}\x01" if is_there else "" for name, is_there in given}
    found = _templates(package).get_template(template)
    outline = found.render(language=language, say=saying(language), **marked)
    outline = outline.replace("{", "{{").replace("}", "}}")
    return outline.replace("\x00", "{").replace("\x01", "}")


def _mailbox(sender: Address) -> str:
    name = sender.display_name
    written = _unstructured(name)
    return str(sender) if written == name else f"{written}\r\n <{sender.addr_spec}>"


def _unstructured(text: str) -> str:
    """One line of text as a header's value: as it is, or in encoded words (RFC 2047)."""
    if text.isascii() and "=?" not in text:
        return text
    octets = text.encode()
    words, start = [], 0
    while start < len(octets):
        end = start + _ENCODED
        while end < len(octets) and octets[end] & 0xC0 == 0x80:  # noqa: PLR2004  amid a character
            end -= 1
        words.append(f"=?utf-8?b?{b64encode(octets[start:end]).decode()}?=")
        start = end
    return "\r\n ".join(words)


def _as_written(name: str, value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError(f"the header {name} is not one line of ASCII")
    return f"{name}: {value}"


def _part(subtype: Literal["plain", "html"], text: str) -> bytes:
    """Quoted-printable keeps every line short, whatever an institution wrote into it."""
    return (
        f'Content-Type: text/{subtype}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    ).encode() + b2a_qp(b"\r\n".join([*text.encode().splitlines(), b""]))


def saying(language: Language) -> Callable[[str, str], str]:
    """`say(italian, english)`: the text in this language."""

    def say(italian: str, english: str) -> str:
        return italian if language == "it" else english

    return say


def address(text: str) -> Address:
    """A bare address, as a header takes it. `ValueError` if it is none."""
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain or not text.isascii():
        raise ValueError("not an e-mail address")
    return Address(username=local, domain=domain)


def sender_of(text: str) -> Address:
    """`Name <address>` or an address alone, as the setting writes it. `ValueError` otherwise."""
    named = _NAMED.fullmatch(text)
    if named is None:
        return address(text.strip())
    bare = address(named["address"])
    return Address(on_one_line(named["name"], 200).strip('"'), bare.username, bare.domain)
