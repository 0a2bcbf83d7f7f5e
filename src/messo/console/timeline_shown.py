"""The life of a message in words: what happened, and what is still open or cannot be known."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import UNSET

from messo.base import clock
from messo.console.explained import Tone, explain, gettext
from messo.messages.sent import SentMessage
from messo.messages.timeline import Step, Timeline
from messo.pages.languages import Texts

_PAYMENT: Mapping[str, tuple[Tone, str, str]] = {
    "unpaid": ("wait", gettext("Not paid yet"), gettext("The notice can still be paid.")),
    "in_progress": (
        "wait",
        gettext("Payment under way"),
        gettext("Somebody is paying it right now. Look again in a few minutes."),
    ),
    "paid": ("good", gettext("Paid"), gettext("The notice has been paid.")),
    "expired": (
        "bad",
        gettext("Notice expired"),
        gettext("It was not paid in time, and can no longer be paid. Write a new one if need be."),
    ),
    "cancelled": (
        "bad",
        gettext("Notice cancelled"),
        gettext("Whoever is to be paid took the notice back."),
    ),
    "unknown": (
        "plain",
        gettext("Payment not known"),
        gettext("Nobody has told us yet whether the notice was paid."),
    ),
}
# Steps that are more than a state of the message.
_STEPS: Mapping[str, tuple[Tone, str, str]] = {
    "accepted": ("good", gettext("Accepted"), gettext("The message is kept here.")),
    "paid": _PAYMENT["paid"],
    "reported": (
        "bad",
        gettext("“Not for me”"),
        gettext(
            "The person says that it was not meant for them. Check that the fiscal code you have "
            "belongs to whom you mean."
        ),
    ),
}
# The others are explained as this state.
_STATES = {
    "failed": ("message", "FAILED"),
    "processed": ("message", "PROCESSED"),
    "read": ("read", "READ"),
    "rejected": ("message", "REJECTED"),
}
_STILL_TOLD = timedelta(seconds=60)  # after it was decided
# What may still change by itself within seconds.
_OPEN = ("ACCEPTED", "THROTTLED")
_CHANNELS = {
    "email": gettext("E-mail"),
    "webhook": gettext("Devices"),
}
# Nothing is kept of a message that was rejected afterwards.
_TAKEN = gettext("We took it, to see whether the person can be reached.")
_ADVANCED_ONLY = gettext(
    "That is told of messages of the kind ADVANCED only, and this one is STANDARD."
)
_NO_PERMISSION = gettext(
    "Your institution lacks the permission ApiMessageReadAdvanced. The operator of this "
    "installation can grant it."
)


@dataclass(frozen=True)
class Line:
    """One thing of a message's life. `at`: None where it has not happened, or has no time."""

    title: str
    sentence: str
    tone: Tone
    at: datetime | None = None


def lines(texts: Texts, message: SentMessage, life: Timeline) -> list[Line]:
    """What happened, oldest first, then what has not."""
    return [
        *(_happened(texts, message, step) for step in life.steps),
        *_open(texts, message, life),
    ]


def refreshing(message: SentMessage) -> bool:
    """Whether more is likely to happen right now: it is decided, and told by e-mail after that."""
    if message.decided_at is not None:
        return clock.now() - message.decided_at < _STILL_TOLD
    return message.status == "ACCEPTED"


def due_of(message: SentMessage) -> datetime | None:
    """When what the message asks for is due."""
    if message.content is None or message.content.due_date is UNSET:
        return None
    return datetime.fromisoformat(message.content.due_date)


def carried(texts: Texts, message: SentMessage) -> list[str]:
    """What it has beside its text."""
    content = message.content
    if content is None:
        return []
    parts = [
        (content.payment_data, gettext("a payment notice")),
        (content.third_party_data, gettext("content on your own server")),
        (content.eu_covid_cert, gettext("an EU COVID certificate")),
    ]
    return [texts.text(label) for part, label in parts if part is not UNSET]


def _happened(texts: Texts, message: SentMessage, step: Step) -> Line:
    if step.kind == "notified":
        state = explain(texts, "delivery", step.state or "SENT")
        channel = texts.text(_CHANNELS.get(step.channel or "", step.channel or ""))
        return Line(f"{channel}: {state.label}", state.sentence, state.tone, step.at)
    if step.kind == "rejected" and step.reason:
        why = explain(texts, "rejection", step.reason)
        title = texts.text("Not delivered: %(reason)s", reason=why.label)
        return Line(title, why.sentence, "bad", step.at)
    if step.kind in _STEPS:
        tone, label, sentence = _STEPS[step.kind]
        if step.kind == "accepted" and message.status == "REJECTED":
            sentence = _TAKEN
        return Line(texts.text(label), texts.text(sentence), tone, step.at)
    found = explain(texts, *_STATES[step.kind])
    return Line(found.label, found.sentence, found.tone, step.at)


def _open(texts: Texts, message: SentMessage, life: Timeline) -> Iterator[Line]:
    if message.status in _OPEN:
        found = explain(texts, "message", message.status)
        waiting = texts.text("Not decided yet")
        yield Line(waiting, found.sentence, "wait")
    if message.status != "PROCESSED":
        return
    kinds = {step.kind for step in life.steps}
    if "notified" not in kinds:
        yield Line(
            texts.text("Not notified"),
            texts.text(
                "No e-mail and no notice on a device has gone out: the person wants none of "
                "this service, or it is a moment too early. The message is in the inbox."
            ),
            "plain",
        )
    if "read" not in kinds:
        yield _reading(texts, message, life)
    if "paid" not in kinds and message.content and message.content.payment_data is not UNSET:
        yield _payment(texts, message, life)


def _reading(texts: Texts, message: SentMessage, life: Timeline) -> Line:
    if life.read_status is not None:
        found = explain(texts, "read", life.read_status)
        return Line(found.label, found.sentence, found.tone)
    return Line(texts.text("Read: not known"), _why_not(texts, message), "plain")


def _payment(texts: Texts, message: SentMessage, life: Timeline) -> Line:
    if life.read_status is None:  # then payment is not told either
        return Line(texts.text("Paid: not known"), _why_not(texts, message), "plain")
    tone, label, sentence = _PAYMENT[life.payment.state if life.payment else "unknown"]
    return Line(texts.text(label), texts.text(sentence), tone)


def _why_not(texts: Texts, message: SentMessage) -> str:
    is_standard = message.feature_level_type == "STANDARD"
    return texts.text(_ADVANCED_ONLY if is_standard else _NO_PERMISSION)
