"""The first page of an institution: what needs somebody, how it goes, and how to begin."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from babel.numbers import format_decimal
from starlette.responses import Response
from starlette.routing import Route

from messo.base import clock
from messo.console.explained import Tone, gettext
from messo.console.figure_series import PROCESSED, READ, SENT, in_days, label_of, refused
from messo.console.visit import Visit, institution_page
from messo.events.figures import per_day
from messo.events.illness import Illness, illness
from messo.messages import sent
from messo.messages.guarded import Guarded, guarded
from messo.messages.reports import reports
from messo.messages.sent import MOST_SERVICES, Wanted
from messo.services import Permission
from messo.services.listed import Standing, any_key_used, names_of, standing

_DAYS = 7
_LAST = 5  # messages
_HEALTHY = Illness(0, 0)

_MOST_REPORTS = 100  # that are counted


@dataclass(frozen=True)
class Todo:
    """Something that waits for somebody; `end`: the page where it is done, below the institution's."""

    text: str
    end: str
    tone: Tone = "wait"


@dataclass(frozen=True)
class Tile:
    """How often something happened in the last days, and today."""

    label: str
    number: int
    today: int


@dataclass(frozen=True)
class First:
    """A step of those that an institution takes first; `end`: as of `Todo`, empty if not theirs."""

    title: str
    sentence: str
    end: str
    is_done: bool


def routes() -> list[Route]:
    """For everybody of the institution."""
    return [institution_page("", "console.overview", "read", show_overview)]


async def show_overview(visit: Visit) -> Response:
    """What a visitor of this role may see of it."""
    conn, access = visit.conn, visit.access
    ids = [one.id for one in await names_of(conn, access.institution_id, MOST_SERVICES + 1)]
    many = len(ids) > MOST_SERVICES
    how = await standing(conn, access.institution_id)
    sends = "send" in visit.may and access.suspended_at is None
    last = [] if many else (await sent.page(conn, ids, Wanted(), limit=_LAST)).rows
    return visit.page(
        "overview.html",
        todos=await _todos(visit, how, [] if many or not sends else ids),
        tiles=None if many else await _tiles(visit, ids),
        span=_DAYS,
        number=lambda number: format_decimal(number, locale=visit.texts.locale),
        last=last if sends else None,
        many=many,
        steps=[] if many or last else await _first_steps(visit, how),
    )


async def _todos(visit: Visit, how: Standing, ids: Sequence[str]) -> list[Todo]:
    """The gravest first. `ids`: of services whose reports the visitor may see."""
    institution = visit.access.institution_id
    held = await guarded(visit.conn, institution)
    ill = _HEALTHY
    if "administer" in visit.may:
        ill = await illness(visit.conn, institution)
    since = clock.now() - timedelta(days=_DAYS)
    found = (await reports(visit.conn, ids, limit=_MOST_REPORTS)).rows if ids else ()
    reported = sum(report.reported_at >= since for report in found)
    return [
        *_of_messages(visit, held, reported),
        *_of_webhooks(visit, ill),
        *(_of_services(visit, how) if "edit" in visit.may else ()),
    ]


def _of_messages(visit: Visit, held: Guarded, reported: int) -> list[Todo]:
    texts, todos = visit.texts, list[Todo]()
    if visit.access.suspended_at is not None:
        suspended = gettext(
            "Your institution is suspended: it sends nothing. Ask the operator of this "
            "installation why."
        )
        todos.append(Todo(texts.text(suspended), "/limits", "bad"))
    if held.contents and held.allowed_until is None:
        stopped = gettext(
            "A text went to so many people that it was stopped as mass communication. What you "
            "can do stands under Limits."
        )
        todos.append(Todo(texts.text(stopped), "/limits", "bad"))
    if reported >= _MOST_REPORTS:
        many = gettext(
            "%(n)s or more messages were not meant for whom they reached, in the last days."
        )
        todos.append(Todo(texts.text(many, n=reported), "/reports"))
    elif reported:
        todos.append(
            Todo(
                texts.count(
                    "%(n)s message was not meant for whom it reached, in the last days.",
                    "%(n)s messages were not meant for whom they reached, in the last days.",
                    reported,
                ),
                "/reports",
            )
        )
    return todos


def _of_webhooks(visit: Visit, ill: Illness) -> list[Todo]:
    count, todos = visit.texts.count, list[Todo]()
    if ill.stopped:
        stopped = count(
            "%(n)s webhook was switched off: its address took nothing.",
            "%(n)s webhooks were switched off: their addresses took nothing.",
            ill.stopped,
        )
        todos.append(Todo(stopped, "/webhooks", "bad"))
    if ill.failing:
        failing = count(
            "%(n)s webhook is failing; we go on trying.",
            "%(n)s webhooks are failing; we go on trying.",
            ill.failing,
        )
        todos.append(Todo(failing, "/webhooks"))
    return todos


def _of_services(visit: Visit, how: Standing) -> list[Todo]:
    count, todos = visit.texts.count, list[Todo]()
    if how.suspended:
        suspended = count(
            "%(n)s service is suspended and sends nothing.",
            "%(n)s services are suspended and send nothing.",
            how.suspended,
        )
        todos.append(Todo(suspended, "/services?state=suspended", "bad"))
    if how.rejected:
        rejected = count(
            "The reviewer asks for a change in %(n)s service.",
            "The reviewer asks for changes in %(n)s services.",
            how.rejected,
        )
        todos.append(Todo(rejected, "/services?state=yours"))
    if how.waiting:
        waiting = count(
            "%(n)s service has an approved version that waits for its release.",
            "%(n)s services have approved versions that wait for their release.",
            how.waiting,
        )
        todos.append(Todo(waiting, "/services?state=yours"))
    return todos


async def _tiles(visit: Visit, ids: Sequence[str]) -> list[Tile]:
    today = clock.day_in_rome(clock.now())
    since = today - timedelta(days=_DAYS - 1)
    days = in_days(await per_day(visit.conn, ids, since, today), since, today)
    texts, now = visit.texts, days.numbers[-1]

    def tile(name: str) -> Tile:
        return Tile(label_of(texts, name), days.totals[name], now[name])

    lost = Tile(texts.text("Undelivered messages"), refused(days.totals), refused(now))
    tiles = [tile(SENT), tile(PROCESSED), lost]
    if Permission.MESSAGE_READ_ADVANCED in visit.access.permissions:
        tiles.append(tile(READ))
    return tiles


async def _first_steps(visit: Visit, how: Standing) -> list[First]:
    """What a new institution does, and what of it is done."""
    _ = visit.texts.text
    edits = "/services" if "edit" in visit.may else ""
    return [
        First(
            _("Describe a service"),
            _("It is in whose name you write: its card tells people what it is for."),
            edits,
            how.services > 0,
        ),
        First(
            _("Have it reviewed"),
            _(
                "Until an operator has approved it, it writes to its authorized recipients alone: "
                "enough to try it."
            ),
            edits,
            how.live > 0,
        ),
        First(
            _("Send a first message"),
            _("Write it here, to yourself or to somebody who knows of it."),
            "/write" if visit.can_write else "",
            is_done=False,
        ),
        First(
            _("Connect a program (optional)"),
            _("Only if one is to send for you: it needs a key of the service."),
            edits if "administer" in visit.may else "",
            await any_key_used(visit.conn, visit.access.institution_id),
        ),
    ]
