"""An institution's services: the list, and the pages of each put together."""

from collections.abc import Sequence

from starlette.responses import Response
from starlette.routing import Route

from messo.base.db import Row
from messo.console import csv_export, service_edit_pages, service_moves, service_page
from messo.console.explained import gettext
from messo.console.service_shown import (
    allows,
    group_choices,
    live_state,
    may_write,
    reasons,
    working_state,
)
from messo.console.visit import Visit, institution_page
from messo.messages.characters import on_one_line
from messo.services.service_list import CHOICES, Chosen, count_waiting, list_by_name

_ON_A_PAGE = 50
_SHORT = 120  # characters of a reason in the list
_DONE = {"deleted": gettext("Done: the service is deleted. Its keys are dead.")}
_CHOICES = {
    "": gettext("All but deleted ones"),
    "yours": gettext("Waiting for you"),
    "draft": gettext("Draft"),
    "submitted": gettext("In review"),
    "published": gettext("Published"),
    "unpublished": gettext("Not listed"),
    "suspended": gettext("Suspended"),
    "deleted": gettext("Deleted"),
}


def routes() -> list[Route]:
    """The list first, then what is below a service."""
    return [
        institution_page("/services", "console.services", "read", show_list),
        *service_edit_pages.routes(),
        *service_moves.routes(),
        *service_page.routes(),
    ]


async def show_list(visit: Visit) -> Response:
    """A page of services by name, or all of them as a file."""
    rows = await _rows(visit, csv_export.MOST if visit.wants_csv else _ON_A_PAGE + 1)
    if visit.wants_csv:
        return _csv(visit, rows)
    page = rows[:_ON_A_PAGE]
    in_all, yours = await count_waiting(visit.conn, visit.access.institution_id)
    text = visit.texts.text
    return visit.page(
        "services.html",
        rows=[_line(visit, row) for row in page],
        in_all=in_all,
        yours=yours,
        words=visit.query("q"),
        state_chosen=_chosen(visit),
        states=[(value, text(label)) for value, label in _CHOICES.items()],
        group=visit.query("group"),
        groups=await group_choices(visit),
        may_edit=allows(visit, "edit"),
        may_write=may_write(visit),
        next=visit.link(after=page[-1]["id"]) if len(rows) > _ON_A_PAGE else "",
        first=visit.link(after=None) if visit.query("after") else "",
        done=visit.done(_DONE),
    )


async def _rows(visit: Visit, limit: int) -> Sequence[Row]:
    return await list_by_name(
        visit.conn,
        visit.access.institution_id,
        chosen=_chosen(visit),
        words=visit.query("q"),
        group_id=visit.query("group") or None,
        after="" if visit.wants_csv else visit.query("after"),
        limit=limit,
    )


def _chosen(visit: Visit) -> Chosen:
    asked = visit.query("state")
    return next((one for one in CHOICES if one == asked), "")


def _line(visit: Visit, row: Row) -> dict[str, object]:
    wanted = reasons(visit.texts, row["reason"]) if row["status"] == "rejected" else []
    return {
        **row,
        "live": live_state(row),
        "working": working_state(row),
        "wanted": on_one_line(" · ".join(wanted), _SHORT),
    }


def _csv(visit: Visit, rows: Sequence[Row]) -> Response:
    text = visit.texts.text
    header = [
        text("Id"),
        text("Name"),
        text("For citizens"),
        text("Your version"),
        text("What review wants"),
        text("Group"),
        text("Changed"),
    ]
    lines: list[list[object]] = [
        [
            row["id"],
            row["name"],
            visit.explain("service", live_state(row)).label,
            visit.explain("service", working_state(row)).label,
            " · ".join(reasons(visit.texts, row["reason"])),
            row["group_name"],
            csv_export.moment(row["changed_at"]),
        ]
        for row in rows
    ]
    return visit.csv("services", header, lines)
