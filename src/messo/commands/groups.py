"""Commands about manage keys, for operators: the institution's own, and those of its groups."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from messo.base.db import Connection
from messo.commands.database import (
    InstitutionId,
    StoppedError,
    at_institution,
    at_service,
    console,
    in_transaction,
    listing,
    read_secrets,
    shown,
)
from messo.settings import Settings

if TYPE_CHECKING:
    from messo.services import Manager

group = typer.Typer(
    help="Groups of an institution's services, with manage keys of their own.",
    no_args_is_help=True,
)

T = TypeVar("T")
GroupId = Annotated[str, typer.Argument(help="The group's id.")]
Rotate = Annotated[str | None, typer.Option(help="Replace this key: primary or secondary.")]
Networks = Annotated[
    list[str] | None, typer.Argument(help="IPv4 addresses, or networks as address/bits.")
]
Anywhere = Annotated[bool, typer.Option("--any", help="Accept its keys from anywhere.")]


def add_to(institution: typer.Typer) -> None:
    """Make these commands of `messo institution`."""
    institution.command("keys")(institution_keys)
    institution.command("networks")(institution_networks)
    institution.add_typer(group, name="group")


def institution_keys(institution_id: InstitutionId, rotate: Rotate = None) -> None:
    """Show the institution's own manage keys, or replace one; the old one dies within a second."""
    _show_keys(institution_id, None, rotate)


def institution_networks(
    institution_id: InstitutionId, networks: Networks = None, *, anywhere: Anywhere = False
) -> None:
    """Show or set the networks the keys are accepted from."""
    from messo.services import groups

    given = _given(networks, anywhere=anywhere)

    async def run(conn: Connection, manager: "Manager") -> list[str]:
        if given is None:
            return await groups.read_networks(conn, manager)
        return await groups.put_networks(conn, manager, given)

    _show_networks(_do(institution_id, run))


@group.command("create")
def group_create(
    institution_id: InstitutionId,
    name: Annotated[str, typer.Argument(help="A name that no other group of it has.")],
    networks: Networks = None,
) -> None:
    """Make a group, and show its keys. Without networks they are accepted from anywhere."""
    from messo.services import groups

    secrets = read_secrets(Settings.read())

    async def run(conn: Connection, manager: "Manager") -> tuple[str, dict[str, str]]:
        made = await groups.create(conn, secrets, manager, name, networks or [])
        return made["id"], await groups.read_keys(conn, secrets, manager, made["id"])

    created, pair = _do(institution_id, run)
    console.print(f"Group {created}")
    _print_keys(pair)


@group.command("list")
def group_list(institution_id: InstitutionId) -> None:
    """The groups of an institution."""
    from messo.services import groups

    table = listing("Id", "Name", "Services", "Networks")
    for row in _do(institution_id, groups.list_all):
        networks = ", ".join(row["authorized_cidrs"]) or "any"
        table.add_row(row["id"], shown(row["name"]), str(row["services"]), networks)
    console.print(table)


@group.command("keys")
def group_keys(institution_id: InstitutionId, group_id: GroupId, rotate: Rotate = None) -> None:
    """Show the manage keys of a group, or replace one; the old one dies within a second."""
    _show_keys(institution_id, group_id, rotate)


@group.command("networks")
def group_networks(
    institution_id: InstitutionId,
    group_id: GroupId,
    networks: Networks = None,
    *,
    anywhere: Anywhere = False,
) -> None:
    """Show or set the networks the keys of a group are accepted from."""
    from messo.services import groups

    given = _given(networks, anywhere=anywhere)

    async def run(conn: Connection, manager: "Manager") -> list[str]:
        row = await groups.read(conn, manager, group_id)
        if given is not None:
            row = await groups.change(conn, manager, group_id, row["name"], given)
        return list(row["authorized_cidrs"])

    _show_networks(_do(institution_id, run))


@group.command("assign")
def group_assign(
    service_id: Annotated[str, typer.Argument(help="The service's id.")],
    group_id: Annotated[
        str | None, typer.Argument(help="The group's id; none takes it out of its group.")
    ] = None,
) -> None:
    """Put a service into a group of its institution, or out of it."""
    from messo.services import groups

    async def run(conn: Connection) -> None:
        manager = await at_institution(conn, await at_service(conn, service_id))
        await groups.move(conn, manager, service_id, group_id)

    in_transaction(run)
    console.print("Done.")


@group.command("delete")
def group_delete(institution_id: InstitutionId, group_id: GroupId) -> None:
    """Delete a group without services; its keys die within a second."""
    from messo.services import groups

    _do(institution_id, lambda conn, manager: groups.delete(conn, manager, group_id))
    console.print("Done.")


def _do(institution_id: str, function: "Callable[[Connection, Manager], Awaitable[T]]") -> T:
    async def run(conn: Connection) -> T:
        return await function(conn, await at_institution(conn, institution_id))

    return in_transaction(run)


def _given(networks: list[str] | None, *, anywhere: bool) -> list[str] | None:
    """The list to put; None if nothing was said."""
    if networks and anywhere:
        raise StoppedError("name networks, or say --any, and not both")
    return [] if anywhere else networks or None


def _show_networks(networks: list[str]) -> None:
    console.print("\n".join(networks) or "any")


def _show_keys(institution_id: str, group_id: str | None, slot: str | None) -> None:
    from messo.services import groups, keys

    if slot is not None and slot not in keys.SLOTS:
        raise StoppedError("a key is the primary or the secondary one")
    secrets = read_secrets(Settings.read())

    async def run(conn: Connection, manager: "Manager") -> dict[str, str]:
        if slot is None:
            return await groups.read_keys(conn, secrets, manager, group_id)
        return await groups.rotate(conn, secrets, manager, group_id, slot)

    _print_keys(_do(institution_id, run))


def _print_keys(pair: dict[str, str]) -> None:
    for slot, key in pair.items():
        console.print(f"{slot:<10} {key}")
