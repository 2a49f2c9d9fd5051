"""Errors of 3D joints in millimetres: MPJPE after three alignments, and of velocities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import H36M17
from chronopose.errors import ShapeError

Floats = NDArray[np.float64]

COLUMNS = ("MPJPE", "P-MPJPE", "N-MPJPE", "MPJVE")
"""Protocols 1, 2 and 3, and velocity."""


def joint_errors(pred_mm: ArrayLike, true_mm: ArrayLike) -> Floats:
    """``(..., K)`` distances of predicted and labelled joints ``(..., K, 3)``, mm.

    Raises:
        ShapeError: shapes disagree, or a coordinate is not finite.
    """
    pred, true = _pair(pred_mm, true_mm)
    return np.linalg.norm(pred - true, axis=-1)


def procrustes(pred_mm: ArrayLike, true_mm: ArrayLike) -> Floats:
    """Predictions moved onto the labels, each frame by its best scale, rotation and translation.

    Args:
        pred_mm: ``(F, K, 3)`` mm.
        true_mm: ``(F, K, 3)`` mm.

    Returns:
        ``(F, K, 3)`` mm: the similar figure with the least sum of squared distances. It is never a
        mirror image: where that would fit better, the weakest direction is turned round. A
        prediction with all joints in one point lands on the labels' centre.

    Raises:
        ShapeError: shapes disagree, or a coordinate is not finite.

    Source:
        Umeyama, "Least-Squares Estimation of Transformation Parameters Between Two Point Patterns".
    """
    pred, true = _pair(pred_mm, true_mm)
    centre_pred, centre_true = pred.mean(-2, keepdims=True), true.mean(-2, keepdims=True)
    a, b = pred - centre_pred, true - centre_true
    left, strength, right = np.linalg.svd(np.swapaxes(a, -1, -2) @ b)
    mirrored = np.linalg.det(left @ right) < 0
    left[mirrored, :, -1] *= -1
    strength[mirrored, -1] *= -1
    spread = (a**2).sum((-1, -2))
    scale = np.divide(strength.sum(-1), spread, out=np.zeros_like(spread), where=spread > 0)
    moved: Floats = scale[:, None, None] * (a @ left @ right) + centre_true
    return moved


def rescaled(pred_mm: ArrayLike, true_mm: ArrayLike) -> Floats:
    """Predictions times the best scale of each frame, ``<true, pred> / <pred, pred>``.

    Args:
        pred_mm: ``(F, K, 3)`` mm, relative to the root.
        true_mm: ``(F, K, 3)`` mm, relative to the root.

    Raises:
        ShapeError: shapes disagree, or a coordinate is not finite.
    """
    pred, true = _pair(pred_mm, true_mm)
    power = (pred**2).sum((-1, -2))
    overlap = (pred * true).sum((-1, -2))
    scale = np.divide(overlap, power, out=np.zeros_like(power), where=power > 0)
    return scale[:, None, None] * pred


def velocity_errors(pred_mm: ArrayLike, true_mm: ArrayLike) -> Floats:
    """``(F - 1, K)`` distances of the steps between neighbouring frames, mm a frame.

    Raises:
        ShapeError: shapes disagree, or a coordinate is not finite.
    """
    pred, true = _pair(pred_mm, true_mm)
    return np.linalg.norm(np.diff(pred, axis=0) - np.diff(true, axis=0), axis=-1)


@dataclass(frozen=True)
class MPJPEResult:
    """What :meth:`MPJPE.compute` found, millimetres (MPJVE: mm a frame); NaN where none counts."""

    actions: Mapping[str, Mapping[str, float]]
    """Action -> column of :data:`COLUMNS` -> frame-weighted mean."""
    mean: Mapping[str, float]
    """Column -> plain mean over the actions: the published number."""
    over_frames: Mapping[str, float]
    """Column -> mean over all frames, whatever their action."""
    per_joint: Mapping[str, float]
    """Joint -> MPJPE over all frames."""
    frames: Mapping[str, int]
    """Action -> frames."""
    count_root: bool
    """Whether the root, whose error is 0, is one of the joints of the means."""

    def only(self, columns: Sequence[str]) -> MPJPEResult:
        """The same with some of the columns; errors of joints are those of MPJPE and go with it."""

        def cut(row: Mapping[str, float]) -> dict[str, float]:
            return {c: row[c] for c in columns}

        return replace(
            self,
            actions={name: cut(row) for name, row in self.actions.items()},
            mean=cut(self.mean),
            over_frames=cut(self.over_frames),
            per_joint=self.per_joint if "MPJPE" in columns else {},
        )

    def __str__(self) -> str:
        width = max([len(a) for a in self.actions] + [10])
        lines = [" " * (width + 2) + "".join(f"{c:>10}" for c in self.mean)]
        rows = {**self.actions, "mean": self.mean, "all frames": self.over_frames}
        for name, row in rows.items():
            lines.append(f"  {name:<{width}}" + "".join(f"{row[c]:>10.2f}" for c in self.mean))
        root = "with" if self.count_root else "without"
        return "\n".join([f"3D errors in mm, {root} the root among the joints", *lines])


class MPJPE:
    """Mean per joint position error after no alignment, Procrustes and scale, and of velocity.

    Both sides are made relative to the root first. Each clip is one call of :meth:`update`, for
    velocities do not reach over its ends. Clips are weighted by their frames inside an action;
    actions are weighted alike.

    Args:
        skeleton: Joints of predictions and labels.
        root: Joint that is subtracted; None leaves the coordinates as they are.
        count_root: The mean runs over all joints, the root with its error of 0 too, as in the
            literature on Human3.6M. A mean over the other 16 of 17 is 17/16 as large.

    Raises:
        SkeletonMismatch: the skeleton has no such root.

    Source:
        Protocols and averaging as in Pavllo et al., "3D Human Pose Estimation in Video with
        Temporal Convolutions and Semi-Supervised Training".
    """

    def __init__(
        self, skeleton: Skeleton = H36M17, root: str | None = "pelvis", *, count_root: bool = True
    ) -> None:
        self.skeleton = skeleton
        self.count_root = count_root
        self._root = None if root is None else skeleton.index(root)
        keep = [k for k in range(len(skeleton)) if count_root or k != self._root]
        self._keep = np.array(keep, np.intp)
        self._sums: dict[str, _Sums] = {}
        self._joints = np.zeros(len(skeleton))

    def update(self, pred_mm: ArrayLike, true_mm: ArrayLike, action: str = "all") -> None:
        """Add a clip.

        Args:
            pred_mm: ``(F, K, 3)`` mm, neighbouring frames of one camera.
            true_mm: ``(F, K, 3)`` mm.
            action: The clip's name; its first word is the action ("Walking 1" is Walking).

        Raises:
            ShapeError: shapes disagree, a coordinate is not finite, or there is no frame.
        """
        pred, true = _pair(pred_mm, true_mm)
        if pred.ndim != 3 or pred.shape[1] != len(self.skeleton) or not len(pred):
            raise ShapeError(
                f"A clip of {self.skeleton.name!r} is (frames, {len(self.skeleton)}, 3), of at "
                f"least one frame; got {pred.shape}."
            )
        if self._root is not None:
            pred = pred - pred[:, self._root, None]
            true = true - true[:, self._root, None]
        plain = joint_errors(pred, true)
        self._joints += plain.sum(0)
        keep = self._keep
        row = [
            plain[:, keep].mean(),
            joint_errors(procrustes(pred, true), true)[:, keep].mean(),
            joint_errors(rescaled(pred, true), true)[:, keep].mean(),
        ]
        words = action.split()
        sums = self._sums.setdefault(words[0] if words else action, _Sums())
        sums.add(np.array(row), velocity_errors(pred, true)[:, keep], len(pred))

    def compute(self) -> MPJPEResult:
        """Average everything added so far."""
        actions = {name: s.means() for name, s in self._sums.items()}
        every = _Sums()
        for sums in self._sums.values():
            every.merge(sums)
        table = np.array([[row[c] for c in COLUMNS] for row in actions.values()])
        mean = [_known_mean(table[:, i]) if len(table) else np.nan for i in range(len(COLUMNS))]
        joints = self._joints / every.frames if every.frames else np.full(len(self._joints), np.nan)
        return MPJPEResult(
            actions=actions,
            mean=dict(zip(COLUMNS, map(float, mean), strict=True)),
            over_frames=every.means(),
            per_joint=dict(zip(self.skeleton.joints, joints.tolist(), strict=True)),
            frames={name: s.frames for name, s in self._sums.items()},
            count_root=self.count_root,
        )


@dataclass
class _Sums:
    """Frame-weighted sums of clips."""

    errors: Floats = field(default_factory=lambda: np.zeros(3))
    frames: int = 0
    velocity: float = 0.0
    moving: int = 0

    def add(self, errors: Floats, velocity: Floats, frames: int) -> None:
        self.errors = self.errors + frames * errors
        self.frames += frames
        if len(velocity):
            # A clip's mean over F - 1 steps weighs as its F frames, like every other error.
            self.velocity += frames * float(velocity.mean())
            self.moving += frames

    def merge(self, other: _Sums) -> None:
        self.errors = self.errors + other.errors
        self.frames += other.frames
        self.velocity += other.velocity
        self.moving += other.moving

    def means(self) -> dict[str, float]:
        frames = self.frames or np.nan
        found = [*(self.errors / frames).tolist(), self.velocity / (self.moving or np.nan)]
        return dict(zip(COLUMNS, map(float, found), strict=True))


def _known_mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _pair(pred_mm: ArrayLike, true_mm: ArrayLike) -> tuple[Floats, Floats]:
    pred, true = np.asarray(pred_mm, np.float64), np.asarray(true_mm, np.float64)
    if pred.shape != true.shape or pred.ndim < 2 or pred.shape[-1] != 3:
        raise ShapeError(
            f"3D errors need predictions and labels of one shape (..., joints, 3); got "
            f"{pred.shape} and {true.shape}."
        )
    for name, values in (("Predictions", pred), ("Labels", true)):
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            raise ShapeError(
                f"{name} hold {values[tuple(bad[0])]} at {tuple(bad[0].tolist())} and "
                f"{len(bad) - 1} more such values. A 3D error needs every joint: leave the frame "
                f"out, or fill the gap first."
            )
    return pred, true
