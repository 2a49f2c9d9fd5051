"""ClipBatch and Target: what a model reads and what a criterion compares with."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class ClipTarget(NamedTuple):
    """Targets of all frames of clips, for models that are trained on whole clips.

    Axes: B clip, T frame, K joint, h w heatmap cells.
    """

    heatmaps: Tensor
    """float B T K h w, Gaussian of peak 1."""
    weight: Tensor
    """float B T K, 0 where a joint is unlabelled or outside the map."""
    pictures: Tensor
    """float B T 3 h w, the frames as the model reads them, at the size of the maps."""


class Target(NamedTuple):
    """What a codec makes of labelled joints, and what a criterion compares with.

    Axes: B clip, K joint, h w heatmap cells.
    """

    joints: Tensor
    """float B K 2, crop pixels."""
    weight: Tensor
    """float B K, 0 where a joint is unlabelled or outside the map."""
    heatmaps: Tensor | None = None
    """float B K h w, Gaussian of peak 1; None for networks that regress coordinates."""
    shares: Tensor | None = None
    """float B K 2, shares of the crop, for networks that regress coordinates; else None."""

    clip: ClipTarget | None = None
    """All frames, for models that ask for them (``whole_clip``); else None."""

    def to(self, device: torch.device | str) -> Target:
        """A copy on another device."""
        heatmaps, shares = (None if t is None else t.to(device) for t in self[2:4])
        clip = None if self.clip is None else ClipTarget(*(t.to(device) for t in self.clip))
        return Target(self.joints.to(device), self.weight.to(device), heatmaps, shares, clip)


class ClipBatch(NamedTuple):
    """A batch of clips of one person each.

    Axes: B clip, T frame, K joint.
    """

    frames: Tensor
    """float B T 3 H W, RGB normalised with the ImageNet mean and spread."""
    joints: Tensor
    """float B T K 2, crop pixels; NaN where unlabelled."""
    visible: Tensor
    """bool B T K, labelled and usable for training."""
    key: int
    """Position of the key frame, the same in all clips."""
    matrix: Tensor
    """float B 2 3, image pixels -> crop pixels of the key frame."""
    pictures: Tensor | None = None
    """float B T 3 h w, the frames at the size of the heatmaps, where ``frames`` are kept features;
    else None."""

    def to(self, device: torch.device | str) -> ClipBatch:
        """A copy on another device."""
        return ClipBatch(
            self.frames.to(device), self.joints.to(device), self.visible.to(device), self.key,
            self.matrix.to(device), None if self.pictures is None else self.pictures.to(device),
        )  # fmt: skip
