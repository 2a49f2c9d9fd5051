"""The loss of composite localisation: near which cells, and how far from them.

Axes: B clip, K joint, h w cells.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chronopose.codecs.composite import CompositeCodec
from chronopose.errors import ShapeError
from chronopose.tensors import CompositeOutput, Target

MOST = 100.0
"""Largest weight of a positive cell."""


class CompositeCriterion(nn.Module):
    """Terms ``near`` (which cells) and ``offset`` (how far from them), summed over the stacks.

    ``near`` is the mean over the cells of counted joints of the cross-entropy between a cell's
    logit and 0 or 1, where positive cells weigh ``min(100, negatives / positives)`` of the batch;
    or of the squared error of its probability. ``offset`` is the mean over positive cells and both
    axes of the smooth L1 distance with its bend at 1.

    Args:
        codec: Of the network.
        near: ``bce`` or ``mse``.

    Source:
        Ours; CLNet's abstract, all of it that could be read, does not say how it is trained.
    """

    def __init__(self, codec: CompositeCodec, near: Literal["bce", "mse"] = "bce") -> None:
        super().__init__()
        self.codec, self.near = codec, near

    def forward(self, output: CompositeOutput, target: Target) -> dict[str, Tensor]:
        """Named, unweighted terms of a batch; 0 if no joint counts.

        Raises:
            ShapeError: output and target do not fit together.
        """
        truth = target.heatmaps
        if truth is None or truth.shape != output.heatmaps.shape:
            got = "none" if truth is None else tuple(truth.shape)
            raise ShapeError(
                f"The composite loss needs target maps like the predicted ones, "
                f"{tuple(output.heatmaps.shape)}; got {got}. Make the target with the model's own "
                f"codec: model.codec.encode(joints, visible)."
            )
        offsets = self.codec.offsets(target.joints)
        terms = [self._terms(o, truth, offsets, target.weight) for o in (output, *output.side)]
        return {name: torch.stack([t[name] for t in terms]).sum() for name in ("near", "offset")}

    def _terms(
        self, output: CompositeOutput, truth: Tensor, offsets: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        kind = output.heatmaps.dtype
        truth = truth.to(kind)
        counted = (weight > 0).to(kind)[..., None, None].expand_as(truth)
        positive, cells = truth.sum(), counted.sum().clamp_min(1)
        if self.near == "bce":
            balance = ((cells - positive) / positive.clamp_min(1)).clamp(max=MOST)
            each = F.binary_cross_entropy_with_logits(
                output.heatmaps, truth, pos_weight=balance, reduction="none"
            )
        else:
            each = (output.heatmaps.sigmoid() - truth).square()
        distance = F.smooth_l1_loss(output.offsets, offsets.to(kind), reduction="none")
        away = (distance.sum(2) * truth).sum() / (2 * positive.clamp_min(1))
        return {"near": (each * counted).sum() / cells, "offset": away}
