"""Accepting: what is answered with 201 is on disk with its follow-up work, in one transaction.

Concurrent requests share a transaction (`base/coalesce.py`): one call of four set inserts. One is a
batch of one.
"""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET

from messo.base import clock, db, log, metrics
from messo.base.coalesce import Coalescer, QueueFullError
from messo.base.db import Connection, Pool
from messo.base.http import Problem
from messo.base.ids import new_id
from messo.base.sql import Queries
from messo.content import Precondition
from messo.messages import wire
from messo.services import Sender

queries = Queries("messo.messages")
logger = log.get(__name__)

PROCESS = "messages.process"
BATCH = 500
_WAITING_CHARACTERS = 50_000_000  # bodies and parts in memory, before their commit
_DOUBT_SECONDS = 10  # how long to ask a database that went away what it has kept


class Snapshot(msgspec.Struct, frozen=True):
    """The sender as the citizen will see it, whatever it is called later. Shared by messages."""

    service_name: str
    organization_name: str
    organization_fiscal_code: str
    department_name: str
    require_secure_channels: bool
    category: str
    user_email: str

    @property
    def id(self) -> int:
        """A signed 64-bit hash of the content: the same snapshot is stored once."""
        digest = hashlib.sha256(msgspec.json.encode(self)).digest()
        return int.from_bytes(digest[:8], signed=True)


class Draft(msgspec.Struct):
    """A message that passed every gate and waits for its commit."""

    id: str
    fiscal_code: str
    sender: Sender
    sender_id: int
    subject: str
    markdown: str
    parts: str  # JSON of wire.Parts
    feature_level_type: str
    require_secure_channels: bool
    time_to_live: int
    reference: str | None
    created_at: datetime
    idempotency_key: str | None
    digest: bytes


class IdempotencyConflictError(Problem):
    """The same key came with another message."""

    def __init__(self) -> None:
        super().__init__(
            422,
            "Idempotency key reused",
            "This Idempotency-Key was used for another message to the same recipient. "
            "Use a new key for a new message.",
            field="Idempotency-Key",
        )


class Accept:
    """The queue of drafts and the connections that commit them."""

    def __init__(self, pool: Pool, connections: int, bound: int) -> None:
        self.pool = pool
        self.queue: Coalescer[Draft, str] = Coalescer(
            self._commit, workers=connections, batch=BATCH, bound=bound
        )
        self._snapshots: dict[str, tuple[Sender, Snapshot, int]] = {}
        self._stored: set[int] = set()
        self._waiting = 0

    def draft(
        self,
        sender: Sender,
        fiscal_code: str,
        message: wire.NewMessage,
        reference: str | None,
        idempotency_key: str | None,
        precondition: Precondition | None = None,
    ) -> Draft:
        """Make the message that will be kept: id, time, snapshot, the stricter secure flag.

        `precondition`: for one with remote content that says none itself; it stays so.
        """
        content = message.content
        level = message.feature_level_type or "STANDARD"
        ttl = message.time_to_live or 3600
        parts = encode_parts(content)
        # Of what was asked: a request that is repeated after a change of ours is the same.
        digest = _digest(content, parts, level, ttl) if idempotency_key else b""
        third = content.third_party_data
        if precondition and third is not UNSET and third.has_precondition is UNSET:
            third.has_precondition = precondition
            parts = encode_parts(content)
        return Draft(
            id=new_id(),
            fiscal_code=fiscal_code,
            sender=sender,
            sender_id=self._snapshot(sender)[2],
            subject=content.subject,
            markdown=content.markdown,
            parts=parts,
            feature_level_type=level,
            require_secure_channels=sender.require_secure_channels
            or content.require_secure_channels is True,
            time_to_live=ttl,
            reference=reference,
            created_at=clock.now(),
            idempotency_key=idempotency_key,
            digest=digest,
        )

    async def keep(self, draft: Draft) -> str:
        """Keep it; its id, or the id of the first message under the same idempotency key.

        `QueueFullError` when too many messages wait, or too much text.
        """
        size = len(draft.markdown) + len(draft.parts)
        if self._waiting + size > _WAITING_CHARACTERS:
            raise QueueFullError
        self._waiting += size
        try:
            return await self.queue.ask(self.pool.bucket(draft.fiscal_code), draft)
        finally:
            self._waiting -= size

    async def kept_before(self, draft: Draft) -> str | None:
        """The id of the message already kept under the draft's idempotency key, if any."""
        if draft.idempotency_key is None:
            return None
        async with self.pool.connection() as conn:
            answers = await _first_answers(conn, conn.bucket(draft.fiscal_code), [draft])
        answer = answers.get(draft.id)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _snapshot(self, sender: Sender) -> tuple[Sender, Snapshot, int]:
        known = self._snapshots.get(sender.rate_key)
        if known is None or known[0] is not sender:
            snapshot = Snapshot(
                sender.service_name,
                sender.organization_name,
                sender.organization_fiscal_code,
                sender.department_name,
                sender.require_secure_channels,
                sender.category,
                sender.user_email,
            )
            known = self._snapshots[sender.rate_key] = (sender, snapshot, snapshot.id)
        return known

    async def _commit(self, bucket: int, drafts: list[Draft]) -> Sequence[str | Exception]:
        """One transaction for all; if it fails, halves, so that one bad row harms no other."""
        began = time.perf_counter()
        reached = False
        try:
            async with self.pool.connection() as conn:
                reached = True
                if self._is_one_statement(drafts):
                    answers = await self._write(conn, bucket, drafts)
                else:
                    async with conn.transaction():
                        answers = await self._write(conn, bucket, drafts)
        except Exception as error:
            self._stored.clear()  # whatever went wrong, do not rely on what was stored before
            if db.passes(error) or len(drafts) == 1:
                logger.error("not accepted", size=len(drafts), exc_info=error)
                doubt = reached and db.passes(error)
                kept = await self._kept_after_all(bucket, drafts) if doubt else set()
                metrics.accepted.inc(len(kept))
                return [draft.id if draft.id in kept else error for draft in drafts]
            middle = len(drafts) // 2
            return [
                *await self._commit(bucket, drafts[:middle]),
                *await self._commit(bucket, drafts[middle:]),
            ]
        self._stored.update(
            draft.sender_id
            for draft, answer in zip(drafts, answers, strict=True)
            if draft.id == answer
        )
        metrics.accepted.inc(sum(d.id == answer for d, answer in zip(drafts, answers, strict=True)))
        metrics.batch_size.labels("messages.accept").observe(len(drafts))
        metrics.batch_seconds.labels("messages.accept").observe(time.perf_counter() - began)
        return answers

    def _is_one_statement(self, drafts: list[Draft]) -> bool:
        """Nothing to write but the messages: then the statement is its own transaction."""
        return all(
            draft.idempotency_key is None and draft.sender_id in self._stored for draft in drafts
        )

    async def _kept_after_all(self, bucket: int, drafts: list[Draft]) -> set[str]:
        """After a connection lost in mid-commit: which messages the database has.

        It is asked until it answers, for a few seconds: a sender who hears "not confirmed" of a
        message that was kept may send it again. Not at once: while a server dies, another of its
        connections may still answer, and does not yet see a commit that is already on disk.
        """
        try:
            async with asyncio.timeout(_DOUBT_SECONDS):
                while True:
                    await asyncio.sleep(1)
                    try:
                        return await self._which_are_kept(bucket, drafts)
                    except Exception as error:
                        if not db.passes(error):
                            raise
        except Exception as error:
            logger.error("cannot learn what was kept", size=len(drafts), exc_info=error)
            return set()

    async def _which_are_kept(self, bucket: int, drafts: list[Draft]) -> set[str]:
        async with self.pool.connection() as conn:
            rows = await conn.rows(
                queries.which_are_kept, bucket=bucket, ids=[draft.id for draft in drafts]
            )
        return {row["id"] for row in rows}

    async def _write(
        self, conn: Connection, bucket: int, drafts: list[Draft]
    ) -> list[str | Exception]:
        answers: dict[str, str | Exception] = {draft.id: draft.id for draft in drafts}
        # Two servers that insert in the same order never wait for each other in a circle.
        ordered = sorted(drafts, key=lambda draft: draft.id)
        keyed = [draft for draft in ordered if draft.idempotency_key is not None]
        if keyed:
            answers |= await _claim_keys(conn, bucket, keyed)
            ordered = [draft for draft in ordered if answers[draft.id] == draft.id]
        if ordered:
            await self._store_snapshots(conn, ordered)
            await _insert(conn, bucket, ordered)
        return [answers[draft.id] for draft in drafts]

    async def _store_snapshots(self, conn: Connection, drafts: list[Draft]) -> None:
        new = {
            draft.sender_id: self._snapshot(draft.sender)[1]
            for draft in drafts
            if draft.sender_id not in self._stored
        }
        if new:
            rows = [{"id": key, **msgspec.structs.asdict(new[key])} for key in sorted(new)]
            await conn.run(queries.store_senders, senders=msgspec.json.encode(rows).decode())


def encode_parts(content: wire.Content) -> str:
    """The parts of a message as JSON, defaults written out."""
    parts = wire.Parts(
        content.require_secure_channels,
        content.due_date,
        content.payment_data,
        content.third_party_data,
        content.eu_covid_cert,
        content.prescription_data,
        content.legal_data,
    )
    return msgspec.json.encode(parts).decode()


def _digest(content: wire.Content, parts: str, level: str, ttl: int) -> bytes:
    """What "the same body" means: the same message after defaults, whatever its JSON looked like."""
    whole = msgspec.json.encode([content.subject, content.markdown, parts, level, ttl])
    return hashlib.sha256(whole).digest()


async def _claim_keys(
    conn: Connection, bucket: int, drafts: list[Draft]
) -> dict[str, str | Exception]:
    """Write the idempotency keys; for those used before, the first answer or the conflict."""
    ordered = sorted(drafts, key=lambda d: (d.sender.service_id, d.fiscal_code, d.idempotency_key))
    won = await conn.rows(
        queries.claim_idempotency_keys,
        bucket=bucket,
        service_ids=[draft.sender.service_id for draft in ordered],
        fiscal_codes=[draft.fiscal_code for draft in ordered],
        keys=[draft.idempotency_key for draft in ordered],
        digests=[draft.digest for draft in ordered],
        ids=[draft.id for draft in ordered],
        now=clock.now(),
    )
    winners = {row["message_id"] for row in won}
    return await _first_answers(conn, bucket, [d for d in ordered if d.id not in winners])


async def _first_answers(
    conn: Connection, bucket: int, drafts: list[Draft]
) -> dict[str, str | Exception]:
    """For drafts whose key was used before: the first message's id, or the conflict."""
    if not drafts:
        return {}
    rows = await conn.rows(
        queries.find_idempotency_keys,
        bucket=bucket,
        service_ids=[draft.sender.service_id for draft in drafts],
        fiscal_codes=[draft.fiscal_code for draft in drafts],
        keys=[draft.idempotency_key for draft in drafts],
    )
    first = {(row["service_id"], row["fiscal_code"], row["key"]): row for row in rows}
    answers: dict[str, str | Exception] = {}
    for draft in drafts:
        row = first.get((draft.sender.service_id, draft.fiscal_code, draft.idempotency_key or ""))
        if row is not None:
            same = row["digest"] == draft.digest
            answers[draft.id] = row["message_id"] if same else IdempotencyConflictError()
    return answers


async def _insert(conn: Connection, bucket: int, drafts: list[Draft]) -> None:
    await conn.value(
        queries.keep_messages,
        bucket=bucket,
        now=clock.now(),
        ids=[draft.id for draft in drafts],
        fiscal_codes=[draft.fiscal_code for draft in drafts],
        service_ids=[draft.sender.service_id for draft in drafts],
        sender_ids=[draft.sender_id for draft in drafts],
        lanes=[draft.sender.lane for draft in drafts],
        subjects=[draft.subject for draft in drafts],
        levels=[draft.feature_level_type for draft in drafts],
        secure=[draft.require_secure_channels for draft in drafts],
        ttls=[draft.time_to_live for draft in drafts],
        references=[draft.reference for draft in drafts],
        created=[draft.created_at for draft in drafts],
        markdowns=[draft.markdown for draft in drafts],
        parts=[draft.parts for draft in drafts],
    )
