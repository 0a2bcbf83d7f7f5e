"""What every benchmark stands on: a PostgreSQL of its own, a filled database, processes, loads."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from messo.base import db, log, migrate, postgres
from messo.base.crypto import Secrets, new_secret
from messo.base.db import Pool
from messo.base.ports import free_port
from messo.base.postgres import EmbeddedPostgres
from messo.recipients.preferences import Preference, put_preferences
from messo.recipients.profile import Profile, count_enrolled, create_profiles
from messo.sandbox.fiscal_codes import many
from messo.services import keys
from messo.services.permissions import Permission
from messo.services.services import NewService, create_institution, create_service

CITIZENS = 100_000
CHOOSY = 10  # every tenth has made choices, a quarter of those against a service
SENDERS = 20
ADDRESSED = 20_000  # citizens that the load writes to

console = Console()


@dataclass
class Line:
    """One row of the table: what was measured, its ceiling in the same run, and the ratio."""

    what: str
    measured: str
    ceiling: str = ""
    ratio: str = ""
    bar: str = ""


@dataclass
class Ground:
    """The filled database and what was made in it."""

    url: str
    secrets: str
    citizens: list[str]
    senders: list[tuple[str, str]]  # service id, key
    lines: list[Line] = field(default_factory=list)

    def environment(self, port: int) -> dict[str, str]:
        return {
            **os.environ,
            "MESSO_DATABASE_URL": self.url,
            "MESSO_SECRETS": self.secrets,
            "MESSO_SANDBOX": "true",
            "MESSO_PORT": str(port),
            "MESSO_OPS_PORT": str(free_port() // 2 * 2 or 8481),
            "MESSO_SANDBOX_MAIL_PORT": str(free_port()),
            "MESSO_RATE_LIMIT": "1000000",
            "MESSO_RATE_BURST": "1000000",
            # Counted and written, never refused: what is measured is the cost of the guard.
            "MESSO_GUARD_RECIPIENTS": "1000000000",
        }


@contextlib.contextmanager
def ground() -> Iterator[Ground]:
    """Make it, hand it out, take it down."""
    log.configure("error", "bench")
    postgres.SETTINGS["track_commit_timestamp"] = "on"  # when a message became visible
    with tempfile.TemporaryDirectory(prefix="messo-bench-", ignore_cleanup_errors=True) as folder:
        database = EmbeddedPostgres(Path(folder), port=0)
        url = database.start()
        try:
            with console.status(f"Enrolling {CITIZENS:,} citizens …"):
                made = asyncio.run(_fill(url))
            yield made
        finally:
            database.stop()
            for home in database.homes:
                shutil.rmtree(home / database.digest, ignore_errors=True)


async def _fill(url: str) -> Ground:
    conn = await db.connect(url)
    await migrate.migrate(conn, 1, lambda _: None)
    await conn.script("UPDATE base.database SET sandbox = true")
    await conn.close()
    text = new_secret()
    secrets = Secrets.parse(text)
    pool = await Pool.open(url, 2)
    citizens = many(CITIZENS)
    async with pool.transaction() as conn:
        senders = [await _sender(conn, secrets, number) for number in range(SENDERS)]
        for start in range(0, CITIZENS, 10_000):
            batch = citizens[start : start + 10_000]
            await create_profiles(conn, [_profile(code) for code in batch])
        chosen = citizens[::CHOOSY]
        choices = [
            Preference(code, senders[i % SENDERS][0], 0, is_inbox_enabled=i % 4 != 0)
            for i, code in enumerate(chosen)
        ]
        await put_preferences(conn, choices)
        await count_enrolled(conn)
    async with pool.connection() as conn:
        await conn.script("VACUUM ANALYZE")
    await pool.close()
    return Ground(url, text, citizens, senders)


def _profile(code: str) -> Profile:
    return Profile(
        code, mode="AUTO", settings_version=0, is_inbox_enabled=True, is_webhook_enabled=True
    )


async def _sender(conn: db.Connection, secrets: Secrets, number: int) -> tuple[str, str]:
    institution = await create_institution(
        conn, "bench", f"{number:011d}", f"Comune {number}", "a@example.org", tuple(Permission)
    )
    service = await create_service(
        conn, "bench", institution, NewService(f"Servizio {number}"), "AAAAAA00A00A000A"
    )
    pair = await keys.create_pair(conn, secrets, "bench", institution, service)
    return service, pair["primary"]


@contextlib.contextmanager
def server(made: Ground, mode: str = "full") -> Iterator[tuple[int, int]]:
    """A server process; its port and process id. `mode`: see bench/server.py."""
    port = free_port()
    command = [sys.executable, "-m", "bench.server", mode]
    with _process(command, made.environment(port)) as child:
        _wait(f"http://127.0.0.1:{port}/health/ready", child)
        yield port, child.pid


@contextlib.contextmanager
def worker(made: Ground) -> Iterator[int]:
    """A worker process; its process id."""
    environment = made.environment(free_port())
    with _process([sys.executable, "-m", "messo", "work"], environment) as child:
        _wait(f"http://127.0.0.1:{int(environment['MESSO_OPS_PORT']) + 1}/health", child)
        yield child.pid


@contextlib.contextmanager
def _process(
    command: list[str], environment: dict[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    child = subprocess.Popen(command, env=environment)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(60)
        except subprocess.TimeoutExpired:
            child.kill()


def _wait(url: str, child: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise RuntimeError(f"{child.args!r} stopped at once")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{url} was not ready in time")


def load(
    port: int,
    requests: list[tuple[str, str, str, str]],
    seconds: float,
    connections: int = 64,
    rate: float | None = None,
) -> dict[str, Any]:
    """Run the load in a process of its own; what it reports.

    `requests`: method, path, one header line, body.
    """
    spec = {
        "port": port,
        "requests": requests,
        "seconds": seconds,
        "connections": connections,
        "rate": rate,
    }
    told = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(spec),
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(told.stdout)
    return answer


def submits(made: Ground, *, personal: bool = True) -> list[tuple[str, str, str, str]]:
    """One prepared submit of about 1 kB for each of many citizens, spread over the senders.

    `personal`: each text has words of its own, as a message with a name in it has.
    """
    requests = []
    for i, code in enumerate(made.citizens[:ADDRESSED]):
        word = _word(i) if personal else "cittadino"
        body = {
            "fiscal_code": code,
            "content": {
                "subject": f"La tua pratica numero {i}",
                "markdown": f"Ciao {word}, la tua pratica è pronta dal 12 gennaio. "
                + "Puoi ritirarla allo sportello quando vuoi, con un documento. " * 13,
            },
        }
        key = key_line(made.senders[i % SENDERS][1])
        text = json.dumps(body, ensure_ascii=False)
        requests.append(("POST", "/api/v1/messages", key, text))
    return requests


def key_line(key: str) -> str:
    """The header line of a service's requests."""
    return f"Ocp-Apim-Subscription-Key: {key}"


def _word(number: int) -> str:
    """A word without digits for each number."""
    return "".join("bcdfghlmnp"[int(digit)] for digit in f"{number:06d}")


def median(values: list[float]) -> float:
    return statistics.median(values)


def resident_mb(pid: int) -> float:
    """Resident memory of a process, MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0
