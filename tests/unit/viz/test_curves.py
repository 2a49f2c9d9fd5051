"""Curves of a run: every term has a panel, a scale of its own and an honest line."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chronopose.errors import UsageError
from chronopose.viz.curves import PANEL, draw_curves, thin_out
from chronopose.viz.palette import PERSON_COLOURS

LINE, MARK = (np.array(PERSON_COLOURS[i]) for i in (5, 1))
STEPS = list(range(0, 101, 10))


def places(picture: np.ndarray, colour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels of a colour."""
    return np.nonzero((np.abs(picture.astype(int) - colour) < 40).all(-1))


def test_every_term_has_its_panel():
    one = draw_curves({"loss": (STEPS, STEPS)})
    assert one.shape == (PANEL[1], PANEL[0], 3) and one.dtype == np.uint8
    four = draw_curves({n: (STEPS, STEPS) for n in "abcd"}, columns=2)
    assert four.shape == (2 * PANEL[1] + 4, 2 * PANEL[0] + 4, 3)


def test_a_rising_term_rises_from_left_to_right():
    rows, columns = places(draw_curves({"loss": (STEPS, STEPS)}), LINE)
    left, right = columns.argmin(), columns.argmax()
    assert rows[left] - rows[right] > 80 and columns[right] - columns[left] > 250
    # A straight line: half way up in the middle.
    middle = rows[np.abs(columns - (columns.min() + columns.max()) / 2) < 2].mean()
    assert middle == pytest.approx((rows[left] + rows[right]) / 2, abs=3)


def test_a_term_of_a_thousandth_is_drawn_as_high_as_one_of_a_thousand():
    heights = []
    for scale in (1e-3, 1e3):
        rows, _ = places(draw_curves({"mi": (STEPS, [scale * s for s in STEPS])}), LINE)
        heights.append(int(np.ptp(rows)))
    assert abs(heights[0] - heights[1]) <= 1


def test_a_value_that_is_not_finite_breaks_the_line():
    values = [0.0, 1, 2, 3, math.nan, math.inf, 6, 7, 8, 9, 10]
    _, columns = places(draw_curves({"loss": (STEPS, values)}), LINE)
    whole = draw_curves({"loss": (STEPS, list(range(11)))})
    _, all_columns = places(whole, LINE)
    gap = set(all_columns.tolist()) - set(columns.tolist())
    # Three of the ten pieces are missing.
    assert len(gap) / len(set(all_columns.tolist())) == pytest.approx(0.3, abs=0.04)


def test_a_lone_value_is_a_dot_and_none_at_all_is_said():
    _, columns = places(draw_curves({"pck": ([50, 100], [math.nan, 3.0])}), LINE)
    assert 3 <= np.ptp(columns) <= 8
    empty = draw_curves({"pck": ([0, 100], [math.nan, math.nan])})
    assert not len(places(empty, LINE)[0])


def test_marks_stand_where_something_changed():
    _, columns = places(draw_curves({"loss": (STEPS, STEPS)}, marks=[50]), MARK)
    _, line = places(draw_curves({"loss": (STEPS, STEPS)}), LINE)
    assert columns.mean() == pytest.approx((line.min() + line.max()) / 2, abs=2)


def test_a_long_run_is_thinned_by_means():
    steps, values = thin_out(range(6), [0, 2, 4, 6, math.nan, 1], 3)
    np.testing.assert_array_equal(steps, [0.5, 2.5, 4.5])
    np.testing.assert_array_equal(values, [1, 5, math.nan])
    same, _ = thin_out([1, 2], [3, 4], 2)
    np.testing.assert_array_equal(same, [1, 2])


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(UsageError, match="no curve to draw"):
        draw_curves({})
    with pytest.raises(UsageError, match="heatmap has other numbers"):
        draw_curves({"loss": (STEPS, STEPS), "heatmap": (STEPS, [1.0])})
