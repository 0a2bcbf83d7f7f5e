"""An installation with real processes: its own PostgreSQL, `messo serve`, `messo work`, commands."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx

from messo.base import db, migrate
from messo.base.crypto import Secrets, new_secret
from messo.base.db import Connection, Pool, Row
from messo.base.ports import is_port_taken
from messo.base.postgres import EmbeddedPostgres
from messo.base.processes import spawn
from messo.sandbox.world import queries as sandbox
from tests import world
from tests.world import World

T = TypeVar("T")

CHECKOUT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds; a machine that is busy with other tests is slow, not broken


def wait_until(
    holds: Callable[[], object], awaited: str, seconds: float = PATIENCE, every: float = 0.02
) -> None:
    """Wait for a condition, and say in the failure what was awaited."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain until {awaited}")
        time.sleep(every)


def free_ports(count: int = 1) -> int:
    """The first of `count` free neighbouring ports, outside the range the kernel hands out."""
    chance = random.SystemRandom()
    for _ in range(1000):
        first = chance.randrange(20_000, 32_000)
        if not any(is_port_taken(port) for port in range(first, first + count)):
            return first
    raise AssertionError("no free ports")


def bare_environment(**more: str) -> dict[str, str]:
    """What a process needs and nothing of ours: no MESSO_ variable of whoever runs the tests."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | more


@dataclass
class Process:
    """A `messo` process; standard output and error go to `log`."""

    arguments: tuple[str, ...]
    environment: dict[str, str]
    log: Path
    popen: "subprocess.Popen[bytes] | None" = None
    program: str = field(default="messo", kw_only=True)

    def start(self) -> "Process":
        assert self.popen is None or self.popen.poll() is not None, "it runs already"
        with self.log.open("ab") as log:
            # It gets SIGKILL if pytest dies.
            self.popen = spawn(
                [sys.executable, "-m", self.program, *self.arguments],
                None,
                (subprocess.DEVNULL, log.fileno()),
                farewell=signal.SIGKILL,
                environment=self.environment,
            )
        return self

    @property
    def pid(self) -> int:
        assert self.popen is not None
        return self.popen.pid

    @property
    def runs(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def signal(self, number: signal.Signals) -> None:
        assert self.popen is not None
        self.popen.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit status."""
        assert self.popen is not None
        return self.popen.wait(seconds)

    def kill(self) -> None:
        if self.runs:
            self.signal(signal.SIGKILL)
            self.wait()

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def must_run(self) -> None:
        assert self.runs, f"{self.arguments} has stopped:\n{self.said()[-3000:]}"


@dataclass
class Server(Process):
    """`messo serve` on its own ports."""

    port: int = 0
    ops_port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ops_url(self) -> str:
        return f"http://127.0.0.1:{self.ops_port}"

    def is_ready(self) -> bool:
        self.must_run()
        return status_of(f"{self.url}/health/ready") == 200

    def wait_ready(self) -> "Server":
        wait_until(self.is_ready, f"{self.url}/health/ready says 200")
        return self


@dataclass
class Worker(Process):
    """`messo work`; its operations port is the one after MESSO_OPS_PORT."""

    ops_port: int = 0

    @property
    def ops_url(self) -> str:
        return f"http://127.0.0.1:{self.ops_port}"

    def is_ready(self) -> bool:
        self.must_run()
        return status_of(f"{self.ops_url}/health") == 200

    def wait_ready(self) -> "Worker":
        wait_until(self.is_ready, f"{self.ops_url}/health says 200")
        return self


def status_of(url: str) -> int:
    """The status that is answered there, 0 when nobody answers."""
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.HTTPError:
        return 0


@dataclass
class Site:
    """The installation: database, secrets, the cast of tests/world.py, and what was started."""

    folder: Path
    postgres: EmbeddedPostgres
    secret_text: str
    world: World
    started: list[Process] = field(default_factory=list)
    mail_port: int = field(default_factory=free_ports)

    @property
    def url(self) -> str:
        return self.postgres.url

    def environment(self, **more: str) -> dict[str, str]:
        """A sandbox's, because only a sandbox may be served without TLS in front."""
        return (
            bare_environment(
                MESSO_DATABASE_URL=self.url,
                MESSO_SECRETS=self.secret_text,
                MESSO_SANDBOX="true",
                MESSO_SANDBOX_MAIL_PORT=str(self.mail_port),
                MESSO_RATE_LIMIT="1000000",
                MESSO_RATE_BURST="1000000",
                MESSO_DATA=str(self.folder),
            )
            | more
        )

    def serve(self, name: str = "serve", **more: str) -> Server:
        """A server that is ready."""
        port = free_ports(2)
        environment = self.environment(
            MESSO_PORT=str(port),
            MESSO_OPS_PORT=str(port + 1),
            MESSO_PUBLIC_URL=f"http://127.0.0.1:{port}",
            **more,
        )
        log = self.folder / "log" / f"{name}.log"
        server = Server(("serve",), environment, log, port=port, ops_port=port + 1)
        self.started.append(server)
        server.start()
        return server.wait_ready()

    def work(
        self, name: str = "work", *, wait: bool = True, program: str = "messo", **more: str
    ) -> Worker:
        """A worker; unless told otherwise it is ready."""
        port = free_ports(2)
        environment = self.environment(MESSO_OPS_PORT=str(port), **more)
        log = self.folder / "log" / f"{name}.log"
        worker = Worker(("work",), environment, log, ops_port=port + 1, program=program)
        self.started.append(worker)
        worker.start()
        return worker.wait_ready() if wait else worker

    def run(self, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """One command, as typed by an operator in a wide terminal."""
        return run(*arguments, environment=self.environment(COLUMNS="250", **more))

    def rows(self, sql: str, *values: Any) -> Sequence[Row]:
        return in_database(self.url, lambda conn: conn.raw.fetch(sql, *values))

    def value(self, sql: str, *values: Any) -> Any:
        return in_database(self.url, lambda conn: conn.raw.fetchval(sql, *values))

    def execute(self, sql: str) -> None:
        in_database(self.url, lambda conn: conn.raw.execute(sql))

    def do(self, function: Callable[[Connection], Awaitable[T]]) -> T:
        """One of the rooms' functions, in a transaction."""
        return in_transaction(self.url, function)

    @contextlib.contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Nobody else reads or writes that table meanwhile: what wants to has to wait."""
        # In a thread of its own: the caller may be in an event loop.
        runner = asyncio.Runner()
        with ThreadPoolExecutor(1) as thread:

            def do(work: Coroutine[Any, Any, T]) -> T:
                return thread.submit(runner.run, work).result()

            conn = do(db.connect(self.url))
            try:
                do(conn.script(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
                yield
            finally:
                do(conn.close())
                thread.submit(runner.close).result()

    def waiting_for_locks(self) -> int:
        """How many connections wait for a lock."""
        sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return int(self.value(sql))

    def database(self, name: str) -> str:
        """The address of another, empty database of the same PostgreSQL."""
        self.execute(f'CREATE DATABASE "{name}"')
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def client(self, server: Server) -> httpx.Client:
        return httpx.Client(base_url=server.url, timeout=60)

    def wait_decided(self) -> None:
        """Until nothing is left to decide."""
        undecided = (
            "SELECT (SELECT count(*) FROM work.item) + (SELECT count(*) FROM messages.message "
            "WHERE status IN ('ACCEPTED', 'THROTTLED'))"
        )
        wait_until(lambda: self.value(undecided) == 0, "the queue is empty", seconds=120, every=0.1)

    def close(self) -> None:
        for process in self.started:
            process.kill()
        self.postgres.stop()
        forget_data(self.postgres)


def run(
    *arguments: str, environment: dict[str, str], cwd: Path | None = None, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """`messo` with these arguments, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "messo", *arguments],
        env=environment,
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def must_refuse(told: "subprocess.CompletedProcess[str]", *words: str) -> str:
    """A mistake is one line on standard error, without traceback, and exit code 1."""
    assert told.returncode == 1, (told.returncode, told.stdout, told.stderr)
    lines = told.stderr.strip().splitlines()
    assert len(lines) == 1, told.stderr
    assert lines[0].startswith("messo: ")
    for word in words:
        assert word in lines[0]
    return lines[0]


def in_database(url: str, function: Callable[[Connection], Awaitable[T]]) -> T:
    async def call() -> T:
        conn = await db.connect(url)
        try:
            return await function(conn)
        finally:
            await conn.close()

    return asyncio.run(call())


def in_transaction(url: str, function: Callable[[Connection], Awaitable[T]]) -> T:
    async def call() -> T:
        pool = await Pool.open(url, 1)
        try:
            async with pool.transaction() as conn:
                return await function(conn)
        finally:
            await pool.close()

    return asyncio.run(call())


def migrated(url: str) -> None:
    in_database(url, lambda conn: migrate.migrate(conn, 1, lambda _: None))


def forget_data(postgres: EmbeddedPostgres) -> None:
    """Data that root could not keep in the test's own folder would stay behind."""
    for home in postgres.homes:
        shutil.rmtree(home / postgres.digest, ignore_errors=True)


def open_site(folder: Path) -> Site:
    """A migrated database with the cast, marked as a sandbox. Nothing runs on it yet."""
    (folder / "log").mkdir(parents=True)
    postgres = EmbeddedPostgres(folder, port=0)
    postgres.start()
    try:
        migrated(postgres.url)
        text = new_secret()

        async def fill() -> World:
            pool = await Pool.open(postgres.url, 2)
            try:
                async with pool.transaction() as conn:
                    await conn.run(sandbox.mark_sandbox)
                return await world.build(pool, Secrets.parse(text))
            finally:
                await pool.close()

        return Site(folder, postgres, text, asyncio.run(fill()))
    except BaseException:
        postgres.stop()
        forget_data(postgres)
        raise


@dataclass(frozen=True)
class Seen:
    """One line of the process table."""

    pid: int
    parent: int
    is_zombie: bool


def process_table() -> list[Seen]:
    table = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name in parentheses may hold spaces.
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            table.append(Seen(int(stat.parent.name), int(parent), state == "Z"))
    return table


def descendants(pid: int) -> list[int]:
    """The children of a process, their children, and so on."""
    table = process_table()
    found = [pid]
    for parent in found:
        found += [seen.pid for seen in table if seen.parent == parent]
    return found[1:]


def alive(pids: Sequence[int]) -> list[int]:
    """Those that still run; a zombie that nobody waits for does not."""
    running = {seen.pid for seen in process_table() if not seen.is_zombie}
    return [pid for pid in pids if pid in running]


def tree_mb(pid: int) -> float:
    """Resident memory of a process and its descendants, MB."""
    pages = 0
    for one in (pid, *descendants(pid)):
        with contextlib.suppress(OSError):  # it has just ended
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
