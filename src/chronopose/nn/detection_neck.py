"""Features of whole frames at strides 8, 16, 32 and 64 for the detection transformers.

``resnet50``    C3 to C5; the stem and the first stage are frozen, batch norms keep their numbers.
``hrnet_w48``   the branches at strides 8, 16 and 32 after the last stage.
``swin_large``  stages 2 to 4, each followed by a layer norm.
``lite``        the narrow ResNet-18 of the lite pose networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
from torch import Tensor, nn

from chronopose.errors import UsageError

BACKBONES = ("resnet50", "hrnet_w48", "swin_large", "lite")
"""Names that :class:`FrameBackbone` knows."""


class FrameBackbone(nn.Module):
    """Frames ``(N, 3, H, W)`` -> maps at strides 8, 16 and 32; H and W divisible by 32.

    Args:
        name: One of :data:`BACKBONES`.
        pretrained: Start from ImageNet weights, fetched by timm; ``lite`` has none.

    Raises:
        UsageError: there is no such backbone, or no pretrained weights for it.
    """

    def __init__(self, name: str, pretrained: bool = False) -> None:
        super().__init__()
        if name not in BACKBONES:
            raise UsageError(f"There is no backbone {name!r}. Known: {', '.join(BACKBONES)}.")
        self.name = name
        body: Any
        if name == "resnet50":
            body = timm.create_model(
                name, features_only=True, out_indices=(2, 3, 4), pretrained=pretrained
            )
            body.conv1.requires_grad_(False)
            body.layer1.requires_grad_(False)
        elif name == "hrnet_w48":
            body = timm.create_model(
                name, features_only=True, feature_location="", out_indices=(2, 3, 4),
                pretrained=pretrained,
            )  # fmt: skip
        elif name == "swin_large":
            body = timm.create_model(
                "swin_large_patch4_window7_224", features_only=True, out_indices=(1, 2, 3),
                pretrained=pretrained, strict_img_size=False, drop_path_rate=0.3,
            )  # fmt: skip
        else:
            if pretrained:
                raise UsageError(
                    "The lite backbone has no ImageNet weights. Use pretrained=False and start "
                    "from the weights of simple_baseline:lite instead."
                )
            body = timm.create_model(
                "resnet18", features_only=True, out_indices=(2, 3, 4), replace_stem_pool=True,
                channels=(64, 128, 256, 384),
            )  # fmt: skip
        self.body = body
        self.channels: tuple[int, ...] = tuple(body.feature_info.channels())
        if name == "swin_large":
            self.norms = nn.ModuleList([nn.LayerNorm(c) for c in self.channels])
        self.train()

    def train(self, mode: bool = True) -> FrameBackbone:
        """Training or eval mode; the batch norms of ``resnet50`` always stay in eval mode."""
        super().train(mode)
        if self.name == "resnet50":
            for part in self.body.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.eval()
                    part.requires_grad_(False)
        return self

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Maps at strides 8, 16 and 32, each ``(N, C, h, w)``."""
        maps = self.body(frames)
        if self.name != "swin_large":
            return tuple(maps)
        return tuple(norm(m).permute(0, 3, 1, 2) for norm, m in zip(self.norms, maps, strict=True))


class MapperBlock(nn.Module):
    """A convolution without bias and a group norm of 32 groups: ``(N, cin, h, w) -> cout``."""

    def __init__(self, cin: int, cout: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, kernel, stride, padding=kernel // 2, bias=False)
        self.norm = nn.GroupNorm(32, cout)
        nn.init.xavier_uniform_(self.conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, then normalise."""
        return self.norm(self.conv(x))


class ChannelMapper(nn.Module):
    """Maps of a backbone -> maps of one width, and one more at half the coarsest resolution.

    Args:
        channels: Channels of the backbone's maps, finest first.
        width: Channels of every map that comes out; a multiple of 32.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.maps = nn.ModuleList([MapperBlock(c, width) for c in channels])
        self.extra = MapperBlock(channels[-1], width, kernel=3, stride=2)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """One map more than came in, finest first."""
        mapped = [block(m) for block, m in zip(self.maps, maps, strict=True)]
        return (*mapped, self.extra(maps[-1]))
