"""The installed program: thin commands over the rooms' functions."""

import asyncio
import getpass
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from messo import __version__
from messo.base import crypto, db, log, migrate
from messo.base.crypto import SecretError, Secrets
from messo.base.db import Connection, Pool
from messo.base.migrate import SchemaError
from messo.base.postgres_programs import PostgresError
from messo.settings import SettingError, Settings

T = TypeVar("T")

cli = typer.Typer(
    help="Personal messages from public institutions to citizens.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
institution = typer.Typer(help="Institutions: create, grant, suspend.", no_args_is_help=True)
service = typer.Typer(help="Services: create, keys, suspend.", no_args_is_help=True)
citizen = typer.Typer(help="Citizens: enrol, show.", no_args_is_help=True)
operator = typer.Typer(help="Operators, and the audit log.", no_args_is_help=True)
guard = typer.Typer(help="The mass-communication guard.", no_args_is_help=True)
cli.add_typer(institution, name="institution")
cli.add_typer(service, name="service")
cli.add_typer(citizen, name="citizen")
cli.add_typer(operator, name="operator")
cli.add_typer(guard, name="guard")

console = Console()

Reason = Annotated[str, typer.Option(help="Why, for the audit log.")]
InstitutionId = Annotated[str, typer.Argument(help="The institution's id.")]
ServiceId = Annotated[str, typer.Argument(help="The service's id.")]
BaseUrl = Annotated[str, typer.Option("--url", envvar="MESSO_URL", help="Where Messo answers.")]
Key = Annotated[
    str, typer.Option("--key", envvar="MESSO_KEY", help="A service key. Default: the sandbox's.")
]


class StoppedError(Exception):
    """What the command was asked cannot be done; the message says why."""


def main() -> None:
    """Run the program; errors a person can mend are one line, without a traceback."""
    from messo.base.http import Problem
    from messo.serve import RefusedError
    from messo.services.services import NotAcceptedError

    mendable = (
        StoppedError,
        RefusedError,
        NotAcceptedError,
        SettingError,
        SecretError,
        SchemaError,
        PostgresError,
    )
    try:
        cli()
    except mendable as error:
        sys.exit(f"messo: {error}")
    except Problem as problem:
        sys.exit(f"messo: {problem.detail}")
    except OSError as error:
        sys.exit(f"messo: the database cannot be reached ({type(error).__name__})")
    except Exception as error:
        if not db.sqlstate(error):
            raise
        if db.sqlstate(error) == db.UNDEFINED_TABLE:
            sys.exit("messo: the database has no tables of ours yet: run `messo migrate`")
        sys.exit(f"messo: the database refuses this ({log.describe(error)})")


# ---------------------------------------------------------------------------- running


@cli.command()
def up() -> None:
    """Start the whole platform with a sandbox world; Ctrl-C stops it."""
    from messo.up import Up

    given: dict[str, Any] = {}
    if "MESSO_PUBLIC_URL" not in os.environ:
        given["public_url"] = f"http://127.0.0.1:{os.environ.get('MESSO_PORT', '8480')}"
    Up(Settings.read(**given)).run()


@cli.command()
def serve() -> None:
    """Answer requests, as one of any number of servers."""
    from messo.serve import serve as run

    run(Settings.read())


@cli.command()
def work() -> None:
    """Do the background work, as one of any number of workers."""
    from messo.serve import work as run

    run(Settings.read())


@cli.command(name="migrate")
def migrate_command(
    *,
    only_pre: Annotated[
        bool, typer.Option("--pre", help="Only what the previous release can live with.")
    ] = False,
    dump: Annotated[
        Path | None, typer.Option(help="Write the migrated schema to this file (needs pg_dump).")
    ] = None,
) -> None:
    """Bring the database's schema up to date."""
    settings = Settings.read()

    async def run() -> int:
        conn = await db.connect(_url(settings))
        try:
            return await migrate.migrate(conn, settings.buckets, console.print, only_pre=only_pre)
        finally:
            await conn.close()

    count = asyncio.run(run())
    console.print(f"{count} migrations applied; the schema is up to date.")
    if dump:
        from messo.base.schema_dump import dump_schema

        dump.write_text(dump_schema(_url(settings)))


@cli.command()
def doctor(
    *,
    new_secret: Annotated[
        bool, typer.Option("--new-secret", help="Print a value for MESSO_SECRETS.")
    ] = False,
) -> None:
    """Check the installation and say how to mend it. Exit code 1 if something is wrong."""
    if new_secret:
        print(crypto.new_secret(time.strftime("%Y%m%d")))  # noqa: T201  for a script
        return
    from messo.operations.doctor import examine

    settings = Settings.read()
    findings = asyncio.run(examine(_url(settings, required=False), settings.data, settings.secrets))
    table = Table("", "Check", "Finding", box=None, padding=(0, 2, 0, 0))
    for finding in findings:
        mark = {"ok": "[green]ok[/green]", "warn": "[yellow]note[/yellow]", "bad": "[red]bad[/red]"}
        table.add_row(mark[finding.state], finding.what, finding.says)
    console.print(table)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


@cli.command()
def replay() -> None:
    """Queue every FAILED message again."""
    from messo.messages import process

    async def run() -> int:
        with console.status("Queueing …") as status:
            pool = await Pool.open(_url(Settings.read()), 2)
            try:
                return await process.replay(
                    pool, _actor(), lambda count: status.update(f"Queued {count} …")
                )
            finally:
                await pool.close()

    console.print(f"{asyncio.run(run())} messages queued again.")


# ---------------------------------------------------------------------------- institutions


@institution.command("create")
def institution_create(
    fiscal_code: Annotated[str, typer.Argument(help="The organisation's fiscal code, 11 digits.")],
    name: str,
    email: str,
) -> None:
    """Create an institution with the usual permissions and its manage keys."""
    from messo.services import keys
    from messo.services.services import create_institution

    settings = Settings.read()
    secrets = _secrets(settings)

    async def run(conn: Connection) -> tuple[str, dict[str, str]]:
        created = await create_institution(conn, _actor(), fiscal_code, name, email)
        return created, await keys.create_pair(conn, secrets, _actor(), created, None)

    created, pair = _in_transaction(run)
    console.print(f"Institution {created}\nmanage key (primary)    {pair['primary']}")
    console.print(f"manage key (secondary)  {pair['secondary']}")


@institution.command("list")
def institution_list() -> None:
    """All institutions."""
    from messo.services.services import list_institutions

    table = Table("Id", "Fiscal code", "Name", "Services", "State", box=None)
    for row in _in_transaction(list_institutions):
        state = "suspended" if row["suspended_at"] else "active"
        table.add_row(row["id"], row["fiscal_code"], row["name"], str(row["services"]), state)
    console.print(table)


@institution.command("grant")
def institution_grant(institution_id: InstitutionId, permissions: list[str]) -> None:
    """Give permissions, by the contract's group names."""
    from messo.services.services import grant

    _in_transaction(lambda conn: grant(conn, _actor(), institution_id, permissions))
    console.print("Granted; in force within a second.")


@institution.command("revoke")
def institution_revoke(institution_id: InstitutionId, permissions: list[str]) -> None:
    """Take permissions away."""
    from messo.services.services import revoke

    _in_transaction(lambda conn: revoke(conn, _actor(), institution_id, permissions))
    console.print("Revoked; in force within a second.")


@institution.command("suspend")
def institution_suspend(institution_id: InstitutionId, reason: Reason) -> None:
    """Refuse all keys of an institution."""
    _suspend_institution(institution_id, reason, suspend=True)


@institution.command("restore")
def institution_restore(institution_id: InstitutionId, reason: Reason) -> None:
    """Take its keys again."""
    _suspend_institution(institution_id, reason, suspend=False)


def _suspend_institution(institution_id: str, reason: str, *, suspend: bool) -> None:
    from messo.services.services import suspend_institution

    _in_transaction(
        lambda conn: suspend_institution(
            conn, _actor(), institution_id, suspend=suspend, reason=reason
        )
    )
    console.print("Done; in force within a second.")


# ---------------------------------------------------------------------------- services


@service.command("create")
def service_create(
    institution_id: InstitutionId,
    name: str,
    *,
    department: str = "-",
    category: Annotated[str, typer.Option(help="STANDARD or SPECIAL.")] = "STANDARD",
    state: Annotated[str, typer.Option(help="draft, approved or published.")] = "published",
    secure: Annotated[bool, typer.Option(help="Sensitive: require secure channels.")] = False,
    max_amount: Annotated[int, typer.Option(help="Largest payment, euro cents.")] = 0,
    recipient: Annotated[list[str] | None, typer.Option(help="Authorized recipient.")] = None,
    cidr: Annotated[list[str] | None, typer.Option(help="Allowed IPv4 network.")] = None,
) -> None:
    """Create a service and its key pair."""
    from messo.services import keys
    from messo.services.services import NewService, create_service

    if category not in {"STANDARD", "SPECIAL"}:
        raise StoppedError("a service is STANDARD or SPECIAL")
    if state not in {"draft", "approved", "published"}:
        raise StoppedError("a new service is draft, approved or published")
    settings = Settings.read()
    secrets = _secrets(settings)
    new = NewService(
        name,
        department,
        category,
        state,
        secure,
        tuple(recipient or ()),
        tuple(cidr or ()),
        max_amount,
    )

    async def run(conn: Connection) -> tuple[str, dict[str, str]]:
        created = await create_service(
            conn, _actor(), institution_id, new, settings.sandbox_fiscal_code
        )
        return created, await keys.create_pair(conn, secrets, _actor(), institution_id, created)

    created, pair = _in_transaction(run)
    console.print(f"Service {created}\nprimary key    {pair['primary']}")
    console.print(f"secondary key  {pair['secondary']}")


@service.command("list")
def service_list(
    institution_id: Annotated[str | None, typer.Argument(help="Only this institution's.")] = None,
) -> None:
    """Services and their states."""
    from messo.services.services import list_services

    table = Table("Id", "Name", "State", "Category", box=None)
    for row in _in_transaction(lambda conn: list_services(conn, institution_id)):
        state = row["state"] + (", suspended" if row["suspended_at"] else "")
        table.add_row(row["id"], row["name"], state, row["category"])
    console.print(table)


@service.command("grant")
def service_grant(service_id: ServiceId, permissions: list[str]) -> None:
    """Give permissions to the institution of a service: they hold for all its services."""
    from messo.services.services import grant, institution_of

    async def run(conn: Connection) -> None:
        await grant(conn, _actor(), await institution_of(conn, service_id), permissions)

    _in_transaction(run)
    console.print("Granted to the institution; in force within a second.")


@service.command("keys")
def service_keys(
    service_id: ServiceId,
    rotate: Annotated[
        str | None, typer.Option(help="Replace this key: primary or secondary.")
    ] = None,
) -> None:
    """Show both keys, or replace one; the old one dies within a second."""
    from messo.services import keys

    secrets = _secrets(Settings.read())

    async def run(conn: Connection) -> dict[str, str]:
        if rotate:
            await keys.rotate(conn, secrets, _actor(), service_id, rotate)
        pair = await keys.read_pair(conn, secrets, service_id)
        if not pair:
            raise StoppedError(f"there is no {service_id}")
        return pair

    for slot, key in _in_transaction(run).items():
        console.print(f"{slot:<10} {key}")


@service.command("suspend")
def service_suspend(service_id: ServiceId, reason: Reason) -> None:
    """Refuse a service's keys."""
    _suspend_service(service_id, reason, suspend=True)


@service.command("restore")
def service_restore(service_id: ServiceId, reason: Reason) -> None:
    """Take its keys again."""
    _suspend_service(service_id, reason, suspend=False)


@service.command("state")
def service_state(service_id: ServiceId, state: str) -> None:
    """Move a service to draft, approved, published or deleted."""
    from messo.services.services import set_state

    _in_transaction(lambda conn: set_state(conn, _actor(), service_id, state))
    console.print("Done; in force within a second.")


def _suspend_service(service_id: str, reason: str, *, suspend: bool) -> None:
    from messo.services.services import suspend_service

    _in_transaction(
        lambda conn: suspend_service(conn, _actor(), service_id, suspend=suspend, reason=reason)
    )
    console.print("Done; in force within a second.")


# ---------------------------------------------------------------------------- citizens


@citizen.command("create")
def citizen_create(
    fiscal_code: str,
    mode: Annotated[str, typer.Option(help="AUTO or MANUAL.")] = "AUTO",
) -> None:
    """Enrol a citizen with an open inbox. Usually they do so themselves."""
    from messo.messages.checks import path_fiscal_code
    from messo.operations import record
    from messo.recipients.profile import Profile, create_profiles

    if mode not in {"AUTO", "MANUAL"}:
        raise StoppedError("a citizen starts in AUTO or MANUAL mode")
    profile = Profile(
        path_fiscal_code(fiscal_code),
        mode="AUTO" if mode == "AUTO" else "MANUAL",
        settings_version=0,
        is_inbox_enabled=True,
        is_webhook_enabled=True,
    )
    secrets = _secrets(Settings.read())

    async def run(conn: Connection) -> int:
        created = await create_profiles(conn, [profile])
        if created:
            await record(conn, _actor(), "citizen.create", secrets.keyed_hash(fiscal_code))
        return created

    created = _in_transaction(run)
    console.print("Enrolled." if created else "This citizen is enrolled already.")


@citizen.command("show")
def citizen_show(fiscal_code: str) -> None:
    """How a citizen wants to be reached."""
    from messo.recipients.profile import read_profile

    found = _in_transaction(lambda conn: read_profile(conn, fiscal_code))
    if found is None:
        raise StoppedError("nobody is enrolled with this fiscal code")
    for name, value in vars(found).items():
        console.print(f"{name:<32} {value}")


# ---------------------------------------------------------------------------- operators


@operator.command("add")
def operator_add(login: str) -> None:
    """Name an operator by their login at the identity provider."""
    from messo.operations.operators import add

    added = _in_transaction(lambda conn: add(conn, _actor(), login))
    console.print("Added." if added else "An operator already.")


@operator.command("remove")
def operator_remove(login: str) -> None:
    """Take the role away."""
    from messo.operations.operators import remove

    removed = _in_transaction(lambda conn: remove(conn, _actor(), login))
    console.print("Removed." if removed else "There is no such operator.")


@operator.command("list")
def operator_list() -> None:
    """Who may operate this installation."""
    from messo.operations.operators import listed

    for row in _in_transaction(listed):
        console.print(f"{row['login']:<32} since {row['added_at']:%Y-%m-%d %H:%M}")


@operator.command("audit")
def operator_audit(
    *,
    verify: Annotated[bool, typer.Option(help="Recompute every seal instead.")] = False,
    limit: int = 50,
) -> None:
    """The newest audit entries, or whether the seals hold (exit code 1 if not)."""
    from messo.operations import audit

    if verify:
        broken = _in_transaction(audit.verify)
        for sentence in broken:
            console.print(f"[red]{sentence}[/red]")
        if broken:
            raise typer.Exit(1)
        console.print("Every seal holds.")
        return
    table = Table("When", "Who", "What", "Subject", "Detail", "Sealed", box=None)
    for row in _in_transaction(lambda conn: audit.newest(conn, limit)):
        sealed = "yes" if row["seal"] else "soon"
        when = f"{row['at']:%Y-%m-%d %H:%M:%S}"
        table.add_row(when, row["actor"], row["action"], row["subject"], row["detail"], sealed)
    console.print(table)


# ---------------------------------------------------------------------------- mass guard


@guard.command("list")
def guard_list() -> None:
    """Contents that were stopped, and institutions that are let past."""
    from messo.messages.guard import allowances, holds

    table = Table("Held since", "Institution", "Name", "Service", "Recipients", box=None)
    for row in _in_transaction(holds):
        table.add_row(
            f"{row['held_at']:%Y-%m-%d %H:%M}",
            row["institution_id"],
            row["name"],
            row["service_id"],
            str(row["recipients"]),
        )
    console.print(table)
    for row in _in_transaction(allowances):
        console.print(
            f"allowed: {row['institution_id']} until {row['until']:%Y-%m-%d %H:%M} UTC, "
            f"by {row['allowed_by']}: {row['reason']}"
        )


@guard.command("allow")
def guard_allow(
    institution_id: InstitutionId,
    reason: Reason,
    hours: Annotated[float, typer.Option(help="For how long.")] = 24,
) -> None:
    """Let an institution past the guard for a while."""
    from messo.messages.guard import allow
    from messo.services.services import list_institutions

    async def run(conn: Connection) -> datetime:
        if institution_id not in {row["id"] for row in await list_institutions(conn)}:
            raise StoppedError(f"there is no {institution_id}")
        return await allow(conn, _actor(), institution_id, hours, reason)

    until = _in_transaction(run)
    console.print(f"Allowed until {until:%Y-%m-%d %H:%M} UTC; in force within a second.")


# ---------------------------------------------------------------------------- for developers


@cli.command()
def send(
    fiscal_code: str,
    subject: Annotated[str, typer.Option(help="10 to 120 characters.")],
    markdown: Annotated[str, typer.Option(help="80 to 10,000 characters; - reads standard input.")],
    *,
    url: BaseUrl = "http://127.0.0.1:8480",
    key: Key = "",
    reference: Annotated[str | None, typer.Option(help="Your own reference.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Makes a repeat harmless.")] = None,
) -> None:
    """Send a message as a service, and say its id."""
    text = sys.stdin.read() if markdown == "-" else markdown
    headers = {"X-Messo-Reference": reference, "Idempotency-Key": idempotency_key}
    body = {"fiscal_code": fiscal_code, "content": {"subject": subject, "markdown": text}}
    answer = _ask(f"{url}/api/v1/messages", key, body, headers)
    print(answer["id"])  # noqa: T201  for a script


@cli.command()
def status(
    message_id: str,
    *,
    url: BaseUrl = "http://127.0.0.1:8480",
    key: Key = "",
) -> None:
    """The whole life of a message you sent."""
    life = _ask(f"{url}/messo/v1/messages/{message_id}", key)
    reason = f" ({life['rejection_reason']})" if "rejection_reason" in life else ""
    console.print(f"[bold]{life['status']}[/bold]{reason}")
    for event in life["events"]:
        console.print(f"  {event['at']}  {event['kind']}")


@cli.command()
def check(
    fiscal_code: str,
    *,
    url: BaseUrl = "http://127.0.0.1:8480",
    key: Key = "",
) -> None:
    """Whether a service may write to a citizen."""
    found = _ask(f"{url}/api/v1/profiles", key, {"fiscal_code": fiscal_code})
    allowed = "may" if found["sender_allowed"] else "may not"
    languages = ", ".join(found.get("preferred_languages", [])) or "no language chosen"
    console.print(f"Enrolled; this service {allowed} write to them ({languages}).")


@cli.command()
def version() -> None:
    """The version of this program."""
    print(__version__)  # noqa: T201


@cli.command()
def bench(names: Annotated[list[str] | None, typer.Argument(help="Only these.")] = None) -> None:
    """Run the benchmarks of a checkout; each prints its ceiling, measured in the same run."""
    if not Path("bench/run.py").exists():
        raise StoppedError("the benchmarks are in a checkout of Messo: run this in its folder")
    sys.exit(subprocess.call([sys.executable, "-m", "bench.run", *(names or [])]))  # noqa: S603


def _ask(
    url: str,
    key: str,
    body: dict[str, Any] | None = None,
    headers: dict[str, str | None] | None = None,
) -> dict[str, Any]:
    """One call of the API; a refusal becomes a sentence with its title and detail."""
    given = {name: value for name, value in (headers or {}).items() if value}
    given |= {
        "Ocp-Apim-Subscription-Key": key or _sandbox_key(),
        "Content-Type": "application/json",
    }
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, given)  # noqa: S310  the address the person gave
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        try:
            problem = json.load(error)
        except ValueError:
            problem = {}
        title = problem.get("title") or problem.get("message") or error.reason
        detail = problem.get("detail", "")
        raise StoppedError(f"{error.code} {title}. {detail}".strip()) from None
    except urllib.error.URLError as error:
        raise StoppedError(f"{url} does not answer ({error.reason}); is Messo running?") from None


def _sandbox_key() -> str:
    path = Settings.read().data / "sandbox.json"
    if not path.exists():
        raise StoppedError("give a service key with --key or MESSO_KEY")
    key: str = json.loads(path.read_text())["service"]["key"]
    return key


def _url(settings: Settings, *, required: bool = True) -> str:
    """The database: the setting, or the embedded one of a running `messo up`."""
    if settings.database_url:
        return settings.database_url
    running = settings.data / "database.url"
    if running.exists():
        return running.read_text().strip()
    if required:
        raise StoppedError("set MESSO_DATABASE_URL, or start the embedded database: `messo up`")
    return ""


def _secrets(settings: Settings) -> Secrets:
    path = settings.data / "secrets"
    text = settings.secrets or (path.read_text() if path.exists() else "")
    return Secrets.parse(text.strip())


def _actor() -> str:
    """Who gives the command, for the audit log."""
    return f"cli:{getpass.getuser()}"


def _in_transaction(function: Callable[[Connection], Awaitable[T]]) -> T:
    async def run() -> T:
        pool = await Pool.open(_url(Settings.read()), 1)
        try:
            async with pool.transaction() as conn:
                await migrate.check(conn)
                return await function(conn)
        finally:
            await pool.close()

    return asyncio.run(run())
