"""HeatmapCodec: targets, decoding, scores and the mirror, with numbers worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.core.skeleton import Skeleton
from chronopose.errors import ShapeError, UsageError

NOSE = Skeleton("nose only", ("nose",))
FACE = Skeleton("face", ("nose", "left_eye", "right_eye"))
W, H = 12, 16  # cells


def codec(skeleton: Skeleton = NOSE, **changes: Any) -> HeatmapCodec:
    settings: dict[str, Any] = {"crop_size": (W * 4, H * 4), "sigma": 1.0}
    return HeatmapCodec(skeleton, **{**settings, **changes})


def one_joint(c: HeatmapCodec, x: float, y: float, visible: float = 1.0) -> Any:
    return c.encode(torch.tensor([[[x, y]]]), torch.tensor([[visible]]))


def empty() -> Tensor:
    return torch.zeros(1, 1, H, W)


def test_joint_between_the_two_middle_pixels_of_a_cell_gives_that_cell_a_peak_of_one() -> None:
    # Cell 5 covers pixels 20..23, whose middle is 21.5; cell 7 covers 28..31, middle 29.5.
    target = one_joint(codec(), 21.5, 29.5)
    assert target.heatmaps[0, 0, 7, 5] == 1.0
    assert target.weight.tolist() == [[1.0]]


def test_corner_law_puts_pixel_twenty_on_cell_five() -> None:
    target = one_joint(codec(align="corner"), 20.0, 28.0)
    assert target.heatmaps[0, 0, 7, 5] == 1.0


def test_one_sigma_beside_the_joint_the_target_is_exp_minus_one_half() -> None:
    target = one_joint(codec(align="corner"), 20.0, 28.0)
    assert target.heatmaps[0, 0, 7, 6].item() == pytest.approx(math.exp(-0.5), abs=1e-7)
    assert target.heatmaps[0, 0, 8, 6].item() == pytest.approx(math.exp(-1.0), abs=1e-7)


def test_target_ends_three_sigma_from_the_joint() -> None:
    maps = one_joint(codec(align="corner"), 20.0, 28.0).heatmaps[0, 0]
    assert torch.nonzero(maps.amax(0)).flatten().tolist() == [2, 3, 4, 5, 6, 7, 8]
    assert torch.nonzero(maps.amax(1)).flatten().tolist() == [4, 5, 6, 7, 8, 9, 10]


def test_exact_centre_splits_a_joint_between_two_cells_evenly() -> None:
    maps = one_joint(codec(align="corner"), 22.0, 28.0).heatmaps[0, 0]
    assert maps[7, 5].item() == pytest.approx(math.exp(-0.125), abs=1e-7)
    assert maps[7, 5] == maps[7, 6]


def test_rounded_centre_is_the_published_int_of_x_over_stride_plus_a_half() -> None:
    # int(21.9 / 4 + 0.5) = int(5.975) = 5 and int(22.0 / 4 + 0.5) = int(6.0) = 6.
    c = codec(align="corner", rounded=True)
    assert one_joint(c, 21.9, 28.0).heatmaps[0, 0].flatten().argmax().item() == 7 * W + 5
    assert one_joint(c, 22.0, 28.0).heatmaps[0, 0].flatten().argmax().item() == 7 * W + 6


def test_rounded_centre_left_of_the_map_is_cut_towards_zero_as_published() -> None:
    # int(-5.2 / 4 + 0.5) = int(-0.8) = 0, not -1.
    target = one_joint(codec(align="corner", rounded=True), -5.2, 28.0)
    assert target.heatmaps[0, 0, 7, 0] == 1.0


@pytest.mark.parametrize(
    ("x", "y", "visible"),
    [(20.0, 28.0, 0.0), (math.nan, 28.0, 1.0), (20.0, math.inf, 1.0)],
    ids=["invisible", "x unknown", "y infinite"],
)
def test_joint_that_cannot_be_trained_on_has_no_weight_and_an_empty_map(
    x: float, y: float, visible: float
) -> None:
    target = one_joint(codec(), x, y, visible)
    assert target.weight.item() == 0
    assert target.heatmaps.abs().max() == 0


def test_joint_keeps_its_weight_until_its_window_has_left_the_map() -> None:
    # Cell -3 still reaches cell 0 (three sigma of one cell); cell -3.25 does not.
    c = codec(align="corner")
    assert one_joint(c, -12.0, 28.0).weight.item() == 1
    assert one_joint(c, -13.0, 28.0).weight.item() == 0
    assert one_joint(c, (W - 1 + 3) * 4.0, 28.0).weight.item() == 1
    assert one_joint(c, (W - 1 + 3) * 4.0 + 1, 28.0).weight.item() == 0


def test_quarter_moves_towards_the_higher_neighbour() -> None:
    maps = empty()
    maps[0, 0, 7, 5] = 0.8
    maps[0, 0, 7, 6] = 0.5
    maps[0, 0, 6, 5] = 0.1
    poses = codec(align="corner").decode(maps)
    np.testing.assert_array_equal(poses.xy[0, 0], [5.25 * 4, 6.75 * 4])


@pytest.mark.parametrize(("row", "column"), [(1, 5), (H - 1, 5), (7, 1), (7, W - 1)])
def test_quarter_stays_put_in_the_published_border(row: int, column: int) -> None:
    maps = empty()
    maps[0, 0] = 0.1 * torch.rand(H, W)
    maps[0, 0, row, column] = 1.0
    poses = codec(align="corner").decode(maps)
    np.testing.assert_array_equal(poses.xy[0, 0], [column * 4, row * 4])


def test_dark_finds_the_top_of_a_gaussian_between_cells() -> None:
    c = codec(decoder="dark", sigma=2.0)
    poses = c.decode(one_joint(c, 22.3, 31.0).heatmaps)
    np.testing.assert_allclose(poses.xy[0, 0], [22.3, 31.0], atol=0.05)


def test_expectation_of_a_single_lit_cell_is_its_centre() -> None:
    maps = empty()
    maps[0, 0, 7, 5] = 0.4
    poses = codec(decoder="expectation").decode(maps)
    np.testing.assert_allclose(poses.xy[0, 0], [21.5, 29.5], atol=1e-5)


def test_expectation_of_two_equal_cells_is_half_way() -> None:
    maps = empty()
    maps[0, 0, 7, 5:7] = 0.4
    poses = codec(decoder="expectation", align="corner").decode(maps)
    np.testing.assert_allclose(poses.xy[0, 0], [5.5 * 4, 7 * 4], atol=1e-4)


def test_expectation_of_softmax_prefers_a_broad_hill_to_a_single_higher_spike() -> None:
    logits = torch.full((1, 1, H, W), -20.0)
    logits[0, 0, 2:5, 2:5] = 0.0
    logits[0, 0, 12, 9] = 0.5
    poses = codec(activation="softmax", decoder="expectation", align="corner").decode(logits)
    np.testing.assert_allclose(poses.xy[0, 0], [3 * 4, 3 * 4], atol=1e-3)


def test_gaussian_score_is_the_peak_and_never_above_one() -> None:
    maps = torch.cat([empty() + 0.3, empty() + 1.7, empty() - 0.2])
    assert codec().decode(maps).score[:, 0].tolist() == pytest.approx([0.3, 1.0, 0.0])


def test_softmax_score_of_the_ideal_target_is_one() -> None:
    c = codec(activation="softmax", decoder="expectation", align="corner")
    logits = one_joint(c, 20.0, 28.0).heatmaps.log()
    assert c.decode(logits).score.item() == pytest.approx(1.0, abs=1e-6)


def test_softmax_score_of_two_equal_hills_is_a_half() -> None:
    # The ideal target's window of radius 2 holds 0.984 of its mass, here shared by two hills.
    c = codec(activation="softmax", decoder="expectation", align="corner")
    hills = one_joint(c, 12.0, 12.0).heatmaps + one_joint(c, 32.0, 48.0).heatmaps
    assert c.decode(hills.log()).score.item() == pytest.approx(0.5, abs=1e-6)


def test_softmax_score_of_a_flat_map_is_the_share_of_cells_in_the_window() -> None:
    # Radius 2 around the corner cell keeps 3 x 3 of 192 cells. One axis of the ideal target:
    # 1 + 2 (e^-.5 + e^-2) = 2.48373 within two cells, + 2 e^-4.5 = 2.50595 within three.
    c = codec(activation="softmax")
    share = 9 / (W * H) / (2.48373 / 2.50595) ** 2
    assert c.decode(empty()).score.item() == pytest.approx(share, rel=1e-4)


@pytest.mark.parametrize("decoder", ["quarter", "dark", "expectation"])
@pytest.mark.parametrize("activation", ["gaussian", "softmax"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_map_with_a_bad_value_is_unknown_and_its_neighbour_is_not(
    decoder: str, activation: str, bad: float
) -> None:
    c = codec(FACE, decoder=decoder, activation=activation)
    maps = c.encode(torch.full((1, 3, 2), 21.5), torch.ones(1, 3)).heatmaps
    assert maps is not None
    maps[0, 1, 0, 0] = bad
    poses = c.decode(maps)
    assert np.isnan(poses.xy[0, 1]).all()
    assert poses.score[0, 1] == 0
    assert np.isfinite(poses.xy[0, [0, 2]]).all()


@pytest.mark.parametrize("decoder", ["quarter", "dark", "expectation"])
@pytest.mark.parametrize("activation", ["gaussian", "softmax"])
def test_an_empty_map_gives_a_position_inside_the_crop(decoder: str, activation: str) -> None:
    poses = codec(decoder=decoder, activation=activation).decode(empty())
    assert (poses.xy >= -0.5).all()
    assert (poses.xy[..., 0] < W * 4).all()


def test_no_clips_give_no_poses() -> None:
    assert codec(decoder="dark").decode(torch.zeros(0, 1, H, W)).xy.shape == (0, 1, 2)


def test_maps_in_bfloat16_are_decoded_in_single_precision() -> None:
    c = codec(decoder="expectation")
    assert c.decode(one_joint(c, 21.5, 29.5).heatmaps.bfloat16()).xy.dtype == np.float32


def test_unflip_mirrors_the_columns_and_exchanges_the_eyes() -> None:
    maps = torch.zeros(1, 3, H, W)
    maps[0, 1, 4, 0] = 1.0  # the left eye of the mirrored person
    back = codec(FACE).unflip(maps)
    assert torch.nonzero(back).tolist() == [[0, 2, 4, W - 1]]


def test_corner_unflip_moves_one_cell_right_and_can_be_told_not_to() -> None:
    maps = torch.zeros(1, 1, H, W)
    maps[0, 0, 4, 5] = 1.0
    c = codec(align="corner")
    assert torch.nonzero(c.unflip(maps)[0, 0]).tolist() == [[4, W - 1 - 5 + 1]]
    assert torch.nonzero(c.unflip(maps, shift=False)[0, 0]).tolist() == [[4, W - 1 - 5]]


def test_corner_unflip_keeps_the_first_column() -> None:
    maps = torch.arange(float(W)).expand(1, 1, H, W)
    row = codec(align="corner").unflip(maps)[0, 0, 0]
    assert row.tolist() == [11.0, 11.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]


def test_average_flip_of_squared_error_maps_is_their_mean() -> None:
    direct, mirrored = empty(), empty()
    direct[0, 0, 4, 5] = 0.8
    mirrored[0, 0, 4, W - 1 - 5] = 0.4
    assert codec().average_flip(direct, mirrored)[0, 0, 4, 5].item() == pytest.approx(0.6)


def test_average_flip_of_logits_averages_probabilities_not_logits() -> None:
    c = codec(activation="softmax")
    direct, mirrored = empty(), empty()
    direct[0, 0, 4, 5] = 50.0  # all mass here
    mirrored[0, 0, 4, W - 1 - 7] = 9000.0  # all mass two cells further
    both = c.probability(c.average_flip(direct, mirrored))[0, 0, 4]
    assert both[[5, 6, 7]].tolist() == pytest.approx([0.5, 0.0, 0.5])


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"crop_size": (50, 64)}, "multiples"),
        ({"crop_size": (0, 64)}, "multiples"),
        ({"sigma": 0.0}, "sigma"),
        ({"sigma": math.nan}, "sigma"),
        ({"decoder": "argmax"}, "quarter, dark, expectation"),
        ({"align": "center"}, "centre, corner"),
        ({"activation": "sigmoid"}, "gaussian, softmax"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        codec(**changes)


def test_maps_of_another_skeleton_are_refused_with_both_shapes() -> None:
    with pytest.raises(ShapeError, match=r"\(B, 1, 16, 12\); got \(1, 3, 16, 12\)"):
        codec().decode(torch.zeros(1, 3, H, W))


def test_joints_of_another_skeleton_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"joints \(B, 1, 2\)"):
        codec().encode(torch.zeros(2, 3, 2), torch.ones(2, 3))
