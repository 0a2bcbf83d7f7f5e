"""Commands about reminders: on which days they are sent."""

from typing import Annotated

import typer

from messo.commands.database import StoppedError, actor, console, in_transaction, listing

reminders = typer.Typer(help="Reminders: their days.", no_args_is_help=True)


@reminders.command("schedule")
def reminders_schedule(
    kind: Annotated[
        str | None, typer.Argument(help="Change this one: due, undated or unread.")
    ] = None,
    days: Annotated[
        list[int] | None, typer.Argument(help="Before the due date, or after processing.")
    ] = None,
    *,
    none: Annotated[bool, typer.Option("--none", help="On no day.")] = False,
) -> None:
    """On which days citizens are reminded; with a kind and days, change them.

    due: days before the due date of a notice; the day before it is always added. undated: days
    after processing, of a notice without a due date. unread: the same, of a message that nobody
    has opened.
    """
    from messo.reminders.schedules import change_days, read_schedule

    if kind is not None:
        if bool(days) == none:
            raise StoppedError("give the days, or --none")
        chosen = days or []
        in_transaction(lambda conn: change_days(conn, actor(), kind, chosen))
    schedule = in_transaction(read_schedule)
    table = listing("Kind", "Days", "")
    for name, about in (
        ("due", "before the due date, and always the day before it"),
        ("undated", "after processing"),
        ("unread", "after processing"),
    ):
        table.add_row(name, " ".join(str(day) for day in getattr(schedule, name)), about)
    console.print(table)
