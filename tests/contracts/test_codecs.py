"""Every codec: decoding undoes encoding up to the stated error, and mirrors with the crop."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from chronopose.codecs.heatmap import BORDER_CELLS, ROUND_TRIP_CELLS, HeatmapCodec
from chronopose.core.skeleton import Skeleton

SKELETON = Skeleton("three", ("nose", "left_eye", "right_eye"))
CELLS = (34, 36)
DECODERS = sorted(ROUND_TRIP_CELLS)
VARIANTS = list(product(DECODERS, ["gaussian", "softmax"], ["centre", "corner"]))


def build(decoder: str, activation: str, align: str, **changes: Any) -> HeatmapCodec:
    settings: dict[str, Any] = {"sigma": 2.0, "stride": 4, **changes}
    settings |= {"decoder": decoder, "activation": activation, "align": align}
    size = (CELLS[0] * settings["stride"], CELLS[1] * settings["stride"])
    return HeatmapCodec(SKELETON, size, **settings)


def ideal_output(codec: HeatmapCodec, pixels: Tensor) -> Tensor:
    """What a perfect network returns for ``(B, K, 2)`` joints in crop pixels."""
    maps = codec.encode(pixels, torch.ones(pixels.shape[:2])).heatmaps
    assert maps is not None
    return maps if codec.activation == "gaussian" else maps.log()


def sweep(low: float, high: tuple[float, float]) -> Tensor:
    """``(B, 3, 2)`` cells: sub-pixel positions over the whole range, both axes out of step."""
    count = 181
    x = torch.linspace(low, high[0], count)
    y = torch.linspace(low, high[1], count)[torch.arange(count) * 71 % count]
    points = torch.stack([x, y], dim=-1)
    return torch.stack([points, points.flip(0), points.roll(77, 0)], dim=1)


def worst_error_cells(codec: HeatmapCodec, cells: Tensor) -> float:
    pixels = codec.to_pixels(cells)
    poses = codec.decode(ideal_output(codec, pixels))
    return float(np.abs(poses.xy - pixels.numpy()).max()) / codec.stride


@pytest.mark.parametrize(("decoder", "activation", "align"), VARIANTS)
@pytest.mark.parametrize(("sigma", "stride"), [(1.0, 4), (2.0, 4), (3.0, 8)])
def test_decode_undoes_encode_up_to_the_stated_error(
    decoder: str, activation: str, align: str, sigma: float, stride: int
) -> None:
    codec = build(decoder, activation, align, sigma=sigma, stride=stride)
    reach = 3 * sigma
    inner = sweep(reach, (CELLS[0] - 1 - reach, CELLS[1] - 1 - reach))
    assert worst_error_cells(codec, inner) <= ROUND_TRIP_CELLS[decoder] + 1e-4


@pytest.mark.parametrize(("decoder", "activation", "align"), VARIANTS)
@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_near_the_border_the_error_stays_below_the_stated_one(
    decoder: str, activation: str, align: str, sigma: float
) -> None:
    codec = build(decoder, activation, align, sigma=sigma)
    everywhere = sweep(-0.5, (CELLS[0] - 0.5, CELLS[1] - 0.5))
    assert worst_error_cells(codec, everywhere) <= BORDER_CELLS[decoder] + 1e-4


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_stated_error_is_not_a_loose_promise(decoder: str) -> None:
    codec = build(decoder, "gaussian", "centre", sigma=3.0 if decoder == "expectation" else 1.0)
    reach = 3 * codec.sigma
    inner = sweep(reach, (CELLS[0] - 1 - reach, CELLS[1] - 1 - reach))
    assert worst_error_cells(codec, inner) >= 0.5 * ROUND_TRIP_CELLS[decoder]


@pytest.mark.parametrize(("decoder", "activation", "align"), VARIANTS)
def test_rounding_the_target_costs_half_a_cell_and_no_more(
    decoder: str, activation: str, align: str
) -> None:
    codec = build(decoder, activation, align, rounded=True)
    inner = sweep(7.0, (CELLS[0] - 8.0, CELLS[1] - 8.0))
    assert worst_error_cells(codec, inner) <= 0.5 + ROUND_TRIP_CELLS[decoder]


@pytest.mark.parametrize(("decoder", "activation", "align"), VARIANTS)
def test_scores_of_ideal_maps_are_high_and_at_most_one(
    decoder: str, activation: str, align: str
) -> None:
    codec = build(decoder, activation, align)
    inner = sweep(6.0, (CELLS[0] - 7.0, CELLS[1] - 7.0))
    score = codec.decode(ideal_output(codec, codec.to_pixels(inner))).score
    assert 0.93 <= score.min() <= score.max() <= 1.0


@pytest.mark.parametrize(("decoder", "activation", "align"), VARIANTS)
def test_unflipped_maps_of_the_mirrored_person_decode_to_the_person(
    decoder: str, activation: str, align: str
) -> None:
    # With corner alignment a map can only be moved by whole cells: 1/stride of a cell remains.
    codec = build(decoder, activation, align)
    pixels = codec.to_pixels(sweep(8.0, (CELLS[0] - 9.0, CELLS[1] - 9.0)))
    mirrored = pixels[:, torch.as_tensor(SKELETON.flip_index.copy())].clone()
    mirrored[..., 0] = codec.crop_size[0] - 1 - mirrored[..., 0]
    back = codec.decode(codec.unflip(ideal_output(codec, mirrored)))
    error = np.abs(back.xy - pixels.numpy()).max() / codec.stride
    left_over = 1 / codec.stride if align == "corner" else 0.0
    assert error <= ROUND_TRIP_CELLS[decoder] + left_over + 1e-4


@pytest.mark.parametrize(
    ("decoder", "activation"), list(product(DECODERS, ["gaussian", "softmax"]))
)
def test_averaging_with_a_perfect_mirror_image_changes_nothing(
    decoder: str, activation: str
) -> None:
    codec = build(decoder, activation, "centre")
    pixels = codec.to_pixels(sweep(8.0, (CELLS[0] - 9.0, CELLS[1] - 9.0)))
    direct = ideal_output(codec, pixels)
    mirrored = codec.unflip(direct)  # the mirror is its own inverse
    both = codec.decode(codec.average_flip(direct, mirrored))
    alone = codec.decode(direct)
    np.testing.assert_allclose(both.xy, alone.xy, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize(("decoder", "activation", "align"), VARIANTS)
def test_decoding_on_a_gpu_equals_decoding_on_the_cpu(
    decoder: str, activation: str, align: str
) -> None:
    codec = build(decoder, activation, align)
    pixels = codec.to_pixels(sweep(-0.4, (CELLS[0] - 0.6, CELLS[1] - 0.6)))
    maps = ideal_output(codec, pixels)
    there = codec.decode(maps.cuda())
    here = codec.decode(maps)
    agree = 2e-3 if decoder != "quarter" else 0.5 * codec.stride + 1e-3
    np.testing.assert_allclose(there.xy, here.xy, atol=agree)
    np.testing.assert_allclose(there.score, here.score, atol=1e-4)
