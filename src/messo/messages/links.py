"""Web addresses that institutions wrote: which ones a citizen may follow, and where they lead."""

import re
import unicodedata
from typing import NamedTuple

from markdown_it.common.normalize_url import normalizeLink

LONGEST = 2_000  # characters of an address; browsers and servers stop little above
_LAST_PORT = 65_535
# What is left after normalisation is ASCII. A user name, a backslash, a quote or a bracket in the
# wrong place make people or browsers read another host than the one that is called.
_WEB = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9])?\.?|\[[0-9a-f:.]{2,45}\])"
    r"(?P<port>:[0-9]{1,5})?"
    r"(?P<rest>(?:[/?#][A-Za-z0-9\-._~:/?#\[\]@!$&()*+,;=%]*)?)",
    re.IGNORECASE,
)
_HIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_BETWEEN_NAMES = re.compile(r"[^\w.-]+")
_TOP = re.compile(r"[^\W\d_]{2,}|xn--[\w-]+")
_DOTS = str.maketrans(dict.fromkeys("\u2024\u3002\uff0e\uff61", "."))


class WebLink(NamedTuple):
    """An address with what matters of it apart. Both are ASCII; the host is in lower case."""

    href: str
    host: str


def web_link(address: str) -> WebLink | None:
    """An http or https address, encoded as browsers send it; None for anything else.

    Refused: other schemes, relative addresses, user names, ports out of range, control
    characters, spaces, backslashes, more than 2,000 characters.
    """
    address = address.strip(" \t\n")
    if len(address) > LONGEST or _HIDDEN.search(address):
        return None
    if re.match(r"https?://", address, re.IGNORECASE) is None:
        return None
    return encoded_web_link(normalizeLink(address))


def encoded_web_link(address: str) -> WebLink | None:
    """The same for an address that the markdown parser has encoded already."""
    found = _WEB.fullmatch(address.replace("'", "%27"))
    if found is None or len(found[0]) > LONGEST or int((found["port"] or ":0")[1:]) > _LAST_PORT:
        return None
    host = found["host"].lower()
    href = f"{found['scheme'].lower()}://{host}{found['port'] or ''}{found['rest']}"
    return WebLink(href, host.rstrip("."))


def names_another_host(label: str, host: str) -> bool:
    """Whether a link's visible text names a host that is not the one it leads to.

    True as well where the host cannot be judged by eye: letters of other alphabets, bare numbers.
    """
    if "xn--" in host or not re.search(r"[g-z]", host):
        return True
    label = unicodedata.normalize("NFKC", label.translate(_DOTS)).lower()
    # Split, then look: one expression for a whole name takes quadratic time on "a.a.a.a…".
    for piece in _BETWEEN_NAMES.split(label):
        name = piece.strip(".-_").removeprefix("www.")
        _, dot, top = name.rpartition(".")
        if dot and _TOP.fullmatch(top) and name != host and not host.endswith("." + name):
            return True
    return False
