"""Encoder: a model on a device, fed in batches.

Crops go in, single-frame features come out; windows of features go in, poses come out. With the
flip test both are kept twice: for the crop and for its mirror image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from chronopose.core.crop import CropWindow
from chronopose.core.poses import Poses
from chronopose.errors import UsageError
from chronopose.models._base import Features, PoseModel, stack_windows
from chronopose.pipeline.crops import warp_feature
from chronopose.tensors.colours import normalise
from chronopose.tensors.outputs import join_outputs


class FrameFeatures(NamedTuple):
    """What is kept of one crop."""

    plain: Features
    """Tensors of ``encode`` without their frame axis."""
    mirrored: Features | None = None
    """The same of the mirrored crop, for the flip test."""


@dataclass
class Counts:
    """How much work was done."""

    frames: int = 0
    """Frames answered."""
    encodes: int = 0
    """Crops that went through ``encode``, mirrored ones not counted."""
    fuses: int = 0
    """Poses that came out of ``fuse``."""


class Encoder:
    """Runs a model for inference.

    Args:
        model: Put into eval mode and onto ``device``.
        device: Where it runs.
        batch_size: Crops in one pass of ``encode``; ``fuse`` takes as many windows as hold that
            many frames.
        flip_test: Average with the mirrored crop.
        half: 16-bit arithmetic: bfloat16 on the CPU, float16 on a GPU.
    """

    def __init__(
        self,
        model: PoseModel,
        *,
        device: str | torch.device = "cpu",
        batch_size: int = 16,
        flip_test: bool = False,
        half: bool = False,
    ) -> None:
        self.device = torch.device(device)
        # Convolutions of this size run up to three times faster with channels last.
        self.model = model.eval().to(self.device).to(memory_format=torch.channels_last)
        self.counts = Counts()
        self._batch, self._flip, self._half = batch_size, flip_test, half

    @property
    def _windows_a_pass(self) -> int:
        return max(1, self._batch // len(self.model.needs.offsets))

    def encode(self, crops: Sequence[Tensor]) -> list[FrameFeatures]:
        """Features of crops ``(3, h, w)`` of values 0..255, in their order."""
        found: list[FrameFeatures] = []
        self.counts.encodes += len(crops)
        with torch.inference_mode(), self._arithmetic():
            for first in range(0, len(crops), self._batch):
                batch = normalise(torch.stack(list(crops[first : first + self._batch])))
                plain = _split(self.model.encode(_channels_last(batch)))
                if self._flip:
                    mirrored = _split(self.model.encode(_channels_last(batch.flip(-1))))
                    found += [FrameFeatures(p, m) for p, m in zip(plain, mirrored, strict=True)]
                else:
                    found += [FrameFeatures(p) for p in plain]
        return found

    def fuse(self, windows: Sequence[Sequence[FrameFeatures]]) -> Poses:
        """Poses ``(N, K, 2)`` in crop pixels of N windows of T frames."""
        self.counts.fuses += len(windows)
        outputs = []
        with torch.inference_mode(), self._arithmetic():
            for first in range(0, len(windows), self._windows_a_pass):
                some = windows[first : first + self._windows_a_pass]
                found = self.model.fuse(stack_windows([[f.plain for f in w] for w in some]))
                if self._flip:
                    other = [[f.mirrored for f in w if f.mirrored is not None] for w in some]
                    back = self.model.fuse(stack_windows(other))
                    found = self.model.codec.average_flip(found, back)
                outputs.append(found)
            return self.model.codec.decode(join_outputs(outputs))

    def bend(self, features: FrameFeatures, old: CropWindow, new: CropWindow) -> FrameFeatures:
        """Features of one window as they would be in another.

        Raises:
            UsageError: the model's features are no maps, so they cannot be moved in the picture.
        """
        if any(f.ndim != 3 for f in features.plain):
            raise UsageError(
                f"The features of {type(self.model).__name__} are not all maps (C, h, w), so a "
                f"moving window cannot bend them. Use the window policy reencode."
            )
        plain = _rebuild(features.plain, [warp_feature(f, old, new) for f in features.plain])
        if features.mirrored is None:
            return FrameFeatures(plain)
        old, new = _mirror(old), _mirror(new)
        other = [warp_feature(f, old, new) for f in features.mirrored]
        return FrameFeatures(plain, _rebuild(features.mirrored, other))

    def _arithmetic(self) -> torch.autocast:
        kind = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        return torch.autocast(self.device.type, kind, enabled=self._half)


def empty_poses(model: PoseModel) -> Poses:
    """No poses of the model's skeleton, in image pixels."""
    joints = len(model.codec.skeleton)
    return Poses(
        torch.zeros(0, joints, 2).numpy(), torch.zeros(0, joints).numpy(), model.codec.skeleton
    )


def _channels_last(batch: Tensor) -> Tensor:
    return batch.contiguous(memory_format=torch.channels_last)


def _split(features: Features) -> list[Features]:
    """Features of N frames -> N features of one frame; memory is shared."""
    count = len(features[0])
    return [_rebuild(features, [f[i] for f in features]) for i in range(count)]


def _rebuild(like: Features, tensors: list[Tensor]) -> Features:
    make: Any = getattr(like, "_make", tuple)
    return make(tensors)


def _mirror(window: CropWindow) -> CropWindow:
    """The window that gives the mirrored crop."""
    matrix = window.matrix.copy()
    matrix[0] = -matrix[0]
    matrix[0, 2] += window.out_size[0] - 1
    return CropWindow(matrix, window.out_size)
