"""Every state and every refusal in words: what it means, and what one can do about it.

Templates ask for `explain(kind, value)`. Texts are English here; `locale/it.po` has the Italian.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from messo.base.http import Problem
from messo.pages.languages import Texts

Tone = Literal["good", "plain", "wait", "bad"]


def gettext(text: str) -> str:
    """Mark a text for the catalogue; it is translated where it is shown."""
    return text


@dataclass(frozen=True)
class Explained:
    """`label`: one or two words; `sentence`: what it means and what to do; `tone`: how grave."""

    label: str
    sentence: str
    tone: Tone


_Entry = tuple[Tone, str, str]

_MESSAGE: Mapping[str, _Entry] = {
    "ACCEPTED": (
        "wait",
        gettext("Accepted"),
        gettext("We have it, and decide in a moment whether the person can be reached."),
    ),
    "THROTTLED": (
        "wait",
        gettext("Waiting"),
        gettext("Something on our side stopped us. We go on trying; you need not send it again."),
    ),
    "PROCESSED": ("good", gettext("Received"), gettext("It is in the person's inbox.")),
    "REJECTED": (
        "bad",
        gettext("Not delivered"),
        gettext("The person does not get it here, and its text is deleted. Write by other means."),
    ),
    "FAILED": (
        "bad",
        gettext("Failed"),
        gettext(
            "We could not process it for a week. The operator of this installation can have it "
            "tried again."
        ),
    ),
}
_REJECTION: Mapping[str, _Entry] = {
    "USER_NOT_FOUND": (
        "bad",
        gettext("Not enrolled"),
        gettext(
            "Nobody with this fiscal code receives messages here. Check the fiscal code, or "
            "write by other means."
        ),
    ),
    "SERVICE_NOT_ALLOWED": (
        "bad",
        gettext("Refused by the person"),
        gettext(
            "The person does not take messages of this service, or has closed the inbox. Only "
            "they can change that; write by other means."
        ),
    ),
}
_DELIVERY: Mapping[str, _Entry] = {
    "QUEUED": ("wait", gettext("On its way"), gettext("It will be handed over in a moment.")),
    "SENT": ("good", gettext("Delivered"), gettext("The mail server or push service took it.")),
    "THROTTLED": (
        "wait",
        gettext("Tried again"),
        gettext("The other side could not take it yet. We go on trying until it expires."),
    ),
    "EXPIRED": (
        "bad",
        gettext("Expired"),
        gettext(
            "The other side took it too late or never. The message is in the inbox all the same."
        ),
    ),
    "FAILED": (
        "bad",
        gettext("Refused"),
        gettext("The other side does not take it. The message is in the inbox all the same."),
    ),
    "STOPPED": (
        "plain",
        gettext("Stopped"),
        gettext("The person changed their choices before it was handed over."),
    ),
}
_SERVICE: Mapping[str, _Entry] = {
    "draft": (
        "plain",
        gettext("Draft"),
        gettext(
            "Only its authorized recipients get messages of it. Submit it once it is complete."
        ),
    ),
    "submitted": (
        "wait",
        gettext("In review"),
        gettext("An operator looks at it. You can withdraw it to change something."),
    ),
    "approved": (
        "good",
        gettext("Approved"),
        gettext("It can write to citizens."),
    ),
    "rejected": (
        "bad",
        gettext("Change requested"),
        gettext("The reviewer said what to change. Change it, then submit it again."),
    ),
    "deleted": (
        "bad",
        gettext("Deleted"),
        gettext("It writes no more, and its keys are dead. Messages that it sent stay readable."),
    ),
    "published": (
        "good",
        gettext("Published"),
        gettext("Citizens find it in the catalogue, and it can write to them."),
    ),
    "unpublished": (
        "plain",
        gettext("Not listed"),
        gettext("It can write to citizens; the catalogue does not show it."),
    ),
    "waits": (
        "wait",
        gettext("Waits for release"),
        gettext(
            "This version is approved and not in force yet: release it, and it takes the place "
            "of the one before."
        ),
    ),
    "changing": (
        "plain",
        gettext("Changes begun"),
        gettext(
            "Citizens see the version before. Submit the changes for review once they are complete."
        ),
    ),
    "suspended": (
        "bad",
        gettext("Suspended"),
        gettext(
            "An operator has stopped it: it sends nothing. Ask the operator of this "
            "installation why."
        ),
    ),
}
_WEBHOOK: Mapping[str, _Entry] = {
    "on": ("good", gettext("On"), gettext("Events are sent as they happen.")),
    "failing": (
        "wait",
        gettext("Failing"),
        gettext(
            "Its address does not take events. They wait, and are tried again with growing pauses."
        ),
    ),
    "asked": ("plain", gettext("Off"), gettext("Somebody switched it off. Events are not sent.")),
    "gone": (
        "bad",
        gettext("Off: gone"),
        gettext(
            "Its address answered that it is gone (410). Correct the address, then switch it on."
        ),
    ),
    "stopped": (
        "bad",
        gettext("Off: failing"),
        gettext(
            "Its address took nothing for days, so we stopped. Repair it, send a test event, "
            "then switch it on: what waited is sent."
        ),
    ),
}
_READ: Mapping[str, _Entry] = {
    "READ": ("good", gettext("Read"), gettext("The person has opened the message.")),
    "UNREAD": ("wait", gettext("Not read yet"), gettext("The person has not opened it so far.")),
    "UNAVAILABLE": (
        "plain",
        gettext("Not shared"),
        gettext("The person does not let you know whether they read messages of this service."),
    ),
}
_WISH: Mapping[str, _Entry] = {
    "DELETE": ("plain", gettext("Erasure"), gettext("The citizen wants to be erased.")),
    "DOWNLOAD": ("plain", gettext("Copy of the data"), gettext("The citizen wants their data.")),
}
_WISH_STATE: Mapping[str, _Entry] = {
    "PENDING": ("wait", gettext("Waits"), gettext("It is carried out once its time has come.")),
    "WIP": ("wait", gettext("Under way"), gettext("It is being carried out.")),
    "CLOSED": ("good", gettext("Done"), gettext("It was carried out.")),
    "FAILED": (
        "bad",
        gettext("Given up"),
        gettext("It failed ten times. Look for why in the log, then let the citizen ask again."),
    ),
    "ABORTED": ("plain", gettext("Taken back"), gettext("The citizen changed their mind.")),
}
_INSTITUTION: Mapping[str, _Entry] = {
    "active": (
        "good",
        gettext("Active"),
        gettext("Its keys work, as far as its permissions go."),
    ),
    "suspended": (
        "bad",
        gettext("Suspended"),
        gettext("All its keys are refused, and its people change nothing until it is restored."),
    ),
}
_KINDS: Mapping[str, Mapping[str, _Entry]] = {
    "message": _MESSAGE,
    "rejection": _REJECTION,
    "delivery": _DELIVERY,
    "service": _SERVICE,
    "webhook": _WEBHOOK,
    "institution": _INSTITUTION,
    "wish": _WISH,
    "wish_state": _WISH_STATE,
    "read": _READ,
}

# Pages that say what happened: a title, and what to do now.
REASONS: Mapping[str, tuple[str, str]] = {
    "invitation": (
        gettext("This invitation is no longer good"),
        gettext(
            "If you have accepted it already you are all set: go to the console. Otherwise it "
            "was withdrawn, or a newer one has taken its place, or it is too old: ask whoever "
            "invited you for a new one."
        ),
    ),
    "suspended": (
        gettext("This institution is suspended"),
        gettext(
            "Nobody can join it right now. Your invitation stays open: try again once the "
            "institution is back."
        ),
    ),
    "last_admin": (
        gettext("You are the only admin there"),
        gettext(
            "With this invitation you would not be one any more, and nobody could look after "
            "the institution. Make somebody else an admin first."
        ),
    ),
    "expired": (
        gettext("Your login has ended"),
        gettext(
            "For your safety we log you out when you have not used the console for a while. If "
            "you were changing something it was not saved: log in and repeat it."
        ),
    ),
    "form": (
        gettext("This form has grown old"),
        gettext(
            "It was opened before you last logged in, or on another page. Nothing was changed: "
            "open the page anew and try again."
        ),
    ),
    "busy": (
        gettext("One moment, please"),
        gettext("We cannot reach our data right now. Nothing is lost: try again in a minute."),
    ),
    "nothing": (
        gettext("There is nothing here"),
        gettext("The address may be mistyped, what was here is gone, or it is not for you."),
    ),
    "problem": (
        gettext("That did not work"),
        gettext("Nothing was changed. Go back and try again."),
    ),
    "broken": (
        gettext("Something went wrong on our side"),
        gettext(
            "It is not your fault, and nothing is lost. If it happens again, tell whoever runs "
            "this site and give them this number:"
        ),
    ),
    "login": (
        gettext("You could not be logged in"),
        gettext(
            "The answer of the login service was not what we expected. Nothing happened to your "
            "data."
        ),
    ),
}
LOGIN: Mapping[str, str] = {
    "cancelled": gettext("You stopped the login. Begin again whenever you like."),
    "expired": gettext(
        "The login took too long, or was begun in another browser. Begin again here."
    ),
    "no_login": gettext(
        "The login service did not tell us by which name it knows you. Whoever runs "
        "this site can change that."
    ),
    "provider_down": gettext("The login service does not answer right now. Try again in a minute."),
    "not_configured": gettext("Logging in is not set up here yet. Ask whoever runs this site."),
}
NOT_ALLOWED = "You are not allowed here"
# Refusals by their title on the wire. What one can do about it; the API's own words stand below.
PROBLEMS: Mapping[str, str] = {
    NOT_ALLOWED: gettext(
        "Your role does not allow this. An admin of your institution can give you another one."
    ),
    "User has no valid scopes": gettext(
        "Your institution lacks the permission for this. The operator of this installation can "
        "grant it."
    ),
    "Mass communication not permitted": gettext(
        "This text went to a great many people within a day. Messages here are personal: write "
        "about the one person you address. If this is a mistake, the operator can allow it."
    ),
    "Recipient forbidden": gettext(
        "This service is a draft, and writes to its authorized recipients only. Add the fiscal "
        "code there, or have the service reviewed."
    ),
    "Last admin": gettext("This is the only admin: make somebody else an admin first."),
    "Too many invitations": gettext("Too many invitations are open: wait, or withdraw some."),
    "Too many requests": gettext("That was a lot at once: wait a moment and try again."),
    "Payload too large": gettext("This form is too large."),
    "Group not empty": gettext("There are services in this group. Move them out of it first."),
    "Group not found": gettext("Your institution has no such group: it may have been deleted."),
    "Keys not found": gettext(
        "There are no keys here yet. The operator of this installation can make them."
    ),
    "Too many groups": gettext("No more groups are possible: delete one that is not needed."),
    "Conflict": gettext(
        "Somebody changed it meanwhile, or its state does not allow this: look at it again."
    ),
    "Precondition failed": gettext("Somebody changed it meanwhile: look at it again."),
    "Not confirmed": gettext("We do not know whether it was kept: look before you try again."),
}

# Of "Recipient forbidden", where it is not the service that is restricted.
_RESTRICTED = gettext(
    "Your institution may not write to everybody yet, so this service writes to its authorized "
    "recipients only. The operator of this installation can grant it more."
)
# Of the first of these, where the institution is suspended.
SUSPENDED = gettext(
    "Your institution is suspended. Until it is restored this is closed, and nothing is sent. Ask "
    "the operator of this installation."
)


def explain(texts: Texts, kind: str, value: str) -> Explained:
    """A state in words; one that nobody described is shown as it is."""
    found = _KINDS.get(kind, {}).get(value)
    if found is None:
        return Explained(value, "", "plain")
    tone, label, sentence = found
    return Explained(texts.text(label), texts.text(sentence), tone)


def refusal(problem: Problem) -> str:
    """What one can do about a refusal; "" where we know of nothing better than its own words."""
    if problem.title == NOT_ALLOWED and "lacks the permission" in problem.detail:
        return PROBLEMS["User has no valid scopes"]
    if problem.title == "Recipient forbidden" and "may not write to everybody" in problem.detail:
        return _RESTRICTED
    return PROBLEMS.get(problem.title, "")
