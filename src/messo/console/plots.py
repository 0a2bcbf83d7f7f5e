"""Plots as SVG within the page: no script, no style attributes, and a table always beside them.

Numbers are drawn in units of the view box; colours are classes of `console.css`. A plot is hidden
from screen readers, which have the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 720, 220
_LEFT, _BOTTOM, _TOP = 60, 30, 14
_STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Series:
    """One quantity: `tone` names its class (`plot-a` to `plot-f`); None where nothing is known."""

    label: str
    tone: str
    values: Sequence[float | None]


def top_of(largest: float) -> float:
    """A round number at or above the largest value: 1, 2 or 5 times a power of ten."""
    scale = 1.0
    while True:
        for step in _STEPS:
            if step * scale >= largest:
                return step * scale
        scale *= 10


def bars(labels: Sequence[str], series: Sequence[Series]) -> Markup:
    """Stacked bars, one for each label: values of the series stand on each other."""
    totals = [sum(one.values[at] or 0 for one in series) for at in range(len(labels))]
    top = top_of(max([1.0, *totals]))
    width = (_WIDTH - _LEFT) / max(1, len(labels))
    drawn = []
    for at in range(len(labels)):
        base = 0.0
        for one in series:
            value = one.values[at] or 0
            if not value:
                continue
            high, low = _y(base + value, top), _y(base, top)
            base += value
            drawn.append(
                f'<rect class="{escape(one.tone)}" x="{_LEFT + at * width + width * 0.1:.1f}" '
                f'y="{high:.1f}" width="{width * 0.8:.1f}" height="{max(0.6, low - high):.1f}"/>'
            )
    return _frame(labels, top, "".join(drawn))


def lines(labels: Sequence[str], series: Sequence[Series]) -> Markup:
    """One line for each series; it breaks where nothing is known."""
    known = [value for one in series for value in one.values if value is not None]
    top = top_of(max([1.0, *known]))
    width = (_WIDTH - _LEFT) / max(1, len(labels))
    drawn = []
    for one in series:
        path, is_open = [], False
        for at, value in enumerate(one.values):
            if value is None:
                is_open = False
                continue
            path.append(
                f"{'L' if is_open else 'M'}{_LEFT + (at + 0.5) * width:.1f} {_y(value, top):.1f}"
            )
            is_open = True
        drawn.append(f'<path class="plot-line {escape(one.tone)}" d="{"".join(path)}"/>')
    return _frame(labels, top, "".join(drawn))


def _said(value: float) -> str:
    """`500`, `20 k`, `1.5 M`: there is little room beside the axis."""
    for scale, unit in ((1_000_000, " M"), (10_000, " k")):
        if value >= scale:
            return f"{value / (1_000_000 if unit == ' M' else 1000):g}{unit}"
    return f"{value:g}"


def _y(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * value / top


def _frame(labels: Sequence[str], top: float, inside: str) -> Markup:
    """The axes: a line at nothing, the half and the whole, and as many labels as there is room."""
    grid = []
    for share in (0, 0.5, 1):
        y, value = _y(top * share, top), top * share
        grid.append(f'<path class="plot-grid" d="M{_LEFT} {y:.1f}H{_WIDTH}"/>')
        grid.append(
            f'<text class="plot-text" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_said(value)}</text>'
        )
    every = max(1, -(-len(labels) // 8))
    width = (_WIDTH - _LEFT) / max(1, len(labels))
    for number, at in enumerate(range(0, len(labels), every)):
        x = _LEFT + (at + 0.5) * width
        between = " plot-between" if number % 2 else ""  # no room for it on a phone
        grid.append(
            f'<text class="plot-text{between}" x="{x:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">'
            f"{escape(labels[at])}</text>"
        )
    return Markup(  # noqa: S704  numbers of ours, and labels that were escaped
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true" focusable="false">'
        f"{''.join(grid)}{inside}</svg>"
    )
