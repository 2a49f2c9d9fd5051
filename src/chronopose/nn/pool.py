"""Join the maps of a window of frames by learned weights.

Axes: B clip, T frame, K joint, h w cells.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ParametricPool(nn.Module):
    """A learned weight for each joint and frame: a grouped 1-D convolution over T, K groups.

    What is learned is the change from where the weights start, so weight decay leads back there.

    Args:
        joints: Groups K.
        frames: Frames T, odd.
        centre: Weight of the middle frame to begin with; the others share the rest of 1.
        bias: Add a constant to each joint's map.
    """

    def __init__(
        self, joints: int, frames: int, *, centre: float = 0.5, bias: bool = False
    ) -> None:
        super().__init__()
        start = torch.full((frames,), (1 - centre) / max(1, frames - 1))
        start[frames // 2] = centre if frames > 1 else 1.0
        self.start: Tensor
        self.register_buffer("start", start, persistent=False)
        self.change = nn.Parameter(torch.zeros(joints, 1, frames))
        self.bias = nn.Parameter(torch.zeros(joints)) if bias else None

    @property
    def weight(self) -> Tensor:
        """``(K, T)``: the weights themselves."""
        return self.start + self.change[:, 0]

    def forward(self, maps: Tensor, present: Tensor) -> Tensor:
        """Weighted sum over frames.

        Args:
            maps: ``(B, T, K, h, w)``.
            present: ``(B, T)`` bool; what is not gets no weight, and the rest is scaled so that a
                joint's weights keep their sum (unless that would divide by almost nothing).

        Returns:
            ``(B, K, h, w)``.
        """
        weight = self.weight
        kept = weight * present[:, None].to(weight.dtype)  # B K T
        total, rest = weight.sum(-1), kept.sum(-1)
        safe = rest.abs() > 0.05 * weight.abs().sum(-1)
        scale = torch.where(safe, total / torch.where(safe, rest, torch.ones_like(rest)), 1.0)
        pooled = torch.einsum("btkhw,bkt->bkhw", maps, (kept * scale[..., None]).to(maps.dtype))
        return pooled if self.bias is None else pooled + self.bias[:, None, None]


def present_frames(images: Tensor, key: int) -> Tensor:
    """Which frames of a window are more than repeats of the frame next to them, nearer the key.

    Args:
        images: ``(B, T, ...)``; a repeat is equal to the bit.
        key: Position of the key frame, which is always present.

    Returns:
        ``(B, T)`` bool.
    """
    same = (images[:, 1:] == images[:, :-1]).flatten(2).all(-1)
    kept = torch.ones_like(same[:, :1])
    return torch.cat([~same[:, :key], kept, ~same[:, key:]], dim=1)
