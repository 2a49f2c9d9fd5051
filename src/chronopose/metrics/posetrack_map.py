"""PoseTrack average precision: per joint, over people who are matched by most correct joints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import POSETRACK15_POSEVAL
from chronopose.metrics._groups import group_means, table
from chronopose.metrics._people import (
    Compat,
    Floats,
    Near,
    People,
    RuleSet,
    check_compat,
    near_pairs,
    posetrack_rules,
    prepare,
)

MISSING_SCORE = -9999.0
"""The score of a predicted joint without one."""
PCKH_REACH = 0.5
"""A joint is hit within this share of the head size; the bound itself is a hit."""


@dataclass(frozen=True)
class SequenceAP:
    """One sequence on its own."""

    name: str
    ap: Mapping[str, float]
    """Joint -> average precision, percent; NaN where it cannot be told."""
    groups: Mapping[str, float]
    """The papers' groups and ``"Total"``."""
    labels: Mapping[str, int]
    """Joint -> labelled joints."""


@dataclass(frozen=True)
class PoseTrackAPResult:
    """What :meth:`PoseTrackAP.compute` found. Percent, 0 to 100; NaN where nothing counts."""

    ap: Mapping[str, float]
    """Joint -> average precision over all sequences."""
    precision: Mapping[str, float]
    """Joint -> percent of all predicted joints that are right."""
    recall: Mapping[str, float]
    """Joint -> percent of all labelled joints that are found."""
    groups: Mapping[str, float]
    """AP of Head, Shoulder, Elbow, Wrist, Hip, Knee, Ankle, and ``"Total"`` of all joints."""
    labels: Mapping[str, int]
    """Joint -> labelled joints."""
    sequences: tuple[SequenceAP, ...]
    frames: int
    """Frames that counted."""
    rules: str
    compat: str

    @property
    def total(self) -> float:
        """Mean AP over the joints that are not NaN: the number that papers call mAP."""
        return self.groups["Total"]

    def __str__(self) -> str:
        head = (
            f"PoseTrack AP ({self.rules} rules, {self.compat}), {len(self.sequences)} sequences, "
            f"{self.frames} frames"
        )
        return head + "\n" + table({"AP": self.groups})


class PoseTrackAP:
    """Average precision of the PoseTrack challenges.

    A predicted person is given to the label with the largest share of joints within half a head
    size, and a label keeps its best prediction. All joints of predictions that nobody took are
    wrong, and so is a predicted joint that the label does not have. Each joint is ranked by its
    own score over all frames of all sequences; equal scores stay in the order of the files.

    Joints are found by name: predictions in another skeleton are converted with
    ``to_skeleton``, labels must have the joints under their own names.

    Args:
        skeleton: The joints that are scored.
        rules: ``"posetrack18"``: poseval, for the 2017 and 2018 data (frames without any record
            are dropped; points inside a region to ignore are removed from labels and
            predictions). ``"posetrack21"``: the kit of the 2021 data (frames marked as labelled
            count; a joint is there only if x > 0 and y > 0).
        compat: ``"poseval"``: what the published evaluator of these rules prints. Under
            posetrack18 a joint that is never labelled but predicted is NaN and makes its group
            NaN; under posetrack21 it is 0 and counts. ``"fixed"``: such a joint is NaN and left
            out of group and total.

    Raises:
        UsageError: unknown rules or mode.

    Source:
        The definitions of poseval and of the PoseTrack21 kit; the latter fails on frames with
        predictions where no label is left, here they are false positives as in poseval.
    """

    def __init__(
        self,
        skeleton: Skeleton = POSETRACK15_POSEVAL,
        *,
        rules: RuleSet = "posetrack18",
        compat: Compat = "poseval",
    ) -> None:
        check_compat(compat)
        self._rules = posetrack_rules(skeleton, rules, need_ids=False)
        self.skeleton, self.rules, self.compat = skeleton, rules, compat
        self._lists: list[RankedJoints] = []

    def update(self, truth: LabelledSequence, predictions: LabelledSequence) -> None:
        """Add a sequence.

        Args:
            truth: Its labels, with a head box for everybody who has joints.
            predictions: The same frames, found by image id, name or number; joints without a
                score are ranked last.

        Raises:
            FormatError: frames differ, a head box is missing, or a track id is 10,000 or more
                (posetrack18 rules).
            SkeletonMismatch: joints of the labels would have to be made up.
        """
        scene = prepare(truth, predictions, self._rules)
        near = near_pairs(scene, PCKH_REACH)
        own_truth, own_pred, _ = assign_people(near, scene.truth.known.sum(1))
        taken = np.full(len(scene.pred), -1)
        taken[own_pred] = own_truth
        hit = np.zeros(scene.pred.known.shape, bool)
        right = near.select(taken[near.pred] == near.truth)
        hit[right.pred, right.joint] = True
        self._lists.append(
            RankedJoints.of(scene.name, len(scene.frames), scene.pred, hit, scene.truth.known)
        )

    def compute(self) -> PoseTrackAPResult:
        """Score everything added so far."""
        everything = RankedJoints.joined(self._lists, len(self.skeleton))
        ap, precision, recall = (self._by_joint(v) for v in self._scores(everything))
        return PoseTrackAPResult(
            ap=ap,
            precision=precision,
            recall=recall,
            groups=self._groups(ap),
            labels=self._labels(everything),
            sequences=tuple(self._sequence(lists) for lists in self._lists),
            frames=everything.frames,
            rules=self.rules,
            compat=self.compat,
        )

    def _sequence(self, lists: RankedJoints) -> SequenceAP:
        ap = self._by_joint(self._scores(lists)[0])
        return SequenceAP(lists.name, ap, self._groups(ap), self._labels(lists))

    def _scores(self, lists: RankedJoints) -> tuple[Floats, Floats, Floats]:
        """AP, last precision and last recall of each joint, percent."""
        total = lists.total
        if self.compat == "poseval" and self.rules == "posetrack21":
            total = np.maximum(total, 1)
        ap = lists.average_precision(total)
        right, listed = (lists.hit & lists.known).sum(0), lists.known.sum(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            precision, recall = 100 * right / listed, 100 * right / total
        if self.compat == "fixed":
            never = lists.total == 0
            ap, precision = np.where(never, np.nan, ap), np.where(never, np.nan, precision)
        else:
            # The evaluators start from zeros and fill in joints that were predicted at all.
            precision, recall = (np.where(listed == 0, 0.0, v) for v in (precision, recall))
        return ap, precision, recall

    def _by_joint(self, values: Floats) -> dict[str, float]:
        return dict(zip(self.skeleton.joints, values.tolist(), strict=True))

    def _labels(self, lists: RankedJoints) -> dict[str, int]:
        return dict(zip(self.skeleton.joints, lists.total.tolist(), strict=True))

    def _groups(self, ap: Mapping[str, float]) -> dict[str, float]:
        return group_means(ap, skip_nan=self.compat == "fixed")


def assign_people(
    near: Near, labelled: NDArray[np.integer]
) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Give predicted people to labelled people by their share of correct joints.

    Each prediction keeps only its best label, then each label its best prediction; the first one
    wins a tie, and a share of zero is no match.

    Args:
        near: The joints that are hit.
        labelled: ``(N,)`` labelled joints of each labelled person.

    Returns:
        Rows of labelled people, rows of the predictions they got, and the shares.
    """
    if not len(near):
        return np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0)
    changes = (near.pred[1:] != near.pred[:-1]) | (near.truth[1:] != near.truth[:-1])
    start = np.concatenate([[0], np.flatnonzero(changes) + 1, [len(near)]])
    truth, pred = near.truth[start[:-1]], near.pred[start[:-1]]
    share = np.diff(start) / labelled[truth]
    keep = _best_of_each(pred, truth, share)
    truth, pred, share = truth[keep], pred[keep], share[keep]
    keep = _best_of_each(truth, pred, share)
    return truth[keep], pred[keep], share[keep]


def _best_of_each(
    rows: NDArray[np.intp], others: NDArray[np.intp], share: Floats
) -> NDArray[np.intp]:
    """For every distinct row the pair with the largest share, the first partner in a tie."""
    order = np.lexsort((others, -share, rows))
    ordered = rows[order]
    return order[np.concatenate([[True], ordered[1:] != ordered[:-1]])]


@dataclass(frozen=True)
class RankedJoints:
    """Scores and verdicts of all predicted joints, to be ranked joint by joint."""

    name: str
    frames: int
    score: Floats
    """``(P, K)``."""
    known: NDArray[np.bool_]
    """``(P, K)`` predicted joints that are listed."""
    hit: NDArray[np.bool_]
    """``(P, K)``."""
    total: NDArray[np.integer] | Floats
    """``(K,)`` labelled joints, or the sum of their weights."""
    weight: Floats | None = None
    """``(P,)`` how much a person's joints count; ones by default."""

    @classmethod
    def of(
        cls, name: str, frames: int, pred: People, hit: NDArray[np.bool_],
        labelled: NDArray[np.bool_],
    ) -> RankedJoints:  # fmt: skip
        """The joints of a sequence; those without a score get :data:`MISSING_SCORE`."""
        score = np.where(np.isnan(pred.score), MISSING_SCORE, pred.score)
        return cls(name, frames, score, pred.known, hit, labelled.sum(0))

    @classmethod
    def joined(cls, parts: Sequence[RankedJoints], joints: int) -> RankedJoints:
        """Several sequences in their order."""
        none = np.zeros((0, joints))
        weighted = any(p.weight is not None for p in parts)
        return cls(
            name="",
            frames=sum(p.frames for p in parts),
            score=np.concatenate([none, *(p.score for p in parts)]),
            known=np.concatenate([none.astype(bool), *(p.known for p in parts)]),
            hit=np.concatenate([none.astype(bool), *(p.hit for p in parts)]),
            total=sum((p.total for p in parts), np.zeros(joints, np.int64)),
            weight=np.concatenate([p.weight for p in parts if p.weight is not None])
            if weighted
            else None,
        )

    def average_precision(self, total: NDArray[np.number] | None = None) -> Floats:
        """``(K,)`` percent; see :func:`average_precision`."""
        wanted = self.total if total is None else total
        values = []
        for joint, count in enumerate(wanted.tolist()):
            rows = np.flatnonzero(self.known[:, joint])
            weight = None if self.weight is None else self.weight[rows]
            score, hit = self.score[rows, joint], self.hit[rows, joint]
            values.append(100 * average_precision(score, hit, count, weight))
        return np.array(values, np.float64)


def average_precision(
    score: Floats, hit: NDArray[np.bool_], total: float, weight: Floats | None = None
) -> float:
    """Area under precision over recall, precision made falling from the right.

    Args:
        score: ``(N,)`` the larger the earlier; ties keep their order.
        hit: ``(N,)`` whether a prediction is right.
        total: What there is to be found, in the unit of the weights.
        weight: ``(N,)`` how much each prediction counts, above zero; ones by default.

    Returns:
        In [0, 1]; 0 without predictions; NaN if something was predicted and nothing labelled.
    """
    if not len(score):
        return 0.0
    if total <= 0:
        return float("nan")
    order = np.argsort(-score, kind="stable")
    mass = np.ones(len(score)) if weight is None else weight[order]
    right = np.cumsum(np.where(hit[order], mass, 0.0))
    precision = right / np.cumsum(mass)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(right, prepend=0.0) * envelope) / total)
