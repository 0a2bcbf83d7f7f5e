"""When each key was used last: gathered in memory, and written now and then.

A request costs one entry of a dictionary. What could not be written is tried again; what a process
had in memory when it died is lost, which the next use of the key makes good.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from messo.base import clock, log
from messo.base.db import Connection, Pool, Row
from messo.services.services import queries

logger = log.get(__name__)

_WRITE_SECONDS = 30


class KeyUses:
    """The uses that this process has seen."""

    def __init__(self, pool: Pool, every_seconds: float = _WRITE_SECONDS) -> None:
        self._pool = pool
        self._every = every_seconds
        self._seen: dict[bytes, datetime] = {}
        self._written: dict[bytes, datetime] = {}
        self._writing = asyncio.Lock()

    def note(self, digest: bytes) -> None:
        """This key, which is a good one, is used now."""
        self._seen[digest] = clock.now()

    async def write_for_ever(self) -> None:
        """The recorder: write what has gathered, again and again."""
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.write()
            except Exception as error:
                logger.warning("uses of keys not noted", pending=len(self._seen), exc_info=error)

    async def write(self) -> None:
        """Write what is new, to the hour: a key in steady use is written once an hour."""
        async with self._writing:
            seen, self._seen = self._seen, {}
            hours = {digest: _hour(at) for digest, at in seen.items()}
            new = {d: hour for d, hour in hours.items() if self._written.get(d) != hour}
            if not new:
                return
            try:
                await self._put(new)
            except BaseException:
                self._seen = {**seen, **self._seen}
                raise
            # What is older than an hour is written again in any case: not to be remembered.
            now = _hour(clock.now())
            kept = {digest: at for digest, at in self._written.items() if at == now}
            self._written = {**kept, **new}

    async def _put(self, uses: Mapping[bytes, datetime]) -> None:
        digests = sorted(uses)
        async with self._pool.connection() as conn:
            await conn.run(
                queries.note_key_uses,
                digests=digests,
                times=[uses[digest] for digest in digests],
            )


async def list_keys(conn: Connection, owners: Sequence[str]) -> dict[str, list[Row]]:
    """The keys of services, groups and institutions by their ids, without what is secret.

    Of each `slot`, `created_at` and `used_at`, which is the beginning of an hour, or None.
    """
    found: dict[str, list[Row]] = {owner: [] for owner in owners}
    for row in await conn.rows(queries.list_keys, owners=list(owners)):
        found[row["owner"]].append(row)
    return found


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
