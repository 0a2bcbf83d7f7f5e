"""Webhooks that need somebody of their institution."""

from dataclasses import dataclass

from messo.base.db import Connection
from messo.events.log import queries


@dataclass(frozen=True)
class Illness:
    """How many webhooks we switched off, and how many are on and do not deliver."""

    stopped: int
    failing: int


async def illness(conn: Connection, institution_id: str) -> Illness:
    """How the webhooks of this institution are."""
    row = await conn.row(
        queries.ill_webhooks, buckets=list(range(conn.buckets)), institution_id=institution_id
    )
    assert row is not None, "a count has a row"  # noqa: S101
    return Illness(row["stopped"], row["failing"])
