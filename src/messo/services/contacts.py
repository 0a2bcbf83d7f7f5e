"""How a service is reached and where its papers are: the members of the wire's `metadata`."""

import re

from messo.base.parameters import storable

# A host first: what stands before an @ looks like one and is none.
_WEB = re.compile(r"https?://(?!/|[^/?#]*@)[^\s\"'<>\\^`{|}\x00-\x20\x7f]+\Z", re.IGNORECASE)
# Without what ends an address in a `mailto:` link, or begins another in it.
_MAIL = re.compile(r"[A-Za-z0-9.!$*+/=^_`{|}~-]{1,64}@[A-Za-z0-9.-]+\.[A-Za-z]{2,63}\Z")
_TELEPHONE = re.compile(r"\+? ?\(?[0-9][0-9 ./()-]{1,39}\Z")
_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,300}\Z")
_TEXT = re.compile(r"[^\x00]{1,4000}\Z")
_LONGEST = 500  # of an address, characters

# What each must be: the pattern, and how people are told, in English and in Italian.
_WEB_ADDRESS = (
    _WEB,
    "a web address that begins with https:// or http://",
    "un indirizzo web che inizia con https:// o http://",
)
_MAIL_ADDRESS = (_MAIL, "an e-mail address", "un indirizzo e-mail")
_KNOWN = {
    "web_url": _WEB_ADDRESS,
    "support_url": _WEB_ADDRESS,
    "privacy_url": _WEB_ADDRESS,
    "tos_url": _WEB_ADDRESS,
    "app_ios": _WEB_ADDRESS,
    "app_android": _WEB_ADDRESS,
    "email": _MAIL_ADDRESS,
    "pec": _MAIL_ADDRESS,
    "phone": (_TELEPHONE, "a telephone number", "un numero di telefono"),
    "address": (
        _LINE,
        "one line of at most 300 characters",
        "una riga di 300 caratteri al massimo",
    ),
    "cta": (_TEXT, "a text of at most 4000 characters", "un testo di 4000 caratteri al massimo"),
    "scope": (re.compile(r"(?:NATIONAL|LOCAL)\Z"), "NATIONAL or LOCAL", "NATIONAL o LOCAL"),
}
NAMES = tuple(_KNOWN)


def refusal(name: str, value: str) -> str | None:
    """What is wrong with a member, or None."""
    if name not in _KNOWN:
        return f"a service has no {name}; there are {', '.join(NAMES)}"
    pattern, is_a, _ = _KNOWN[name]
    too_long = pattern in {_WEB, _MAIL} and len(value) > _LONGEST
    # What prints as something else: only buttons have lines, which their reader looks at.
    hidden = pattern is not _TEXT and not value.isprintable()
    if too_long or hidden or not pattern.match(value) or not storable(value):
        return f"{name} must be {is_a}"
    return None


def expected(name: str) -> tuple[str, str]:
    """What a known member must be, in Italian and in English."""
    _, english, italian = _KNOWN[name]
    return f"deve essere {italian}", f"must be {english}"
