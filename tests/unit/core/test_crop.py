"""Crop windows: where image pixels land in the crop, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.crop import CropWindow
from chronopose.errors import ShapeError

BOX = np.array([100.0, 50.0, 200.0, 350.0])
SIZE = (192, 256)
POINTS = np.array([[150.0, 200.0], [0.0, 0.0], [-3.5, 720.25]])


def windows() -> list[CropWindow]:
    return [
        CropWindow.of_box(BOX, SIZE),
        CropWindow.of_box(BOX, SIZE, rotation_deg=37.0),
        CropWindow.of_box(BOX, SIZE, rotation_deg=-120.0, flip=True),
        CropWindow.whole_frame((1280, 720), SIZE),
    ]


def test_box_100_wide_300_high_in_a_192_by_256_crop() -> None:
    # The box is higher than 192:256, so its width grows to 300 * 192 / 256 = 225; with the margin
    # of 1.25 it is 281.25 px wide and one image pixel becomes 192 / 281.25 crop pixels.
    window = CropWindow.of_box(BOX, SIZE)
    assert window.scale == pytest.approx(0.6826667, abs=1e-6)
    # The centre (150, 200) lands on ((192 - 1) / 2, (256 - 1) / 2).
    np.testing.assert_allclose(window.apply(np.array([150.0, 200.0])), [95.5, 127.5])
    # The upper left corner of the box: 50 left of the centre and 150 above it.
    np.testing.assert_allclose(
        window.apply(np.array([100.0, 50.0])), [95.5 - 34.13333, 127.5 - 102.4], atol=1e-4
    )


def test_wide_box_is_padded_above_and_below() -> None:
    # 400 wide: the width decides, 192 / 400 without a margin.
    window = CropWindow.of_box(np.array([0.0, 0.0, 400.0, 100.0]), SIZE, pad=1.0)
    assert window.scale == pytest.approx(0.48)


@pytest.mark.parametrize("window", windows())
def test_invert_undoes_apply(window: CropWindow) -> None:
    np.testing.assert_allclose(window.invert(window.apply(POINTS)), POINTS, atol=1e-9)


def test_quarter_turn_is_clockwise_on_screen() -> None:
    # A point to the right of the centre appears below it.
    window = CropWindow.of_box(np.array([-50.0, -50.0, 50.0, 50.0]), (101, 101), 1.0, 90.0)
    np.testing.assert_allclose(window.apply(np.array([10.0, 0.0])), [50.0, 60.1], atol=1e-9)


def test_flip_mirrors_left_and_right_only() -> None:
    plain = CropWindow.of_box(BOX, SIZE).apply(POINTS)
    mirror = CropWindow.of_box(BOX, SIZE, flip=True).apply(POINTS)
    np.testing.assert_allclose(mirror, plain * [-1, 1] + [191, 0], atol=1e-9)


def test_flip_comes_after_the_turn() -> None:
    plain = CropWindow.of_box(BOX, SIZE, rotation_deg=30.0).apply(POINTS)
    mirror = CropWindow.of_box(BOX, SIZE, rotation_deg=30.0, flip=True).apply(POINTS)
    np.testing.assert_allclose(mirror, plain * [-1, 1] + [191, 0], atol=1e-9)


def test_whole_frame_of_the_crop_size_changes_nothing() -> None:
    window = CropWindow.whole_frame(SIZE, SIZE)
    np.testing.assert_allclose(window.matrix, [[1, 0, 0], [0, 1, 0]], atol=1e-12)


def test_whole_frame_keeps_pixel_edges_on_pixel_edges() -> None:
    # Twice as large: the left edge of the first pixel, -0.5, stays at -0.5.
    window = CropWindow.whole_frame((50, 40), (100, 80))
    np.testing.assert_allclose(
        window.apply(np.array([[-0.5, -0.5], [0.0, 0.0], [49.5, 39.5]])),
        [[-0.5, -0.5], [0.5, 0.5], [99.5, 79.5]],
    )


def test_unknown_point_stays_unknown() -> None:
    window = CropWindow.of_box(BOX, SIZE)
    assert np.isnan(window.apply(np.array([np.nan, np.nan]))).all()


def test_box_of_one_point_is_given_one_pixel() -> None:
    window = CropWindow.of_box(np.array([7.0, 7.0, 7.0, 7.0]), SIZE, pad=1.0)
    assert window.scale == pytest.approx(192.0)


@pytest.mark.parametrize("box", [[np.nan, 0, 1, 1], [0, 0, np.inf, 1], [0, 0, 1]])
def test_impossible_box_is_refused(box: list[float]) -> None:
    with pytest.raises(ShapeError, match="box of four finite numbers"):
        CropWindow.of_box(np.array(box, float), SIZE)


def test_window_without_area_is_refused() -> None:
    with pytest.raises(ShapeError, match="no area"):
        CropWindow(np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0]]), SIZE)


def test_crop_without_pixels_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"at least 1x1 pixel; got \(0, 256\)"):
        CropWindow(np.eye(3)[:2], (0, 256))
