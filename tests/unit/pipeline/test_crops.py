"""Cutting windows out of frames: every pixel under its centre."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chronopose.core.crop import CropWindow
from chronopose.pipeline.crops import cut, warp_feature

WIDTH, HEIGHT = 64, 48


def ramp() -> torch.Tensor:
    """Red is x, green is y: a crop tells where its pixels come from."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return torch.from_numpy(np.stack([x, y, 0 * x], -1).astype(np.uint8))


def sources(window: CropWindow) -> np.ndarray:
    """``(h, w, 2)`` image position of each crop pixel by the window's own law."""
    y, x = np.mgrid[: window.out_size[1], : window.out_size[0]]
    return window.invert(np.stack([x, y], -1).astype(float))


def test_the_identity_window_returns_the_picture() -> None:
    window = CropWindow(np.array([[1.0, 0, 0], [0, 1, 0]]), (WIDTH, HEIGHT))
    crop = cut(ramp(), window)
    np.testing.assert_allclose(crop.permute(1, 2, 0).numpy(), ramp().numpy(), atol=1e-3)


@pytest.mark.parametrize("turn_deg", [0.0, 30.0])
@pytest.mark.parametrize("flip", [False, True])
def test_every_crop_pixel_shows_its_place_in_the_picture(turn_deg: float, flip: bool) -> None:
    window = CropWindow.of_box(
        np.array([22.0, 16, 38, 32]), (24, 32), rotation_deg=turn_deg, flip=flip
    )
    crop = cut(ramp(), window)
    np.testing.assert_allclose(
        crop[:2].permute(1, 2, 0).numpy(), sources(window).clip(0, [63, 47]), atol=2e-3
    )


@pytest.mark.parametrize("shrink", [2.4, 3.0, 5.7])
def test_a_shrinking_window_keeps_pixels_under_their_centres(shrink: float) -> None:
    size = (int(50 / shrink), int(40 / shrink))
    window = CropWindow(np.array([[1 / shrink, 0, -1.3], [0, 1 / shrink, -0.7]]), size)
    crop = cut(ramp(), window)
    inner = slice(2, -2)
    expected = sources(window)
    np.testing.assert_allclose(
        crop[:2].permute(1, 2, 0).numpy()[inner, inner], expected[inner, inner], atol=2e-3
    )


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = np.zeros((48, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    window = CropWindow(np.array([[0.25, 0, -0.375], [0, 0.25, -0.375]]), (16, 12))
    # Four columns, two of them lit, make every crop pixel 100.
    np.testing.assert_allclose(cut(torch.from_numpy(stripes), window).numpy(), 100.0, atol=1e-3)


def test_beyond_the_picture_its_edge_repeats() -> None:
    window = CropWindow(np.array([[1.0, 0, 10], [0, 1, 10]]), (20, 20))
    crop = cut(ramp() + 7, window)
    assert crop[0, 0, 0] == pytest.approx(7.0)
    assert crop[0, 10, 15] == pytest.approx(12.0, abs=1e-3)


def test_a_window_far_outside_the_picture_is_its_corner() -> None:
    window = CropWindow(np.array([[1.0, 0, 500], [0, 1, 500]]), (8, 8))
    np.testing.assert_allclose(cut(ramp() + 3, window).numpy(), 3.0, atol=1e-4)


def test_a_picture_of_one_pixel_fills_its_crop() -> None:
    pixel = torch.full((1, 1, 3), 9, dtype=torch.uint8)
    crop = cut(pixel, CropWindow.whole_frame((1, 1), (24, 32)))
    np.testing.assert_allclose(crop.numpy(), 9.0, atol=1e-4)


def test_a_bent_feature_is_the_feature_of_the_other_window() -> None:
    # A feature that is the pooled crop itself can be compared with the true one.
    old = CropWindow.of_box(np.array([20.0, 10, 44, 40]), (24, 32))
    new = CropWindow.of_box(np.array([22.0, 11, 44, 39]), (24, 32))
    features = [torch.nn.functional.avg_pool2d(cut(ramp(), w)[None], 4)[0] for w in (old, new)]
    bent = warp_feature(features[0], old, new)
    inner = (slice(0, 2), slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(bent[inner].numpy(), features[1][inner].numpy(), atol=0.3)
    assert np.abs(features[0][inner].numpy() - features[1][inner].numpy()).max() > 1.0


def test_bending_between_equal_windows_changes_nothing() -> None:
    window = CropWindow.of_box(np.array([20.0, 10, 44, 40]), (24, 32))
    feature = torch.rand(5, 8, 6)
    np.testing.assert_allclose(warp_feature(feature, window, window), feature, atol=1e-5)
