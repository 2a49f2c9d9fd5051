"""The losses of Flowing ConvNets: half squared errors at the scale of the release.

Axes: B clip, K joint, h w cells.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.codecs.regression import RegressionCodec
from chronopose.errors import ShapeError
from chronopose.tensors import HeatmapOutput, RegressionOutput, Target


class ReleasedCriterion(nn.Module):
    """Half squared errors of maps against :func:`released_target`; unlabelled joints do not count.

    Args:
        codec: Of the maps; :func:`released_target` draws by it.
        sides: Names of the terms of the output's ``side``, behind the term ``heatmap``.
        scale: ``sum``: the gradient is prediction less target, as in the release; ``mean`` over
            B, K, h, w.

    Source:
        Facts of the release of Flowing ConvNets.
    """

    def __init__(
        self, codec: HeatmapCodec, sides: tuple[str, ...], scale: Literal["sum", "mean"]
    ) -> None:
        super().__init__()
        self.codec, self.names, self.scale = codec, ("heatmap", *sides), scale

    def forward(self, output: HeatmapOutput, target: Target) -> dict[str, Tensor]:
        """Named, unweighted terms of a batch; ``heatmap`` only for outputs of eval mode.

        Raises:
            ShapeError: output and target do not fit together.
        """
        truth = released_target(self.codec, target.joints)
        if truth.shape != output.heatmaps.shape:
            raise ShapeError(
                f"The loss needs maps {tuple(truth.shape)} for these joints; got "
                f"{tuple(output.heatmaps.shape)}. Make target and maps with the same codec."
            )
        weight = target.weight[..., None, None]
        every = (output.heatmaps, *output.side)
        return {
            name: _half_square((maps - truth.to(maps.dtype)) * weight, self.scale)
            for name, maps in zip(self.names, every, strict=False)
        }


class PlaceCriterion(nn.Module):
    """Term ``place``: half the squared distance in shares of the crop; unlabelled joints are out.

    Args:
        codec: Whose target carries the shares.
        scale: ``sum``, or ``mean`` over B, K and both axes.
    """

    def __init__(self, codec: RegressionCodec, scale: Literal["sum", "mean"]) -> None:
        super().__init__()
        self.codec, self.scale = codec, scale

    def forward(self, output: RegressionOutput, target: Target) -> dict[str, Tensor]:
        """The term of a batch.

        Raises:
            ShapeError: the target has no shares, or of other joints.
        """
        if target.shares is None or target.shares.shape != output.joints.shape:
            raise ShapeError(
                f"The loss needs shares {tuple(output.joints.shape)}. Make the target with the "
                f"model's own codec: model.codec.encode(joints, visible)."
            )
        error = (output.joints - target.shares.to(output.joints.dtype)) * target.weight[..., None]
        return {"place": _half_square(error, self.scale)}


def _half_square(error: Tensor, scale: str) -> Tensor:
    square = error.square()
    return 0.5 * (square.sum() if scale == "sum" else square.mean())


def released_target(codec: HeatmapCodec, joints: Tensor) -> Tensor:
    """The target of the release: ``4 / (sigma sqrt(2 pi)) exp(-d**2 / (2 sigma**2))``.

    Args:
        codec: Gives cells and sigma; the peak is 1.0638 at sigma 1.5.
        joints: ``(B, K, 2)`` crop pixels; NaN where unknown.

    Returns:
        ``(B, K, h, w)``: not rounded to cells and not cut off; zero where the joint is unknown.
    """
    centre = codec.to_cells(joints.detach().float())
    known = torch.isfinite(centre).all(-1)
    centre = torch.where(known[..., None], centre, torch.zeros_like(centre))
    width, height = codec.map_size
    x = torch.arange(width, device=joints.device) - centre[..., :1]
    y = torch.arange(height, device=joints.device) - centre[..., 1:]
    reach = -2 * codec.sigma**2
    maps = torch.exp(y**2 / reach)[..., :, None] * torch.exp(x**2 / reach)[..., None, :]
    peak = 4 / (codec.sigma * math.sqrt(2 * math.pi))
    return maps * (peak * known[..., None, None])
