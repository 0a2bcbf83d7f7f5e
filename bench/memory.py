"""Resident memory of a server and a worker after a million messages."""

import asyncio
import os

from bench.ground import Ground, Line, console, load, resident_mb, server, submits, worker
from bench.together import _drain

MESSAGES = int(os.environ.get("MESSO_BENCH_MESSAGES", "1000000"))


def run(made: Ground) -> None:
    requests = submits(made)
    with worker(made) as worker_pid, server(made) as (port, server_pid):
        sent = 0
        while sent < MESSAGES:
            result = load(port, requests, 20)
            sent += result["codes"]["201"]
            console.print(
                f"  memory: {sent:,} messages, server {resident_mb(server_pid):.0f} MB, "
                f"worker {resident_mb(worker_pid):.0f} MB"
            )
        asyncio.run(_drain(made))
        made.lines.append(
            Line(
                f"memory after {sent:,} messages",
                f"server {resident_mb(server_pid):.0f} MB, worker {resident_mb(worker_pid):.0f} MB",
                bar="≤ 150 MB each",
            )
        )
