"""The inbox of a citizen with 1,000 messages among 5 million, beside one with 25 messages."""

import asyncio
import os
from typing import Any
from urllib.parse import quote

from bench.ground import Ground, Line, console, load, median, server, worker
from bench.letters import SEARCHES
from bench.mailboxes import Mailbox, fill
from messo.base import db

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "5000000"))
ROUNDS = 3
SECONDS = 3
PAGE, SEARCH = 20, 100  # p99, ms


def run(made: Ground) -> None:
    large, small = asyncio.run(fill(made, MESSAGES))
    with worker(made), server(made) as (port, _):
        older = {box: asyncio.run(_middle(made, box)) for box in (large, small)}
        for box in (large, small):
            _ask(port, box, ["/"], 1)  # warm
            first = _ask(port, box, [f"/?q={SEARCHES[0]}"], 0.01)
            console.print(f"  first search of {box.size:,} messages: {first['p99_ms']} ms")
            made.lines.append(
                Line(f"first search, {box.size:,} messages", f"{first['p99_ms']:.0f} ms")
            )
            asyncio.run(_indexed(made, box))
        for what, paths, bar in _pages():
            _compare(made, port, what, paths, bar, large, small, older)
        rates = [_ask(port, large, ["/"], SECONDS, connections=8) for _ in range(ROUNDS)]
        tops = [_ask(port, small, ["/"], SECONDS, connections=8) for _ in range(ROUNDS)]
        ours, top = (median([one["per_second"] for one in told]) for told in (rates, tops))
        made.lines.append(
            Line(
                "inbox page, 8 connections",
                f"{ours:,.0f}/s, p99 {median([one['p99_ms'] for one in rates]):.1f} ms",
                f"{top:,.0f}/s with {small.size} messages",
                f"{ours / top:.2f}",
            )
        )


def _pages() -> list[tuple[str, list[str], int]]:
    """What is asked for, the paths (`{older}`: an id in the middle), and the bar in ms."""
    return [
        ("inbox page", ["/"], PAGE),
        ("archived messages", ["/?archived=1"], PAGE),
        ("an older page", ["/?before={older}"], PAGE),
        ("unread only", ["/?unread=1"], PAGE),
        ("payments only", ["/?kind=payment"], PAGE),
        (f"search, {len(SEARCHES)} queries", [f"/?q={quote(one)}" for one in SEARCHES], SEARCH),
        (
            "API, 100 messages enriched",
            ["/api/communication/v1/messages?page_size=100&enrich_result_data=true"],
            PAGE,
        ),
    ]


def _compare(
    made: Ground,
    port: int,
    what: str,
    paths: list[str],
    bar: int,
    large: Mailbox,
    small: Mailbox,
    older: dict[Mailbox, str],
) -> None:
    ours: list[dict[str, Any]] = []
    tops: list[dict[str, Any]] = []
    for _ in range(ROUNDS):
        for box, told in ((large, ours), (small, tops)):
            asked = [path.replace("{older}", older[box]) for path in paths]
            told.append(_ask(port, box, asked, SECONDS))
        console.print(f"  {what}: {ours[-1]} beside {tops[-1]}")
    p50, p99, top50, top99 = (
        median([one[name] for one in told])
        for told in (ours, tops)
        for name in ("p50_ms", "p99_ms")
    )
    if p99 > bar:
        console.print(f"[red]{what}: p99 {p99} ms, the bar is {bar} ms[/red]")
    made.lines.append(
        Line(
            f"{what}, {large.size:,} of {MESSAGES:,} messages",
            f"p50 {p50:.1f}, p99 {p99:.1f} ms",
            f"p50 {top50:.1f}, p99 {top99:.1f} ms with {small.size} messages",
            f"{p50 / top50:.2f}",
            f"p99 ≤ {bar} ms",
        )
    )


def _ask(
    port: int, box: Mailbox, paths: list[str], seconds: float, connections: int = 1
) -> dict[str, Any]:
    """One connection: nobody waits for anybody, so what is measured is the server's own time."""
    requests = [
        ("GET", path, box.bearer if path.startswith("/api") else box.cookie, "") for path in paths
    ]
    told = load(port, requests, seconds, connections)
    if set(told["codes"]) != {"200"}:
        raise RuntimeError(f"{paths[0]}: {told['codes']}")
    return told


async def _middle(made: Ground, box: Mailbox) -> str:
    """The id in the middle of what this citizen has not archived."""
    conn = await db.connect(made.url)
    ids = await conn.raw.fetch(
        "SELECT id FROM messages.message WHERE bucket = 0 AND fiscal_code = $1 AND NOT is_archived "
        "ORDER BY id",
        box.fiscal_code,
    )
    await conn.close()
    return str(ids[len(ids) // 2]["id"])


async def _indexed(made: Ground, box: Mailbox) -> None:
    """Wait until the worker has indexed what the first search left."""
    conn = await db.connect(made.url)
    while box.size > await conn.raw.fetchval(
        "SELECT count(*) FROM messages.words WHERE bucket = 0 AND fiscal_code = $1", box.fiscal_code
    ):
        await asyncio.sleep(0.05)
    await conn.close()
