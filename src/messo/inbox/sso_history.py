"""Sites that learned who the citizen is: seen, taken along, and not remembered any more."""

from collections.abc import AsyncIterator, Callable, Sequence
from urllib.parse import urlsplit

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from messo.base import clock
from messo.base.forms import short_text
from messo.inbox.rendering import page_headers
from messo.inbox.visit import Site, Visit, citizen_page
from messo.pages.edge import redirect
from messo.pages.languages import ROME, Texts
from messo.sso.export import Words, csv_head, csv_rows, json_members
from messo.sso.history import (
    Access,
    find_visited,
    list_accesses,
    list_consents,
    withdraw,
)

_ON_A_PAGE = 20
_AT_ONCE = 200  # rows of a download that are read together
_LONGEST_ID = 40

Piece = Callable[[Sequence[Access]], bytes]


def routes() -> list[Route]:
    """What is taken back is asked twice: whoever uses the site elsewhere is logged out there."""
    return [
        citizen_page("/data/access", "access.list", show),
        citizen_page("/data/access.csv", "access.csv", send_csv),
        citizen_page("/data/access.json", "access.json", send_json),
        citizen_page("/data/access/withdraw", "access.ask_withdraw", ask_withdraw),
        citizen_page("/data/access/withdraw", "access.withdraw", take_back, methods=("POST",)),
    ]


async def show(visit: Visit) -> Response:
    """What is remembered, and every access, newest first."""
    before = short_text(visit.request.query_params.get("before", ""), 26) or None
    found = await list_accesses(visit.conn, visit.fiscal_code, _ON_A_PAGE + 1, before)
    accesses = found[:_ON_A_PAGE]
    consents = await list_consents(visit.conn, visit.fiscal_code) if before is None else []
    return visit.page(
        "sso_history.html",
        accesses=accesses,
        consents=consents,
        # Once for each site: at the latest time that it let the citizen in.
        leave_at={one.client_id: one.id for one in reversed(accesses) if one.outcome == "redeemed"},
        words=words(visit.texts),
        host=_host,
        before=before,
        older=accesses[-1].id if len(found) > _ON_A_PAGE else "",
        done=visit.request.query_params.get("done", ""),
    )


async def send_csv(visit: Visit) -> Response:
    """All accesses for a spreadsheet (RFC 4180, RFC 7111)."""
    said = words(visit.texts)
    return await _download(
        visit,
        "csv",
        "text/csv; charset=utf-8; header=present",
        csv_head(said),
        lambda accesses: csv_rows(accesses, said),
        b"",
    )


async def send_json(visit: Visit) -> Response:
    """All accesses for programs."""
    is_first = True

    def piece(accesses: Sequence[Access]) -> bytes:
        nonlocal is_first
        members = json_members(accesses, first=is_first)
        is_first = is_first and not accesses
        return members

    return await _download(visit, "json", "application/json", b"[", piece, b"\n]\n")


async def ask_withdraw(visit: Visit) -> Response:
    """What it does, before it is done."""
    client_id = short_text(visit.request.query_params.get("client", ""), _LONGEST_ID)
    visited = await find_visited(visit.conn, visit.fiscal_code, client_id)
    if visited is None:
        return visit.error(404, "problem")
    return visit.page("sso_withdraw.html", visited=visited)


async def take_back(visit: Visit) -> Response:
    """Do not remember a site, and have the citizen logged out there."""
    client_id = short_text(visit.form.get("client"), _LONGEST_ID)
    if not await withdraw(visit.conn, visit.site.secrets, visit.fiscal_code, client_id):
        return visit.error(404, "problem")
    return redirect("/data/access?done=withdrawn-1")


def words(texts: Texts) -> Words:
    """What the page and the files call results and data."""
    known = texts.catalogue
    return Words(
        texts.language,
        (
            known.gettext("When"),
            known.gettext("Institution"),
            known.gettext("Service"),
            known.gettext("Site"),
            known.gettext("Address"),
            known.gettext("How it went"),
            known.gettext("What it got"),
            known.gettext("Message it started from"),
        ),
        {
            "let_in": known.gettext("You logged in"),
            "under_way": known.gettext("Under way"),
            "refused": known.gettext("You said no"),
            "not_taken": known.gettext("The site did not finish the login"),
            "failed": known.gettext("Broken off: something was wrong at the site"),
            "not_answered": known.gettext("You did not answer"),
        },
        {
            "fiscal_code": known.gettext("fiscal code"),
            "given_name": known.gettext("first name"),
            "family_name": known.gettext("family name"),
            "email": known.gettext("e-mail address"),
        },
    )


async def _download(
    visit: Visit, suffix: str, media_type: str, head: bytes, piece: Piece, tail: bytes
) -> Response:
    """A file, piece by piece: no connection is held while the citizen's line is slow."""
    first = await list_accesses(visit.conn, visit.fiscal_code, _AT_ONCE)
    today = clock.now().astimezone(ROME).date().isoformat()
    name = visit.texts.catalogue.gettext("logins")

    async def pieces() -> AsyncIterator[bytes]:
        yield head + piece(first)
        async for accesses in _after(visit.site, visit.fiscal_code, first):
            yield piece(accesses)
        if tail:
            yield tail

    return StreamingResponse(
        pieces(),
        headers={
            **page_headers(""),
            "Cache-Control": "no-store",
            "Content-Type": media_type,
            "Content-Disposition": f'attachment; filename="messo-{name}-{today}.{suffix}"',
        },
    )


async def _after(
    site: Site, fiscal_code: str, first: Sequence[Access]
) -> AsyncIterator[Sequence[Access]]:
    """The pages after the first, each in a transaction of its own."""
    page = first
    while len(page) == _AT_ONCE:
        async with site.pool.transaction() as conn:
            page = await list_accesses(conn, fiscal_code, _AT_ONCE, page[-1].id)
        yield page


def _host(address: str) -> str:
    """What citizens read in their browser's address bar."""
    return urlsplit(address).hostname or address
