"""Boxes: person boxes in image pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import ShapeError


@dataclass(frozen=True)
class Boxes:
    """Axis-aligned boxes.

    Args:
        xyxy: ``(N, 4)`` float; left, top, right, bottom edge in image pixels, where the centre
            of the top-left pixel is (0, 0). Width is ``right - left``.
        score: ``(N,)`` confidence, in [0, 1] when we made it.

    Raises:
        ShapeError: wrong shape, a NaN, or a right edge left of the left edge.
    """

    xyxy: NDArray[np.float32]
    score: NDArray[np.float32]

    def __post_init__(self) -> None:
        xyxy = np.asarray(self.xyxy, dtype=np.float32)
        score = np.asarray(self.score, dtype=np.float32).reshape(-1)
        if xyxy.size and (xyxy.ndim > 2 or xyxy.shape[-1] != 4):
            raise ShapeError(
                f"Boxes must be (N, 4): left, top, right, bottom; got an array {xyxy.shape}."
            )
        xyxy = xyxy.reshape(-1, 4)
        object.__setattr__(self, "xyxy", xyxy)
        object.__setattr__(self, "score", score)
        if len(xyxy) != len(score):
            raise ShapeError(f"{len(xyxy)} boxes but {len(score)} scores; give one score a box.")
        if not np.isfinite(xyxy).all():
            bad = int(np.flatnonzero(~np.isfinite(xyxy).all(axis=1))[0])
            raise ShapeError(f"Box {bad} is {xyxy[bad].tolist()}: boxes must be finite numbers.")
        if not np.isfinite(score).all():
            bad = int(np.flatnonzero(~np.isfinite(score))[0])
            raise ShapeError(f"Box {bad} has the score {score[bad]}: scores must be finite.")
        if (xyxy[:, 2:] < xyxy[:, :2]).any():
            bad = int(np.flatnonzero((xyxy[:, 2:] < xyxy[:, :2]).any(axis=1))[0])
            raise ShapeError(
                f"Box {bad} is {xyxy[bad].tolist()}: right/bottom lies before left/top. "
                f"Boxes are [left, top, right, bottom], not [x, y, width, height]."
            )

    def __len__(self) -> int:
        return len(self.xyxy)

    @classmethod
    def empty(cls) -> Boxes:
        """No boxes."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))

    @property
    def area(self) -> NDArray[np.float32]:
        """``(N,)`` square pixels."""
        wh = self.xyxy[:, 2:] - self.xyxy[:, :2]
        return wh[:, 0] * wh[:, 1]

    def select(self, keep: Any) -> Boxes:
        """The boxes that an index array, slice or mask picks."""
        return Boxes(self.xyxy[keep], self.score[keep])

    def iou(self, other: Boxes) -> NDArray[np.float32]:
        """``(N, M)`` intersection over union, in [0, 1]; 0 for empty boxes."""
        low = np.maximum(self.xyxy[:, None, :2], other.xyxy[None, :, :2])
        high = np.minimum(self.xyxy[:, None, 2:], other.xyxy[None, :, 2:])
        inter = np.clip(high - low, 0, None).prod(axis=-1)
        union = self.area[:, None] + other.area[None, :] - inter
        return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)

    def grow(self, factor: float) -> Boxes:
        """Scale each box about its centre; 1.25 is the field's usual margin."""
        centre = (self.xyxy[:, :2] + self.xyxy[:, 2:]) / 2
        half = (self.xyxy[:, 2:] - self.xyxy[:, :2]) / 2 * factor
        return Boxes(np.concatenate([centre - half, centre + half], axis=1), self.score)

    def clip(self, size: tuple[int, int]) -> Boxes:
        """Cut the boxes to an image of ``size`` (width, height) pixels."""
        limit = np.array([size[0] - 0.5, size[1] - 0.5] * 2, dtype=np.float32)
        return Boxes(np.clip(self.xyxy, -0.5, limit), self.score)
