"""Services that wait for an operator's decision: the queue, one of them, and what is decided."""

import re
from datetime import datetime
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from messo.base import clock
from messo.base.db import Connection
from messo.base.forms import whole_number
from messo.base.http import Problem
from messo.console import csv_export, review_shown, service_shown
from messo.console.explained import gettext
from messo.console.service_form import shown_service
from messo.console.visit import Visit, operator_page
from messo.operations import doctor
from messo.pages.edge import redirect
from messo.services import logos, overseen, owned, review, review_checks
from messo.services.lifecycle import PUBLICATION
from messo.services.payload import Data

_A_PAGE = 50
_PLACE = re.compile(r"([0-9]{1,17})-([0-9A-Z]{26})\Z", re.ASCII)
_LEAST, _MOST = 10, 4000  # characters of a reason; more than the API takes is not possible
_CHANGED = gettext(
    "It was changed while you were reading. Nothing was decided: this is how it is now."
)
_DONE = {
    "published": gettext("Done: “%(name)s” is approved, and citizens see it now."),
    "approved": gettext(
        "Done: “%(name)s” is approved. Its institution decides when citizens see it."
    ),
    "waits": gettext(
        "Done: “%(name)s” is approved. The version before stays in force until its institution "
        "releases this one."
    ),
    "rejected": gettext(
        "Done: changes to “%(name)s” are requested. Its institution reads your reason, and can "
        "submit it again."
    ),
}


def routes() -> list[Route]:
    """The pages of this file."""
    one = "/reviews/{service_id}"
    return [
        operator_page("/reviews", "console.reviews", show_queue),
        operator_page(one, "console.review", show),
        operator_page(f"{one}/approval", "console.review.approve", approve, ("POST",)),
        operator_page(f"{one}/rejection", "console.review.reject", reject, ("POST",)),
    ]


async def show_queue(visit: Visit) -> Response:
    """What waits, the longest first."""
    match = _PLACE.match(visit.query("after"))
    after = (int(match[1]), match[2]) if match else None
    if visit.wants_csv:
        return await _file(visit)
    rows = await review.list_page(visit.conn, after, _A_PAGE + 1)
    following = ""
    if len(rows) > _A_PAGE:
        following = "{}-{}".format(*review.place(rows[_A_PAGE - 1]))
    return visit.page(
        "reviews.html",
        rows=rows[:_A_PAGE],
        approved=set(PUBLICATION),
        waiting=await doctor.count_reviews(visit.conn),
        days=_days,
        next=visit.link(after=following) if following else "",
        first=visit.link(after=None) if after else "",
        done=await _done(visit),
    )


async def show(visit: Visit) -> Response:
    """One service that waits: what it would be, against what it is."""
    return await _page(visit)


async def approve(visit: Visit) -> Response:
    """Approve the version that was looked at."""
    service_id = visit.request.path_params["service_id"]
    most = visit.site.settings.service_max_amount
    try:
        async with visit.conn.transaction():
            place = await _place(visit.conn, service_id)
            became = await review.approve(
                visit.conn, visit.actor, service_id, _version(visit), most
            )
    except Problem as problem:
        return await _not_decided(visit, problem)
    return await _next(visit, place, became)


async def reject(visit: Visit) -> Response:
    """Ask for changes to the version that was looked at, for a reason."""
    service_id = visit.request.path_params["service_id"]
    reason = visit.form.get("reason").replace("\r\n", "\n").strip()
    if not _LEAST <= len(reason) <= _MOST:
        wrong = visit.texts.text(
            "Say what to change in %(least)s to %(most)s characters.", least=_LEAST, most=_MOST
        )
        return await _page(visit, 400, reason=reason, wrong=wrong)
    try:
        async with visit.conn.transaction():
            place = await _place(visit.conn, service_id)
            await review.reject(visit.conn, visit.actor, service_id, _version(visit), reason)
    except Problem as problem:
        return await _not_decided(visit, problem, reason)
    return await _next(visit, place, "rejected")


async def _page(
    visit: Visit, status: int = 200, *, reason: str = "", wrong: str = "", alert: str = ""
) -> Response:
    texts = visit.texts
    service = await overseen.look(visit.conn, visit.request.path_params["service_id"])
    history = await overseen.history(visit.conn, service.row["id"])
    common: dict[str, Any] = {
        "service": service,
        "history": history,
        "alert": alert,
        "done": await _done(visit),
    }
    if service.row["status"] != "submitted":
        return visit.page("review_decided.html", status, **common)
    found = await review.read(visit.conn, service.row["id"])
    after = await _card(visit, service, found.asked)
    before = await _card(visit, service, found.live) if found.live is not None else ""
    following = await review.list_page(visit.conn, await _place(visit.conn, found.id), 1)
    code = visit.site.service_rules.sandbox_fiscal_code
    asked = review_shown.without_trial(found.asked, code)
    live = review_shown.without_trial(found.live, code) if found.live is not None else None
    return visit.page(
        "review_one.html",
        status,
        found=found,
        members=review_shown.members(texts, asked),
        changes=review_shown.changes(texts, live, asked) if live is not None else [],
        shortcomings=service_shown.shortcomings(texts, review_checks.shortcomings(found.asked)),
        before=before,
        after=after,
        most_amount=visit.site.settings.service_max_amount,
        longest=_MOST,
        reason=reason,
        wrong=wrong,
        following=following[0]["id"] if following else "",
        **common,
    )


async def _card(visit: Visit, service: overseen.Overseen, data: Data) -> str:
    """A version as the catalogue would show it, were it the live one."""
    row = service.row
    of = (row["institution_id"], row["institution_name"], row["fiscal_code"])
    shown = shown_service(data, row["id"], of, data.name, row["category"])
    drawn = await logos.addresses(visit.conn, row["id"], of[0], of[2])
    return visit.site.preview_service(shown, visit.texts.language, drawn)


async def _not_decided(visit: Visit, problem: Problem, reason: str = "") -> Response:
    """The page anew, which says why: another version by now, decided already, a name is taken."""
    if problem.status != 409:  # noqa: PLR2004
        raise problem
    if problem.field == "version":
        alert = visit.texts.text(_CHANGED)
    elif problem.detail.startswith("name:"):
        alert = visit.texts.text(
            "Not approved: another service of this institution has this name already. Ask for "
            "another name."
        )
    else:
        alert = visit.texts.text("Nothing was decided: it is not in review any more.")
    return await _page(visit, 409, reason=reason, alert=alert)


async def _next(visit: Visit, place: tuple[int, str] | None, word: str) -> Response:
    """On to what has waited longest behind this one, else from the beginning, else the queue."""
    rows = await review.list_page(visit.conn, place, 1)
    rows = rows or await review.list_page(visit.conn, None, 1)
    one = f"/{rows[0]['id']}" if rows else ""
    decided = visit.request.path_params["service_id"]
    return redirect(f"{visit.here}/reviews{one}?done={word}&decided={decided}")


async def _done(visit: Visit) -> str:
    """What was decided before this page, and of which service; empty if nothing was."""
    text = _DONE.get(visit.query("done"))
    row = await owned.find(visit.conn, visit.query("decided")) if text else None
    return visit.texts.text(text, name=row["name"]) if text and row else ""


async def _place(conn: Connection, service_id: str) -> tuple[int, str] | None:
    """Where a service is in the queue, before it is decided; None if it is not in it."""
    found = await overseen.look(conn, service_id)
    return review.place(found.row) if found.row["status"] == "submitted" else None


async def _file(visit: Visit) -> Response:
    _ = visit.texts.text
    rows = await review.list_page(visit.conn, None, csv_export.MOST)
    return visit.csv(
        "reviews",
        [
            _("Service"),
            _("Name"),
            _("Institution"),
            _("Fiscal code"),
            _("Waits since"),
            _("First review"),
        ],
        [
            [
                row["id"],
                row["name"],
                row["institution_name"],
                row["fiscal_code"],
                csv_export.moment(row["changed_at"]),
                _("No") if row["state"] in PUBLICATION else _("Yes"),
            ]
            for row in rows
        ],
    )


def _version(visit: Visit) -> int:
    """The version that was looked at; none that there is for what is no number."""
    return whole_number(visit.form.get("version")) or 0


def _days(moment: datetime) -> int:
    return (clock.now() - moment).days
