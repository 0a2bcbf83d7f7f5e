"""Who somebody of an institution is, from the claims of an identity provider: text of strangers."""

import unicodedata
from dataclasses import dataclass

from messo.login import LoginError, claims
from messo.login.claims import Claims

_LONGEST = 200  # characters of a login, and of each name
_NAMES = ("name", "given_name")
_EMAIL = "email"


@dataclass(frozen=True)
class Staff:
    """Somebody of an institution, or an operator. `login`: what the provider calls them for good.

    `email` is empty where the provider gives none.
    """

    login: str
    name: str
    email: str


def is_complete(given: Claims, configured: str) -> bool:
    """Whether nothing more need be asked for. `configured`: the claim that names a person."""
    asked = {configured, _EMAIL, *(("email_verified",) if configured == _EMAIL else ())}
    return asked <= given.keys() and any(name in given for name in _NAMES)


def staff(given: Claims, configured: str) -> Staff:
    """The person whom these claims describe. `configured`: the claim that names them for good.

    Raises `LoginError`: `no_login` if that claim is missing, not usable, or an address that the
    provider did not verify; `refused` for text that nobody is called.
    """
    login = claims.text(given, (configured,), _LONGEST)
    if configured == _EMAIL:
        # Whoever may write any address into their account would be whomever they like.
        if given.get("email_verified") is not True or claims.address(given) is None:
            raise LoginError("no_login", "claim email: not verified")
        login = login.lower() if login.isascii() else ""
    if not is_login(login):
        raise LoginError("no_login", "the claim that names a person is missing or not usable")
    return Staff(login, _name(given) or login, _address(given))


def is_login(login: str) -> bool:
    """Nothing invisible, and only one way to write it: another text is another person."""
    return (
        login != ""
        and login == unicodedata.normalize("NFKC", login)
        and all(unicodedata.category(one)[0] in "LMNPS" for one in login)
    )


def _name(given: Claims) -> str:
    whole = claims.text(given, ("name",), _LONGEST)
    parts = (claims.text(given, (name,), _LONGEST) for name in ("given_name", "family_name"))
    return whole or " ".join(part for part in parts if part)


def _address(given: Claims) -> str:
    if given.get("email_verified") is False:
        return ""
    return claims.address(given) or ""
