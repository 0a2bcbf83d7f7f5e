"""What commands share: which database, whose secrets, who gives the command."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rich.console import Console

from messo.base import migrate
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.http import Problem
from messo.settings import Settings

T = TypeVar("T")

console = Console()


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
