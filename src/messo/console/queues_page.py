"""How the work stands: what waits in each step, and how that was in the last hours and days."""

from collections.abc import Sequence
from datetime import datetime

from starlette.responses import Response
from starlette.routing import Route

from messo.base import clock
from messo.console.csv_export import moment
from messo.console.plots import Series
from messo.console.queue_figures import PERIODS, Figures, figures, silent_since
from messo.console.queue_words import KNOWN, how_long, pace, work_of
from messo.console.visit import Visit, operator_page
from messo.operations import health
from messo.pages.languages import in_rome

_USUAL = "24h"
_SHORTEST = "1h"


def routes() -> list[Route]:
    """The pages of this file."""
    return [operator_page("/queues", "console.queues", show)]


async def show(visit: Visit) -> Response:
    """Each step, and plots of its queue and of how much goes through."""
    now = clock.now()
    asked = visit.query("period")
    period = asked if asked in PERIODS else _USUAL
    steps = await _steps(visit)
    if visit.wants_csv and visit.query("list") not in {"depth", "age", "rates"}:
        return _csv_of_steps(visit, steps)
    found = await figures(visit.conn, visit.texts, period, now)
    if found.is_empty and asked not in PERIODS:  # of a new installation a few minutes are known
        found = await figures(visit.conn, visit.texts, _SHORTEST, now)
        period = _SHORTEST
    if visit.wants_csv:
        return _csv_of_figures(visit, found)
    shown = [
        {
            "work": work_of(visit.texts, step),
            "depth": depth,
            "age": how_long(visit.texts, age),
            "pace": pace(visit.texts, age),
        }
        for step, depth, age in sorted(steps, key=lambda one: -one[2])
    ]
    return visit.page(
        "queues.html",
        busy=[one for one in shown if one["depth"]],
        idle=[one for one in shown if not one["depth"]],
        silent_since=await silent_since(visit.conn, now),
        period=period,
        periods=_periods(visit),
        found=found,
        labels=[_label(visit, start, period) for start in found.starts],
        moments=[visit.texts.moment(start) for start in found.starts],
        number=_number,
    )


async def _steps(visit: Visit) -> list[tuple[str, int, float]]:
    """Every step that we know, and whatever else has work."""
    found = await health.queues(visit.conn)
    names = [*KNOWN, *sorted(set(found) - set(KNOWN))]
    none = {"depth": 0, "age_seconds": 0.0}
    states = [(step, found.get(step, none)) for step in names]
    return [(step, int(state["depth"]), state["age_seconds"]) for step, state in states]


def _periods(visit: Visit) -> list[tuple[str, str]]:
    _ = visit.texts.text
    return [("1h", _("Last hour")), ("24h", _("Last 24 hours")), ("7d", _("Last 7 days"))]


def _label(visit: Visit, start: datetime, period: str) -> str:
    if period == "7d":
        return in_rome(start).strftime("%d/%m, %H:%M")
    return visit.texts.hour(start)


def _number(value: float | None) -> str:
    """As a table says it: whole if it is large; a dash where nothing is known."""
    if value is None:
        return "–"  # noqa: RUF001  a dash
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"  # noqa: PLR2004


def _csv_of_steps(visit: Visit, steps: Sequence[tuple[str, int, float]]) -> Response:
    _ = visit.texts.text
    return visit.csv(
        "queues",
        [_("Step"), _("What it does"), _("Waiting"), _("Oldest, seconds")],
        [
            [step, work_of(visit.texts, step).does, depth, round(age, 3)]
            for step, depth, age in steps
        ],
    )


def _csv_of_figures(visit: Visit, found: Figures) -> Response:
    kind = visit.query("list")
    lines: Sequence[Series] = {"depth": found.depth, "age": found.age}.get(kind, found.rates)
    rows: list[list[object]] = [
        [moment(start), *(one.values[at] for one in lines)] for at, start in enumerate(found.starts)
    ]
    header = [visit.texts.text("From"), *(one.label for one in lines)]
    return visit.csv(f"queues-{kind}", header, rows)
