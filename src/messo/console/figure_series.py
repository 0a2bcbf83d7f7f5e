"""Figures of each day, put in order for plots and tables: one row a day, one column a quantity."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from messo.console.explained import explain, gettext
from messo.console.plots import Series
from messo.events.figures import Figure
from messo.pages.languages import Texts

SENT, PROCESSED, READ, PAID, FAILED = "accepted", "processed", "read", "paid", "failed"
_REASONS = ("USER_NOT_FOUND", "SERVICE_NOT_ALLOWED")
OTHER = "other"  # refused for a reason that is not known any more
REFUSED = (*_REASONS, OTHER, FAILED)
_LABELS = {
    SENT: gettext("Sent messages"),
    PROCESSED: gettext("Received messages"),
    READ: gettext("Read messages"),
    PAID: gettext("Paid notices"),
    OTHER: gettext("Other reasons"),
    FAILED: gettext("Messages that failed"),
}
_TONES = {
    SENT: "plot-a",
    PROCESSED: "plot-b",
    READ: "plot-e",
    PAID: "plot-c",
    _REASONS[0]: "plot-d",
    _REASONS[1]: "plot-c",
    OTHER: "plot-f",
    FAILED: "plot-e",
}


@dataclass(frozen=True)
class Days:
    """`numbers`: of each day, from `days[0]` on, how often each quantity happened."""

    days: Sequence[date]
    numbers: Sequence[Counter[str]]

    @property
    def totals(self) -> Counter[str]:
        """Of all days together."""
        return sum(self.numbers, Counter())

    def series(self, texts: Texts, *names: str) -> list[Series]:
        """For a plot."""
        return [
            Series(label_of(texts, name), _TONES[name], [day[name] for day in self.numbers])
            for name in names
        ]


def in_days(figures: Sequence[Figure], since: date, until: date) -> Days:
    """Figures as they come, by day and quantity; every day is there."""
    count = (until - since).days + 1
    numbers: list[Counter[str]] = [Counter() for _day in range(count)]
    for figure in figures:
        numbers[(figure.day - since).days][_quantity(figure)] += figure.number
    return Days([since + timedelta(days=at) for at in range(count)], numbers)


def label_of(texts: Texts, name: str) -> str:
    """What a quantity is called."""
    if name in _REASONS:
        return explain(texts, "rejection", name).label
    return texts.text(_LABELS[name])


def refused(numbers: Counter[str]) -> int:
    """How many were not delivered, for whatever reason."""
    return sum(numbers[name] for name in REFUSED)


def _quantity(figure: Figure) -> str:
    if figure.kind != "rejected":
        return figure.kind
    return figure.about if figure.about in _REASONS else OTHER
