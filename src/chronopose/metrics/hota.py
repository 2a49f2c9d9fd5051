"""HOTA of joints: detection, association and fragmentation as in the PoseTrack21 kit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from chronopose.core.labels import LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import POSETRACK15
from chronopose.metrics._clear_mot import Tracks, crowded_cells, lonely_pairs
from chronopose.metrics._groups import group_means, table
from chronopose.metrics._people import (
    Floats,
    Near,
    Scene,
    check_compat,
    near_pairs,
    posetrack_rules,
    prepare,
)
from chronopose.metrics.tracking import check_video

ALPHAS = np.arange(0.05, 0.99, 0.05)
"""The 19 thresholds of similarity."""
ZERO_AT = 0.5001
"""Distance in head sizes from which on two joints have nothing in common."""
_ROUNDING = float(np.finfo(float).eps)
_PARTS = ("hota", "fa_hota", "det_a", "ass_a", "frag_a", "loc_a")


@dataclass(frozen=True)
class SequenceHOTA:
    """One sequence on its own."""

    name: str
    total: Mapping[str, float]
    """hota, fa_hota, det_a, ass_a, frag_a, loc_a: means over thresholds and joints."""


@dataclass(frozen=True)
class KeypointHOTAResult:
    """What :meth:`KeypointHOTA.compute` found. Percent; NaN where nothing is labelled."""

    hota: Mapping[str, float]
    """Joint -> geometric mean of DetA and AssA, mean over the thresholds."""
    fa_hota: Mapping[str, float]
    """Joint -> the same with AssA replaced by the geometric mean of AssA and FragA."""
    det_a: Mapping[str, float]
    """Joint -> matches over matches, misses and false positives."""
    ass_a: Mapping[str, float]
    """Joint -> how much whole tracks agree, mean over the matches."""
    frag_a: Mapping[str, float]
    """Joint -> the same for the unbroken piece of a track that a match belongs to."""
    loc_a: Mapping[str, float]
    """Joint -> mean similarity of the matches."""
    groups: Mapping[str, float]
    """HOTA of the papers' groups and ``"Total"``."""
    total: Mapping[str, float]
    """hota, fa_hota, det_a, ass_a, frag_a, loc_a: means over the joints that are not NaN."""
    sequences: tuple[SequenceHOTA, ...]
    frames: int
    compat: str

    def __str__(self) -> str:
        head = (
            f"Keypoint HOTA ({self.compat}), {len(self.sequences)} sequences, {self.frames} frames"
        )
        names = ("HOTA", "FA-HOTA", "DetA", "AssA", "FragA", "LocA")
        total = dict(zip(names, self.total.values(), strict=True))
        return "\n".join([head, table({"HOTA": self.groups}), table({"Total": total})])


@dataclass(frozen=True)
class _Counts:
    """Sums of a sequence, ``(19, K)``; association sums are weighted by their matches."""

    tp: Floats
    fn: Floats
    fp: Floats
    ass: Floats
    frag: Floats
    loc: Floats
    labelled: NDArray[np.int64]
    """``(K,)``."""
    frames: int

    def __add__(self, other: _Counts) -> _Counts:
        names = self.__dataclass_fields__
        return _Counts(**{n: getattr(self, n) + getattr(other, n) for n in names})


class KeypointHOTA:
    """Higher-order tracking accuracy of every joint.

    The similarity of two joints falls from 1 at no distance to 0 at half a head size. In every
    frame joints are matched for the most similarity, and a match counts at all thresholds .05,
    .10 … .95 that its similarity reaches. Frames marked as labelled count; a joint is there only
    if x > 0 and y > 0; points inside regions to ignore do not count.

    Args:
        skeleton: The joints that are scored; found by name.
        compat: ``"fixed"``: frames count as they are. ``"posetrack21"``: as the published kit, a
            frame without a label adds the predicted joints of the whole sequence as false
            positives, a frame without a prediction those labelled in the whole sequence as
            misses, and joints without labels count as zero.

    Raises:
        UsageError: unknown mode.

    Source:
        Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-object Tracking"; Doering
        et al., "PoseTrack21", for the joints, FragA and FA-HOTA.
    """

    def __init__(
        self, skeleton: Skeleton = POSETRACK15, *, compat: Literal["posetrack21", "fixed"] = "fixed"
    ) -> None:
        check_compat(compat, ("posetrack21", "fixed"))
        self._rules = posetrack_rules(skeleton, "posetrack21", need_ids=True)
        self.skeleton, self.compat = skeleton, compat
        self._counts: list[tuple[str, _Counts]] = []

    def update(self, truth: LabelledSequence, predictions: LabelledSequence) -> None:
        """Add a sequence.

        Args:
            truth: Its labels, with head boxes and track ids.
            predictions: The same frames, found by image id, name or number, with track ids.

        Raises:
            FormatError: frames differ, an id or a head box is missing, or the labels are stills.
            SkeletonMismatch: joints of the labels would have to be made up.
        """
        check_video(truth)
        scene = prepare(truth, predictions, self._rules)
        self._counts.append((truth.name, self._count(scene)))

    def compute(self) -> KeypointHOTAResult:
        """Score everything added so far."""
        shape, joints = (len(ALPHAS), len(self.skeleton)), self.skeleton.joints
        none = np.zeros(shape)
        nothing = _Counts(none, none, none, none, none, none, np.zeros(shape[1], np.int64), 0)
        counts = sum((c for _, c in self._counts), nothing)
        values = {
            name: dict(zip(joints, v.tolist(), strict=True))
            for name, v in self._values(counts).items()
        }
        return KeypointHOTAResult(
            **values,
            groups=group_means(values["hota"], skip_nan=True),
            total=self._total(counts),
            sequences=tuple(SequenceHOTA(name, self._total(c)) for name, c in self._counts),
            frames=counts.frames,
            compat=self.compat,
        )

    def _total(self, counts: _Counts) -> dict[str, float]:
        values = self._values(counts)
        scored = ~np.isnan(values["hota"])
        return {n: float(v[scored].mean()) if scored.any() else np.nan for n, v in values.items()}

    def _values(self, counts: _Counts) -> dict[str, Floats]:
        """Part -> ``(K,)`` percent, means over the thresholds."""
        matched = np.maximum(1, counts.tp)
        det = counts.tp / np.maximum(1, counts.tp + counts.fn + counts.fp)
        ass, frag = counts.ass / matched, counts.frag / matched
        # Without a match the kit calls the position perfect.
        loc = np.where(counts.tp > 0, counts.loc / matched, 1.0)
        parts = (np.sqrt(det * ass), np.sqrt(det * np.sqrt(ass * frag)), det, ass, frag, loc)
        scored = (counts.labelled > 0) | (self.compat == "posetrack21")
        means = (np.where(scored, 100 * p.mean(0), np.nan) for p in parts)
        return dict(zip(_PARTS, means, strict=True))

    def _count(self, scene: Scene) -> _Counts:
        truth, pred = scene.truth, scene.pred
        near = near_pairs(scene, ZERO_AT)
        matched = near.select(_most_similar(near))
        similarity = np.maximum(0.0, 1 - matched.distance / ZERO_AT)
        tracks = Tracks.of(scene)
        shape = (len(ALPHAS), len(self.skeleton))
        tp, ass, frag, loc = (np.zeros(shape) for _ in range(4))
        sizes = _track_sizes(scene, tracks)
        for step, alpha in enumerate(ALPHAS):
            reached = similarity >= alpha - _ROUNDING
            own = matched.select(reached)
            tp[step] = np.bincount(own.joint, minlength=shape[1])
            loc[step] = np.bincount(own.joint, similarity[reached], minlength=shape[1])
            ass[step], frag[step] = _associations(own, tracks, sizes, shape[1])
        missed, wrong = truth.known.sum(0) - tp, pred.known.sum(0) - tp
        if self.compat == "posetrack21":
            missed, wrong = self._published_extras(scene, missed, wrong)
        labelled = truth.known.sum(0, dtype=np.int64)
        return _Counts(tp, missed, wrong, ass, frag, loc, labelled, len(scene.frames))

    @staticmethod
    def _published_extras(scene: Scene, missed: Floats, wrong: Floats) -> tuple[Floats, Floats]:
        """Misses and false positives as the kit counts frames in which one side is empty."""
        truth, pred = scene.truth, scene.pred
        if not len(truth) or not len(pred):
            return missed, wrong
        number = len(scene.frames)
        has_truth = np.bincount(truth.frame, minlength=number) > 0
        has_pred = np.bincount(pred.frame, minlength=number) > 0
        alone = has_truth & ~has_pred
        # What these frames really hold was counted already.
        true_wrong = pred.known[~has_truth[pred.frame]].sum(0)
        true_missed = truth.known[alone[truth.frame]].sum(0)
        wrong = wrong - true_wrong + (~has_truth).sum() * pred.known.sum(0)
        missed = missed - true_missed + alone.sum() * truth.known.sum(0)
        return missed, wrong


def _most_similar(near: Near) -> NDArray[np.bool_]:
    """The pairs of the matching with the greatest sum of similarities in each frame."""
    chosen = lonely_pairs(near)
    for cell in crowded_cells(near, chosen):
        rows, row_of = np.unique(near.truth[cell], return_inverse=True)
        columns, column_of = np.unique(near.pred[cell], return_inverse=True)
        similarity = np.zeros((len(rows), len(columns)))
        similarity[row_of, column_of] = 1 - near.distance[cell] / ZERO_AT
        partner = np.full(len(rows), -1)
        r, c = linear_sum_assignment(similarity, maximize=True)
        partner[r] = c
        chosen[cell] = partner[row_of] == column_of
    return chosen


def _track_sizes(scene: Scene, tracks: Tracks) -> tuple[Floats, Floats]:
    """``(tracks, K)`` joints of every labelled and of every predicted track."""
    sizes = []
    for people, track, count in (
        (scene.truth, tracks.truth, tracks.truth_count),
        (scene.pred, tracks.pred, tracks.pred_count),
    ):
        size = np.zeros((count, people.known.shape[1]))
        np.add.at(size, track, people.known)
        sizes.append(size)
    return sizes[0], sizes[1]


def _associations(
    own: Near, tracks: Tracks, sizes: tuple[Floats, Floats], joints: int
) -> tuple[Floats, Floats]:
    """Sums over matches of how far their tracks, and their unbroken pieces, agree; ``(K,)``."""
    truth, pred = tracks.truth[own.truth], tracks.pred[own.pred]
    order = np.lexsort((own.frame, truth, own.joint))
    joint, truth, pred = own.joint[order], truth[order], pred[order]
    together = (joint * tracks.truth_count + truth) * tracks.pred_count + pred
    _, first, pair_of, count = np.unique(
        together, return_index=True, return_inverse=True, return_counts=True
    )
    j, t, p = joint[first], truth[first], pred[first]
    union = np.maximum(1, sizes[0][t, j] + sizes[1][p, j] - count)
    ass = np.bincount(j, count * count / union, joints).astype(np.float64)
    # A piece ends where the label is matched with another track, not where it is missed.
    start = np.flatnonzero(np.concatenate([[True], together[1:] != together[:-1]])[: len(pair_of)])
    length = np.diff(np.append(start, len(together)))
    frag = np.bincount(joint[start], length * length / union[pair_of[start]], joints)
    return ass, frag.astype(np.float64)
