"""GET message and profile check, against the same application with its database left out."""

import asyncio
import json

from bench.ground import (
    SENDERS,
    Ground,
    Line,
    console,
    key_line,
    load,
    median,
    server,
    submits,
    worker,
)
from messo.base import db

ROUNDS = 3
SECONDS = 3


def run(made: Ground) -> None:
    with worker(made), server(made) as (full, _), server(made, "no-database") as (ceiling, _):
        load(full, submits(made), 4)
        gets = asyncio.run(_gets(made))
        checks = [
            (
                "POST",
                "/api/v1/profiles",
                key_line(made.senders[i % SENDERS][1]),
                json.dumps({"fiscal_code": code}),
            )
            for i, code in enumerate(made.citizens[:20_000])
        ]
        for what, requests in (("GET message", gets), ("profile check", checks)):
            ratios, rates, ceilings, late = [], [], [], []
            load(ceiling, requests, SECONDS)  # warm
            for _ in range(ROUNDS):
                top = load(ceiling, requests, SECONDS)
                ours = load(full, requests, SECONDS)
                console.print(f"  {what}: {ours} of {top}")
                if set(ours["codes"]) != {"200"}:
                    raise RuntimeError(f"{what}: {ours['codes']}")
                ratios.append(ours["per_second"] / top["per_second"])
                rates.append(ours["per_second"])
                ceilings.append(top["per_second"])
                late.append(ours["p99_ms"])
            made.lines.append(
                Line(
                    f"{what}, 64 connections",
                    f"{median(rates):,.0f}/s, p99 {median(late):.1f} ms",
                    f"{median(ceilings):,.0f}/s without the database",
                    f"{median(ratios):.2f}",
                )
            )


async def _gets(made: Ground) -> list[tuple[str, str, str, str]]:
    keys = dict(made.senders)
    conn = await db.connect(made.url)
    rows = await conn.raw.fetch(
        "SELECT id, fiscal_code, service_id FROM messages.message "
        "WHERE status = 'PROCESSED' ORDER BY id LIMIT 5000"
    )
    await conn.close()
    return [
        (
            "GET",
            f"/api/v1/messages/{row['fiscal_code']}/{row['id']}",
            key_line(keys[row["service_id"]]),
            "",
        )
        for row in rows
    ]
