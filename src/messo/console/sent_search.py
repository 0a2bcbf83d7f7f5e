"""What somebody searches for among the messages sent: from a form to an address that tells nothing."""

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import get_args

import msgspec

from messo.base.forms import short_text
from messo.console import sealed
from messo.console.explained import gettext
from messo.console.visit import Visit
from messo.login import FISCAL_CODE
from messo.messages.sent import Status, Wanted

STATUSES: tuple[Status, ...] = get_args(Status)
FIELDS = ("since", "until", "service_id", "status", "fiscal_code", "words", "reference")
_FISCAL_CODE = re.compile(FISCAL_CODE)
_SPACES = re.compile(r"\s+")
_LONGEST = {"words": 120, "reference": 64, "fiscal_code": 40, "service_id": 100}
_DAYS = ("%Y-%m-%d", "%d/%m/%Y")  # as browsers send them, and as people type them where they do not
_NO_DAY = gettext("This is no day. Write it like 31/12/2026.")
_NO_FISCAL_CODE = gettext("A fiscal code has 16 letters and digits. Check what you typed.")
_BACKWARDS = gettext("This day is before the first one.")


class Search(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the list is narrowed to, as it travels."""

    since: date | None = None
    until: date | None = None
    service_id: str = ""
    status: str = ""
    fiscal_code: str = ""
    words: str = ""
    reference: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether it narrows nothing."""
        return self == Search()

    @property
    def wanted(self) -> Wanted:
        """As the room of messages takes it."""
        status = self.status if self.status in STATUSES else None
        return Wanted(
            service_id=self.service_id or None,
            since=self.since,
            until=self.until,
            fiscal_code=self.fiscal_code or None,
            words=self.words or None,
            reference=self.reference or None,
            status=status,
        )


@dataclass(frozen=True)
class Typed:
    """A search as its form shows it: `values` by field, and what is wrong with some of them."""

    values: dict[str, str]
    errors: dict[str, str] = field(default_factory=dict)
    search: Search = field(default_factory=Search)


def from_form(visit: Visit) -> Typed:
    """What was typed."""
    values = {name: short_text(visit.form.get(name), _LONGEST.get(name, 20)) for name in FIELDS}
    values["fiscal_code"] = _SPACES.sub("", values["fiscal_code"]).upper()
    errors: dict[str, str] = {}
    days = {name: _day(values[name]) for name in ("since", "until")}
    for name, day in days.items():
        if values[name] and day is None:
            errors[name] = visit.texts.text(_NO_DAY)
    since, until = days["since"], days["until"]
    if since and until and until < since:
        errors["until"] = visit.texts.text(_BACKWARDS)
    if values["fiscal_code"] and not _FISCAL_CODE.match(values["fiscal_code"]):
        errors["fiscal_code"] = visit.texts.text(_NO_FISCAL_CODE)
    texts = {name: values[name] for name in FIELDS if name not in days}
    return Typed(values, errors, Search(since, until, **texts))


def from_address(visit: Visit) -> Typed:
    """What the address has sealed within it; nothing, if it is old or somebody else's."""
    text = visit.query("q", 4000)
    login, secrets = visit.visitor.login, visit.site.secrets
    found = sealed.unseal(secrets, login, text, Search) or Search()
    values = {name: _written(getattr(found, name)) for name in FIELDS}
    return Typed(values, {}, found)


def to_address(visit: Visit, search: Search) -> str:
    """The search for an address; empty for one that narrows nothing."""
    return "" if search.is_empty else sealed.seal(visit.site.secrets, visit.visitor.login, search)


def _day(text: str) -> date | None:
    for form in _DAYS:
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007  a day, by Rome's calendar
        except ValueError:
            continue
    return None


def _written(value: date | str | None) -> str:
    return value.isoformat() if isinstance(value, date) else value or ""
