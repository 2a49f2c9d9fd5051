"""Encoders of a picture or a pose into numbers, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.models.resnet import Bottleneck
from torch import Tensor, nn

from chronopose.errors import ShapeError
from chronopose.nn.residual import BasicBlock, conv_bn_relu

DEEP = 1024
"""Channels of ResNet-50's third stage, and of the stage that stands for its fourth."""


class LiteEncoder(nn.Module):
    """Four strided stages, a residual block in each but the first, and a linear layer.

    Args:
        size: Width and height of the pictures, multiples of 16.
        widths: Channels of the stages.
        numbers: How many come out.
    """

    def __init__(self, size: tuple[int, int], widths: Sequence[int], numbers: int) -> None:
        super().__init__()
        _need_multiple(size, 16)
        parts: list[nn.Module] = []
        for stage, (cin, cout) in enumerate(zip((3, *widths), widths, strict=False)):
            parts.append(conv_bn_relu(cin, cout, stride=2))
            if stage:
                parts.append(BasicBlock(cout, cout, project=False))
        self.body = nn.Sequential(*parts)
        self.out = nn.Linear(widths[-1] * (size[0] // 16) * (size[1] // 16), numbers)

    def forward(self, frames: Tensor) -> Tensor:
        """``(N, 3, H, W) -> (N, numbers)``."""
        return self.out(self.body(frames).flatten(1))


class ResNetEncoder(nn.Module):
    """ResNet-50 whose fourth stage keeps stride 16, two convolutions and a linear layer.

    Args:
        size: Width and height of the pictures, multiples of 32.
        numbers: How many come out.
        pretrained: ImageNet weights through timm; the stem and the first two stages are then not
            trained.

    Source:
        The encoder of Neural Scene Decomposition.
    """

    def __init__(self, size: tuple[int, int], numbers: int, pretrained: bool = False) -> None:
        super().__init__()
        _need_multiple(size, 32)
        body: Any = timm.create_model("resnet50", pretrained=pretrained, num_classes=0)
        self.stem = nn.Sequential(body.conv1, body.bn1, body.act1, body.maxpool)
        self.layer1, self.layer2, self.layer3 = body.layer1, body.layer2, body.layer3
        self.layer4 = nn.Sequential(*(Bottleneck(DEEP, DEEP // 4) for _ in range(3)))
        self.narrow = nn.Sequential(
            conv_bn_relu(DEEP, 512),
            nn.Conv2d(512, 128, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(inplace=True),
        )
        self.out = nn.Linear(128 * (size[0] // 32) * (size[1] // 32), numbers)
        self._frozen = [self.stem, self.layer1, self.layer2] if pretrained else []
        for part in self._frozen:
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> ResNetEncoder:
        """Frozen stages stay in eval mode."""
        super().train(mode)
        for part in self._frozen:
            part.train(False)
        return self

    def forward(self, frames: Tensor) -> Tensor:
        """``(N, 3, H, W) -> (N, numbers)``."""
        features = self.layer3(self.layer2(self.layer1(self.stem(frames))))
        return self.out(self.narrow(self.layer4(features)).flatten(1))


class UpDecoder(nn.Module):
    """Numbers back to a picture: what varies makes a map, what stays is spread over it.

    Args:
        variant: Numbers of the varying part.
        invariant: Numbers of the staying part; each is one channel of the map, the same everywhere.
        size: Width and height of the pictures, multiples of 8.
        channels: Of the map that the varying part makes.
        widths: Channels after each of three doublings.
        out: Channels of the picture.
        double: Two more convolutions after each doubling, as published.
        dropout: Share of the map's numbers that are left out in training.

    Source:
        The decoder of Neural Scene Decomposition.
    """

    def __init__(
        self, variant: int, invariant: int, size: tuple[int, int], *, channels: int,
        widths: Sequence[int], out: int, double: bool, dropout: float = 0.3,
    ) -> None:  # fmt: skip
        super().__init__()
        _need_multiple(size, 8)
        self.cells = (channels, size[1] // 8, size[0] // 8)
        count = channels * self.cells[1] * self.cells[2]
        self.spread = nn.Sequential(
            nn.Linear(variant, count), nn.Dropout(dropout), nn.ReLU(inplace=True)
        )
        stages, cin = [], channels + invariant
        for cout in widths:
            more = [conv_bn_relu(cout, cout), conv_bn_relu(cout, cout)] if double else []
            stages.append(nn.Sequential(conv_bn_relu(cin, cout), *more))
            cin = cout
        self.stages = nn.ModuleList(stages)
        self.out = nn.Conv2d(cin, out, 1)

    def forward(self, variant: Tensor, invariant: Tensor) -> Tensor:
        """``(N, V)`` and ``(N, I)`` -> ``(N, out, H, W)``."""
        grid = self.spread(variant).unflatten(1, self.cells)
        same = invariant[..., None, None].expand(-1, -1, *self.cells[1:])
        x = torch.cat([grid, same], 1)
        for stage in self.stages:
            x = stage(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))
        return self.out(x)


def pose_layers(cin: int, width: int, out: int) -> nn.Sequential:
    """Two hidden layers with batch norm: ``(N, cin) -> (N, out)``."""
    return nn.Sequential(
        nn.Linear(cin, width), nn.BatchNorm1d(width), nn.ReLU(inplace=True),
        nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(inplace=True),
        nn.Linear(width, out),
    )  # fmt: skip


def _need_multiple(size: tuple[int, int], of: int) -> None:
    if any(side < of or side % of for side in size):
        raise ShapeError(f"Width and height must be multiples of {of} pixels; got {size}.")
