"""The form of a service: from what is stored to its fields, and from its fields to what is stored."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from messo.base.forms import Form
from messo.base.http import Problem
from messo.console.explained import gettext
from messo.services import payload
from messo.services.catalog import Service, topic_of
from messo.services.contacts import NAMES as CONTACTS
from messo.services.payload import Data

# In the order of the page.
FIELDS = (
    *("name", "description", "topic_id", "scope", "department", "suitable_for_minors"),
    *("email", "pec", "phone", "address", "support_url", "web_url", "app_ios", "app_android"),
    *("privacy_url", "tos_url", "cta", "require_secure_channel"),
    *("authorized_recipients", "authorized_cidrs", "max_allowed_payment_amount"),
)
_NO_DEPARTMENT = "-"
_KEPT = "token_name"  # of programs; nobody writes it by hand
_TITLE = "Invalid form"
_AMOUNT = re.compile(r"([0-9]{1,8})(?:[.,]([0-9]{1,2}))?\Z", re.ASCII)
_MINORS = {"yes": True, "no": False}

_WRONG: Mapping[str, str] = {
    "name": gettext("Write a name on one line, of at most 500 characters that can be seen."),
    "description": gettext("Say what the service is for, in at most 10,000 characters."),
    "department": gettext("This takes one line of at most 500 characters that can be seen."),
    "topic_id": gettext("Choose what it is about."),
    "scope": gettext("Choose for whom it is."),
    "authorized_recipients": gettext(
        "Write one fiscal code of 16 characters on each line, at most 1,000 of them."
    ),
    "authorized_cidrs": gettext(
        "Write one IPv4 address or network on each line, as 192.0.2.7 or 192.0.2.0/24, at most "
        "100 of them."
    ),
    "max_allowed_payment_amount": gettext("Write an amount in euro, as 120 or 120,50."),
}
_TOO_LONG = gettext("This takes at most 4,000 characters.")


@dataclass(frozen=True)
class Typed:
    """What somebody typed. `data`: what it comes to, without what is wrong with it."""

    values: Mapping[str, str]
    data: Data
    errors: Mapping[str, str]  # by field; English, to be translated


def values_of(data: Data, sandbox_fiscal_code: str) -> dict[str, str]:
    """A version as the fields of the form have it."""
    minors = {True: "yes", False: "no", None: ""}[data.suitable_for_minors]
    cents = data.max_allowed_payment_amount
    recipients = [code for code in data.authorized_recipients if code != sandbox_fiscal_code]
    return {
        **{name: data.metadata.get(name, "") for name in CONTACTS},
        "scope": data.metadata.get("scope", "LOCAL"),
        "name": data.name,
        "description": data.description,
        "department": "" if data.department == _NO_DEPARTMENT else data.department,
        "topic_id": "" if data.topic_id is None else str(data.topic_id),
        "suitable_for_minors": minors,
        "require_secure_channel": "1" if data.require_secure_channel else "",
        "authorized_recipients": "\n".join(recipients),
        "authorized_cidrs": "\n".join(data.authorized_cidrs),
        "max_allowed_payment_amount": f"{cents // 100},{cents % 100:02}" if cents else "",
    }


def read(form: Form, before: Data | None, sandbox_fiscal_code: str) -> Typed:
    """What the form has. All that is wrong with it at once, by the rules of `payload`."""
    values = {name: form.get(name).replace("\r\n", "\n") for name in FIELDS}
    errors: dict[str, str] = {}
    if _cents(values["max_allowed_payment_amount"]) is None:
        errors["max_allowed_payment_amount"] = _WRONG["max_allowed_payment_amount"]
    while True:
        body = msgspec.json.encode(_body(values, before, errors))
        try:
            data = payload.parse(body, _TITLE, sandbox_fiscal_code)
        except Problem as problem:
            field = _field(problem.field or "")
            if field not in values or field in errors:  # what the form does not have
                raise
            errors[field] = _WRONG.get(field, _TOO_LONG)
        else:
            return Typed(values, data, errors)


def shown_service(  # as citizens would see it
    data: Data,
    service_id: str,
    institution: tuple[str, str, str],
    name: str,
    category: str = "STANDARD",
) -> Service:
    """A version for the preview. `institution`: id, name, fiscal code; `name`: where there is none."""
    metadata = msgspec.json.decode(payload.live(data)["metadata"], type=dict[str, str])
    institution_id, institution_name, fiscal_code = institution
    return Service(
        id=service_id,
        name=data.name.strip() or name,
        description=data.description,
        department=data.department,
        category=category,
        institution_id=institution_id,
        institution_name=institution_name,
        fiscal_code=fiscal_code,
        version=0,
        topic=topic_of(data.topic_id),
        metadata={one: metadata.get(one, "") for one in CONTACTS},
    )


def _body(
    values: Mapping[str, str], before: Data | None, errors: Mapping[str, str]
) -> dict[str, object]:
    """The body of the API, with what is known to be wrong left out, or something in its place."""
    good = {name: "" if name in errors else value.strip() for name, value in values.items()}
    metadata: dict[str, object] = {name: good[name] for name in CONTACTS if good[name]}
    metadata["scope"] = "LOCAL" if "scope" in errors else good["scope"]
    topic = good["topic_id"]
    is_number = topic.isascii() and topic.isdigit()
    metadata["topic_id"] = (
        0 if "topic_id" in errors else int(topic) if is_number and len(topic) < 5 else -1  # noqa: PLR2004
    )
    if before is not None and _KEPT in before.metadata:
        metadata[_KEPT] = before.metadata[_KEPT]
    body: dict[str, object] = {
        "name": "-" if "name" in errors else good["name"],
        "description": "-" if "description" in errors else good["description"],
        "require_secure_channel": bool(good["require_secure_channel"]),
        "authorized_recipients": [code.upper() for code in good["authorized_recipients"].split()],
        "authorized_cidrs": good["authorized_cidrs"].split(),
        "max_allowed_payment_amount": _cents(good["max_allowed_payment_amount"]) or 0,
        "metadata": metadata,
    }
    if good["department"]:
        body["organization"] = {"department_name": good["department"]}
    if good["suitable_for_minors"] in _MINORS:
        body["suitable_for_minors"] = _MINORS[good["suitable_for_minors"]]
    return body


def _cents(text: str) -> int | None:
    """Euro as people write them; None for what is no amount."""
    match = _AMOUNT.match(text.strip().removesuffix("€").strip() or "0")
    return int(match[1]) * 100 + int((match[2] or "0").ljust(2, "0")) if match else None


def _field(place: str) -> str:
    """The form's name for a place in the body of the API."""
    name = place.partition("[")[0].rpartition(".")[2]
    return "department" if name == "department_name" else name
