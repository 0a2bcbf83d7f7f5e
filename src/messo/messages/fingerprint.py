"""Which messages say the same thing to many people: the fingerprint the mass guard counts by.

Digits, dates, amounts, letter case, white space and links' query strings are folded away, so that
"Dear citizen, pay 10,50 € by 3 May" and "… 12,00 € by 4 June" are one content. Names are not
known, so they are not folded: a text with the person's name is personal.
"""

import hashlib
import re

_MONTHS = [
    "gennaio",
    "febbraio",
    "marzo",
    "aprile",
    "maggio",
    "giugno",
    "luglio",
    "agosto",
    "settembre",
    "ottobre",
    "novembre",
    "dicembre",
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_DAYS = [
    "lunedì",
    "martedì",
    "mercoledì",
    "giovedì",
    "venerdì",
    "sabato",
    "domenica",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
]
# Dropped wherever they stand: telling "may" from "May" would cost more than the whole rest, and
# two texts that differ in nothing but such words are as good as one.
_DROPPED = frozenset(
    word.encode()
    for word in (
        *_MONTHS,
        *_DAYS,
        *(name[:3] for name in (*_MONTHS, *_DAYS)),
        *("euro", "eur", "st", "nd", "rd", "th"),
    )
)
# Anchored at the question mark, so that it stays linear whatever the text.
_QUERY = re.compile(rb"\?[^\s)\]>]+")
# Everything ASCII that is no letter separates words, and so do "€" and "°".
_SEPARATED = bytes(
    byte if chr(byte).isalpha() or byte > 127 else ord(" ")  # noqa: PLR2004  ASCII ends there
    for byte in range(256)
)


def fingerprint(subject: str, markdown: str, own: str = "") -> int:
    """A signed 64-bit number, the same for texts that differ only in what is folded away.

    `own` is what makes a message one person's whatever its text: its payment notice, or the id of
    its remote content. Unlike the text it is taken as it is.
    """
    text = f"{subject}\n{markdown}".casefold().replace("€", " ").replace("°", " ").encode()
    if b"?" in text and b"://" in text:
        text = _QUERY.sub(b" ", text)
    words = text.translate(_SEPARATED).split()
    folded = b" ".join([word for word in words if word not in _DROPPED]) + own.encode()
    return int.from_bytes(hashlib.blake2b(folded, digest_size=8).digest(), signed=True)
