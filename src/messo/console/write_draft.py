"""A message while it is being written: what was typed, and the JSON that the API would get of it.

No draft is kept here: it travels in the form, from page to page.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from messo.base import clock
from messo.base.forms import Form
from messo.base.ids import new_id
from messo.console.write_content import Written, content_of_json
from messo.messages import checks
from messo.messages.wire import Content, Payee, PaymentData, ThirdPartyData
from messo.pages.languages import ROME, in_rome

Way = Literal["form", "json"]
# `nonce`: of one message that is being written, so that it is sent once however often that is asked.
SHARED = ("service", "reference", "nonce")
OF_FORM = (
    "fiscal_code",
    "subject",
    "markdown",
    "due_day",
    "due_time",
    "notice_number",
    "amount",
    "payee",
    "invalid_after",
    "secure",
    "configuration",
    "third_id",
    "remote",
    "attachments",
)
_ONE_LINE = frozenset({*SHARED, *OF_FORM} - {"markdown"})
_LONGEST = 500  # characters of a line: more than any may have, so that it is refused and not cut
_NONCE = re.compile(r"[0-9A-Z]{26}\Z")
_THOUSANDS = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d{1,2})?\Z", re.ASCII)
_PLAIN = re.compile(r"\d{1,9}(?:[.,]\d{1,2})?\Z", re.ASCII)
_END_OF_DAY = time(23, 59)


@dataclass(frozen=True)
class Draft:
    """What was typed. `json` counts if that is the `way`, else `values` by their names."""

    way: Way
    values: Mapping[str, str]
    json: str = ""

    def get(self, name: str) -> str:
        """A field as it was typed, "" if nothing was."""
        return self.values.get(name, "")

    def having(self, **values: str) -> "Draft":
        """The same with these fields."""
        return replace(self, values={**self.values, **values})

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """Everything, for a form that takes it along."""
        names = SHARED if self.way == "json" else (*SHARED, *OF_FORM)
        text = [("json", self.json)] if self.way == "json" else []
        kept = [(name, self.get(name)) for name in names if self.get(name)]
        return [("as", self.way), *kept, *text]

    @property
    def has_payment(self) -> bool:
        """Whether anything of a payment notice was typed."""
        return any(self.get(name) for name in ("notice_number", "amount", "payee", "invalid_after"))

    @property
    def has_remote(self) -> bool:
        """Whether anything was typed of what the institution serves itself."""
        return any(
            self.get(name) for name in ("configuration", "third_id", "remote", "attachments")
        )


def blank() -> Draft:
    """Nothing typed yet."""
    return Draft("form", {"nonce": new_id()})


def read(form: Form) -> Draft:
    """A draft out of its form. Browsers end the lines of a text in two characters, people in one."""
    values = {
        name: form.get(name).replace("\r\n", "\n")
        for name in (*SHARED, *OF_FORM)
        if name in form.fields
    }
    for name in _ONE_LINE & values.keys():
        values[name] = values[name][:_LONGEST].replace("\n", " ")
        if name != "subject":
            values[name] = values[name].strip()
    if "fiscal_code" in values:
        values["fiscal_code"] = as_fiscal_code(values["fiscal_code"])
    if not _NONCE.match(values.get("nonce", "")):
        values["nonce"] = new_id()
    way: Way = "json" if form.get("as") == "json" else "form"
    return Draft(way, values, form.get("json").replace("\r\n", "\n"))


def as_fiscal_code(typed: str) -> str:
    """As people type it: in groups, in small letters."""
    return "".join(typed.split()).upper()


def cents(typed: str) -> int | None:
    """Euro as people write them, in cents: `12,50`, `12.50`, `1.234,50`; None for anything else."""
    text = "".join(typed.replace("€", " ").split())
    if _THOUSANDS.match(text):
        text = text.replace(".", "")
    elif not _PLAIN.match(text):
        return None
    euro, _, rest = text.replace(",", ".").partition(".")
    return int(euro) * 100 + int(f"{rest:0<2}")


def due(draft: Draft) -> datetime | None:
    """The moment of the due date; None if there is none, or it cannot be read."""
    try:
        day = date.fromisoformat(draft.get("due_day"))
        at = time.fromisoformat(draft.get("due_time")) if draft.get("due_time") else _END_OF_DAY
        return datetime.combine(day, at.replace(tzinfo=None), ROME).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def message_of(draft: Draft, *, advanced: bool) -> dict[str, Any]:
    """The message that a form means, as the API takes it; what cannot be read is left out.

    `advanced`: whether the institution may send such messages, which tell more of what became of
    them and can have attachments.
    """
    body: dict[str, Any] = {}
    if draft.get("fiscal_code"):
        body["fiscal_code"] = draft.get("fiscal_code")
    if advanced:
        body["feature_level_type"] = "ADVANCED"
    content: dict[str, Any] = {"subject": draft.get("subject"), "markdown": draft.get("markdown")}
    if draft.get("secure"):
        content["require_secure_channels"] = True
    moment = due(draft)
    if moment is not None:
        content["due_date"] = clock.to_wire(moment)
    if draft.has_payment:
        content["payment_data"] = _payment(draft)
    if draft.has_remote:
        content["third_party_data"] = _third(draft)
    return {**body, "content": content}


def body_of(draft: Draft, *, advanced: bool) -> bytes:
    """What the API would get."""
    if draft.way == "json":
        return draft.json.encode()
    return msgspec.json.encode(message_of(draft, advanced=advanced))


def written_of(draft: Draft) -> Written | None:
    """The message as far as it goes, to be shown; None while its JSON cannot be read."""
    if draft.way == "json":
        return content_of_json(draft.json)
    moment = due(draft)
    content = Content(
        subject=draft.get("subject"),
        markdown=draft.get("markdown"),
        due_date=UNSET if moment is None else clock.to_wire(moment),
    )
    amount = cents(draft.get("amount"))
    if draft.has_payment and amount is not None:
        payee = draft.get("payee")
        content.payment_data = PaymentData(
            amount,
            "".join(draft.get("notice_number").split()),
            bool(draft.get("invalid_after")),
            Payee(payee) if payee else UNSET,
        )
    if draft.has_remote:
        content.third_party_data = ThirdPartyData(
            draft.get("third_id"),
            has_remote_content=bool(draft.get("remote")),
            has_attachments=bool(draft.get("attachments")),
        )
    return Written(draft.get("fiscal_code"), content)


def to_json(draft: Draft, *, advanced: bool) -> Draft:
    """The same message as JSON."""
    if draft.way == "json":
        return draft
    message = message_of(draft, advanced=advanced)
    return replace(draft, way="json", json=_pretty({"fiscal_code": "", **message}))


def to_form(draft: Draft, *, advanced: bool) -> Draft | None:
    """The same message in the fields of the form; None if those could not say all of it."""
    if draft.way == "form":
        return draft
    written = content_of_json(draft.json)
    if written is None:
        return None
    content = written.content
    values = {name: draft.get(name) for name in SHARED}
    values |= {
        "fiscal_code": written.fiscal_code,
        "subject": content.subject,
        "markdown": content.markdown,
        "secure": "1" if content.require_secure_channels is True else "",
        **_payment_fields(content),
        **_third_fields(content),
    }
    moment = None if content.due_date is UNSET else checks.moment(content.due_date)
    if moment is not None:
        here = in_rome(moment)
        values |= {"due_day": here.date().isoformat(), "due_time": here.strftime("%H:%M")}
    made = Draft("form", values)
    is_whole = _can_be_typed(made) and _says_all(made, draft.json, advanced=advanced)
    return made if is_whole else None


def _can_be_typed(made: Draft) -> bool:
    """Whether fields of a form keep these texts as they are."""
    lines = "".join(made.get(name) for name in _ONE_LINE)
    return not set(lines) & {"\n", "\r", "\x00"} and not set(made.get("markdown")) & {"\r", "\x00"}


def _says_all(made: Draft, text: str, *, advanced: bool) -> bool:
    """Whether the form would send just this JSON."""
    given = msgspec.json.decode(text)
    if given.get("fiscal_code") == "":
        del given["fiscal_code"]
    content = given["content"]
    moment = (
        checks.moment(content["due_date"]) if isinstance(content.get("due_date"), str) else None
    )
    if moment is not None:
        content["due_date"] = clock.to_wire(moment)
    return bool(given == message_of(made, advanced=advanced))


def _payment(draft: Draft) -> dict[str, Any]:
    payment: dict[str, Any] = {}
    amount = cents(draft.get("amount"))
    if amount is not None:
        payment["amount"] = amount
    if draft.get("notice_number"):
        payment["notice_number"] = "".join(draft.get("notice_number").split())
    if draft.get("invalid_after"):
        payment["invalid_after_due_date"] = True
    if draft.get("payee"):
        payment["payee"] = {"fiscal_code": draft.get("payee")}
    return payment


def _third(draft: Draft) -> dict[str, Any]:
    third: dict[str, Any] = {"id": draft.get("third_id")}
    if draft.get("configuration"):
        third["configuration_id"] = draft.get("configuration")
    if draft.get("remote"):
        third["has_remote_content"] = True
    if draft.get("attachments"):
        third["has_attachments"] = True
    return third


def _payment_fields(content: Content) -> dict[str, str]:
    payment = content.payment_data
    if payment is UNSET:
        return {}
    return {
        "notice_number": payment.notice_number,
        "amount": f"{payment.amount // 100},{payment.amount % 100:02}",
        "payee": "" if payment.payee is UNSET else payment.payee.fiscal_code,
        "invalid_after": "1" if payment.invalid_after_due_date else "",
    }


def _third_fields(content: Content) -> dict[str, str]:
    third = content.third_party_data
    if third is UNSET:
        return {}
    return {
        "configuration": "" if third.configuration_id is UNSET else third.configuration_id,
        "third_id": third.id,
        "remote": "1" if third.has_remote_content else "",
        "attachments": "1" if third.has_attachments else "",
    }


def _pretty(message: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(message), indent=2).decode()
