"""What an institution says of a service: from the wire, as it is stored, and back to the wire."""

import re
import unicodedata
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
_NOT_SHOWN = "token_name"  # kept for its institution; citizens never see it
# Signs that print as nothing, or as a blank, though their kind is not that of one (Unicode's
# Default_Ignorable_Code_Point, and the blank pattern of Braille); and marks in heaps on one letter.
_HIDDEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]|[\u0300-\u036f]{4}"
)
_METADATA = {*(f.name for f in msgspec.structs.fields(wire.Metadata))} - {"topic", "group_id"}


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
        name=_named(given.name, "name", title),
        description=description,
        department=_named(department, "organization.department_name", title)
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


def one_line(text: str) -> str:
    """A name as people see it; empty if something of it is invisible, or turns the line around."""
    line = unicodedata.normalize("NFC", " ".join(text.split()))
    return "" if not line.isprintable() or _HIDDEN.search(line) else line


def _named(text: str, field: str, title: str) -> str:
    line = one_line(text)
    if not line:
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
        name: value
        for name, value in data.metadata.items()
        if name == _NOT_SHOWN or not contacts.refusal(name, value)
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
