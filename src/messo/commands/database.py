"""What commands share: which database, whose secrets, who gives the command."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from messo.base import migrate
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.http import Problem
from messo.base.parameters import storable
from messo.settings import Settings

if TYPE_CHECKING:
    from messo.services import Manager

T = TypeVar("T")

InstitutionId = Annotated[str, typer.Argument(help="The institution's id.")]
ServiceId = Annotated[str, typer.Argument(help="The service's id.")]

console = Console(emoji=False)  # a name with :dog: in it is shown as it is
# To be copied into the next command: never cut off.
_IDS = {"Id", "Service", "Institution", "Key", "Event", "Message"}
_ID = 26  # characters


class StoppedError(Exception):
    """What the command was asked cannot be done; the message says why."""


def database_url(settings: Settings, *, required: bool = True) -> str:
    """The database: the setting, or the embedded one of a running `messo up`."""
    if settings.database_url:
        return settings.database_url
    running = settings.data / "database.url"
    if running.exists():
        return running.read_text().strip()
    if required:
        raise StoppedError("set MESSO_DATABASE_URL, or start the embedded database: `messo up`")
    return ""


def read_secrets(settings: Settings) -> Secrets:
    """The installation's secrets: the setting, or those that `messo up` made."""
    path = settings.data / "secrets"
    text = settings.secrets or (path.read_text() if path.exists() else "")
    return Secrets.parse(text.strip())


def actor() -> str:
    """Who gives the command, for the audit log."""
    return f"cli:{getpass.getuser()}"


def in_transaction(function: Callable[[Connection], Awaitable[T]]) -> T:
    """Run it in one transaction on a database whose schema is ours.

    A refusal of the API is one of the command.
    """

    async def run() -> T:
        pool = await Pool.open(database_url(Settings.read()), 1)
        try:
            async with pool.transaction() as conn:
                await migrate.check(conn)
                return await function(conn)
        finally:
            await pool.close()

    try:
        return asyncio.run(run())
    except Problem as problem:
        raise StoppedError(problem.detail) from None


async def settings_of(conn: Connection) -> Settings:
    """The settings, as they are for this database: those of `messo up` are in no environment."""
    from messo.sandbox import world

    # Where everything runs on one machine, the institutions' own sites may be there too.
    settings = replace(Settings.read(), sandbox=await world.is_sandbox(conn))
    return replace(settings, public_url=_running(settings)) if settings.sandbox else settings


def _running(settings: Settings) -> str:
    """The address of the sandbox of `messo up`, which may be on another port than the usual one."""
    try:
        described = msgspec.json.decode((settings.data / "sandbox.json").read_bytes())
        return str(described["base_url"])
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        return settings.public_url


async def at_institution(conn: Connection, institution_id: str) -> "Manager":
    """The operator, as who manages this institution. `StoppedError` if there is none; no lock."""
    from messo.services import Manager, groups

    operator = Manager(institution_id, frozenset(), actor())
    try:
        if storable(institution_id):
            await groups.read_networks(conn, operator)
            return operator
    except Problem:
        pass
    raise StoppedError(f"There is no institution {institution_id}.")


async def at_service(conn: Connection, service_id: str) -> str:
    """The institution of a service. `StoppedError` if there is no such service; no lock."""
    from messo.services.services import NotAcceptedError, institution_of

    try:
        if storable(service_id):
            return await institution_of(conn, service_id)
    except NotAcceptedError:
        pass
    raise StoppedError(f"There is no service {service_id}.")


def listing(*columns: str) -> Table:
    """An empty table; what is an id stands on one line in any terminal, and nothing is cut off."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in columns:
        if name in _IDS:
            table.add_column(name, no_wrap=True, min_width=_ID)
        else:
            table.add_column(name, overflow="fold")
    return table


def shown(value: object) -> str:
    """Text of others on a terminal: without what would move the cursor, colour it, or be markup."""
    text = "" if value is None else str(value)
    return escape("".join(sign if sign.isprintable() else " " for sign in text))
