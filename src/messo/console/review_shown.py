"""A version of a service as a reviewer reads it: every member by name, and against the live one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from markupsafe import Markup

from messo.console.explained import gettext
from messo.console.review_diff import compare
from messo.messages.characters import without_tricks
from messo.pages.languages import Texts
from messo.services import contacts, payload, review_checks
from messo.services.catalog import Service, topic_of
from messo.services.overseen import Overseen
from messo.services.payload import Data

LABELS: Mapping[str, str] = {
    "name": gettext("Name"),
    "description": gettext("Description"),
    "department": gettext("Department"),
    "topic_id": gettext("Topic"),
    "metadata.scope": gettext("For whom"),
    "metadata.email": gettext("E-mail"),
    "metadata.pec": gettext("Certified e-mail (PEC)"),
    "metadata.phone": gettext("Telephone"),
    "metadata.address": gettext("Address"),
    "metadata.web_url": gettext("Website"),
    "metadata.support_url": gettext("Page for help"),
    "metadata.privacy_url": gettext("Privacy notice"),
    "metadata.tos_url": gettext("Terms of service"),
    "metadata.app_ios": gettext("App for iPhone"),
    "metadata.app_android": gettext("App for Android"),
    "metadata.cta": gettext("Buttons"),
    "require_secure_channel": gettext("Sensitive"),
    "suitable_for_minors": gettext("Suitable for minors"),
    "authorized_recipients": gettext("Authorized recipients"),
    "authorized_cidrs": gettext("Networks its keys work from"),
}
SCOPES: Mapping[str, str] = {
    "NATIONAL": gettext("The whole country"),
    "LOCAL": gettext("One place"),
}
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


def members(texts: Texts, data: Data) -> list[Member]:
    """All that a version says, in the order of a card."""
    found = []
    everything = review_checks.differences(None, data)
    for name in _in_order(everything):
        value = everything[name][1]
        if value in (None, "", [], 0):
            continue
        found.append(Member(_label(texts, name), _said(texts, name, value), _href(name, value)))
    return found


def changes(texts: Texts, live: Data, asked: Data) -> list[Change]:
    """What differs, in the same order."""
    differing = review_checks.differences(live, asked)
    found = []
    for name in _in_order(differing):
        before, after = (_said(texts, name, value) for value in differing[name])
        sides = compare(before, after)
        found.append(Change(_label(texts, name), sides.before, sides.after, before == after))
    return found


def shortcomings(texts: Texts, data: Data) -> list[str]:
    """What it lacks, in the visitor's language."""
    found = []
    for line in review_checks.shortcomings(data):
        name, _, said = line.partition(": ")
        italian, _, english = said.partition(" · ")
        told = italian if texts.language == "it" else english
        found.append(f"{_label(texts, name)}: {told}")
    return found


def as_citizens_see(service: Overseen, data: Data) -> Service:
    """A version as the catalogue would have it, were it the live one."""
    row = service.row
    seen: dict[str, str] = msgspec.json.decode(payload.live(data)["metadata"])
    return Service(
        id=row["id"],
        name=data.name,
        description=data.description,
        department=data.department,
        category=service.category,
        institution_id=row["institution_id"],
        institution_name=row["institution_name"],
        fiscal_code=row["fiscal_code"],
        version=row["version"],
        topic=topic_of(data.topic_id),
        metadata={name: seen.get(name, "") for name in contacts.NAMES},
    )


def _in_order(names: Mapping[str, Any]) -> list[str]:
    known = list(LABELS)
    return sorted(names, key=lambda name: (known.index(name) if name in LABELS else 99, name))


def _label(texts: Texts, name: str) -> str:
    """Members that nobody here knows keep the name that the API has for them."""
    return texts.text(LABELS[name]) if name in LABELS else without_tricks(name)


def _said(texts: Texts, name: str, value: object) -> str:
    """A value as text; empty for nothing."""
    if value is None or (name == "authorized_recipients" and not value):
        return ""
    if name == "topic_id" and isinstance(value, int):
        topic = topic_of(value)
        return topic.name if texts.language == "it" else topic.english
    if isinstance(value, bool):
        return texts.text("Yes") if value else texts.text("No")
    if isinstance(value, list):
        return "\n".join(str(one) for one in value)
    if name == "metadata.scope" and str(value) in SCOPES:
        return texts.text(SCOPES[str(value)])
    return without_tricks(str(value))


def _href(name: str, value: object) -> str:
    """The address of a page that may be opened from here."""
    member = name.removeprefix("metadata.")
    if member in _WEB and isinstance(value, str) and not contacts.refusal(member, value):
        return value
    return ""
