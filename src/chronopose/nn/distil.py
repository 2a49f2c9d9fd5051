"""Kernels made by a network, the convolution with them, and a network that reconstructs changes.

Axes: B clip, C channel, K joint, S side of a kernel, h w cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chronopose.errors import UsageError
from chronopose.nn.residual import init_head

_POOLS = 3


class Distillator(nn.Module):
    """Makes a depth-wise kernel for every channel of a map.

    Three times convolution 3×3, batch norm, ReLU and pooling, the first without padding; then
    convolution 3×3 and batch norm. A pooling halves each side, rounding down, but not below S;
    the last one ends at S. Maps of 64×64 go 62, 31, 31, 15, 15, 7 as published for S = 7; where
    halving would miss the side, an adaptive maximum pooling takes its place (a choice of ours).

    Args:
        channels: C, the same throughout.
        size: S, odd.

    Raises:
        UsageError: S is even or below 1.

    Source:
        Nie et al., "Dynamic Kernel Distillation for Efficient Pose Estimation in Videos", in the
        form of the base network of RPSTN.
    """

    def __init__(self, channels: int, size: int = 7) -> None:
        super().__init__()
        if size < 1 or size % 2 == 0:
            raise UsageError(f"The side of a kernel must be odd and at least 1; got {size}.")
        self.size = size
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=int(number > 0), bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            )
            for number in range(_POOLS)
        )
        self.last = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w) -> (B, C, S, S)``; h and w at least 3."""
        for number, stage in enumerate(self.stages, 1):
            x = shrink_to(stage(x), self.size, last=number == _POOLS)
        out: Tensor = self.last(x)
        return out


def shrink_to(x: Tensor, size: int, *, last: bool = False) -> Tensor:
    """Halve the sides of ``(B, C, h, w)`` by maximum pooling, not below ``size``.

    Args:
        x: The map.
        size: Least side, cells; a smaller one is brought up to it.
        last: End at ``size`` exactly.
    """
    halves = (x.shape[-2] // 2, x.shape[-1] // 2)
    wanted = (size, size) if last else (max(size, halves[0]), max(size, halves[1]))
    if wanted == halves:
        return F.max_pool2d(x, 2)
    return F.adaptive_max_pool2d(x, wanted)


def match_kernels(feature: Tensor, kernels: Tensor) -> Tensor:
    """Convolve every channel of every clip with its own kernel, zeros outside.

    Clips are folded into groups, so one grouped convolution does it.

    Args:
        feature: ``(B, C, h, w)``.
        kernels: ``(B, C, S, S)``, S odd.

    Returns:
        ``(B, C, h, w)``.
    """
    batch, channels, height, width = feature.shape
    size = kernels.shape[-1]
    folded = F.conv2d(
        feature.reshape(1, batch * channels, height, width),
        kernels.reshape(batch * channels, 1, size, size),
        padding=size // 2,
        groups=batch * channels,
    )
    return folded.view(batch, channels, height, width)


class ChangeCritic(nn.Module):
    """Reconstructs how heatmaps change from one frame to the next, from the frames and the change.

    Convolutions 3×3 of stride 2, as many transposed ones 4×4 back, each with batch norm and leaky
    ReLU (0.2), then a 1×1 layer.

    Args:
        joints: K.
        widths: Channels of the convolutions; maps must be multiples of two to their number.

    Source:
        Ours, for the temporal discriminator of Nie et al., whose layers are not known to us.
    """

    def __init__(self, joints: int, widths: Sequence[int] = (64, 128, 256)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        wide = 6 + joints
        for width in widths:
            layers += _then_norm(nn.Conv2d(wide, width, 3, 2, 1, bias=False), width)
            wide = width
        for width in (*reversed(widths[:-1]), widths[0]):
            layers += _then_norm(nn.ConvTranspose2d(wide, width, 4, 2, 1, bias=False), width)
            wide = width
        self.body = nn.Sequential(*layers)
        self.head = nn.Conv2d(wide, joints, 1)
        init_head(self.head)

    def forward(self, before: Tensor, after: Tensor, change: Tensor) -> Tensor:
        """Frames ``(N, 3, h, w)`` twice and the change ``(N, K, h, w)`` -> the change again."""
        out: Tensor = self.head(self.body(torch.cat([before, after, change], 1)))
        return out


def _then_norm(layer: nn.Module, width: int) -> list[nn.Module]:
    return [layer, nn.BatchNorm2d(width), nn.LeakyReLU(0.2, inplace=True)]
