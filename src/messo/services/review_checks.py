"""What a review looks at: what a version lacks, and how it differs from the live one."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from messo.services import contacts
from messo.services.payload import Data

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
        most = (
            f"può avere al massimo {_LONGEST_NAME} caratteri",
            f"may have at most {_LONGEST_NAME} characters",
        )
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
        if name in contacts.NAMES and contacts.refusal(name, value):
            found.append((f"metadata.{name}", contacts.expected(name)))
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
