"""Commands about citizens, operators, the audit log and the mass guard."""

from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from messo.base.db import Connection
from messo.commands.database import StoppedError, actor, console, in_transaction, read_secrets
from messo.settings import Settings

citizen = typer.Typer(help="Citizens: enrol, show.", no_args_is_help=True)
operator = typer.Typer(help="Operators, and the audit log.", no_args_is_help=True)
guard = typer.Typer(help="The mass-communication guard.", no_args_is_help=True)

Reason = Annotated[str, typer.Option(help="Why, for the audit log.")]
InstitutionId = Annotated[str, typer.Argument(help="The institution's id.")]


@citizen.command("create")
def citizen_create(
    fiscal_code: str,
    mode: Annotated[str, typer.Option(help="AUTO or MANUAL.")] = "AUTO",
) -> None:
    """Enrol a citizen with an open inbox. Usually they do so themselves."""
    from messo.messages.checks import path_fiscal_code
    from messo.operations import record
    from messo.recipients.feed import enter_profile
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
    secrets = read_secrets(Settings.read())

    async def run(conn: Connection) -> int:
        created = await create_profiles(conn, [profile])
        if created:
            await enter_profile(conn, fiscal_code, subscribed=True)
            await record(conn, actor(), "citizen.create", secrets.keyed_hash(fiscal_code))
        return created

    created = in_transaction(run)
    console.print("Enrolled." if created else "This citizen is enrolled already.")


@citizen.command("show")
def citizen_show(fiscal_code: str) -> None:
    """How a citizen wants to be reached."""
    from messo.recipients.profile import read_profile

    found = in_transaction(lambda conn: read_profile(conn, fiscal_code))
    if found is None:
        raise StoppedError("nobody is enrolled with this fiscal code")
    for name, value in vars(found).items():
        console.print(f"{name:<32} {value}")


@citizen.command("erase")
def citizen_erase(
    fiscal_code: str,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase everything about a citizen, at once and for good."""
    from messo.messages.checks import path_fiscal_code
    from messo.outside import Outside
    from messo.recipients.erase import erase_now
    from messo.worker import erasers

    code = path_fiscal_code(fiscal_code)
    settings = Settings.read()
    secrets = read_secrets(settings)
    forget = erasers(Outside.of(settings, secrets).channels, secrets)
    if not yes:
        typer.confirm(
            "Erase profile, messages, preferences and history of this citizen for good?", abort=True
        )
    in_transaction(lambda conn: erase_now(conn, code, forget, secrets, actor()))
    console.print("Erased. A worker sweeps up what was under way in five minutes.")


@citizen.command("requests")
def citizen_requests(limit: int = 50) -> None:
    """What citizens asked to be done with their data, and what failed (as keyed hashes)."""
    from messo.recipients.data_requests import count_requests, failed_requests

    secrets = read_secrets(Settings.read())
    table = Table("Choice", "Status", "Requests", "Longest unchanged since", box=None)
    for row in in_transaction(count_requests):
        since = f"{row['oldest']:%Y-%m-%d %H:%M}"
        table.add_row(row["choice"], row["status"], str(row["requests"]), since)
    console.print(table)
    for failed in in_transaction(lambda conn: failed_requests(conn, secrets, limit)):
        console.print(
            f"failed: {failed['choice']} of citizen {failed['citizen']} "
            f"after {failed['attempts']} attempts, {failed['updated_at']:%Y-%m-%d %H:%M} UTC"
        )


@operator.command("add")
def operator_add(login: str) -> None:
    """Name an operator by their login at the identity provider."""
    from messo.operations.operators import add

    added = in_transaction(lambda conn: add(conn, actor(), login))
    console.print("Added." if added else "An operator already.")


@operator.command("remove")
def operator_remove(login: str) -> None:
    """Take the role away."""
    from messo.operations.operators import remove

    removed = in_transaction(lambda conn: remove(conn, actor(), login))
    console.print("Removed." if removed else "There is no such operator.")


@operator.command("list")
def operator_list() -> None:
    """Who may operate this installation."""
    from messo.operations.operators import listed

    for row in in_transaction(listed):
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
        broken = in_transaction(audit.verify)
        for sentence in broken:
            console.print(f"[red]{sentence}[/red]")
        if broken:
            raise typer.Exit(1)
        console.print("Every seal holds.")
        return
    table = Table("When", "Who", "What", "Subject", "Detail", "Sealed", box=None)
    for row in in_transaction(lambda conn: audit.newest(conn, limit)):
        sealed = "yes" if row["seal"] else "soon"
        when = f"{row['at']:%Y-%m-%d %H:%M:%S}"
        table.add_row(when, row["actor"], row["action"], row["subject"], row["detail"], sealed)
    console.print(table)


@guard.command("list")
def guard_list() -> None:
    """Contents that were stopped, and institutions that are let past."""
    from messo.messages.guard import allowances, holds

    table = Table("Held since", "Institution", "Name", "Service", "Recipients", box=None)
    for row in in_transaction(holds):
        table.add_row(
            f"{row['held_at']:%Y-%m-%d %H:%M}",
            row["institution_id"],
            row["name"],
            row["service_id"],
            str(row["recipients"]),
        )
    console.print(table)
    for row in in_transaction(allowances):
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
        return await allow(conn, actor(), institution_id, hours, reason)

    until = in_transaction(run)
    console.print(f"Allowed until {until:%Y-%m-%d %H:%M} UTC; in force within a second.")


@guard.command("reports")
def guard_reports() -> None:
    """Services whose messages were reported as not meant for their recipients, in 30 days."""
    from messo.messages.reports import reported_services

    share = Settings.read().guard_reports_share
    table = Table("Service", "Name", "Institution", "Reports", "Received", "Share", "", box=None)
    for one in in_transaction(reported_services):
        table.add_row(
            one.service_id,
            one.service_name,
            one.institution_name,
            str(one.reports),
            str(one.received),
            f"{one.share:.1%}",
            "[red]look into it[/red]" if one.share > share else "",
        )
    console.print(table)
