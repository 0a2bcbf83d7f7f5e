"""Accept and process at once on the same two cores; then accept to inbox at half that rate."""

import asyncio
import threading
import time

from bench.ground import Ground, Line, console, load, server, submits, worker
from messo.base import db

SECONDS = 20


def run(made: Ground) -> None:
    requests = submits(made)
    with worker(made), server(made) as (port, _):
        load(port, requests, 2)
        asyncio.run(_drain(made))
        backlog: list[int] = []
        stop = threading.Event()
        watcher = threading.Thread(target=lambda: asyncio.run(_watch(made, backlog, stop)))
        watcher.start()
        result = load(port, requests, SECONDS)
        stop.set()
        watcher.join()
        began = time.monotonic()
        asyncio.run(_drain(made))
        drained = time.monotonic() - began
        sustained = result["per_second"] * SECONDS / (SECONDS + drained)
        console.print(f"  together: {result}, backlog {backlog}, drained in {drained:.1f} s")
        middle = len(backlog) // 2
        growing = sum(backlog[middle:]) / max(1, len(backlog[middle:])) > 2000 + 2 * (
            sum(backlog[:middle]) / max(1, middle)
        )
        made.lines.append(
            Line(
                "accept and process together",
                f"{sustained:,.0f}/s, largest backlog {max(backlog):,}"
                + (", growing" if growing else ", not growing"),
                bar="≥ 4,000/s, no growing backlog",
            )
        )
        rate = sustained / 2
        since = asyncio.run(_now(made))
        open_loop = load(port, requests, SECONDS, connections=128, rate=rate)
        asyncio.run(_drain(made))
        p50, p99, p999, worst = asyncio.run(_latencies(made, since))
        console.print(f"  half rate: {open_loop}; accept to inbox p50 {p50:.0f} p99 {p99:.0f} ms")
        made.lines.append(
            Line(
                f"accept to inbox at {rate:,.0f}/s",
                f"p50 {p50:.0f}, p99 {p99:.0f}, p99.9 {p999:.0f}, worst {worst:.0f} ms",
                bar="p99 ≤ 250 ms, 99.9 % ≤ 1 s",
            )
        )


async def _drain(made: Ground) -> None:
    conn = await db.connect(made.url)
    while await conn.raw.fetchval("SELECT EXISTS (SELECT FROM work.item)"):
        await asyncio.sleep(0.02)
    await conn.close()


async def _watch(made: Ground, backlog: list[int], stop: threading.Event) -> None:
    conn = await db.connect(made.url)
    while not stop.is_set():
        backlog.append(await conn.raw.fetchval("SELECT count(*) FROM work.item"))
        await asyncio.sleep(1)
    await conn.close()


async def _now(made: Ground) -> object:
    conn = await db.connect(made.url)
    moment = await conn.raw.fetchval("SELECT clock_timestamp()")
    await conn.close()
    return moment


async def _latencies(made: Ground, since: object) -> tuple[float, float, float, float]:
    """Milliseconds from acceptance to the commit that put the message into the inbox."""
    conn = await db.connect(made.url)
    row = await conn.raw.fetchrow(
        "SELECT percentile_disc(ARRAY[0.5, 0.99, 0.999, 1]) WITHIN GROUP (ORDER BY 1000 * extract("
        "epoch FROM pg_xact_commit_timestamp(xmin) - created_at))::float8[] AS ms "
        "FROM messages.message WHERE created_at > $1",
        since,
    )
    await conn.close()
    p50, p99, p999, worst = row["ms"]
    return p50, p99, p999, worst
