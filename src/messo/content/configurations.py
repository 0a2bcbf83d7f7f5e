"""Remote-content configurations, and the rule that a message names only one of its sender's own."""

from messo.base.db import Pool
from messo.base.sql import Queries
from messo.services import Directory

queries = Queries("messo.content")


class Configurations:
    """Who owns a configuration: answered from memory, as fresh as the directory of keys."""

    def __init__(self, pool: Pool, directory: Directory) -> None:
        self.pool = pool
        self.directory = directory
        self._version = 0
        self._owners: dict[str, str] = {}

    async def owner(self, configuration_id: str) -> str | None:
        """The institution that made it, or None. Ids are compared as ULIDs, in any letter case."""
        if self._version != self.directory.version:
            self._owners.clear()
            self._version = self.directory.version
        wanted = configuration_id.upper()
        if wanted not in self._owners:
            async with self.pool.connection() as conn:
                owner = await conn.value(queries.owner_of, id=wanted)
            if owner is None:
                return None
            self._owners[wanted] = owner
        return self._owners[wanted]
