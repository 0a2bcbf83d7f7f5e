"""The audit log in words: who did it, what was done, to whom or what."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from messo.console.explained import gettext
from messo.console.visit import Visit
from messo.operations.operators import listed
from messo.pages.languages import Texts
from messo.people.authenticate import actor_of
from messo.people.named import Named, named
from messo.services.review import AT_ONCE

ACTIONS: Mapping[str, str] = {
    "activation.put": gettext("A service changed whether a citizen takes its messages"),
    "citizen.create": gettext("Enrolled a citizen"),
    "citizen.erase": gettext("Erased a citizen"),
    "group.change": gettext("Changed a group of services"),
    "group.create": gettext("Made a group of services"),
    "group.delete": gettext("Deleted a group of services"),
    "guard.allow": gettext("Let an institution past the mass guard"),
    "guard.end_allowance": gettext("Ended an allowance of the mass guard"),
    "institution.create": gettext("Made an institution"),
    "institution.grant": gettext("Gave permissions to an institution"),
    "institution.logo": gettext("Changed an institution's logo"),
    "institution.networks": gettext("Changed the networks that an institution may send from"),
    "institution.permissions": gettext("Changed an institution's permissions"),
    "institution.restore": gettext("Restored an institution"),
    "institution.revoke": gettext("Took permissions from an institution"),
    "institution.suspend": gettext("Suspended an institution"),
    "invitation.accept": gettext("Accepted an invitation"),
    "invitation.create": gettext("Invited somebody"),
    "invitation.withdraw": gettext("Withdrew an invitation"),
    "key.create": gettext("Made a pair of keys"),
    "key.read": gettext("Looked at a pair of keys"),
    "key.rotate": gettext("Replaced a key"),
    "member.add": gettext("Made somebody a member"),
    "member.remove": gettext("Removed a member"),
    "member.role": gettext("Changed a member's role"),
    "message.send": gettext("Sent a message"),
    "messages.replay": gettext("Had failed messages tried again"),
    "operator.add": gettext("Named an operator"),
    "operator.remove": gettext("Took the role of operator away"),
    "payments.replay": gettext("Had payment events tried again"),
    "people.login": gettext("Logged in"),
    "people.logout": gettext("Ended somebody's logins"),
    "reminders.schedule": gettext("Changed when reminders are sent"),
    "remote_content.create": gettext("Made a remote configuration"),
    "remote_content.replace": gettext("Changed a remote configuration"),
    "service.approve": gettext("Approved a service"),
    "service.create": gettext("Made a service"),
    "service.delete": gettext("Deleted a service"),
    "service.describe": gettext("Described a service"),
    "service.edit": gettext("Changed a service"),
    "service.group": gettext("Moved a service to another group"),
    "service.logo": gettext("Changed a service's logo"),
    "service.postal_account": gettext("Changed a service's postal account"),
    "service.reject": gettext("Asked for changes to a service"),
    "service.release": gettext("Released a service"),
    "service.restore": gettext("Restored a service"),
    "service.state": gettext("Changed a service's state"),
    "service.submit": gettext("Submitted a service for review"),
    "service.suspend": gettext("Suspended a service"),
    "service.unpublish": gettext("Took a service out of the catalogue"),
    "service.withdraw": gettext("Withdrew a service from review"),
    "sso.client.change": gettext("Changed a single sign-on client"),
    "sso.client.create": gettext("Made a single sign-on client"),
    "sso.client.delete": gettext("Deleted a single sign-on client"),
    "sso.client.secret.drop": gettext("Dropped the old secret of a single sign-on client"),
    "sso.client.secret.replace": gettext("Replaced the secret of a single sign-on client"),
    "sso.consent.withdraw": gettext("Withdrew a consent for single sign-on"),
    "sso.keys.rotate": gettext("Replaced the keys that sign tokens"),
    "webhook.change": gettext("Changed a webhook"),
    "webhook.create": gettext("Made a webhook"),
    "webhook.delete": gettext("Deleted a webhook"),
    "webhook.replay": gettext("Had events of a webhook sent again"),
    "webhook.secret.drop": gettext("Dropped the old secret of a webhook"),
    "webhook.secret.replace": gettext("Replaced the secret of a webhook"),
    "webhook.stop": gettext("Stopped a webhook that took nothing for days"),
}

# What has no name of its own, by the beginning of what was done to it.
_NAMELESS: Mapping[str, str] = {
    "group": gettext("Group of services %(id)s"),
    "invitation": gettext("Invitation %(id)s"),
    "message": gettext("Message %(id)s"),
    "remote_content": gettext("Remote configuration %(id)s"),
    "webhook": gettext("Webhook %(id)s"),
}


@dataclass(frozen=True)
class Told:
    """Somebody or something in words. `href`: a page about it, "" where there is none."""

    text: str
    href: str = ""


class Names:
    """Who the actors and subjects of some entries are, asked for once for a whole page."""

    def __init__(self, texts: Texts, found: Mapping[str, Named], logins: Mapping[str, str]) -> None:
        self._texts = texts
        self._found = found
        self._logins = logins

    @classmethod
    async def of(cls, visit: Visit, words: Iterable[str]) -> "Names":
        """`words`: actors and subjects as the audit log has them."""
        ids = {word.rpartition(":")[2] for word in words}
        found = await named(visit.conn, sorted(ids))
        operators = await listed(visit.conn)
        secrets = visit.site.secrets
        logins = {
            actor_of(secrets, row["login"]).partition(":")[2]: row["login"] for row in operators
        }
        return cls(visit.texts, found, logins)

    def actor(self, actor: str) -> Told:
        """Whoever did something."""
        _ = self._texts.text
        kind, _colon, rest = actor.partition(":")
        if kind == "member":
            return self._member(rest)
        if kind == "operator":
            login = self._logins.get(rest)
            return Told(_("Operator %(name)s", name=login) if login else _("An operator"))
        if kind == "person" and rest in self._logins:
            return self.subject(rest)
        if kind in {"institution", "service"}:
            return self.subject(rest)
        if kind == "cli":
            return Told(_("%(name)s, on the command line", name=rest))
        words = {
            "person": _("Whoever logged in"),
            "citizen": _("A citizen"),
            "invitation": _("An invitation"),
            AT_ONCE: _("The automatic checks"),
            "sandbox": _("The sandbox"),
            "worker": _("The installation itself"),
        }
        return Told(words.get(kind, actor))

    def subject(self, subject: str, action: str = "") -> Told:
        """What it was done to; an empty text if nobody knows it by a name, or of which kind it is."""
        one = self._found.get(subject)
        if one is None:
            return Told(self._nameless(subject, action))
        if one.kind == "institution":
            return Told(one.name, _page_of(one.institution_id))
        return Told(f"{one.name} ({one.institution_name})", _page_of(one.institution_id))

    def _nameless(self, subject: str, action: str) -> str:
        if login := self._logins.get(subject):
            return self._texts.text("Operator %(name)s", name=login)
        words = _NAMELESS.get(action.partition(".")[0])
        return self._texts.text(words, id=subject) if words else ""

    def _member(self, member_id: str) -> Told:
        one = self.subject(member_id)
        return one if one.text else Told(self._texts.text("A former member"))


def what(texts: Texts, action: str) -> str:
    """What was done; as the log has it, if nobody described it."""
    text = ACTIONS.get(action)
    return texts.text(text) if text else action


def _page_of(institution_id: str) -> str:
    return f"/console/operate/institutions/{quote(institution_id, safe='')}"
