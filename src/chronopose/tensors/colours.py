"""The colours that every network reads: RGB less the ImageNet mean, in ImageNet spreads."""

from __future__ import annotations

import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and spread of red, green and blue, values 0..1."""


def normalise(frames: Tensor) -> Tensor:
    """``(..., 3, H, W)`` RGB 0..255 -> ImageNet-normalised float32, on the same device."""
    mean, spread = _constants(frames.device)
    return (frames - mean) * (1 / spread)


def unnormalise(frames: Tensor) -> Tensor:
    """Inverse of :func:`normalise`, clamped to 0..255."""
    mean, spread = _constants(frames.device)
    return (frames * spread + mean).clamp(0, 255)


def _constants(device: torch.device) -> tuple[Tensor, Tensor]:
    mean, spread = (
        torch.tensor(c, device=device).view(3, 1, 1) * 255 for c in (IMAGENET_MEAN, IMAGENET_STD)
    )
    return mean, spread
