"""Making a webhook and changing one: which service, which address, which events."""

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from messo.base.forms import short_text
from messo.base.http import Problem
from messo.console import service_choice
from messo.console.explained import gettext
from messo.console.refusals_shown import refused
from messo.console.service_choice import ServiceChoice
from messo.console.visit import Visit, institution_page
from messo.console.webhook_words import find, id_of, kinds, page_values, shown
from messo.events import wire
from messo.events.kinds import TOLD
from messo.pages.edge import redirect

_LONGEST = 2000
_NO_ADDRESS = gettext("Say at which address your server takes events.")
_NO_KIND = gettext("Tick at least one.")
# Where a refusal is shown, by the place that the API names.
_FIELDS = {"url": "url", "service_id": "service", "kinds": "kinds"}


def routes() -> list[Route]:
    """A new one, and another address or other events for one that is there."""
    new, change = "/webhooks/new", "/webhooks/{webhook}/change"
    return [
        institution_page(new, "console.webhook_new", "administer", show_new),
        institution_page(new, "console.webhook_make", "administer", make, ("POST",)),
        institution_page(change, "console.webhook_changing", "administer", show_change),
        institution_page(change, "console.webhook_change", "administer", change_it, ("POST",)),
    ]


async def show_new(visit: Visit) -> Response:
    """An empty form, once it is known for which service."""
    choice = await service_choice.choose(visit, visit.query("service"))
    return _new_page(visit, choice, "", list(TOLD), {})


async def make(visit: Visit) -> Response:
    """Make it, and show its secret this once."""
    choice = await service_choice.choose(visit, visit.form.get("service"))
    url, wanted = _typed(visit)
    errors = _missing(visit, url, wanted)
    if choice.one is None:
        errors = {"service": visit.texts.text("Choose one of your services."), **errors}
    if errors or choice.one is None:
        return _new_page(visit, choice, url, wanted, errors)
    new = wire.NewWebhook(choice.one.id, url, msgspec.convert(wanted, wire.Kinds))
    try:
        async with visit.conn.transaction():
            made = await visit.site.webhooks.create(
                visit.conn, visit.actor, visit.access.institution_id, new
            )
    except Problem as problem:
        return _new_page(visit, choice, url, wanted, _errors(visit, problem))
    visit.request.path_params["webhook"] = made.id
    values = page_values(visit, await shown(visit))
    return visit.page("webhook.html", 201, **{**values, "secret": str(made.secret), "is_new": True})


async def show_change(visit: Visit) -> Response:
    """The form as the webhook is."""
    row = await find(visit)
    return _change_page(visit, row["id"], row["url"], list(row["kinds"]), {})


async def change_it(visit: Visit) -> Response:
    """Another address is a fresh start; what waits goes there."""
    row = await find(visit)
    url, wanted = _typed(visit)
    errors = _missing(visit, url, wanted)
    if errors:
        return _change_page(visit, row["id"], url, wanted, errors)
    change = wire.WebhookChange(url, msgspec.convert(wanted, wire.Kinds))
    try:
        async with visit.conn.transaction():
            await visit.site.webhooks.change(
                visit.conn, visit.actor, visit.access.institution_id, id_of(visit), change
            )
    except Problem as problem:
        return _change_page(visit, row["id"], url, wanted, _errors(visit, problem))
    return redirect(f"{visit.here}/webhooks/{row['id']}?done=changed")


def _typed(visit: Visit) -> tuple[str, list[str]]:
    """The address and the kinds; a kind that there is not is none."""
    ticked = visit.form.all("kinds")
    return short_text(visit.form.get("url"), _LONGEST), [kind for kind in TOLD if kind in ticked]


def _missing(visit: Visit, url: str, wanted: list[str]) -> dict[str, str]:
    errors = {}
    if not url:
        errors["url"] = visit.texts.text(_NO_ADDRESS)
    if not wanted:
        errors["kinds"] = visit.texts.text(_NO_KIND)
    return errors


def _errors(visit: Visit, problem: Problem) -> dict[str, str]:
    """Where to say why it was refused. Raises it again if it is about nothing in the form."""
    if problem.field not in _FIELDS:
        raise problem
    return {_FIELDS[problem.field]: refused(visit, problem)}


def _new_page(
    visit: Visit, choice: ServiceChoice, url: str, wanted: list[str], errors: dict[str, str]
) -> Response:
    return visit.page(
        "webhook_new.html",
        400 if errors else 200,
        choice=choice,
        url=url,
        kinds=kinds(visit.texts),
        wanted=wanted,
        errors=errors,
    )


def _change_page(
    visit: Visit, webhook_id: str, url: str, wanted: list[str], errors: dict[str, str]
) -> Response:
    return visit.page(
        "webhook_change.html",
        400 if errors else 200,
        webhook_id=webhook_id,
        url=url,
        kinds=kinds(visit.texts),
        wanted=wanted,
        errors=errors,
    )
