"""Commands of the person who runs an installation."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from messo import __version__
from messo.base import crypto, db, migrate
from messo.base.db import Pool
from messo.commands.database import StoppedError, actor, console, database_url, listing, shown
from messo.settings import Settings

commands = typer.Typer()


@commands.command()
def up() -> None:
    """Start the whole platform with a sandbox world; Ctrl-C stops it."""
    from messo.up import Up

    given: dict[str, Any] = {}
    if "MESSO_PUBLIC_URL" not in os.environ:
        given["public_url"] = f"http://127.0.0.1:{os.environ.get('MESSO_PORT', '8480')}"
    Up(Settings.read(**given)).run()


@commands.command()
def serve() -> None:
    """Answer requests, as one of any number of servers."""
    from messo.serve import serve as run

    run(Settings.read())


@commands.command()
def work() -> None:
    """Do the background work, as one of any number of workers."""
    from messo.serve import work as run

    run(Settings.read())


@commands.command(name="migrate")
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
        conn = await db.connect(database_url(settings))
        try:
            return await migrate.migrate(conn, settings.buckets, console.print, only_pre=only_pre)
        finally:
            await conn.close()

    count = asyncio.run(run())
    console.print(f"{count} migrations applied; the schema is up to date.")
    if dump:
        from messo.base.schema_dump import dump_schema

        dump.write_text(dump_schema(database_url(settings)))


@commands.command()
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
    findings = asyncio.run(
        examine(
            database_url(settings, required=False),
            settings.data,
            settings.secrets,
            settings.mail_from,
            settings.contact,
        )
    )
    table = listing("", "Check", "Finding")
    for finding in findings:
        mark = {"ok": "[green]ok[/green]", "warn": "[yellow]note[/yellow]", "bad": "[red]bad[/red]"}
        table.add_row(mark[finding.state], finding.what, shown(finding.says))
    console.print(table)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


@commands.command()
def replay() -> None:
    """Queue every FAILED message again."""
    from messo.messages import process

    async def run() -> int:
        with console.status("Queueing …") as status:
            pool = await Pool.open(database_url(Settings.read()), 2)
            try:
                return await process.replay(
                    pool, actor(), lambda count: status.update(f"Queued {count} …")
                )
            finally:
                await pool.close()

    console.print(f"{asyncio.run(run())} messages queued again.")


@commands.command()
def version() -> None:
    """The version of this program."""
    print(__version__)  # noqa: T201


@commands.command()
def bench(names: Annotated[list[str] | None, typer.Argument(help="Only these.")] = None) -> None:
    """Run the benchmarks of a checkout; each prints its ceiling, measured in the same run."""
    if not Path("bench/run.py").exists():
        raise StoppedError("the benchmarks are in a checkout of Messo: run this in its folder")
    sys.exit(subprocess.call([sys.executable, "-m", "bench.run", *(names or [])]))  # noqa: S603
