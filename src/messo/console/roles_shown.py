"""The roles of people in words: what each is called, and what it may."""

from collections.abc import Mapping
from typing import get_args

from messo.console.explained import gettext
from messo.pages.languages import Texts
from messo.people.roles import Role

ROLES: Mapping[Role, tuple[str, str]] = {
    "admin": (
        gettext("Admin"),
        gettext(
            "May do everything: invite people and give roles, make keys and webhooks, change "
            "services, write messages."
        ),
    ),
    "editor": (
        gettext("Editor"),
        gettext(
            "Looks after services: makes them, changes them, has them reviewed. Sees no messages."
        ),
    ),
    "sender": (
        gettext("Sender"),
        gettext(
            "Writes to citizens, and sees the messages that were sent and what became of them."
        ),
    ),
    "reader": (
        gettext("Reader"),
        gettext("Sees services, limits and figures. Changes nothing, and sees no messages."),
    ),
}


# In one line, where a role stands beside a name.
_IN_SHORT: Mapping[Role, str] = {
    "admin": gettext("Admin: people, keys, services and messages"),
    "editor": gettext("Editor: services"),
    "sender": gettext("Sender: writes messages and sees those sent"),
    "reader": gettext("Reader: sees services and figures, changes nothing"),
}


def roles(texts: Texts) -> list[tuple[Role, str, str]]:
    """Value, label and sentence of each, the most powerful first."""
    return [
        (role, texts.text(label), texts.text(sentence)) for role, (label, sentence) in ROLES.items()
    ]


def shown(texts: Texts) -> dict[str, str]:
    """The same in a line each, by their names on the wire."""
    return {role: texts.text(text) for role, text in _IN_SHORT.items()}


def role_of(text: str) -> Role | None:
    """The role that a form names; None for what is none."""
    for role in get_args(Role):
        if role == text:
            found: Role = role
            return found
    return None
