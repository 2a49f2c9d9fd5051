"""Strokes and tags: which pixels get how much ink."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.viz.brush import paint_label, paint_stroke

WHITE = (255, 255, 255)


def ink(start: tuple, end: tuple, radius: float, size: tuple[int, int] = (40, 30)) -> np.ndarray:
    """Share of white in each pixel of a black picture after one stroke."""
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    paint_stroke(canvas, start, end, radius, WHITE)
    assert (canvas == canvas[..., :1]).all()
    return canvas[..., 0] / 255


def test_level_stroke_fills_its_rows_and_half_fills_the_next() -> None:
    # Half width 2 about row 15: rows 13 to 17 lie within 2, and at distance 2 half a pixel shows.
    column = ink((10, 15), (30, 15), 2.0)[:, 20]
    np.testing.assert_allclose(column[12:19], [0, 0.5, 1, 1, 1, 0.5, 0], atol=0.003)


def test_ends_are_round() -> None:
    picture = ink((10, 15), (30, 15), 4.0)
    assert picture[15, 34] == pytest.approx(0.5, abs=0.003)  # 4 px past the end
    # The corner of a square end: 3.5 right of the end and 3.5 above it is 4.95 away.
    assert picture[11, 34] == 0.0


def test_two_equal_ends_make_a_disc() -> None:
    # pi * 5^2 = 78.5 pixels of ink.
    assert ink((20.3, 14.6), (20.3, 14.6), 5.0).sum() == pytest.approx(np.pi * 25, rel=0.01)


@pytest.mark.parametrize("end", [(34, 15), (20, 26), (32, 25), (8, 4), (31, 14), (18, 27)])
def test_ink_is_the_area_of_the_stroke_in_every_direction(end: tuple[int, int]) -> None:
    # Length times width plus one disc.
    length = np.hypot(end[0] - 20, end[1] - 14)
    wanted = 3.0 * length + np.pi * 1.5**2
    assert ink((20, 14), end, 1.5).sum() == pytest.approx(wanted, rel=0.02)


def test_direction_does_not_matter() -> None:
    np.testing.assert_array_equal(ink((5, 6), (33, 21), 2.0), ink((33, 21), (5, 6), 2.0))


def test_picture_can_be_transposed() -> None:
    across = ink((5, 6), (33, 21), 2.0)
    down = ink((6, 5), (21, 33), 2.0, size=(30, 40))
    np.testing.assert_allclose(across.T, down, atol=0.005)


def test_stroke_far_outside_leaves_no_ink() -> None:
    assert ink((-500, -500), (-400, 900), 3.0).sum() == 0


def test_stroke_through_the_picture_from_far_away_is_painted_where_it_passes() -> None:
    # From a million pixels left to a million pixels right along row 10.
    picture = ink((-1e6, 10), (1e6, 10), 1.5)
    np.testing.assert_allclose(picture[10], 1.0)
    assert picture[13].sum() == 0


def test_stroke_over_the_edge_does_not_come_back_on_the_other_side() -> None:
    picture = ink((35, 15), (60, 15), 3.0)
    assert picture[:, :30].sum() == 0
    assert picture[15, 39] == 1.0


def test_rim_darkens_around_the_stroke_and_not_in_it() -> None:
    canvas = np.full((30, 40, 3), 200, np.uint8)
    paint_stroke(canvas, (5, 15), (35, 15), 2.0, WHITE, outline_px=2.0, outline_alpha=0.5)
    # Row 18 is 3 px away: outside the ink, inside the rim; 200 * (1 - 0.5).
    assert canvas[[15, 18, 21], 20, 0].tolist() == [255, 100, 200]


def test_tag_stays_inside_the_picture() -> None:
    for corner in ((-50, -50), (500, 500)):
        canvas = np.zeros((40, 60, 3), np.uint8)
        paint_label(canvas, "12", corner, 12, (200, 100, 0))
        tag = np.argwhere(canvas.any(-1))
        wide, high = tag[:, 1].max() - tag[:, 1].min(), tag[:, 0].max() - tag[:, 0].min()
        assert 10 < wide < 40
        assert 10 < high < 25


def test_tag_sits_above_its_point() -> None:
    canvas = np.zeros((60, 80, 3), np.uint8)
    paint_label(canvas, "3", (40, 35), 12, (200, 100, 0))
    rows, columns = np.nonzero(canvas.any(-1))
    assert rows.max() == 34
    assert (columns.min() + columns.max()) / 2 == pytest.approx(40, abs=1)


def test_type_is_black_on_a_light_tag_and_white_on_a_dark_one() -> None:
    light, dark = np.full((2, 40, 60, 3), 128, np.uint8)
    paint_label(light, "8", (30, 35), 20, (240, 228, 66))
    paint_label(dark, "8", (30, 35), 20, (0, 60, 120))
    assert light.sum(-1).min() < 60
    assert dark.sum(-1).max() > 700


def test_tag_that_does_not_fit_is_left_out() -> None:
    canvas = np.zeros((4, 4, 3), np.uint8)
    paint_label(canvas, "1", (2, 2), 12, WHITE)
    assert not canvas.any()
