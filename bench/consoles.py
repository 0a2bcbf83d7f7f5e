"""Every list of the consoles, with 10,000 services of one institution and 5 million messages.

Beside each the console's first page, which has the same frame around it and no list: the ceiling of
this run. Searches for people are made as a clerk makes them, by their form.
"""

import asyncio
import os
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from rich.progress import track

from bench.ground import Ground, Line, console, load, median, server
from bench.services import SERVICES, add_services
from messo.base import clock
from messo.base.db import Connection, Pool
from messo.base.ids import lowest_id
from messo.login import Limits
from messo.operations import operators
from messo.people.members import put_member
from messo.people.sessions import open_session
from messo.services.permissions import Permission
from messo.services.services import create_institution

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "5000000"))
CHUNK = 100_000
STEP = 1000  # messages with the same time in their ids
SPAN_DAYS = 365
ROUNDS = 3
SECONDS = 2
BAR_MS = 100
_FISCAL_CODE, _OTHER = "99999999999", "99999999998"
_FEWER = 200  # services of the other institution: the most that are listed together
_LOGIN = "bench.clerk"

SENDER = """
INSERT INTO messages.sender VALUES
(1, 'Servizio 0', 'Comune grande', '99999999999', '-', false, 'STANDARD', '')
ON CONFLICT DO NOTHING
"""
TABLES = """
CREATE TEMPORARY TABLE service_of (number int PRIMARY KEY, id text);
CREATE TEMPORARY TABLE citizen_of (number int PRIMARY KEY, fiscal_code text);
CREATE TEMPORARY TABLE moment_of (number int PRIMARY KEY, prefix text, at timestamptz);
"""
# Half of all messages are of one service, a quarter is spread over 10,000 of the same institution,
# and a quarter over 200 of another one.
FILL = """
INSERT INTO messages.message (
    bucket, id, fiscal_code, service_id, sender_id, subject, status, rejection_reason,
    feature_level_type, require_secure_channels, time_to_live, reference, created_at, decided_at,
    read_at
)
SELECT
    0, t.prefix || lpad(upper(to_hex(i)), 16, '0'), c.fiscal_code, s.id, 1,
    CASE WHEN i % 50 <> 0 THEN 'La tua pratica numero ' || i END,
    CASE WHEN i % 50 = 0 THEN 'REJECTED' ELSE 'PROCESSED' END,
    CASE WHEN i % 50 = 0 THEN 'USER_NOT_FOUND' END,
    CASE WHEN i % 3 = 0 THEN 'ADVANCED' ELSE 'STANDARD' END, false, 3600,
    CASE WHEN i % 10 = 0 THEN 'pratica-' || i END, t.at, t.at,
    CASE WHEN i % 5 < 3 THEN t.at END
FROM generate_series($1::int, $2::int) AS g (i)
INNER JOIN moment_of AS t ON t.number = i / $3
INNER JOIN citizen_of AS c ON c.number = i % $4
INNER JOIN service_of AS s ON s.number = CASE
    WHEN i % 2 = 0 THEN 0
    WHEN i % 4 = 1 THEN i % $5
    ELSE $5 + i / 4 % 200
END
ORDER BY i
"""
CONTENTS = """
INSERT INTO messages.content (bucket, id, markdown, parts)
SELECT m.bucket, m.id, 'Ciao, la tua pratica è pronta: puoi ritirarla quando vuoi.', '{}'
FROM messages.message AS m WHERE m.id >= $1 AND m.status = 'PROCESSED'
"""
FIGURES = """
INSERT INTO events.figure (bucket, service_id, day, kind, about, number)
SELECT 0, s.id, $1::date - d, k.kind, k.about, 10 + d
FROM service_of AS s
CROSS JOIN generate_series(0, 29) AS g (d)
CROSS JOIN (VALUES ('accepted', ''), ('processed', ''), ('rejected', 'USER_NOT_FOUND'), ('read', ''))
    AS k (kind, about)
WHERE s.number < 2000 OR s.number >= $2
"""
REPORTS = """
INSERT INTO messages.report (bucket, message_id, service_id, reported_at)
SELECT m.bucket, m.id, m.service_id, m.created_at FROM messages.message AS m
WHERE m.status = 'PROCESSED' AND m.id LIKE '%777'
"""
FAILED = """
UPDATE messages.message SET status = 'FAILED' WHERE status = 'PROCESSED' AND id LIKE '%BBB'
"""
AUDIT = """
INSERT INTO operations.audit (bucket, id, at, actor, action, subject, detail)
SELECT 0, t.prefix || lpad(upper(to_hex(t.number)), 16, '0'), t.at, 'operator:x', 'service.edit',
    'subject', '{}'
FROM moment_of AS t
"""


@dataclass(frozen=True)
class _Made:
    institution: str
    other: str
    service: str
    cookie: str
    citizen: str


def run(made: Ground) -> None:
    there = asyncio.run(_fill(made))
    with server(made) as (port, _):
        clerk = _Clerk(port, there)
        for what, path in clerk.lists():
            _measure(made, port, there, what, path)


def _measure(made: Ground, port: int, there: _Made, what: str, path: str) -> None:
    page = [("GET", path, there.cookie, "")]
    empty = [("GET", "/console", there.cookie, "")]
    load(port, page, 0.3, 1)  # warm
    p50, p99, top = [], [], []
    for _ in range(ROUNDS):
        first, ours = load(port, empty, 0.5, 1), load(port, page, SECONDS, 1)
        if set(ours["codes"]) != {"200"}:
            raise RuntimeError(f"{what}: {ours['codes']}")
        p50.append(ours["p50_ms"])
        p99.append(ours["p99_ms"])
        top.append(first["p50_ms"])
    console.print(f"  {what}: {median(p50):.0f} ms, p99 {median(p99):.0f}")
    made.lines.append(
        Line(
            what,
            f"{median(p50):.0f} ms, p99 {median(p99):.0f} ms",
            f"{median(top):.0f} ms, the first page",
            f"{median(top) / median(p50):.2f}",
            f"p99 ≤ {BAR_MS} ms",
        )
    )


@dataclass(frozen=True)
class _Clerk:
    """Finds the addresses of lists, as somebody at a browser does."""

    port: int
    there: _Made

    def lists(self) -> Iterator[tuple[str, str]]:
        """What each list is, and its address."""
        at = f"/console/institutions/{self.there.institution}"
        yield "overview", at
        yield "services", f"{at}/services"
        yield "services by name", f"{at}/services?q=Servizio+77"
        yield "services, a later page", self.later(f"{at}/services", 20)
        big = f"{at}/messages?service={self.there.service}"
        yield "messages of a service", big
        yield "messages, a later page", self.later(big, 5)
        for what, fields in (
            ("messages to one citizen", {"fiscal_code": self.there.citizen}),
            ("messages by reference", {"reference": "pratica-4000000"}),
            ("messages by words of the subject", {"words": "pratica 4999"}),
            ("messages by words that are nowhere", {"words": "introvabile"}),
        ):
            yield what, self.search(big, fields)
        day = clock.day_in_rome(clock.now())
        dates = {"since": str(day - timedelta(days=90)), "until": str(day - timedelta(days=60))}
        yield "messages by date", self.search(big, dates)
        other = f"/console/institutions/{self.there.other}"
        yield f"messages of {_FEWER} services", f"{other}/messages"
        yield f"messages of {_FEWER} services, a later page", self.later(f"{other}/messages", 5)
        for what, words in (("words of the subject", "4999"), ("words that are nowhere", "mai")):
            address = self.search(f"{other}/messages", {"words": words})
            yield f"messages of {_FEWER} services by {what}", address
        yield f"overview, {_FEWER} services", other
        yield f"figures of {_FEWER} services", f"{other}/figures"
        yield f"“not for me” reports, {_FEWER} services", f"{other}/reports"
        yield "“not for me” reports", f"{at}/reports?service={self.there.service}"
        yield "figures", f"{at}/figures?service={self.there.service}"
        for name in ("people", "keys", "configurations", "webhooks", "clients"):
            yield name, f"{at}/{name}"
        institution = f"/institutions/{self.there.institution}"
        for name in (
            *("", "/reviews", "/institutions", institution, f"{institution}/services", "/held"),
            *("/held/reported", "/failed", "/failed/webhooks", "/failed/payments"),
            *("/failed/requests", "/queues", "/operators", "/citizens", "/audit"),
        ):
            what = name.replace(self.there.institution, "…").strip("/") or "overview"
            yield f"operators: {what}", f"/console/operate{name}"

    def later(self, path: str, pages: int) -> str:
        """So many pages further on, by the links."""
        for _ in range(pages):
            found = re.search(r'<a href="([^"]+)" rel="next"', self._open(path)[1])
            if not found:
                raise RuntimeError(f"{path} has no next page")
            path = found[1].replace("&amp;", "&")
        return path

    def search(self, path: str, fields: dict[str, str]) -> str:
        """The address that the form of a list leads to."""
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', self._open(path)[1])
        if not token:
            raise RuntimeError(f"{path} has no form")
        body = urllib.parse.urlencode({"csrf": token[1], **fields}).encode()
        address, page = self._open(path, body)
        if "q=" not in address or 'name="words"' not in page:
            raise RuntimeError(f"{path} was not searched")
        return urllib.parse.urlsplit(address)._replace(scheme="", netloc="").geturl()

    def _open(self, path: str, body: bytes | None = None) -> tuple[str, str]:
        name, _, value = self.there.cookie.partition(": ")
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", body, {name: value, "Accept-Language": "en"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.url, answer.read().decode()


async def _fill(made: Ground) -> _Made:
    pool = await Pool.open(made.url, 1, statement_seconds=3600)
    limits = Limits(timedelta(hours=12), timedelta(hours=12))
    with console.status(f"Making {SERVICES:,} services …"):
        async with pool.transaction() as conn:
            institution = await create_institution(
                conn, "bench", _FISCAL_CODE, "Comune grande", "a@example.org", tuple(Permission)
            )
            await add_services(conn, institution, None)
            other = await create_institution(
                conn, "bench", _OTHER, "Comune medio", "b@example.org", tuple(Permission)
            )
            await add_services(conn, other, None, _FEWER)
            await put_member(conn, "bench", other, _LOGIN, "Clerk", "a@b.it", "admin")
            await put_member(conn, "bench", institution, _LOGIN, "Clerk", "a@b.it", "admin")
            await operators.add(conn, "bench", _LOGIN)
            token = await open_session(conn, _LOGIN, "Clerk", "a@b.it", limits)
    async with pool.connection() as conn:
        services = await _messages(made, conn, institution, other)
        with console.status("Figures, reports, audit log …"):
            today = clock.day_in_rome(clock.now())
            await conn.raw.execute(FIGURES, today, SERVICES)
            for statement in (REPORTS, FAILED, AUDIT):
                await conn.raw.execute(statement)
            await conn.script("VACUUM ANALYZE")
            await conn.script("CHECKPOINT")
    await pool.close()
    return _Made(institution, other, services[0], f"Cookie: messo-staff={token}", made.citizens[8])


async def _messages(made: Ground, conn: Connection, institution: str, other: str) -> list[str]:
    raw = conn.raw
    for statement in (SENDER, TABLES):
        await conn.script(statement)
    rows = await raw.fetch(
        "SELECT id FROM services.service WHERE institution_id = ANY($1::text[]) "
        "ORDER BY institution_id = $2, id",
        [institution, other],
        other,
    )
    services = [str(row["id"]) for row in rows]
    begin = clock.now() - timedelta(days=SPAN_DAYS)
    steps = MESSAGES // STEP + 1
    moments = [begin + timedelta(days=SPAN_DAYS) * (step / steps) for step in range(steps)]
    await raw.copy_records_to_table("service_of", records=enumerate(services))
    await raw.copy_records_to_table("citizen_of", records=enumerate(made.citizens))
    await raw.copy_records_to_table(
        "moment_of",
        records=[(step, lowest_id(at)[:10], at) for step, at in enumerate(moments)],
    )
    await conn.script("ANALYZE service_of; ANALYZE citizen_of; ANALYZE moment_of")
    citizens, there = len(made.citizens), SERVICES
    for start in track(range(0, MESSAGES, CHUNK), f"{MESSAGES:,} messages", console=console):
        stop = min(start + CHUNK, MESSAGES) - 1
        await raw.execute(FILL, start, stop, STEP, citizens, there)
    # What is looked at whole is recent.
    await raw.execute(CONTENTS, lowest_id(moments[-min(steps, 100)]))
    return services
