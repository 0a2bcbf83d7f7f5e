"""Commands about the webhooks of a service, for operators: `messo service webhook …`."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.table import Table

from messo.base.db import Connection, Row
from messo.base.http import Problem
from messo.commands.database import StoppedError, actor, console, in_transaction, read_secrets
from messo.events import wire
from messo.events.webhooks import Webhooks, institution_of
from messo.settings import Settings

webhook = typer.Typer(help="Webhooks: where a service's events are sent.", no_args_is_help=True)

T = TypeVar("T")
WebhookId = Annotated[str, typer.Argument(help="The webhook's id.")]
ServiceId = Annotated[str, typer.Argument(help="The service's id.")]


@webhook.command("create")
def webhook_create(
    service_id: ServiceId,
    url: Annotated[str, typer.Argument(help="Where events are posted to: https://…")],
    *,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only this kind of event; may be repeated.")
    ] = None,
) -> None:
    """Tell an address of a service's events from now on, and show the secret that signs them."""

    async def run(conn: Connection, webhooks: Webhooks) -> wire.Webhook:
        wanted = {"service_id": service_id, "url": url} | ({"kinds": kind} if kind else {})
        try:
            new = msgspec.convert(wanted, wire.NewWebhook)
        except msgspec.ValidationError as error:
            raise StoppedError(str(error)) from None
        institution = await institution_of(conn, service_id)
        return await webhooks.create(conn, actor(), institution, new)

    made = _do(run)
    console.print(f"Webhook {made.id}\nsecret  {made.secret}")


@webhook.command("list")
def webhook_list(service_id: ServiceId) -> None:
    """A service's webhooks and how deliveries go."""
    table = Table("Id", "Address", "State", "Waiting", "Dead", "Last error", box=None)
    for one in _do(lambda conn, webhooks: webhooks.of_service(conn, service_id)):
        health = one.health or wire.Health(0, 0)
        state = one.state + (f", {one.stopped_why}" if one.stopped_why else "")
        table.add_row(
            one.id,
            one.url,
            state,
            str(health.waiting),
            str(health.dead_letters),
            health.last_error or "",
        )
    console.print(table)


@webhook.command("on")
def webhook_on(webhook_id: WebhookId) -> None:
    """Switch a webhook on, or end its pause; it goes on where it stood."""
    _change(webhook_id, "on")


@webhook.command("off")
def webhook_off(webhook_id: WebhookId) -> None:
    """Switch a webhook off; it keeps its place for 30 days."""
    _change(webhook_id, "off")


def _change(webhook_id: str, state: wire.State) -> None:
    wanted = wire.WebhookChange(state=state)
    _do(lambda conn, webhooks: webhooks.change(conn, actor(), None, webhook_id, wanted))
    console.print("Done.")


@webhook.command("secret")
def webhook_secret(
    webhook_id: WebhookId,
    *,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Make no new one; only drop the old one.")
    ] = False,
) -> None:
    """Replace the signing secret; the old one signs too for 24 hours, or until it is dropped."""
    if drop_old:
        _do(lambda conn, webhooks: webhooks.drop_old_secrets(conn, actor(), None, webhook_id))
        console.print("Dropped; only the newest secret signs.")
        return
    made = _do(lambda conn, webhooks: webhooks.replace_secret(conn, actor(), None, webhook_id))
    console.print(f"secret  {made.secret}")


@webhook.command("replay")
def webhook_replay(
    webhook_id: WebhookId,
    *,
    event: Annotated[str | None, typer.Option(help="Only the event with this id.")] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="All published from this moment on, and …")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="… before this one.")] = None,
) -> None:
    """Send events again, 10,000 at most: one, or those of a stretch of time."""
    from messo.events.replay import replay
    from messo.operations import record

    given = {"event_id": event, "from": since, "to": until}
    try:
        wanted = msgspec.convert({k: v for k, v in given.items() if v is not None}, wire.Replay)
    except msgspec.ValidationError as error:
        raise StoppedError(str(error)) from None

    async def run(conn: Connection, webhooks: Webhooks) -> wire.Replayed:
        row: Row = await webhooks.find(conn, None, webhook_id)
        answer = await replay(conn, row, wanted)
        await record(conn, actor(), "webhook.replay", webhook_id, events=answer.events)
        return answer

    answer = _do(run)
    console.print(f"{answer.events} events are sent again.")
    if answer.next_from:
        console.print(f"There are more: go on with --from {answer.next_from}")


@webhook.command("delete")
def webhook_delete(webhook_id: WebhookId) -> None:
    """Delete a webhook with its dead letters."""
    _do(lambda conn, webhooks: webhooks.delete(conn, actor(), None, webhook_id))
    console.print("Deleted.")


def _do(function: Callable[[Connection, Webhooks], Awaitable[T]]) -> T:
    """Run it in one transaction; a refusal of the API is one of the command."""
    from messo.operations import record
    from messo.outside import networks

    settings = Settings.read()
    webhooks = Webhooks(read_secrets(settings), record, networks(settings))
    try:
        return in_transaction(lambda conn: function(conn, webhooks))
    except Problem as problem:
        raise StoppedError(problem.detail) from None
