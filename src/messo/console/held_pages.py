"""Senders that the mass guard holds, and why; those let past; and who is reported as not wanted."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from babel.numbers import format_decimal
from starlette.responses import Response
from starlette.routing import Route

from messo.base import clock
from messo.base.db import Row
from messo.base.forms import short_text, whole_number
from messo.console.audit_words import Names
from messo.console.csv_export import moment
from messo.console.explained import gettext
from messo.console.visit import Visit, operator_page
from messo.messages import guard
from messo.messages.report_shares import shares
from messo.pages.edge import redirect
from messo.people.authenticate import find_access
from messo.people.members import no_institution
from messo.people.named import named

_LONGEST_REASON = 500
_MOST_HOURS = 720
_DONE = {
    "allowed": gettext("Done: it is let past. Whatever was refused has to be sent again."),
    "ended": gettext("Done: the allowance has ended. The guard counts again."),
    "none": gettext("There was no allowance any more."),
}


@dataclass(frozen=True)
class _Form:
    """An allowance as it was typed, and what is wrong with it, by field."""

    hours: str = "24"
    reason: str = ""
    wrong: tuple[tuple[str, str], ...] = ()


def routes() -> list[Route]:
    """The pages of this file."""
    return [
        operator_page("/held", "console.held", show_held),
        operator_page("/held/reported", "console.held_reported", show_reported),
        operator_page("/held/{institution}", "console.held_sender", show_sender),
        operator_page("/held/{institution}", "console.held_allow", allow, ("POST",)),
        operator_page("/held/{institution}/end", "console.held_end", end, ("POST",)),
    ]


async def show_held(visit: Visit) -> Response:
    """Contents that were stopped, and institutions that are let past."""
    held = await guard.holds(visit.conn)
    allowed = await _in_force(visit)
    if visit.wants_csv:
        if visit.query("list") == "allowances":
            return await _csv_of_allowances(visit, allowed)
        return await _csv_of_holds(visit, held)
    names = await Names.of(
        visit, [word for row in allowed for word in (row["institution_id"], row["allowed_by"])]
    )
    return visit.page(
        "held.html",
        number=partial(format_decimal, locale=visit.texts.locale),
        done=visit.done(_DONE),
        threshold=await _threshold(visit),
        held=held,
        allowed=allowed,
        names=names,
        let_past={row["institution_id"] for row in allowed},
        still_since=clock.now() - guard.WINDOW,
    )


async def show_reported(visit: Visit) -> Response:
    """Services whose messages their recipients say were not meant for them."""
    _ = visit.texts.text
    found = await shares(visit.conn)
    marked_above = visit.site.settings.guard_reports_share
    if visit.wants_csv:
        header = [_("Service"), _("Id"), _("Institution"), _("Reports"), _("Received"), _("Share")]
        return visit.csv(
            "not-for-me",
            [*header, _("Above the mark")],
            [
                [
                    *(one.service_name, one.service_id, one.institution_name, one.reports),
                    *(one.received, f"{one.share:.4f}", one.share > marked_above),
                ]
                for one in found
            ],
        )
    return visit.page(
        "held_reported.html",
        number=partial(format_decimal, locale=visit.texts.locale),
        found=found,
        marked_above=marked_above,
    )


async def show_sender(visit: Visit) -> Response:
    """One institution: what of it is held, and a form to let it past."""
    return await _sender(visit, _Form())


async def allow(visit: Visit) -> Response:
    """Let an institution past the guard for some hours."""
    institution_id = await _institution(visit)
    typed = _Form(
        short_text(visit.form.get("hours"), 20), short_text(visit.form.get("reason"), 2000)
    )
    hours = whole_number(typed.hours)
    wrong = []
    if hours is None or not 1 <= hours <= _MOST_HOURS:
        text = gettext("Give a whole number of hours, from 1 to %(most)s.")
        wrong.append(("hours", visit.texts.text(text, most=_MOST_HOURS)))
    if not typed.reason:
        wrong.append(("reason", visit.texts.text("Say why: the audit log keeps it.")))
    elif len(typed.reason) > _LONGEST_REASON:
        text = gettext("At most %(most)s characters.")
        wrong.append(("reason", visit.texts.text(text, most=_LONGEST_REASON)))
    if hours is None or wrong:
        return await _sender(visit, _Form(typed.hours, typed.reason, tuple(wrong)))
    await guard.allow(visit.conn, visit.actor, institution_id, hours, typed.reason)
    return redirect(f"{visit.here}/held/{institution_id}?done=allowed")


async def end(visit: Visit) -> Response:
    """Take an allowance back before its time."""
    institution_id = await _institution(visit)
    ended = await guard.end_allowance(visit.conn, visit.actor, institution_id)
    return redirect(f"{visit.here}/held?done={'ended' if ended else 'none'}")


async def _sender(visit: Visit, form: _Form) -> Response:
    institution_id = await _institution(visit)
    held = await guard.holds_of(visit.conn, institution_id)
    allowance = [row for row in await _in_force(visit) if row["institution_id"] == institution_id]
    names = await Names.of(visit, [institution_id, *(row["allowed_by"] for row in allowance)])
    if visit.wants_csv:
        return await _csv_of_holds(visit, held, institution_id)
    return visit.page(
        "held_sender.html",
        400 if form.wrong else 200,
        number=partial(format_decimal, locale=visit.texts.locale),
        done=visit.done(_DONE),
        institution_id=institution_id,
        name=names.subject(institution_id).text,
        threshold=await _threshold(visit),
        held=held,
        still_since=clock.now() - guard.WINDOW,
        allowance=allowance[0] if allowance else None,
        names=names,
        form=form,
        wrong=dict(form.wrong),
        most_hours=_MOST_HOURS,
        longest=_LONGEST_REASON,
    )


async def _institution(visit: Visit) -> str:
    """The institution of the address. `Problem` 404 if there is none."""
    wanted = visit.request.path_params["institution"]
    access = await find_access(visit.conn, visit.site.secrets, visit.visitor, wanted)
    if access is None:
        raise no_institution()
    return access.institution_id


async def _threshold(visit: Visit) -> guard.Threshold:
    return await guard.threshold(visit.conn, visit.site.guard.least, visit.site.guard.share)


async def _in_force(visit: Visit) -> list[Row]:
    """Allowances that have not run out, the one that does so first in front."""
    now = clock.now()
    rows = [row for row in await guard.allowances(visit.conn) if row["until"] > now]
    return sorted(rows, key=lambda row: row["until"])


async def _csv_of_holds(visit: Visit, held: Sequence[Row], institution_id: str = "") -> Response:
    _ = visit.texts.text
    most = (await _threshold(visit)).in_force
    name = ""
    if institution_id:
        name = (await named(visit.conn, [institution_id]))[institution_id].name
    header = [_("Institution"), _("Id"), _("Service"), _("Id"), _("People in a day")]
    return visit.csv(
        "held",
        [*header, _("Threshold"), _("Held since")],
        [
            [
                *(name or row["name"], institution_id or row["institution_id"]),
                *(row["service_name"], row["service_id"], row["recipients"], most),
                moment(row["held_at"]),
            ]
            for row in held
        ],
    )


async def _csv_of_allowances(visit: Visit, allowed: Sequence[Row]) -> Response:
    _ = visit.texts.text
    names = await Names.of(
        visit, [word for row in allowed for word in (row["institution_id"], row["allowed_by"])]
    )
    return visit.csv(
        "allowances",
        [_("Institution"), _("Id"), _("Until"), _("By"), _("Why")],
        [
            [
                *(names.subject(row["institution_id"]).text, row["institution_id"]),
                *(moment(row["until"]), names.actor(row["allowed_by"]).text, row["reason"]),
            ]
            for row in allowed
        ],
    )
