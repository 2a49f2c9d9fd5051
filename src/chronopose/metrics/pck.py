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
from chronopose.metrics._groups import GROUPS, known_mean

LIMB_JOINTS: tuple[str, ...] = (
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
"""The 12 joints of arms and legs, which every skeleton of a whole body has."""

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
    """``"torso"``, ``"bbox"`` or ``"size"``."""

    def groups(self, heads: Sequence[str] | None = None) -> dict[str, float]:
        """Head, Shoulder, ... Ankle: see :func:`limb_groups`."""
        return limb_groups(self.per_joint, heads)

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
    box; or whatever the caller measured. A prediction that is NaN is a miss. People without a size
    cannot be scored: they are left out, and counted in ``skipped``.

    Args:
        skeleton: Joints of predictions and labels.
        threshold: Share of the size; the bound itself is a hit.
        normalise: ``"torso"``, ``"bbox"``, or ``"size"`` for sizes given to :meth:`update`.
        joints: Joint names that count, e.g. :data:`LIMB_JOINTS`; all by default.
        torso: Pairs of joint names: the torso is the distance of the first pair that is labelled
            and apart. ``[("left_shoulder", "right_hip")]`` allows no other diagonal.

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
        normalise: Literal["torso", "bbox", "size"] = "torso",
        joints: Sequence[str] | None = None,
        torso: Sequence[tuple[str, str]] | None = None,
    ) -> None:
        if not threshold > 0:
            raise ShapeError(f"A PCK threshold must be above zero; got {threshold}.")
        if normalise not in ("torso", "bbox", "size"):
            raise ShapeError(
                f"PCK is normalised by 'torso' or 'bbox'; got {normalise!r}. For another size, "
                f"measure it, take 'size' and give it to update(..., sizes=...)."
            )
        self.skeleton = skeleton
        self.threshold = threshold
        self.normalise = normalise
        self.joints = tuple(joints) if joints is not None else skeleton.joints
        self._columns = [skeleton.index(j) for j in self.joints]
        self._diagonals: tuple[tuple[int, int], ...] = ()
        if normalise == "torso":
            named = [(skeleton.index(a), skeleton.index(b)) for a, b in torso or ()]
            self._diagonals = tuple(named) or torso_diagonals(skeleton)
        self._ratios: list[NDArray[np.float64]] = []
        self._skipped = 0

    def update(
        self,
        pred_xy: Array,
        true_xy: Array,
        visible: NDArray[np.bool_],
        boxes: Boxes | Array | None = None,
        sizes: Array | None = None,
    ) -> None:
        """Add people.

        Args:
            pred_xy: ``(N, K, 2)`` predicted joints, pixels; NaN where nothing was predicted.
            true_xy: ``(N, K, 2)`` labelled joints, the same pixels.
            visible: ``(N, K)`` bool, which labels count; NaN labels never do.
            boxes: N annotated boxes, or ``(N, 4)`` left, top, right, bottom with degenerate ones
                allowed (they are skipped); needed for ``normalise="bbox"`` only.
            sizes: ``(N,)`` pixels, zero or NaN where there is none (those people are skipped);
                needed for ``normalise="size"`` only.

        Raises:
            ShapeError: shapes disagree, or boxes or sizes are missing.
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
        size = self._sizes(true, labelled, boxes, sizes)
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
        curve = self.curve(np.arange(round(last / step) + 1) * step)
        return known_mean(curve.mean(1))

    def curve(self, thresholds: Array | Sequence[float]) -> NDArray[np.float64]:
        """Percent of hits at other thresholds than the metric's own.

        Args:
            thresholds: ``(T,)`` shares of the size.

        Returns:
            ``(joints, T)`` percent, in the order of ``self.joints``; NaN without labels.
        """
        columns = [self._count(float(t)) for t in thresholds]
        hits, counts = (np.stack(c, axis=-1) for c in zip(*columns, strict=True))
        return np.where(counts > 0, 100.0 * hits / np.maximum(counts, 1), np.nan)

    def pooled(self, thresholds: Array | Sequence[float]) -> NDArray[np.float64]:
        """``(T,)`` percent of all labels that are hit at other thresholds; NaN without labels."""
        hits, counts = zip(*(self._count(float(t)) for t in thresholds), strict=True)
        total = max(int(counts[0].sum()), 1)
        share = np.array([100.0 * h.sum() / total for h in hits])
        return share if counts[0].any() else np.full(len(share), np.nan)

    def _count(self, threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Hits and labels of each joint."""
        width = len(self.joints)
        ratio = np.concatenate(self._ratios) if self._ratios else np.zeros((0, width))
        # A bound such as 3 * 0.01 is not the nearest number to 0.03; hits on it must still count.
        near = ratio <= threshold * (1 + 1e-12)
        return near.sum(0), (~np.isnan(ratio)).sum(0)

    def _sizes(
        self,
        true: Array,
        labelled: NDArray[np.bool_],
        boxes: Boxes | Array | None,
        sizes: Array | None,
    ) -> NDArray[np.float64]:
        """``(N,)`` normaliser of each person, pixels; 0 or NaN where there is none."""
        if self.normalise == "torso":
            return torso_sizes(true, labelled, self._diagonals)
        if self.normalise == "size":
            given = np.asarray(np.zeros(0) if sizes is None else sizes, np.float64)
            if given.shape != (len(true),):
                raise ShapeError(
                    f"PCK normalised by size needs one size a person, ({len(true)},); got "
                    f"{given.shape}: update(..., sizes=...)."
                )
            return given
        if boxes is None:
            raise ShapeError("PCK normalised by the box needs boxes: update(..., boxes=...).")
        xyxy = np.asarray(boxes.xyxy if isinstance(boxes, Boxes) else boxes, np.float64)
        return longer_sides(xyxy, len(true))


def longer_sides(xyxy: Array, count: int) -> NDArray[np.float64]:
    """``(N,)`` longer sides of ``(N, 4)`` boxes; NaN for degenerate ones.

    Raises:
        ShapeError: there are not ``count`` boxes.
    """
    if xyxy.shape != (count, 4):
        raise ShapeError(f"{count} people need boxes ({count}, 4); got {xyxy.shape}.")
    sides = np.asarray(xyxy[:, 2:] - xyxy[:, :2], np.float64)
    return np.where((sides > 0).all(-1), sides.max(-1), np.nan)


def limb_groups(
    values: Mapping[str, float], heads: Sequence[str] | None = None
) -> dict[str, float]:
    """The columns of the papers' tables: Head and six pairs of joints, each a plain mean.

    Args:
        values: Joint -> value, NaN where there is none.
        heads: Joints of the head; by default head_top, or else whichever of head, face and nose
            is there first.

    Returns:
        Group -> mean of its joints that are not NaN; NaN if there are none.
    """
    if heads is None:
        heads = [j for j in ("head_top", "head", "face", "nose") if j in values][:1]
    names = {"Head": tuple(heads)} | {g: j for g, j in GROUPS.items() if g != "Head"}
    return {g: known_mean(values[j] for j in own if j in values) for g, own in names.items()}


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
