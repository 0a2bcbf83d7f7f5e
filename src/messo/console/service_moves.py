"""What is done with a service: reviews, releases, groups, and its end."""

from starlette.responses import Response
from starlette.routing import Route

from messo.base.db import Row
from messo.base.forms import whole_number
from messo.console import service_shown
from messo.console.explained import gettext
from messo.console.visit import Visit, institution_page
from messo.pages.edge import redirect
from messo.services import groups, manage, owned, payload, review
from messo.services.lifecycle import LIFECYCLE

_POST = ("POST",)
_UNSURE = gettext("Tick the box first: a service that is deleted does not come back.")


def routes() -> list[Route]:
    """Forms; only what cannot be undone has a page of its own."""
    return [
        institution_page("/services/{id}/submit", "console.service_submit", "edit", submit, _POST),
        institution_page(
            "/services/{id}/withdraw", "console.service_withdraw", "edit", withdraw, _POST
        ),
        institution_page(
            "/services/{id}/release", "console.service_release", "edit", release, _POST
        ),
        institution_page(
            "/services/{id}/unpublish", "console.service_unpublish", "edit", unpublish, _POST
        ),
        institution_page(
            "/services/{id}/group", "console.service_group", "administer", move, _POST
        ),
        institution_page("/services/{id}/delete", "console.service_end", "edit", ask_delete),
        institution_page("/services/{id}/delete", "console.service_delete", "edit", delete, _POST),
    ]


async def submit(visit: Visit) -> Response:
    """Ask for a review; it may be decided at once."""
    manager, service_id = service_shown.writing_manager(visit), _id(visit)
    await review.submit(
        visit.conn,
        manager,
        service_id,
        auto_publish=visit.form.ticked("auto_publish"),
        most=visit.site.service_rules.most,
        version=_seen(visit),
    )
    now = await owned.find_own(visit.conn, manager, service_id)
    return _back(visit, str(now["status"]))


async def withdraw(visit: Visit) -> Response:
    """Take it back before it is decided."""
    await review.withdraw(
        visit.conn, service_shown.writing_manager(visit), _id(visit), _seen(visit)
    )
    return _back(visit, "withdrawn")


async def release(visit: Visit) -> Response:
    """Put the approved version in force, and in the catalogue."""
    await review.release(
        visit.conn,
        service_shown.writing_manager(visit),
        _id(visit),
        most=visit.site.service_rules.most,
        version=_seen(visit),
    )
    return _back(visit, "released")


async def unpublish(visit: Visit) -> Response:
    """List it no longer."""
    await review.unpublish(
        visit.conn, service_shown.writing_manager(visit), _id(visit), _seen(visit)
    )
    return _back(visit, "unpublished")


async def move(visit: Visit) -> Response:
    """Into another group, or out of every group."""
    wanted = visit.form.get("group") or None
    await groups.move(visit.conn, service_shown.writing_manager(visit), _id(visit), wanted)
    return _back(visit, "moved")


async def ask_delete(visit: Visit) -> Response:
    """What deleting means, and the question."""
    manager = service_shown.writing_manager(visit)
    row = await owned.find_live(visit.conn, manager, _id(visit))
    return _question(visit, row)


async def delete(visit: Visit) -> Response:
    """Delete it for good."""
    manager = service_shown.writing_manager(visit)
    row = await owned.find_live(visit.conn, manager, _id(visit))
    if not visit.form.ticked("sure"):
        return _question(visit, row, visit.texts.text(_UNSURE))
    await manage.delete(visit.conn, manager, row["id"], _seen(visit))
    return redirect(f"{visit.here}/services?done=deleted")


def _question(visit: Visit, row: Row, error: str = "") -> Response:
    return visit.page(
        "service_delete.html",
        400 if error else 200,
        service=row,
        name=payload.read(row["data"]).name,
        possible=row["status"] in LIFECYCLE["delete"],
        error=error,
    )


def _id(visit: Visit) -> str:
    return str(visit.request.path_params["id"])


def _seen(visit: Visit) -> int:
    """The version that the page showed; what is no number is none of any service."""
    return whole_number(visit.form.get("version")) or 0


def _back(visit: Visit, done: str) -> Response:
    return redirect(f"{visit.here}/services/{_id(visit)}?done={done}")
