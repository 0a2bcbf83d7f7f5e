"""Addresses that do not exist any more: who switched them off, and the citizen's second try."""

from dataclasses import dataclass
from datetime import datetime

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.base.sql import Queries
from messo.recipients import Profile

queries = Queries("messo.notifications.channels.email")


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Why nothing is sent to an address, in a mail server's words or a code, and since when."""

    reason: str
    at: datetime


def address_key(secrets: Secrets, email: str) -> str:
    """Stands for an address in deliveries and suppressions: 16 hex digits, by no letter case."""
    return secrets.keyed_hash(f"email:{email.lower()}")


async def suppressed(conn: Connection, secrets: Secrets, profile: Profile) -> Suppressed | None:
    """Whether the address in this profile is switched off; None if not, or there is none."""
    if profile.email is None:
        return None
    row = await conn.row(
        queries.read_suppression,
        bucket=conn.bucket(profile.fiscal_code),
        fiscal_code=profile.fiscal_code,
        address=address_key(secrets, profile.email),
    )
    return None if row is None else Suppressed(row["reason"], row["at"])


async def unsuppress(conn: Connection, fiscal_code: str) -> bool:
    """Try a citizen's addresses again; whether one had been switched off."""
    return await erase(conn, fiscal_code, clock.now()) > 0


async def erase(conn: Connection, fiscal_code: str, before: datetime) -> int:
    """Forget a citizen's addresses; how many had been switched off."""
    return await conn.run(
        queries.drop_suppressions,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        before=before,
    )
