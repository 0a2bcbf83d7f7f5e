"""What an institution says of a service: from the wire, as it is stored, and back to the wire."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from messo.base import clock
from messo.base.db import Row
from messo.base.decode import decode
from messo.base.http import Problem
from messo.services import cidrs, contacts
from messo.services import manage_wire as wire
from messo.services.topics import BY_ID, OTHER

_payload = msgspec.json.Decoder(wire.ServicePayload)
_NO_DEPARTMENT = "-"


class Data(Struct, kw_only=True, omit_defaults=True):
    """All of a service's version, as services.lifecycle.data keeps it. Amounts in euro cents.

    `metadata`: the members of `contacts`, and others that nobody has checked yet.
    """

    name: str
    description: str = ""
    department: str = _NO_DEPARTMENT
    require_secure_channel: bool = False
    authorized_recipients: list[str] = []
    authorized_cidrs: list[str] = []
    max_allowed_payment_amount: int = 0
    suitable_for_minors: bool | None = None
    topic_id: int | None = None
    metadata: dict[str, str] = {}


_data = msgspec.json.Decoder(Data)
_metadata = msgspec.json.Decoder(dict[str, str])


class Shown(Struct, kw_only=True):
    """What is shown beside a version: whose it is, and when it became so."""

    id: str
    at: datetime
    institution_name: str
    fiscal_code: str
    group_id: str | None


def parse(body: bytes, title: str, sandbox_fiscal_code: str) -> Data:
    """What came in as something to store. `Problem` 400 names what is wrong.

    The sandbox code is always among the authorized recipients.
    """
    given = decode(body, _payload, title)
    if wrong := cidrs.refusal(given.authorized_cidrs):
        raise Problem(400, title, wrong, field="authorized_cidrs")
    if given.metadata.topic_id not in BY_ID:
        raise Problem(
            400, "Bad Request", "Provided topic_id does not exists", field="metadata.topic_id"
        )
    description = given.description.strip()
    if not description:
        raise Problem(400, title, "A description needs words.", field="description")
    metadata: dict[str, str] = msgspec.to_builtins(given.metadata)
    del metadata["topic_id"]
    department = given.organization.department_name if given.organization else UNSET
    return Data(
        name=_one_line(given.name, "name", title),
        description=description,
        department=_one_line(department, "organization.department_name", title)
        if department
        else _NO_DEPARTMENT,
        require_secure_channel=given.require_secure_channel,
        authorized_recipients=sorted({*given.authorized_recipients, sandbox_fiscal_code}),
        authorized_cidrs=list(dict.fromkeys(given.authorized_cidrs)),
        max_allowed_payment_amount=given.max_allowed_payment_amount,
        suitable_for_minors=None
        if given.suitable_for_minors is UNSET
        else given.suitable_for_minors,
        topic_id=given.metadata.topic_id,
        metadata=metadata,
    )


def _one_line(text: str, field: str, title: str) -> str:
    """A name as people see it: nothing invisible, and nothing that turns the line around."""
    line = " ".join(text.split())
    if not line or not line.isprintable():
        raise Problem(400, title, f"{field} takes visible characters on one line.", field=field)
    return line


def read(stored: str) -> Data:
    """What services.lifecycle.data holds."""
    return _data.decode(stored)


def stored(data: Data) -> str:
    """What goes into services.lifecycle.data."""
    return msgspec.json.encode(data).decode()


def live(data: Data) -> dict[str, Any]:
    """The columns of services.service, for its statements.

    Only metadata that `contacts` takes: citizens see it, and a draft is not checked yet.
    """
    seen = {
        name: value for name, value in data.metadata.items() if not contacts.refusal(name, value)
    }
    return {
        "name": data.name,
        "department": data.department,
        "require_secure_channels": data.require_secure_channel,
        "authorized_recipients": data.authorized_recipients,
        "authorized_cidrs": data.authorized_cidrs,
        "max_allowed_payment_amount": data.max_allowed_payment_amount,
        "description": data.description,
        "metadata": msgspec.json.encode(seen).decode(),
        "topic_id": data.topic_id,
        "suitable_for_minors": data.suitable_for_minors,
    }


def of_live(row: Row) -> Data:
    """The live version, from its columns."""
    return Data(
        name=row["name"],
        description=row["description"],
        department=row["department"],
        require_secure_channel=row["require_secure_channels"],
        authorized_recipients=row["authorized_recipients"],
        authorized_cidrs=row["authorized_cidrs"],
        max_allowed_payment_amount=row["max_allowed_payment_amount"],
        suitable_for_minors=row["suitable_for_minors"],
        topic_id=row["topic_id"],
        metadata=_metadata.decode(row["metadata"]),
    )


def members(data: Data, shown: Shown) -> dict[str, Any]:
    """What all answers about a version have: give them to a struct of the wire."""
    topic = BY_ID.get(data.topic_id if data.topic_id is not None else OTHER.id, OTHER)
    more = {name: value for name, value in data.metadata.items() if name in _METADATA}
    scope: wire.Scope = "NATIONAL" if more.pop("scope", "") == "NATIONAL" else "LOCAL"
    minors: bool | UnsetType = (
        UNSET if data.suitable_for_minors is None else data.suitable_for_minors
    )
    return {
        "id": shown.id,
        "last_update": clock.to_wire(shown.at),
        "name": data.name,
        # Clients require one; services that commands made have none yet.
        "description": data.description or data.name,
        "organization": wire.Organization(
            shown.institution_name,
            shown.fiscal_code,
            UNSET if data.department == _NO_DEPARTMENT else data.department,
        ),
        "require_secure_channel": data.require_secure_channel,
        "authorized_recipients": data.authorized_recipients,
        "authorized_cidrs": data.authorized_cidrs,
        "max_allowed_payment_amount": data.max_allowed_payment_amount,
        "suitable_for_minors": minors,
        "metadata": wire.Metadata(
            scope=scope,
            topic=wire.TopicName(topic.id, topic.name),
            group_id=shown.group_id or UNSET,
            **more,
        ),
    }


_METADATA = {*(f.name for f in msgspec.structs.fields(wire.Metadata))} - {"topic", "group_id"}


# What is checked when a review is asked for, and what is said of it, in Italian and in English.
_Said = tuple[str, str]
_MISSING: _Said = ("manca", "is missing")
_ONE_CONTACT: _Said = (
    "serve almeno un contatto tra email, pec, phone e support_url",
    "at least one of email, pec, phone and support_url is needed",
)
_LONGEST_NAME = 100
_CONTACTS = ("email", "pec", "phone", "support_url")


def shortcomings(data: Data) -> Sequence[str]:
    """What keeps a version from being approved, a line for each; empty: nothing that we can see."""
    found: list[tuple[str, _Said]] = []
    if len(data.name) > _LONGEST_NAME:
        most = ("può avere al massimo 100 caratteri", "may have at most 100 characters")
        found.append(("name", most))
    if "privacy_url" not in data.metadata:
        found.append(("metadata.privacy_url", _MISSING))
    if not any(name in data.metadata for name in _CONTACTS):
        found.append(("metadata", _ONE_CONTACT))
    if not data.description:
        found.append(("description", _MISSING))
    if data.topic_id is None:
        found.append(("metadata.topic_id", _MISSING))
    if "scope" not in data.metadata:
        found.append(("metadata.scope", _MISSING))
    for name, value in data.metadata.items():
        if name in contacts.NAMES and (wrong := contacts.refusal(name, value)):
            found.append((f"metadata.{name}", (f"non va bene ({wrong})", wrong)))
    return [f"{field}: {italian} · {english}" for field, (italian, english) in found]


def differences(live: Data | None, asked: Data) -> Mapping[str, tuple[Any, Any]]:
    """What changes from one version to another: dotted names, with what was and what will be.

    Without a live version everything does.
    """
    before, after = _flat(live) if live else {}, _flat(asked)
    return {
        name: (before.get(name), after.get(name))
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    }


def _flat(data: Data) -> dict[str, Any]:
    members = msgspec.structs.asdict(data)
    metadata = members.pop("metadata")
    # What is asked here does not count: an approval sets it.
    del members["max_allowed_payment_amount"]
    # People's codes: how many they are is enough.
    members["authorized_recipients"] = len(data.authorized_recipients)
    return {**members, **{f"metadata.{name}": value for name, value in metadata.items()}}
