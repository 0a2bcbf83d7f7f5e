"""What could be wrong with an installation, and how to mend it."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parseaddr
from pathlib import Path
from typing import Literal

from messo.base import clock, log, migrate
from messo.base.crypto import SecretError, Secrets
from messo.base.db import Connection, connect
from messo.base.migrate import SchemaError
from messo.base.sql import Queries

queries = Queries("messo.operations")

_OLDEST = 150000  # PostgreSQL 15
_DISK_FREE = 2 * 1024**3  # bytes
_CLOCK_SECONDS = 2.0


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, how it is, and what to do if it is not well."""

    state: Literal["ok", "warn", "bad"]
    what: str
    says: str


async def examine(
    database_url: str, data: Path, secrets: str, sender: str, contact: str
) -> list[Finding]:
    """Look at everything; never raises for what it finds.

    `sender` and `contact`: MESSO_MAIL_FROM and MESSO_CONTACT.
    """
    findings = [_secrets(data, secrets), _disk(data), _contact(sender, contact)]
    if not database_url:
        says = "set MESSO_DATABASE_URL, or start the embedded database with `messo up`"
        return [*findings, Finding("bad", "database", says)]
    try:
        conn = await connect(database_url, timeout_seconds=5)
    except Exception as error:  # noqa: BLE001  why is what the person wants to know
        says = f"cannot connect ({log.describe(error)}): is it running, is the address right?"
        return [*findings, Finding("bad", "database", says)]
    try:
        return [*findings, *await of_database(conn)]
    finally:
        await conn.close()


def _secrets(data: Path, secrets: str) -> Finding:
    path = data / "secrets"
    text = secrets or (path.read_text().strip() if path.exists() else "")
    try:
        keys = Secrets.parse(text).keys
    except SecretError as error:
        return Finding("bad", "secrets", str(error))
    return Finding("ok", "secrets", f"{len(keys)} listed, new values use {next(iter(keys))!r}")


def _contact(sender: str, contact: str) -> Finding:
    address = contact or parseaddr(sender)[1]
    if address.startswith("https:") or "." in address.rpartition("@")[2]:
        return Finding("ok", "contact", address)
    says = (
        "set MESSO_CONTACT to an address of yours: push services may refuse notices of a sender "
        "that they cannot reach"
    )
    return Finding("warn", "contact", says)


def _disk(data: Path) -> Finding:
    place = data if data.exists() else Path()
    free = shutil.disk_usage(place).free
    says = f"{free / 1024**3:.1f} GiB free in {place.resolve()}"
    if free < _DISK_FREE:
        return Finding("bad", "disk", says + ": make room, PostgreSQL stops when it is full")
    return Finding("ok", "disk", says)


async def of_database(conn: Connection) -> list[Finding]:
    """What can be said of the database that this connection is to."""
    version = int(await conn.value(queries.setting, name="server_version_num"))
    findings = [
        Finding("ok", "PostgreSQL", f"version {version // 10000}")
        if version >= _OLDEST
        else Finding("bad", "PostgreSQL", f"version {version // 10000}: 15 or newer is needed")
    ]
    for name, wanted, why in _SETTINGS:
        found = str(await conn.value(queries.setting, name=name))
        says = f"{found}"
        if found not in wanted:
            says = f"{found}, should be {' or '.join(wanted)}: {why}"
        findings.append(Finding("ok" if found in wanted else _severity(name), name, says))
    there: datetime = await conn.value(queries.server_time)
    apart = abs((there - clock.now()).total_seconds())
    if apart > _CLOCK_SECONDS:
        says = f"{apart:.1f} s apart from the database: run a time service (NTP) on both"
        findings.append(Finding("bad", "clock", says))
    else:
        findings.append(
            Finding("ok", "clock", f"{datetime.now(UTC):%H:%M:%S} UTC, as the database")
        )
    try:
        await migrate.check(conn)
    except SchemaError as error:  # there may be no table to look into
        return [*findings, Finding("bad", "migrations", str(error))]
    findings.append(Finding("ok", "migrations", f"{len(migrate.known())} applied"))
    return [*findings, _reviews(await count_reviews(conn))]


async def count_reviews(conn: Connection) -> int:
    """How many services wait for a decision."""
    return int(await conn.value(queries.count_to_review))


def _reviews(waiting: int) -> Finding:
    if not waiting:
        return Finding("ok", "reviews", "none waits")
    says = "1 service waits" if waiting == 1 else f"{waiting} services wait"
    return Finding("warn", "reviews", f"{says} for a decision: `messo service review`")


def _severity(name: str) -> Literal["warn", "bad"]:
    return (
        "bad"
        if name in {"fsync", "full_page_writes", "synchronous_commit", "server_encoding"}
        else "warn"
    )


_SETTINGS = (
    ("server_encoding", ("UTF8",), "create the database with ENCODING 'UTF8'"),
    ("fsync", ("on",), "without it a power cut loses accepted messages"),
    ("full_page_writes", ("on",), "without it a power cut can break the database"),
    (
        "synchronous_commit",
        ("on", "remote_write", "remote_apply"),
        "without it a crash loses accepted messages",
    ),
    ("log_error_verbosity", ("terse",), "DETAIL lines in the server's log quote citizens' data"),
    ("log_parameter_max_length", ("0",), "logged slow statements carry whole bodies"),
    (
        "log_min_error_statement",
        ("panic",),
        "statements in the server's log may carry personal data",
    ),
    (
        "log_parameter_max_length_on_error",
        ("0",),
        "parameters in the server's log are personal data",
    ),
    ("log_statement", ("none",), "statements in the server's log may carry personal data"),
)
