"""SpatialNet and CoordinateNet: the single-frame networks of Flowing ConvNets.

Convolutions of stride 1 with bias and "same" padding, ReLU after each but the last, no
normalisation; the networks read RGB 0..255 without a mean.

Axes: N frame, C channel, h w cells of stride 4, K joint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chronopose.nn.backbones import ALL_STAGES, Backbone
from chronopose.nn.residual import init_head
from chronopose.tensors.colours import unnormalise

TRUNK = ((5, 128), (5, 128), (5, 128), (9, 256), (9, 512), (1, 256), (1, 256))
"""Kernel and channels of conv1 to conv7; a pooling by two follows conv1 and conv2."""


@dataclass(frozen=True, kw_only=True)
class FusionConfig:
    """Spatial fusion layers conv1_f to conv4_f; conv5_f has a channel for each joint."""

    reduce: int | None = None
    """Channels to which conv3 and conv7 are projected first; None: as they are."""
    widths: tuple[int, int, int, int] = (64, 64, 128, 256)
    kernels: tuple[int, int, int, int] = (7, 13, 13, 1)


class FusionLayers(nn.Module):
    """Spatial fusion: wide convolutions on conv3 and conv7, which learn how joints hang together.

    Args:
        shallow: Channels of conv3.
        deep: Channels of conv7.
        config: Widths and kernels.
    """

    def __init__(self, shallow: int, deep: int, config: FusionConfig) -> None:
        super().__init__()
        cin = shallow + deep
        self.reduce: nn.Module = nn.Identity()
        if config.reduce is not None:
            self.reduce = nn.Conv2d(cin, config.reduce, 1)
            cin = config.reduce
        layers: list[nn.Module] = []
        for width, kernel in zip(config.widths, config.kernels, strict=True):
            layers += [nn.Conv2d(cin, width, kernel, padding=kernel // 2), nn.ReLU(inplace=True)]
            cin = width
        self.layers = nn.Sequential(*layers)
        self.out_channels = cin

    def forward(self, shallow: Tensor, deep: Tensor) -> Tensor:
        """``(N, C3, h, w)`` and ``(N, C7, h, w)`` -> conv4_f."""
        return self.layers(self.reduce(torch.cat([shallow, deep], dim=1)))


class SpatialNet(Backbone):
    """The paper's network; stage 1 is conv3, stages 2 and 3 conv7, stage 4 what is read last.

    Args:
        joints: Number of heatmaps.
        fusion: Widths of the spatial fusion layers, or None: conv8 is read off conv7.

    Source:
        The layer table of our notes, taken from the released FLIC fusion model: stride-1
        convolutions with bias and "same" padding, ReLU after each but conv5_f, two poolings, no
        normalisation; RGB 0..255 without a mean; weights N(0, 0.01).
    """

    def __init__(self, joints: int, fusion: FusionConfig | None) -> None:
        super().__init__()
        cin = 3
        for number, (kernel, width) in enumerate(TRUNK, start=1):
            self.add_module(f"conv{number}", nn.Conv2d(cin, width, kernel, padding=kernel // 2))
            cin = width
        self.conv8 = nn.Conv2d(cin, joints, 1)
        self.fusion, last = None, cin
        if fusion is not None:
            self.fusion = FusionLayers(128, cin, fusion)
            last = self.fusion.out_channels
            self.conv5_f = nn.Conv2d(last, joints, 1)
        self.channels = (128, cin, cin, last)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                init_head(part, std=0.01)

    @property
    def final_layer(self) -> nn.Module:
        """The layer that gives the last heatmaps: conv5_f, or conv8 and its ReLU."""
        if self.fusion is not None:
            return self.conv5_f
        return nn.Sequential(self.conv8, nn.ReLU())

    def forward_stages(
        self, frames: Tensor, stages: Sequence[int] = ALL_STAGES
    ) -> tuple[Tensor, ...]:
        """See :class:`~chronopose.nn.backbones.Backbone`."""
        x = unnormalise(frames)
        taps = {}
        for number in range(1, len(TRUNK) + 1):
            x = F.relu(self.get_submodule(f"conv{number}")(x))
            if number <= 2:
                x = F.max_pool2d(x, 2)
            if number == 3:
                taps[1] = x
        taps[2] = taps[3] = taps[4] = x
        if self.fusion is not None and 4 in stages:
            taps[4] = self.fusion(taps[1], x)
        return tuple(taps[j] for j in stages)


class CoordinateNet(nn.Module):
    """Places in one go: conv1 to conv5 with a pooling after each, then three linear layers.

    Args:
        joints: Number of joints K.
        crop_size: Width and height, pixels, multiples of 32.

    Source:
        The paper's first baseline; it says that the trunk is SpatialNet's. Poolings and linear
        layers (4096, 2048, 2K) are our choice, for no source has the layout.
    """

    def __init__(self, joints: int, crop_size: tuple[int, int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        cin = 3
        for kernel, width in TRUNK[:5]:
            layers += [nn.Conv2d(cin, width, kernel, padding=kernel // 2), nn.ReLU(inplace=True)]
            layers.append(nn.MaxPool2d(2))
            cin = width
        cells = (crop_size[0] // 32) * (crop_size[1] // 32)
        self.trunk = nn.Sequential(*layers)
        self.places = nn.Sequential(
            nn.Flatten(), nn.Linear(cin * cells, 4096), nn.ReLU(inplace=True),
            nn.Linear(4096, 2048), nn.ReLU(inplace=True), nn.Linear(2048, 2 * joints),
        )  # fmt: skip
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                init_head(part, std=0.01)

    def forward(self, frames: Tensor) -> Tensor:
        """``(N, 3, H, W)`` normalised RGB -> ``(N, K, 2)`` shares of the crop."""
        return self.places(self.trunk(unnormalise(frames))).unflatten(1, (-1, 2))
