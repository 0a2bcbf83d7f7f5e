"""Plots: what is drawn is what was counted, and nothing else gets into the page."""

import re

import pytest

from messo.console.plots import Series, bars, lines, top_of

_HEIGHTS = re.compile(r'<rect class="([a-z-]+)"[^>]* height="([0-9.]+)"')


@pytest.mark.parametrize(
    ("largest", "top"), [(1, 1), (1.5, 2), (3, 5), (7, 10), (11, 20), (999, 1000), (0.2, 1)]
)
def test_the_axis_ends_at_a_round_number(largest: float, top: float) -> None:
    assert top_of(largest) == top


def test_bars_stand_on_each_other_in_proportion() -> None:
    drawn = str(bars(["1", "2"], [Series("a", "plot-a", [10, 5]), Series("b", "plot-b", [0, 5])]))
    heights = [(tone, float(height)) for tone, height in _HEIGHTS.findall(drawn)]
    assert [tone for tone, _ in heights] == ["plot-a", "plot-a", "plot-b"]
    assert heights[0][1] == pytest.approx(2 * heights[1][1], abs=0.2)
    assert heights[1][1] == pytest.approx(heights[2][1], abs=0.2)


def test_a_line_breaks_where_nothing_is_known() -> None:
    drawn = str(lines(["a", "b", "c", "d"], [Series("x", "plot-a", [1, None, 2, 3])]))
    path = re.search(r'd="(M[^"H]*)"/>', drawn.split("plot-line")[1])
    assert path
    assert re.sub(r"[0-9. ]", "", path[1]) == "MML"


def test_labels_are_text() -> None:
    drawn = str(bars(["<script>"], [Series("x", 'plot-a" onload="x', [1])]))
    assert "<script>" not in drawn
    assert 'onload="' not in drawn
    assert "style=" not in drawn


def test_nothing_at_all_is_an_empty_plot() -> None:
    assert "<svg" in str(bars([], []))
    assert "<svg" in str(lines(["a"], [Series("x", "plot-a", [None])]))
