"""The inbox: received and archived messages, narrowed, searched, and several at once."""

from dataclasses import replace
from typing import Any, get_args
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from messo.base.forms import short_text
from messo.inbox.visit import Visit, citizen_page
from messo.messages import mailbox
from messo.messages.mailbox import Filters, Kind, Line
from messo.pages.edge import redirect
from messo.payments import Notice, ledger

_ON_A_PAGE = 25
_AT_ONCE = 100  # ids that one form may name


def routes() -> list[Route]:
    """`/` is elsewhere: for whoever is not logged in it is another page."""
    return [
        citizen_page("/messages", "inbox.act", act, methods=("POST",)),
        citizen_page("/messages/new", "inbox.new", show_new, by_itself=True),
    ]


async def show(visit: Visit) -> Response:
    """One page of messages, newest first. In a request of htmx, what is older is appended."""
    query = visit.request.query_params
    filters = filters_of(visit)
    before, after, at = (short_text(query.get(name, ""), 27) for name in ("before", "after", "at"))
    if at:
        before = await _page_of(visit, filters, at)
    found = await mailbox.list_messages(
        visit.conn,
        visit.fiscal_code,
        filters,
        limit=_ON_A_PAGE,
        before=before or None,
        after=after or None,
        nearest=True,
    )
    first = not (before or after) and filters == Filters()
    return visit.page(
        "message_list.html",
        page=found,
        settled=await _settled(visit, found.items),
        filters=filters,
        narrowed=filters != Filters(archived=filters.archived),
        unread=await mailbox.count_unread(visit.conn, visit.fiscal_code),
        senders=await mailbox.senders_of(visit.conn, visit.fiscal_code),
        link=_links(filters),
        here=_here(filters, before=before, after=after),
        newest=found.items[0].id if found.items and first else "",
        live=first,
        done=query.get("done", ""),
    )


async def _settled(visit: Visit, lines: list[Line]) -> dict[str, str]:
    """By message id, how its notice stands, where nothing is to be paid any more."""
    notices = {
        line.id: Notice(line.payment.payee_fiscal_code, line.payment.notice_number)
        for line in lines
        if line.payment
    }
    if not notices:
        return {}
    known = await ledger.read(visit.conn, notices.values())
    return {
        message_id: known[notice].state
        for message_id, notice in notices.items()
        if notice in known and known[notice].state in ledger.SETTLED
    }


async def _page_of(visit: Visit, filters: Filters, message_id: str) -> str:
    """The way back from a message: the first page if it is there, else one that begins with it."""
    newer = await mailbox.list_messages(
        visit.conn, visit.fiscal_code, filters, limit=_ON_A_PAGE, after=message_id, nearest=True
    )
    return f"{message_id}~" if len(newer.items) == _ON_A_PAGE else ""


async def show_new(visit: Visit) -> Response:
    """What came in since the newest message on the page: for htmx, every few seconds."""
    after = short_text(visit.request.query_params.get("after", ""), 26)
    found = await mailbox.list_messages(
        visit.conn, visit.fiscal_code, Filters(), limit=_ON_A_PAGE, after=after or None
    )
    if not found.items:
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    return visit.page(
        "new_messages.html",
        page=found,
        settled=await _settled(visit, found.items),
        filters=Filters(),
        newest=found.items[0].id,
        unread=await mailbox.count_unread(visit.conn, visit.fiscal_code),
    )


async def act(visit: Visit) -> Response:
    """Archive, bring back, or mark as read: one message or several."""
    ids = [short_text(value, 26) for value in visit.form.all("id")][:_AT_ONCE]
    action = visit.form.get("action")
    back = visit.form.get("back", "/")
    if action in {"archive", "restore", "read"} and ids:
        archived = {"archive": True, "restore": False}.get(action)
        marked = await mailbox.mark(
            visit.conn, visit.fiscal_code, ids, read=action == "read", archived=archived
        )
        done = f"{action}-{len(marked)}"
    else:
        done = "none"
    return redirect(_with(back, done=done))


def filters_of(visit: Visit) -> Filters:
    """What the address says the list is narrowed to. What it does not know is left out."""
    query = visit.request.query_params
    kind: Kind | None = next((k for k in get_args(Kind) if k == query.get("kind")), None)
    return Filters(
        archived=query.get("archived") == "1",
        unread=query.get("unread") == "1",
        kind=kind,
        service_id=short_text(query.get("service", ""), 64) or None,
        words=short_text(query.get("q", ""), 200) or None,
    )


def _links(filters: Filters) -> Any:  # noqa: ANN401  called by the template
    """`link(unread=True)`: the address of the same list with something changed."""

    def link(before: str = "", after: str = "", **changed: Any) -> str:  # noqa: ANN401
        return _here(replace(filters, **changed), before=before, after=after)

    return link


def _here(filters: Filters, **place: str) -> str:
    values = {
        "archived": "1" if filters.archived else "",
        "unread": "1" if filters.unread else "",
        "kind": filters.kind or "",
        "service": filters.service_id or "",
        "q": filters.words or "",
        **place,
    }
    return _with("/", **values)


def _with(path: str, **values: str) -> str:
    """`path` with these parameters, and only ever a path of this site."""
    local = path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"
    base, _, query = local.partition("?")
    kept = [part for part in query.split("&") if part and part.split("=")[0] not in values]
    added = urlencode({name: value for name, value in values.items() if value})
    joined = "&".join([*kept, added] if added else kept)
    return f"{base}?{joined}" if joined else base
