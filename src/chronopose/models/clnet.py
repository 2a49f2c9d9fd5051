"""CLNet: near which cells a joint lies, and how far from them, in place of one large heatmap.

Paper     "Composite Localization for Human Pose Estimation", arXiv 2105.07245. Only the abstract
          could be read; everything else is our re-implementation in its spirit.
Reads     ClipBatch.frames   float  B 1 3 H W   crops of one person
Returns   CompositeOutput    float  B K H/s W/s and B K 2 H/s W/s
Idea      1. A sparse map on a coarse grid says roughly where a joint is.
          2. Two offset maps, x and y, short distances only, say exactly where.
          3. So the network need not climb back to a high resolution: CLNet-ResNet, cheap; or
             the same heads on a stacked hourglass: CLNet-Hourglass.
Differs   The abstract fixes the targets' idea and the two kinds of network. Grid, radius, losses
          and layouts are ours: CLNet-ResNet has one transposed convolution (128 channels,
          stride 16), CLNet-Hourglass predicts at stride 8. Preset ``lite`` is ours.
Written   from the abstract only; no code is known.
Checked   tests/unit/models/test_clnet.py and every test in tests/contracts/.

Axes: B clip, T frame (one), N frame, C channel, h w cells, K joint, s stride.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chronopose.codecs.composite import CompositeCodec
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import ShapeError, UsageError
from chronopose.losses.composite import CompositeCriterion
from chronopose.models._base import Criterion, Features, Needs, PoseModel
from chronopose.nn.residual import init_head
from chronopose.tensors import CompositeOutput

RESNETS = ("resnet18", "resnet50", "resnet101", "resnet152")
LITE_WIDTHS = (64, 128, 256, 384)


@dataclass(frozen=True, kw_only=True)
class CLNetConfig:
    """What CLNet is built from."""

    backbone: str = "resnet50"
    """``resnet18``, ``resnet50``, ``resnet101``, ``resnet152``, ``lite`` or ``hourglass``."""
    deconvs: int = 1
    """Transposed convolutions behind a ResNet's stride of 32, each by two: 0, 1 or 2."""
    width: int = 128
    """Channels of the transposed convolutions."""
    stacks: int = 2
    """Hourglasses, one behind the other."""
    channels: int = 256
    """Channels of the hourglasses."""
    hourglass_stride: Literal[4, 8] = 8
    """Stride of an hourglass's maps; 8 puts a convolution of stride 2 before each head."""
    skeleton: str = "coco17"
    """Registry name of the joints K."""
    crop_size: tuple[int, int] = (192, 256)
    """Width and height, pixels, multiples of 32."""
    radius: float = 1.5
    """Cells within which a joint makes a cell positive."""
    decoder: Literal["cell", "vote", "quarter"] = "cell"
    align: Literal["centre", "corner"] = "centre"
    near: Literal["bce", "mse"] = "bce"
    """Loss of the sparse map."""
    pretrained: bool = False
    """Start a ResNet from ImageNet weights, fetched by timm."""

    def __post_init__(self) -> None:
        known = (*RESNETS, "lite", "hourglass")
        if self.backbone not in known:
            raise UsageError(f"CLNet stands on {', '.join(known)}; got {self.backbone!r}.")
        if self.pretrained and self.backbone not in RESNETS:
            raise UsageError(
                f"There are no ImageNet weights of {self.backbone!r}. Use pretrained=False."
            )
        if not 0 <= self.deconvs <= 2 or self.stacks < 1:
            raise UsageError(
                f"CLNet has 0, 1 or 2 transposed convolutions and at least one hourglass; got "
                f"deconvs={self.deconvs}, stacks={self.stacks}."
            )

    @property
    def stride(self) -> int:
        """Crop pixels a cell."""
        return self.hourglass_stride if self.backbone == "hourglass" else 32 >> self.deconvs

    def build_codec(self) -> CompositeCodec:
        """The codec of these settings."""
        return CompositeCodec(
            get_skeleton(self.skeleton), self.crop_size, stride=self.stride, radius=self.radius,
            decoder=self.decoder, align=self.align,
        )  # fmt: skip


R50 = CLNetConfig()
HOURGLASS = CLNetConfig(backbone="hourglass", crop_size=(256, 256))
PRESETS = {
    "r50": R50,
    "r18": replace(R50, backbone="resnet18"),
    "r101": replace(R50, backbone="resnet101"),
    "r152": replace(R50, backbone="resnet152"),
    "hourglass2": HOURGLASS,
    "hourglass4": replace(HOURGLASS, stacks=4),
    "hourglass8": replace(HOURGLASS, stacks=8),
    "lite": CLNetConfig(backbone="lite", skeleton="lsp14"),
}


class ShortClimb(nn.Module):
    """A ResNet to stride 32, few transposed convolutions, and a 1×1 ``head`` of 3K channels."""

    def __init__(self, config: CLNetConfig, joints: int) -> None:
        super().__init__()
        settings: dict[str, Any] = {"features_only": True}
        if config.backbone == "lite":
            settings |= {"channels": LITE_WIDTHS, "replace_stem_pool": True}
        name = "resnet18" if config.backbone == "lite" else config.backbone
        body: Any = timm.create_model(
            name, pretrained=config.pretrained, out_indices=(4,), **settings
        )
        self.body = body
        channels = body.feature_info.channels()[-1]
        layers: list[nn.Module] = []
        for _ in range(config.deconvs):
            up = nn.ConvTranspose2d(channels, config.width, 4, stride=2, padding=1, bias=False)
            nn.init.normal_(up.weight, std=0.001)
            layers += [up, nn.BatchNorm2d(config.width), nn.ReLU(inplace=True)]
            channels = config.width
        self.climb = nn.Sequential(*layers)
        self.head = nn.Conv2d(channels, 3 * joints, 1)
        init_head(self.head)

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """``(N, 3, H, W)`` -> one map ``(N, 3K, h, w)``."""
        return (self.head(self.climb(self.body(frames)[-1])),)


class Bottleneck(nn.Module):
    """Norms and ReLUs before a 1×1, a 3×3 and a 1×1 convolution; half the width inside.

    Args:
        cin: Channels in.
        cout: Channels out; a 1×1 convolution fits the shortcut where they differ.
    """

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        half = cout // 2
        layers: list[nn.Module] = []
        for a, b, kernel in ((cin, half, 1), (half, half, 3), (half, cout, 1)):
            layers += [
                nn.BatchNorm2d(a), nn.ReLU(inplace=False), nn.Conv2d(a, b, kernel, padding="same")
            ]  # fmt: skip
        self.layers = nn.Sequential(*layers)
        self.shortcut: nn.Module = nn.Identity() if cin == cout else nn.Conv2d(cin, cout, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, cin, h, w) -> (N, cout, h, w)``."""
        return self.shortcut(x) + self.layers(x)


class Hourglass(nn.Module):
    """Down by two ``order`` times and up again, with a way across at every resolution.

    Args:
        channels: Everywhere.
        order: Times that the map is halved; odd sides are rounded down, and met again going up.

    Source:
        Newell, Yang, Deng, "Stacked Hourglass Networks for Human Pose Estimation", ECCV 2016.
    """

    def __init__(self, channels: int, order: int = 4) -> None:
        super().__init__()
        self.across = Bottleneck(channels, channels)
        self.down = Bottleneck(channels, channels)
        self.inner: nn.Module = (
            Hourglass(channels, order - 1) if order > 1 else Bottleneck(channels, channels)
        )
        self.up = Bottleneck(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, h, w) -> (N, C, h, w)``."""
        low = self.up(self.inner(self.down(F.max_pool2d(x, 2))))
        return self.across(x) + F.interpolate(low, size=x.shape[-2:], mode="nearest")


class StackedHourglass(nn.Module):
    """Stem to stride 4, then hourglasses that each see what the one before has said.

    Each gives 3K maps; these and its feature go back in by 1×1 convolutions.
    """

    def __init__(self, config: CLNetConfig, joints: int) -> None:
        super().__init__()
        width, maps = config.channels, 3 * joints
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64),
            nn.ReLU(inplace=True), Bottleneck(64, 128), nn.MaxPool2d(2), Bottleneck(128, 128),
            Bottleneck(128, width),
        )  # fmt: skip
        self.stacks = nn.ModuleList(
            nn.Sequential(Hourglass(width), Bottleneck(width, width), _conv_bn_relu(width))
            for _ in range(config.stacks)
        )
        coarse = config.hourglass_stride == 8
        self.shrink = nn.ModuleList(
            _conv_bn_relu(width, kernel=3, stride=2) if coarse else nn.Identity()
            for _ in range(config.stacks)
        )
        self.heads = nn.ModuleList(nn.Conv2d(width, maps, 1) for _ in range(config.stacks))
        between = range(config.stacks - 1)
        self.feature_back = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in between)
        self.maps_back = nn.ModuleList(nn.Conv2d(maps, width, 1) for _ in between)
        for head in self.heads:
            assert isinstance(head, nn.Conv2d)
            init_head(head)

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """``(N, 3, H, W)`` -> a map ``(N, 3K, h, w)`` of each stack, the last one first."""
        x = self.stem(frames)
        found: list[Tensor] = []
        for i, stack in enumerate(self.stacks):
            feature = stack(x)
            found.append(self.heads[i](self.shrink[i](feature)))
            if i < len(self.feature_back):
                back = F.interpolate(self.maps_back[i](found[-1]), size=x.shape[-2:])
                x = x + self.feature_back[i](feature) + back
        return tuple(found[::-1])


class CLNet(PoseModel):
    """CLNet-ResNet and CLNet-Hourglass."""

    PRESETS: ClassVar[Mapping[str, CLNetConfig]] = PRESETS
    codec: CompositeCodec

    def __init__(self, config: CLNetConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = config.build_codec()
        self.needs = Needs(offsets=(0,), crop_size=config.crop_size)
        kind = StackedHourglass if config.backbone == "hourglass" else ShortClimb
        self.net = kind(config, len(self.codec.skeleton))

    def encode(self, frames: Tensor) -> Features:
        """``(N, 3, H, W)`` -> maps ``(N, 3K, h, w)``; while training, of every stack.

        Channels: K logits, then for each joint the offsets along x and y. The last stack first.
        """
        maps: tuple[Tensor, ...] = self.net(frames)
        return maps if self.training else maps[:1]

    def fuse(self, features: Features) -> CompositeOutput:
        """Maps of one frame ``(B, 1, 3K, h, w)`` -> logits and offsets.

        Raises:
            ShapeError: the window has more than one frame.
        """
        if features[0].shape[1] != 1:
            raise ShapeError(f"CLNet looks at one frame at a time; got {features[0].shape[1]}.")
        joints = len(self.codec.skeleton)
        outputs = []
        for maps in features:
            heat, away = torch.split(maps[:, 0], [joints, 2 * joints], dim=1)
            outputs.append(CompositeOutput(heat, away.unflatten(1, (joints, 2))))
        return outputs[0]._replace(side=tuple(outputs[1:]))

    def criterion(self) -> Criterion:
        """Balanced cross-entropy on the cells and smooth L1 on the offsets, weighed alike."""
        return CompositeCriterion(self.codec, self.config.near)


def _conv_bn_relu(width: int, *, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(width), nn.ReLU(inplace=True),
    )  # fmt: skip
