"""One institution as operators see it. Nothing of what it writes, nor its keys, is here."""

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from messo.base import clock
from messo.base.db import Row
from messo.console import institution_permissions, roles_shown
from messo.console.explained import gettext
from messo.console.visit import Visit, operator_page
from messo.messages import guard
from messo.messages.report_shares import shares
from messo.people.authenticate import Access, find_access
from messo.people.invitations import list_open
from messo.people.members import list_members, no_institution
from messo.services.listed import standing
from messo.services.service_list import list_by_name

FEW = 50  # services that the page of their institution shows
_DONE = {
    "made": gettext("Done: it is here, and its first admin is invited by mail."),
    "permissions": gettext("Done: the permissions hold within a second."),
    "same": gettext("Nothing changed: it was so already."),
    "suspended": gettext("Done: suspended. Its keys are refused within a second."),
    "restored": gettext("Done: restored. Its keys work again within a second."),
    "invited": gettext("Done: the invitation is on its way by mail."),
    "withdrawn": gettext("Done: the invitation is good no more."),
    "role": gettext("Done: the new role holds from their next click."),
    "removed": gettext("Done: they are out from their next click."),
}


def routes() -> list[Route]:
    """The pages of this file."""
    return [operator_page("/institutions/{institution}", "console.institution", show)]


async def show(visit: Visit) -> Response:
    """All about one institution."""
    return await page(visit)


async def find(visit: Visit) -> Access:
    """The institution that the address names. `Problem` 404 if there is none."""
    wanted = visit.request.path_params["institution"]
    found = await find_access(visit.conn, visit.site.secrets, visit.visitor, wanted)
    if found is None:
        raise no_institution()
    return found


async def page(visit: Visit, status: int = 200, **typed: Any) -> Response:  # noqa: ANN401
    """The page. `typed`: what was typed into a form that was refused, and why it was."""
    found = await find(visit)
    wanted, conn = found.institution_id, visit.conn
    services = await list_by_name(
        conn, wanted, chosen="", words="", group_id=None, after="", limit=FEW + 1
    )
    counts = await standing(conn, wanted)
    suspended: Sequence[Row] = []
    if counts.suspended:
        suspended = await list_by_name(
            conn, wanted, chosen="suspended", words="", group_id=None, after="", limit=FEW
        )
    given = typed.pop("ticked", found.permissions)
    values: dict[str, Any] = {"errors": {}, "typed": {}, "alert": "", **typed}
    return visit.page(
        "institution_one.html",
        status,
        found=found,
        at=f"{visit.here}/institutions/{wanted}",
        permissions=institution_permissions.listed(visit.texts, given),
        seen=" ".join(sorted(found.permissions)),
        people=await list_members(conn, wanted),
        invitations=await list_open(conn, wanted),
        roles=roles_shown.shown(visit.texts),
        services=services[:FEW],
        has_more=len(services) > FEW,
        standing=counts,
        suspended=suspended,
        holds=await guard.holds_of(conn, wanted),
        allowances=[
            one
            for one in await guard.allowances(conn)
            if one["institution_id"] == wanted and one["until"] > clock.now()
        ],
        shares=await shares(conn, wanted),
        most_share=visit.site.settings.guard_reports_share,
        done=visit.done(_DONE),
        **values,
    )
