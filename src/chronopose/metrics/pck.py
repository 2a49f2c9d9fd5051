"""PCK: the share of joints that land close enough to their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.skeleton import Skeleton
from chronopose.errors import ShapeError

LIMB_JOINTS: tuple[str, ...] = (
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
"""The 12 joints of arms and legs, which every skeleton of the registry has."""

Array = NDArray[np.floating]


@dataclass(frozen=True)
class PCKResult:
    """What :meth:`PCK.compute` found. Shares are percent, 0 to 100; NaN where nothing counts."""

    per_joint: Mapping[str, float]
    """Joint -> percent of its labels that were hit."""
    mean: float
    """Plain mean of ``per_joint`` over the joints that have labels."""
    pooled: float
    """Percent of all labels that were hit, whatever the joint."""
    counts: Mapping[str, int]
    """Joint -> labels that counted."""
    people: int
    """Labelled people that counted."""
    skipped: int
    """Labelled people left out because they have no torso or no box to measure by."""
    threshold: float
    """Share of the normaliser within which a joint is hit."""
    normalise: str
    """``"torso"`` or ``"bbox"``."""

    def __str__(self) -> str:
        rows = [f"  {j:<16}{v:6.1f}  of {self.counts[j]}" for j, v in self.per_joint.items()]
        skipped = f", {self.skipped} skipped without a size" if self.skipped else ""
        return "\n".join(
            [
                f"PCK@{self.threshold:g} ({self.normalise}), {self.people} people{skipped}",
                *rows,
                f"  {'mean':<16}{self.mean:6.1f}  over joints",
                f"  {'pooled':<16}{self.pooled:6.1f}  of {sum(self.counts.values())}",
            ]
        )


class PCK:
    """Percentage of correct keypoints: hit if the distance is at most ``threshold`` × size.

    The size is the torso's, ``||left_shoulder - right_hip||`` of the label, or of the other
    diagonal where one of these joints is not labelled; or ``max(width, height)`` of the annotated
    box. A prediction that is NaN is a miss. People without a size cannot be scored: they are left
    out, and counted in ``skipped``.

    Args:
        skeleton: Joints of predictions and labels.
        threshold: Share of the size; the bound itself is a hit.
        normalise: ``"torso"`` or ``"bbox"``.
        joints: Joint names that count, e.g. :data:`LIMB_JOINTS`; all by default.

    Raises:
        ShapeError: the threshold is not positive, or ``normalise`` is unknown.
        SkeletonMismatch: the skeleton lacks one of ``joints``, or a torso joint.

    Source:
        Yang and Ramanan, "Articulated Human Detection with Flexible Mixtures of Parts"; the torso
        as in the Leeds Sports evaluation, the box as in the Penn Action one.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        threshold: float = 0.2,
        normalise: Literal["torso", "bbox"] = "torso",
        joints: Sequence[str] | None = None,
    ) -> None:
        if not threshold > 0:
            raise ShapeError(f"A PCK threshold must be above zero; got {threshold}.")
        if normalise not in ("torso", "bbox"):
            raise ShapeError(f"PCK is normalised by 'torso' or 'bbox'; got {normalise!r}.")
        self.skeleton = skeleton
        self.threshold = threshold
        self.normalise = normalise
        self.joints = tuple(joints) if joints is not None else skeleton.joints
        self._columns = [skeleton.index(j) for j in self.joints]
        self._diagonals = () if normalise == "bbox" else torso_diagonals(skeleton)
        self._ratios: list[NDArray[np.float64]] = []
        self._skipped = 0

    def update(
        self,
        pred_xy: Array,
        true_xy: Array,
        visible: NDArray[np.bool_],
        boxes: Boxes | Array | None = None,
    ) -> None:
        """Add people.

        Args:
            pred_xy: ``(N, K, 2)`` predicted joints, pixels; NaN where nothing was predicted.
            true_xy: ``(N, K, 2)`` labelled joints, the same pixels.
            visible: ``(N, K)`` bool, which labels count; NaN labels never do.
            boxes: N annotated boxes, or ``(N, 4)`` left, top, right, bottom with degenerate ones
                allowed (they are skipped); needed for ``normalise="bbox"`` only.

        Raises:
            ShapeError: shapes disagree, or boxes are missing.
        """
        pred, true = np.asarray(pred_xy, np.float64), np.asarray(true_xy, np.float64)
        shape = (len(true), len(self.skeleton), 2)
        labelled = np.asarray(visible, bool)
        if pred.shape != shape or true.shape != shape or labelled.shape != shape[:2]:
            raise ShapeError(
                f"PCK of {self.skeleton.name!r} needs predictions and labels (N, "
                f"{len(self.skeleton)}, 2) and visibility (N, {len(self.skeleton)}); got "
                f"{pred.shape}, {true.shape} and {labelled.shape}."
            )
        labelled = labelled & np.isfinite(true).all(-1)
        size = self._sizes(true, labelled, boxes)
        some = labelled[:, self._columns].any(-1)
        usable = size > 0
        self._skipped += int((some & ~usable).sum())
        rows = some & usable
        distance = np.linalg.norm(pred - true, axis=-1)[rows][:, self._columns]
        ratio = np.where(np.isnan(distance), np.inf, distance) / size[rows, None]
        self._ratios.append(np.where(labelled[rows][:, self._columns], ratio, np.nan))

    def compute(self) -> PCKResult:
        """Score everything added so far."""
        hits, counts = self._count(self.threshold)
        share = np.where(counts > 0, 100.0 * hits / np.maximum(counts, 1), np.nan)
        total = int(counts.sum())
        return PCKResult(
            per_joint=dict(zip(self.joints, share.tolist(), strict=True)),
            mean=_mean(share),
            pooled=100.0 * float(hits.sum()) / total if total else float("nan"),
            counts=dict(zip(self.joints, counts.tolist(), strict=True)),
            people=sum(len(r) for r in self._ratios),
            skipped=self._skipped,
            threshold=self.threshold,
            normalise=self.normalise,
        )

    def auc(self, max_threshold: float | None = None, step: float = 0.01) -> float:
        """Area under the curve: mean of the joint mean over thresholds from 0 on, percent.

        Args:
            max_threshold: Last threshold, included; the metric's own by default.
            step: Distance of two thresholds.

        Returns:
            NaN when nothing counts.
        """
        last = self.threshold if max_threshold is None else max_threshold
        if not step > 0 or not last > 0:
            raise ShapeError(f"AUC needs positive bounds; got {last} in steps of {step}.")
        curve = []
        for number in range(round(last / step) + 1):
            hits, counts = self._count(number * step)
            curve.append(_mean(100.0 * hits[counts > 0] / counts[counts > 0]))
        return float(np.mean(curve))

    def _count(self, threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Hits and labels of each joint."""
        width = len(self.joints)
        ratio = np.concatenate(self._ratios) if self._ratios else np.zeros((0, width))
        # A bound such as 3 * 0.01 is not the nearest number to 0.03; hits on it must still count.
        near = ratio <= threshold * (1 + 1e-12)
        return near.sum(0), (~np.isnan(ratio)).sum(0)

    def _sizes(
        self, true: Array, labelled: NDArray[np.bool_], boxes: Boxes | Array | None
    ) -> NDArray[np.float64]:
        """``(N,)`` normaliser of each person, pixels; 0 or NaN where there is none."""
        if self.normalise == "torso":
            return torso_sizes(true, labelled, self._diagonals)
        if boxes is None:
            raise ShapeError("PCK normalised by the box needs boxes: update(..., boxes=...).")
        xyxy = np.asarray(boxes.xyxy if isinstance(boxes, Boxes) else boxes, np.float64)
        if xyxy.shape != (len(true), 4):
            raise ShapeError(f"{len(true)} people need boxes ({len(true)}, 4); got {xyxy.shape}.")
        sides = xyxy[:, 2:] - xyxy[:, :2]
        return np.where((sides > 0).all(-1), sides.max(-1), np.nan)


def torso_diagonals(skeleton: Skeleton) -> tuple[tuple[int, int], ...]:
    """Joint numbers of the two torso diagonals, left shoulder to right hip first.

    Raises:
        SkeletonMismatch: the skeleton has no shoulders or hips.
    """
    return (
        (skeleton.index("left_shoulder"), skeleton.index("right_hip")),
        (skeleton.index("right_shoulder"), skeleton.index("left_hip")),
    )


def torso_sizes(
    xy: Array, known: NDArray[np.bool_], diagonals: Sequence[tuple[int, int]]
) -> NDArray[np.float64]:
    """Length of the first diagonal whose two joints are known and apart.

    Args:
        xy: ``(N, K, 2 or 3)`` joints.
        known: ``(N, K)`` bool.
        diagonals: As :func:`torso_diagonals` gives them.

    Returns:
        ``(N,)`` in the unit of ``xy``; NaN where no diagonal will do.
    """
    size = np.full(len(xy), np.nan)
    for a, b in diagonals:
        length = np.linalg.norm(np.asarray(xy[:, a], np.float64) - xy[:, b], axis=-1)
        take = np.isnan(size) & known[:, a] & known[:, b] & (length > 0)
        size[take] = length[take]
    return size


def _mean(values: NDArray[np.float64]) -> float:
    """Mean of the numbers among the values; NaN if there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
