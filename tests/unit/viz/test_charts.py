"""Charts: what is larger stands higher, and nothing is drawn where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.errors import UsageError
from chronopose.viz.charts import Bar, Point, bar_chart, point_chart
from chronopose.viz.palette import PERSON_COLOURS


def rows_of(picture: np.ndarray, number: int) -> np.ndarray:
    """Rows in which the colour of a series is found, below the legend."""
    same = (picture == PERSON_COLOURS[number]).all(-1).any(1)
    return np.flatnonzero(same)[np.flatnonzero(same) > 70]


def test_a_bar_twice_as_high_takes_twice_the_rows():
    bars = {"low": {"g": Bar(value=10.0)}, "high": {"g": Bar(value=20.0)}}
    picture = bar_chart(bars, title="t", unit="AP")
    assert picture.shape == (480, 1100, 3) and picture.dtype == np.uint8
    low, high = (len(rows_of(picture, n)) for n in (0, 1))
    assert abs(high - 2 * low) <= 3


def test_an_unknown_value_is_not_drawn():
    bars = {"a": {"g": Bar(value=10.0)}, "b": {"g": Bar(value=float("nan"))}}
    assert len(rows_of(bar_chart(bars, title="t", unit="AP"), 1)) == 0


def test_the_better_point_stands_higher_and_the_cheaper_one_further_left():
    points = [Point(name="a", x=1.0, y=10.0), Point(name="b", x=10.0, y=20.0)]
    picture = point_chart(points, title="t", x_unit="x", y_unit="y")
    places = [np.argwhere((picture == PERSON_COLOURS[n]).all(-1)).mean(0) for n in (0, 1)]
    assert places[1][0] < places[0][0] and places[0][1] < places[1][1]


def test_charts_of_nothing_are_refused():
    with pytest.raises(UsageError, match="same groups"):
        bar_chart({"a": {"g": Bar(value=1.0)}, "b": {"h": Bar(value=1.0)}}, title="", unit="")
    with pytest.raises(UsageError, match="above zero"):
        point_chart([Point(name="a", x=0.0, y=1.0)], title="", x_unit="", y_unit="")
