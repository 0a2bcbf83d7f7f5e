"""Where citizens were signed on, what was handed over, and how they take their word back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

import msgspec

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.base.parameters import storable
from messo.operations import record
from messo.recipients.profile import lock_profile
from messo.sso import consents, logout
from messo.sso.access import Outcome
from messo.sso.authorize import SECONDS
from messo.sso.clients import queries
from messo.sso.codes import LIFE

# What came of it, as citizens are told.
Result = Literal["let_in", "under_way", "refused", "not_taken", "failed", "not_answered"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

_TO_ANSWER = timedelta(seconds=SECONDS)
_TO_REDEEM = 2 * LIFE  # a code's, and a site that is slow
_TEST = "-test"
_names = msgspec.json.Decoder(dict[str, str])


@dataclass(frozen=True)
class Access:
    """One time that a site asked who the citizen is.

    `names`: how the place was called then, by language. `claims`: what was asked for, agreed to or
    handed over, by `outcome`.
    """

    id: str
    client_id: str
    service_id: str
    service_name: str
    institution_name: str
    redirect_uri: str
    names: Mapping[str, str]
    outcome: Outcome
    claims: tuple[str, ...]
    message_id: str | None
    requested_at: datetime
    settled_at: datetime | None

    @property
    def handed_over(self) -> tuple[str, ...]:
        """The data that the site has got."""
        return self.claims if self.outcome == "redeemed" else ()

    @property
    def result(self) -> Result:
        """What came of it by now: who does not go on in time has left."""
        age = clock.now() - (self.settled_at or self.requested_at)
        results: Mapping[Outcome, Result] = {
            "redeemed": "let_in",
            "refused": "refused",
            "failed": "failed",
            "granted": "under_way" if age < _TO_REDEEM else "not_taken",
            "requested": "under_way" if age < _TO_ANSWER else "not_answered",
        }
        return results[self.outcome]

    def place(self, language: str) -> str:
        """How the citizen knows the place they went to: in this language, else in Italian."""
        return self.names.get(language) or self.names.get("it") or self.service_name


@dataclass(frozen=True)
class Consent:
    """What a citizen wanted to be remembered for a site."""

    client_id: str
    service_id: str
    service_name: str
    institution_name: str
    agreed: tuple[str, ...]
    refused: tuple[str, ...]
    given_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Visited:
    """A site that a citizen can take their word back from. `is_remembered`: without a question."""

    client_id: str
    service_name: str
    institution_name: str
    is_remembered: bool


async def list_accesses(
    conn: Connection,
    fiscal_code: str,
    limit: int | None,
    before: str | None = None,
    outcomes: Sequence[Outcome] = OUTCOMES,
) -> list[Access]:
    """A citizen's accesses, newest first. `before`: only those older than this id."""
    rows = await conn.rows(
        queries.list_accesses,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        limit=limit,
        before=before,
        outcomes=list(outcomes),
    )
    return [
        Access(**{**row, "names": _names.decode(row["names"]), "claims": tuple(row["claims"])})
        for row in rows
    ]


async def list_consents(conn: Connection, fiscal_code: str) -> list[Consent]:
    """What a citizen wanted to be remembered and still is, the latest first."""
    rows = await conn.rows(
        queries.list_consents,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        now=clock.now(),
    )
    return [
        Consent(**{**row, "agreed": tuple(row["agreed"]), "refused": tuple(row["refused"])})
        for row in rows
    ]


async def find_visited(conn: Connection, fiscal_code: str, client_id: str) -> Visited | None:
    """A site that is remembered or that has let this citizen in; None for every other."""
    if not storable(client_id):
        return None
    row = await conn.row(
        queries.find_visited,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        client_id=client_id,
        service_id=client_id.removesuffix(_TEST),
        now=clock.now(),
    )
    if row is None or not (row["is_remembered"] or row["was_let_in"]):
        return None
    return Visited(client_id, row["service_name"], row["institution_name"], row["is_remembered"])


async def withdraw(conn: Connection, secrets: Secrets, fiscal_code: str, client_id: str) -> bool:
    """Do not remember a site any more, and have it told that the citizen's login has ended.

    False if it is not remembered and has never let this citizen in.
    """
    # A login without a question that is under way is over before, or finds nothing remembered.
    await lock_profile(conn, fiscal_code)
    site = await find_visited(conn, fiscal_code, client_id)
    if site is None:
        return False
    await consents.forget(conn, fiscal_code, client_id)
    await logout.of_client(conn, secrets, fiscal_code, client_id)
    await record(
        conn,
        "citizen",
        "sso.consent.withdraw",
        secrets.keyed_hash(fiscal_code),
        client_id=client_id,
        was_remembered=site.is_remembered,
    )
    return True
