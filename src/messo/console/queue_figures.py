"""Samples of the last hours as lines on one axis of time. What nobody measured is a gap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from messo.base.db import Connection
from messo.console.plots import Series
from messo.console.queue_words import work_of
from messo.operations import samples
from messo.operations.samples import Point
from messo.pages.languages import Texts

# How far back, and the minutes of one interval.
PERIODS: Mapping[str, tuple[timedelta, int]] = {
    "1h": (timedelta(hours=1), 1),
    "24h": (timedelta(hours=24), 10),
    "7d": (timedelta(days=7), 60),
}
RATES = ("accepted", "processed", "rejected", "notified")
_LINES = 5  # of steps in one plot, and one for all others
_RATE_TONES = ("plot-a", "plot-b", "plot-d", "plot-c")  # what is not delivered is red
_TONES = ("plot-a", "plot-b", "plot-c", "plot-d", "plot-e", "plot-f")
_SILENT = timedelta(minutes=4)  # samples come each minute
_LOOK_BACK = timedelta(minutes=30)
_MINUTE = 60
_SEEN = 0.5  # of an item, or of a second: less cannot be seen in a plot
_SWITCH = 600  # seconds, from which minutes are easier to read


@dataclass(frozen=True)
class Figures:
    """Lines over the same intervals. `in_minutes`: ages are minutes, else seconds."""

    starts: Sequence[datetime]
    depth: Sequence[Series]
    age: Sequence[Series]
    rates: Sequence[Series]
    in_minutes: bool

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was measured."""
        return all(value is None for one in self.rates for value in one.values) and not self.depth


async def silent_since(conn: Connection, now: datetime) -> datetime | None:
    """When the last sample was taken, if that is too long ago; `_LOOK_BACK` ago if not even then."""
    found = await samples.series(conn, ["total:accepted"], now - _LOOK_BACK, 1)
    taken = found.get("total:accepted", [])
    last = taken[-1].at if taken else now - _LOOK_BACK
    return last if now - last > _SILENT else None


async def figures(conn: Connection, texts: Texts, period: str, now: datetime) -> Figures:
    """The samples of a period, one of `PERIODS`."""
    span, minutes = PERIODS[period]
    step = timedelta(minutes=minutes)
    first = _start(now - span, minutes)
    starts = [first + step * at for at in range(int((now - first) / step) + 1)]
    found = await samples.series(conn, ["depth:", "age:", "total:"], first - step, minutes)
    ages = _of_steps(texts, found, "age:", starts)
    longest = max((v or 0 for one in ages for v in one.values), default=0)
    in_minutes = longest >= _SWITCH
    if in_minutes:
        ages = [
            Series(one.label, one.tone, [v if v is None else v / _MINUTE for v in one.values])
            for one in ages
        ]
    rates = []
    for kind, tone in zip(RATES, _RATE_TONES, strict=True):
        points = samples.rates(found.get(f"total:{kind}", []), minutes, now)
        values = _on_axis(points, starts)
        per_minute = [v if v is None else v / minutes for v in values]
        rates.append(Series(_rate(texts, kind), tone, per_minute))
    return Figures(starts, _of_steps(texts, found, "depth:", starts), ages, rates, in_minutes)


def _of_steps(
    texts: Texts, found: Mapping[str, Sequence[Point]], prefix: str, starts: Sequence[datetime]
) -> list[Series]:
    """The steps with the highest peaks each, all others together: the sum, or the oldest."""
    lines = {
        name.removeprefix(prefix): _on_axis(points, starts)
        for name, points in found.items()
        if name.startswith(prefix)
    }
    peaks = {step: max((v or 0 for v in values), default=0) for step, values in lines.items()}
    order = sorted((step for step in lines if peaks[step] >= _SEEN), key=lambda step: -peaks[step])
    shown = order[:_LINES] if len(order) > _LINES + 1 else order
    made = [
        Series(work_of(texts, step).label, tone, lines[step])
        for step, tone in zip(shown, _TONES, strict=False)
    ]
    others = [lines[step] for step in order[len(shown) :]]
    if others:
        together = sum if prefix == "depth:" else max
        values = [
            None if any(v is None for v in column) else together(v or 0 for v in column)
            for column in zip(*others, strict=True)
        ]
        made.append(Series(texts.text("All others"), _TONES[_LINES], values))
    return made


def _on_axis(points: Sequence[Point], starts: Sequence[datetime]) -> list[float | None]:
    values = {point.at: point.value for point in points}
    return [values.get(start) for start in starts]


def _rate(texts: Texts, kind: str) -> str:
    _ = texts.text
    words = {
        "accepted": _("Accepted"),
        "processed": _("Delivered to inboxes"),
        "rejected": _("Not delivered"),
        "notified": _("Citizens told"),
    }
    return words[kind]


def _start(moment: datetime, minutes: int) -> datetime:
    """When the interval began in which this moment lies."""
    seconds = minutes * _MINUTE
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC)
