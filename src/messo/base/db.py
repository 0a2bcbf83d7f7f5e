"""The database: a pool, named statements, and which errors a second try cures.

The only module that imports the driver. Functions elsewhere take a `Connection` first and open
no transaction; the edge, the accept queue and the worker loop do.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from messo.base.buckets import bucket_of
from messo.base.sql import Queries, Statement

Row = Mapping[str, Any]

queries = Queries("messo.base")

# Connection lost, internal, I/O error, serialization failure, deadlock, a lock that is not got,
# a transaction that stood still: try again.
_PASSING = (
    *("08", "XX000", "58030", "40001", "40P01", "57P01", "57P02", "57P03", "53300", "55P03"),
    "25P03",
)
UNIQUE_VIOLATION = "23505"
UNDEFINED_TABLE = "42P01"


class _Raw(asyncpg.Connection):  # type: ignore[misc]  # asyncpg is not typed
    """The driver's connection, without its reset on return to the pool.

    Messo changes no session settings, and a reset is one more round trip for each request.
    """

    def get_reset_query(self) -> str:
        return ""


class Connection:
    """One connection, speaking named statements only. `buckets`: how this database is divided."""

    __slots__ = ("buckets", "raw")

    def __init__(self, raw: Any, buckets: int = 1) -> None:  # noqa: ANN401  asyncpg is not typed
        self.raw = raw
        self.buckets = buckets

    def bucket(self, key: str) -> int:
        """The bucket of rows whose natural key is `key`: for a citizen, the fiscal code."""
        return bucket_of(key, self.buckets)

    async def rows(self, statement: Statement, **values: Any) -> Sequence[Row]:  # noqa: ANN401
        """All rows of the answer."""
        found: Sequence[Row] = await self.raw.fetch(statement.sql, *statement.bind(values))
        return found

    async def row(self, statement: Statement, **values: Any) -> Row | None:  # noqa: ANN401
        """The first row of the answer, or None."""
        found: Row | None = await self.raw.fetchrow(statement.sql, *statement.bind(values))
        return found

    async def value(self, statement: Statement, **values: Any) -> Any:  # noqa: ANN401
        """The first column of the first row, or None."""
        return await self.raw.fetchval(statement.sql, *statement.bind(values))

    async def run(self, statement: Statement, **values: Any) -> int:  # noqa: ANN401
        """How many rows the statement wrote."""
        tag: str = await self.raw.execute(statement.sql, *statement.bind(values))
        count = tag.rsplit(" ", 1)[-1]
        return int(count) if count.isdigit() else 0

    async def script(self, sql: str) -> None:
        """Several statements without parameters: migrations and the like."""
        await self.raw.execute(sql)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """All or nothing. Inside another transaction it is a savepoint."""
        async with self.raw.transaction():
            yield

    async def close(self) -> None:
        """End the connection; a server that does not answer within 5 s is left."""
        try:
            await self.raw.close(timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            self.raw.terminate()


async def connect(url: str, timeout_seconds: float = 10) -> Connection:
    """A connection of one's own, outside any pool."""
    return Connection(
        await asyncpg.connect(url, timeout=timeout_seconds, **_options(custom_plans=False))
    )


def _options(*, custom_plans: bool, impatient: bool = False) -> dict[str, Any]:
    """JIT costs more than it saves on statements this short.

    `custom_plans`: plan each large batch for itself. A generic plan made while a table was empty
    stays in use until the table is analysed, at a tenth of the rate; for the small batches of
    requests the planning itself would cost more.

    `impatient`: wait 3 s for a lock, and let nobody else wait 15 s for one of a process that stands
    still in the middle of a transaction, as one does that lost its network.
    """
    bounds = {"lock_timeout": "3s", "idle_in_transaction_session_timeout": "15s"}
    return {
        "server_settings": {
            "jit": "off",
            "plan_cache_mode": "force_custom_plan" if custom_plans else "auto",
            "application_name": "messo",
            **(bounds if impatient else {}),
        },
        "connection_class": _Raw,
    }


class Pool:
    """Connections that requests and steps borrow, and how long they may wait for one."""

    def __init__(self, raw: Any, buckets: int = 1) -> None:  # noqa: ANN401
        self.raw = raw
        self.buckets = buckets

    def bucket(self, key: str) -> int:
        """As `Connection.bucket`."""
        return bucket_of(key, self.buckets)

    @classmethod
    async def open(
        cls,
        url: str,
        size: int,
        *,
        statement_seconds: float = 60,
        custom_plans: bool = False,
        impatient: bool = False,
    ) -> "Pool":
        """A pool of at most `size` connections on a migrated database.

        `impatient`: for requests, which somebody waits for: see `_options`.
        """
        raw = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            command_timeout=statement_seconds,
            timeout=5,
            **_options(custom_plans=custom_plans, impatient=impatient),
        )
        pool = cls(raw)
        async with pool.connection() as conn:
            pool.buckets = await conn.value(queries.read_database)
        return pool

    @asynccontextmanager
    async def connection(self, wait_seconds: float = 5) -> AsyncIterator[Connection]:
        """Borrow one connection. `TimeoutError` when none is free within the wait."""
        raw = await self.raw.acquire(timeout=wait_seconds)
        try:
            yield Connection(raw, self.buckets)
        finally:
            # Shielded: a cancelled request must not leave its connection outside the pool.
            await asyncio.shield(self.raw.release(raw, timeout=5))

    @asynccontextmanager
    async def transaction(self, wait_seconds: float = 5) -> AsyncIterator[Connection]:
        """Borrow one connection with a transaction open on it."""
        async with self.connection(wait_seconds) as conn, conn.transaction():
            yield conn

    @property
    def used(self) -> int:
        """Connections lent out now."""
        return int(self.raw.get_size() - self.raw.get_idle_size())

    async def close(self) -> None:
        """Give back everything; wait at most 10 s for what is still lent."""
        try:
            await asyncio.wait_for(self.raw.close(), timeout=10)
        except TimeoutError:
            self.raw.terminate()


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE of a server's error, or an empty string."""
    return str(getattr(error, "sqlstate", None) or "")


def passes(error: BaseException) -> bool:
    """Whether a second try may cure this error (design "Three gears": 08xxx, XX000, …)."""
    # The pool says InternalClientError when a connection dies while it is given back.
    if isinstance(
        error, OSError | TimeoutError | asyncpg.InterfaceError | asyncpg.InternalClientError
    ):
        return True
    return sqlstate(error).startswith(_PASSING)
