"""Each permission in words: what it is for, and what an institution can do once it has it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from messo.console.explained import gettext
from messo.pages.languages import Texts
from messo.services import Permission

WORDS: Mapping[Permission, tuple[str, str]] = {
    Permission.MESSAGE_WRITE: (
        gettext("Write messages"),
        gettext("To every citizen who takes messages of the service."),
    ),
    Permission.LIMITED_MESSAGE_WRITE: (
        gettext("Write messages to authorized recipients"),
        gettext("To nobody but those whom each service lists. Enough to try things out."),
    ),
    Permission.MESSAGE_READ: (
        gettext("See what became of messages"),
        gettext("Whether they were delivered, and why not."),
    ),
    Permission.LIMITED_PROFILE_READ: (
        gettext("Ask whether a citizen can be reached"),
        gettext("Yes or no for one fiscal code and one service, and nothing else of the person."),
    ),
    Permission.MESSAGE_WRITE_WITH_PAYEE: (
        gettext("Send payment notices of others"),
        gettext("The money goes to another body than the one that writes."),
    ),
    Permission.MESSAGE_WRITE_ADVANCED: (
        gettext("Send advanced messages"),
        gettext("Those whose reading can be told, where the citizen shares it."),
    ),
    Permission.MESSAGE_READ_ADVANCED: (
        gettext("Learn of reading and payment"),
        gettext("Of advanced messages, where the citizen shares it."),
    ),
    Permission.THIRD_PARTY_MESSAGE_WRITE: (
        gettext("Send remote content"),
        gettext("Text and attachments stay with the institution and are fetched when opened."),
    ),
    Permission.MESSAGE_WRITE_EU_COVID_CERT: (
        gettext("Send EU Covid certificates"),
        gettext("Messages that carry such a certificate."),
    ),
    Permission.SUBSCRIPTIONS_FEED_READ: (
        gettext("Read the feed of subscriptions"),
        gettext("Which citizens opened or closed a service on a day, as hashed fiscal codes."),
    ),
    Permission.SERVICE_WRITE: (
        gettext("Look after services"),
        gettext("Make and change them and their keys, and submit them for review."),
    ),
    Permission.SERVICE_READ: (
        gettext("Read services"),
        gettext("See its own services by the API, and change nothing."),
    ),
    Permission.REMOTE_CONTENT_WRITE: (
        gettext("Set up remote content"),
        gettext("Say at which address the institution's own server answers."),
    ),
    Permission.INFO_READ: (
        gettext("Check a key"),
        gettext("Ask whether a key works."),
    ),
}


@dataclass(frozen=True)
class Granted:
    """A permission to tick. `name`: as the API calls it."""

    name: str
    label: str
    sentence: str
    is_given: bool


def listed(texts: Texts, given: Collection[str]) -> list[Granted]:
    """All there are; ticked those that are given."""
    return [
        Granted(name, texts.text(label), texts.text(sentence), name in given)
        for name, (label, sentence) in WORDS.items()
    ]
