"""Bring the features of neighbouring frames to the key frame, and join them.

:class:`AlignedAggregation` is the appearance feature of FAMI-Pose: aggregate the neighbours,
predict how they differ from the key frame, re-sample them with deformable convolutions.

Axes: B clip, T frame, C channel, h w cells.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chronopose.nn.deform import MaskActivation, ModulatedDeformConv2d, mask_conv, offset_conv
from chronopose.nn.residual import BasicBlock, conv_bn_relu, residual_chain


def translate(feature: Tensor, shift: Tensor) -> Tensor:
    """Move the content of a map; bilinear, zeros come in from outside.

    Args:
        feature: ``(N, C, h, w)``.
        shift: ``(N, 2)`` x and y in cells; positive moves content right and down.
    """
    height, width = feature.shape[-2:]
    # Half precision cannot hold a position on the map.
    exact = torch.promote_types(torch.promote_types(feature.dtype, shift.dtype), torch.float32)
    shift = shift.to(exact)
    x = torch.arange(width, device=shift.device, dtype=shift.dtype) - shift[:, 0, None]
    y = torch.arange(height, device=shift.device, dtype=shift.dtype) - shift[:, 1, None]
    x = ((2 * x + 1) / width - 1)[:, None, :].expand(-1, height, -1)
    y = ((2 * y + 1) / height - 1)[:, :, None].expand(-1, -1, width)
    moved = F.grid_sample(
        feature.to(exact), torch.stack([x, y], dim=-1),
        mode="bilinear", padding_mode="zeros", align_corners=False,
    )  # fmt: skip
    return moved.to(feature.dtype)


class GlobalTranslation(nn.Module):
    """Move each neighbour's feature by one predicted translation, towards the key frame.

    One basic block C -> 16 on (neighbour - key), five strided convolutions, three linear layers
    without activations between them. The last one starts at zero: no movement.

    Args:
        channels: Channels C of the features.
        map_size: Width and height of the maps, cells; the linear layers depend on it.
        width: Channels of the block and of the strided convolutions.
        bias: Give the strided convolutions a bias, as the published weights have.

    Source:
        The global alignment of FAMI-Pose (Liu et al., CVPR 2022).
    """

    def __init__(
        self, channels: int, map_size: tuple[int, int], *, width: int = 16, bias: bool = False
    ) -> None:
        super().__init__()
        columns, rows = map_size
        for _ in range(5):
            columns, rows = (columns + 1) // 2, (rows + 1) // 2
        last = nn.Linear(64, 2)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(
            BasicBlock(channels, width, project=True),
            *(conv_bn_relu(width, width, stride=2, bias=bias) for _ in range(5)),
            nn.Flatten(), nn.Linear(width * columns * rows, 64), nn.Linear(64, 64), last,
        )  # fmt: skip

    def forward(self, neighbour: Tensor, key: Tensor) -> Tensor:
        """``(N, C, h, w)`` twice -> ``(N, C, h, w)``, the neighbour moved."""
        return translate(neighbour, self.layers(neighbour - key))


class AlignedAggregation(nn.Module):
    """Spatiotemporal feature of a window: neighbours aggregated, aligned and joined to the key.

    1. neighbours joined, residual blocks                                       -> s
    2. s with the key frame, residual block                                     -> c
    3. two deformable convolutions on c
    4. a third one on s with the offsets of c, a fourth one refines             -> aligned
    5. key frame with the aligned feature, residual blocks                      -> result

    Args:
        channels: Channels C of a frame's feature and of the result.
        frames: Frames T of the window.
        width: Channels of the steps between; FAMI-Pose keeps C.
        blocks: Residual blocks of steps 1, 2 and 5.
        groups: Offset groups of the deformable convolutions.
        dilation: Dilation of the deformable, offset and mask convolutions.
        mask_act: What the mask convolutions' result means.
        warp: Optional :class:`GlobalTranslation` applied to each neighbour before step 1.

    Source:
        FAMI-Pose; TDMI-ST replaces the key frame's feature by it.
    """

    def __init__(
        self,
        channels: int,
        frames: int,
        *,
        width: int,
        blocks: tuple[int, int, int] = (2, 1, 3),
        groups: int = 12,
        dilation: int = 3,
        mask_act: MaskActivation = "sigmoid",
        warp: GlobalTranslation | None = None,
    ) -> None:
        super().__init__()
        self.warp = warp
        self.neighbours = residual_chain((frames - 1) * channels, width, blocks[0])
        self.combine = residual_chain(width + channels, width, blocks[1])
        steps = range(4)
        self.offset = nn.ModuleList(offset_conv(width, groups, dilation=dilation) for _ in steps)
        self.mask = nn.ModuleList(
            mask_conv(width, groups, dilation=dilation, mask_act=mask_act) for _ in steps
        )
        self.dcn = nn.ModuleList(
            ModulatedDeformConv2d(width, width, dilation=dilation, mask_act=mask_act) for _ in steps
        )
        self.join = residual_chain(channels + width, channels, blocks[2])

    def forward(self, sequence: Tensor, key: int) -> Tensor:
        """``(B, T, C, h, w)`` and the key frame's position -> ``(B, C, h, w)``."""
        frame = sequence[:, key]
        others = [sequence[:, t] for t in range(sequence.shape[1]) if t != key]
        if self.warp is not None:
            others = [self.warp(other, frame) for other in others]
        support = self.neighbours(torch.cat(others, dim=1))
        guide = self.combine(torch.cat([support, frame], dim=1))
        guide = self._resample(0, guide, guide)
        guide = self._resample(1, guide, guide)
        aligned = self._resample(2, support, guide)
        aligned = self._resample(3, aligned, aligned)
        return self.join(torch.cat([frame, aligned], dim=1))

    def _resample(self, step: int, feature: Tensor, guide: Tensor) -> Tensor:
        return self.dcn[step](feature, self.offset[step](guide), self.mask[step](guide))


class StackedAggregation(nn.Module):
    """Spatiotemporal feature without alignment: all frames joined, residual blocks."""

    def __init__(self, channels: int, frames: int, *, blocks: int = 3) -> None:
        super().__init__()
        self.join = residual_chain(frames * channels, channels, blocks)

    def forward(self, sequence: Tensor, key: int) -> Tensor:
        """``(B, T, C, h, w) -> (B, C, h, w)``; ``key`` is there for a common signature."""
        return self.join(sequence.flatten(1, 2))
