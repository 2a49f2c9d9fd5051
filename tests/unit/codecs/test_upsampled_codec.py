"""UpsampledHeatmapCodec: the highest pixel of the enlarged map."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.codecs.upsampled import UpsampledHeatmapCodec
from chronopose.core.skeleton import Skeleton

SKELETON = Skeleton("three", ("nose", "left_eye", "right_eye"))
SIZE = (96, 80)


def codec(**changes: object) -> UpsampledHeatmapCodec:
    return UpsampledHeatmapCodec(SKELETON, SIZE, sigma=1.5, **changes)  # type: ignore[arg-type]


def joints() -> torch.Tensor:
    """``(31, 3, 2)`` places at least 18 pixels inside the crop, at all phases of a cell."""
    x, y = torch.linspace(18, 78, 31), torch.linspace(18, 62, 31)
    return torch.stack([torch.stack([x, y], -1), torch.stack([x, y.flip(0)], -1),
                        torch.stack([x.flip(0), y.roll(11)], -1)], 1)  # fmt: skip


@pytest.mark.parametrize("align", ["centre", "corner"])
def test_a_joint_comes_back_to_a_pixel(align: str) -> None:
    here = codec(align=align)
    truth = joints()
    maps = here.encode(truth, torch.ones(truth.shape[:2])).heatmaps
    assert maps is not None
    found = here.decode(maps)
    assert np.abs(found.xy - truth.numpy()).max() <= 1.0


def test_places_are_whole_pixels_and_the_scores_those_of_the_plain_codec() -> None:
    here = codec()
    truth = joints()
    maps = here.encode(truth, torch.ones(truth.shape[:2])).heatmaps
    assert maps is not None
    found = here.decode(maps)
    np.testing.assert_array_equal(found.xy, np.round(found.xy))
    plain = HeatmapCodec(SKELETON, SIZE, sigma=1.5).decode(maps)
    np.testing.assert_array_equal(found.score, plain.score)


def test_a_single_lit_cell_is_found_at_one_of_its_four_middle_pixels() -> None:
    maps = torch.zeros(1, 3, 20, 24)
    maps[0, :, 5, 7] = 1.0
    # Cell 7 covers pixels 28 to 31, its centre lies at 29.5.
    xy = codec().decode(maps).xy[0, 0]
    assert abs(xy[0] - 29.5) == 0.5
    assert abs(xy[1] - 21.5) == 0.5


def test_a_map_that_is_not_finite_gives_nan_and_no_score() -> None:
    maps = torch.zeros(1, 3, 20, 24)
    maps[0, 1, 0, 0] = torch.nan
    found = codec().decode(maps)
    assert np.isnan(found.xy[0, 1]).all()
    assert found.score[0, 1] == 0
    assert np.isfinite(found.xy[0, 0]).all()
