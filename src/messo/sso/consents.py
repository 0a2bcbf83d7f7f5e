"""What a citizen is asked before a site learns who they are, and what they said the last time."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from messo.base import clock
from messo.base.db import Connection
from messo.sso.clients import Claim, Client, queries

REMEMBERED = timedelta(days=180)


@dataclass(frozen=True)
class Consent:
    """What is remembered for a site: agreed to and refused, and until when."""

    agreed: frozenset[str]
    refused: frozenset[str]
    expires_at: datetime

    def covers(self, claims: Sequence[Claim]) -> bool:
        """Whether the citizen has decided about each of these."""
        return self.agreed.union(self.refused).issuperset(claims)


async def remembered(conn: Connection, fiscal_code: str, client: Client) -> Consent | None:
    """What is remembered for this client, if it still is."""
    row = await conn.row(
        queries.find_consent,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        client_id=client.id,
        now=clock.now(),
    )
    if row is None:
        return None
    return Consent(frozenset(row["agreed"]), frozenset(row["refused"]), row["expires_at"])


async def remember(
    conn: Connection,
    fiscal_code: str,
    client: Client,
    asked: Sequence[Claim],
    agreed: Collection[Claim],
) -> None:
    """Keep what was said, for half a year."""
    now = clock.now()
    await conn.run(
        queries.keep_consent,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        client_id=client.id,
        agreed=[claim for claim in asked if claim in agreed],
        refused=[claim for claim in asked if claim not in agreed],
        now=now,
        expires_at=now + REMEMBERED,
    )


async def forget(conn: Connection, fiscal_code: str, client_id: str) -> bool:
    """Ask the next time; False if nothing was remembered."""
    dropped = await conn.run(
        queries.drop_consent,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        client_id=client_id,
    )
    return dropped > 0
