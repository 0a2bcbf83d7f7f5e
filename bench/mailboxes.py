"""Mailboxes to read from: one with 1,000 messages and one with 25, strewn among millions."""

import json
import random
from dataclasses import dataclass
from datetime import timedelta

from rich.progress import track

from bench.ground import CITIZENS, Ground, console
from bench.letters import letter
from messo.base.db import Connection, Pool
from messo.login import Identity, Limits, open_session
from messo.recipients.profile import Profile, create_profiles
from messo.sandbox.fiscal_codes import many

CHUNK = 100_000
MANY, FEW = 1000, 25

SENDER = """
INSERT INTO messages.sender VALUES
(1, 'Servizio 0', 'Comune 0', '00000000000', 'Sportello', false, 'STANDARD', '')
ON CONFLICT DO NOTHING
"""
CITIZEN = "CREATE TEMPORARY TABLE citizen (number int PRIMARY KEY, fiscal_code text, service text)"
LETTER = """
CREATE TEMPORARY TABLE letter (
    n int PRIMARY KEY, fiscal_code text, subject text, markdown text, parts jsonb,
    is_read boolean, is_archived boolean
)
"""
# In the order of their ids, as they come in: a citizen's messages lie far from one another.
MESSAGES = """
INSERT INTO messages.message (
    bucket, id, fiscal_code, service_id, sender_id, subject, status, feature_level_type,
    require_secure_channels, time_to_live, created_at, decided_at, read_at, is_archived
)
SELECT
    0, '01' || lpad(upper(to_hex(i)), 24, '0'), coalesce(l.fiscal_code, c.fiscal_code), c.service,
    1, coalesce(l.subject, 'La tua pratica numero ' || i), 'PROCESSED', 'STANDARD', false, 3600,
    now() - ($4 - i) * interval '6 seconds', now(),
    CASE WHEN coalesce(l.is_read, i % 5 < 3) THEN now() END,
    coalesce(l.is_archived, i % 10 < 3)
FROM generate_series($1::int, $2::int) AS g (i)
INNER JOIN citizen AS c ON c.number = i % $3
LEFT JOIN letter AS l ON l.n = i
ORDER BY i
"""
CONTENTS = """
INSERT INTO messages.content (bucket, id, markdown, parts)
SELECT
    0, '01' || lpad(upper(to_hex(i)), 24, '0'),
    coalesce(
        l.markdown,
        'Ciao, la tua pratica numero ' || i || ' è pronta: puoi ritirarla quando vuoi allo sportello.'
    ),
    coalesce(l.parts, '{}')
FROM generate_series($1::int, $2::int) AS g (i)
LEFT JOIN letter AS l ON l.n = i
ORDER BY i
"""


@dataclass(frozen=True)
class Mailbox:
    """One citizen's: how many messages, and how a browser and an application say who asks."""

    size: int
    fiscal_code: str
    cookie: str
    bearer: str


async def fill(made: Ground, total: int) -> tuple[Mailbox, Mailbox]:
    """Write `total` messages of 100,000 citizens; the mailboxes of `MANY` and of `FEW`."""
    pool = await Pool.open(made.url, 2, statement_seconds=3600)
    large, small = many(CITIZENS + 2)[-2:]
    chance = random.Random(5)
    places = chance.sample(range(total), MANY + FEW)
    letters = [_row(chance, n, large if i < MANY else small) for i, n in enumerate(places)]
    async with pool.transaction() as conn:
        await create_profiles(conn, [_onboarded(large), _onboarded(small)])
        mailboxes = await _mailbox(conn, MANY, large), await _mailbox(conn, FEW, small)
    async with pool.connection() as conn:
        raw = conn.raw
        for statement in (SENDER, CITIZEN, LETTER):
            await conn.script(statement)
        services = [made.senders[i % len(made.senders)][0] for i in range(CITIZENS)]
        await raw.copy_records_to_table(
            "citizen", records=zip(range(CITIZENS), made.citizens, services, strict=True)
        )
        await raw.copy_records_to_table("letter", records=letters)
        await conn.script("ANALYZE citizen; ANALYZE letter")
        for start in track(range(0, total, CHUNK), f"{total:,} messages", console=console):
            stop = min(start + CHUNK, total) - 1
            await raw.execute(MESSAGES, start, stop, CITIZENS, total)
            await raw.execute(CONTENTS, start, stop)
        await conn.script("VACUUM ANALYZE")
        await conn.script("CHECKPOINT")
    await pool.close()
    return mailboxes


def _row(chance: random.Random, n: int, fiscal_code: str) -> tuple[object, ...]:
    """60 % read, 30 % archived; a fifth to pay, a fifth with a date, a tenth with attachments."""
    subject, markdown = letter(chance)
    kind = chance.random()
    parts: dict[str, object] = {}
    if kind < 0.2:
        notice = f"3{chance.randrange(10**17):017d}"
        parts["payment_data"] = {"amount": chance.randrange(100, 90_000), "notice_number": notice}
    if 0.1 < kind < 0.3:
        parts["due_date"] = f"2027-0{chance.randrange(1, 10)}-15T22:59:59.000Z"
    if 0.3 < kind < 0.4:
        parts["third_party_data"] = {"id": str(n), "has_attachments": True}
    is_read, is_archived = chance.random() < 0.6, chance.random() < 0.3
    return n, fiscal_code, subject, markdown, json.dumps(parts), is_read, is_archived


def _onboarded(code: str) -> Profile:
    return Profile(
        code, mode="AUTO", settings_version=0, is_inbox_enabled=True, accepted_tos_version=1
    )


async def _mailbox(conn: Connection, size: int, code: str) -> Mailbox:
    identity = Identity(code, "Giulia", "Ferretti", "https://www.spid.gov.it/SpidL2")
    limits = Limits(timedelta(hours=12), timedelta(hours=12))
    web = await open_session(conn, identity, "web", "bench", limits)
    client = await open_session(conn, identity, "client", "bench", limits)
    return Mailbox(size, code, f"Cookie: messo={web}", f"Authorization: Bearer {client}")
