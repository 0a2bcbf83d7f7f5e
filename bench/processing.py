"""Deciding, against a hand-written statement that makes the same writes and nothing else."""

import asyncio
import time
from typing import Any

from bench.ground import SENDERS, Ground, Line, console, median
from messo.base import clock
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.base.work import Worker
from messo.messages import process

ROUNDS = 6
MESSAGES = 20_000  # decided by each side in each round
BATCH = 1000

# The twin: the same writes by one function inside the database, which spares every round trip. Not
# how the product does it (rules and bookkeeping would live in PL/pgSQL), only its ceiling.
TWIN = """
CREATE OR REPLACE FUNCTION pg_temp.twin(at timestamptz) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    ids text[]; kept text[]; refused text[];
BEGIN
    WITH claimed AS (
        SELECT ctid FROM work.item
        WHERE bucket = 0 AND step = 'messages.process' AND due_at <= at
        ORDER BY due_at, reference LIMIT 1000 FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM work.item WHERE ctid = ANY(ARRAY(SELECT ctid FROM claimed))
        RETURNING reference
    )
    SELECT array_agg(reference) INTO ids FROM gone;
    IF ids IS NULL THEN
        RETURN 0;
    END IF;
    WITH decided AS (
        SELECT m.id, p.is_inbox_enabled AND COALESCE(f.is_inbox_enabled, p.mode = 'AUTO') AS fits
        FROM messages.message m
        LEFT JOIN recipients.profile p ON p.bucket = 0 AND p.fiscal_code = m.fiscal_code
        LEFT JOIN recipients.preference f ON f.bucket = 0 AND f.fiscal_code = m.fiscal_code
            AND f.service_id = m.service_id AND f.settings_version = p.settings_version
        WHERE m.bucket = 0 AND m.id = ANY(ids) AND m.status = 'ACCEPTED'
    ), updated AS (
        UPDATE messages.message m SET
            status = CASE WHEN fits THEN 'PROCESSED' ELSE 'REJECTED' END,
            subject = CASE WHEN fits THEN m.subject END,
            rejection_reason = CASE WHEN fits THEN NULL ELSE 'SERVICE_NOT_ALLOWED' END,
            decided_at = at
        FROM decided WHERE m.bucket = 0 AND m.id = decided.id
        RETURNING m.id, m.status
    )
    SELECT array_agg(id) FILTER (WHERE status = 'PROCESSED'),
           array_agg(id) FILTER (WHERE status = 'REJECTED')
    INTO kept, refused FROM updated;
    DELETE FROM messages.content WHERE bucket = 0 AND id = ANY(refused);
    INSERT INTO events.log (bucket, message_id, kind, service_id, at)
    SELECT 0, m.id, lower(m.status), m.service_id, twin.at FROM messages.message m
    WHERE m.bucket = 0 AND m.id = ANY(ids);
    RETURN cardinality(ids);
END
$$
"""


def run(made: Ground) -> None:
    asyncio.run(_run(made))


async def _run(made: Ground) -> None:
    pool = await Pool.open(made.url, 3, custom_plans=True)
    worker = Worker(pool, 1, [process.step()], [], BATCH)
    ours, twin = [], []
    for number in range(ROUNDS):
        await _fill(pool, made, number)
        ours.append(await _measure(worker.work_once))
        await _fill(pool, made, number)
        async with pool.connection() as conn:
            await conn.script(TWIN)

            async def once(raw: Any = conn.raw) -> int:
                return int(await raw.fetchval("SELECT pg_temp.twin($1)", clock.now()))

            twin.append(await _measure(once))
        console.print(f"  processing: {ours[-1]:,.0f}/s of {twin[-1]:,.0f}/s")
    await pool.close()
    ratio = median([a / b for a, b in zip(ours, twin, strict=True)])
    made.lines.append(
        Line(
            f"processing, batches of {BATCH:,}",
            f"{median(ours):,.0f}/s",
            f"{median(twin):,.0f}/s by a function in the database",
            f"{ratio:.2f}",
            "≥ 0.50",
        )
    )


async def _measure(step: Any) -> float:
    began = time.perf_counter()
    done = 0
    while claimed := await step():
        done += claimed
    return done / (time.perf_counter() - began)


async def _fill(pool: Pool, made: Ground, number: int) -> None:
    """Accepted messages to different citizens, written directly."""
    ids = [new_id() for _ in range(MESSAGES)]
    start = number * MESSAGES
    codes = [made.citizens[(start + i) % len(made.citizens)] for i in range(MESSAGES)]
    services = [made.senders[i % SENDERS][0] for i in range(MESSAGES)]
    async with pool.transaction() as conn:
        raw = conn.raw
        await raw.execute(
            "INSERT INTO messages.sender VALUES (1, 's', 'o', '1', '-', false, 'STANDARD', 'a@b.c') "
            "ON CONFLICT DO NOTHING"
        )
        await raw.execute(
            "INSERT INTO messages.message (bucket, id, fiscal_code, service_id, sender_id, subject, "
            "status, feature_level_type, require_secure_channels, time_to_live, created_at) "
            "SELECT 0, i, f, s, 1, 'Oggetto di prova', 'ACCEPTED', 'STANDARD', false, 3600, now() "
            "FROM unnest($1::text[], $2::text[], $3::text[]) AS u (i, f, s)",
            ids,
            codes,
            services,
        )
        await raw.execute(
            "INSERT INTO messages.content SELECT 0, i, repeat('Ciao ', 180), '{}' "
            "FROM unnest($1::text[]) AS u (i)",
            ids,
        )
        await raw.execute(
            "INSERT INTO work.item (bucket, step, due_at, reference, lane) "
            "SELECT 0, 'messages.process', now(), i, abs(hashtext(i)) % 16 "
            "FROM unnest($1::text[]) AS u (i)",
            ids,
        )
        await raw.execute(
            "INSERT INTO events.log SELECT 0, i, 'accepted', '', s, now() "
            "FROM unnest($1::text[], $2::text[]) AS u (i, s)",
            ids,
            services,
        )
    async with pool.connection() as conn:
        await conn.script("CHECKPOINT")
