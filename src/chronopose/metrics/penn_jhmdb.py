"""PCK on Penn Action and (Sub-)J-HMDB, by the rules of the papers on single-person video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.skeletons import JHMDB15, PENN13
from chronopose.errors import ShapeError, UsageError
from chronopose.metrics._groups import known_mean, table
from chronopose.metrics.pck import PCK, limb_groups, longer_sides

UNCOUNTED = ("neck", "belly")
"""Joints of J-HMDB that are listed but left out of the means."""
LEAST_TORSO_PX = 1.0
"""A labelled torso that is shorter gives way to the predicted one."""
Array = NDArray[np.floating]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ActionPCKResult:
    """What :meth:`ActionPCK.compute` found. Shares are percent, 0 to 100; NaN where none counts.

    Papers call any of the three means "the" PCK; compare like with like.
    """

    per_joint: Mapping[str, float]
    """Joint -> percent of its labels that were hit; for J-HMDB neck and belly too."""
    groups: Mapping[str, float]
    """Head (head or face), Shoulder, ... Ankle."""
    mean13: float
    """Plain mean over the 13 joints: how the published script sums up J-HMDB."""
    mean7: float
    """Plain mean over the seven groups: the 93.6 that LSTM-PM quotes on Sub-J-HMDB is one."""
    pooled13: float
    """Percent of all labels of the 13 joints: how the published script sums up Penn Action."""
    pooled: float
    """Percent of all labels, on J-HMDB of all 15 joints."""
    counts: Mapping[str, int]
    """Joint -> labels that counted."""
    people: int
    """Labelled frames that counted."""
    skipped: int
    """Labelled frames left out because they have no size."""
    degenerate: int
    """Frames with a box without an area, skipped or measured by their joints."""
    rules: str
    """``"penn"`` or ``"jhmdb"``."""
    threshold: float
    """Share of the size within which a joint is hit."""
    normalise: str
    """``"bbox"`` or ``"torso"``."""

    @property
    def published(self) -> float:
        """The overall number of the published scripts: pooled on Penn Action, mean13 on J-HMDB."""
        return self.pooled13 if self.rules == "penn" else self.mean13

    def __str__(self) -> str:
        row = {**self.groups, "mean7": self.mean7, "mean13": self.mean13, "pooled13": self.pooled13}
        told = f", {self.degenerate} degenerate boxes" if self.degenerate else ""
        told += f", {self.skipped} skipped" if self.skipped else ""
        return (
            f"PCK@{self.threshold:g} ({self.normalise}, rules={self.rules}), {self.people} "
            f"frames{told}\n{table({'PCK': row})}"
        )


class ActionPCK:
    """PCK of one person a frame: hit if within ``threshold`` × size, the bound included.

    On Penn Action visible joints count, 13 of them. On J-HMDB all joints count whatever their
    visibility, but neck and belly stay out of the means; a belly that is not predicted is made
    from the shoulders and hips.

    Args:
        rules: ``"penn"`` (skeleton penn13) or ``"jhmdb"`` (jhmdb15).
        normalise: ``"bbox"`` is the longer side of the annotated box (of the puppet mask's tight
            box on J-HMDB), the published choice. ``"torso"`` is the label's distance from the left
            shoulder to the right hip; below one pixel, or unknown, the prediction's is taken.
        threshold: Share of the size.
        degenerate: What to do with boxes without an area, of which Penn Action has 185:
            ``"skip"`` the frame, or take the longer side of the ``"extent"`` of the known joints.

    Raises:
        UsageError: an argument is unknown.
        ShapeError: the threshold is not positive.

    Source:
        Luo et al., "LSTM Pose Machines" (size, counted joints, belly, torso); Yang and Ramanan,
        "Articulated Human Detection with Flexible Mixtures of Parts" (PCK).
    """

    def __init__(
        self,
        rules: Literal["penn", "jhmdb"],
        *,
        normalise: Literal["bbox", "torso"] = "bbox",
        threshold: float = 0.2,
        degenerate: Literal["skip", "extent"] = "skip",
    ) -> None:
        for name, value, known in (
            ("rules", rules, ("penn", "jhmdb")), ("normalise", normalise, ("bbox", "torso")),
            ("degenerate", degenerate, ("skip", "extent")),
        ):  # fmt: skip
            if value not in known:
                raise UsageError(f"{name} is {known[0]!r} or {known[1]!r}; got {value!r}.")
        self.rules = rules
        self.skeleton = PENN13 if rules == "penn" else JHMDB15
        self.normalise = normalise
        self.degenerate = degenerate
        counted = [j for j in self.skeleton.joints if j not in UNCOUNTED]
        self._every = PCK(self.skeleton, threshold, "size")
        self._counted = PCK(self.skeleton, threshold, "size", counted)
        self._degenerate = 0

    def update(
        self,
        pred_xy: Array,
        true_xy: Array,
        visible: NDArray[np.bool_] | None = None,
        boxes: Boxes | Array | None = None,
    ) -> None:
        """Add frames of one person.

        Args:
            pred_xy: ``(N, K, 2)`` predicted joints, pixels; NaN where nothing was predicted.
            true_xy: ``(N, K, 2)`` labelled joints, also of occluded joints where the file has
                coordinates; NaN where it has none.
            visible: ``(N, K)`` bool, which joints can be seen; needed on Penn Action, not looked
                at on J-HMDB.
            boxes: N boxes, or ``(N, 4)`` left, top, right, bottom with degenerate ones; needed for
                ``normalise="bbox"``.

        Raises:
            ShapeError: shapes disagree, or visibility or boxes are missing.
        """
        pred, true = np.asarray(pred_xy, np.float64), np.asarray(true_xy, np.float64)
        shape = (len(true), len(self.skeleton), 2)
        if pred.shape != shape or true.shape != shape:
            raise ShapeError(
                f"{self.rules} PCK needs predictions and labels (N, {shape[1]}, 2) of "
                f"{self.skeleton.name!r}; got {pred.shape} and {true.shape}."
            )
        if self.rules == "penn" and visible is None:
            raise ShapeError("Penn Action counts visible joints: give update(..., visible=...).")
        counted = np.asarray(np.isfinite(true).all(-1) if self.rules == "jhmdb" else visible)
        if self.rules == "jhmdb":
            pred = with_belly(pred)
        sizes = self._torso(pred, true) if self.normalise == "torso" else self._sides(true, boxes)
        for metric in (self._every, self._counted):
            metric.update(pred, true, counted, sizes=sizes)

    def compute(self) -> ActionPCKResult:
        """Score everything added so far."""
        every, counted = self._every.compute(), self._counted.compute()
        groups = limb_groups(every.per_joint)
        return ActionPCKResult(
            per_joint=every.per_joint,
            groups=groups,
            mean13=counted.mean,
            mean7=known_mean(groups.values()),
            pooled13=counted.pooled,
            pooled=every.pooled,
            counts=every.counts,
            people=every.people,
            skipped=every.skipped,
            degenerate=self._degenerate,
            rules=self.rules,
            threshold=every.threshold,
            normalise=self.normalise,
        )

    def _torso(self, pred: Floats, true: Floats) -> Floats:
        a, b = self.skeleton.index("left_shoulder"), self.skeleton.index("right_hip")
        size = np.linalg.norm(true[:, a] - true[:, b], axis=-1)
        other = np.linalg.norm(pred[:, a] - pred[:, b], axis=-1)
        return np.where(size >= LEAST_TORSO_PX, size, other)

    def _sides(self, true: Floats, boxes: Boxes | Array | None) -> Floats:
        if boxes is None:
            raise ShapeError("PCK by the box needs boxes: update(..., boxes=...).")
        xyxy = np.asarray(boxes.xyxy if isinstance(boxes, Boxes) else boxes, np.float64)
        size = longer_sides(xyxy, len(true))
        bad = np.isnan(size)
        self._degenerate += int(bad.sum())
        if self.degenerate == "extent" and bad.any():
            known = np.isfinite(true[bad]).all(-1, keepdims=True)
            low = np.where(known, true[bad], np.inf).min(1)
            high = np.where(known, true[bad], -np.inf).max(1)
            size[bad] = (high - low).max(-1)
        return size


def with_belly(xy: Array) -> Floats:
    """J-HMDB joints with a belly where it is unknown: between shoulders and hips, 0.65 down.

    Args:
        xy: ``(N, 15, 2)`` joints of jhmdb15, pixels.

    Returns:
        The same with x of the belly the mean of the four corners of the trunk, and y 0.65 of the
        way from the middle of the shoulders to the middle of the hips.
    """
    found = np.array(xy, np.float64)
    shoulders, hips = (
        found[:, [JHMDB15.index(f"{side}_{part}") for side in ("left", "right")]].mean(1)
        for part in ("shoulder", "hip")
    )
    belly = np.stack(
        [(shoulders[:, 0] + hips[:, 0]) / 2, shoulders[:, 1] + 0.65 * (hips - shoulders)[:, 1]], -1
    )
    place = JHMDB15.index("belly")
    unknown = ~np.isfinite(found[:, place]).all(-1)
    found[unknown, place] = belly[unknown]
    return found


def mean_of_splits(results: Sequence[ActionPCKResult]) -> dict[str, float]:
    """Plain means of several test splits, as Sub-J-HMDB is reported over its three.

    Returns:
        The seven groups, ``mean7``, ``mean13`` and ``pooled13``.

    Raises:
        UsageError: there are no results, or they were made by different rules.
    """
    kinds = {(r.rules, r.normalise, r.threshold) for r in results}
    if len(kinds) != 1:
        raise UsageError(
            f"Splits are averaged over results of one kind; got {sorted(kinds) or 'none'}."
        )
    rows = [
        {**r.groups, "mean7": r.mean7, "mean13": r.mean13, "pooled13": r.pooled13} for r in results
    ]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
