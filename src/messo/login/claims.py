"""Who somebody is, from the claims of an identity provider. They are text of strangers."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from messo.base import clock
from messo.login.refusal import LoginError
from messo.login.sessions import Identity

Claims = Mapping[str, Any]

_CODE_CLAIMS = ("fiscal_code", "fiscalNumber", "https://attributes.eid.gov.it/fiscal_number")
_GIVEN = ("given_name", "name")
_FAMILY = ("family_name", "familyName")
_BORN = ("birthdate", "dateOfBirth")
_FISCAL_CODE = re.compile(
    r"(?:TINIT-)?([A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}"
    r"[A-Z][0-9LMNPQRSTUV]{3}[A-Z])\Z"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s]+\Z")
_LONGEST = 200  # characters of a name
_LONGEST_EMAIL = 254  # RFC 5321, section 4.5.3.1.3, less the brackets
_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_complete(claims: Claims, configured: str) -> bool:
    """Whether these claims name a citizen, so that nothing more need be asked for."""
    has_names = _first(claims, _GIVEN) is not None and _first(claims, _FAMILY) is not None
    return has_names and _first(claims, _names_of_code(configured)) is not None


def identity(claims: Claims, level: str, configured: str) -> Identity:
    """The citizen whom these claims describe.

    `configured` is the claim with the fiscal code, or empty for the usual ones.
    Raises `LoginError`: `no_fiscal_code` for somebody who has none that is Italian, `refused`
    for text that no register has. Birth date and e-mail are left out where they are not usable.
    """
    code = text(claims, _names_of_code(configured), 40)
    # ASCII first: some foreign letters become ASCII ones in upper case.
    match = _FISCAL_CODE.match(code.upper()) if code.isascii() else None
    if match is None:
        raise LoginError("no_fiscal_code")
    return Identity(
        fiscal_code=match.group(1),
        name=text(claims, _GIVEN, _LONGEST),
        family_name=text(claims, _FAMILY, _LONGEST),
        level=level,
        date_of_birth=_date(text(claims, _BORN, 40)),
        email=address(claims),
        authenticated_at=_moment(claims.get("auth_time")),
    )


def address(claims: Claims) -> str | None:
    """The e-mail address, verified or not; None if it is not usable as one."""
    given = text(claims, ("email",), _LONGEST_EMAIL)
    return given if _EMAIL.match(given) else None


def _names_of_code(configured: str) -> tuple[str, ...]:
    return (configured,) if configured else _CODE_CLAIMS


def _first(claims: Claims, names: tuple[str, ...]) -> object:
    return next((claims[name] for name in names if claims.get(name) not in (None, "")), None)


def text(claims: Claims, names: tuple[str, ...], longest: int) -> str:
    """The first of these claims as text, empty if there is none.

    `LoginError` `refused` if it is no text, longer than `longest` characters, or would not be
    shown as what it is.
    """
    value = _first(claims, names)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest:
        raise LoginError("refused", f"claim {names[0]}: not a text, or too long")
    if any(unicodedata.category(c) in {"Cc", "Cs"} or c in _OVERRIDES for c in value):
        raise LoginError("refused", f"claim {names[0]}: control characters")
    return value.strip()


def _moment(seconds: object) -> datetime | None:
    """`auth_time`; never later than now, whatever the provider's clock says."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    now = clock.now()
    try:
        return min(datetime.fromtimestamp(seconds, UTC), now)
    except (ValueError, OverflowError, OSError):
        return None


def _date(text: str) -> date | None:
    """None for what OpenID Connect allows besides: a year alone, or the year 0000."""
    if not _DATE.match(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
