"""A version of a service as a reviewer reads it: every member by name, and against the live one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from markupsafe import Markup

from messo.console.review_diff import Budget, compare
from messo.console.service_shown import LABELS, value_of
from messo.messages.characters import without_tricks
from messo.pages.languages import Texts
from messo.services import contacts, review_checks
from messo.services.payload import Data

_MANY_LINES = 60  # characters; what is longer gets a line of its own
_WEB = ("web_url", "support_url", "privacy_url", "tos_url", "app_ios", "app_android")


@dataclass(frozen=True)
class Member:
    """A member of a version. `href`: where it leads, if it is the address of a page."""

    label: str
    text: str
    href: str = ""

    @property
    def is_long(self) -> bool:
        """Whether it is a text to read, more than a value."""
        return len(self.text) > _MANY_LINES and not self.href


@dataclass(frozen=True)
class Change:
    """A member that differs, as HTML. `is_hidden`: only in characters that nobody sees."""

    label: str
    before: Markup
    after: Markup
    is_hidden: bool


def without_trial(data: Data, sandbox_fiscal_code: str) -> Data:
    """A version without the person made for trying, who is an authorized recipient of every one."""
    codes = [code for code in data.authorized_recipients if code != sandbox_fiscal_code]
    return msgspec.structs.replace(data, authorized_recipients=codes)


def members(texts: Texts, data: Data) -> list[Member]:
    """All that a version says, in the order of a card."""
    found = []
    everything = review_checks.differences(None, data)
    for name in _in_order(everything):
        value = everything[name][1]
        if value in (None, "", [], 0):
            continue
        said = _said(texts, name, value)
        if said:  # a dash stands for no department
            found.append(Member(_label(texts, name), said, _href(name, value)))
    return found


def changes(texts: Texts, live: Data, asked: Data) -> list[Change]:
    """What differs, in the same order."""
    differing = review_checks.differences(live, asked)
    found, budget = [], Budget()
    for name in _in_order(differing):
        before, after = (_said(texts, name, value) for value in differing[name])
        sides = compare(before, after, budget)
        found.append(Change(_label(texts, name), sides.before, sides.after, before == after))
    return found


def _in_order(names: Mapping[str, Any]) -> list[str]:
    known = list(LABELS)
    return sorted(names, key=lambda name: (known.index(name) if name in LABELS else 99, name))


def _label(texts: Texts, name: str) -> str:
    """Members that nobody here knows keep the name that the API has for them."""
    return texts.text(LABELS[name]) if name in LABELS else without_tricks(name)


def _said(texts: Texts, name: str, given: object) -> str:
    """A value as text; empty for nothing."""
    return without_tricks(value_of(texts, name, given))


def _href(name: str, value: object) -> str:
    """The address of a page that may be opened from here."""
    member = name.removeprefix("metadata.")
    if member in _WEB and isinstance(value, str) and not contacts.refusal(member, value):
        return value
    return ""
