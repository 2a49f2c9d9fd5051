"""Heatmap loss over all frames of clips."""

from __future__ import annotations

from torch import Tensor, nn

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.losses.heatmap import heatmap_loss
from chronopose.tensors import ClipOutput, Target


class ClipCriterion(nn.Module):
    """Term ``heatmap``: the loss of the codec's kind over all frames that output and target know.

    Squared error: the mean over B, T, K, h, w of ((map - target) w)^2. Where one of the two knows
    the key frame alone, that of the key frame.

    Args:
        codec: Of the network.
    """

    def __init__(self, codec: HeatmapCodec) -> None:
        super().__init__()
        self.loss = heatmap_loss(codec)

    def forward(self, output: ClipOutput, target: Target) -> dict[str, Tensor]:
        """Maps ``(B, T, K, h, w)`` and their target -> named, unweighted terms.

        Raises:
            ShapeError: output and target do not fit together.
        """
        if output.clip is None or target.clip is None:
            return {"heatmap": self.loss(output.heatmaps, target)}
        maps, weight = target.clip.heatmaps.flatten(0, 1), target.clip.weight.flatten(0, 1)
        # Only maps and weights are read; where the joints lie does not matter to these losses.
        each = Target(weight.new_zeros(*weight.shape, 2), weight, maps)
        return {"heatmap": self.loss(output.clip.flatten(0, 1), each)}
