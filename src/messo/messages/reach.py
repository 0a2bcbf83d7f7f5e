"""May this service write to this citizen? Asked before sending."""

from collections.abc import Sequence

from messo.base import clock
from messo.base.coalesce import Coalescer
from messo.base.db import Pool, Row
from messo.base.http import Problem
from messo.messages import wire
from messo.messages.decide import PENDING_GRACE
from messo.messages.submit import queries
from messo.services import Sender


class ProfileReader:
    """Answers profile checks, many requests with one statement."""

    def __init__(self, pool: Pool, connections: int, bound: int) -> None:
        self.pool = pool
        self.queue: Coalescer[tuple[str, str, str], Row | None] = Coalescer(
            self._read, workers=connections, batch=200, bound=bound
        )

    async def limited_profile(self, sender: Sender, fiscal_code: str) -> wire.LimitedProfile:
        """Whether the service may write. 404 if nobody with an open inbox is enrolled there."""
        bucket = self.pool.bucket(fiscal_code)
        row = await self.queue.ask(bucket, (fiscal_code, sender.service_id, sender.category))
        if row is None:
            raise Problem(
                404,
                "Profile not found",
                "No citizen with this fiscal code receives messages here.",
            )
        found = wire.LimitedProfile(sender_allowed=row["refusal"] is None)
        if row["preferred_languages"] is not None:
            found.preferred_languages = row["preferred_languages"]
        return found

    async def _read(self, bucket: int, asked: list[tuple[str, str, str]]) -> Sequence[Row | None]:
        async with self.pool.connection() as conn:
            rows = await conn.rows(
                queries.check_profiles,
                bucket=bucket,
                fiscal_codes=[question[0] for question in asked],
                service_ids=[question[1] for question in asked],
                categories=[question[2] for question in asked],
                fresh_after=clock.now() - PENDING_GRACE,
            )
        found = {row["position"]: row for row in rows}
        return [found.get(position) for position in range(1, len(asked) + 1)]
