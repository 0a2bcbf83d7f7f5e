"""What operators decide about services that wait for them: `messo service review`."""

from typing import Annotated

import typer

from messo.base.db import Connection
from messo.commands.database import StoppedError, actor, console, in_transaction, listing, shown
from messo.settings import Settings

_MOST = 100  # of the queue that is shown
_APPROVED = {
    "published": "Approved and released; in force within a second.",
    "approved": "Approved. Its institution releases it.",
    "waits": "Approved. The version that is published stays until its institution releases this one.",
}


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

    table = listing("Waits since (UTC)", "Service", "Name", "Of")
    rows = in_transaction(lambda conn: list_page(conn, None, _MOST + 1))
    for row in rows[:_MOST]:
        since = f"{row['changed_at']:%Y-%m-%d %H:%M}"
        table.add_row(since, row["id"], shown(row["name"]), shown(row["institution_name"]))
    console.print(table if rows else "Nothing waits for a decision.")
    if len(rows) > _MOST:
        console.print(f"More than {_MOST} wait; these have waited longest.")


def _show(service_id: str) -> None:
    from messo.services import review
    from messo.services.review_checks import differences

    found = in_transaction(lambda conn: review.read(conn, service_id))
    first = "first review" if found.live is None else "against the live version"
    console.print(f"{shown(found.institution_name)} ({found.fiscal_code}), {first}")
    after = "released at once" if found.auto_publish else "released when its institution does so"
    console.print(f"version {found.version}; once approved it is {after}\n")
    for name, (before, now) in differences(found.live, found.asked).items():
        if found.live is None and not now:  # nothing was, and nothing will be
            continue
        console.print(f"[bold]{name}[/bold]")
        if found.live is not None:
            console.print(f"[red]- {shown(before)}[/red]")
        console.print(f"[green]+ {shown(now)}[/green]")
    console.print(
        f"\nDecide: messo service review {service_id} --version {found.version} --approve "
        "(or --reject REASON)"
    )


def _decide(service_id: str, version: int, reason: str | None) -> None:
    from messo.services import review

    most = Settings.read().service_max_amount

    async def run(conn: Connection) -> str:
        if reason is None:
            return _APPROVED[await review.approve(conn, actor(), service_id, version, most)]
        await review.reject(conn, actor(), service_id, version, reason)
        return "Rejected."

    console.print(in_transaction(run))
