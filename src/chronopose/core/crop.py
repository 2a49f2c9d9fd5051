"""CropWindow: the one place where image pixels and crop pixels are related."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import ShapeError


@dataclass(frozen=True)
class CropWindow:
    """An affine window of an image.

    Args:
        matrix: ``(2, 3)`` float64, image pixels -> crop pixels. Both spaces have the centre of
            their top-left pixel at (0, 0).
        out_size: Crop width and height, pixels.

    Raises:
        ShapeError: the matrix is singular, not finite, or has another shape; or the crop has no
            pixels.
    """

    matrix: NDArray[np.float64]
    out_size: tuple[int, int]

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix, dtype=np.float64)
        if matrix.shape != (2, 3) or not np.isfinite(matrix).all():
            raise ShapeError(f"A crop window needs a finite (2, 3) matrix; got {matrix.tolist()}.")
        if abs(np.linalg.det(matrix[:, :2])) < 1e-12:
            raise ShapeError(f"This crop window has no area: matrix {matrix.tolist()}.")
        if min(self.out_size) < 1:
            raise ShapeError(f"A crop must be at least 1x1 pixel; got {self.out_size}.")
        object.__setattr__(self, "matrix", matrix)

    @property
    def inverse(self) -> NDArray[np.float64]:
        """``(2, 3)`` crop pixels -> image pixels."""
        linear = np.linalg.inv(self.matrix[:, :2])
        return np.concatenate([linear, -linear @ self.matrix[:, 2:]], axis=1)

    @property
    def scale(self) -> float:
        """Crop pixels per image pixel (geometric mean of the two axes)."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))

    def apply(self, xy: NDArray[np.floating]) -> NDArray[np.float64]:
        """Image points ``(..., 2)`` -> crop points; NaN stays NaN."""
        return np.asarray(xy, np.float64) @ self.matrix[:, :2].T + self.matrix[:, 2]

    def invert(self, xy: NDArray[np.floating]) -> NDArray[np.float64]:
        """Crop points ``(..., 2)`` -> image points; NaN stays NaN."""
        inverse = self.inverse
        return np.asarray(xy, np.float64) @ inverse[:, :2].T + inverse[:, 2]

    @classmethod
    def of_box(
        cls,
        xyxy: NDArray[np.floating],
        size: tuple[int, int],
        pad: float = 1.25,
        rotation_deg: float = 0.0,
        flip: bool = False,
    ) -> CropWindow:
        """Window of a person box: pad the shorter side to the crop's aspect, grow, centre.

        Args:
            xyxy: ``(4,)`` box in image pixels.
            size: Crop width and height, pixels.
            pad: Factor on the side lengths of the aspect-fixed box.
            rotation_deg: Turn of the picture in the crop; clockwise on screen is positive.
            flip: Mirror left and right, after the turn.

        Raises:
            ShapeError: the box is not four finite numbers.

        Source:
            The crop of SimpleBaseline, HRNet and the DCPose family, in continuous pixels: the
            box centre lands on the crop centre ((W-1)/2, (H-1)/2).
        """
        box = np.asarray(xyxy, np.float64)
        if box.shape != (4,) or not np.isfinite(box).all():
            raise ShapeError(f"A crop needs a box of four finite numbers; got {box.tolist()}.")
        left, top, right, bottom = box
        width, height = size
        side = max(right - left, (bottom - top) * width / height, 1.0) * pad
        s = width / side
        a = np.deg2rad(rotation_deg)
        linear = s * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        if flip:
            linear = np.diag([-1.0, 1.0]) @ linear
        centre = np.array([(left + right) / 2, (top + bottom) / 2])
        shift = np.array([(width - 1) / 2, (height - 1) / 2]) - linear @ centre
        return cls(np.concatenate([linear, shift[:, None]], axis=1), size)

    @classmethod
    def whole_frame(cls, frame_size: tuple[int, int], size: tuple[int, int]) -> CropWindow:
        """Window that fits a whole frame of ``frame_size`` (width, height) into ``size``."""
        width, height = frame_size
        edges = np.array([-0.5, -0.5, width - 0.5, height - 0.5])
        return cls.of_box(edges, size, pad=1.0)
