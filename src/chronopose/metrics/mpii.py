"""PCKh: joints hit within a share of the head's size, with MPII's table and its quirks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import MPII16
from chronopose.errors import ShapeError, UsageError
from chronopose.metrics._groups import table
from chronopose.metrics.pck import PCK, limb_groups

HEAD_SHARE = 0.6
"""Head size as a share of the diagonal of the head box."""
UNCOUNTED = ("pelvis", "thorax")
"""Joints that are listed but left out of the mean."""

Array = NDArray[np.floating]


@dataclass(frozen=True)
class PCKhResult:
    """What :meth:`PCKh.compute` found. Shares are percent, 0 to 100; NaN where nothing counts."""

    per_joint: Mapping[str, float]
    """Joint -> percent of its labels that were hit, pelvis and thorax too."""
    groups: Mapping[str, float]
    """Head (head_top alone), Shoulder, ... Ankle."""
    mean: float
    """Percent of all labels that were hit, without pelvis and thorax: joints weigh by labels."""
    fine: float
    """The column "PCKh@0.1": ``mean`` at ``fine_threshold``."""
    fine_threshold: float
    """0.11 with ``compat="hrnet"``, 0.1 with ``compat="fixed"``."""
    auc: float
    """Mean of ``mean`` over the thresholds 0, 0.01, ..., 0.5."""
    counts: Mapping[str, int]
    """Joint -> labels that counted."""
    people: int
    """Labelled people that counted."""
    skipped: int
    """Labelled people left out because they have no head size."""
    threshold: float
    """Share of the head size within which a joint is hit."""
    compat: str
    """``"hrnet"`` or ``"fixed"``."""

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped without a head size" if self.skipped else ""
        row = {**self.groups, "Mean": self.mean, "@0.1": self.fine, "AUC": self.auc}
        return (
            f"PCKh@{self.threshold:g} (compat={self.compat}: the column @0.1 is at "
            f"{self.fine_threshold:g}), {self.people} people{skipped}\n{table({'PCKh': row})}"
        )


class PCKh:
    """Percentage of correct keypoints by the head's size, 0.6 of the diagonal of the head box.

    Labels and predictions must count pixels alike; MPII's own files start at 1, ours at 0.

    Args:
        skeleton: Joints of predictions and labels.
        threshold: Share of the head size; the bound itself is a hit.
        compat: The published code reads "PCKh@0.1" at the wrong entry of its list of thresholds,
            which is 0.11: ``"hrnet"`` does the same, ``"fixed"`` takes 0.1.

    Raises:
        UsageError: ``compat`` is unknown.
        ShapeError: the threshold is not positive.

    Source:
        Andriluka et al., "2D Human Pose Estimation: New Benchmark and State of the Art Analysis";
        the means as in the evaluation that came with HRNet.
    """

    def __init__(
        self,
        skeleton: Skeleton = MPII16,
        threshold: float = 0.5,
        *,
        compat: Literal["hrnet", "fixed"] = "hrnet",
    ) -> None:
        if compat not in ("hrnet", "fixed"):
            raise UsageError(f"compat is 'hrnet' or 'fixed'; got {compat!r}.")
        self.compat = compat
        self.threshold = threshold
        counted = [j for j in skeleton.joints if j not in UNCOUNTED]
        self._every = PCK(skeleton, threshold, "size")
        self._counted = PCK(skeleton, threshold, "size", counted)

    def update(
        self,
        pred_xy: Array,
        true_xy: Array,
        visible: NDArray[np.bool_],
        head_boxes: Boxes | Array | None = None,
        *,
        head_sizes: Array | None = None,
    ) -> None:
        """Add people.

        Args:
            pred_xy: ``(N, K, 2)`` predicted joints, pixels; NaN where nothing was predicted.
            true_xy: ``(N, K, 2)`` labelled joints, the same pixels.
            visible: ``(N, K)`` bool, which labels count: all that are annotated, also occluded
                ones.
            head_boxes: N head boxes, or ``(N, 4)`` left, top, right, bottom.
            head_sizes: ``(N,)`` instead of boxes: pixels, **already multiplied by 0.6**, as the
                ``normalize`` of some h5 copies of the labels is.

        Raises:
            ShapeError: shapes disagree, or there is not exactly one of boxes and sizes.
        """
        if (head_boxes is None) == (head_sizes is None):
            raise ShapeError("PCKh needs either head_boxes or head_sizes, and not both.")
        if head_boxes is not None:
            xyxy = head_boxes.xyxy if isinstance(head_boxes, Boxes) else np.asarray(head_boxes)
            if xyxy.ndim != 2 or xyxy.shape[1] != 4:
                raise ShapeError(f"Head boxes must be (N, 4); got {xyxy.shape}.")
            sides = np.asarray(xyxy[:, 2:], np.float64) - xyxy[:, :2]
            head_sizes = HEAD_SHARE * np.linalg.norm(sides, axis=-1)
        for metric in (self._every, self._counted):
            metric.update(pred_xy, true_xy, visible, sizes=head_sizes)

    def compute(self) -> PCKhResult:
        """Score everything added so far."""
        every, counted = self._every.compute(), self._counted.compute()
        fine = 0.11 if self.compat == "hrnet" else 0.1
        return PCKhResult(
            per_joint=every.per_joint,
            groups=limb_groups(every.per_joint),
            mean=counted.pooled,
            fine=float(self._counted.pooled([fine])[0]),
            fine_threshold=fine,
            auc=float(self._counted.pooled(np.arange(51) * 0.01).mean()),
            counts=every.counts,
            people=every.people,
            skipped=every.skipped,
            threshold=self.threshold,
            compat=self.compat,
        )
