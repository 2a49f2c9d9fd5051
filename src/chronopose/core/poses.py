"""Poses: joints of any number of people or frames, with the space they live in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.core.crop import CropWindow
from chronopose.core.skeleton import JointMap, Skeleton
from chronopose.errors import ShapeError, SkeletonMismatch

Space = Literal["image_px", "crop_px", "camera_mm", "root_mm"]


@dataclass(frozen=True)
class Poses:
    """Joints with scores.

    Args:
        xy: ``(..., K, 2)`` float32 pixels, or ``(..., K, 3)`` millimetres in the 3D spaces. NaN
            where unknown.
        score: ``(..., K)`` float32 confidence in [0, 1].
        skeleton: Names of the K joints.
        space: Where the coordinates live.
        visible: ``(..., K)`` bool; defaults to "the coordinate is known".

    Raises:
        ShapeError: shapes disagree with the skeleton, the space or each other.
    """

    xy: NDArray[np.float32]
    score: NDArray[np.float32]
    skeleton: Skeleton
    space: Space = "image_px"
    visible: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        xy = np.asarray(self.xy, np.float32)
        score = np.asarray(self.score, np.float32)
        dims = 3 if self.space in ("camera_mm", "root_mm") else 2
        if xy.ndim < 2 or xy.shape[-2:] != (len(self.skeleton), dims):
            raise ShapeError(
                f"Poses of {self.skeleton.name!r} in {self.space} must end in "
                f"({len(self.skeleton)}, {dims}); got {xy.shape}."
            )
        if score.shape != xy.shape[:-1]:
            raise ShapeError(f"Scores {score.shape} do not match joints {xy.shape[:-1]}.")
        known = np.asarray(np.isfinite(xy).all(-1))
        visible = known if self.visible is None else np.asarray(self.visible, bool)
        if visible.shape != score.shape:
            raise ShapeError(f"Visibility {visible.shape} does not match scores {score.shape}.")
        object.__setattr__(self, "xy", xy)
        object.__setattr__(self, "score", score)
        object.__setattr__(self, "visible", visible)

    def __len__(self) -> int:
        return len(self.xy)

    def select(self, keep: Any) -> Poses:
        """The poses that an index, slice or mask picks along the first axis."""
        assert self.visible is not None
        return replace(self, xy=self.xy[keep], score=self.score[keep], visible=self.visible[keep])

    def to_image(self, window: CropWindow) -> Poses:
        """Crop pixels -> image pixels through the window the crop was cut with."""
        if self.space != "crop_px":
            raise ShapeError(f"to_image starts from crop_px poses; these are in {self.space}.")
        return replace(self, xy=window.invert(self.xy).astype(np.float32), space="image_px")

    def to_crop(self, window: CropWindow) -> Poses:
        """Image pixels -> crop pixels."""
        if self.space != "image_px":
            raise ShapeError(f"to_crop starts from image_px poses; these are in {self.space}.")
        return replace(self, xy=window.apply(self.xy).astype(np.float32), space="crop_px")

    def flip(self, width: float) -> Poses:
        """Mirror left and right in a picture of ``width`` pixels, exchanging the sides' names.

        Raises:
            ShapeError: the poses are 3D; a picture's mirror means nothing there.
        """
        assert self.visible is not None
        if self.xy.shape[-1] != 2:
            raise ShapeError(
                f"flip mirrors pictures; these poses are in {self.space}. Negate their x and "
                f"reorder the joints with poses.skeleton.flip_index."
            )
        order = self.skeleton.flip_index
        xy = self.xy[..., order, :].copy()
        xy[..., 0] = (width - 1) - xy[..., 0]
        return replace(self, xy=xy, score=self.score[..., order], visible=self.visible[..., order])

    def to_skeleton(self, other: Skeleton, *, missing: Literal["error", "nan"] = "error") -> Poses:
        """Convert by joint name.

        Args:
            other: The wanted skeleton.
            missing: What to do when the source cannot give a joint of ``other``.

        Raises:
            SkeletonMismatch: joints are missing and ``missing`` is ``"error"``.
        """
        plan = self.skeleton.map_to(other)
        if plan.missing and missing == "error":
            raise SkeletonMismatch(
                f"{self.skeleton.name!r} poses cannot become {other.name!r}: no "
                f"{', '.join(plan.missing)}. Leave them empty with missing='nan'."
            )
        return self.mapped(plan)

    def mapped(self, plan: JointMap) -> Poses:
        """Convert as planned; what cannot be had is NaN with score 0.

        A joint that is made from several is known where all of them are, with the least of their
        scores.

        Args:
            plan: From this skeleton to another one.
        """
        assert self.visible is not None
        used = plan.weights != 0
        zeroed = np.nan_to_num(self.xy)
        xy = np.einsum("ks,...sd->...kd", plan.weights, zeroed).astype(np.float32)
        known = np.asarray(np.isfinite(self.xy).all(-1))
        usable = np.stack([known[..., row].all(-1) & row.any() for row in used], axis=-1)
        score = np.stack(
            [
                self.score[..., row].min(-1) if row.any() else np.zeros(known.shape[:-1])
                for row in used
            ],
            axis=-1,
        )
        visible = np.stack([self.visible[..., row].all(-1) & row.any() for row in used], axis=-1)
        xy[~usable] = np.nan
        return Poses(
            xy,
            np.where(usable, score, 0).astype(np.float32),
            plan.target,
            self.space,
            visible & usable,
        )

    def extent(self, min_score: float = 0.0) -> NDArray[np.float32]:
        """``(..., 4)`` tight box around the known joints with at least ``min_score``; else NaN."""
        keep = np.isfinite(self.xy).all(-1) & (self.score >= min_score)
        low = np.where(keep[..., None], self.xy[..., :2], np.inf).min(-2)
        high = np.where(keep[..., None], self.xy[..., :2], -np.inf).max(-2)
        box = np.concatenate([low, high], axis=-1)
        return np.where(np.isfinite(box).all(-1, keepdims=True), box, np.nan).astype(np.float32)
