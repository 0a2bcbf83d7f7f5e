"""Commands about the webhooks of a service, for operators: `messo service webhook …`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer

from messo.base.db import Connection, Row
from messo.commands.database import (
    ServiceId,
    StoppedError,
    actor,
    console,
    in_transaction,
    listing,
    read_secrets,
    shown,
)
from messo.events import wire
from messo.settings import Settings

if TYPE_CHECKING:  # what asks others is slow to load, and most commands ask nobody
    from messo.events.webhooks import Webhooks

webhook = typer.Typer(help="Webhooks: where a service's events are sent.", no_args_is_help=True)

T = TypeVar("T")
WebhookId = Annotated[str, typer.Argument(help="The webhook's id.")]


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
    from messo.events.webhooks import institution_of

    async def run(conn: Connection, webhooks: "Webhooks") -> wire.Webhook:
        wanted = {"service_id": service_id, "url": url, "kinds": kind or None}
        new = _convert(wanted, wire.NewWebhook)
        institution = await institution_of(conn, service_id)
        return await webhooks.create(conn, actor(), institution, new)

    made = _do(run)
    console.print(f"Webhook {made.id}\nsecret  {made.secret}")


@webhook.command("list")
def webhook_list(service_id: ServiceId) -> None:
    """A service's webhooks and how deliveries go."""
    table = listing("Id", "Address", "State", "Waiting", "Dead", "Last error")
    for one in _do(lambda conn, webhooks: webhooks.of_service(conn, service_id)):
        health = one.health or wire.Health(0, 0)
        state = one.state + (f", {one.stopped_why}" if one.stopped_why else "")
        table.add_row(
            one.id,
            shown(one.url),
            state,
            str(health.waiting),
            str(health.dead_letters),
            shown(health.last_error or ""),
        )
    console.print(table)


@webhook.command("change")
def webhook_change(
    webhook_id: WebhookId,
    *,
    url: Annotated[str | None, typer.Option(help="Post to this address from now on.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only this kind of event; may be repeated.")
    ] = None,
) -> None:
    """Change a webhook's address or its kinds; another address ends a pause."""
    wanted = _convert({"url": url, "kinds": kind or None}, wire.WebhookChange)
    _do(lambda conn, webhooks: webhooks.change(conn, actor(), None, webhook_id, wanted))
    console.print("Done.")


@webhook.command("on")
def webhook_on(webhook_id: WebhookId) -> None:
    """Switch a webhook on, or end its pause; it goes on where it stood."""
    _switch(webhook_id, "on")


@webhook.command("off")
def webhook_off(webhook_id: WebhookId) -> None:
    """Switch a webhook off; it keeps its place for 30 days."""
    _switch(webhook_id, "off")


def _switch(webhook_id: str, state: wire.State) -> None:
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


@webhook.command("test")
def webhook_test(webhook_id: WebhookId) -> None:
    """Send a test event now, and show what the address answers."""
    from messo.base.outbound import Outbound
    from messo.events.trial import try_once
    from messo.outside import networks

    tried = _do(lambda conn, webhooks: webhooks.to_try(conn, None, webhook_id))

    async def run() -> wire.Tested:
        outbound = Outbound(networks(Settings.read()))
        try:
            return await try_once(outbound, tried)
        finally:
            await outbound.close()

    answer = asyncio.run(run())
    if not answer.delivered:
        raise StoppedError(f"not taken: {answer.error}")
    console.print(f"Taken: status {answer.status}, after {answer.ms} ms.")


@webhook.command("dead-letters")
def webhook_dead_letters(
    webhook_id: WebhookId,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 100,
    after: Annotated[str | None, typer.Option(help="Go on where a list before ended.")] = None,
) -> None:
    """The events that were given up, in the order in which they happened."""
    from messo.events.replay import dead_letters

    async def run(conn: Connection, webhooks: "Webhooks") -> wire.DeadLetters:
        row = await webhooks.find(conn, None, webhook_id)
        return await dead_letters(conn, row, after, limit)

    page = _do(run)
    table = listing("Event", "Kind", "Message", "Given up", "Tries", "Last error")
    for one in page.items:
        table.add_row(
            one.event.id,
            one.event.type.removeprefix("message."),
            one.event.data.message_id,
            one.dead_at,
            str(one.attempts),
            shown(one.error or ""),
        )
    console.print(table)
    if page.next:
        console.print(f"There are more: go on with --after {page.next}")


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

    wanted = _convert({"event_id": event, "from": since, "to": until}, wire.Replay)

    async def run(conn: Connection, webhooks: "Webhooks") -> wire.Replayed:
        row: Row = await webhooks.find_locked(conn, None, webhook_id)
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


def _convert(given: dict[str, Any], shape: type[T]) -> T:
    """What was given on the command line, as the API would take it; None was not given."""
    try:
        return msgspec.convert({k: v for k, v in given.items() if v is not None}, shape)
    except msgspec.ValidationError as error:
        raise StoppedError(str(error)) from None


def _do(function: Callable[[Connection, "Webhooks"], Awaitable[T]]) -> T:
    """Run it in one transaction."""
    from messo.events.webhooks import Webhooks
    from messo.operations import record
    from messo.outside import networks

    settings = Settings.read()
    webhooks = Webhooks(read_secrets(settings), record, networks(settings))
    return in_transaction(lambda conn: function(conn, webhooks))
