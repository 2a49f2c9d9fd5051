"""Discs drawn by sums are the discs of the exact kernel, at a fraction of its cost."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.synth._discs import double, shrink, spread
from chronopose.synth._kernels import convolve, disc

RADII = [0.8, 1.7, 2.4, 2.6, 3.5, 5.9, 6.0, 8.3, 12.0]


@pytest.mark.parametrize("radius", RADII)
def test_an_even_picture_stays_as_it_is(radius: float):
    even = np.full((2, 33, 40), 0.3, np.float32)
    np.testing.assert_allclose(spread(even, radius), even, atol=2e-6)


@pytest.mark.parametrize("radius", RADII)
def test_a_point_becomes_a_disc_around_it(radius: float):
    planes = np.zeros((1, 64, 64), np.float32)
    planes[0, 30, 33] = 1
    found = spread(planes, radius)[0].astype(np.float64)
    assert found.sum() == pytest.approx(1, abs=1e-4)
    y, x = np.mgrid[:64, :64]
    middle = (found * x).sum(), (found * y).sum()
    # Half the resolution puts a point up to half a pixel aside.
    assert np.hypot(middle[0] - 33, middle[1] - 30) < (0.71 if radius >= 6 else 1e-3)
    spread_px2 = (found * ((x - middle[0]) ** 2 + (y - middle[1]) ** 2)).sum() / 2
    # The variance of a disc of radius r along one axis is r^2 / 4.
    assert spread_px2 == pytest.approx(radius**2 / 4, rel=0.2, abs=0.15)


@pytest.mark.parametrize("radius", RADII)
def test_a_picture_comes_out_as_with_the_exact_kernel(radius: float):
    rng = np.random.default_rng(0)
    image = np.repeat(np.repeat(rng.random((12, 16, 3), dtype=np.float32), 8, 0), 8, 1)
    want = convolve(image, disc(radius))
    found = np.moveaxis(spread(np.ascontiguousarray(np.moveaxis(image, -1, 0)), radius), 0, -1)
    assert np.abs(found - want).mean() < 0.01


def test_a_small_radius_is_no_blur():
    planes = np.random.default_rng(0).random((3, 8, 9), dtype=np.float32)
    assert spread(planes, 0.3) is planes


def test_a_slope_survives_shrinking_and_doubling():
    slope = np.tile(np.arange(20, dtype=np.float32), (1, 11, 1))
    back = double(shrink(slope, 2), (11, 20))
    assert back.shape == slope.shape
    np.testing.assert_allclose(back[0, :, 2:-2], slope[0, :, 2:-2], atol=1e-5)
