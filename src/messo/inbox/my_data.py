"""What is known about the citizen: taken away, erased, and what they changed."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from messo.base import clock
from messo.base.forms import short_text
from messo.inbox.rendering import page_headers
from messo.inbox.visit import Site, Visit, citizen_page
from messo.pages.edge import redirect
from messo.pages.languages import ROME
from messo.recipients import DataRequest, abort, ask, history, state
from messo.recipients.archive import ArchiveReplacedError, read_piece

_RECENT = 5
_ON_A_PAGE = 50


def routes() -> list[Route]:
    """Deleting is asked twice, and waits for days."""
    return [
        citizen_page("/data", "data.show", show),
        citizen_page("/data/changes", "data.changes", show_changes),
        citizen_page("/data", "data.ask", ask_or_keep, methods=("POST",)),
        citizen_page("/data/archive.zip", "data.archive", send_archive),
        citizen_page("/data/delete", "data.ask_delete", ask_delete),
        citizen_page("/data/delete", "data.delete", delete, methods=("POST",)),
    ]


async def show(visit: Visit) -> Response:
    """The state of what was asked for, and the latest changes."""
    conn, fiscal_code = visit.conn, visit.fiscal_code
    download = await state(conn, fiscal_code, "DOWNLOAD")
    changes = await history(conn, fiscal_code, _RECENT + 1)
    return visit.page(
        "my_data.html",
        download=download,
        ready_until=_ready_until(download, visit.site),
        deletion=await state(conn, fiscal_code, "DELETE"),
        changes=changes[:_RECENT],
        more=len(changes) > _RECENT,
        done=visit.request.query_params.get("done", ""),
    )


async def show_changes(visit: Visit) -> Response:
    """Everything the citizen changed, newest first."""
    before = short_text(visit.request.query_params.get("before", ""), 26) or None
    found = await history(visit.conn, visit.fiscal_code, _ON_A_PAGE + 1, before)
    changes = found[:_ON_A_PAGE]
    return visit.page(
        "data_changes.html",
        changes=changes,
        older=changes[-1]["id"] if len(found) > _ON_A_PAGE else "",
    )


async def ask_or_keep(visit: Visit) -> Response:
    """Have an archive prepared, where none is under way; or take back the wish to be erased."""
    action = visit.form.get("action")
    if action == "keep":  # `Problem` 409 when it is too late
        await abort(visit.conn, visit.fiscal_code, "DELETE")
        return redirect("/data?done=kept-1")
    if action != "download":
        return visit.error(400, "problem")
    if not _waits(await state(visit.conn, visit.fiscal_code, "DOWNLOAD")):
        await ask(visit.conn, visit.fiscal_code, "DOWNLOAD", clock.now())
    return redirect("/data?done=asked-1")


async def send_archive(visit: Visit) -> Response:
    """The archive, piece by piece: no connection is held while the citizen's line is slow."""
    request = await state(visit.conn, visit.fiscal_code, "DOWNLOAD")
    first = await read_piece(visit.conn, visit.fiscal_code, visit.site.secrets, 0)
    if request is None or first is None:
        return visit.error(404, "problem")
    made_on = request.updated_at.astimezone(ROME).date().isoformat()
    return StreamingResponse(
        _pieces(visit.site, visit.fiscal_code, request, first),
        headers={
            **page_headers(""),
            "Cache-Control": "no-store",
            "Content-Type": "application/zip",
            "Content-Disposition": f'attachment; filename="messo-{made_on}.zip"',
        },
    )


async def ask_delete(visit: Visit) -> Response:
    """What deleting does and when, before it is asked for."""
    if _waits(await state(visit.conn, visit.fiscal_code, "DELETE")):
        return redirect("/data")
    days = visit.site.settings.erasure_days
    return visit.page("data_delete.html", days=days, until=clock.now() + timedelta(days=days))


async def delete(visit: Visit) -> Response:
    """Have everything erased, once the days to change one's mind are over."""
    if not _waits(await state(visit.conn, visit.fiscal_code, "DELETE")):
        due = clock.now() + timedelta(days=visit.site.settings.erasure_days)
        await ask(visit.conn, visit.fiscal_code, "DELETE", due)
    return redirect("/data")


async def _pieces(
    site: Site, fiscal_code: str, request: DataRequest, first: bytes
) -> AsyncIterator[bytes]:
    piece: bytes | None = first
    number = 0
    while piece is not None:
        yield piece
        number += 1
        async with site.pool.transaction() as conn:
            # In this order: an archive that is replaced after the look is at least not mixed.
            piece = await read_piece(conn, fiscal_code, site.secrets, number)
            now = await state(conn, fiscal_code, "DOWNLOAD")
        if now is None or now.version != request.version:
            raise ArchiveReplacedError


def _waits(request: DataRequest | None) -> bool:
    return request is not None and request.status in {"PENDING", "WIP"}


def _ready_until(download: DataRequest | None, site: Site) -> datetime | None:
    """Until when an archive can be fetched for certain; None where there is none."""
    if download is None or download.status != "CLOSED":
        return None
    # Its days count from when its making began, which is not before it was asked for.
    until = download.created_at + timedelta(days=site.settings.archive_days)
    return until if until > clock.now() else None
