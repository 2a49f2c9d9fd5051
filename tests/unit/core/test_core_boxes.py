"""Boxes: areas, overlaps and margins worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.errors import ShapeError


def box(*xyxy: float) -> Boxes:
    return Boxes(np.array([xyxy]), np.ones(1))


def test_area_is_width_times_height() -> None:
    assert box(10, 20, 14, 25).area.tolist() == [20.0]


def test_half_shifted_boxes_overlap_by_a_third() -> None:
    # 10 x 10 each, 5 x 10 shared: 50 / (100 + 100 - 50).
    assert box(0, 0, 10, 10).iou(box(5, 0, 15, 10))[0, 0] == pytest.approx(1 / 3)


def test_boxes_apart_do_not_overlap() -> None:
    assert box(0, 0, 1, 1).iou(box(2, 2, 3, 3))[0, 0] == 0.0


def test_boxes_without_area_overlap_by_zero_not_nan() -> None:
    assert box(5, 5, 5, 5).iou(box(5, 5, 5, 5))[0, 0] == 0.0


def test_overlap_has_one_row_a_box_and_one_column_a_box_of_the_other() -> None:
    assert Boxes(np.zeros((3, 4)), np.ones(3)).iou(Boxes.empty()).shape == (3, 0)


def test_grow_keeps_the_centre() -> None:
    # 40 x 80 about (20, 40); times 1.25 is 50 x 100.
    assert box(0, 0, 40, 80).grow(1.25).xyxy.tolist() == [[-5.0, -10.0, 45.0, 90.0]]


def test_clip_reaches_the_outer_edge_of_the_last_pixel() -> None:
    assert box(-9, 2, 99, 99).clip((20, 10)).xyxy.tolist() == [[-0.5, 2.0, 19.5, 9.5]]


def test_select_takes_boxes_with_their_scores() -> None:
    boxes = Boxes(np.arange(12).reshape(3, 4), np.array([0.1, 0.2, 0.3]))
    picked = boxes.select(boxes.score > 0.15)
    assert picked.xyxy[:, 0].tolist() == [4.0, 8.0]
    assert picked.score.tolist() == pytest.approx([0.2, 0.3])


def test_a_slice_selects_too() -> None:
    assert len(Boxes(np.zeros((3, 4)), np.ones(3)).select(slice(1, None))) == 2


def test_no_boxes_have_four_columns() -> None:
    assert Boxes.empty().xyxy.shape == (0, 4)
    assert len(Boxes(np.zeros(0), np.zeros(0))) == 0


@pytest.mark.parametrize(
    ("xyxy", "score", "message"),
    [
        ([[0, 0, 1, 1]], [1, 1], "1 boxes but 2 scores"),
        ([[0, 0, 1, 1], [0, np.nan, 1, 1]], [1, 1], "Box 1 is .*must be finite"),
        ([[0, 0, 1, 1]], [np.nan], "Box 0 has the score nan"),
        ([[10, 10, 4, 4]], [1], r"not \[x, y, width, height\]"),
        ([[0, 0, 1, 1, 5]], [1], r"must be \(N, 4\).*got an array \(1, 5\)"),
    ],
)
def test_impossible_boxes_are_refused(xyxy: list, score: list, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Boxes(np.array(xyxy, float), np.array(score, float))
