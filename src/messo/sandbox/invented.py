"""Whom the sandbox's identity provider knows: what it claims of those who are chosen on its page."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from messo.sandbox import world
from messo.sandbox.staff import OPERATOR, STAFF

LEVELS = tuple(f"https://www.spid.gov.it/SpidL{number}" for number in (1, 2, 3))

Form = Mapping[str, str]

_FISCAL_CODE = re.compile(
    r"[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]\Z"
)
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")


def citizen(form: Form, asked_levels: str) -> dict[str, Any] | None:
    """The claims of the citizen with the fiscal code in the form; None if it is none.

    Known to us or not. Unless the form has a level, it is the first asked for that we know.
    """
    code = form.get("fiscal_code", "").strip().upper()
    if not _FISCAL_CODE.match(code):
        return None
    level = form.get("level", "")
    if level not in LEVELS:
        level = next((one for one in asked_levels.split() if one in LEVELS), LEVELS[1])
    person = world.person(code, level)
    found = {
        "sub": _subject(person.fiscal_code),
        "acr": level,
        "fiscal_code": person.fiscal_code,
        "given_name": person.name,
        "family_name": person.family_name,
        "birthdate": person.date_of_birth.isoformat() if person.date_of_birth else None,
        "email": person.email,
    }
    return {name: value for name, value in found.items() if value is not None}


def staff(form: Form, _: str) -> dict[str, Any] | None:
    """The claims of whoever has the login in the form, of an institution or not; None if none."""
    login = form.get("login", "").strip().lower()
    if not _LOGIN.match(login):
        return None
    known = next((one for one in STAFF if one.login == login), None)
    other = "Olga Operti" if login == OPERATOR else login.replace(".", " ").title()
    return {
        "sub": _subject(f"staff:{login}"),
        "preferred_username": login,
        "name": known.name if known else other,
        "email": known.email if known else f"{login}@example.org",
        "email_verified": True,
    }


def _subject(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]
