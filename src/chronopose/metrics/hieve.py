"""Scores in the manner of Human in Events: AP@alpha, w-AP and w-MOTA. Not the server's.

The server's code and its head size are not public. What the papers leave open is an argument
here, and everything that is printed says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import HIEVE14
from chronopose.errors import ShapeError, UsageError
from chronopose.metrics._clear_mot import TrackCounts, Tracks, count_tracks
from chronopose.metrics._groups import group_means, known_mean, table
from chronopose.metrics._people import Floats, Near, Rules, Scene, near_pairs, prepare
from chronopose.metrics.posetrack_map import (
    MISSING_SCORE,
    PCKH_REACH,
    RankedJoints,
    assign_people,
)
from chronopose.metrics.tracking import (
    BOX_REACH,
    METRICS,
    check_video,
    count_joints,
    near_boxes,
)

LABEL = "HiEve-like, not the server"
ALPHAS = (0.5, 0.75, 0.9)
CROWD_WEIGHT, ANOMALY_WEIGHT = 2.0, 1.0
"""c1 and c2 of the weight of a frame."""
SIZE_OF_BOX = 0.1
"""Head size of a person without nose or chest, as a share of sqrt(box area)."""

AlphaMode = Literal["similarity", "tight", "literal"]
HeadSize = Callable[[LabelledFrame], Floats]


def nose_to_chest(people: LabelledFrame) -> Floats:
    """``(N,)`` head sizes: from nose to chest, else 0.1 of the root of the box area, pixels.

    A person without a box is measured by the extent of the joints; NaN where that is nothing.
    """
    skeleton = people.skeleton
    size = np.full(len(people), np.nan)
    if "nose" in skeleton and "chest" in skeleton:
        nose, chest = (people.xy[:, skeleton.index(j)] for j in ("nose", "chest"))
        size = np.linalg.norm(nose - chest, axis=-1)
    boxed = np.isfinite(people.boxes).all(-1, keepdims=True)
    boxes = np.where(boxed, people.boxes, people.extent())
    area = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(-1)
    size = np.where(size > 0, size, SIZE_OF_BOX * np.sqrt(area))
    return np.where(size > 0, size, np.nan)


def crowd_index(frame: LabelledFrame) -> float:
    """How much people stand in each other's boxes.

    Returns:
        Mean over the people with joints of the number of other people's joints in their box over
        the number of their own; 0 for a frame without people.

    Source:
        Li et al., "CrowdPose", as used by the Human in Events benchmark.
    """
    own = frame.known.sum(1)
    if not own.any():
        return 0.0
    boxed = np.isfinite(frame.boxes).all(-1, keepdims=True)
    boxes = np.where(boxed, frame.boxes, frame.extent())[:, None, None]
    within = ((frame.xy >= boxes[..., :2]) & (frame.xy <= boxes[..., 2:])).all(-1)
    inside = within.sum(-1)
    others = inside.sum(1) - np.diagonal(inside)
    return float((others[own > 0] / own[own > 0]).mean())


@dataclass(frozen=True)
class HiEveAPResult:
    """What :meth:`HiEveAP.compute` found. Percent, 0 to 100; NaN where nothing counts."""

    ap: Mapping[float, Mapping[str, float]]
    """Alpha -> joint -> average precision."""
    w_ap: Mapping[float, Mapping[str, float]]
    """Alpha -> joint -> average precision with weighted frames."""
    groups: Mapping[str, Mapping[str, float]]
    """``"AP@0.5"``, ``"w-AP@0.5"``, …, ``"AP@avg"`` and ``"w-AP@avg"`` -> group or ``"Total"``."""
    sequences: tuple[tuple[str, Mapping[str, float]], ...]
    """Name and the totals of ``groups`` of every sequence."""
    frames: int
    alpha_mode: str

    @property
    def average(self) -> float:
        """AP@avg over all joints."""
        return self.groups["AP@avg"]["Total"]

    @property
    def weighted_average(self) -> float:
        """w-AP@avg over all joints."""
        return self.groups["w-AP@avg"]["Total"]

    def __str__(self) -> str:
        head = (
            f"{LABEL}: AP@alpha ({self.alpha_mode}), {len(self.sequences)} sequences, "
            f"{self.frames} frames"
        )
        return head + "\n" + table(self.groups)


class HiEveAP:
    """Average precision at several alphas, plain and with crowded or unusual frames weighing more.

    People are assigned as in PoseTrack AP, by their share of annotated joints that are hit. Only
    joints that are labelled as visible are scored: what an assigned prediction says about the
    other joints of its label does not count.

    Args:
        skeleton: The joints that are scored; found by name.
        alphas: Thresholds; their mean is ``avg``.
        alpha_mode: ``"similarity"``: joints are hit within half a head size, and a person is
            accepted if the share of annotated joints that are hit is at least alpha; all joints
            of others are wrong. ``"tight"``: joints are hit within (1 - alpha) head sizes.
            ``"literal"``: within alpha head sizes, as the paper reads, though published numbers
            fall with alpha and these rise.
        crowd_weight: c1 of the weight c1·exp(crowd index) + c2·anomalies of a frame.
        anomaly_weight: c2.
        head_size: People of a frame -> ``(N,)`` pixels.

    Raises:
        UsageError: an unknown mode, or an alpha that is not in (0, 1).

    Source:
        Lin et al., "Human in Events: A Large-Scale Benchmark for Human-centric Video Analysis in
        Complex Events"; the form of the weight, the modes and the head size are ours.
    """

    def __init__(
        self,
        skeleton: Skeleton = HIEVE14,
        *,
        alphas: Sequence[float] = ALPHAS,
        alpha_mode: AlphaMode = "similarity",
        crowd_weight: float = CROWD_WEIGHT,
        anomaly_weight: float = ANOMALY_WEIGHT,
        head_size: HeadSize = nose_to_chest,
    ) -> None:
        if alpha_mode not in ("similarity", "tight", "literal"):
            raise UsageError(
                f"alpha_mode is 'similarity', 'tight' or 'literal'; got {alpha_mode!r}."
            )
        if not alphas or not all(0 < a < 1 for a in alphas):
            raise UsageError(f"Alphas must lie between 0 and 1; got {list(alphas)}.")
        if not crowd_weight > 0 or not anomaly_weight >= 0:
            raise UsageError(
                f"Weights of frames must be positive; got c1 = {crowd_weight} and c2 = "
                f"{anomaly_weight}."
            )
        self._rules = _rules(skeleton, head_size)
        self.skeleton, self.alphas, self.alpha_mode = skeleton, tuple(alphas), alpha_mode
        self.crowd_weight, self.anomaly_weight = crowd_weight, anomaly_weight
        self._lists: list[tuple[dict[float, RankedJoints], dict[float, RankedJoints]]] = []

    def update(
        self,
        truth: LabelledSequence,
        predictions: LabelledSequence,
        anomalies: Sequence[int] | None = None,
    ) -> None:
        """Add a sequence.

        Args:
            truth: Its labels.
            predictions: The same frames, found by image id, name or number.
            anomalies: For every frame of ``truth``, how many kinds of unusual action (fighting,
                falling over, crouching and bowing) happen in it; none by default.

        Raises:
            FormatError: frames differ, or a person cannot be measured.
            ShapeError: not one number of anomalies a frame.
            SkeletonMismatch: joints of the labels would have to be made up.
        """
        number = np.zeros(len(truth)) if anomalies is None else np.asarray(anomalies, np.float64)
        if number.shape != (len(truth),) or not (number >= 0).all():
            raise ShapeError(
                f"{truth.name!r} has {len(truth)} frames and needs as many numbers of anomalies, "
                f"none negative; got {len(number)}."
            )
        scene = prepare(truth, predictions, self._rules)
        crowds = np.array([crowd_index(truth.frames[i]) for i in scene.kept])
        weight = self.crowd_weight * np.exp(crowds) + self.anomaly_weight * number[list(scene.kept)]
        reach = {a: self._reach(a) for a in self.alphas}
        near = near_pairs(scene, max(reach.values()))
        plain, weighted = {}, {}
        for alpha in self.alphas:
            hits = near.select(near.distance <= reach[alpha])
            plain[alpha] = self._list(scene, hits, alpha)
            visible = scene.truth.visible * weight[scene.truth.frame, None]
            weighted[alpha] = replace(
                plain[alpha], total=visible.sum(0), weight=weight[scene.pred.frame]
            )
        self._lists.append((plain, weighted))

    def compute(self) -> HiEveAPResult:
        """Score everything added so far."""
        both = [
            {a: RankedJoints.joined([p[side][a] for p in self._lists], len(self.skeleton))
             for a in self.alphas}
            for side in (0, 1)
        ]  # fmt: skip
        ap, w_ap = (self._by_alpha(side) for side in both)
        names = [pair[0][self.alphas[0]].name for pair in self._lists]
        rows = [self._groups(*(self._by_alpha(side) for side in pair)) for pair in self._lists]
        totals = [{score: groups["Total"] for score, groups in row.items()} for row in rows]
        return HiEveAPResult(
            ap=ap,
            w_ap=w_ap,
            groups=self._groups(ap, w_ap),
            sequences=tuple(zip(names, totals, strict=True)),
            frames=both[0][self.alphas[0]].frames,
            alpha_mode=self.alpha_mode,
        )

    def _reach(self, alpha: float) -> float:
        """Within how many head sizes a joint is hit."""
        if self.alpha_mode == "similarity":
            return PCKH_REACH
        return round(1 - alpha, 12) if self.alpha_mode == "tight" else alpha

    def _list(self, scene: Scene, hits: Near, alpha: float) -> RankedJoints:
        truth, pred, share = assign_people(hits, scene.truth.known.sum(1))
        if self.alpha_mode == "similarity":
            truth, pred = truth[share >= alpha], pred[share >= alpha]
        taken = np.full(len(scene.pred), -1)
        taken[pred] = truth
        hit = np.zeros(scene.pred.known.shape, bool)
        right = hits.select(taken[hits.pred] == hits.truth)
        hit[right.pred, right.joint] = True
        listed = scene.pred.known.copy()
        listed[pred] &= scene.truth.visible[truth]
        score = np.where(np.isnan(scene.pred.score), MISSING_SCORE, scene.pred.score)
        total = scene.truth.visible.sum(0)
        return RankedJoints(scene.name, len(scene.frames), score, listed, hit, total)

    def _by_alpha(self, lists: Mapping[float, RankedJoints]) -> dict[float, dict[str, float]]:
        return {
            a: dict(zip(self.skeleton.joints, v.average_precision().tolist(), strict=True))
            for a, v in lists.items()
        }

    def _groups(
        self, ap: Mapping[float, Mapping[str, float]], w_ap: Mapping[float, Mapping[str, float]]
    ) -> dict[str, dict[str, float]]:
        groups: dict[str, dict[str, float]] = {}
        for name, values in (("AP", ap), ("w-AP", w_ap)):
            rows = [group_means(values[a], skip_nan=True) for a in self.alphas]
            groups |= {f"{name}@{a:g}": row for a, row in zip(self.alphas, rows, strict=True)}
            mean = {g: float(np.mean([row[g] for row in rows])) for g in rows[0]}
            groups[f"{name}@avg"] = mean
        return groups


def _rules(skeleton: Skeleton, head_size: HeadSize, *, need_ids: bool = False) -> Rules:
    return Rules(
        skeleton=skeleton, frames="labelled", need_ids=need_ids, size=head_size,
        size_from="nose, chest or box of any size",
    )  # fmt: skip


@dataclass(frozen=True)
class HiEveTrackingResult:
    """What :meth:`HiEveTracking.compute` found. Percent, up to 100; NaN where nothing counts."""

    w_mota: float
    """MOTA with switches of interrupted tracks weighing ``gamma``."""
    mota: float
    motp: float
    precision: float
    recall: float
    idf1: float
    switches: int
    switches_apart: int
    """Those of them that happened after the labelled track was interrupted."""
    sequences: tuple[tuple[str, Mapping[str, float]], ...]
    """Name and w_mota, mota, motp, precision, recall, idf1 of every sequence."""
    frames: int
    on: str
    gamma: float

    def __str__(self) -> str:
        head = (
            f"{LABEL}: tracking of {self.on} (gamma {self.gamma:g}), {len(self.sequences)} "
            f"sequences, {self.frames} frames"
        )
        names = ("w-MOTA", "MOTA", "MOTP", "Prec", "Rec", "IDF1")
        values = (getattr(self, m) for m in ("w_mota", *METRICS))
        return head + "\n" + table({"Total": dict(zip(names, values, strict=True))})


class HiEveTracking:
    """MOTA, and w-MOTA in which losing an interrupted track costs more.

    ``w-MOTA = 1 - (FP + FN + SW + (gamma - 1)·SW_dt) / GT``. A switch is one of an interrupted
    track (SW_dt) if the person is missing from the labels in a frame between the two matches.

    Args:
        skeleton: The joints that are scored; found by name.
        on: ``"joints"``, each within half a head size, mean over joints; or ``"boxes"``, with an
            intersection over union of at least 0.5.
        gamma: What a switch of an interrupted track costs; the server's value is not known.
        head_size: People of a frame -> ``(N,)`` pixels.

    Raises:
        UsageError: ``on`` is something else, or gamma is below 1.

    Source:
        Lin et al., "Human in Events"; what counts as interrupted is our reading.
    """

    def __init__(
        self,
        skeleton: Skeleton = HIEVE14,
        *,
        on: Literal["joints", "boxes"] = "joints",
        gamma: float = 2.0,
        head_size: HeadSize = nose_to_chest,
    ) -> None:
        if on not in ("joints", "boxes"):
            raise UsageError(f"HiEve tracking is on 'joints' or 'boxes'; got {on!r}.")
        if not gamma >= 1:
            raise UsageError(f"gamma must be at least 1; got {gamma}.")
        self.skeleton, self.on, self.gamma = skeleton, on, gamma
        self._rules = _rules(skeleton, head_size, need_ids=True)
        if on == "boxes":
            self._rules = replace(self._rules, size=None, pointless=True)
        self._counts: list[tuple[str, TrackCounts]] = []

    def update(self, truth: LabelledSequence, predictions: LabelledSequence) -> None:
        """Add a sequence; everybody in it needs a track id, and for boxes a box.

        Raises:
            FormatError: frames differ, an id, a box or a size is missing, or these are stills.
            SkeletonMismatch: joints of the labels would have to be made up.
        """
        check_video(truth)
        rules = self._rules
        if self.on == "boxes":
            rules = replace(rules, skeleton=truth.skeleton)
        scene = prepare(truth, predictions, rules)
        counts = self._count_boxes(scene) if self.on == "boxes" else _count_all(scene)
        self._counts.append((truth.name, counts))

    def compute(self) -> HiEveTrackingResult:
        """Score everything added so far."""
        columns = 1 if self.on == "boxes" else len(self.skeleton)
        counts = sum((c for _, c in self._counts), TrackCounts.zeros(columns))
        return HiEveTrackingResult(
            **self._values(counts),
            switches=int(counts.switches.sum()),
            switches_apart=int(counts.apart.sum()),
            sequences=tuple((name, self._values(c)) for name, c in self._counts),
            frames=counts.frames,
            on=self.on,
            gamma=self.gamma,
        )

    def _values(self, counts: TrackCounts) -> dict[str, float]:
        scored: NDArray[np.bool_] = counts.objects > 0
        values = {"w_mota": counts.mota(self.gamma)} | {m: getattr(counts, m)() for m in METRICS}
        return {name: known_mean(v[scored].tolist()) for name, v in values.items()}

    @staticmethod
    def _count_boxes(scene: Scene) -> TrackCounts:
        near, ignored = near_boxes(scene, BOX_REACH)
        counts = count_tracks(
            near, Tracks.of(scene), scene.truth.frame,
            np.ones((len(scene.truth), 1), bool), ~ignored[:, None], find_apart=True,
        )  # fmt: skip
        return replace(counts, frames=len(scene.frames))


def _count_all(scene: Scene) -> TrackCounts:
    return count_joints(scene, np.ones(len(scene.frames), bool), find_apart=True)
