"""Temporal convolutions: 2D poses over time -> joints in space; the yardstick of lifting.

Paper     Pavllo, Feichtenhofer, Grangier, Auli, "3D human pose estimation in video with temporal
          convolutions and semi-supervised training", CVPR 2019 ("VideoPose3D").
Reads     poses        float  B T J C   screen coordinates; C = 2, or 3 with the score
Returns   LiftOutput   float  B 1 J 3   metres from the root, the middle frame (causal: the last)
Idea      1. All numbers of a frame are channels of one 1-D convolution over time.
          2. Blocks: a wide convolution, a 1×1 convolution, and the block's input added, cut to
             the same frames. The steps between taps grow with each block, so a few blocks of
             width 3 see 3**n frames.
          3. A 1×1 layer gives 3 numbers a joint.
          One set of weights has two forms. On one window (training) every layer strides over the
          frames and nothing is computed that the answer does not need; on a long clip (dense) the
          taps are dilated and every frame of every layer is computed once for all windows.
Differs   One skeleton for what is read and what is returned. Preset ``lite`` is ours: 9 frames,
          256 channels.
Written   from the paper and from facts about the published code, which is CC BY-NC and was
          not read.
Checked   tests/parity/test_videopose3d_parity.py: equal to the published network in float64, both
          forms, centred and causal; tests/unit/models/test_temporal_cnn.py; tests/contracts/.

Axes: B clip, T frame of a window, F frame of a long clip, J joint, C numbers a joint, N channel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chronopose.codecs.root_relative import RootRelative
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import UsageError
from chronopose.losses.space import SpaceCriterion
from chronopose.models._lift import LiftCriterion, LiftModel, LiftNeeds, overlapping
from chronopose.tensors.space import LiftOutput

WINDOWS_AT_ONCE = 2048
"""Windows of a long clip that one pass of the dense form answers for: it bounds the memory."""

_OFFICIAL = re.compile(r"layers_(conv|bn)\.(\d+)\.(.+)")


@dataclass(frozen=True, kw_only=True)
class TemporalCNNConfig:
    """What the network is built from."""

    widths: tuple[int, ...] = (3, 3, 3)
    """Frames under each wide convolution, odd; a window has as many frames as their product."""
    channels: int = 1024
    dropout: float = 0.25
    causal: bool = False
    """Answer for the last frame of the window, not its middle; the weights keep their shapes."""
    score: bool = False
    """Also read the score of each joint: C = 3."""
    skeleton: str = "h36m17"
    """Registry name of the joints J."""
    root: str = "pelvis"
    """Joint that positions are relative to."""

    def __post_init__(self) -> None:
        if not self.widths or any(w < 1 or w % 2 == 0 for w in self.widths):
            raise UsageError(
                f"widths must be odd numbers of frames, at least one; got {self.widths}. "
                f"(3, 3, 3) sees 27 frames."
            )

    @property
    def frames(self) -> int:
        """Length T of a window."""
        return prod(self.widths)


T27 = TemporalCNNConfig()
PRESETS = {
    "t9": replace(T27, widths=(3,) * 2),
    "t27": T27,
    "t81": replace(T27, widths=(3,) * 4),
    "t243": replace(T27, widths=(3,) * 5),
    "lite": replace(T27, widths=(3,) * 2, channels=256, dropout=0.1),
}


class TemporalConv(nn.Module):
    """Convolution over time without bias, batch norm, ReLU, dropout."""

    def __init__(self, inputs: int, channels: int, width: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, channels, width, bias=False)
        self.norm = nn.BatchNorm1d(channels)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
        """``(B, inputs, frames)`` -> ``(B, channels, fewer frames)``; nothing is padded."""
        spread = F.conv1d(x, self.conv.weight, stride=stride, dilation=dilation)
        out: Tensor = self.drop(F.relu(self.norm(spread)))
        return out


class ResidualBlock(nn.Module):
    """A wide and a 1×1 convolution; their input is added, cut to the frames that are left.

    Args:
        channels: N.
        width: Frames w under the wide convolution.
        dropout: Share of numbers put to zero while training.
        causal: Add the last of the frames under the convolution, not the middle one.
    """

    def __init__(self, channels: int, width: int, dropout: float, causal: bool) -> None:
        super().__init__()
        self.width = width
        self.kept = width - 1 if causal else width // 2
        """Which of the w frames is added."""
        self.wide = TemporalConv(channels, channels, width, dropout)
        self.point = TemporalConv(channels, channels, 1, dropout)

    def strided(self, x: Tensor) -> Tensor:
        """``(B, N, w n)`` -> ``(B, N, n)``: groups of w frames that do not overlap."""
        out: Tensor = self.point(self.wide(x, stride=self.width))
        return out + x[..., self.kept :: self.width]

    def dilated(self, x: Tensor, step: int) -> Tensor:
        """``(B, N, n + (w - 1) step)`` -> ``(B, N, n)``: w frames, ``step`` apart, around each."""
        out: Tensor = self.point(self.wide(x, dilation=step))
        return out + x[..., self.kept * step :][..., : out.shape[-1]]


class TemporalCNN(LiftModel):
    """``expand``, residual ``blocks`` and the 1×1 ``shrink``."""

    PRESETS: ClassVar[Mapping[str, TemporalCNNConfig]] = PRESETS

    config: TemporalCNNConfig

    def __init__(self, config: TemporalCNNConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = RootRelative(get_skeleton(config.skeleton), config.root)
        frames, channels = config.frames, 3 if config.score else 2
        before = frames - 1 if config.causal else frames // 2
        self.needs = LiftNeeds(frames=frames, channels=channels, before=before)
        joints, first, *others = len(self.codec.skeleton), *config.widths
        self.expand = TemporalConv(joints * channels, config.channels, first, config.dropout)
        self.blocks = nn.ModuleList(
            ResidualBlock(config.channels, width, config.dropout, config.causal) for width in others
        )
        self.shrink = nn.Conv1d(config.channels, joints * 3, 1)

    def forward(self, poses: Tensor) -> LiftOutput:
        """Windows ``(B, T, J, C)`` -> ``(B, 1, J, 3)``, metres; the strided form.

        Raises:
            ShapeError: other joints or another number of frames.
        """
        self.check(poses, windows=True)
        x = self.expand(self._channels(poses), stride=self.config.widths[0])
        for block in self.blocks:
            assert isinstance(block, ResidualBlock)
            x = block.strided(x)
        return self._joints(x)

    def dense(self, poses: Tensor) -> LiftOutput:
        """Long clips ``(B, F, J, C)`` -> ``(B, F - T + 1, J, 3)``, metres; the dilated form.

        In eval mode the numbers are those of :meth:`forward` on each window, to rounding.

        Raises:
            ShapeError: other joints, or fewer than T frames.
        """
        self.check(poses, windows=False)
        parts = overlapping(poses, self.needs.frames, WINDOWS_AT_ONCE)
        return LiftOutput(torch.cat([self._dilated(part).xyz for part in parts], 1))

    def _dilated(self, poses: Tensor) -> LiftOutput:
        x = self.expand(self._channels(poses))
        step = self.config.widths[0]
        for block in self.blocks:
            assert isinstance(block, ResidualBlock)
            x = block.dilated(x, step)
            step *= block.width
        return self._joints(x)

    @staticmethod
    def _channels(poses: Tensor) -> Tensor:
        return poses.flatten(2).transpose(1, 2)  # B (J C) T

    def _joints(self, x: Tensor) -> LiftOutput:
        return LiftOutput(self.shrink(x).transpose(1, 2).unflatten(2, (-1, 3)))

    def criterion(self) -> LiftCriterion:
        """Mean distance of the joints, metres."""
        return SpaceCriterion()

    @staticmethod
    def from_official_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """State dict of the published network -> ours."""
        ours = {}
        for key, value in state.items():
            part, _, rest = key.removeprefix("module.").partition(".")
            found = _OFFICIAL.fullmatch(key.removeprefix("module."))
            if found is not None:
                # Published lists alternate: wide, 1×1, wide, 1×1.
                kind, index, rest = found.group(1), int(found.group(2)), found.group(3)
                layer = f"blocks.{index // 2}.{('wide', 'point')[index % 2]}"
                ours[f"{layer}.{'conv' if kind == 'conv' else 'norm'}.{rest}"] = value
            else:
                home = {"expand_conv": "expand.conv", "expand_bn": "expand.norm"}
                ours[f"{home.get(part, part)}.{rest}"] = value
        return ours
