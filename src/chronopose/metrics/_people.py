"""Labels and predictions of a sequence, made ready for scoring: what all video-pose scores share.

Frames are joined, unlabelled ones dropped, joints found by name, points in regions to ignore
removed, people without points dropped, ids and sizes checked. What is left lies in flat arrays,
one row a person, and the few pairs of joints that are near each other are listed once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import NO_ID, LabelledFrame, LabelledSequence, Visibility
from chronopose.core.skeleton import Skeleton
from chronopose.errors import FormatError, SkeletonMismatch, UsageError
from chronopose.metrics._regions import inside_any

Compat = Literal["poseval", "fixed"]
RuleSet = Literal["posetrack18", "posetrack21"]
Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Flags = NDArray[np.bool_]

MAX_TRACK_ID = 10_000
"""poseval makes ids unique among sequences by adding multiples of this."""
HEAD_SHARE = 0.6
"""Head size as a share of the diagonal of the head box."""
_PAIRS_AT_ONCE = 1024


def head_sizes(people: LabelledFrame) -> Floats:
    """``(N,)`` head sizes: 0.6 of the diagonal of the head box, pixels; NaN without a box."""
    sides = people.head_boxes[:, 2:] - people.head_boxes[:, :2]
    return HEAD_SHARE * np.linalg.norm(sides, axis=-1)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What an evaluator does before it looks at distances."""

    skeleton: Skeleton
    """The joints that are scored."""
    frames: Literal["annotated", "labelled"] = "annotated"
    """Which frames count: those with at least one record, or those that are marked as labelled."""
    positive: bool = False
    """A joint is there only if x > 0 and y > 0."""
    max_id: int | None = None
    """Track ids must be smaller than this."""
    need_ids: bool = False
    """Everybody must have a track id."""
    pointless: bool = False
    """Keep people without any joint, for their boxes."""
    size: Callable[[LabelledFrame], Floats] | None = head_sizes
    """Sizes of labelled people, pixels; NaN where it cannot be told."""
    size_from: str = "head box"
    """What the size is made of, for the message that it is missing."""


def posetrack_rules(skeleton: Skeleton, rules: str, *, need_ids: bool) -> Rules:
    """The preparation of poseval (``"posetrack18"``) or of the PoseTrack21 kit.

    Raises:
        UsageError: there are no such rules.
    """
    if rules == "posetrack18":
        return Rules(skeleton=skeleton, max_id=MAX_TRACK_ID, need_ids=need_ids)
    if rules == "posetrack21":
        return Rules(skeleton=skeleton, frames="labelled", positive=True, need_ids=need_ids)
    raise UsageError(f"Rules are 'posetrack18' (also for 2017) or 'posetrack21'; got {rules!r}.")


def check_compat(compat: str, known: tuple[str, ...] = ("poseval", "fixed")) -> None:
    """Refuse an unknown mode.

    Raises:
        UsageError: ``compat`` is none of ``known``.
    """
    if compat not in known:
        raise UsageError(f"compat is one of {', '.join(map(repr, known))}; got {compat!r}.")


@dataclass(frozen=True)
class People:
    """The people of one side, one row each, ordered by frame and then as in the file."""

    frame: Ints
    """``(N,)`` number of the kept frame."""
    ids: NDArray[np.int64]
    """``(N,)`` track ids."""
    x: Floats
    """``(N, K)`` pixels; NaN where the joint does not count."""
    y: Floats
    """``(N, K)`` pixels."""
    known: Flags
    """``(N, K)`` joints that count."""
    visible: Flags
    """``(N, K)`` joints that count and can be seen."""
    score: Floats
    """``(N, K)`` joint scores; NaN where none is given."""
    boxes: Floats
    """``(N, 4)`` person boxes x1 y1 x2 y2; NaN where none is given."""
    size: Floats
    """``(N,)`` head sizes, pixels; ones for predictions."""

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True)
class Scene:
    """Labels and predictions of the frames of one sequence that count."""

    name: str
    frames: tuple[str, ...]
    """What messages call the kept frames."""
    kept: tuple[int, ...]
    """Their places among the frames of the labels."""
    regions: tuple[tuple[Floats, ...], ...]
    """Polygons to ignore in each kept frame."""
    truth: People
    pred: People


@dataclass(frozen=True)
class Near:
    """Pairs of a labelled and a predicted joint of the same name and frame within reach.

    Ordered by predicted person, labelled person and joint.
    """

    joint: Ints
    frame: Ints
    truth: Ints
    """Rows of ``scene.truth``."""
    pred: Ints
    """Rows of ``scene.pred``."""
    distance: Floats
    """In head sizes."""

    def __len__(self) -> int:
        return len(self.joint)

    def select(self, keep: Flags) -> Near:
        """The pairs that a mask picks."""
        return Near(
            self.joint[keep], self.frame[keep], self.truth[keep], self.pred[keep],
            self.distance[keep],
        )  # fmt: skip


def prepare(truth: LabelledSequence, predictions: LabelledSequence, rules: Rules) -> Scene:
    """Join and clean the two sides of a sequence.

    Raises:
        FormatError: the frames are not the same, an id is missing or too large, or a labelled
            person has nothing to measure by.
        SkeletonMismatch: joints of the labels would have to be made up, or none is shared.
    """
    place = join_frames(truth, predictions)
    _check_joints(truth, predictions, rules.skeleton)
    kept = [
        i for i, frame in enumerate(truth.frames)
        if (frame.labelled if rules.frames == "labelled" else len(frame) > 0)
    ]  # fmt: skip
    labels = [truth.frames[i] for i in kept]
    names = tuple(_called(truth, f) for f in labels)
    regions = tuple(f.ignore for f in labels)
    people = _people(truth, kept, regions, rules, labels=True)
    lacking = np.flatnonzero(np.isnan(people.size))
    if len(lacking):
        raise FormatError(
            f"{names[people.frame[lacking[0]]]}: a labelled person has joints but no "
            f"{rules.size_from}, so distances cannot be measured ({len(lacking)} such people in "
            f"the sequence). Add it to the labels, or remove the person."
        )
    others = _people(predictions, [place[i] for i in kept], regions, rules, labels=False)
    return Scene(truth.name, names, tuple(kept), regions, people, others)


def _called(sequence: LabelledSequence, frame: LabelledFrame) -> str:
    return f"{sequence.name!r}, frame {frame.frame_index} ({frame.name})"


_KEYS: tuple[tuple[str, Callable[[LabelledFrame], Hashable]], ...] = (
    ("image id", lambda f: f.image_id),
    ("name", lambda f: f.name or None),
    ("number", lambda f: f.frame_index),
)
"""By what frames are found, the surest first."""


def match_frames(
    truth: LabelledSequence, predictions: LabelledSequence
) -> tuple[list[int | None], str]:
    """Where the prediction of each labelled frame stands, None where there is none.

    Image ids, names or numbers decide, the first of these that finds every frame, else the one that
    finds most. Ids or names that some frame lacks, or that two predicted frames share, are passed
    over.

    Returns:
        The places, and why they are not all there, for messages; empty if nobody knows.
    """
    best: list[int | None] = [None] * len(truth)
    told = ""
    for what, key in _KEYS:
        places = {key(f): i for i, f in enumerate(predictions.frames)}
        wanted = [key(f) for f in truth.frames]
        if None in places or None in wanted:
            continue
        if len(places) != len(predictions):
            told = told or f"the {what}s are not unique"
            continue
        found = [places.get(k) for k in wanted]
        lacking = [k for k, place in zip(wanted, found, strict=True) if place is None]
        if not lacking:
            return found, ""
        if len(lacking) < best.count(None):
            best = found
            told = f"by {what} {len(lacking)} of them lack, first {lacking[0]}"
    return best, told


def join_frames(truth: LabelledSequence, predictions: LabelledSequence) -> list[int]:
    """Where the prediction of each labelled frame stands, by image id, name or frame number.

    Raises:
        FormatError: the two do not have the same frames.
    """
    found, told = match_frames(truth, predictions)
    places = [p for p in found if p is not None]
    if len(set(places)) == len(truth) == len(predictions):
        return places
    counts = f"{len(predictions)} frames and the labels {truth.name!r} have {len(truth)}"
    raise FormatError(
        f"The predictions {predictions.name!r} have {counts}, which do not match"
        f"{': ' + told if told else ''}. Predictions need every frame of the labels, unlabelled "
        f"ones too; a frame without detections is an empty frame."
    )


def _check_joints(
    truth: LabelledSequence, predictions: LabelledSequence, skeleton: Skeleton
) -> None:
    plan = truth.skeleton.map_to(skeleton)
    if plan.approximated:
        raise SkeletonMismatch(
            f"The labels {truth.name!r} are {truth.skeleton.name!r}: they have no "
            f"{', '.join(plan.approximated)}, which would be made up from other joints. If that "
            f"is wanted, convert them first: truth.to_skeleton(...)."
        )
    for sequence in (truth, predictions):
        if len(sequence.skeleton.map_to(skeleton).missing) == len(skeleton):
            raise SkeletonMismatch(
                f"{sequence.name!r} has {sequence.skeleton.name!r} joints, none of which "
                f"{skeleton.name!r} knows. Its joints are: {', '.join(skeleton.joints)}."
            )


def _check_ids(
    ids: NDArray[np.int64], frame: Ints, frames: Sequence[LabelledFrame],
    sequence: LabelledSequence, rules: Rules,
) -> None:  # fmt: skip
    """Refuse people without an id and ids that are too large."""
    lacking = np.flatnonzero((ids == NO_ID) & rules.need_ids)
    if len(lacking):
        raise FormatError(
            f"{_called(sequence, frames[int(frame[lacking[0]])])}: a person has no track id "
            f"({len(lacking)} such people in the sequence). Tracking is scored by ids; give "
            f"everybody one."
        )
    large = np.flatnonzero(ids >= (np.inf if rules.max_id is None else rules.max_id))
    if len(large):
        raise FormatError(
            f"{_called(sequence, frames[int(frame[large[0]])])}: the track id {ids[large[0]]} is "
            f"not below {rules.max_id}. Number the tracks of each sequence from 0."
        )


def _people(
    sequence: LabelledSequence,
    kept: Sequence[int],
    regions: Sequence[Sequence[Floats]],
    rules: Rules,
    *,
    labels: bool,
) -> People:
    """All people of the kept frames of one side in flat arrays."""
    frames = [sequence.frames[i] for i in kept]
    measure = rules.size if labels else None
    wanted = {"xy", "visibility"}
    wanted |= {"boxes", "head_boxes"} if measure is not None else set()
    wanted |= {"boxes"} if rules.pointless else set()
    wanted |= set() if labels else {"score"}
    everybody = _everybody(frames, wanted, sequence.skeleton, rules.skeleton)
    frame = np.repeat(np.arange(len(frames)), np.array([len(f.xy) for f in frames], np.intp))
    ids = np.concatenate([np.zeros(0, np.int64), *(f.ids for f in frames)])
    _check_ids(ids, frame, frames, sequence, rules)
    known = everybody.known
    if rules.positive:
        known = known & (everybody.xy > 0).all(-1)
    _drop_ignored(everybody.xy, known, frame, regions)
    rows = np.ones(len(known), bool) if rules.pointless else known.any(1)
    seen = known[rows, :, None]
    xy = np.where(seen, everybody.xy[rows], np.nan)
    size = np.ones(len(known)) if measure is None else measure(everybody)
    return People(
        frame=frame[rows],
        ids=ids[rows],
        x=np.ascontiguousarray(xy[..., 0]),
        y=np.ascontiguousarray(xy[..., 1]),
        known=known[rows],
        visible=(known & everybody.visible)[rows],
        score=everybody.score[rows],
        boxes=everybody.boxes[rows],
        size=size[rows],
    )


def _everybody(
    frames: Sequence[LabelledFrame], wanted: Iterable[str], source: Skeleton, target: Skeleton
) -> LabelledFrame:
    """One frame with the people of all frames, so that they are converted and sized in one go."""
    nobody = LabelledFrame("", 0, source, np.zeros(0))
    fields: dict[str, Any] = {
        name: np.concatenate([getattr(nobody, name), *(getattr(f, name) for f in frames)])
        for name in wanted
    }
    plan = source.map_to(target)
    if plan.approximated:
        return LabelledFrame("", 0, source, **fields).to_skeleton(target)
    # Without mid-points all it takes is to pick columns.
    column, lacking = plan.weights.argmax(1), ~plan.weights.any(1)
    for name, nothing in (("xy", np.nan), ("visibility", Visibility.ABSENT), ("score", np.nan)):
        if name in fields:
            fields[name] = fields[name][:, column]
            fields[name][:, lacking] = nothing
    return LabelledFrame("", 0, target, **fields)


def _drop_ignored(
    xy: Floats, known: Flags, frame: Ints, regions: Sequence[Sequence[Floats]]
) -> None:
    """Clear ``known`` for the points inside the regions of their frame."""
    alike: dict[tuple[bytes, ...], list[int]] = {}
    for number, polygons in enumerate(regions):
        if polygons:
            alike.setdefault(tuple(p.tobytes() for p in polygons), []).append(number)
    for numbers in alike.values():
        rows = np.flatnonzero(np.isin(frame, numbers))
        inside = inside_any(xy[rows].reshape(-1, 2), regions[numbers[0]])
        known[rows] &= ~inside.reshape(len(rows), -1)


def near_pairs(scene: Scene, reach: float = 0.5) -> Near:
    """All pairs of joints at most ``reach`` head sizes apart.

    A person whose head size is zero has no pairs.
    """
    truth, pred = scene.truth, scene.pred
    per_frame = np.bincount(truth.frame, minlength=len(scene.frames))
    first = np.cumsum(per_frame) - per_frame
    many = per_frame[pred.frame]
    pred_of = np.repeat(np.arange(len(pred)), many)
    nth = np.arange(len(pred_of)) - np.repeat(np.cumsum(many) - many, many)
    truth_of = np.repeat(first[pred.frame], many) + nth
    parts: list[tuple[Ints, Ints, Ints, Floats]] = []
    for start in range(0, len(pred_of), _PAIRS_AT_ONCE):
        p, t = pred_of[start : start + _PAIRS_AT_ONCE], truth_of[start : start + _PAIRS_AT_ONCE]
        dx, dy = truth.x[t] - pred.x[p], truth.y[t] - pred.y[p]
        dx *= dx
        dy *= dy
        dx += dy
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.sqrt(dx, out=dx) / truth.size[t, None]
        pair, joint = np.nonzero(distance <= reach)
        parts.append((joint, t[pair], p[pair], distance[pair, joint]))
    none = (np.zeros(0, np.intp),) * 3 + (np.zeros(0),)
    joint, t, p, distance = (np.concatenate(c) for c in zip(*parts, none, strict=True))
    return Near(joint, pred.frame[p], t, p, distance)
