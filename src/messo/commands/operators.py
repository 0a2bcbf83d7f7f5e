"""Commands about citizens, operators, the audit log and the mass guard."""

from datetime import datetime
from typing import Annotated

import typer

from messo.base.db import Connection
from messo.commands.database import (
    InstitutionId,
    StoppedError,
    actor,
    at_institution,
    console,
    in_transaction,
    listing,
    read_secrets,
    shown,
)
from messo.settings import Settings

citizen = typer.Typer(help="Citizens: enrol, show.", no_args_is_help=True)
operator = typer.Typer(help="Operators, and the audit log.", no_args_is_help=True)
guard = typer.Typer(help="The mass-communication guard.", no_args_is_help=True)

Reason = Annotated[str, typer.Option(help="Why, for the audit log.")]
Login = Annotated[str, typer.Argument(help="What the identity provider calls them for good.")]


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
        console.print(f"{name:<32} {shown(value)}")


@citizen.command("erase")
def citizen_erase(
    fiscal_code: str,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase everything about a citizen, at once and for good."""
    from messo.erasers import erasers
    from messo.messages.checks import path_fiscal_code
    from messo.outside import Outside
    from messo.recipients.erase import erase_now

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
    table = listing("Choice", "Status", "Requests", "Longest unchanged since")
    for row in in_transaction(count_requests):
        since = f"{row['oldest']:%Y-%m-%d %H:%M}"
        table.add_row(row["choice"], row["status"], str(row["requests"]), since)
    console.print(table)
    for failed in in_transaction(lambda conn: failed_requests(conn, secrets, limit)):
        console.print(
            f"failed: {failed['choice']} of citizen {failed['citizen']} "
            f"after {failed['attempts']} attempts, {failed['updated_at']:%Y-%m-%d %H:%M} UTC",
            soft_wrap=True,
        )


@operator.command("add")
def operator_add(login: Login) -> None:
    """Name an operator by their login at the identity provider."""
    from messo.operations.operators import add

    _must_be_login(login)
    added = in_transaction(lambda conn: add(conn, actor(), login))
    console.print("Added." if added else "An operator already.")


@operator.command("remove")
def operator_remove(login: Login) -> None:
    """Take the role away."""
    from messo.operations.operators import remove

    removed = in_transaction(lambda conn: remove(conn, actor(), login))
    console.print("Removed." if removed else "There is no such operator.")


@operator.command("logout")
def operator_logout(login: Login) -> None:
    """End all logins of a person, an operator or not, in every browser."""
    from messo.operations import record
    from messo.people.sessions import close_all

    _must_be_login(login)
    subject = read_secrets(Settings.read()).keyed_hash(f"people.login:{login}")

    async def run(conn: Connection) -> int:
        ended = await close_all(conn, login)
        if ended:
            await record(conn, actor(), "people.logout", subject, logins=ended)
        return ended

    ended = in_transaction(run)
    console.print(f"{ended} logins ended." if ended else "Nobody is logged in by this name.")


def _must_be_login(login: str) -> None:
    """Refuse what the identity provider can never call anybody, a slip of the keyboard perhaps."""
    from messo.people.staff_claims import is_login

    if not is_login(login):
        raise StoppedError(
            "nobody can log in as that: a login has no spaces, no invisible characters, and "
            "nothing that can be written in another way"
        )
    if Settings.read().staff_claim == "email" and login != login.lower():
        raise StoppedError(f"logins are e-mail addresses here, in lower case: {login.lower()}")


@operator.command("list")
def operator_list() -> None:
    """Who may operate this installation."""
    from messo.operations.operators import listed

    for row in in_transaction(listed):
        since = f"since {row['added_at']:%Y-%m-%d %H:%M}"
        console.print(f"{shown(row['login']):<32} {since}", soft_wrap=True)


@operator.command("audit")
def operator_audit(
    *,
    verify: Annotated[bool, typer.Option(help="Recompute every seal instead.")] = False,
    limit: int = 50,
) -> None:
    """The newest audit entries, or whether the seals hold (exit code 1 if not).

    An entry is a line: when (UTC), what was done, to what, by whom, and the particulars as JSON.
    """
    from messo.operations import audit

    if verify:
        broken = in_transaction(audit.verify)
        for sentence in broken:
            console.print(f"[red]{sentence}[/red]")
        if broken:
            raise typer.Exit(1)
        console.print("Every seal holds.")
        return
    for row in in_transaction(lambda conn: audit.newest(conn, limit)):
        sealed = "" if row["seal"] else " (sealed soon)"
        when = f"{row['at']:%Y-%m-%d %H:%M:%S}"
        told = " ".join(shown(row[name]) for name in ("action", "subject", "actor", "detail"))
        console.print(f"{when} {told}{sealed}", soft_wrap=True)


@guard.command("list")
def guard_list() -> None:
    """Contents that were stopped, and institutions that are let past."""
    from messo.messages.guard import allowances, holds

    table = listing("Held since", "Institution", "Name", "Service", "Sent to")
    for row in in_transaction(holds):
        table.add_row(
            f"{row['held_at']:%Y-%m-%d %H:%M}",
            row["institution_id"],
            shown(row["name"]),
            row["service_id"],
            str(row["recipients"]),
        )
    console.print(table)
    for row in in_transaction(allowances):
        console.print(
            f"allowed: {row['institution_id']} until {row['until']:%Y-%m-%d %H:%M} UTC, "
            f"by {shown(row['allowed_by'])}: {shown(row['reason'])}",
            soft_wrap=True,
        )


@guard.command("allow")
def guard_allow(
    institution_id: InstitutionId,
    reason: Reason,
    hours: Annotated[float, typer.Option(help="For how long.")] = 24,
) -> None:
    """Let an institution past the guard for a while."""
    from messo.messages.guard import allow

    async def run(conn: Connection) -> datetime:
        await at_institution(conn, institution_id)
        return await allow(conn, actor(), institution_id, hours, reason)

    until = in_transaction(run)
    console.print(f"Allowed until {until:%Y-%m-%d %H:%M} UTC; in force within a second.")


@guard.command("reports")
def guard_reports() -> None:
    """Services whose messages were reported as not meant for their recipients, in 30 days."""
    from messo.messages.reports import reported_services

    share = Settings.read().guard_reports_share
    table = listing("Service", "Name", "Of", "Reports", "Received", "Share", "")
    for one in in_transaction(reported_services):
        table.add_row(
            one.service_id,
            shown(one.service_name),
            shown(one.institution_name),
            str(one.reports),
            str(one.received),
            f"{one.share:.1%}",
            "[red]look into it[/red]" if one.share > share else "",
        )
    console.print(table)
