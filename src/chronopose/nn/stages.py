"""Temporal differences of stage features, weighed and accumulated across the stages.

The temporal difference encoder of TDMI; its equation numbers are that paper's (Feng et al.,
CVPR 2023).

Axes: B clip, T frame, C channel, h w cells, j stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from chronopose.nn.deform import MaskActivation, ModulatedDeformConv2d, mask_conv, offset_conv
from chronopose.nn.residual import conv_bn_relu, residual_chain


@dataclass(frozen=True, kw_only=True)
class DeformConfig:
    """Eq. 3-4."""

    groups: int = 12
    dilation: int = 1
    mask_act: MaskActivation = "sigmoid"
    blocks: int = 1
    """Residual blocks before the offset and before the mask convolution."""


@dataclass(frozen=True, kw_only=True)
class TDEConfig:
    """Temporal difference encoder, Eq. 1-5; switches of Table 6."""

    stages: tuple[int, ...] = (1, 2, 3, 4)
    differences: Literal["consecutive", "to_key"] = "consecutive"
    blocks: tuple[int, int, int, int] = (3, 3, 2, 2)
    """Residual blocks of Eq. 2 for stages 1 to 4."""
    width: int | None = None
    """Channels of D, M and the masks; None: as the backbone's last stage."""
    reduce: int | None = None
    """Project each stage to so many channels before the differences; None: do not."""
    modulation: Literal["deform", "none"] = "deform"
    dcn: DeformConfig = field(default_factory=DeformConfig)
    fuse: Literal["progressive", "concat"] = "progressive"
    convs: int = 2
    """3×3 convolutions in each step of Eq. 5."""


def temporal_differences(sequence: Tensor, key: int, kind: str = "consecutive") -> Tensor:
    """Differences between frames, stacked along the channels (Eq. 1).

    Args:
        sequence: ``(B, T, C, h, w)`` features in time order.
        key: Position of the key frame.
        kind: ``consecutive``: each frame minus the one before it; ``to_key``: each other frame
            minus the key frame.

    Returns:
        ``(B, (T-1)*C, h, w)``, oldest first.
    """
    if kind == "consecutive":
        return (sequence[:, 1:] - sequence[:, :-1]).flatten(1, 2)
    others = torch.cat([sequence[:, :key], sequence[:, key + 1 :]], dim=1)
    return (others - sequence[:, key : key + 1]).flatten(1, 2)


class TemporalDifferenceEncoder(nn.Module):
    """Multi-stage feature differences -> motion feature M (Eq. 1-5).

    Args:
        channels: Channels of the features of ``config.stages``.
        width: Channels of M.
        frames: Frames T of a window.
        config: Switches.
    """

    def __init__(self, channels: Sequence[int], width: int, frames: int, config: TDEConfig) -> None:
        super().__init__()
        self.config = config
        dcn = config.dcn
        self.intra, self.offset, self.mask = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        self.dcn, self.acc = nn.ModuleDict(), nn.ModuleDict()
        for j, cin in zip(config.stages, channels, strict=True):
            stage = str(j)
            self.intra[stage] = residual_chain((frames - 1) * cin, width, config.blocks[j - 1])
            if config.modulation == "deform":
                self.offset[stage] = nn.Sequential(
                    *residual_chain(width, width, dcn.blocks),
                    offset_conv(width, dcn.groups, dilation=dcn.dilation),
                )
                self.mask[stage] = nn.Sequential(
                    *residual_chain(width, width, dcn.blocks),
                    mask_conv(width, dcn.groups, dilation=dcn.dilation, mask_act=dcn.mask_act),
                )
                self.dcn[stage] = ModulatedDeformConv2d(
                    width, width, dilation=dcn.dilation, mask_act=dcn.mask_act
                )
            if config.fuse == "progressive":
                self.acc[stage] = self._convs(width, width)
        if config.fuse == "concat":
            self.acc["all"] = self._convs(len(config.stages) * width, width)

    def _convs(self, cin: int, cout: int) -> nn.Sequential:
        count = self.config.convs
        return nn.Sequential(*(conv_bn_relu(cin if i == 0 else cout, cout) for i in range(count)))

    def forward(self, sequences: Sequence[Tensor], key: int) -> Tensor:
        """Features ``(B, T, C_j, h, w)`` of the stages -> M ``(B, width, h, w)``."""
        weighed = []
        for j, sequence in zip(self.config.stages, sequences, strict=True):
            stage = str(j)
            differences = temporal_differences(sequence, key, self.config.differences)
            d = self.intra[stage](differences)  # Eq. 2
            if self.config.modulation == "deform":  # Eq. 3-4
                d = self.dcn[stage](d, self.offset[stage](d), self.mask[stage](d))
            weighed.append(d)
        if self.config.fuse == "concat":
            return self.acc["all"](torch.cat(weighed, dim=1))
        motion: Tensor | None = None
        for j, d in zip(self.config.stages, weighed, strict=True):  # Eq. 5
            motion = self.acc[str(j)](d if motion is None else motion + d)
        assert motion is not None
        return motion
