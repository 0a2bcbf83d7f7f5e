"""Services in words: how they stand, what a review says of them, who did what, and what differs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from messo.base.db import Connection, Row
from messo.console.explained import gettext
from messo.console.visit import Visit
from messo.pages.languages import Texts
from messo.people.members import list_members
from messo.services import Manager, Permission, groups, lacks
from messo.services.catalog import topic_of

# What the members of a version are called in forms and in what a review says of them.
LABELS: Mapping[str, str] = {
    "name": gettext("Name"),
    "description": gettext("Description"),
    "department": gettext("Department"),
    "topic_id": gettext("What it is about"),
    "suitable_for_minors": gettext("Suitable for minors"),
    "require_secure_channel": gettext("Sensitive messages"),
    "authorized_recipients": gettext("Authorized recipients"),
    "authorized_cidrs": gettext("Authorized networks"),
    "max_allowed_payment_amount": gettext("Largest payment"),
    "metadata": gettext("Contacts"),
    "metadata.topic_id": gettext("What it is about"),
    "metadata.scope": gettext("For whom"),
    "metadata.web_url": gettext("Website"),
    "metadata.support_url": gettext("Help page"),
    "metadata.phone": gettext("Telephone"),
    "metadata.email": gettext("E-mail"),
    "metadata.pec": gettext("PEC (certified e-mail)"),
    "metadata.address": gettext("Address of the office"),
    "metadata.app_ios": gettext("App for iPhone"),
    "metadata.app_android": gettext("App for Android"),
    "metadata.privacy_url": gettext("Privacy notice"),
    "metadata.tos_url": gettext("Terms of use"),
    "metadata.cta": gettext("Buttons"),
}
# What a review says of them together, with the names that the form has.
_ONE_CONTACT = gettext("Contacts: at least one of e-mail, PEC, telephone and help page is needed.")
_LIVE = {"approved": "unpublished"}
_WHO: Mapping[str, str] = {
    "institution": gettext("A program, with the manage key"),
    "group": gettext("A program, with the key of a group"),
    "review": gettext("The automatic check"),
}
SCOPES: Mapping[str, str] = {
    "LOCAL": gettext("People of one place or area"),
    "NATIONAL": gettext("The whole country"),
}


@dataclass(frozen=True)
class Difference:
    """What citizens see now, and what they would see."""

    label: str
    before: str
    after: str


def manager_of(visit: Visit) -> Manager:
    """The visitor as the rooms below know them. For what only looks, nothing else is needed."""
    access = visit.access
    return Manager(access.institution_id, frozenset(access.permissions), access.actor)


def writing_manager(visit: Visit) -> Manager:
    """The same for what changes services. `Problem` 403 if the institution may not."""
    if not may_write(visit):
        raise lacks((Permission.SERVICE_WRITE,), visit.access.permissions)
    return manager_of(visit)


def may_write(visit: Visit) -> bool:
    """Whether the institution manages its services itself."""
    return Permission.SERVICE_WRITE in visit.access.permissions


def allows(visit: Visit, need: str) -> bool:
    """Whether to show what needs this: the role may, and the institution may right now."""
    is_free = visit.access.suspended_at is None and may_write(visit)
    return is_free and need in visit.may


def live_state(row: Row) -> str:
    """How the live version stands, as `explain("service", …)` knows it."""
    if row["suspended_at"] is not None and row["state"] != "deleted":
        return "suspended"
    state = str(row["state"])
    return _LIVE.get(state, state)


def working_state(row: Row) -> str:
    """How the working version stands; empty where it says nothing beyond the live one."""
    if row["state"] == "deleted" or row["status"] == "deleted":
        return ""
    if row["waits"]:
        return "waits"
    if row["status"] == "draft":
        return "" if row["state"] == "draft" else "changing"
    return "" if row["status"] == "approved" else str(row["status"])


def reasons(texts: Texts, said: str | None) -> list[str]:
    """What a review says, a line for each point; what we say ourselves in the visitor's language."""
    return [_said(texts, line) for line in (said or "").splitlines() if line.strip()]


def shortcomings(texts: Texts, lines: Sequence[str]) -> list[str]:
    """The same of what `review_checks.shortcomings` finds."""
    return [_said(texts, line) for line in lines]


def _said(texts: Texts, line: str) -> str:
    name, colon, rest = line.partition(": ")
    italian, dot, english = rest.partition(" · ")
    if not colon or not dot or name not in LABELS:
        return line
    if name == "metadata":
        return texts.text(_ONE_CONTACT)
    return f"{texts.text(LABELS[name])}: {italian if texts.language == 'it' else english}"


def differences(texts: Texts, changed: Mapping[str, tuple[Any, Any]]) -> list[Difference]:
    """What `review_checks.differences` finds, in words."""
    return [
        Difference(
            texts.text(LABELS[name]) if name in LABELS else name,
            value_of(texts, name, before),
            value_of(texts, name, after),
        )
        for name, (before, after) in changed.items()
    ]


def value_of(texts: Texts, name: str, value: Any) -> str:  # noqa: ANN401  of any member
    """A member of a version as text; empty for nothing."""
    if value is None or value in ("", []) or (name == "department" and value == "-"):
        return ""
    if isinstance(value, bool):
        return texts.text("Yes") if value else texts.text("No")
    if isinstance(value, list):
        return "\n".join(value)
    if name == "topic_id":
        topic = topic_of(value)
        return topic.name if texts.language == "it" else topic.english
    if name == "metadata.scope":
        return texts.text(SCOPES.get(value, value))
    return str(value)


async def names_of_actors(conn: Connection, institution_id: str) -> Mapping[str, str]:
    """The institution's people by what the audit log calls them."""
    rows = await list_members(conn, institution_id)
    return {f"member:{row['id']}": row["name"] for row in rows}


def who(texts: Texts, names: Mapping[str, str], actor: str | None) -> str:
    """Somebody of the audit log in words; empty where nobody noted it."""
    if not actor:
        return ""
    kind = actor.partition(":")[0]
    if kind == "member":
        return names.get(actor) or texts.text("Somebody who has left")
    return texts.text(_WHO.get(kind, gettext("An operator of this installation")))


async def group_choices(visit: Visit) -> list[tuple[str, str]]:
    """The institution's groups, for a select."""
    rows = await groups.list_all(visit.conn, manager_of(visit))
    return [(row["id"], row["name"]) for row in rows]
