"""Heatmap losses against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.core.skeleton import Skeleton
from chronopose.errors import ShapeError
from chronopose.losses.heatmap import (
    HeatmapCriterion,
    HeatmapMSE,
    SpatialCrossEntropy,
    heatmap_loss,
    joint_weights,
)
from chronopose.tensors import HeatmapOutput, Target

ARM = Skeleton("arm", ("neck", "left_wrist", "right_wrist"))


def target(maps: Tensor, weight: list[list[float]]) -> Target:
    return Target(torch.zeros(*maps.shape[:2], 2), torch.tensor(weight), maps)


def test_joints_are_weighed_by_name_whatever_their_order() -> None:
    leg = Skeleton(
        "leg", ("right_ankle", "left_knee", "left_ankle", "right_knee", "head_top", "left_elbow",
                "right_elbow"),
    )  # fmt: skip
    torch.testing.assert_close(
        joint_weights(leg), torch.tensor([1.5, 1.2, 1.5, 1.2, 1.0, 1.2, 1.2])
    )


def test_squared_error_is_the_mean_over_joints_of_the_mean_over_cells() -> None:
    # Errors 1, 2, 3 everywhere on three joints: (1 + 4 + 9) / 3.
    pred = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1).expand(2, 3, 4, 5)
    truth = target(torch.zeros(2, 3, 4, 5), [[1.0] * 3] * 2)
    assert HeatmapMSE(ARM)(pred, truth).item() == pytest.approx(14 / 3)
    assert HeatmapMSE(ARM, half=True)(pred, truth).item() == pytest.approx(7 / 3)


def test_the_weight_of_a_joint_enters_squared() -> None:
    # Wrists weigh 1.5: (1 + 2.25 + 2.25) / 3; an unlabelled joint weighs nothing.
    pred, maps = torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    loss = HeatmapMSE(ARM, use_joint_weights=True)
    assert loss(pred, target(maps, [[1.0, 1.0, 1.0]])).item() == pytest.approx(5.5 / 3)
    assert loss(pred, target(maps, [[1.0, 0.0, 1.0]])).item() == pytest.approx(3.25 / 3)


def test_cross_entropy_of_flat_logits_is_the_logarithm_of_the_cells() -> None:
    maps = torch.rand(1, 3, 4, 5)
    loss = SpatialCrossEntropy(ARM)(torch.full((1, 3, 4, 5), 7.0), target(maps, [[1.0] * 3]))
    assert loss.item() == pytest.approx(math.log(20), rel=1e-5)


def test_cross_entropy_ignores_joints_without_weight() -> None:
    maps = torch.zeros(1, 3, 2, 2)
    maps[0, :, 0, 0] = 1.0
    pred = torch.zeros(1, 3, 2, 2)
    pred[0, 1] = torch.tensor([[-50.0, 50.0], [0.0, 0.0]])
    loss = SpatialCrossEntropy(ARM)(pred, target(maps, [[1.0, 0.0, 1.0]]))
    assert loss.item() == pytest.approx(math.log(4), rel=1e-5)


def test_cross_entropy_without_any_joint_is_zero() -> None:
    maps = torch.zeros(1, 3, 2, 2)
    assert SpatialCrossEntropy(ARM)(maps + 1, target(maps, [[0.0] * 3])).item() == 0.0


def test_cross_entropy_is_least_at_the_target_itself() -> None:
    codec = HeatmapCodec(ARM, (32, 32), activation="softmax")
    truth = codec.encode(torch.full((1, 3, 2), 16.0), torch.ones(1, 3))
    assert truth.heatmaps is not None
    loss = SpatialCrossEntropy(ARM)
    exact = truth.heatmaps.clamp_min(1e-12).log().requires_grad_()
    loss(exact, truth).backward()
    assert exact.grad is not None
    assert exact.grad.abs().max() < 1e-5


def test_half_precision_maps_are_compared_in_full_precision() -> None:
    pred = torch.zeros(1, 3, 2, 2, dtype=torch.bfloat16)
    assert HeatmapMSE(ARM)(pred, target(torch.ones(1, 3, 2, 2), [[1.0] * 3])).dtype == torch.float32


def test_maps_of_another_size_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"codec\.encode"):
        HeatmapMSE(ARM)(torch.zeros(1, 3, 4, 4), target(torch.zeros(1, 3, 2, 2), [[1.0] * 3]))


@pytest.mark.parametrize(
    ("activation", "kind"), [("gaussian", HeatmapMSE), ("softmax", SpatialCrossEntropy)]
)
def test_the_codec_decides_the_loss(activation: str, kind: type) -> None:
    codec = HeatmapCodec(ARM, (32, 32), activation=activation)  # type: ignore[arg-type]
    assert isinstance(heatmap_loss(codec), kind)


def test_side_maps_are_compared_with_targets_of_their_own_stride() -> None:
    codec = HeatmapCodec(ARM, (64, 64), activation="softmax")
    joints = torch.tensor([[[10.0, 20.0], [40.0, 50.0], [33.0, 12.0]]])
    truth = codec.encode(joints, torch.ones(1, 3))
    output = HeatmapOutput(
        torch.zeros(1, 3, 16, 16), (torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 4, 4))
    )
    terms = HeatmapCriterion(codec)(output, truth)
    assert {k: round(v.item(), 4) for k, v in terms.items()} == {
        "heatmap": round(math.log(256), 4),
        "side_8": round(math.log(64), 4),
        "side_16": round(math.log(16), 4),
    }
