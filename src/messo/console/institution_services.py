"""The services of an institution for operators: all of them, and one that is suspended or restored."""

from starlette.responses import Response
from starlette.routing import Route

from messo.base.http import Problem
from messo.console import csv_export, institution_changes, institution_page
from messo.console.explained import gettext
from messo.console.visit import Visit, operator_page
from messo.pages.edge import redirect
from messo.services import overseen
from messo.services.service_list import Chosen, list_by_name

_A_PAGE = 50
_DONE = {
    "suspended": gettext("Done: suspended. Its keys are refused within a second."),
    "restored": gettext("Done: restored. Its keys work again within a second."),
    "same": gettext("Nothing changed: it was so already."),
}
_CHOICES: dict[str, Chosen] = {"": "", "suspended": "suspended", "deleted": "deleted"}


def routes() -> list[Route]:
    """The pages of this file."""
    services = "/institutions/{institution}/services"
    one = f"{services}/{{service_id}}"
    return [
        operator_page(services, "console.institution.services", show_list),
        operator_page(one, "console.institution.service", show),
        operator_page(
            f"{one}/suspension", "console.institution.service.suspend", decide, ("POST",)
        ),
    ]


async def show_list(visit: Visit) -> Response:
    """All services of an institution, by name."""
    found = await institution_page.find(visit)
    words, after = visit.query("search"), visit.query("after")
    chosen = _CHOICES.get(visit.query("state"), "")
    rows = await list_by_name(
        visit.conn,
        found.institution_id,
        chosen=chosen,
        words=words,
        group_id=None,
        after="" if visit.wants_csv else after,
        limit=csv_export.MOST if visit.wants_csv else _A_PAGE + 1,
    )
    if visit.wants_csv:
        _ = visit.texts.text
        told = [
            [
                row["id"],
                row["name"],
                visit.explain("service", state_of(row["state"])).label,
                visit.explain("service", row["status"]).label,
                _("Yes") if row["suspended_at"] else _("No"),
            ]
            for row in rows
        ]
        header = [_("Service"), _("Name"), _("For citizens"), _("Version at work"), _("Suspended")]
        return visit.csv("services", header, told)
    shown = rows[:_A_PAGE]
    return visit.page(
        "institution_services.html",
        found=found,
        at=f"{visit.here}/institutions/{found.institution_id}",
        rows=shown,
        search=words,
        chosen=chosen,
        state_of=state_of,
        next=visit.link(after=shown[-1]["id"]) if len(rows) > _A_PAGE else "",
        first=visit.link(after=None) if after else "",
    )


async def show(visit: Visit) -> Response:
    """One service: how it is, and suspending it."""
    return await _page(visit)


async def decide(visit: Visit) -> Response:
    """Suspend or restore it, for a reason."""
    service = await _find(visit)
    reason, wrong = institution_changes.reason_of(visit)
    if wrong:
        return await _page(visit, 400, reason, wrong)
    service_id = service.row["id"]
    done = await institution_changes.decide(visit, "service", service_id, reason)
    at = f"{visit.here}/institutions/{service.row['institution_id']}"
    return redirect(f"{at}/services/{service_id}?done={done}")


def state_of(state: str) -> str:
    """Under which name `explained` has the state of a live version."""
    return "unpublished" if state == "approved" else state


async def _page(visit: Visit, status: int = 200, reason: str = "", wrong: str = "") -> Response:
    service = await _find(visit)
    return visit.page(
        "institution_service.html",
        status,
        service=service,
        history=await overseen.history(visit.conn, service.row["id"]),
        at=f"{visit.here}/institutions/{service.row['institution_id']}",
        state_of=state_of,
        reason=reason,
        wrong=wrong,
        longest=institution_changes.LONGEST_REASON,
        done=visit.done(_DONE),
    )


async def _find(visit: Visit) -> overseen.Overseen:
    """The service of the address, of the institution of the address. `Problem` 404 otherwise."""
    wanted = visit.request.path_params
    found = await overseen.look(visit.conn, wanted["service_id"])
    if found.row["institution_id"] != wanted["institution"]:
        raise Problem(404, "Not found", "There is no such service.")
    return found
