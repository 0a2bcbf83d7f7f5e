"""Commands about the keys that sign tokens, for operators: `messo sso …`."""

from typing import Annotated

import typer

from messo.base import clock
from messo.base.db import Connection
from messo.commands.database import actor, console, in_transaction, listing, read_secrets
from messo.settings import Settings

sso = typer.Typer(help="Single sign-on: the keys that sign tokens.", no_args_is_help=True)


@sso.command("keys")
def sso_keys() -> None:
    """The published keys, and which of them signs."""
    from messo.sso.keys import list_keys

    now = clock.now()
    table = listing("Key", "Algorithm", "Signs from", "Published until")
    for row in in_transaction(list_keys):
        if row["retired_at"] is None or row["retired_at"] > now:
            until = clock.to_wire(row["retired_at"]) if row["retired_at"] else ""
            table.add_row(row["kid"], row["alg"], clock.to_wire(row["active_at"]), until)
    console.print(table)


@sso.command("rotate")
def sso_rotate(
    *,
    compromised: Annotated[
        bool, typer.Option(help="Somebody else may have the keys: nobody trusts them any more.")
    ] = False,
) -> None:
    """Make new keys. They sign in ten minutes, and the old ones are published for another day."""
    from messo.sso.keys import rotate

    secrets = read_secrets(Settings.read())

    async def run(conn: Connection) -> list[str]:
        return await rotate(conn, secrets, actor(), compromised=compromised)

    for kid in in_transaction(run):
        console.print(f"New key {kid}")
    console.print(
        "They sign within a second; the old ones are gone."
        if compromised
        else "They are published now and sign in ten minutes."
    )
