"""RegressionCodec: shares of the crop, scores and the mirror, with numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from chronopose.codecs.regression import RegressionCodec
from chronopose.core.skeleton import Skeleton
from chronopose.errors import ShapeError, UsageError
from chronopose.tensors import RegressionOutput

FACE = Skeleton("face", ("nose", "left_eye", "right_eye"))
SIZE = (40, 60)


def codec(**changes: Any) -> RegressionCodec:
    return RegressionCodec(FACE, SIZE, **changes)


def output(shares: torch.Tensor, sigma: float = 0.1) -> RegressionOutput:
    return RegressionOutput(shares, torch.full_like(shares, sigma))


@pytest.mark.parametrize(
    ("align", "pixel", "share"),
    [
        ("centre", (-0.5, -0.5), (0.0, 0.0)),  # the outer corner of the crop
        ("centre", (19.5, 29.5), (0.5, 0.5)),
        ("centre", (39.5, 59.5), (1.0, 1.0)),
        ("corner", (0.0, 0.0), (0.0, 0.0)),
        ("corner", (10.0, 15.0), (0.25, 0.25)),
    ],
)
def test_pixels_and_shares_follow_the_law(
    align: Any, pixel: tuple[float, float], share: tuple[float, float]
) -> None:
    c = codec(align=align)
    assert c.to_shares(torch.tensor(pixel)).tolist() == pytest.approx(share)
    assert c.to_pixels(torch.tensor(share)).tolist() == pytest.approx(pixel)


@pytest.mark.parametrize("align", ["centre", "corner"])
def test_decode_undoes_encode_inside_and_outside_the_crop(align: Any) -> None:
    generator = torch.Generator().manual_seed(1)
    joints = torch.rand(200, 3, 2, generator=generator) * 160 - 60
    target = codec(align=align).encode(joints, torch.ones(200, 3))
    assert target.shares is not None
    poses = codec(align=align).decode(output(target.shares))
    assert poses.space == "crop_px"
    np.testing.assert_allclose(poses.xy, joints.numpy(), atol=1e-4)


def test_unknown_and_invisible_joints_have_no_weight_and_harmless_coordinates() -> None:
    joints = torch.tensor([[[float("nan"), 3.0], [4.0, 5.0], [500.0, 5.0]]])
    target = codec().encode(joints, torch.tensor([[1, 0, 1]]))
    assert target.weight.tolist() == [[0, 0, 1]]
    assert target.heatmaps is None
    assert target.shares is not None
    assert target.shares[0, :2].tolist() == [[0, 0], [0, 0]]
    # A joint outside the crop has a coordinate above 1: 500.5 / 40.
    assert target.shares[0, 2, 0].item() == pytest.approx(12.5125)


def test_a_target_moves_to_another_device_whole() -> None:
    target = codec().encode(torch.ones(1, 3, 2), torch.ones(1, 3)).to("meta")
    assert target.shares is not None
    assert target.shares.is_meta and target.joints.is_meta


def test_the_score_is_one_minus_the_mean_spread() -> None:
    sigma = torch.tensor([[[0.2, 0.4], [0.0, 0.0], [1.0, 1.0]]])
    poses = codec().decode(RegressionOutput(torch.zeros(1, 3, 2), sigma))
    assert poses.score[0].tolist() == pytest.approx([0.7, 1.0, 0.0])


@pytest.mark.parametrize("field", ["joints", "sigma"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_loses_its_joint_only(field: str, value: float) -> None:
    found = output(torch.full((1, 3, 2), 0.5))
    getattr(found, field)[0, 1, 0] = value
    poses = codec().decode(found)
    assert poses.score[0].tolist() == pytest.approx([0.9, 0.0, 0.9])
    assert np.isnan(poses.xy[0, 1]).all()
    assert np.isfinite(poses.xy[0, [0, 2]]).all()


def test_half_precision_and_no_people_decode() -> None:
    assert codec().decode(output(torch.zeros(2, 3, 2).bfloat16())).xy.dtype == np.float32
    assert codec().decode(output(torch.zeros(0, 3, 2))).xy.shape == (0, 3, 2)


@pytest.mark.parametrize("align", ["centre", "corner"])
def test_the_mirrored_person_s_output_unflips_to_the_person(align: Any) -> None:
    c = codec(align=align)
    pixels = torch.tensor([[[3.0, 7.0], [10.5, 8.0], [30.0, 9.0]]])
    mirrored = pixels[:, [0, 2, 1]].clone()
    mirrored[..., 0] = SIZE[0] - 1 - mirrored[..., 0]
    sigma = torch.tensor([[[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]]])
    back = c.unflip(RegressionOutput(c.to_shares(mirrored), sigma))
    np.testing.assert_allclose(c.decode(back).xy, pixels.numpy(), atol=1e-5)
    # The left eye of the crop was the right one of the mirrored crop.
    assert back.sigma[0, :, 0].tolist() == pytest.approx([0.1, 0.3, 0.2])


@pytest.mark.parametrize("align", ["centre", "corner"])
def test_averaging_with_a_perfect_mirror_image_changes_nothing(align: Any) -> None:
    c = codec(align=align)
    direct = output(torch.rand(4, 3, 2))
    both = c.average_flip(direct, c.unflip(direct))  # the mirror is its own inverse
    torch.testing.assert_close(both.joints, direct.joints)
    torch.testing.assert_close(both.sigma, direct.sigma)


def test_averaging_takes_the_mean_of_both() -> None:
    direct = output(torch.full((1, 3, 2), 0.25), 0.1)
    mirrored = output(torch.full((1, 3, 2), 0.5), 0.3)
    both = codec().average_flip(direct, mirrored)
    # Mirrored x: 1 - 0.5.
    assert both.joints[0, 0].tolist() == pytest.approx([0.375, 0.375])
    assert both.sigma[0, 0].tolist() == pytest.approx([0.2, 0.2])


def test_another_crop_size_keeps_the_rest() -> None:
    other = codec(align="corner").at((80, 100), 3.0)
    assert (other.crop_size, other.align, other.skeleton) == ((80, 100), "corner", FACE)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="align"):
        codec(align="middle")
    with pytest.raises(UsageError, match="positive"):
        RegressionCodec(FACE, (0, 10))
    with pytest.raises(ShapeError, match="3, 2"):
        codec().decode(output(torch.zeros(1, 2, 2)))
    with pytest.raises(ShapeError, match="visible"):
        codec().encode(torch.zeros(1, 3, 2), torch.ones(1, 2))
