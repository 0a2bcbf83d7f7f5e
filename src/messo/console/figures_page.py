"""Figures per day: how much was sent and what became of it, as plots with their table."""

from datetime import date, timedelta

from babel.dates import format_date
from babel.numbers import format_decimal
from starlette.responses import Response
from starlette.routing import Route

from messo.base import clock
from messo.console.figure_series import (
    PAID,
    PROCESSED,
    READ,
    REFUSED,
    SENT,
    Days,
    in_days,
    label_of,
)
from messo.console.plots import Series
from messo.console.sent_services import choose
from messo.console.visit import Visit, institution_page
from messo.events.figures import per_day
from messo.services import Permission

SPANS = (7, 30, 90)
_USUAL = 30


def routes() -> list[Route]:
    """For everybody of the institution."""
    return [
        institution_page("/figures", "console.figures", "read", show_figures, ("GET", "POST")),
    ]


async def show_figures(visit: Visit) -> Response:
    """The last days of all services, or of one. A form finds one where there are too many."""
    chosen = await choose(visit)
    span = _span(visit.query("days"))
    if chosen.must_pick:
        return visit.page("figures.html", chosen=chosen, days=None)
    today = clock.day_in_rome(clock.now())
    since = today - timedelta(days=span - 1)
    days = in_days(await per_day(visit.conn, chosen.ids, since, today), since, today)
    reads = Permission.MESSAGE_READ_ADVANCED in visit.access.permissions
    names = [SENT, PROCESSED, *REFUSED, *([READ] if reads else []), PAID]
    if visit.wants_csv:
        return _csv(visit, days, names)
    later = days.series(visit.texts, *([READ] if reads else []), PAID)
    return visit.page(
        "figures.html",
        chosen=chosen,
        days=days,
        span=span,
        spans=SPANS,
        number=lambda number: format_decimal(number, locale=visit.texts.locale),
        labels=[_label(visit, day) for day in days.days],
        names=names,
        headers=[label_of(visit.texts, name) for name in names],
        sent=days.series(visit.texts, SENT, PROCESSED),
        refused=_that_happened(days.series(visit.texts, *REFUSED)),
        later=later,
        reads=reads,
        is_empty=not days.totals,
    )


def _csv(visit: Visit, days: Days, names: list[str]) -> Response:
    header = [visit.texts.text("Day"), *(label_of(visit.texts, name) for name in names)]
    rows: list[list[object]] = [
        [day.isoformat(), *(numbers[name] for name in names)]
        for day, numbers in zip(days.days, days.numbers, strict=True)
    ]
    return visit.csv("figures", header, rows)


def _that_happened(series: list[Series]) -> list[Series]:
    """Without what never did, but for the two usual reasons: a key of nothing explains nothing."""
    return [one for at, one in enumerate(series) if at < len(REFUSED) - 2 or any(one.values)]


def _label(visit: Visit, day: date) -> str:
    return format_date(day, "d MMM", visit.texts.locale)


def _span(text: str) -> int:
    return int(text) if text in {str(span) for span in SPANS} else _USUAL
