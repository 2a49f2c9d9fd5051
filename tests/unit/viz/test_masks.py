"""Pictures of a split motion: bars are as high as gates, bright cells are where motion is."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.errors import ShapeError
from chronopose.viz.masks import ClipRow, draw_clip, draw_gates, draw_inside, strength_of
from chronopose.viz.palette import PERSON_COLOURS, heat

GREY = np.full((32, 24, 3), 90, np.uint8)


def row(time_s: float = 0.5, **features: np.ndarray) -> ClipRow:
    """A key frame with a grey crop of 24 × 32 pixels."""
    return ClipRow(time_s=time_s, crop=GREY, features=features)


def columns_of(picture: np.ndarray, series: int) -> dict[int, int]:
    """Column -> height of the bar of a series there, pixels."""
    inside = (picture == np.array(PERSON_COLOURS[series])).all(-1)
    inside[:70] = False  # the legend
    heights = inside.sum(0)
    return {int(c): int(heights[c]) for c in np.flatnonzero(heights)}


def test_the_strength_of_a_cell_is_the_length_of_its_vector():
    feature = np.zeros((3, 2, 2), np.float32)
    feature[:, 1, 0] = (2, 3, 6)
    np.testing.assert_allclose(strength_of(feature), [[0, 0], [7, 0]])


def test_a_bar_is_as_high_as_its_gate():
    picture = draw_gates({"M_u": np.array([[1.0, 0.25]]), "M_n": np.array([[0.5, 0.5]])}, title="x")
    useful, noise = columns_of(picture, 0), columns_of(picture, 1)
    tall, low = max(useful.values()), min(useful.values())
    assert low / tall == pytest.approx(0.25, abs=0.03)
    assert max(noise.values()) / tall == pytest.approx(0.5, abs=0.03)


def test_a_channel_without_motion_has_no_bar():
    gates = {"M_u": np.array([[1.0, np.nan, 1.0]]), "M_n": np.array([[1.0, np.nan, 1.0]])}
    seen = sorted(columns_of(draw_gates(gates, title="x"), 0))
    whole = sorted(columns_of(draw_gates({n: np.ones((1, 3)) for n in gates}, title="x"), 0))
    assert len(seen) < 0.75 * len(whole)
    # The first and the last channel are there.
    assert seen[0] == whole[0] and seen[-1] == whole[-1]


def test_forty_eight_channels_have_room_for_their_numbers():
    picture = draw_gates({"M_u": np.ones((2, 48)), "M_n": np.ones((2, 48))}, title="x", width=300)
    assert picture.shape[1] == 90 + 20 * 48


def test_the_bright_cell_is_where_the_feature_is_strong():
    feature = np.zeros((4, 8, 6), np.float32)
    feature[:, 6, 1] = 3.0
    picture = draw_clip([row(M_u=feature)])
    # Crop, then a gap of four pixels, then the map: 4 × 4 pixels a cell.
    part = picture[:, 24 + 4 : 24 + 4 + 24].astype(int)
    bright = (np.abs(part - heat(np.array(1.0)).round()) < 2).all(-1)
    rows, columns = np.nonzero(bright)
    assert set(rows.tolist()) == set(range(24, 28)) and set(columns.tolist()) == set(range(4, 8))


def test_all_features_share_one_scale():
    weak, strong = np.full((1, 8, 6), 1.0, np.float32), np.full((1, 8, 6), 4.0, np.float32)
    picture = draw_clip([row(M_u=strong, M_n=weak), row(1.0, M_u=strong, M_n=weak)])
    low = picture[-4:, 2 * (24 + 4) + 2 : 2 * (24 + 4) + 22].reshape(-1, 3)
    np.testing.assert_array_equal(low, np.broadcast_to(heat(np.array(0.25)).round(), low.shape))


def test_heatmaps_lie_over_the_crop_each_joint_as_bright_as_the_other():
    maps = np.zeros((2, 8, 6), np.float32)
    maps[0, 1, 1], maps[1, 6, 4] = 1.0, 0.01
    shown = ClipRow(time_s=0.0, crop=GREY, heatmaps=maps)
    picture = draw_clip([shown])
    assert picture.shape == (32, 24 + 4 + 24, 3)
    part = picture[:, 28:].astype(int)
    change = np.abs(part - 90).sum(-1)
    assert change[26, 18] > 200 and change[20, 4] == 0


def test_bars_stand_above_the_table():
    gates = {n: np.ones((1, 4)) for n in ("M_u", "M_n")}
    feature = np.ones((4, 8, 6), np.float32)
    rows = [row(M_u=feature, M_n=feature)]
    sheet, table = draw_inside(rows, gates, title="x"), draw_clip(rows)
    assert sheet.shape[0] == 260 + table.shape[0]
    np.testing.assert_array_equal(draw_inside(rows, {}, title="x"), table)


def test_rows_or_gates_that_do_not_fit_together_are_refused():
    feature = np.ones((1, 8, 6), np.float32)
    with pytest.raises(ShapeError, match="all with the same features"):
        draw_clip([row(M_u=feature), row(M_n=feature)])
    with pytest.raises(ShapeError, match="needs rows"):
        draw_clip([])
    with pytest.raises(ShapeError, match="clips, channels"):
        draw_gates({"M_u": np.ones((1, 3)), "M_n": np.ones((1, 4))}, title="x")
