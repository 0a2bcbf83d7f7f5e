"""What was given up: messages, events of webhooks, events of payments, wishes of citizens.

Operators see that something failed and have it tried again; they see nothing of citizens.
"""

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from messo.base.forms import whole_number
from messo.base.parameters import storable
from messo.console.csv_export import MOST, moment
from messo.console.explained import gettext
from messo.console.failed_counts import count_all
from messo.console.visit import Visit, operator_page
from messo.events.dead_letters import COUNTED, dead_totals, replay_dead
from messo.messages import failed
from messo.operations import record
from messo.pages.edge import redirect
from messo.payments import intake
from messo.recipients.data_requests import failed_requests

_A_PAGE = 50
_REQUESTS = 1000  # failed wishes are few; those of a whole installation fit a page


def routes() -> list[Route]:
    """The pages of this file."""
    return [
        operator_page("/failed", "console.failed", show_messages),
        operator_page("/failed", "console.failed_replay", replay_messages, ("POST",)),
        operator_page("/failed/webhooks", "console.failed_webhooks", show_webhooks),
        operator_page(
            "/failed/webhooks/{webhook}/replay",
            "console.failed_webhook_replay",
            replay_webhook,
            ("POST",),
        ),
        operator_page("/failed/payments", "console.failed_payments", show_payments),
        operator_page(
            "/failed/payments", "console.failed_payments_replay", replay_payments, ("POST",)
        ),
        operator_page("/failed/requests", "console.failed_requests", show_requests),
    ]


async def show_messages(visit: Visit) -> Response:
    """Messages that could not be decided for a week."""
    return await _messages(visit)


async def replay_messages(visit: Visit) -> Response:
    """Those that were ticked, or all of the page, tried again."""
    chosen = _chosen(visit)
    if not chosen:
        return await _messages(visit, nothing_chosen=True)
    count = await failed.replay(visit.conn, visit.actor, chosen)
    return redirect(f"{visit.here}/failed?done=replayed&n={count}")


async def show_webhooks(visit: Visit) -> Response:
    """Webhooks with events that were given up."""
    _ = visit.texts.text
    if visit.wants_csv:
        rows = (await dead_totals(visit.conn, limit=MOST)).rows
        header = [_("Institution"), _("Service"), _("Webhook"), _("Server"), _("State")]
        return visit.csv(
            "dead-letters-webhooks",
            [*header, _("Dead letters"), _("Oldest"), _("Last error")],
            [
                [
                    *(one.institution_name, one.service_name, one.webhook_id, one.host),
                    *(visit.explain("webhook", _state(one.state, one.stopped_why)).label,),
                    *(_counted(one.letters), moment(one.oldest_at), one.last_error),
                ]
                for one in rows
            ],
        )
    after = _place(visit, "after")
    page = await dead_totals(visit.conn, after)
    return visit.page(
        "failed_webhooks.html",
        done=_done(visit),
        counts=await count_all(visit.conn),
        rows=[
            (
                one,
                visit.explain("webhook", _state(one.state, one.stopped_why)),
                _counted(one.letters),
            )
            for one in page.rows
        ],
        next=visit.link(after=page.next) if page.next else "",
        first=visit.link(after=None) if after else "",
    )


async def replay_webhook(visit: Visit) -> Response:
    """All dead letters of a webhook, sent again from the oldest on."""
    webhook_id = visit.request.path_params["webhook"]
    if not storable(webhook_id):
        return visit.problem(404, "nothing", again=f"{visit.here}/failed/webhooks")
    webhook = await visit.site.webhooks.find_locked(visit.conn, None, webhook_id)
    count, more = await replay_dead(visit.conn, webhook)
    if count:
        await record(visit.conn, visit.actor, "webhook.replay", webhook_id, events=count)
    return redirect(f"{visit.here}/failed/webhooks?done={'more' if more else 'events'}&n={count}")


async def show_payments(visit: Visit) -> Response:
    """Payment events that could not be used."""
    return await _payments(visit)


async def replay_payments(visit: Visit) -> Response:
    """Those that were ticked, or all of the page, read again."""
    chosen = _chosen(visit)
    if not chosen:
        return await _payments(visit, nothing_chosen=True)
    done = await intake.replay(visit.conn, visit.site.secrets, visit.actor, chosen)
    return redirect(
        f"{visit.here}/failed/payments?done=payments&n={done.used}&dead={done.still_dead}"
    )


async def show_requests(visit: Visit) -> Response:
    """What citizens asked for and did not get."""
    _ = visit.texts.text
    limit = MOST if visit.wants_csv else _REQUESTS
    rows: list[dict[str, Any]] = list(await failed_requests(visit.conn, visit.site.secrets, limit))
    if visit.wants_csv:
        return visit.csv(
            "failed-requests",
            [_("Citizen (keyed hash)"), _("Wish"), _("Attempts"), _("Given up")],
            [
                [
                    *(row["citizen"], visit.explain("wish", str(row["choice"])).label),
                    *(row["attempts"], moment(row["updated_at"])),
                ]
                for row in rows
            ],
        )
    return visit.page("failed_requests.html", counts=await count_all(visit.conn), rows=rows)


async def _messages(visit: Visit, *, nothing_chosen: bool = False) -> Response:
    _ = visit.texts.text
    if visit.wants_csv:
        rows = (await failed.failed_messages(visit.conn, limit=MOST)).rows
        return visit.csv(
            "failed-messages",
            [_("Message"), _("Institution"), _("Service"), _("Service id"), _("Sent")],
            [
                [
                    *(one.id, one.institution_name, one.service_name, one.service_id),
                    moment(one.created_at),
                ]
                for one in rows
            ],
        )
    before = _place(visit, "before")
    page = await failed.failed_messages(visit.conn, before or None, _A_PAGE)
    return visit.page(
        "failed.html",
        400 if nothing_chosen else 200,
        done=_done(visit),
        nothing_chosen=nothing_chosen,
        counts=await count_all(visit.conn),
        rows=page.rows,
        next=visit.link(before=page.next, n=None) if page.next else "",
        first=visit.link(before=None, n=None) if before else "",
    )


async def _payments(visit: Visit, *, nothing_chosen: bool = False) -> Response:
    _ = visit.texts.text
    if visit.wants_csv:
        rows = await intake.dead_letters(visit.conn, MOST)
        return visit.csv(
            "dead-letters-payments",
            [_("Id"), _("When"), _("Why")],
            [[row["id"], moment(row["at"]), row["reason"]] for row in rows],
        )
    before = _place(visit, "before")
    rows = await intake.dead_letters(visit.conn, _A_PAGE + 1, before)
    shown = rows[:_A_PAGE]
    place = intake.place_of(shown[-1]) if len(rows) > _A_PAGE else None
    return visit.page(
        "failed_payments.html",
        400 if nothing_chosen else 200,
        done=_done(visit),
        nothing_chosen=nothing_chosen,
        counts=await count_all(visit.conn),
        rows=shown,
        next=visit.link(before=place, n=None, dead=None) if place else "",
        first=visit.link(before=None, n=None, dead=None) if before else "",
    )


def _chosen(visit: Visit) -> list[str]:
    """Ids that were ticked, or all that the page showed. No more than a page has."""
    ids = visit.form.all("shown" if visit.form.get("what") == "all" else "id")
    return [one for one in ids[:_A_PAGE] if one and storable(one)]


def _place(visit: Visit, name: str) -> str:
    """A place in a list. A POST answers with the first page: what is replayed leaves the list."""
    return "" if visit.request.method == "POST" else visit.query(name)


def _done(visit: Visit) -> str:
    """What a form before this page did, with its numbers."""
    kind = visit.query("done")
    n, dead = (whole_number(visit.query(name)) or 0 for name in ("n", "dead"))
    if kind == "replayed":
        return visit.texts.count(
            "Done: %(n)s message is tried again. In a moment it is decided, or waits on.",
            "Done: %(n)s messages are tried again. In a moment they are decided, or wait on.",
            n,
        )
    if kind == "payments":
        return visit.texts.count(
            "Done: %(n)s payment event could be used this time, %(dead)s still not.",
            "Done: %(n)s payment events could be used this time, %(dead)s still not.",
            n,
            dead=dead,
        )
    if kind in {"events", "more"}:
        said = visit.texts.count(
            "Done: %(n)s event is sent again.", "Done: %(n)s events are sent again.", n
        )
        more = gettext("There are more of this webhook: press again once these are gone.")
        return f"{said} {visit.texts.text(more)}" if kind == "more" else said
    return ""


def _state(state: str, stopped_why: str | None) -> str:
    """As `explained` calls it."""
    if state == "on":
        return "on"
    return "stopped" if stopped_why == "failing" else stopped_why or "asked"


def _counted(number: int) -> str:
    return f"{COUNTED}+" if number > COUNTED else str(number)
