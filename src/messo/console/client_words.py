"""Single sign-on in words: each choice of a client and what it means, and what could be safer."""

from collections.abc import Mapping

from messo.console.explained import gettext
from messo.console.refusals_shown import english, said
from messo.pages.languages import Texts
from messo.sso.client_wire import SsoAdvice

Words = Mapping[str, tuple[str, str]]

ENVIRONMENTS: Words = {
    "live": (gettext("Live"), gettext("For citizens. Its addresses are on the internet.")),
    "test": (
        gettext("Test"),
        gettext("For those who build the site: it may run on their own machine."),
    ),
}
METHODS: Words = {
    "client_secret_basic": (
        gettext("A secret, in a header"),
        gettext("What most sites and libraries do (client_secret_basic). We make the secret."),
    ),
    "client_secret_post": (
        gettext("A secret, in the body"),
        gettext("Only for libraries that can do nothing else (client_secret_post)."),
    ),
    "private_key_jwt": (
        gettext("A key of its own"),
        gettext("The safest: the site signs, and shares no secret with us (private_key_jwt)."),
    ),
}
ALGORITHMS: Words = {
    "RS256": ("RS256", gettext("RSA, which every library knows.")),
    "ES256": ("ES256", gettext("Elliptic curves: shorter, for newer libraries.")),
}
PROTECTIONS: Words = {
    "pkce_and_nonce": (
        gettext("PKCE and nonce"),
        gettext("Recommended: a stolen code is worth nothing in another browser."),
    ),
    "pkce_or_nonce": (gettext("PKCE or nonce"), gettext("For libraries that know one only.")),
    "none": (
        gettext("Neither"),
        gettext("Only for sites built for the reference platform that cannot be changed."),
    ),
}
SUBJECTS: Words = {
    "pairwise": (
        gettext("By a value of this service's own"),
        gettext(
            "Recommended: the fiscal code is told only where the site asks for it and the person "
            "agrees."
        ),
    ),
    "fiscal_code": (
        gettext("By the fiscal code"),
        gettext("It is in every token, also where it is not needed."),
    ),
}
CLAIMS: Words = {
    "given_name": (gettext("Given name"), ""),
    "family_name": (gettext("Family name"), ""),
    "fiscal_code": (gettext("Fiscal code"), ""),
}
_ADVICE: Mapping[str, str] = {
    r"Nothing binds a code to the browser.*": gettext(
        "Nothing binds a code to the browser that asked for it: whoever gets hold of one can use "
        "it. Have the site send PKCE (S256) and nonce, then choose “PKCE and nonce”."
    ),
    r"Send both code_challenge.*": gettext(
        "Have the site send both PKCE (S256) and nonce, then choose “PKCE and nonce”."
    ),
    r"A secret in a body ends up.*": gettext(
        "A secret in a body ends up in logs more easily: send it in a header, or better use a key "
        "of the site's own."
    ),
    r"Every token names the citizen's fiscal code.*": gettext(
        "Every token names the person's fiscal code, also where it is not needed. With a value of "
        "the service's own it is told only where it is asked for."
    ),
    r"Requests come without state.*": gettext(
        "Requests come without state: anybody can make a person's browser finish a login that it "
        "did not begin. Have the site send a value bound to the browser, and compare it."
    ),
}


def choices(texts: Texts, words: Words) -> list[tuple[str, str, str]]:
    """Value, label and sentence of each."""
    return [
        (value, texts.text(label), texts.text(sentence) if sentence else "")
        for value, (label, sentence) in words.items()
    ]


def label(texts: Texts, words: Words, value: str) -> str:
    """What a choice is called."""
    return texts.text(words[value][0]) if value in words else value


def advice_of(texts: Texts, found: SsoAdvice) -> str:
    """What could be safer, and how."""
    return said(texts, found.advice, _ADVICE) or english(found.advice)
