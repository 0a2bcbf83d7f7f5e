"""The webhooks of an institution: which there are, how each of them does, on and off, and away."""

from starlette.responses import Response
from starlette.routing import Route

from messo.console import webhook_deliveries, webhook_form, webhook_secrets, webhook_trial
from messo.console.csv_export import MOST, moment
from messo.console.explained import gettext
from messo.console.visit import Visit, institution_page
from messo.console.webhook_words import id_of, number, page_values, shown
from messo.events import wire
from messo.events.webhook_list import Listed, page_of
from messo.pages.edge import redirect

_PAGE = 50
_DONE = {
    "deleted": gettext("Done: the webhook is gone. Nothing is sent there any more."),
    "changed": gettext("Done: the webhook is changed."),
    "on": gettext("Done: it is on. What waited is sent now."),
    "off": gettext("Done: it is off. Events wait for 30 days."),
    "dropped": gettext("Done: only the newest secret signs from now on."),
}


def routes() -> list[Route]:
    """All pages of webhooks; `new` comes before what looks like an id."""
    one = "/webhooks/{webhook}"
    return [
        institution_page("/webhooks", "console.webhooks", "administer", show_all),
        *webhook_form.routes(),
        *webhook_secrets.routes(),
        *webhook_trial.routes(),
        *webhook_deliveries.routes(),
        institution_page(one, "console.webhook", "administer", show),
        institution_page(
            f"{one}/state", "console.webhook_state", "administer", set_state, ("POST",)
        ),
        institution_page(f"{one}/delete", "console.webhook_deleting", "administer", ask_deletion),
        institution_page(
            f"{one}/delete", "console.webhook_delete", "administer", delete, ("POST",)
        ),
    ]


async def show_all(visit: Visit) -> Response:
    """A page of them, or all in a file."""
    institution = visit.access.institution_id
    if visit.wants_csv:
        items, _ = await page_of(visit.conn, institution, "", MOST)
        return _file(visit, items)
    items, beyond = await page_of(visit.conn, institution, visit.query("after"), _PAGE)
    return visit.page(
        "webhooks.html",
        items=items,
        number=number,
        next=visit.link(after=beyond) if beyond else "",
        first=visit.link(after=None) if visit.query("after") else "",
        done=visit.done(_DONE),
    )


async def show(visit: Visit) -> Response:
    """One of them, and how it does."""
    values = {**page_values(visit, await shown(visit)), "done": visit.done(_DONE)}
    return visit.page("webhook.html", **values)


async def set_state(visit: Visit) -> Response:
    """Switch it on or off. On is a fresh start: failures are forgotten."""
    on = visit.form.get("state") == "on"
    change = wire.WebhookChange(state="on" if on else "off")
    webhook_id = id_of(visit)
    await visit.site.webhooks.change(
        visit.conn, visit.actor, visit.access.institution_id, webhook_id, change
    )
    return redirect(f"{visit.here}/webhooks/{webhook_id}?done={'on' if on else 'off'}")


async def ask_deletion(visit: Visit) -> Response:
    """What is lost with it."""
    return visit.page("webhook_delete.html", webhook=await shown(visit), number=number, error="")


async def delete(visit: Visit) -> Response:
    """Away with it, once that was ticked."""
    if not visit.form.ticked("sure"):
        error = visit.texts.text("Tick this to delete it.")
        webhook = await shown(visit)
        return visit.page("webhook_delete.html", 400, webhook=webhook, number=number, error=error)
    await visit.site.webhooks.delete(
        visit.conn, visit.actor, visit.access.institution_id, id_of(visit)
    )
    return redirect(f"{visit.here}/webhooks?done=deleted")


def _file(visit: Visit, items: list[Listed]) -> Response:
    _ = visit.texts.text
    header = [
        _("Address"),
        _("Service"),
        _("Id"),
        _("Kinds"),
        _("State"),
        _("Last taken"),
        _("Failing since"),
        _("Waiting"),
        _("Given up"),
        _("Last error"),
        _("Made"),
    ]
    return visit.csv("webhooks", header, [_line(visit, one) for one in items])


def _line(visit: Visit, one: Listed) -> list[object]:
    how = one.deliveries
    return [
        one.url,
        one.service_name,
        one.id,
        " ".join(one.kinds),
        visit.explain("webhook", one.standing).label,
        moment(how.success_at),
        moment(how.failing_since),
        number(how.waiting),
        number(how.dead),
        how.last_error,
        moment(one.created_at),
    ]
