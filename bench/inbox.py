"""The citizen's pages: one with 1,000 messages among 5 million, beside one with 25 in the same run."""

import asyncio
import http.client
import os
import statistics
import time
from collections.abc import Callable
from datetime import timedelta

from rich.progress import track

from bench.ground import Ground, Line, console, server
from messo.base import db
from messo.base.db import Pool
from messo.login import Identity, Limits, open_session
from messo.recipients.profile import Profile, create_profiles
from messo.sandbox.fiscal_codes import make

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "5000000"))
CHUNK = 250_000
ROUNDS, REQUESTS = 3, 200
MANY, FEW = make("BNCMNY80A01Y001"), make("BNCFEW80A01Y002")
WORDS = (
    *("carta", "identità", "scadenza", "bollettino", "mensa", "scuola", "tributi", "rifiuti"),
    *("appuntamento", "sportello", "certificato", "residenza", "domanda", "graduatoria", "asilo"),
    *("rimborso", "visita", "referto", "biblioteca", "prestito", "parcheggio", "permesso"),
)
# Ids are of the alphabet of ULIDs; the mass has the older ones.
MASS = """
    INSERT INTO messages.message (
        bucket, id, fiscal_code, service_id, sender_id, subject, status, feature_level_type,
        require_secure_channels, time_to_live, created_at, decided_at
    )
    SELECT 0, '01' || lpad(upper(to_hex(n)), 24, '0'), ($1::text[])[1 + n % $2], $3, 1,
        'La tua pratica numero ' || n, 'PROCESSED', 'STANDARD', false, 3600,
        now() - interval '1 day', now()
    FROM generate_series($4::int, $5::int) AS n
"""
MASS_CONTENT = """
    INSERT INTO messages.content (bucket, id, markdown, parts)
    SELECT 0, '01' || lpad(upper(to_hex(n)), 24, '0'), 'Ciao, la tua pratica numero ' || n ||
        ' è pronta: puoi ritirarla allo sportello quando vuoi, con un documento.', '{}'
    FROM generate_series($1::int, $2::int) AS n
"""
OURS = """
    INSERT INTO messages.message (
        bucket, id, fiscal_code, service_id, sender_id, subject, status, feature_level_type,
        require_secure_channels, time_to_live, created_at, decided_at, read_at, is_archived
    )
    SELECT 0, '02' || $6 || lpad(upper(to_hex(n)), 23, '0'), $1, $2, 1,
        initcap(($3::text[])[1 + n * 7 % $4]) || ' e ' || ($3::text[])[1 + n * 11 % $4] || ' ' || n,
        'PROCESSED', 'STANDARD', false, 3600, now() - n * interval '1 hour', now(),
        CASE WHEN n % 5 < 3 THEN now() END, n % 10 < 3
    FROM generate_series(1, $5::int) AS n
"""
OURS_CONTENT = """
    INSERT INTO messages.content (bucket, id, markdown, parts)
    SELECT 0, '02' || $4 || lpad(upper(to_hex(n)), 23, '0'),
        (SELECT string_agg(($1::text[])[1 + (n * k * 13 + k) % $2], ' ')
         FROM generate_series(1, 110) AS k),
        CASE n % 4 WHEN 0 THEN '{"payment_data": {"amount": 1000, "notice_number": "302000000000000083"}}'
            WHEN 1 THEN '{"due_date": "2030-01-31T22:59:59.000Z"}' ELSE '{}' END::jsonb
    FROM generate_series(1, $3::int) AS n
"""


def run(made: Ground) -> None:
    tokens = asyncio.run(_fill(made))
    with server(made) as (port, _):
        ask = _asker(port, tokens)
        ask("GET", "/", MANY)  # templates and styles are read once
        began = time.perf_counter()
        ask("GET", "/?q=rimborso", MANY)
        console.print(f"  first search: {(time.perf_counter() - began) * 1000:.0f} ms")
        ask("GET", "/?q=rimborso", MANY)
        middle = f"02A{500:023X}"
        pages: dict[str, tuple[Callable[[int], str], str]] = {
            "inbox page": (lambda _: "/", "≤ 20 ms"),
            "archived page": (lambda _: "/?archived=1", "≤ 20 ms"),
            "an older page": (lambda _: f"/?before={middle}", "≤ 20 ms"),
            "only to pay": (lambda _: "/?kind=payment", "≤ 20 ms"),
            "only unread": (lambda _: "/?unread=1", "≤ 20 ms"),
            "search": (lambda i: f"/?q={WORDS[i % len(WORDS)].replace('à', '%C3%A0')}", "≤ 100 ms"),
        }
        for what, (path, bar) in pages.items():
            p50, p99, beside = [], [], []
            for _ in range(ROUNDS):
                ours = sorted(_time(ask, path(i), MANY) for i in range(REQUESTS))
                few = sorted(_time(ask, path(i), FEW) for i in range(REQUESTS))
                p50.append(ours[REQUESTS // 2])
                p99.append(ours[int(REQUESTS * 0.99)])
                beside.append(few[REQUESTS // 2])
            mine, other = statistics.median(p50), statistics.median(beside)
            made.lines.append(
                Line(
                    f"{what}, 1,000 of {MESSAGES:,} messages",
                    f"p50 {mine:.1f} ms, p99 {statistics.median(p99):.1f} ms",
                    f"p50 {other:.1f} ms with 25 messages",
                    f"{other / mine:.2f}",
                    f"p99 {bar}",
                )
            )


def _asker(port: int, tokens: dict[str, str]) -> Callable[[str, str, str], None]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(method: str, path: str, who: str) -> None:
        connection.request(method, path, headers={"Cookie": f"messo={tokens[who]}"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")

    return ask


def _time(ask: Callable[[str, str, str], None], path: str, who: str) -> float:
    began = time.perf_counter()
    ask("GET", path, who)
    return (time.perf_counter() - began) * 1000


async def _fill(made: Ground) -> dict[str, str]:
    pool = await Pool.open(made.url, 2, statement_seconds=1800)
    service = made.senders[0][0]
    async with pool.connection() as conn:
        await conn.script(
            "INSERT INTO messages.sender VALUES (1, 'Servizio 0', 'Comune 0', '00000000000', '-',"
            " false, 'STANDARD', '') ON CONFLICT DO NOTHING"
        )
        for start in track(
            range(0, MESSAGES, CHUNK), f"{MESSAGES:,} messages", console=console, transient=True
        ):
            end = min(start + CHUNK, MESSAGES) - 1
            citizens = made.citizens
            await conn.raw.execute(MASS, citizens, len(citizens), service, start, end)
            await conn.raw.execute(MASS_CONTENT, start, end)
        for who, count, letter in ((MANY, 1000, "A"), (FEW, 25, "B")):
            words = list(WORDS)
            await conn.raw.execute(OURS, who, service, words, len(words), count, letter)
            await conn.raw.execute(OURS_CONTENT, words, len(words), count, letter)
        await conn.script("VACUUM ANALYZE")
    tokens = {}
    async with pool.transaction() as conn:
        await create_profiles(conn, [_onboarded(MANY), _onboarded(FEW)])
        tokens = {MANY: await _session(conn, MANY), FEW: await _session(conn, FEW)}
    await pool.close()
    return tokens


def _onboarded(code: str) -> Profile:
    return Profile(
        code,
        mode="AUTO",
        settings_version=0,
        is_inbox_enabled=True,
        accepted_tos_version=1.0,
        preferred_languages=["it_IT"],
    )


async def _session(conn: db.Connection, code: str) -> str:
    identity = Identity(code, "Ada", "Prova", "https://www.spid.gov.it/SpidL2")
    return await open_session(
        conn, identity, "web", "bench", Limits(timedelta(hours=12), timedelta(hours=12))
    )
