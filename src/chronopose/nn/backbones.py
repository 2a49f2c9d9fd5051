"""Backbones with stage taps: timm networks that hand out features at stride 4.

Every backbone has ``channels`` (of the four stages), ``out_channels``, ``forward`` (the last
stage only) and ``forward_stages`` (the stages asked for). What a caller does not ask for is not
computed, unless the network needs it anyway.

``hrnet_w32`` ``hrnet_w48``  the pose HRNet; state-dict keys of the official release.
``hrnet_w18_small_v2``       the same idea with a tenth of the parameters, for CPUs.
``resnet18`` to ``152``      ResNet and three transposed convolutions (SimpleBaseline).
``lite``                     a narrow ResNet-18 with a 64-channel top-down pyramid, for CPUs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chronopose.errors import UsageError
from chronopose.nn.residual import conv_bn_relu, init_head

ALL_STAGES = (1, 2, 3, 4)
Stage1 = Literal["layer1", "transition"]
Branches = Literal["high", "all"]


class Backbone(nn.Module, ABC):
    """Base of the backbones: frames ``(N, 3, H, W)`` in, features ``(N, C, H/4, W/4)`` out."""

    channels: tuple[int, int, int, int]
    """Channels of stages 1 to 4."""

    @property
    def out_channels(self) -> int:
        """Channels of the last stage."""
        return self.channels[3]

    def forward(self, frames: Tensor) -> Tensor:
        """The last stage: ``(N, 3, H, W) -> (N, channels[3], H/4, W/4)``."""
        return self.forward_stages(frames, (4,))[0]

    @abstractmethod
    def forward_stages(
        self, frames: Tensor, stages: Sequence[int] = ALL_STAGES
    ) -> tuple[Tensor, ...]:
        """Features of the stages asked for, all at stride 4, in the order of ``stages``.

        Args:
            frames: ``(N, 3, H, W)`` normalised RGB, H and W divisible by 32.
            stages: Numbers from 1 to 4.
        """


class PoseHRNet(Backbone):
    """HRNet as used for pose: four stages, the last one gives its high-resolution branch only.

    Stage 1 is the output of ``layer1``, 256 channels; stages 2 to 4 are the high-resolution
    branches after each stage's last fusion.

    Args:
        name: timm name, one of :data:`HRNETS`.
        pretrained: ImageNet weights through timm.
        num_joints: Add the 1×1 ``final_layer`` that turns stage 4 into heatmaps.
        stage1: ``transition`` taps the first branch after ``transition1`` instead of ``layer1``.
        branches: ``all`` upsamples the coarser branches of stages 2 and 3 and joins them.

    Source:
        Sun, Xiao, Liu, Wang, "Deep High-Resolution Representation Learning for Human Pose
        Estimation"; checked against the published network in ``tests/parity``.
    """

    def __init__(
        self,
        name: str,
        *,
        pretrained: bool = False,
        num_joints: int | None = None,
        stage1: Stage1 = "layer1",
        branches: Branches = "high",
    ) -> None:
        super().__init__()
        body: Any = timm.create_model(name, pretrained=pretrained, head="none")
        self.conv1, self.bn1, self.act1 = body.conv1, body.bn1, body.act1
        self.conv2, self.bn2, self.act2 = body.conv2, body.bn2, body.act2
        self.layer1, self.transition1, self.stage2 = body.layer1, body.transition1, body.stage2
        self.transition2, self.stage3 = body.transition2, body.stage3
        self.transition3, self.stage4 = body.transition3, body.stage4
        last = self.stage4[-1]
        last.fuse_layers = nn.ModuleList([last.fuse_layers[0]])
        width = last.branches[0][-1].conv2.out_channels
        first = self.layer1[-1].conv3.out_channels
        self.stage1, self.join = stage1, branches
        coarse = (3 * width, 7 * width) if branches == "all" else (width, width)
        self.channels = (first if stage1 == "layer1" else width, *coarse, width)
        if num_joints is not None:
            self.final_layer = nn.Conv2d(width, num_joints, 1)
            init_head(self.final_layer)

    def forward_stages(
        self, frames: Tensor, stages: Sequence[int] = ALL_STAGES
    ) -> tuple[Tensor, ...]:
        """See :class:`Backbone`; the taps cost nothing extra."""
        x = self.act1(self.bn1(self.conv1(frames)))
        x = self.layer1(self.act2(self.bn2(self.conv2(x))))
        # timm's modules replace the entries of the list they are given.
        branches = [t(x) for t in self.transition1]
        taps = {1: x if self.stage1 == "layer1" else branches[0]}
        after2 = self.stage2(list(branches))
        taps[2] = self._tap(after2)
        after3 = self.stage3(_transition(self.transition2, after2))
        taps[3] = self._tap(after3)
        taps[4] = self.stage4(_transition(self.transition3, after3))[0]
        return tuple(taps[j] for j in stages)

    def _tap(self, branches: list[Tensor]) -> Tensor:
        if self.join == "high":
            return branches[0]
        size = branches[0].shape[-2:]
        coarse = [F.interpolate(b, size=size, mode="nearest") for b in branches[1:]]
        return torch.cat([branches[0], *coarse], dim=1)


def _transition(layers: nn.ModuleList, branches: list[Tensor]) -> list[Tensor]:
    """Keep the branches there are and grow a new one from the coarsest."""
    return [
        branches[i] if isinstance(layer, nn.Identity) else layer(branches[-1])
        for i, layer in enumerate(layers)
    ]


class DeconvResNet(Backbone):
    """ResNet and three transposed convolutions: the backbone of SimpleBaseline.

    Stage 1 is ``layer1`` (stride 4), stages 2 to 4 are the results of the transposed
    convolutions, upsampled (nearest) to stride 4 where needed.

    Args:
        name: timm name of a ResNet.
        pretrained: ImageNet weights through timm.

    Source:
        Xiao, Wu, Wei, "Simple Baselines for Human Pose Estimation and Tracking".
    """

    def __init__(self, name: str, *, pretrained: bool = False, width: int = 256) -> None:
        super().__init__()
        body: Any = timm.create_model(
            name, pretrained=pretrained, features_only=True, out_indices=(1, 4)
        )
        self.body = body
        first, deepest = body.feature_info.channels()
        layers: list[nn.Module] = []
        for i in range(3):
            up = nn.ConvTranspose2d(
                deepest if i == 0 else width, width, 4, stride=2, padding=1, bias=False
            )
            nn.init.normal_(up.weight, std=0.001)
            layers += [up, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        self.deconv_layers = nn.Sequential(*layers)
        self.channels = (first, width, width, width)

    def forward_stages(
        self, frames: Tensor, stages: Sequence[int] = ALL_STAGES
    ) -> tuple[Tensor, ...]:
        """See :class:`Backbone`."""
        shallow, x = self.body(frames)
        taps = {1: shallow}
        for stage in (2, 3, 4):
            x = self.deconv_layers[3 * (stage - 2) : 3 * (stage - 1)](x)
            if stage in stages:
                taps[stage] = _enlarge(x, 2 ** (4 - stage))
        return tuple(taps[j] for j in stages)


class LiteBackbone(Backbone):
    """Narrow ResNet-18 with a top-down pyramid, for one or two CPU cores.

    The pooling of the stem is a strided convolution. ``lateral`` brings each level to the
    pyramid's width, the coarser level is added (nearest), ``smooth`` is a 3×3 convolution.

    Stage 1 is the first residual layer at stride 4; stages 2, 3 and 4 are the pyramid's levels at
    strides 16, 8 and 4, in the order in which they are computed, upsampled to stride 4.

    Args:
        channels: Width of the pyramid.
        widths: Channels of the four residual layers.
    """

    def __init__(
        self, channels: int = 64, widths: tuple[int, int, int, int] = (64, 128, 256, 384)
    ) -> None:
        super().__init__()
        self.body = timm.create_model(
            "resnet18", features_only=True, out_indices=(1, 2, 3, 4), channels=widths,
            replace_stem_pool=True,
        )  # fmt: skip
        self.lateral = nn.ModuleList([nn.Conv2d(w, channels, 1) for w in widths])
        self.smooth = nn.ModuleList([conv_bn_relu(channels, channels) for _ in widths])
        self.channels = (widths[0], channels, channels, channels)

    def pyramid(self, frames: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor, Tensor]]:
        """The first residual layer at stride 4, and the pyramid at strides 4, 8, 16 and 32."""
        features = self.body(frames)
        levels: list[Tensor] = []
        for i in (3, 2, 1, 0):
            x = self.lateral[i](features[i])
            if levels:
                x = x + F.interpolate(levels[-1], scale_factor=2.0, mode="nearest")
            levels.append(self.smooth[i](x))
        return features[0], (levels[3], levels[2], levels[1], levels[0])

    def forward_stages(
        self, frames: Tensor, stages: Sequence[int] = ALL_STAGES
    ) -> tuple[Tensor, ...]:
        """See :class:`Backbone`."""
        shallow, (fine, middle, coarse, _) = self.pyramid(frames)
        make = {
            1: lambda: shallow,
            2: lambda: _enlarge(coarse, 4),
            3: lambda: _enlarge(middle, 2),
            4: lambda: fine,
        }
        return tuple(make[j]() for j in stages)


def _enlarge(x: Tensor, factor: int) -> Tensor:
    return x if factor == 1 else F.interpolate(x, scale_factor=float(factor), mode="nearest")


HRNETS = ("hrnet_w32", "hrnet_w48", "hrnet_w18_small_v2")
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
BACKBONES = (*HRNETS, *RESNETS, "lite")
"""Names that :func:`build_backbone` knows."""


def build_backbone(
    name: str,
    pretrained: bool = False,
    *,
    num_joints: int | None = None,
    stage1: Stage1 = "layer1",
    branches: Branches = "high",
) -> Backbone:
    """Build a backbone by name.

    Args:
        name: One of :data:`BACKBONES`.
        pretrained: Start from ImageNet weights, fetched by timm; ``lite`` has none.
        num_joints: HRNet only: add the 1×1 ``final_layer``, which is part of its state dict.
        stage1: HRNet only, see :class:`PoseHRNet`.
        branches: HRNet only, see :class:`PoseHRNet`.

    Raises:
        UsageError: there is no such backbone, or no pretrained weights for it.
    """
    if name in HRNETS:
        return PoseHRNet(
            name, pretrained=pretrained, num_joints=num_joints, stage1=stage1, branches=branches
        )
    if name in RESNETS:
        return DeconvResNet(name, pretrained=pretrained)
    if name == "lite":
        if pretrained:
            raise UsageError(
                "The lite backbone has no ImageNet weights. Use pretrained=False and load the "
                "weights of simple_baseline:lite instead."
            )
        return LiteBackbone()
    raise UsageError(f"There is no backbone {name!r}. Known ones: {', '.join(BACKBONES)}.")
