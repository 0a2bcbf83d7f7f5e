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

# The twin: claim, decide, write status, delete rejected contents, log events, in one statement on
# one connection. Not how the product does it (design: no INSERT inside a CTE), only its ceiling.
TWIN = """
WITH claimed AS (
    SELECT due_at, reference FROM work.item
    WHERE bucket = 0 AND step = 'messages.process' AND due_at <= $1
    ORDER BY due_at, reference LIMIT 1000 FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM work.item i USING claimed c
    WHERE i.bucket = 0 AND i.step = 'messages.process' AND i.due_at = c.due_at
      AND i.reference = c.reference
), decided AS (
    UPDATE messages.message m SET
        status = CASE WHEN p.fiscal_code IS NULL OR NOT p.is_inbox_enabled
            OR f.is_inbox_enabled IS FALSE OR (f IS NULL AND p.mode = 'MANUAL')
            THEN 'REJECTED' ELSE 'PROCESSED' END,
        decided_at = $1
    FROM claimed c
    LEFT JOIN messages.message o ON o.bucket = 0 AND o.id = c.reference
    LEFT JOIN recipients.profile p ON p.bucket = 0 AND p.fiscal_code = o.fiscal_code
    LEFT JOIN recipients.preference f ON f.bucket = 0 AND f.fiscal_code = o.fiscal_code
        AND f.service_id = o.service_id AND f.settings_version = p.settings_version
    WHERE m.bucket = 0 AND m.id = c.reference AND m.status = 'ACCEPTED'
    RETURNING m.id, m.service_id, m.status
), emptied AS (
    DELETE FROM messages.content x USING decided d
    WHERE x.bucket = 0 AND x.id = d.id AND d.status = 'REJECTED'
), logged AS (
    INSERT INTO events.log (bucket, message_id, kind, service_id, at)
    SELECT 0, id, lower(status), service_id, $1 FROM decided
)
SELECT count(*) FROM claimed
"""


def run(made: Ground) -> None:
    asyncio.run(_run(made))


async def _run(made: Ground) -> None:
    pool = await Pool.open(made.url, 3)
    worker = Worker(pool, 1, [process.step()], [], BATCH)
    ours, twin = [], []
    for number in range(ROUNDS):
        await _fill(pool, made, number)
        ours.append(await _measure(worker.work_once))
        await _fill(pool, made, number)
        async with pool.connection() as conn:

            async def once(raw: Any = conn.raw) -> int:
                return int(await raw.fetchval(TWIN, clock.now()))

            twin.append(await _measure(once))
        console.print(f"  processing: {ours[-1]:,.0f}/s of {twin[-1]:,.0f}/s")
    await pool.close()
    ratio = median([a / b for a, b in zip(ours, twin, strict=True)])
    made.lines.append(
        Line(
            f"processing, batches of {BATCH:,}",
            f"{median(ours):,.0f}/s",
            f"{median(twin):,.0f}/s by the SQL twin",
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
