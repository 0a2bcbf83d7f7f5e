"""The steps of the work in words: what each does, and what to look at when it falls behind."""

from collections.abc import Mapping
from dataclasses import dataclass

from messo.console.explained import Explained, gettext
from messo.pages.languages import Texts

LATE = 60  # seconds that the oldest item is overdue
STUCK = 600


@dataclass(frozen=True)
class Work:
    """A step in the language of a visitor. `look`: where to look when it is old."""

    label: str
    does: str
    look: str


_OURS = gettext(
    "Does a worker run, and is its log without errors? Then look at the load of the database."
)
_MAIL = gettext("Does the mail server take mail? Look at the worker's log and at `messo doctor`.")
_OUTSIDE = gettext("The other side may be slow or down: look at the worker's log.")
_STEPS: Mapping[str, tuple[str, str, str]] = {
    "messages.process": (
        gettext("Deciding"),
        gettext("Decides whether an accepted message reaches its citizen."),
        _OURS,
    ),
    "messages.index": (
        gettext("Words for the search"),
        gettext("Enters the words of new messages into each citizen's search."),
        _OURS,
    ),
    "notifications.dispatch": (
        gettext("Telling: whom and how"),
        gettext("Chooses by which channels a citizen is told of a new message."),
        _OURS,
    ),
    "notifications.remind": (
        gettext("Reminding: whom and how"),
        gettext("Chooses by which channels a citizen is reminded."),
        _OURS,
    ),
    "notifications.deliver.email": (
        gettext("Telling by e-mail"),
        gettext("Hands notices over to the mail server."),
        _MAIL,
    ),
    "notifications.deliver.web_push": (
        gettext("Telling browsers"),
        gettext("Hands notices over to the push services of browsers."),
        _OUTSIDE,
    ),
    "notifications.letter": (
        gettext("Other mails"),
        gettext("Sends invitations, checks of addresses and the like."),
        _MAIL,
    ),
    "payments.watch": (
        gettext("Noting payments"),
        gettext("Enters the payment notices of new messages."),
        _OURS,
    ),
    "payments.paid": (
        gettext("Telling of payments"),
        gettext("Tells senders that a notice was paid."),
        _OURS,
    ),
    "payments.ask": (
        gettext("Asking the payment platform"),
        gettext("Asks what is known of a notice, a bounded number a minute: it may well wait."),
        _OUTSIDE,
    ),
    "reminders.plan": (
        gettext("Planning reminders"),
        gettext("Works out when to remind of a message. Items planned for later wait here too."),
        _OURS,
    ),
    "reminders.replan": (
        gettext("Planning anew"),
        gettext("Works reminders out again after a citizen changed their choices."),
        _OURS,
    ),
    "sso.logout": (
        gettext("Logging out elsewhere"),
        gettext("Tells sites with single sign-on that a login has ended."),
        _OUTSIDE,
    ),
}
KNOWN = tuple(_STEPS)


def work_of(texts: Texts, step: str) -> Work:
    """A step in words; one that nobody described goes by its name."""
    found = _STEPS.get(step)
    if found is not None:
        label, does, look = found
        return Work(texts.text(label), texts.text(does), texts.text(look))
    channel = step.removeprefix("notifications.deliver.")
    if channel != step:
        does = texts.text("Hands notices over to a channel: %(name)s.", name=channel)
        return Work(texts.text("Telling by %(name)s", name=channel), does, texts.text(_OUTSIDE))
    return Work(step, "", texts.text(_OURS))


def pace(texts: Texts, age_seconds: float) -> Explained:
    """How grave it is that the oldest item is so long overdue."""
    if age_seconds < LATE:
        return Explained(texts.text("Keeps up"), "", "good")
    if age_seconds < STUCK:
        return Explained(texts.text("Behind"), "", "wait")
    return Explained(texts.text("Far behind"), "", "bad")


def how_long(texts: Texts, seconds: float) -> str:
    """A time in words, in its largest unit."""
    if seconds < LATE:
        return texts.count("%(n)s second", "%(n)s seconds", int(seconds))
    minutes = int(seconds // 60)
    if minutes < 120:  # noqa: PLR2004  two hours: minutes say more until then
        return texts.count("%(n)s minute", "%(n)s minutes", minutes)
    hours = minutes // 60
    if hours < 48:  # noqa: PLR2004  the same, of days
        return texts.count("%(n)s hour", "%(n)s hours", hours)
    return texts.count("%(n)s day", "%(n)s days", hours // 24)
