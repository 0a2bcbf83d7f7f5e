"""Commands about payment notices: events from a file, and those that could not be used."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

from messo.base.db import Pool
from messo.commands.database import (
    StoppedError,
    console,
    database_url,
    in_transaction,
    listing,
    read_secrets,
    shown,
)
from messo.settings import Settings

payments = typer.Typer(help="Payment notices: events, dead letters.", no_args_is_help=True)

_AT_ONCE = 500
_LONGEST = 1024 * 1024  # bytes of a line


@payments.command("import")
def payments_import(
    file: Annotated[
        Path, typer.Argument(help="Payment events: a JSON object on each line, or one JSON list.")
    ],
) -> None:
    """Enter payment events from a file. The same file again changes nothing."""
    from messo.payments.intake import Taken, take

    settings = Settings.read()
    secrets = read_secrets(settings)
    total = Taken()

    async def run(progress: Progress, source: IO[bytes]) -> None:
        pool = await Pool.open(database_url(settings), 1)
        task = progress.add_task("events", total=file.stat().st_size)
        try:
            for batch in _batches(source):
                async with pool.transaction() as conn:
                    total.add(await take(conn, secrets, batch))
                progress.update(task, completed=source.tell())
        finally:
            await pool.close()

    with (
        file.open("rb") as source,
        Progress(
            BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=console, transient=True
        ) as progress,
    ):
        asyncio.run(run(progress, source))
    console.print(
        f"{total.paid} notices paid by this, {total.known} told nothing new, "
        f"{total.ignored} name no notice, {total.dead} could not be used."
    )
    if total.dead:
        console.print("`messo payments dead-letters` shows those.")


@payments.command("dead-letters")
def payments_dead_letters(
    show: Annotated[str, typer.Option(help="Print this one as it came. It may name people.")] = "",
    limit: int = 50,
) -> None:
    """Payment events that could not be used, the newest first; they are kept for 30 days."""
    from messo.payments.intake import dead_letter, dead_letters

    if show:
        secrets = read_secrets(Settings.read())
        body = in_transaction(lambda conn: dead_letter(conn, secrets, show))
        if body is None:
            raise StoppedError(f"there is no dead letter {show}")
        typer.echo(body.decode("utf-8", "replace"))
        return
    table = listing("Id", "When", "Why")
    for row in in_transaction(lambda conn: dead_letters(conn, limit)):
        table.add_row(row["id"], f"{row['at']:%Y-%m-%d %H:%M}", shown(row["reason"]))
    console.print(table)


def _batches(source: IO[bytes]) -> Iterator[list[Any]]:
    """Events, some hundred at a time. A line that is no JSON stays what it is: a dead letter."""
    from messo.payments.payment_event import read_json

    begun = source.read(1)
    while begun.isspace():
        begun = source.read(1)
    source.seek(0)
    if begun == b"[":
        yield from _of_list(source.read())
        return
    batch: list[Any] = []
    while line := source.readline(_LONGEST):
        if not line.strip():
            continue
        try:
            batch.append(read_json(line))
        except (ValueError, RecursionError):
            batch.append(line)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _of_list(text: bytes) -> Iterator[list[Any]]:
    from messo.payments.payment_event import read_json

    try:
        events = read_json(text)
    except (ValueError, RecursionError):
        raise StoppedError(
            "the file begins like a JSON list and is none; one event on each line works too"
        ) from None
    for start in range(0, len(events), _AT_ONCE):
        yield events[start : start + _AT_ONCE]
