"""Sample, ClipSource and View: one labelled person on the way from a data set to a network.

A data set gives a :class:`Sample`. Transforms edit a :class:`View` of it, which is only numbers:
a box, a turn, a mirror. Nothing touches pixels until ``warp_view`` asks the view for its matrices,
and the same matrices move the joints; so pixels and joints cannot come apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from chronopose.core.crop import CropWindow
from chronopose.core.skeleton import Skeleton
from chronopose.errors import ShapeError


@dataclass(frozen=True)
class Sample:
    """One person in one clip.

    Args:
        images: ``(F, H, W, 3)`` uint8 RGB; F is 1 for a still picture, else the clip's length.
        joints: ``(F, K, 2)`` float32, image pixels; NaN where unknown.
        visible: ``(F, K)`` bool; joints that may be trained on and scored.
        box: ``(4,)`` left, top, right, bottom of the person in the key frame, image pixels.
        skeleton: Names of the K joints.
        key: Position of the key frame in the clip.
        motion: ``(T, 2, 3)`` float64, picture -> frame; moves a still picture as a camera would.
            The key frame's matrix is the identity, so the box stays right.
        name: Where the sample comes from, for messages.

    Raises:
        ShapeError: shapes disagree, or a motion is given to more than one picture.
    """

    images: NDArray[np.uint8]
    joints: NDArray[np.float32]
    visible: NDArray[np.bool_]
    box: NDArray[np.float32]
    skeleton: Skeleton
    key: int = 0
    motion: NDArray[np.float64] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        frames, joints = len(self.images), len(self.skeleton)
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise ShapeError(
                f"{self.name}: images must be (F, H, W, 3) uint8; got {self.images.shape} "
                f"{self.images.dtype}."
            )
        if self.joints.shape != (frames, joints, 2) or self.visible.shape != (frames, joints):
            raise ShapeError(
                f"{self.name}: {frames} images of {self.skeleton.name!r} need joints "
                f"({frames}, {joints}, 2) and visible ({frames}, {joints}); got "
                f"{self.joints.shape} and {self.visible.shape}."
            )
        if self.motion is not None and frames != 1:
            raise ShapeError(
                f"{self.name}: only a still picture can be moved; got {frames} frames."
            )
        if not 0 <= self.key < len(self):
            raise ShapeError(f"{self.name}: key frame {self.key} lies outside {len(self)} frames.")

    def __len__(self) -> int:
        return len(self.images) if self.motion is None else len(self.motion)


@runtime_checkable
class ClipSource(Protocol):
    """What a data set offers to training and evaluation."""

    @property
    def skeleton(self) -> Skeleton:
        """Names of the joints of every sample."""

    def __len__(self) -> int: ...

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """Sample ``index``; whatever is random in it comes from ``rng`` and nowhere else."""

    def fingerprint(self) -> str:
        """Short hash that changes when the data change; it is kept in the run record."""


@dataclass(frozen=True)
class View:
    """How a sample will be looked at; transforms return changed copies.

    Args:
        sample: The labelled person.
        size: Crop width and height, pixels.
        box: ``(4,)`` what the crop is centred on and how large, image pixels of the key frame.
        pad: Factor on the side lengths of the aspect-fixed box.
        rotation_deg: Turn of the picture in the crop; clockwise on screen is positive.
        flip: Mirror left and right, pixels and joint names alike.
    """

    sample: Sample
    size: tuple[int, int]
    box: NDArray[np.float64]
    pad: float = 1.25
    rotation_deg: float = 0.0
    flip: bool = False

    @classmethod
    def of(cls, sample: Sample, size: tuple[int, int], pad: float = 1.25) -> View:
        """The plain view that evaluation uses: the labelled box, grown by ``pad``."""
        return cls(sample, size, np.asarray(sample.box, np.float64), pad)

    @property
    def window(self) -> CropWindow:
        """Image pixels -> crop pixels of the key frame."""
        return CropWindow.of_box(self.box, self.size, self.pad, self.rotation_deg, self.flip)

    @property
    def window_size(self) -> tuple[float, float]:
        """Width and height of the aspect-fixed box before padding, image pixels."""
        left, top, right, bottom = self.box
        width = max(right - left, (bottom - top) * self.size[0] / self.size[1])
        return float(width), float(width * self.size[1] / self.size[0])

    def matrices(self) -> NDArray[np.float64]:
        """``(F or T, 2, 3)`` picture pixels -> crop pixels of every frame."""
        window = self.window.matrix
        motion = self.sample.motion
        if motion is None:
            return np.repeat(window[None], len(self.sample.images), axis=0)
        linear = window[:, :2] @ motion[:, :, :2]
        shift = window[:, :2] @ motion[:, :, 2:] + window[:, 2:]
        return np.concatenate([linear, shift], axis=2)

    def joints(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """``(F or T, K, 2)`` joints in crop pixels and ``(F or T, K)`` visibility.

        In a mirrored crop the sides' names change places, so a joint called left is the left one
        of the mirrored person.
        """
        matrices = self.matrices()
        count = len(matrices)
        joints = np.broadcast_to(self.sample.joints, (count, *self.sample.joints.shape[1:]))
        visible = np.broadcast_to(self.sample.visible, joints.shape[:2])
        moved = np.einsum("tij,tkj->tki", matrices[:, :, :2], joints.astype(np.float64))
        moved += matrices[:, None, :, 2]
        if self.flip:
            order = self.sample.skeleton.flip_index
            moved, visible = moved[:, order], visible[:, order]
        return moved.astype(np.float32), visible.copy()
