"""What rooms say in English to whoever uses the API, for those who use the pages: in their language.

A sentence that nobody translated is shown as it is, marked as English.
"""

import re
from collections.abc import Mapping

from markupsafe import Markup

from messo.base.http import Problem
from messo.console.explained import gettext
from messo.console.visit import Visit
from messo.messages.characters import without_tricks
from messo.pages.languages import Texts

_ADDRESS: Mapping[str, str] = {
    r"must begin with https://": gettext("It must begin with https://."),
    r"must begin with https://; http is only for .*": gettext(
        "It must begin with https://. Only 127.0.0.1, [::1] and localhost may do without, for tests."
    ),
    r"must not hold a (user )?name or a password": gettext(
        "It must not hold a name or a password."
    ),
    r"leads to an address that may not be called( from here.*)?": gettext(
        "It leads to an address that may not be called: give one on the internet."
    ),
    r"must be an absolute https address in plain ASCII": gettext(
        "It must be a whole address, such as https://hooks.example.org/messo, in plain letters."
    ),
    r"must be plain ASCII.*": gettext(
        "It must be in plain letters: write the host as xn--…, and percent-encode the rest."
    ),
    r"holds a space, a backslash.*": gettext(
        "It holds a space or another character that no address has."
    ),
    r"must name its host.*": gettext("It must name its host: https://host/path."),
    r"must have no fragment.*": gettext("Leave out the # and what follows it."),
    r"must be one address, without \*.*": gettext(
        "It must be one address, without *: list each one that you need."
    ),
    r"holds a % without.*": gettext("After % two digits must follow: write %25 for the sign."),
    r"must not hold the path segments.*": gettext("Write where it leads to, without . and .. ."),
    r"needs a host that there can be.*": gettext(
        "Its host or its port cannot be: look at them again."
    ),
    r"leads to the machine of whoever opens it.*": gettext(
        "It leads to the machine of whoever opens it. Give one on the internet, or register it for "
        "tests."
    ),
    r"is there twice.*": gettext("It is there twice: leave one of them out."),
    r"has (\w+) in its query.*": gettext("Its query has a name that is ours to add."),
    r"must be a name on one line.*": gettext(
        "It must be a name on one line, without invisible signs and spaces around it."
    ),
}
_REFUSED: Mapping[str, str] = {
    r"This is not an e-mail address": gettext(
        "This is no e-mail address: it looks like name@example.org."
    ),
    r"This is the only admin of the institution.*": gettext(
        "This is the only admin: make somebody else an admin first."
    ),
    r"(?P<n>\d+) invitations are open.*": gettext(
        "%(n)s invitations are open, or were made within the last hour. Withdraw old ones, or try "
        "again later."
    ),
    r"This address was invited a moment ago.*": gettext(
        "This address was invited a moment ago. Try again in a quarter of an hour."
    ),
    r"A service may have (?P<n>\d+) webhooks.*": gettext(
        "A service may have %(n)s webhooks. Delete one that is not needed."
    ),
    r"Your institution has no service with this id": gettext("Choose one of your services."),
    r"(?P<n>\d+) secrets sign already.*": gettext(
        "%(n)s secrets sign already. Drop the old ones, or wait until they end."
    ),
    r"must be before to": gettext("The first moment must come before the last."),
    r"is longer ago than events are kept: (?P<n>\d+) days": gettext(
        "Events are kept for %(n)s days: choose a later moment."
    ),
    r"This client proves who it is with its keys.*": gettext(
        "This site proves who it is with a key of its own: there is no secret to replace."
    ),
    r"cannot be fiscal_code: with .*": gettext(
        "Where people are named by their fiscal code it cannot be refused: untick it here."
    ),
    r"is only for private_key_jwt: .*": gettext(
        "Keys go with “A key of its own” only: choose that, or leave them out."
    ),
    r"is missing: private_key_jwt needs your public keys": gettext(
        "Give the public keys of your site."
    ),
    r"belongs to a private key.*": gettext(
        "This is a private key. Give the public part only, and make a new key: this one has been "
        "sent."
    ),
    r"is missing: of several keys each needs its own": gettext(
        "Of several keys each needs its own kid."
    ),
    r"is another key's too: each needs its own": gettext("Two keys have the same kid."),
    r"must be EC or RSA": gettext("A key must be of kind EC or RSA (kty)."),
    r"must be P-256": gettext("A key of kind EC must be on the curve P-256 (crv)."),
    r"is no (?P<kind>EC|RSA) key: .*": gettext(
        "The numbers of this %(kind)s key do not fit together."
    ),
    r"must be a modulus of .*": gettext("A key of kind RSA needs 2048 to 4096 bits (n)."),
    r"must be sig: .*": gettext("A key here is for signatures: its use must be sig."),
    r"Others are checking their servers.*": gettext(
        "Others are checking their servers right now: try again in a moment."
    ),
}
_ANSWERED: Mapping[str, str] = {
    r"status (?P<status>\d+)": gettext("Its server answered %(status)s."),
    r"unreachable: name": gettext("Its host has no address: is it spelt correctly?"),
    r"unreachable: refused": gettext("No server takes connections there."),
    r"unreachable: tls": gettext("Its certificate is not one that we trust, or has expired."),
    r"unreachable: timeout": gettext("Its server did not answer in time."),
    r"unreachable: reset": gettext("Its server ended the connection before it had answered."),
    r"unreachable: malformed": gettext("What its server answered is not HTTP."),
    r"forbidden: .*": gettext("It leads to an address that may not be called."),
    r"too large: .*": gettext("Its server answered far too much: an empty answer will do."),
    r"busy: circuit": gettext("Its server failed too often of late, and is left alone a while."),
    r"busy: places": gettext("Too much is being sent there at once: it is tried again."),
}


def said(texts: Texts, sentence: str, known: Mapping[str, str]) -> str | None:
    """The sentence in the visitor's language, if `known` has it; a final full stop does not count."""
    bare = sentence.strip().removesuffix(".")
    for pattern, text in known.items():
        match = re.fullmatch(pattern, bare, re.DOTALL)
        if match:
            return texts.text(text, **match.groupdict()) if match.groupdict() else texts.text(text)
    return None


def english(sentence: str) -> Markup:
    """A sentence that is English on every page."""
    return Markup('<span lang="en">{}</span>').format(without_tricks(sentence))


def refused(visit: Visit, problem: Problem) -> str:
    """Why something was not accepted, to stand at its field."""
    detail = problem.detail
    if problem.field:
        detail = detail.removeprefix(f"{problem.field} ")
    return said(visit.texts, detail, {**_REFUSED, **_ADDRESS}) or english(problem.detail)


def answered(texts: Texts, error: str) -> str:
    """What a server outside did wrong: one of the few words that stand in records, as a sentence."""
    if not error:
        return ""
    return said(texts, error, _ANSWERED) or english(error)
