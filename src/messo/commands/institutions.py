"""Commands about institutions and their services."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from messo.base.db import Connection, Row
from messo.commands.database import (
    InstitutionId,
    ServiceId,
    StoppedError,
    actor,
    at_institution,
    at_service,
    console,
    in_transaction,
    listing,
    read_secrets,
    shown,
)
from messo.commands.groups import add_to as add_groups_to
from messo.commands.people import add_to as add_people_to
from messo.commands.remote_content import check_remote
from messo.commands.reviews import review
from messo.commands.sso import sso
from messo.commands.webhooks import webhook
from messo.settings import Settings

if TYPE_CHECKING:
    from messo.services.oversight import Kind

institution = typer.Typer(
    help="Institutions: create, grant, suspend; people, keys, groups.", no_args_is_help=True
)
service = typer.Typer(
    help="Services: create, describe, review; keys, suspend.", no_args_is_help=True
)
service.add_typer(webhook, name="webhook")
service.add_typer(sso, name="sso")
add_groups_to(institution)
add_people_to(institution)
service.command("check-remote")(check_remote)
service.command("review")(review)

Reason = Annotated[str, typer.Option(help="Why, for the audit log.")]


@institution.command("create")
def institution_create(
    fiscal_code: Annotated[str, typer.Argument(help="The organisation's fiscal code, 11 digits.")],
    name: Annotated[str, typer.Argument(help="What it is called, as citizens know it.")],
    email: Annotated[str, typer.Argument(help="Where the operator writes to it.")],
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

    table = listing("Id", "Fiscal code", "Name", "Services", "State")
    for row in in_transaction(list_institutions):
        state = "suspended" if row["suspended_at"] else "active"
        table.add_row(
            row["id"], row["fiscal_code"], shown(row["name"]), str(row["services"]), state
        )
    console.print(table)


@institution.command("grant")
def institution_grant(institution_id: InstitutionId, permissions: list[str]) -> None:
    """Give permissions, by the contract's group names."""
    from messo.services.services import grant

    async def run(conn: Connection) -> None:
        await at_institution(conn, institution_id)
        await grant(conn, actor(), institution_id, permissions)

    in_transaction(run)
    console.print("Granted; in force within a second.")


@institution.command("revoke")
def institution_revoke(institution_id: InstitutionId, permissions: list[str]) -> None:
    """Take permissions away."""
    from messo.services.services import revoke

    async def run(conn: Connection) -> None:
        await at_institution(conn, institution_id)
        await revoke(conn, actor(), institution_id, permissions)

    in_transaction(run)
    console.print("Revoked; in force within a second.")


@institution.command("suspend")
def institution_suspend(institution_id: InstitutionId, reason: Reason) -> None:
    """Refuse all keys of an institution."""
    _suspend("institution", institution_id, reason)


@institution.command("restore")
def institution_restore(institution_id: InstitutionId, reason: Reason) -> None:
    """Accept its keys again."""
    _restore("institution", institution_id, reason)


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
        await at_institution(conn, institution_id)
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
    topic: Annotated[
        int | None, typer.Option(help="What it is about: the number of a topic, 0 to 17.")
    ] = None,
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
    if description is None and topic is None and not metadata:
        raise StoppedError("say what to change: --description, --email, --topic …")
    in_transaction(
        lambda conn: describe_service(conn, actor(), service_id, description, metadata, topic)
    )
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

    async def run(conn: Connection) -> Sequence[Row]:
        if institution_id is not None:
            await at_institution(conn, institution_id)
        return await list_services(conn, institution_id)

    table = listing("Id", "Name", "State", "Category")
    for row in in_transaction(run):
        state = row["state"] + (", suspended" if row["suspended_at"] else "")
        table.add_row(row["id"], shown(row["name"]), state, row["category"])
    console.print(table)


@service.command("grant")
def service_grant(service_id: ServiceId, permissions: list[str]) -> None:
    """Give permissions to the institution of a service: they hold for all its services."""
    from messo.services.services import grant

    async def run(conn: Connection) -> None:
        await grant(conn, actor(), await at_service(conn, service_id), permissions)

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
        await at_service(conn, service_id)
        if rotate:
            await keys.rotate(conn, secrets, actor(), service_id, rotate)
        pair = await keys.read_pair(conn, secrets, service_id)
        if not pair:
            raise StoppedError(f"There is no service {service_id}.")
        return pair

    for slot, key in in_transaction(run).items():
        console.print(f"{slot:<10} {key}")


@service.command("suspend")
def service_suspend(service_id: ServiceId, reason: Reason) -> None:
    """Refuse a service's keys."""
    _suspend("service", service_id, reason)


@service.command("restore")
def service_restore(service_id: ServiceId, reason: Reason) -> None:
    """Accept its keys again."""
    _restore("service", service_id, reason)


@service.command("state")
def service_state(service_id: ServiceId, state: str) -> None:
    """Move a service to draft, approved, published or deleted."""
    from messo.services.services import set_state

    in_transaction(lambda conn: set_state(conn, actor(), service_id, state))
    console.print("Done; in force within a second.")


def _suspend(kind: "Kind", wanted: str, reason: str) -> None:
    from messo.services import oversight

    async def run(conn: Connection) -> bool:
        await _check(conn, kind, wanted)
        return await oversight.suspend(conn, actor(), kind, wanted, reason)

    done = in_transaction(run)
    console.print("Done; in force within a second." if done else "Suspended already.")


def _restore(kind: "Kind", wanted: str, reason: str) -> None:
    from messo.services import oversight

    async def run(conn: Connection) -> bool:
        await _check(conn, kind, wanted)
        return await oversight.restore(conn, actor(), kind, wanted, reason)

    done = in_transaction(run)
    console.print("Done; in force within a second." if done else "It is not suspended.")


async def _check(conn: Connection, kind: "Kind", wanted: str) -> None:
    await (at_institution if kind == "institution" else at_service)(conn, wanted)
