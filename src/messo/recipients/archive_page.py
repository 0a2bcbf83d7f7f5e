"""The archive's page for people: one file, readable without network, in Italian and English.

No script, no picture, no link; every value is escaped, and message bodies are shown as text.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined

from messo.base.db import Row

if TYPE_CHECKING:
    from messo.recipients.archive import Letter

_ROME = ZoneInfo("Europe/Rome")


def _moment(value: Any) -> str:  # noqa: ANN401
    return f"{value.astimezone(_ROME):%d/%m/%Y %H:%M:%S}"


def _plain(value: Any) -> str:  # noqa: ANN401
    """A value as people write it; nothing is a hyphen."""
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, bool):
        return "sì / yes" if value else "no"
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value)
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_plain(one)}" for name, one in value.items())
    return str(value)


_templates = Environment(
    loader=PackageLoader("messo.recipients"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters.update(moment=_moment, plain=_plain)


def top(
    *,
    made_at: datetime,
    profile: Mapping[str, Any],
    preferences: Sequence[Row],
    activations: Sequence[Row],
    sessions: Sequence[Mapping[str, Any]],
    devices: Sequence[Row],
) -> bytes:
    """The beginning: what the archive is, the profile, preferences, sessions and devices."""
    return _render(
        "archive_top.html",
        made_at=made_at,
        profile=profile,
        preferences=preferences,
        activations=activations,
        sessions=sessions,
        devices=devices,
    )


def changes(rows: Sequence[Row]) -> bytes:
    """Lines of the history."""
    return _render("archive_changes.html", rows=rows)


def between() -> bytes:
    """From the history to the messages."""
    return _render("archive_between.html")


def letters(found: Sequence["Letter"]) -> bytes:
    """Messages, one after the other."""
    return _render("archive_letters.html", letters=found)


def bottom() -> bytes:
    """The end."""
    return _render("archive_bottom.html")


def _render(name: str, **values: Any) -> bytes:  # noqa: ANN401
    return _templates.get_template(name).render(values).encode("utf-8", "replace")
