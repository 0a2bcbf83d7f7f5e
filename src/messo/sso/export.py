"""A citizen's accesses for a spreadsheet and for programs."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from messo.base import clock
from messo.sso.history import Access, Consent, Result

_ROME = ZoneInfo("Europe/Rome")
# A spreadsheet takes a cell that begins so for a formula, and runs it. One that speaks Italian may
# end cells at semicolons, and then quotes do not hold a cell together.
_FORMULA = re.compile(r"\A(?=[=+\-@\t\r\n])|(?<=[;\t\r\n])(?=[=+\-@])")


@dataclass(frozen=True)
class Words:
    """What the citizen's language says: the names of the columns, of results and of data."""

    language: str
    columns: Sequence[str]
    results: Mapping[Result, str]
    claims: Mapping[str, str]

    def data(self, claims: Iterable[str]) -> list[str]:
        """Data by name; of a kind that has none, the claim itself."""
        return [self.claims.get(claim, claim) for claim in claims]


def csv_head(words: Words) -> bytes:
    """The header row."""
    return _rows([words.columns])


def csv_rows(accesses: Iterable[Access], words: Words) -> bytes:
    """A row for each: when, institution, service, place, address, result, data, message.

    As RFC 4180 has it, with an apostrophe before what would be a formula.
    """
    return _rows(
        (
            one.requested_at.astimezone(_ROME).isoformat(timespec="seconds"),
            one.institution_name,
            one.service_name,
            one.place(words.language),
            one.redirect_uri,
            words.results[one.result],
            ", ".join(words.data(one.handed_over)),
            one.message_id or "",
        )
        for one in accesses
    )


def access_object(access: Access) -> dict[str, Any]:
    """An access for programs. `claims`: what was handed over."""
    return {
        "id": access.id,
        "requested_at": clock.to_wire(access.requested_at),
        "settled_at": clock.to_wire(access.settled_at) if access.settled_at else None,
        "institution": access.institution_name,
        "service": access.service_name,
        "service_id": access.service_id,
        "client_id": access.client_id,
        "place": access.names,
        "redirect_uri": access.redirect_uri,
        "outcome": access.outcome,
        "claims": access.handed_over,
        "message_id": access.message_id,
    }


def consent_object(consent: Consent) -> dict[str, Any]:
    """A remembered consent for programs."""
    return {
        "institution": consent.institution_name,
        "service": consent.service_name,
        "service_id": consent.service_id,
        "client_id": consent.client_id,
        "agreed": consent.agreed,
        "refused": consent.refused,
        "given_at": clock.to_wire(consent.given_at),
        "expires_at": clock.to_wire(consent.expires_at),
    }


def json_members(accesses: Iterable[Access], *, first: bool) -> bytes:
    """Members of a JSON list, one a line. `first`: the list begins with them."""
    members = b",\n".join(msgspec.json.encode(access_object(one)) for one in accesses)
    if not members:
        return b""
    return (b"\n" if first else b",\n") + members


def _rows(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _harmless(cell: str) -> str:
    return _FORMULA.sub("'", cell)
