"""How a service is reached and where its papers are: the members of the wire's `metadata`."""

import re

from messo.base.parameters import storable

_WEB = re.compile(r"https?://[^\s\"'<>\\^`{|}\x00-\x20\x7f]+\Z", re.IGNORECASE)
# Without what ends an address in a `mailto:` link, or begins another in it.
_MAIL = re.compile(r"[A-Za-z0-9.!$*+/=^_`{|}~-]{1,64}@[A-Za-z0-9.-]+\.[A-Za-z]{2,63}\Z")
_TELEPHONE = re.compile(r"\+?[0-9][0-9 ./()-]{2,39}\Z")
_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,300}\Z")
_TEXT = re.compile(r"[^\x00]{1,4000}\Z")
_LONGEST = 500  # of an address, characters

_WEB_ADDRESS = (_WEB, "a web address that begins with https:// or http://")
_MAIL_ADDRESS = (_MAIL, "an e-mail address")
_KNOWN = {
    "web_url": _WEB_ADDRESS,
    "support_url": _WEB_ADDRESS,
    "privacy_url": _WEB_ADDRESS,
    "tos_url": _WEB_ADDRESS,
    "app_ios": _WEB_ADDRESS,
    "app_android": _WEB_ADDRESS,
    "email": _MAIL_ADDRESS,
    "pec": _MAIL_ADDRESS,
    "phone": (_TELEPHONE, "a telephone number"),
    "address": (_LINE, "one line of at most 300 characters"),
    "cta": (_TEXT, "a text of at most 4000 characters"),
    "scope": (re.compile(r"(?:NATIONAL|LOCAL)\Z"), "NATIONAL or LOCAL"),
}
NAMES = tuple(_KNOWN)


def refusal(name: str, value: str) -> str | None:
    """What is wrong with a member, or None."""
    if name not in _KNOWN:
        return f"a service has no {name}; there are {', '.join(NAMES)}"
    pattern, is_a = _KNOWN[name]
    too_long = pattern in {_WEB, _MAIL} and len(value) > _LONGEST
    if too_long or not pattern.match(value) or not storable(value):
        return f"{name} must be {is_a}"
    return None
