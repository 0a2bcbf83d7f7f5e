"""A message in JSON as far as it can be read, to be shown while somebody is still typing it."""

from dataclasses import dataclass

import msgspec
from msgspec import UNSET

from messo.messages.wire import Content, Parts


@dataclass(frozen=True)
class Written:
    """To whom ("" if that is not said yet), and what."""

    fiscal_code: str
    content: Content


def content_of_json(text: str) -> Written | None:
    """What there is of a message; None if this is no JSON object, or has no content."""
    try:
        given = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None
    members = given.get("content") if isinstance(given, dict) else None
    if not isinstance(members, dict):
        return None
    content = Content(subject=_text(members, "subject"), markdown=_text(members, "markdown"))
    for name in Parts.__struct_fields__:
        part = _part(members, name)
        if part is not UNSET:
            setattr(content, name, part)
    return Written(_text(given, "fiscal_code"), content)


def _part(members: dict[str, object], name: str) -> object:
    """A part of the content; none while it is incomplete."""
    if name not in members:
        return UNSET
    try:
        return getattr(msgspec.convert({name: members[name]}, Parts), name)
    except (msgspec.ValidationError, RecursionError):
        return UNSET


def _text(members: dict[str, object], name: str) -> str:
    found = members.get(name)
    return found if isinstance(found, str) else ""
