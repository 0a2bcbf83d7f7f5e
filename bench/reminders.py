"""A day's reminders handed over, against a function in the database that makes the same writes.

Among five million planned ones, half a million are due: each is checked against the citizen's wishes,
the message and the ledger, and queued to be told.
"""

import asyncio
import time
from typing import Any

from bench.ground import SENDERS, Ground, Line, console, median
from messo.base import clock
from messo.base.buckets import short_hash
from messo.base.db import Pool
from messo.reminders import Window
from messo.reminders.hand_over import hand_over
from messo.reminders.rules import day_of

ROUNDS = 5
DUE = 500_000  # half of them handed over by each side, in turns
DAYS = 10  # planned for each notice; one of them is today
AT_ONCE = 1000
ALL_DAY = Window(0, 24 * 60)  # benchmarks run at any hour

FILL = """
INSERT INTO messages.sender VALUES (1, 's', 'o', '00000000001', '-', false, 'STANDARD', 'a@b.c')
ON CONFLICT DO NOTHING;
UPDATE recipients.profile SET reminder_status = 'ENABLED';
CREATE TEMP TABLE one AS
SELECT
    n, lpad(n::text, 26, '0') AS id, '00000000001' AS payee, '3' || lpad(n::text, 17, '0') AS number,
    c.fiscal_code
FROM generate_series(0, {due} - 1) AS n
INNER JOIN (
    SELECT fiscal_code, row_number() OVER () - 1 AS k FROM recipients.profile
) AS c ON c.k = n % (SELECT count(*) FROM recipients.profile);
INSERT INTO messages.message (
    bucket, id, fiscal_code, service_id, sender_id, subject, status, feature_level_type,
    require_secure_channels, time_to_live, created_at, decided_at
)
SELECT 0, id, fiscal_code, 'service' || n % {senders}, 1, 'Tassa rifiuti', 'PROCESSED', 'ADVANCED',
    false, 3600, now() - interval '20 days', now() - interval '20 days'
FROM one;
INSERT INTO payments.notice (
    bucket, payee, number, state, amount, due_date, source, code, observed_at, created_at
)
SELECT 0, payee, number, 'unpaid', 100, current_date + 40, 'node', '200', now(), now() FROM one;
INSERT INTO payments.carrier
SELECT 0, payee, number, k.short, id, 0, n % 16 FROM one INNER JOIN short AS k USING (fiscal_code);
INSERT INTO reminders.reminder (bucket, fiscal_code, subject, day, kind, state, due_at)
SELECT 0, fiscal_code, payee || number, $1::date + 3 * d, 'due', 'planned',
    now() + 3 * d * interval '1 day' - interval '1 hour'
FROM one CROSS JOIN generate_series(0, {days} - 1) AS d;
DROP TABLE one;
"""

# The twin: the same checks and writes in one function, which spares every round trip. Not how the
# product does it (rules would live in PL/pgSQL), only its ceiling.
TWIN = """
CREATE OR REPLACE FUNCTION pg_temp.twin(at timestamptz, today date) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    done int;
BEGIN
    CREATE TEMP TABLE IF NOT EXISTS told (
        fiscal_code text, subject text, day date, kind text, message_id text, lane int
    ) ON COMMIT DELETE ROWS;
    WITH due AS MATERIALIZED (
        SELECT r.fiscal_code, r.subject, r.day, r.kind FROM reminders.reminder r
        WHERE r.bucket = 0 AND r.state = 'planned' AND r.due_at <= at
        ORDER BY r.due_at LIMIT 1000 FOR UPDATE SKIP LOCKED
    )
    INSERT INTO told
    SELECT due.fiscal_code, due.subject, due.day, due.kind, m.id, c.lane
    FROM due
    JOIN payments.notice n ON n.bucket = 0 AND n.payee = left(due.subject, 11)
        AND n.number = substr(due.subject, 12)
    JOIN payments.carrier c ON c.bucket = 0 AND c.payee = n.payee AND c.number = n.number
    JOIN messages.message m ON m.bucket = 0 AND m.id = c.message_id
        AND m.fiscal_code = due.fiscal_code
    JOIN recipients.profile p ON p.bucket = 0 AND p.fiscal_code = m.fiscal_code
    LEFT JOIN recipients.preference f ON f.bucket = 0 AND f.fiscal_code = m.fiscal_code
        AND f.service_id = m.service_id AND f.settings_version = p.settings_version
    WHERE n.state = 'unpaid' AND n.due_date > today AND n.observed_at >= today AND due.day = today
      AND NOT m.is_archived AND p.reminder_status = 'ENABLED' AND p.is_webhook_enabled
      AND p.is_inbox_enabled AND COALESCE(f.is_webhook_enabled, true)
      AND COALESCE(f.is_inbox_enabled, p.mode = 'AUTO');
    UPDATE reminders.reminder r SET
        state = 'handed', due_at = at, reason = NULL, message_id = told.message_id
    FROM told
    WHERE r.bucket = 0 AND r.fiscal_code = told.fiscal_code AND r.subject = told.subject
      AND r.day = told.day AND r.kind = told.kind;
    GET DIAGNOSTICS done = ROW_COUNT;
    INSERT INTO work.item (bucket, step, due_at, reference, lane)
    SELECT 0, 'notifications.remind', at,
        told.message_id || ' ' || told.kind || ':' || told.day || ' 1900000000', told.lane
    FROM told;
    RETURN done;
END
$$
"""


def run(made: Ground) -> None:
    asyncio.run(_run(made))


async def _run(made: Ground) -> None:
    pool = await Pool.open(made.url, 2, statement_seconds=900, custom_plans=True)
    today = day_of(clock.now())
    with console.status(f"Planning {DUE * DAYS:,} reminders …"):
        async with pool.connection() as conn:
            await conn.script("CREATE TEMP TABLE short (fiscal_code text, short smallint)")
            await conn.raw.execute(
                "INSERT INTO short SELECT * FROM unnest($1::text[], $2::smallint[])",
                made.citizens,
                [short_hash(code) for code in made.citizens],
            )
            text = FILL.format(due=DUE, days=DAYS, senders=SENDERS)
            await conn.script(text.replace("$1::date", f"'{today}'::date"))
            await conn.script("VACUUM ANALYZE")
    ours, twin = [], []
    each = DUE // ROUNDS // 2
    async with pool.connection() as conn:
        await conn.script(TWIN)

        async def by_us() -> int:
            async with conn.transaction():
                return await hand_over(conn, 0, ALL_DAY, has_node=True, limit=AT_ONCE)

        async def by_twin(raw: Any = conn.raw) -> int:
            return int(await raw.fetchval("SELECT pg_temp.twin($1, $2)", clock.now(), today))

        for _ in range(ROUNDS):
            ours.append(await _measure(by_us, each))
            twin.append(await _measure(by_twin, each))
            console.print(f"  reminders: {ours[-1]:,.0f}/s of {twin[-1]:,.0f}/s")
        handed = await conn.raw.fetchval(
            "SELECT count(*) FROM reminders.reminder WHERE state = 'handed'"
        )
        queued = await conn.raw.fetchval(
            "SELECT count(*) FROM work.item WHERE step = 'notifications.remind'"
        )
        assert handed == queued == DUE, (handed, queued)
        await conn.script("TRUNCATE work.item, reminders.reminder, payments.carrier")
        await conn.script("TRUNCATE payments.notice, messages.message")
    await pool.close()
    ratio = median([a / b for a, b in zip(ours, twin, strict=True)])
    made.lines.append(
        Line(
            f"reminders handed over, {DUE:,} of {DUE * DAYS:,} planned",
            f"{median(ours):,.0f}/s",
            f"{median(twin):,.0f}/s by a function in the database",
            f"{ratio:.2f}",
            "≥ 0.50",
        )
    )


async def _measure(step: Any, each: int) -> float:
    began = time.perf_counter()
    done = 0
    while done < each:
        claimed = await step()
        assert claimed, f"only {done} of {each} were due"
        done += claimed
    return done / (time.perf_counter() - began)
