"""Tracking scores: CLEAR-MOT and IDF1 of every joint, and of person boxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import POSETRACK15_POSEVAL
from chronopose.errors import FormatError, UsageError
from chronopose.metrics._clear_mot import TrackCounts, Tracks, count_tracks
from chronopose.metrics._groups import group_means, known_mean, table
from chronopose.metrics._people import (
    Compat,
    Floats,
    Near,
    Rules,
    RuleSet,
    Scene,
    check_compat,
    near_pairs,
    posetrack_rules,
    prepare,
)
from chronopose.metrics._regions import polygon_iou
from chronopose.metrics.posetrack_map import PCKH_REACH

BOX_REACH = 0.5
"""Boxes correspond from this intersection over union on."""
IGNORED_IOU = 0.1
"""An unmatched box that overlaps a region to ignore by more is left out."""
METRICS = ("mota", "motp", "precision", "recall", "idf1")


@dataclass(frozen=True)
class SequenceTracking:
    """One sequence on its own."""

    name: str
    groups: Mapping[str, float]
    """MOTA of the papers' groups and ``"Total"``."""
    total: Mapping[str, float]
    """mota, motp, precision, recall, idf1: means over the joints that are not NaN."""
    counts: Mapping[str, Mapping[str, int]]
    """Joint -> objects, predicted, matches, misses, false_positives, switches."""


@dataclass(frozen=True)
class PoseTrackingResult:
    """What :meth:`PoseTracking.compute` found. Percent, up to 100; NaN where nothing counts."""

    mota: Mapping[str, float]
    """Joint -> multiple object tracking accuracy; below zero with many mistakes."""
    motp: Mapping[str, float]
    """Joint -> 100 minus the mean distance of matched joints in percent of the head size."""
    precision: Mapping[str, float]
    recall: Mapping[str, float]
    idf1: Mapping[str, float]
    groups: Mapping[str, float]
    """MOTA of Head, Shoulder, Elbow, Wrist, Hip, Knee, Ankle, and ``"Total"`` of all joints."""
    total: Mapping[str, float]
    """mota, motp, precision, recall, idf1: means over the joints that are not NaN."""
    counts: Mapping[str, Mapping[str, int]]
    """Joint -> objects, predicted, matches, misses, false_positives, switches."""
    sequences: tuple[SequenceTracking, ...]
    frames: int
    """Frames that counted."""
    rules: str
    compat: str

    def __str__(self) -> str:
        head = (
            f"Pose tracking ({self.rules} rules, {self.compat}), {len(self.sequences)} sequences, "
            f"{self.frames} frames"
        )
        names = {"mota": "MOTA", "motp": "MOTP", "precision": "Prec", "recall": "Rec"}
        names["idf1"] = "IDF1"
        total = {names[m]: self.total[m] for m in METRICS}
        return "\n".join([head, table({"MOTA": self.groups}), table({"Total": total})])


class PoseTracking:
    """MOTA, MOTP, precision, recall and IDF1 of every joint, as in the PoseTrack challenges.

    Every joint is an object of its own with the track id of its person. It can be matched within
    half a head size; a label first keeps the track it was matched with last.

    Args:
        skeleton: The joints that are scored; found by name.
        rules: ``"posetrack18"`` or ``"posetrack21"``: which frames and joints count; see
            :class:`~chronopose.metrics.posetrack_map.PoseTrackAP`.
        compat: ``"poseval"`` counts as the published evaluator does: the last labelled frame of
            every sequence is skipped; a frame in which labels or predictions are lacking counts
            as one miss and one false positive per joint, whatever is in it; a joint that is
            never labelled takes part in the total with what this makes of it, and MOTP is 0
            where nothing matched. ``"fixed"`` counts all frames as they are and leaves joints
            without labels out.

    Raises:
        UsageError: unknown rules or mode.

    Source:
        Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance: The CLEAR
        MOT Metrics"; Ristani et al. for IDF1; poseval for their use on joints.
    """

    def __init__(
        self,
        skeleton: Skeleton = POSETRACK15_POSEVAL,
        *,
        rules: RuleSet = "posetrack18",
        compat: Compat = "poseval",
    ) -> None:
        check_compat(compat)
        self._rules = posetrack_rules(skeleton, rules, need_ids=True)
        self.skeleton, self.rules, self.compat = skeleton, rules, compat
        self._counts: list[tuple[str, TrackCounts]] = []

    def update(self, truth: LabelledSequence, predictions: LabelledSequence) -> None:
        """Add a sequence.

        Args:
            truth: Its labels, with head boxes and track ids.
            predictions: The same frames, found by image id, name or number, with track ids.

        Raises:
            FormatError: frames differ, an id or a head box is missing, an id is 10,000 or more
                (posetrack18 rules), or the labels are stills.
            SkeletonMismatch: joints of the labels would have to be made up.
            UsageError: poseval's mode is left without a frame.
        """
        check_video(truth)
        scene = prepare(truth, predictions, self._rules)
        counted = np.ones(len(scene.frames), bool)
        if self.compat == "poseval":
            counted = self._published_frames(scene)
        dummies = 0 if self.compat == "fixed" else int((~counted[:-1]).sum())
        counts = count_joints(scene, counted)
        self._counts.append((truth.name, counts.plus_dummies(dummies)))

    def compute(self) -> PoseTrackingResult:
        """Score everything added so far."""
        counts = sum((c for _, c in self._counts), TrackCounts.zeros(len(self.skeleton)))
        values = self._values(counts)
        return PoseTrackingResult(
            **values,
            groups=self._groups(values),
            total=_totals(values),
            counts=_named_counts(self.skeleton.joints, counts),
            sequences=tuple(self._sequence(name, c) for name, c in self._counts),
            frames=counts.frames,
            rules=self.rules,
            compat=self.compat,
        )

    def _published_frames(self, scene: Scene) -> NDArray[np.bool_]:
        """Frames whose joints poseval counts; those before the last that are not become dummies."""
        number = len(scene.frames)
        if number == 1:
            raise UsageError(
                f"{scene.name!r} has one labelled frame. poseval skips the last labelled frame of "
                f"every sequence and cannot score this one; use compat='fixed'."
            )
        some = [np.bincount(side.frame, minlength=number) for side in (scene.truth, scene.pred)]
        counted = (some[0] > 0) & (some[1] > 0)
        counted[-1:] = False
        return counted

    def _sequence(self, name: str, counts: TrackCounts) -> SequenceTracking:
        values = self._values(counts)
        named = _named_counts(self.skeleton.joints, counts)
        return SequenceTracking(name, self._groups(values), _totals(values), named)

    def _groups(self, values: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        return group_means(values["mota"], skip_nan=self.compat == "fixed")

    def _values(self, counts: TrackCounts) -> dict[str, dict[str, float]]:
        """Metric -> joint -> percent."""
        found = {name: getattr(counts, name)() for name in METRICS}
        if self.compat == "fixed":
            found = {n: np.where(counts.objects > 0, v, np.nan) for n, v in found.items()}
        else:
            found["motp"] = np.where(counts.matches > 0, found["motp"], 0.0)
        joints = self.skeleton.joints
        return {n: dict(zip(joints, v.tolist(), strict=True)) for n, v in found.items()}


def check_video(truth: LabelledSequence) -> None:
    """Refuse to track from one still to the next.

    Raises:
        FormatError: the labels are no video.
    """
    if not truth.is_video:
        raise FormatError(
            f"{truth.name!r} is a set of stills: there is nothing to track from one to the next. "
            f"Score it with an average precision instead."
        )


def count_joints(
    scene: Scene, counted: NDArray[np.bool_], *, find_apart: bool = False
) -> TrackCounts:
    """Count the joints of a scene that has head sizes and ids.

    Args:
        scene: From :func:`~chronopose.metrics._people.prepare`.
        counted: ``(F,)`` the frames that count; the others are as if they were not there.
        find_apart: Also count the switches of interrupted tracks.
    """
    near = near_pairs(scene, PCKH_REACH)
    truth, pred = scene.truth, scene.pred
    counts = count_tracks(
        near.select(counted[near.frame]), Tracks.of(scene), truth.frame,
        truth.known & counted[truth.frame, None], pred.known & counted[pred.frame, None],
        find_apart=find_apart,
    )  # fmt: skip
    return replace(counts, frames=len(counted))


def _totals(values: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {metric: known_mean(of_joint.values()) for metric, of_joint in values.items()}


_COUNTS = ("objects", "predicted", "matches", "misses", "false_positives", "switches")


def _named_counts(joints: tuple[str, ...], counts: TrackCounts) -> dict[str, dict[str, int]]:
    columns = {name: getattr(counts, name).tolist() for name in _COUNTS}
    return {j: {name: columns[name][i] for name in _COUNTS} for i, j in enumerate(joints)}


@dataclass(frozen=True)
class BoxTrackingResult:
    """What :meth:`BoxTracking.compute` found. Percent, up to 100; NaN where nothing counts."""

    mota: float
    motp: float
    """Mean intersection over union of matched boxes."""
    precision: float
    recall: float
    idf1: float
    counts: Mapping[str, int]
    """objects, predicted, matches, misses, false_positives, switches."""
    ignored: int
    """Predicted boxes left out because they lie over a region to ignore."""
    sequences: tuple[tuple[str, Mapping[str, float]], ...]
    """Name and mota, motp, precision, recall, idf1 of every sequence."""
    frames: int

    def __str__(self) -> str:
        head = (
            f"Box tracking (IoU {BOX_REACH:g}), {len(self.sequences)} sequences, {self.frames} "
            f"frames, {self.ignored} boxes over ignored regions"
        )
        names = ("MOTA", "MOTP", "Prec", "Rec", "IDF1")
        values = (getattr(self, m) for m in METRICS)
        return head + "\n" + table({"Boxes": dict(zip(names, values, strict=True))})


class BoxTracking:
    """MOTA and IDF1 of person boxes, as in PoseTrack21's multi-object tracking.

    Boxes can be matched from an intersection over union of 0.5 on. A predicted box that is not
    the best partner of its best label, and overlaps a region to ignore by more than 0.1, is left
    out. Frames that are marked as labelled count.

    Args:
        min_iou: Least intersection over union of a match.

    Raises:
        UsageError: ``min_iou`` is not in (0, 1].

    Source:
        Doering et al., "PoseTrack21: A Dataset for Person Search, Multi-Object Tracking and
        Multi-Person Pose Tracking".
    """

    def __init__(self, min_iou: float = BOX_REACH) -> None:
        if not 0 < min_iou <= 1:
            raise UsageError(f"min_iou must be above 0 and at most 1; got {min_iou}.")
        self.min_iou = min_iou
        self._counts: list[tuple[str, TrackCounts]] = []
        self._ignored = 0

    def update(self, truth: LabelledSequence, predictions: LabelledSequence) -> None:
        """Add a sequence; everybody in it needs a box and a track id.

        Raises:
            FormatError: frames differ, a box or an id is missing, or the labels are stills.
        """
        check_video(truth)
        rules = Rules(
            skeleton=truth.skeleton, frames="labelled", need_ids=True, pointless=True, size=None
        )
        scene = prepare(truth, predictions, rules)
        near, ignored = near_boxes(scene, self.min_iou)
        self._ignored += int(ignored.sum())
        counts = count_tracks(
            near, Tracks.of(scene), scene.truth.frame,
            np.ones((len(scene.truth), 1), bool), ~ignored[:, None],
        )  # fmt: skip
        self._counts.append((truth.name, replace(counts, frames=len(scene.frames))))

    def compute(self) -> BoxTrackingResult:
        """Score everything added so far."""
        counts = sum((c for _, c in self._counts), TrackCounts.zeros(1))
        return BoxTrackingResult(
            **_single(counts),
            counts=_named_counts(("box",), counts)["box"],
            ignored=self._ignored,
            sequences=tuple((name, _single(c)) for name, c in self._counts),
            frames=counts.frames,
        )


def _single(counts: TrackCounts) -> dict[str, float]:
    return {name: float(getattr(counts, name)()[0]) for name in METRICS}


def near_boxes(scene: Scene, min_iou: float) -> tuple[Near, NDArray[np.bool_]]:
    """Pairs of boxes that overlap enough, and which predicted boxes are to be left out.

    The distance of a pair is one minus its intersection over union.

    Raises:
        FormatError: somebody has no box.
    """
    pairs: list[tuple[int, int, int, float]] = []
    ignored = np.zeros(len(scene.pred), bool)
    frames = range(len(scene.frames) + 1)
    starts = [np.searchsorted(side.frame, frames) for side in (scene.truth, scene.pred)]
    for side, what in ((scene.truth, "labels"), (scene.pred, "predictions")):
        lacking = np.flatnonzero(np.isnan(side.boxes).any(1))
        if len(lacking):
            raise FormatError(
                f"{scene.frames[side.frame[lacking[0]]]}: a person of the {what} has no box "
                f"({len(lacking)} such people in the sequence). Boxes are tracked here; give "
                f"everybody one, or score joints."
            )
    for frame, regions in enumerate(scene.regions):
        (t0, t1), (p0, p1) = ((int(s[frame]), int(s[frame + 1])) for s in starts)
        iou = box_iou(scene.truth.boxes[t0:t1], scene.pred.boxes[p0:p1])
        rows, columns = np.nonzero(iou >= min_iou)
        pairs += zip(
            [frame] * len(rows), (rows + t0).tolist(), (columns + p0).tolist(),
            (1 - iou[rows, columns]).tolist(), strict=True,
        )  # fmt: skip
        if regions:
            over = [
                any(polygon_iou(b, r) > IGNORED_IOU for r in regions)
                for b in scene.pred.boxes[p0:p1]
            ]
            ignored[p0:p1] = np.array(over, bool) & ~_mutual_best(iou, min_iou)
    kept = [p for p in sorted(pairs, key=lambda p: (p[2], p[1])) if not ignored[p[2]]]
    frame_of, truth, pred = np.array([p[:3] for p in kept], np.intp).reshape(-1, 3).T
    distance = np.array([p[3] for p in kept], np.float64)
    return Near(np.zeros(len(kept), np.intp), frame_of, truth, pred, distance), ignored


def box_iou(first: Floats, second: Floats) -> Floats:
    """``(N, M)`` intersection over union of boxes x1 y1 x2 y2; 0 for empty ones."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    overlap = np.clip(high - low, 0, None).prod(-1)
    area = [np.clip(b[:, 2:] - b[:, :2], 0, None).prod(-1) for b in (first, second)]
    union = area[0][:, None] + area[1][None, :] - overlap
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)


def _mutual_best(iou: Floats, min_iou: float) -> NDArray[np.bool_]:
    """Predicted boxes that are the best of their best label, the overlap being enough."""
    if not iou.size:
        return np.zeros(iou.shape[1], bool)
    columns = np.arange(iou.shape[1])
    best_row = iou.argmax(0)
    return (iou[best_row, columns] >= min_iou) & (iou.argmax(1)[best_row] == columns)
