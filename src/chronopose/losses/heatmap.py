"""Heatmap losses: squared error for Gaussian maps, cross-entropy over cells for softmax maps.

Axes: B clip, K joint, h w heatmap cells.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.core.skeleton import Skeleton
from chronopose.errors import ShapeError
from chronopose.tensors import HeatmapOutput, Target

JOINT_WEIGHTS = {"elbow": 1.2, "knee": 1.2, "wrist": 1.5, "ankle": 1.5}
"""Joint without its side -> weight; all others weigh 1."""


def joint_weights(skeleton: Skeleton) -> Tensor:
    """``(K,)`` weights by joint name: elbows and knees 1.2, wrists and ankles 1.5, others 1.

    Source:
        The joint weights of SimpleBaseline, HRNet and the DCPose family.
    """
    names = [j.removeprefix("left_").removeprefix("right_") for j in skeleton.joints]
    return torch.tensor([JOINT_WEIGHTS.get(name, 1.0) for name in names])


class _HeatmapLoss(nn.Module):
    """Holds the joint weights; not part of any state dict."""

    weights: Tensor

    def __init__(self, skeleton: Skeleton, use_joint_weights: bool) -> None:
        super().__init__()
        each = joint_weights(skeleton) if use_joint_weights else torch.ones(len(skeleton))
        self.register_buffer("weights", each, persistent=False)

    def _prepare(self, pred: Tensor, target: Target) -> tuple[Tensor, Tensor, Tensor]:
        truth = target.heatmaps
        if truth is None or truth.shape != pred.shape:
            got = "none" if truth is None else tuple(truth.shape)
            raise ShapeError(
                f"A heatmap loss needs target maps like the predicted ones, {tuple(pred.shape)}; "
                f"got {got}. Make the target with the model's own codec: "
                f"model.codec.encode(joints, visible)."
            )
        pred = pred if pred.dtype == torch.float64 else pred.float()
        weight = (target.weight * self.weights.to(target.weight.device)).to(pred.dtype)
        return pred, truth.to(pred.dtype), weight


class HeatmapMSE(_HeatmapLoss):
    """Squared error: per joint the mean over B, h, w of ((pred - truth) w)^2, then the mean of K.

    The weight w of a joint enters squared.

    Args:
        skeleton: Names of the K joints.
        use_joint_weights: Multiply the target's weight by :func:`joint_weights`.
        half: Factor 1/2 as SimpleBaseline and HRNet have it; DCPose and FAMI-Pose do without.
    """

    def __init__(
        self, skeleton: Skeleton, *, use_joint_weights: bool = False, half: bool = False
    ) -> None:
        super().__init__(skeleton, use_joint_weights)
        self.factor = 0.5 if half else 1.0

    def forward(self, pred: Tensor, target: Target) -> Tensor:
        """``(B, K, h, w)`` maps and their target -> scalar.

        Raises:
            ShapeError: the target has no maps, or maps of another shape.
        """
        pred, truth, weight = self._prepare(pred, target)
        return self.factor * ((pred - truth) * weight[..., None, None]).square().mean()


class SpatialCrossEntropy(_HeatmapLoss):
    """Cross-entropy between the softmax over cells and the Gaussian normalised to sum 1, nats.

    The mean over joints by their weights. From scratch it learns about three times faster than
    the squared error.

    Args:
        skeleton: Names of the K joints.
        use_joint_weights: Multiply the target's weight by :func:`joint_weights`.
    """

    def __init__(self, skeleton: Skeleton, *, use_joint_weights: bool = False) -> None:
        super().__init__(skeleton, use_joint_weights)

    def forward(self, pred: Tensor, target: Target) -> Tensor:
        """``(B, K, h, w)`` logits and their target -> scalar; 0 if no joint counts.

        Raises:
            ShapeError: the target has no maps, or maps of another shape.
        """
        pred, truth, weight = self._prepare(pred, target)
        share = truth / truth.sum((-2, -1), keepdim=True).clamp_min(1e-6)
        log_p = pred.flatten(2).log_softmax(-1)
        entropy = -(share.flatten(2) * log_p).sum(-1)
        return (entropy * weight).sum() / weight.sum().clamp_min(1.0)


def heatmap_loss(
    codec: HeatmapCodec, *, use_joint_weights: bool = False, half: bool = False
) -> HeatmapMSE | SpatialCrossEntropy:
    """The loss that goes with what a codec's maps mean (``activation``)."""
    if codec.activation == "softmax":
        return SpatialCrossEntropy(codec.skeleton, use_joint_weights=use_joint_weights)
    return HeatmapMSE(codec.skeleton, use_joint_weights=use_joint_weights, half=half)


class HeatmapCriterion(nn.Module):
    """Criterion of single-frame networks: term ``heatmap``, and ``side_S`` of coarser maps.

    The target of a side map of stride S is drawn anew at that stride. Its Gaussian is narrower in
    cells, but less than the stride grows: sigma * (stride / S)**0.7.
    """

    def __init__(self, codec: HeatmapCodec, *, half: bool = False) -> None:
        super().__init__()
        self.codec = codec
        self.loss = heatmap_loss(codec, half=half)

    def forward(self, output: HeatmapOutput, target: Target) -> dict[str, Tensor]:
        """Named, unweighted terms of a batch.

        Raises:
            ShapeError: output and target do not fit together.
        """
        terms = {"heatmap": self.loss(output.heatmaps, target)}
        for maps in output.side:
            stride = self.codec.crop_size[0] // maps.shape[-1]
            sigma = self.codec.sigma * (self.codec.stride / stride) ** 0.7
            coarse = replace(self.codec, stride=stride, sigma=sigma)
            terms[f"side_{stride}"] = self.loss(maps, coarse.encode(target.joints, target.weight))
        return terms
