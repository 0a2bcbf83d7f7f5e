"""`messo up`: the whole platform with one command, stopped with Ctrl-C.

This process owns PostgreSQL and the two Messo processes as its children, starts again what dies,
and shows where to look.
"""

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.table import Table

from messo.base import crypto, migrate
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool, connect
from messo.base.folders import write_private
from messo.base.ports import is_port_taken
from messo.base.postgres import EmbeddedPostgres
from messo.base.processes import spawn
from messo.sandbox import letters, world
from messo.settings import RefusedError, Settings

_READY_SECONDS = 60
_STOPPING_SECONDS = 40
_RESTARTS = 5  # deaths within a minute before giving up
_MARKDOWN = (
    "Ciao! Questo è il tuo **primo messaggio** con Messo: è stato accettato, deciso e messo nella "
    "casella di una persona sola, la sua destinataria."
)

console = Console()


class Up:
    """Everything that runs, and how to stop it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.postgres: EmbeddedPostgres | None = None
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.deaths: list[float] = []
        self.environment: dict[str, str] = {}
        self.stopping = False

    def run(self) -> None:
        """Start, show, and stay until told to stop."""
        settings = self.settings
        settings.data.mkdir(parents=True, exist_ok=True)
        with _locked(settings.data):
            signal.signal(signal.SIGTERM, self._stop)
            signal.signal(signal.SIGINT, self._stop)
            try:
                self._start()
                self._watch()
            except KeyboardInterrupt:
                pass
            finally:
                self._end()

    def _stop(self, *_: object) -> None:
        self.stopping = True
        raise KeyboardInterrupt

    def _start(self) -> None:
        began = time.monotonic()
        # Left by a `messo up` that was killed: its children are still answering their last requests.
        patience = _STOPPING_SECONDS if (self.settings.data / "database.url").exists() else 0
        for port, name in self._ports():
            while is_port_taken(port) and time.monotonic() < began + patience:
                time.sleep(0.05)
            if is_port_taken(port):
                raise RefusedError(
                    f"port {port} is taken by another program: stop it, or set {name} to a free port"
                )
        secrets = _read_secrets(self.settings)
        url = self.settings.database_url or self._start_postgres()
        (self.settings.data / "log").mkdir(exist_ok=True)
        self.settings = replace(self.settings, database_url=url, secrets=secrets, sandbox=True)
        with console.status("Bringing the schema up to date …"):
            described = asyncio.run(_prepare(self.settings, Secrets.parse(secrets)))
        path = self.settings.data / "sandbox.json"
        first = not path.exists()
        world.write(described, path)
        self.environment = {
            **os.environ,
            "MESSO_DATABASE_URL": url,
            "MESSO_SECRETS": secrets,
            "MESSO_SANDBOX": "true",
            "MESSO_PUBLIC_URL": self.settings.public_url,
        }
        for name in ("serve", "work"):
            self._launch(name)
        with console.status("Starting the server and the worker …"):
            self._wait_until_ready()
        if first:
            _send_letters(described, self.settings)
        _show(described, path, self.settings, time.monotonic() - began)

    def _ports(self) -> list[tuple[int, str]]:
        settings = self.settings
        return [
            (settings.port, "MESSO_PORT"),
            (settings.ops_port, "MESSO_OPS_PORT"),
            (settings.ops_port + 1, "MESSO_OPS_PORT"),
            (settings.sandbox_mail_port, "MESSO_SANDBOX_MAIL_PORT"),
        ]

    def _start_postgres(self) -> str:
        self.postgres = EmbeddedPostgres(self.settings.data, self.settings.database_port)
        with console.status("Starting PostgreSQL (the first time takes a few seconds) …"):
            url = self.postgres.start()
        _write_url(self.settings.data, url)
        return url

    def _take_address(self, url: str) -> None:
        """PostgreSQL may come back on another port: then the others start again with it."""
        if url != self.environment["MESSO_DATABASE_URL"]:
            self.environment["MESSO_DATABASE_URL"] = url
            _write_url(self.settings.data, url)
            for child in self.children.values():
                child.terminate()

    def _launch(self, name: str) -> None:
        log = (self.settings.data / "log" / f"{name}.log").open("ab")
        with log:
            self.children[name] = spawn(
                [sys.executable, "-m", "messo", name],
                None,
                (subprocess.DEVNULL, log.fileno()),
                farewell=signal.SIGTERM,
                environment=self.environment,
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        ready = f"http://{_reachable(self.settings.host)}:{self.settings.port}/health/ready"
        while time.monotonic() < deadline:
            for name, child in self.children.items():
                if child.poll() is not None:
                    raise RefusedError(
                        f"the {name} process stopped at once; its log ends with:\n"
                        + _tail(self.settings.data / "log" / f"{name}.log")
                    )
            try:
                with urllib.request.urlopen(ready, timeout=2):
                    return
            except OSError:
                time.sleep(0.05)
        raise RefusedError(f"the server was not ready within {_READY_SECONDS} seconds")

    def _watch(self) -> None:
        while True:
            time.sleep(0.5)
            if self.postgres and self.postgres.process and self.postgres.process.poll() is not None:
                self._count_death("PostgreSQL")
                self._take_address(self.postgres.start())
            for name, child in self.children.items():
                if child.poll() is not None:
                    self._count_death(f"the {name} process")
                    self._launch(name)

    def _count_death(self, what: str) -> None:
        now = time.monotonic()
        self.deaths = [then for then in self.deaths if now - then < 60] + [now]  # noqa: PLR2004
        if len(self.deaths) > _RESTARTS:
            raise RefusedError(
                f"{what} keeps stopping; look into {self.settings.data / 'log'} and start again"
            )
        console.print(f"[yellow]{what} has stopped; starting it again.[/yellow]")

    def _end(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave children
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self.stopping:
            console.print("Stopping: requests under way are answered first.")
        for child in self.children.values():
            if child.poll() is None:
                child.terminate()
        for child in self.children.values():
            try:
                child.wait(_STOPPING_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
        if self.postgres:
            self.postgres.stop()
            (self.settings.data / "database.url").unlink(missing_ok=True)


async def _prepare(settings: Settings, secrets: Secrets) -> dict[str, Any]:
    conn: Connection = await connect(settings.database_url)
    try:
        if await world.is_production(conn):
            raise RefusedError(
                "MESSO_DATABASE_URL names a production database: a sandbox needs its own"
            )
        await migrate.migrate(
            conn, settings.buckets, lambda name: console.print(f"[dim]migrated {name}[/dim]")
        )
    finally:
        await conn.close()
    pool = await Pool.open(settings.database_url, 2)
    try:
        return await world.build(pool, secrets, settings)
    finally:
        await pool.close()


def _locked(data: Path) -> IO[str]:
    """One `messo up` per data folder. The lock goes with the process, however it ends."""
    file = (data / "messo.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise RefusedError(
            f"another `messo up` (process {file.read().strip()}) uses {data}: "
            "stop it, or set MESSO_DATA to another folder"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _write_url(data: Path, url: str) -> None:
    """For `messo` commands given beside this one. It holds the password."""
    path = data / "database.url"
    path.unlink(missing_ok=True)
    write_private(path, url)


def _read_secrets(settings: Settings) -> str:
    """The installation's secrets: the setting, or a file made at the first start."""
    if settings.secrets:
        return settings.secrets
    path = settings.data / "secrets"
    if not path.exists():
        write_private(path, crypto.new_secret())
    return path.read_text().strip()


def _reachable(host: str) -> str:
    """An address that reaches a server bound to `host`."""
    known = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  compared, not bound
    return known.get(host, host)


def _tail(path: Path, lines: int = 12) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _show(described: dict[str, Any], path: Path, settings: Settings, seconds: float) -> None:
    base = f"http://{_reachable(settings.host)}:{settings.port}"
    key, recipient = described["service"]["key"], described["citizens"][0]["fiscal_code"]
    body = {
        "fiscal_code": recipient,
        "content": {"subject": "Il tuo primo messaggio", "markdown": _MARKDOWN},
    }
    console.print(f"\n[bold green]Messo is ready[/bold green] after {seconds:.1f} s.\n")
    # Plain: what people copy must not be wrapped or coloured.
    for what, where in (
        ("Inbox: log in as a test citizen", base),
        ("Console: operator, admin.pontelungo", f"{base}/console"),
        ("API and reference", f"{base}/docs"),
        ("Sandbox: keys, citizens, magic codes", path),
        ("Mails that were sent", f"{base}/sandbox/mail"),
        ("Notices on test devices", f"{base}/sandbox/push"),
        ("Payment node: pay, expire, be down", f"{base}/sandbox/payment-node"),
        ("A site to be signed on to", described["relying_party"] or "not registered"),
        ("Health and metrics", f"http://{settings.ops_host}:{settings.ops_port}/health"),
        ("Logs", settings.data / "log"),
        ("Sandbox key", key),
    ):
        print(f"{what:<38} {where}")  # noqa: T201
    console.print("\n[bold]Send a message[/bold] (copy, paste):\n")
    print(  # noqa: T201
        f"curl -i {base}/api/v1/messages \\\n"
        f"  -H 'Ocp-Apim-Subscription-Key: {key}' \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d '{json.dumps(body, ensure_ascii=False)}'\n"
    )
    try:
        _show_first_message(base, key, body)
    except OSError as error:
        console.print(f"[yellow]The first message was not sent: {error}[/yellow]")
    console.print("\n[dim]Ctrl-C stops everything. Your data stay.[/dim]")


def _send_letters(described: dict[str, Any], settings: Settings) -> None:
    """What the institutions of the sandbox have written before anybody looks."""
    base = f"http://{_reachable(settings.host)}:{settings.port}"
    services = {service["name"]: service for service in described["services"]}
    codes = {citizen["name"]: citizen["fiscal_code"] for citizen in described["citizens"]}
    try:
        for citizen, service, content in letters.letters(described["relying_party"]):
            sender = services[service]
            body = {"fiscal_code": codes[citizen], "content": content}
            if "third_party_data" in content:
                content["third_party_data"]["configuration_id"] = sender["configuration_id"]
                body["feature_level_type"] = "ADVANCED"  # attachments need it
            _call(f"{base}/api/v1/messages", sender["key"], body)
    except OSError as error:
        console.print(f"[yellow]The sandbox's messages were not sent: {error}[/yellow]")


def _show_first_message(base: str, key: str, body: dict[str, Any]) -> None:
    began = time.monotonic()
    sent = _call(f"{base}/api/v1/messages", key, body)
    accepted = time.monotonic()
    life: dict[str, Any] = {"status": "ACCEPTED"}
    while life["status"] in {"ACCEPTED", "THROTTLED"} and time.monotonic() < accepted + 10:
        time.sleep(0.005)
        life = _call(f"{base}/messo/v1/messages/{sent['id']}", key, None)
    seen = time.monotonic()
    console.print("[bold]The life of a first message[/bold]")
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("ms", justify="right")
    table.add_column("")
    table.add_row("accepted", f"{(accepted - began) * 1000:.0f}", f"201, id {sent['id']}")
    what = "in the citizen's inbox" if life["status"] == "PROCESSED" else ""
    table.add_row(life["status"].lower(), f"{(seen - began) * 1000:.0f}", what)
    console.print(table)


def _call(url: str, key: str, body: dict[str, Any] | None) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310  our own address
        url,
        None if body is None else json.dumps(body).encode(),
        {"Ocp-Apim-Subscription-Key": key, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
    return found
