"""3DPCK, its area under the curve and MPJPE, sequence by sequence, as MPI-INF-3DHP reports them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import MPI_INF_3DHP17
from chronopose.errors import ShapeError
from chronopose.metrics.mpjpe import joint_errors

THRESHOLD_MM = 150.0
"""A joint is correct if its error is below, not at, this."""
THRESHOLDS_MM: NDArray[np.float64] = np.linspace(0.0, 150.0, 31)
"""0, 5, ..., 150 mm: the thresholds of the area under the curve; nothing is below the first."""
UNCOUNTED = ("spine", "head", "pelvis")
"""Joints that PCK and AUC leave out; MPJPE takes them all."""
JOINT_GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Head": ("head_top",),
        "Neck": ("neck",),
        "Shoulder": ("left_shoulder", "right_shoulder"),
        "Elbow": ("left_elbow", "right_elbow"),
        "Wrist": ("left_wrist", "right_wrist"),
        "Hip": ("left_hip", "right_hip"),
        "Knee": ("left_knee", "right_knee"),
        "Ankle": ("left_ankle", "right_ankle"),
    }
)
"""Column of the table -> joints; the head is its top alone."""


@dataclass(frozen=True)
class SequenceScores:
    """PCK and AUC in percent, MPJPE in millimetres; NaN without frames."""

    pck: float
    """Mean over the groups weighted by their joints: percent of joints below 150 mm."""
    auc: float
    """The same, averaged over :data:`THRESHOLDS_MM`."""
    mpjpe_mm: float
    """Mean error over all joints of the skeleton."""
    groups: Mapping[str, float]
    """PCK of each group."""
    frames: int
    """Frames that counted."""


@dataclass(frozen=True)
class PCK3DResult:
    """What :meth:`PCK3D.compute` found."""

    sequences: Mapping[str, SequenceScores]
    """Sequence -> its scores."""
    total: SequenceScores
    """Means over the sequences, weighted by their frames: the published numbers."""
    columns: tuple[str, ...] = ()
    """Columns of the printed table; all if empty."""

    def only(self, columns: Sequence[str]) -> PCK3DResult:
        """The same, printed with these columns (``"PCK"``, ``"AUC"``, ``"MPJPE"``, groups)."""
        return replace(self, columns=tuple(columns))

    def __str__(self) -> str:
        width = max([len(s) for s in self.sequences] + [5])
        columns = self.columns or ("PCK", "AUC", "MPJPE", *self.total.groups)
        lines = [" " * (width + 2) + "".join(f"{c:>10}" for c in columns)]
        for name, row in {**self.sequences, "total": self.total}.items():
            cells = {"PCK": row.pck, "AUC": row.auc, "MPJPE": row.mpjpe_mm, **row.groups}
            lines.append(f"  {name:<{width}}" + "".join(f"{cells[c]:>10.1f}" for c in columns))
        return "\n".join([f"3DPCK below {THRESHOLD_MM:g} mm (percent), MPJPE (mm)", *lines])


class PCK3D:
    """3DPCK and AUC over 14 joints, MPJPE over 17.

    Args:
        skeleton: Joints of predictions and labels.
        root: Joint that is subtracted first; None leaves the coordinates as they are.
        uncounted: Joints that PCK and AUC leave out.

    Raises:
        SkeletonMismatch: the skeleton has no such root.
        ShapeError: a counted joint belongs to no group.

    Source:
        Mehta et al., "Monocular 3D Human Pose Estimation In The Wild Using Improved CNN
        Supervision"; the joints as in its evaluation.
    """

    def __init__(
        self,
        skeleton: Skeleton = MPI_INF_3DHP17,
        root: str | None = "pelvis",
        uncounted: Sequence[str] = UNCOUNTED,
    ) -> None:
        self.skeleton = skeleton
        self._root = None if root is None else skeleton.index(root)
        counted = [j for j in skeleton.joints if j not in uncounted]
        grouped = {j for joints in JOINT_GROUPS.values() for j in joints}
        strange = sorted(set(counted) - grouped)
        if strange:
            raise ShapeError(
                f"{', '.join(strange)} of {skeleton.name!r} belong to no group of the table. Name "
                f"them in uncounted."
            )
        self._groups = {
            name: np.array([skeleton.index(j) for j in joints if j in counted], np.intp)
            for name, joints in JOINT_GROUPS.items()
            if set(joints) & set(counted)
        }
        self._sums: dict[str, tuple[int, NDArray[np.int64], float]] = {}

    def update(
        self,
        pred_mm: ArrayLike,
        true_mm: ArrayLike,
        sequence: str = "all",
        valid: NDArray[np.bool_] | None = None,
    ) -> None:
        """Add frames of a sequence.

        Args:
            pred_mm: ``(F, K, 3)`` mm.
            true_mm: ``(F, K, 3)`` mm.
            sequence: Name of the sequence, e.g. "TS1".
            valid: ``(F,)`` bool, frames that count; all by default.

        Raises:
            ShapeError: shapes disagree, or a coordinate of a valid frame is not finite.
        """
        pred, true = np.asarray(pred_mm, np.float64), np.asarray(true_mm, np.float64)
        shape = (len(true), len(self.skeleton), 3)
        keep = np.ones(len(true), bool) if valid is None else np.asarray(valid, bool).reshape(-1)
        if pred.shape != shape or true.shape != shape or keep.shape != shape[:1]:
            raise ShapeError(
                f"3DPCK of {self.skeleton.name!r} needs predictions and labels (frames, "
                f"{shape[1]}, 3) and a validity of each frame; got {pred.shape}, {true.shape} and "
                f"{keep.shape}."
            )
        pred, true = pred[keep], true[keep]
        if self._root is not None:
            pred = pred - pred[:, self._root, None]
            true = true - true[:, self._root, None]
        errors = joint_errors(pred, true)
        hits = (errors < THRESHOLDS_MM[:, None, None]).sum(1)
        frames, before, total = self._sums.get(sequence, (0, np.zeros_like(hits), 0.0))
        mean = errors.mean(1).sum() if len(errors) else 0.0
        self._sums[sequence] = (frames + len(errors), before + hits, total + float(mean))

    def compute(self) -> PCK3DResult:
        """Score everything added so far."""
        rows = {name: self._scores(*sums) for name, sums in self._sums.items()}
        weights = np.array([r.frames for r in rows.values()], np.float64)

        def weighted(values: list[float]) -> float:
            there = weights > 0
            if not there.any():
                return float("nan")
            return float(np.average(np.array(values)[there], weights=weights[there]))

        total = SequenceScores(
            pck=weighted([r.pck for r in rows.values()]),
            auc=weighted([r.auc for r in rows.values()]),
            mpjpe_mm=weighted([r.mpjpe_mm for r in rows.values()]),
            groups={g: weighted([r.groups[g] for r in rows.values()]) for g in self._groups},
            frames=int(weights.sum()),
        )
        return PCK3DResult(rows, total)

    def _scores(self, frames: int, hits: NDArray[np.int64], total: float) -> SequenceScores:
        if not frames:
            nan = float("nan")
            return SequenceScores(nan, nan, nan, dict.fromkeys(self._groups, nan), 0)
        share = 100.0 * hits / frames
        counted = np.concatenate(list(self._groups.values()))
        curve = share[:, counted].mean(1)
        return SequenceScores(
            pck=float(curve[-1]),
            auc=float(curve.mean()),
            mpjpe_mm=total / frames,
            groups={g: float(share[-1, k].mean()) for g, k in self._groups.items()},
            frames=frames,
        )
