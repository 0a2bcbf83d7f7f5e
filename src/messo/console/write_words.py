"""What the pages for writing say: what is wrong with a field, what is advised, who can be reached."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from codicefiscale import codicefiscale

from messo.base import clock
from messo.base.http import Problem
from messo.base.utf16 import utf16_length
from messo.console import explained
from messo.console.explained import Explained, Tone, gettext
from messo.console.write_draft import Draft, cents, due
from messo.login import FISCAL_CODE
from messo.messages import checks
from messo.messages.send import REFERENCE
from messo.messages.wire import Advice
from messo.pages.languages import Texts
from messo.services import Sender

_FISCAL_CODE = re.compile(FISCAL_CODE)
_NOTICE = re.compile(r"[0123][0-9]{17}\Z")
_BROKEN = re.compile(r"at line ([0-9]+), column ([0-9]+)\.\Z")
_PAYEE = re.compile(r"[0-9]{11}\Z")
SUBJECT, MARKDOWN = (10, 120), (80, 10_000)  # UTF-16 units, as the API takes them
_MOST_CENTS = 9_999_999_999

# Where the API finds something wrong, and the field of the form that it is about.
_FIELDS: Mapping[str, str] = {
    "fiscal_code": "fiscal_code",
    "content.subject": "subject",
    "content.markdown": "markdown",
    "content.due_date": "due_day",
    "content.payment_data.amount": "amount",
    "content.payment_data.notice_number": "notice_number",
    "content.payment_data.payee": "payee",
    "content.payment_data": "notice_number",
    "content.third_party_data.id": "third_id",
    "content.third_party_data.has_attachments": "attachments",
    "content.third_party_data": "configuration",
    "X-Messo-Reference": "reference",
}
_MISTYPED = gettext(
    "A notice number has 18 digits, the first of them 0 to 3. Its last two check the others: one "
    "of the digits is probably mistyped."
)
_FISCAL_CODE_WRONG = gettext(
    "A citizen's fiscal code has 16 letters and digits. An organisation's does not work here: write "
    "to its legal representative."
)
_PLAIN: Mapping[str, str] = {
    "fiscal_code": _FISCAL_CODE_WRONG,
    "due_day": gettext(
        "Write the due date as a day that exists, and its time as hours and minutes."
    ),
    "amount": gettext("Write the amount in euro, such as 12,50."),
    "notice_number": _MISTYPED,
    "payee": gettext("An organisation's fiscal code has 11 digits."),
    "third_id": gettext("Your server needs to know which document it is: write its id there."),
    "attachments": gettext(
        "Your institution may not send attachments yet. The operator of this installation can "
        "allow it."
    ),
    "configuration": gettext("Choose the server that has it."),
    "reference": gettext("At most 64 letters, digits and signs, without spaces or accents."),
}
_ADVICE: Mapping[str, str] = {
    "sso-unknown-relying-party": gettext(
        "A button logs people in at a site that your institution has not registered, or that is "
        "not encrypted: they will not be logged in there. Register it under “Single sign-on”."
    ),
}
_REACH: Mapping[str, tuple[Tone, str, str]] = {
    "allowed": (
        "good",
        gettext("Can be reached"),
        gettext("The person has an inbox here and lets this service write."),
    ),
    "refused": (
        "bad",
        gettext("Does not want it"),
        gettext(
            "The person has an inbox here, and has not let this service write. Only they can "
            "change that: if you send it, it is not delivered. Write by other means."
        ),
    ),
    "absent": (
        "bad",
        gettext("Cannot be reached"),
        gettext(
            "Nobody with this fiscal code has an open inbox here. Check the fiscal code; if it is "
            "right, write by other means. If you send it, it is not delivered."
        ),
    ),
    "unknown": (
        "wait",
        gettext("Not known"),
        gettext(
            "We could not look right now. You can send it all the same: its page tells you "
            "whether it was delivered."
        ),
    ),
    "not_yours": (
        "wait",
        gettext("Not known"),
        gettext(
            "Your institution may not ask beforehand who can be reached. You can send it all the "
            "same: its page tells you whether it was delivered."
        ),
    ),
}


@dataclass(frozen=True)
class Wrong:
    """Why a message is not taken. `errors`: a sentence for each field, "" for none in particular.

    `detail`: what the API says, in English.
    """

    status: int = 400
    errors: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""


def own_errors(
    texts: Texts, draft: Draft, sender: Sender | None, *, check_digits: bool
) -> dict[str, str]:
    """What is wrong with a form's fields, all at once; the gates would name the first only.

    `sender`: if it is known. `check_digits`: of notice numbers.
    """
    errors = {}
    if draft.get("reference") and not REFERENCE.match(draft.get("reference")):
        errors["reference"] = _say(texts, "reference")
    if draft.way == "json":
        return errors
    if not draft.get("fiscal_code"):
        errors["fiscal_code"] = texts.text("To whom do you write? The fiscal code is missing.")
    elif not _FISCAL_CODE.match(draft.get("fiscal_code")):
        errors["fiscal_code"] = _say(texts, "fiscal_code")
    for name, bounds in (("subject", SUBJECT), ("markdown", MARKDOWN)):
        if sentence := _length(texts, name, draft.get(name), bounds):
            errors[name] = sentence
    if (draft.get("due_day") or draft.get("due_time")) and due(draft) is None:
        errors["due_day"] = _say(texts, "due_day")
    if draft.has_payment:
        errors |= _payment_errors(texts, draft, sender, check_digits=check_digits)
    return errors | _remote_errors(texts, draft)


def wrong_of(texts: Texts, draft: Draft, problem: Problem, sender: Sender) -> Wrong:
    """A refusal of the gates in the words of the page, at the field that it is about."""
    place = problem.field or ""
    name = _field_of(place) if draft.way == "form" else _field_of_json(place)
    about = explained.refusal(problem)
    if problem.title == "Error while sending payment metadata":
        sentence = _too_much(texts, sender)
    elif about:
        sentence = texts.text(about)
    elif draft.way == "json" and name == "json":
        sentence = _in_json(texts, place, problem.detail)
    else:
        sentence = _say(texts, name)
    return Wrong(400, {name: sentence}, problem.detail)


def advice_of(texts: Texts, draft: Draft, found: Sequence[Advice]) -> dict[str, list[str]]:
    """Advice by the field that it stands at: what the gates found, and what is seen in the form."""
    said: dict[str, list[str]] = {}
    for one in found:
        sentence = texts.text(_ADVICE[one.rule]) if one.rule in _ADVICE else one.reason
        name = _field_of(one.place) if draft.way == "form" else "json"
        if sentence not in said.setdefault(name or "markdown", []):
            said[name or "markdown"].append(sentence)
    return said


def own_advice(texts: Texts, draft: Draft, fiscal_code: str) -> dict[str, list[str]]:
    """What is probably not meant, though the API takes it."""
    said: dict[str, list[str]] = {}
    if _FISCAL_CODE.match(fiscal_code) and not _checks(fiscal_code):
        said["fiscal_code" if draft.way == "form" else "json"] = [
            texts.text(
                "The last letter of this fiscal code does not fit the others: a sign is "
                "probably mistyped."
            )
        ]
    moment = due(draft) if draft.way == "form" else None
    if moment is not None and moment < clock.now():
        said["due_day"] = [texts.text("This moment is over.")]
    return said


def reach(texts: Texts, value: str) -> Explained:
    """Whether somebody can be reached, in words."""
    tone, label, sentence = _REACH[value]
    return Explained(texts.text(label), texts.text(sentence), tone)


def is_fiscal_code(text: str) -> bool:
    """Whether this may be a citizen's."""
    return _FISCAL_CODE.match(text) is not None


def own_code_error(texts: Texts) -> str:
    """For who wants a message sent to themselves, and says no fiscal code."""
    return texts.text(
        "Write your own fiscal code, 16 letters and digits, to get the message yourself."
    )


def _checks(fiscal_code: str) -> bool:
    return bool(codicefiscale.encode_cin(fiscal_code[:15]) == fiscal_code[15])


def _payment_errors(
    texts: Texts, draft: Draft, sender: Sender | None, *, check_digits: bool
) -> dict[str, str]:
    errors = {}
    amount = cents(draft.get("amount"))
    if amount is None or not 1 <= amount <= _MOST_CENTS:
        errors["amount"] = _say(texts, "amount")
    elif sender is not None and amount > sender.max_allowed_payment_amount:
        errors["amount"] = _too_much(texts, sender)
    notice = "".join(draft.get("notice_number").split())
    if not _NOTICE.match(notice) or (check_digits and not checks.fits_check_digits(notice)):
        errors["notice_number"] = _say(texts, "notice_number")
    if draft.get("payee") and not _PAYEE.match(draft.get("payee")):
        errors["payee"] = _say(texts, "payee")
    return errors


def _too_much(texts: Texts, sender: Sender) -> str:
    most = texts.euro(sender.max_allowed_payment_amount)
    return texts.text("This service may ask for %(amount)s at the most.", amount=most)


def _in_json(texts: Texts, place: str, detail: str) -> str:
    """What is wrong with a JSON; the two most frequent errors in the reader's own language."""
    broken = _BROKEN.search(detail)
    if not place and broken:
        return texts.text(
            "This is not JSON: look at line %(line)s, column %(column)s.",
            line=broken[1],
            column=broken[2],
        )
    name = place[:100] or texts.text("the whole text")
    if place and detail == f"{place} is required.":
        return texts.text("This is missing in the JSON: %(place)s", place=name)
    return texts.text("Something is wrong at: %(place)s", place=name)


def _remote_errors(texts: Texts, draft: Draft) -> dict[str, str]:
    if not draft.has_remote:
        return {}
    missing = [name for name in ("configuration", "third_id") if not draft.get(name)]
    return {name: _say(texts, name) for name in missing}


def _length(texts: Texts, name: str, text: str, bounds: tuple[int, int]) -> str:
    """A sentence if a text is too short or too long."""
    least, most = bounds
    n = utf16_length(text)
    if least <= n <= most:
        return ""
    sentence = {
        "subject": gettext("The subject needs 10 to 120 characters; it has %(n)s."),
        "markdown": gettext("The text needs 80 to 10,000 characters; it has %(n)s."),
    }[name]
    return texts.text(sentence, n=n)


def _say(texts: Texts, name: str) -> str:
    return texts.text(_PLAIN.get(name, gettext("This message is not taken as it is.")))


def _field_of(place: str) -> str:
    """The field of the form for a place in the message, or for one within it; "" for none."""
    while place:
        if place in _FIELDS:
            return _FIELDS[place]
        place = place.rpartition(".")[0]
    return ""


def _field_of_json(place: str) -> str:
    return "reference" if place == "X-Messo-Reference" else "json"
