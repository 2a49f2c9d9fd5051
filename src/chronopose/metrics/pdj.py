"""Shares of joints within a distance: PDJ and accuracy@d curves, and PCP of limbs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.core.skeleton import Skeleton
from chronopose.errors import ShapeError, SkeletonMismatch
from chronopose.metrics._groups import GROUPS, known_mean
from chronopose.metrics.pck import PCK, limb_groups

TORSOS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "left_shoulder-right_hip": (("left_shoulder", "right_hip"),),
    "right_shoulder-left_hip": (("right_shoulder", "left_hip"),),
    "either": (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip")),
}
"""Torso -> diagonals that may be measured, best first."""
Torso = Literal["left_shoulder-right_hip", "right_shoulder-left_hip", "either"]

FLIC_JOINTS = (*GROUPS["Wrist"], *GROUPS["Elbow"])
"""The joints whose mean FLIC curves show."""

Array = NDArray[np.floating]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CurveResult:
    """Percent of joints within each distance; NaN for joints without labels."""

    metric: str
    """What was measured, for tables."""
    thresholds: Floats
    """``(T,)`` distances: shares of the torso, or pixels."""
    per_joint: Mapping[str, Floats]
    """Joint -> ``(T,)`` percent."""
    people: int
    """Labelled people that counted."""
    skipped: int
    """Labelled people left out because they have no torso."""

    def mean(self, joints: Iterable[str] | None = None) -> Floats:
        """``(T,)`` plain mean of the curves of some joints, of all that have labels by default.

        Raises:
            SkeletonMismatch: a joint is not among those that were scored.
        """
        names = tuple(self.per_joint if joints is None else joints)
        strange = [j for j in names if j not in self.per_joint]
        if strange:
            raise SkeletonMismatch(
                f"There is no curve of {', '.join(strange)}, but of {', '.join(self.per_joint)}."
            )
        labelled = [c for c in (self.per_joint[j] for j in names) if not np.isnan(c).any()]
        return np.mean(labelled, axis=0) if labelled else np.full(len(self.thresholds), np.nan)

    def at(self, threshold: float, joints: Iterable[str] | None = None) -> float:
        """The mean curve at one of the thresholds.

        Raises:
            ShapeError: it is none of them.
        """
        return float(self.mean(joints)[self._place(threshold)])

    def auc(self, joints: Iterable[str] | None = None) -> float:
        """Mean over the thresholds of the mean curve, percent: the normalised area under it."""
        return float(self.mean(joints).mean())

    def groups(self, threshold: float, heads: Sequence[str] | None = None) -> dict[str, float]:
        """Head, Shoulder, ... Ankle at one of the thresholds: see
        :func:`~chronopose.metrics.pck.limb_groups`.
        """
        place = self._place(threshold)
        return limb_groups({j: float(c[place]) for j, c in self.per_joint.items()}, heads)

    def _place(self, threshold: float) -> int:
        near = np.flatnonzero(np.isclose(self.thresholds, threshold, rtol=0, atol=1e-9))
        if not len(near):
            raise ShapeError(
                f"The curve has no point at {threshold:g}, but at "
                f"{', '.join(f'{t:g}' for t in self.thresholds)}."
            )
        return int(near[0])

    def __str__(self) -> str:
        first, last = self.thresholds[[0, -1]]
        skipped = f", {self.skipped} skipped without a torso" if self.skipped else ""
        rows = [f"  {j:<16}{c[-1]:6.1f}  AUC {c.mean():6.1f}" for j, c in self.per_joint.items()]
        return "\n".join(
            [
                f"{self.metric} from {first:g} to {last:g}, {self.people} people{skipped}",
                *rows,
                f"  {'mean':<16}{self.mean()[-1]:6.1f}  AUC {self.auc():6.1f}",
            ]
        )


class PDJ:
    """Percentage of detected joints: curves over the distance in torso diameters.

    With the defaults and ``result.mean(FLIC_JOINTS)`` this is the curve of FLIC papers, and
    ``result.at(0.2)`` is the PCK@0.2 of LSP papers; LSP-style PDJ goes on to 0.5.

    Args:
        skeleton: Joints of predictions and labels.
        thresholds: Shares of the torso; 0, 0.01, ..., 0.2 by default. Bounds themselves are hits.
        torso: Which diagonal of the label is the torso's diameter. Papers differ and rarely say;
            ``"either"`` takes the second where the first is not labelled.
        joints: Joint names that count; all by default.

    Raises:
        ShapeError: a threshold is negative, or the torso is unknown.
        SkeletonMismatch: the skeleton lacks one of the joints.

    Source:
        Sapp and Taskar, "MODEC: Multimodal Decomposable Models for Human Pose Estimation"; Toshev
        and Szegedy, "DeepPose: Human Pose Estimation via Deep Neural Networks".
    """

    def __init__(
        self,
        skeleton: Skeleton,
        thresholds: Sequence[float] | Array | None = None,
        torso: Torso = "left_shoulder-right_hip",
        joints: Sequence[str] | None = None,
    ) -> None:
        if torso not in TORSOS:
            raise ShapeError(f"The torso is one of {', '.join(TORSOS)}; got {torso!r}.")
        self.thresholds = _rising(np.arange(21) * 0.01 if thresholds is None else thresholds)
        self.torso = torso
        self._pck = PCK(skeleton, 1.0, "torso", joints, torso=TORSOS[torso])

    def update(self, pred_xy: Array, true_xy: Array, visible: NDArray[np.bool_]) -> None:
        """Add people; arguments and errors as for :meth:`PCK.update`."""
        self._pck.update(pred_xy, true_xy, visible)

    def compute(self) -> CurveResult:
        """Score everything added so far."""
        return _curves(self._pck, self.thresholds, f"PDJ (torso {self.torso})")


class AccuracyAtDistance:
    """Share of joints within d pixels of their labels, at the scale of the data set's pictures.

    Args:
        skeleton: Joints of predictions and labels.
        distances: Pixels; 0, 1, ..., 20 by default. Bounds themselves are hits.
        joints: Joint names that count; all by default.

    Raises:
        ShapeError: a distance is negative.

    Source:
        Pfister, Charles and Zisserman, "Flowing ConvNets for Human Pose Estimation in Videos".
    """

    def __init__(
        self,
        skeleton: Skeleton,
        distances: Sequence[float] | Array | None = None,
        joints: Sequence[str] | None = None,
    ) -> None:
        self.distances = _rising(np.arange(21.0) if distances is None else distances)
        self._pck = PCK(skeleton, 1.0, "size", joints)

    def update(self, pred_xy: Array, true_xy: Array, visible: NDArray[np.bool_]) -> None:
        """Add people; arguments and errors as for :meth:`PCK.update`."""
        self._pck.update(pred_xy, true_xy, visible, sizes=np.ones(len(true_xy)))

    def compute(self) -> CurveResult:
        """Score everything added so far."""
        return _curves(self._pck, self.distances, "Accuracy@d in pixels")


@dataclass(frozen=True)
class PCPResult:
    """What :meth:`PCP.compute` found. Shares are percent, 0 to 100; NaN where nothing counts."""

    per_limb: Mapping[tuple[str, str], float]
    """The two joints of a limb -> percent of its labels that were hit."""
    mean: float
    """Plain mean over the limbs that have labels."""
    counts: Mapping[tuple[str, str], int]
    """Limb -> labels that counted."""
    ends: str
    """``"both"`` or ``"mean"``."""


class PCP:
    """Percentage of correct parts: a limb is hit if its ends are within half its length.

    Limbs of which an end is not labelled do not count. A limb of no length is hit only by its very
    place.

    Args:
        skeleton: Joints of predictions and labels.
        limbs: Pairs of joint names; the skeleton's own by default.
        threshold: Share of the labelled limb's length; the bound itself is a hit.
        ends: ``"both"`` ends must be within the bound (strict PCP); with ``"mean"`` the mean of
            the two distances must be (loose PCP), which gives higher numbers.

    Raises:
        ShapeError: the threshold is not positive, or ``ends`` is unknown.
        SkeletonMismatch: the skeleton lacks a joint of a limb.

    Source:
        Ferrari, Marín-Jiménez and Zisserman, "Progressive Search Space Reduction for Human Pose
        Estimation".
    """

    def __init__(
        self,
        skeleton: Skeleton,
        limbs: Sequence[tuple[str, str]] | None = None,
        threshold: float = 0.5,
        ends: Literal["both", "mean"] = "both",
    ) -> None:
        if not threshold > 0:
            raise ShapeError(f"A PCP threshold must be above zero; got {threshold}.")
        if ends not in ("both", "mean"):
            raise ShapeError(f"PCP looks at 'both' ends or their 'mean'; got {ends!r}.")
        self.skeleton = skeleton
        self.limbs = tuple(skeleton.limbs if limbs is None else limbs)
        self.threshold = threshold
        self.ends = ends
        self._index = np.array(
            [[skeleton.index(a), skeleton.index(b)] for a, b in self.limbs], np.intp
        ).reshape(-1, 2)
        self._hits = np.zeros(len(self.limbs), np.int64)
        self._counts = np.zeros(len(self.limbs), np.int64)

    def update(self, pred_xy: Array, true_xy: Array, visible: NDArray[np.bool_]) -> None:
        """Add people.

        Args:
            pred_xy: ``(N, K, 2)`` predicted joints, pixels; NaN where nothing was predicted.
            true_xy: ``(N, K, 2)`` labelled joints, the same pixels.
            visible: ``(N, K)`` bool, which labels count; NaN labels never do.

        Raises:
            ShapeError: shapes disagree.
        """
        pred, true = np.asarray(pred_xy, np.float64), np.asarray(true_xy, np.float64)
        labelled = np.asarray(visible, bool)
        shape = (len(true), len(self.skeleton), 2)
        if pred.shape != shape or true.shape != shape or labelled.shape != shape[:2]:
            raise ShapeError(
                f"PCP of {self.skeleton.name!r} needs predictions and labels (N, "
                f"{len(self.skeleton)}, 2) and visibility; got {pred.shape}, {true.shape} and "
                f"{labelled.shape}."
            )
        labelled = labelled & np.isfinite(true).all(-1)
        both = labelled[:, self._index].all(-1)
        a, b = self._index.T
        length = np.linalg.norm(true[:, a] - true[:, b], axis=-1)
        off = np.linalg.norm(pred - true, axis=-1)[:, self._index]
        off = np.where(np.isnan(off), np.inf, off)
        far = off.max(-1) if self.ends == "both" else off.mean(-1)
        hit = far <= self.threshold * length * (1 + 1e-12)
        self._hits += (hit & both).sum(0)
        self._counts += both.sum(0)

    def compute(self) -> PCPResult:
        """Score everything added so far."""
        share = np.where(self._counts > 0, 100.0 * self._hits / np.maximum(self._counts, 1), np.nan)
        return PCPResult(
            per_limb=dict(zip(self.limbs, share.tolist(), strict=True)),
            mean=known_mean(share.tolist()),
            counts=dict(zip(self.limbs, self._counts.tolist(), strict=True)),
            ends=self.ends,
        )


def _rising(values: Sequence[float] | Array) -> Floats:
    found = np.asarray(values, np.float64)
    if found.ndim != 1 or not len(found) or not (found >= 0).all() or (np.diff(found) <= 0).any():
        raise ShapeError(f"A curve needs rising distances from 0 on; got {found.tolist()}.")
    return found


def _curves(pck: PCK, thresholds: Floats, metric: str) -> CurveResult:
    told = pck.compute()
    curves = dict(zip(pck.joints, pck.curve(thresholds), strict=True))
    return CurveResult(metric, thresholds, curves, told.people, told.skipped)
