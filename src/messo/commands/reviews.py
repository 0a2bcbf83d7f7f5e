"""What operators decide about services that wait for them: `messo service review`."""

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from messo.base.db import Connection
from messo.commands.database import StoppedError, actor, console, in_transaction
from messo.settings import Settings

_MOST = 100  # of the queue that is shown


def review(
    service_id: Annotated[
        str | None, typer.Argument(help="The service's id; without it: all that waits.")
    ] = None,
    *,
    approve: Annotated[bool, typer.Option("--approve", help="Approve it.")] = False,
    reject: Annotated[
        str | None, typer.Option(help="Reject it, for this reason; its institution reads it.")
    ] = None,
    version: Annotated[
        int | None, typer.Option(help="The version that you have looked at, to decide on it.")
    ] = None,
) -> None:
    """What waits for a decision; one of it against the live version; or the decision."""
    if service_id is None:
        _show_queue()
    elif not approve and reject is None:
        _show(service_id)
    elif approve and reject is not None:
        raise StoppedError("either --approve or --reject")
    elif version is None:
        raise StoppedError(f"look at it first: `messo service review {service_id}` says --version")
    elif reject is not None and not reject.strip():
        raise StoppedError("a reason needs words")
    else:
        _decide(service_id, version, None if reject is None else reject.strip())


def _show_queue() -> None:
    from messo.services.review import list_page

    table = Table("Waits since", "Service", "Name", "Institution", box=None)
    rows = in_transaction(lambda conn: list_page(conn, None, _MOST))
    for row in rows:
        since = f"{row['changed_at']:%Y-%m-%d %H:%M}"
        table.add_row(since, row["id"], _shown(row["name"]), _shown(row["institution_name"]))
    console.print(table if rows else "Nothing waits for a decision.")


def _show(service_id: str) -> None:
    from messo.services import payload, review

    found = in_transaction(lambda conn: review.read(conn, service_id))
    first = "first review" if found.live is None else "against the live version"
    console.print(f"{escape(found.institution_name)} ({found.fiscal_code}), {first}")
    after = "released at once" if found.auto_publish else "released when its institution does so"
    console.print(f"version {found.version}; once approved it is {after}\n")
    for name, (before, now) in payload.differences(found.live, found.asked).items():
        console.print(f"[bold]{name}[/bold]")
        if found.live is not None:
            console.print(f"[red]- {_shown(before)}[/red]")
        console.print(f"[green]+ {_shown(now)}[/green]")
    console.print(
        f"\nDecide: messo service review {service_id} --version {found.version} --approve "
        "(or --reject REASON)"
    )


def _shown(value: Any) -> str:  # noqa: ANN401  a member of a service
    """Strangers' text on a terminal: without what would move the cursor or colour it."""
    text = "" if value is None else str(value)
    return escape("".join(sign if sign.isprintable() else " " for sign in text))


def _decide(service_id: str, version: int, reason: str | None) -> None:
    from messo.services import review

    most = Settings.read().service_max_amount

    async def run(conn: Connection) -> None:
        if reason is None:
            await review.approve(conn, actor(), service_id, version, most)
        else:
            await review.reject(conn, actor(), service_id, version, reason)

    in_transaction(run)
    console.print("Rejected." if reason else "Approved; in force within a second.")
