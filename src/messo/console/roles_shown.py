"""What each role may do, in words."""

from collections.abc import Mapping

from messo.console.explained import gettext
from messo.pages.languages import Texts
from messo.people.roles import Role

ROLES: Mapping[Role, str] = {
    "admin": gettext("Admin: people, keys, services and messages"),
    "editor": gettext("Editor: services"),
    "sender": gettext("Sender: writes messages and sees those sent"),
    "reader": gettext("Reader: sees services and figures, changes nothing"),
}


def shown(texts: Texts) -> dict[str, str]:
    """The roles by their names on the wire, in the visitor's language."""
    return {role: texts.text(text) for role, text in ROLES.items()}
