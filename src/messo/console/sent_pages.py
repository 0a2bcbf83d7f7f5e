"""Messages that the institution has sent: the list with its search, and the life of each one."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlencode

from babel.numbers import format_decimal
from msgspec import UNSET
from starlette.responses import Response
from starlette.routing import Route

from messo.base.http import Problem
from messo.base.turns import NoTurnError
from messo.console import sent_search, timeline_shown
from messo.console.csv_export import MOST, moment
from messo.console.explained import gettext
from messo.console.sent_search import Typed
from messo.console.sent_services import Chosen, choose
from messo.console.visit import Afterwards, Visit, institution_page
from messo.messages import sent
from messo.messages.sent import SentMessage, SentRow
from messo.messages.timeline import payment_of, timeline
from messo.messages.wire import Content, StoredContent
from messo.pages.edge import redirect
from messo.services.catalog import Service, read_service

_PAGE = 50
_STEP = 500  # rows of a file that are asked for at once
_STEPS = 200  # of a file at the most: a million messages, where few of them are looked for
_FILES = 2  # under way at once in this process
_WAIT_S = 5


def routes() -> list[Route]:
    """For whoever may send."""
    return [
        institution_page("/messages", "console.sent", "send", show_list, ("GET", "POST")),
        institution_page("/messages/{message}", "console.sent_message", "send", show_message),
        institution_page("/messages/{message}/timeline", "console.timeline", "send", show_timeline),
    ]


async def show_list(visit: Visit) -> Response | Afterwards:
    """What was sent, newest first; a search of it, which comes as a form and goes on sealed."""
    chosen = await choose(visit)
    if visit.request.method == "POST" and chosen.sought is None:
        return _searched(visit, chosen)
    typed = sent_search.from_address(visit)
    if chosen.must_pick:
        return _list(visit, chosen, typed)
    if visit.wants_csv:
        return _csv(visit, chosen, typed)
    found = await sent.page(
        visit.conn, chosen.ids, typed.search.wanted, visit.query("before") or None, _PAGE
    )
    return _list(visit, chosen, typed, found)


def _searched(visit: Visit, chosen: Chosen) -> Response:
    typed = sent_search.from_form(visit)
    if typed.errors:
        return _list(visit, chosen, typed, status=400)
    asked = {
        "service": chosen.one.id if chosen.one else "",
        "q": sent_search.to_address(visit, typed.search),
    }
    query = urlencode({name: value for name, value in asked.items() if value})
    return redirect(f"{visit.here}/messages" + (f"?{query}" if query else ""))


def _list(
    visit: Visit, chosen: Chosen, typed: Typed, found: sent.Page | None = None, status: int = 200
) -> Response:
    return visit.page(
        "sent.html",
        status,
        chosen=chosen,
        values=typed.values,
        errors=typed.errors,
        is_narrowed=not typed.search.is_empty,
        statuses=sent_search.STATUSES,
        found=found,
        is_first=not visit.query("before"),
        most=format_decimal(MOST, locale=visit.texts.locale),
    )


def _csv(visit: Visit, chosen: Chosen, typed: Typed) -> Afterwards:
    """One file at a time of an institution, and few of all: each asks for many pages.

    Pages are asked for one after another because what a page finds says where the next one begins;
    each borrows a connection of its own, so that others have theirs in between.
    """

    async def collect() -> tuple[list[SentRow], datetime | None]:
        rows: list[SentRow] = []
        before: str | None = None
        for _step in range(_STEPS):
            async with visit.site.pool.connection() as conn:
                found = await sent.page(conn, chosen.ids, typed.search.wanted, before, _STEP)
            rows += found.rows
            before = found.next
            if before is None or len(rows) >= MOST:
                return rows[:MOST], None
        return rows, found.searched_back_to

    async def answer() -> Response:
        try:
            async with (
                visit.site.turns.one(f"file:{visit.access.institution_id}", 1, 0),
                visit.site.turns.one("file", _FILES, _WAIT_S),
            ):
                rows, back_to = await collect()
        except NoTurnError:
            return visit.busy()
        return _file(visit, rows, back_to)

    return answer


def _file(visit: Visit, rows: Sequence[SentRow], back_to: datetime | None) -> Response:
    """`back_to`: it ends there because looking any further would take too long."""
    _ = visit.texts.text
    header = [
        _("Sent"),
        _("Message"),
        _("Service"),
        _("Id of the service"),
        _("Recipient"),
        _("Subject"),
        _("Your reference"),
        _("State"),
        _("Why not delivered"),
        _("Kind"),
        _("Read"),
    ]
    lines = [_cells(visit, row) for row in rows]
    if back_to is not None:
        said = _("We have looked back to %(moment)s.", moment=visit.texts.moment(back_to))
        lines.append([said, *[""] * (len(header) - 1)])
    return visit.csv("messages", header, lines)


def _cells(visit: Visit, row: SentRow) -> list[object]:
    reason = row.rejection_reason
    return [
        moment(row.created_at),
        row.id,
        row.service_name,
        row.service_id,
        row.fiscal_code,
        row.subject,
        row.reference,
        visit.explain("message", row.status).label,
        visit.explain("rejection", reason).label if reason else "",
        row.feature_level_type,
        visit.explain("read", row.read_status).label if row.read_status else "",
    ]


async def show_message(visit: Visit) -> Afterwards:
    """The life of one message, what it was about, and its text."""
    message = await _find(visit)
    service = await read_service(visit.conn, message.service_id)

    async def answer() -> Response:
        return visit.page(
            "sent_message.html",
            message=message,
            content=message.content,
            payment=_given(message.content.payment_data) if message.content else None,
            due=timeline_shown.due_of(message),
            carries=timeline_shown.carried(visit.texts, message),
            preview=_preview(visit, message, service),
            done=visit.done(
                {"sent": gettext("Done: we have the message. Its life is shown below.")}
            ),
            lines=await _lines(visit, message),
            again="load delay:1s, every 5s" if timeline_shown.refreshing(message) else "",
        )

    return answer


async def show_timeline(visit: Visit) -> Afterwards:
    """Its life alone, for a page that keeps itself fresh."""
    message = await _find(visit)

    async def answer() -> Response:
        return visit.page(
            "timeline_part.html",
            message=message,
            lines=await _lines(visit, message),
            again="every 5s" if timeline_shown.refreshing(message) else "",
        )

    return answer


async def _find(visit: Visit) -> SentMessage:
    message_id = visit.request.path_params["message"]
    found = await sent.find(visit.conn, message_id, visit.access.institution_id)
    if found is None:
        raise Problem(404, "Not found", "There is no such message.")
    return found


async def _lines(visit: Visit, message: SentMessage) -> list[timeline_shown.Line]:
    """Its life in words. The payment node may be asked, so no transaction is open."""
    payment = await payment_of(message, visit.site.payment_state)
    async with visit.site.pool.connection() as conn:
        life = await timeline(conn, message, payment)
    return timeline_shown.lines(visit.texts, message, life)


def _preview(visit: Visit, message: SentMessage, service: Service | None) -> str:
    """The page of the message as its citizen sees it; empty where the service is gone."""
    content = message.content
    if service is None or content is None:
        return ""
    return visit.site.preview_message(
        service, _as_written(content), visit.texts.language, message.created_at
    )


def _as_written(content: StoredContent) -> Content:
    return Content(
        subject=content.subject,
        markdown=content.markdown,
        require_secure_channels=content.require_secure_channels,
        due_date=content.due_date,
        payment_data=content.payment_data,
        third_party_data=content.third_party_data,
        eu_covid_cert=content.eu_covid_cert,
    )


def _given(value: object) -> object:
    return None if value is UNSET else value
