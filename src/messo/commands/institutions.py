"""Commands about institutions and their services."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from messo.base.db import Connection
from messo.commands.database import (
    StoppedError,
    actor,
    console,
    in_transaction,
    read_secrets,
)
from messo.commands.groups import add_to as add_groups_to
from messo.commands.people import add_to as add_people_to
from messo.commands.remote_content import check_remote
from messo.commands.reviews import review
from messo.commands.sso import sso
from messo.commands.webhooks import webhook
from messo.settings import Settings

institution = typer.Typer(help="Institutions: create, grant, suspend.", no_args_is_help=True)
service = typer.Typer(help="Services: create, keys, suspend.", no_args_is_help=True)
service.add_typer(webhook, name="webhook")
service.add_typer(sso, name="sso")
add_groups_to(institution)
add_people_to(institution)
service.command("check-remote")(check_remote)
service.command("review")(review)

Reason = Annotated[str, typer.Option(help="Why, for the audit log.")]
InstitutionId = Annotated[str, typer.Argument(help="The institution's id.")]
ServiceId = Annotated[str, typer.Argument(help="The service's id.")]


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
    secrets = read_secrets(settings)

    async def run(conn: Connection) -> tuple[str, dict[str, str]]:
        created = await create_institution(conn, actor(), fiscal_code, name, email)
        return created, await keys.create_pair(conn, secrets, actor(), created, None)

    created, pair = in_transaction(run)
    console.print(f"Institution {created}\nmanage key (primary)    {pair['primary']}")
    console.print(f"manage key (secondary)  {pair['secondary']}")


@institution.command("list")
def institution_list() -> None:
    """All institutions."""
    from messo.services.services import list_institutions

    table = Table("Id", "Fiscal code", "Name", "Services", "State", box=None)
    for row in in_transaction(list_institutions):
        state = "suspended" if row["suspended_at"] else "active"
        table.add_row(row["id"], row["fiscal_code"], row["name"], str(row["services"]), state)
    console.print(table)


@institution.command("grant")
def institution_grant(institution_id: InstitutionId, permissions: list[str]) -> None:
    """Give permissions, by the contract's group names."""
    from messo.services.services import grant

    in_transaction(lambda conn: grant(conn, actor(), institution_id, permissions))
    console.print("Granted; in force within a second.")


@institution.command("revoke")
def institution_revoke(institution_id: InstitutionId, permissions: list[str]) -> None:
    """Take permissions away."""
    from messo.services.services import revoke

    in_transaction(lambda conn: revoke(conn, actor(), institution_id, permissions))
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

    in_transaction(
        lambda conn: suspend_institution(
            conn, actor(), institution_id, suspend=suspend, reason=reason
        )
    )
    console.print("Done; in force within a second.")


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
    secrets = read_secrets(settings)
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
            conn, actor(), institution_id, new, settings.sandbox_fiscal_code
        )
        return created, await keys.create_pair(conn, secrets, actor(), institution_id, created)

    created, pair = in_transaction(run)
    console.print(f"Service {created}\nprimary key    {pair['primary']}")
    console.print(f"secondary key  {pair['secondary']}")


@service.command("describe")
def service_describe(
    service_id: ServiceId,
    *,
    description: Annotated[str | None, typer.Option(help="What it is for, in markdown.")] = None,
    email: Annotated[str | None, typer.Option(help="E-mail address for citizens.")] = None,
    pec: Annotated[str | None, typer.Option(help="Certified e-mail address.")] = None,
    phone: Annotated[str | None, typer.Option(help="Telephone number.")] = None,
    address: Annotated[str | None, typer.Option(help="Where to go, on one line.")] = None,
    web: Annotated[str | None, typer.Option(help="Its page.")] = None,
    support: Annotated[str | None, typer.Option(help="Where to ask for help.")] = None,
    privacy: Annotated[str | None, typer.Option(help="Its privacy notice.")] = None,
    tos: Annotated[str | None, typer.Option(help="Its terms of service.")] = None,
    scope: Annotated[str | None, typer.Option(help="NATIONAL or LOCAL.")] = None,
    cta: Annotated[
        str | None, typer.Option(help="A file with buttons, as a message begins with them.")
    ] = None,
) -> None:
    """Say what a service is for and how to reach it. What is not given stays; "" takes it away."""
    from messo.services.services import describe_service

    given = {
        "email": email,
        "pec": pec,
        "phone": phone,
        "address": address,
        "web_url": web,
        "support_url": support,
        "privacy_url": privacy,
        "tos_url": tos,
        "scope": scope,
        "cta": Path(cta).read_text(errors="replace") if cta else cta,
    }
    metadata = {name: value for name, value in given.items() if value is not None}
    if description is None and not metadata:
        raise StoppedError("say what to change: --description, --email, --phone …")
    in_transaction(lambda conn: describe_service(conn, actor(), service_id, description, metadata))
    console.print("Done.")


@service.command("postal-account")
def service_postal_account(
    service_id: ServiceId,
    account: Annotated[str, typer.Argument(help='1 to 12 digits; "" takes it away.')],
) -> None:
    """Register the postal account of a service, so that its notices have a code for post offices."""
    from messo.services.services import set_postal_account

    in_transaction(lambda conn: set_postal_account(conn, actor(), service_id, account))
    console.print("Done.")


@service.command("list")
def service_list(
    institution_id: Annotated[str | None, typer.Argument(help="Only this institution's.")] = None,
) -> None:
    """Services and their states."""
    from messo.services.services import list_services

    table = Table("Id", "Name", "State", "Category", box=None)
    for row in in_transaction(lambda conn: list_services(conn, institution_id)):
        state = row["state"] + (", suspended" if row["suspended_at"] else "")
        table.add_row(row["id"], row["name"], state, row["category"])
    console.print(table)


@service.command("grant")
def service_grant(service_id: ServiceId, permissions: list[str]) -> None:
    """Give permissions to the institution of a service: they hold for all its services."""
    from messo.services.services import grant, institution_of

    async def run(conn: Connection) -> None:
        await grant(conn, actor(), await institution_of(conn, service_id), permissions)

    in_transaction(run)
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

    secrets = read_secrets(Settings.read())

    async def run(conn: Connection) -> dict[str, str]:
        if rotate:
            await keys.rotate(conn, secrets, actor(), service_id, rotate)
        pair = await keys.read_pair(conn, secrets, service_id)
        if not pair:
            raise StoppedError(f"there is no {service_id}")
        return pair

    for slot, key in in_transaction(run).items():
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

    in_transaction(lambda conn: set_state(conn, actor(), service_id, state))
    console.print("Done; in force within a second.")


def _suspend_service(service_id: str, reason: str, *, suspend: bool) -> None:
    from messo.services.services import suspend_service

    in_transaction(
        lambda conn: suspend_service(conn, actor(), service_id, suspend=suspend, reason=reason)
    )
    console.print("Done; in force within a second.")
