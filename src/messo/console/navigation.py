"""The menu beside every page: where one can go, as far as the visitor's role goes."""

from dataclasses import dataclass

from messo.pages.languages import Texts
from messo.people.authenticate import Access


@dataclass(frozen=True)
class Section:
    """A line of the menu. `heading`: begins a group of lines with this text."""

    href: str
    label: str
    icon: str
    is_here: bool
    heading: str = ""


def of_institution(texts: Texts, home: str, access: Access, path: str) -> list[Section]:
    """The pages of one institution, of those whose role may see them."""
    _ = texts.text
    lines = [
        ("", _("Overview"), "pa", "read", ""),
        ("/messages", _("Messages"), "mail", "send", ""),
        ("/reports", _("“Not for me”"), "flag", "send", ""),
        ("/figures", _("Figures"), "list", "read", ""),
        ("/services", _("Services"), "piattaforme", "read", ""),
        ("/limits", _("Limits"), "info-circle", "read", ""),
        ("/people", _("People"), "user", "administer", _("Settings")),
        ("/keys", _("Keys"), "key", "administer", ""),
        ("/configurations", _("Remote content"), "folder", "administer", ""),
        ("/webhooks", _("Webhooks"), "horn", "administer", ""),
        ("/clients", _("Single sign-on"), "locked", "administer", ""),
    ]
    return [
        Section(home + end, label, icon, _is_here(home, end, path), heading)
        for end, label, icon, need, heading in lines
        # A suspended institution is only looked at.
        if need in access.may and (need == "read" or access.suspended_at is None)
    ]


def of_operators(texts: Texts, home: str, path: str) -> list[Section]:
    """The pages of operators."""
    _ = texts.text
    lines = [
        ("", _("Overview"), "settings", ""),
        ("/reviews", _("Reviews"), "check-circle", ""),
        ("/institutions", _("Institutions"), "pa", ""),
        ("/held", _("Held senders"), "ban", ""),
        ("/failed", _("Failed"), "warning-circle", ""),
        ("/queues", _("Queues"), "clock", ""),
        ("/operators", _("Operators"), "user", _("Administration")),
        ("/citizens", _("Citizens"), "delete", ""),
        ("/audit", _("Audit log"), "note", ""),
    ]
    return [
        Section(home + end, label, icon, _is_here(home, end, path), heading)
        for end, label, icon, heading in lines
    ]


def _is_here(home: str, end: str, path: str) -> bool:
    return path == home if not end else f"{path}/".startswith(f"{home}{end}/")
