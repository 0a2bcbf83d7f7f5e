"""How a citizen stands with several services at once: for lists of services."""

from collections.abc import Sequence
from dataclasses import dataclass

from messo.base.db import Connection
from messo.recipients.profile import queries


@dataclass(frozen=True)
class Standing:
    """`is_open`: the service may write. `is_chosen`: the citizen said so, or the contrary."""

    is_open: bool
    is_chosen: bool


async def standings(
    conn: Connection, fiscal_code: str, service_ids: Sequence[str]
) -> dict[str, Standing]:
    """By service id; those that do not exist are left out.

    Not for LEGACY profiles, whose list of what is blocked is not looked at.
    """
    rows = await conn.rows(
        queries.read_standings,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        service_ids=list(service_ids),
    )
    return {row["id"]: Standing(row["is_open"], row["is_chosen"]) for row in rows}
