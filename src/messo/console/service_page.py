"""One service: how it stands, what to do next, what differs, what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.responses import Response
from starlette.routing import Route

from messo.base.db import Row
from messo.base.forms import whole_number
from messo.console import csv_export, service_shown
from messo.console.explained import gettext
from messo.console.service_edit_pages import shown
from messo.console.visit import Visit, institution_page
from messo.pages.languages import LANGUAGES, Language
from messo.services import logos, owned, payload, review_checks
from messo.services.lifecycle import LIFECYCLE, PUBLICATION
from messo.services.payload import Data
from messo.services.service_list import list_history

_ON_A_PAGE = 20
_DONE: Mapping[str, str] = {
    "made": gettext("Done: the draft is kept. Submit it for review once it is complete."),
    "saved": gettext("Done: your changes are saved."),
    "submitted": gettext("Done: it is in review. An operator looks at it."),
    "approved": gettext(
        "Done: nothing of weight has changed, so it was approved at once, without a review."
    ),
    "rejected": gettext("The automatic check found something: see what is to be changed below."),
    "withdrawn": gettext("Done: it is no longer in review, and you can change it."),
    "released": gettext("Done: citizens see this version within a second."),
    "unpublished": gettext("Done: the catalogue no longer lists it. It can still write."),
    "moved": gettext("Done: it is in the group that you chose."),
}


# What became of a service, by `kind` and `value` of its history.
_BECAME: Mapping[tuple[str, str], str] = {
    ("lifecycle", "draft"): gettext("Draft saved"),
    ("lifecycle", "submitted"): gettext("Submitted for review"),
    ("lifecycle", "approved"): gettext("Approved"),
    ("lifecycle", "rejected"): gettext("Changes requested"),
    ("lifecycle", "deleted"): gettext("Deleted"),
    ("publication", "published"): gettext("Published"),
    ("publication", "unpublished"): gettext("In force, not listed"),
}


@dataclass(frozen=True)
class Became:
    """A line of the history, in words."""

    number: int
    at: datetime
    what: str
    who: str
    reasons: Sequence[str]


def routes() -> list[Route]:
    """For all who may read."""
    return [institution_page("/services/{id}", "console.service", "read", show)]


async def show(visit: Visit) -> Response:
    """The page of a service; `format=csv`: its history as a file."""
    row = await owned.find_own(
        visit.conn, service_shown.manager_of(visit), visit.request.path_params["id"]
    )
    beyond = whole_number(visit.query("before"))
    limit = csv_export.MOST if visit.wants_csv else _ON_A_PAGE + 1
    items = await list_history(visit.conn, row["id"], None if visit.wants_csv else beyond, limit)
    names = await service_shown.names_of_actors(visit.conn, visit.access.institution_id)
    history = [_became(visit, names, item) for item in items]
    if visit.wants_csv:
        return _csv(visit, history)
    return await _page(visit, row, history, beyond)


async def _page(visit: Visit, row: Row, history: Sequence[Became], beyond: int | None) -> Response:
    data = payload.read(row["data"])
    known = await logos.versions(visit.conn, [row["id"]])
    more = len(history) > _ON_A_PAGE
    page = history[:_ON_A_PAGE]
    language = _language(visit)
    groups = await service_shown.group_choices(visit)
    return visit.page(
        "service.html",
        service=row,
        name=data.name,
        data=data,
        live=service_shown.live_state(row),
        working=service_shown.working_state(row),
        can=_can(visit, row),
        wanted=service_shown.reasons(visit.texts, row["reason"]),
        lacking=_lacking(visit, row, data),
        differences=_differences(visit, row, data),
        history=page,
        next=visit.link(before=str(page[-1].number)) if more else "",
        first=visit.link(before=None) if beyond else "",
        groups=groups,
        group_name=dict(groups).get(row["group_id"] or "", ""),
        logo=logos.service_address(row["id"], known[row["id"]]) if row["id"] in known else "",
        card="" if row["status"] == "deleted" else await shown(visit, row, data, language),
        shown_in=language,
        recipients=_recipients(visit, data),
        done=visit.done(_DONE),
    )


def _can(visit: Visit, row: Row) -> frozenset[str]:
    """What the visitor may do with the service as it stands."""
    status, state = row["status"], row["state"]
    is_free = service_shown.allows(visit, "edit")
    deleted = status == "deleted"
    found = {
        "edit": is_free and status in LIFECYCLE["edit"],
        "submit": is_free and status in LIFECYCLE["submit"],
        "withdraw": is_free and status in LIFECYCLE["withdraw"],
        "delete": is_free and status in LIFECYCLE["delete"],
        "release": is_free
        and not deleted
        and state in PUBLICATION
        and (row["waits"] or state == "approved"),
        "unpublish": is_free and not deleted and state == "published",
        "move": service_shown.allows(visit, "administer") and not deleted,
        "keys": service_shown.allows(visit, "administer") and not deleted,
        "messages": "send" in visit.may,
    }
    return frozenset(name for name, may in found.items() if may)


def _lacking(visit: Visit, row: Row, data: Data) -> list[str]:
    """What a review would refuse at once, of a draft."""
    if row["status"] not in LIFECYCLE["submit"]:
        return []
    return service_shown.shortcomings(visit.texts, review_checks.shortcomings(data))


def _differences(visit: Visit, row: Row, data: Data) -> list[service_shown.Difference]:
    """Between what citizens see and the working version, where there are both."""
    if row["state"] not in PUBLICATION:
        return []
    changed = review_checks.differences(payload.of_live(row), data)
    return service_shown.differences(visit.texts, changed)


def _recipients(visit: Visit, data: Data) -> int:
    code = visit.site.service_rules.sandbox_fiscal_code
    return sum(one != code for one in data.authorized_recipients)


def _became(visit: Visit, names: Mapping[str, str], item: Row) -> Became:
    text = _BECAME.get((item["kind"], item["value"]), item["value"])
    return Became(
        item["number"],
        item["at"],
        visit.texts.text(text),
        service_shown.who(visit.texts, names, item["actor"]),
        service_shown.reasons(visit.texts, item["reason"]),
    )


def _csv(visit: Visit, history: Sequence[Became]) -> Response:
    text = visit.texts.text
    header = [
        text("When"),
        text("What"),
        text("Who"),
        text("Reason"),
    ]
    lines: list[list[object]] = [
        [csv_export.moment(item.at), item.what, item.who, " · ".join(item.reasons)]
        for item in history
    ]
    return visit.csv("service-history", header, lines)


def _language(visit: Visit) -> Language:
    asked = visit.query("shown_in")
    return next((one for one in LANGUAGES if one == asked), visit.texts.language)
