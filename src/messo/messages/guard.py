"""The mass-communication guard: Messo carries personal messages, one content for everybody is not.

Distinct recipients of a day are rows, written beside the accept transaction by one recorder per
process, from a content's sixteenth message on: most contents are one person's. Each process counts
what it let through since it last counted the rows, and counts again before that exceeds a sixteenth
of what is still free, at most one batch (docs/decisions/0003).
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from messo.base import clock, log, metrics
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool, Row
from messo.base.http import Problem
from messo.messages.fingerprint import fingerprint
from messo.messages.submit import BATCH, queries
from messo.operations import record
from messo.recipients import enrolled
from messo.services import Directory, Sender, changed

logger = log.get(__name__)

WINDOW = timedelta(days=1)
_PROCESSES = 16  # this many may share what is free below the threshold
_LEAST = 32  # close to the threshold, count at most every so many messages
_FIRST = 16  # messages of one content before anything of it is written
_REMEMBERED = 20_000  # contents a process keeps in mind
_RECHECK_SECONDS = 10  # how often a held content is counted again
_GATHER_SECONDS = 0.05


class _Content(msgspec.Struct):
    """What this process knows of one content of one institution."""

    counted: int = 0  # distinct recipients when the rows were last counted
    passed: int = 0  # let through since then
    free: int = 0  # how many may pass before the next count
    held_until: float = 0.0  # monotonic; refused without counting until then
    first: list[tuple[int, datetime]] | None = msgspec.field(default_factory=list)  # unwritten
    lock: asyncio.Lock | None = None


_Key = tuple[str, int]  # institution, fingerprint


class Guard:
    """Lets a message pass, or refuses it as mass communication."""

    def __init__(
        self, pool: Pool, directory: Directory, secrets: Secrets, least: int, share: float
    ) -> None:
        self.pool = pool
        self.directory = directory
        self.secrets = secrets
        self.least = least
        self.share = share
        self._contents: OrderedDict[_Key, _Content] = OrderedDict()
        self._pending: list[tuple[str, int, int, datetime]] = []
        self._writing = asyncio.Lock()
        self._allowed: dict[str, datetime] = {}
        self._allowed_version = -1

    async def admit(
        self, sender: Sender, fiscal_code: str, subject: str, markdown: str, own: str = ""
    ) -> None:
        """Count the message in, or raise `Problem` 403 "Mass communication not permitted".

        `own`: its payment notice or remote content id. Shared by many, it makes nothing personal.
        """
        key = (sender.institution_id, fingerprint(subject, markdown, own))
        content = self._content(key)
        if not await self._is_allowed(sender.institution_id):
            while content.held_until or content.passed >= content.free:
                if content.held_until > time.monotonic():
                    raise _refusal(content.counted)
                if content.lock is None:
                    content.lock = asyncio.Lock()
                async with content.lock:
                    # Whoever waited for the lock may find that the count is done.
                    held = content.held_until > time.monotonic()
                    if not held and (content.held_until or content.passed >= content.free):
                        await self._count(key, content, sender.service_id)
        content.passed += 1
        seen = (self.secrets.keyed_number(fiscal_code), clock.now())
        if content.first is None:
            self._pending.append((*key, *seen))
        else:
            content.first.append(seen)
            if len(content.first) == _FIRST:
                self._pending += [(*key, *early) for early in content.first]
                content.first = None
        if len(self._pending) >= BATCH * 20:
            await self.flush()  # the recorder lags: whoever adds more waits for it

    async def record_for_ever(self) -> None:
        """The recorder: write what has gathered, again and again."""
        while True:
            await asyncio.sleep(_GATHER_SECONDS)
            try:
                await self.flush()
            except Exception as error:
                logger.warning("guard not recorded", pending=len(self._pending), exc_info=error)

    async def flush(self) -> None:
        """Write the recipients let through so far."""
        async with self._writing:
            if not self._pending:
                return
            pending, self._pending = self._pending, []
            # The last time of each recipient, in one order for all processes.
            latest = {seen[:3]: seen[3] for seen in pending}
            ordered = sorted(latest)
            try:
                async with self.pool.connection() as conn:
                    await conn.run(
                        queries.record_recipients,
                        buckets=[_bucket(conn, seen[0], seen[1]) for seen in ordered],
                        institution_ids=[seen[0] for seen in ordered],
                        fingerprints=[seen[1] for seen in ordered],
                        recipients=[seen[2] for seen in ordered],
                        seen=[latest[seen] for seen in ordered],
                    )
            except BaseException:
                self._pending = pending + self._pending
                raise

    def _content(self, key: _Key) -> _Content:
        content = self._contents.get(key)
        if content is None:
            # Nothing is asked for a content's first messages: most contents have only one.
            content = _Content(free=min(BATCH, max(_LEAST, self.least // _PROCESSES)))
            self._contents[key] = content
            if len(self._contents) > _REMEMBERED:
                forgotten, left = self._contents.popitem(last=False)
                self._write_first(forgotten, left)
        else:
            self._contents.move_to_end(key)
        return content

    def _write_first(self, key: _Key, content: _Content) -> None:
        """Before a content is forgotten: what of it was never written, if it is not one person's."""
        if content.first is not None and len(content.first) > 1:
            self._pending += [(*key, *seen) for seen in content.first]
            content.first = None

    async def close(self) -> None:
        """Write what was only in memory."""
        for key, content in self._contents.items():
            self._write_first(key, content)
        await self.flush()

    async def _count(self, key: _Key, content: _Content, service_id: str) -> None:
        await self.flush()
        async with self.pool.connection() as conn:
            most = (await threshold(conn, self.least, self.share)).in_force
            bucket = _bucket(conn, *key)
            content.counted = await conn.value(
                queries.count_recipients,
                bucket=bucket,
                institution_id=key[0],
                fingerprint=key[1],
                since=clock.now() - WINDOW,
                limit=most,
            )
            content.passed = 0
            if content.counted < most:
                content.held_until = 0.0
                free = (most - content.counted) // _PROCESSES
                content.free = min(BATCH, max(_LEAST, free))
                return
            content.free = 0
            content.held_until = time.monotonic() + _RECHECK_SECONDS
            await conn.run(
                queries.hold,
                bucket=bucket,
                institution_id=key[0],
                fingerprint=key[1],
                service_id=service_id,
                recipients=content.counted,
                now=clock.now(),
            )
        logger.warning("held as mass communication", institution=key[0], service=service_id)

    async def _is_allowed(self, institution_id: str) -> bool:
        if self._allowed_version != self.directory.version:
            version = self.directory.version
            async with self.pool.connection() as conn:
                rows = await conn.rows(queries.list_allowances)
            self._allowed = {row["institution_id"]: row["until"] for row in rows}
            self._allowed_version = version
        until = self._allowed.get(institution_id)
        return until is not None and until > clock.now()


def _bucket(conn: Connection, institution_id: str, number: int) -> int:
    return conn.bucket(f"{institution_id}:{number}")


def _refusal(recipients: int) -> Problem:
    metrics.guard_refused.inc()
    return Problem(
        403,
        "Mass communication not permitted",
        f"This content went to {recipients} people within a day. Messages here are personal: "
        "write about the one person you address. If this is a mistake, the operator of this "
        "installation can allow it.",
        field="content",
    )


async def allow(
    conn: Connection, actor: str, institution_id: str, hours: float, reason: str
) -> datetime:
    """Let an institution past the guard for so many hours, for a stated reason; until when."""
    until = clock.now() + timedelta(hours=hours)
    await conn.run(
        queries.put_allowance,
        institution_id=institution_id,
        until=until,
        reason=reason,
        allowed_by=actor,
    )
    await changed(conn)
    await record(conn, actor, "guard.allow", institution_id, hours=hours, reason=reason)
    return until


async def end_allowance(conn: Connection, actor: str, institution_id: str) -> bool:
    """Take an allowance back before its time (audited). False if there was none."""
    if not await conn.run(queries.end_allowance, institution_id=institution_id):
        return False
    await changed(conn)
    await record(conn, actor, "guard.end_allowance", institution_id)
    return True


@dataclass(frozen=True)
class Threshold:
    """From how many recipients a day one content is held: `in_force`, the larger of two bounds.

    `least` people, and `share` of the `enrolled` citizens.
    """

    least: int
    share: float
    enrolled: int

    @property
    def in_force(self) -> int:
        """The number that counts."""
        return max(self.least, math.ceil(self.share * self.enrolled))


async def threshold(conn: Connection, least: int, share: float) -> Threshold:
    """The bound as it is now. The settings are those of `Guard` (`guard.least`, `guard.share`)."""
    return Threshold(least, share, await enrolled(conn))


async def holds(conn: Connection) -> Sequence[Row]:
    """Contents that were stopped, newest first, at most 100.

    `institution_id` and its `name`, `service_id` and `service_name` (the first that was stopped),
    `fingerprint` (of the content), `recipients` (when last counted), `held_at`.
    """
    return await conn.rows(queries.list_holds)


async def holds_of(conn: Connection, institution_id: str) -> Sequence[Row]:
    """As `holds`, of one institution."""
    return await conn.rows(
        queries.holds_of_institution,
        buckets=list(range(conn.buckets)),
        institution_id=institution_id,
    )


async def allowances(conn: Connection) -> Sequence[Row]:
    """Institutions that are let past, until when, by whom and why."""
    return await conn.rows(queries.list_allowances)


async def forget_old(conn: Connection, limit: int) -> bool:
    """Remove recipients that no longer count, at most so many a bucket; True if more may be left."""
    more = False
    for bucket in range(conn.buckets):
        gone = await conn.run(
            queries.forget_recipients, bucket=bucket, before=clock.now() - WINDOW, limit=limit
        )
        more = more or gone == limit
    return more
