"""What models that learn without labels are given: pictures of a person, or 2D poses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chronopose.core.skeleton import Skeleton
from chronopose.errors import ShapeError
from chronopose.tensors.colours import normalise, unnormalise


@dataclass(frozen=True)
class PictureInput:
    """Crops of one person, or whole frames.

    Args:
        crop_size: Width and height of what is looked at, pixels.
    """

    crop_size: tuple[int, int]

    def prepare(self, frames: NDArray[np.generic]) -> Tensor:
        """``(..., H, W, 3)`` uint8 RGB -> ``(..., 3, H, W)`` normalised float32.

        Raises:
            ShapeError: these are no pictures.
        """
        if frames.ndim < 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
            raise ShapeError(
                f"Pictures must be (..., H, W, 3) of uint8; got {frames.dtype} {frames.shape}."
            )
        return normalise(torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, -3).float())

    def show(self, frames: Tensor) -> NDArray[np.uint8]:
        """Inverse of :meth:`prepare`, cut to 0..255."""
        pixels: NDArray[np.uint8] = (
            unnormalise(frames.detach().cpu()).round().byte().movedim(-3, -1).numpy()
        )
        return pixels


@dataclass(frozen=True)
class PoseInput:
    """2D poses without place and size: centred on the middle of the hips, of spread 1.

    Args:
        skeleton: Names of the K joints; both hips are among them.

    Raises:
        SkeletonMismatch: it has no hips.
    """

    skeleton: Skeleton

    def __post_init__(self) -> None:
        self._hips()

    def prepare(self, frames: NDArray[np.generic]) -> Tensor:
        """``(..., K, 2)`` joints, any unit -> float32, root mean square of all joints 1.

        Each pose is brought to size by itself: nothing of other frames is in it.

        Raises:
            ShapeError: these are no poses of the skeleton, a joint is unknown, or all are in one
                point.
        """
        xy = np.asarray(frames, np.float64)
        if xy.ndim < 2 or xy.shape[-2:] != (len(self.skeleton), 2):
            raise ShapeError(
                f"Poses of {self.skeleton.name} must be (..., {len(self.skeleton)}, 2); got "
                f"{xy.shape}."
            )
        centred = xy - xy[..., self._hips(), :].mean(-2, keepdims=True)
        spread = np.sqrt((centred**2).sum(-1).mean(-1))[..., None, None]
        if not (np.isfinite(spread) & (spread > 0)).all():
            raise ShapeError(
                "A pose has an unknown joint, or all of its joints in one point. Leave the frame "
                "out, or fill the gap first."
            )
        return torch.from_numpy((centred / spread).astype(np.float32))

    def _hips(self) -> list[int]:
        return [self.skeleton.index(f"{side}_hip") for side in ("left", "right")]
