"""Score: predictions against labels, by the name of a metric.

The metrics themselves are in ``metrics/``. Here they get names, predictions find the sequence of
labels that they belong to, and results become tables and plain values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from difflib import get_close_matches
from typing import Any, Literal, Protocol

import numpy as np
from scipy.optimize import linear_sum_assignment

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import POSETRACK15, POSETRACK15_POSEVAL
from chronopose.errors import FormatError, UsageError
from chronopose.metrics._people import match_frames
from chronopose.metrics.hieve import HiEveAP, HiEveTracking
from chronopose.metrics.hota import KeypointHOTA
from chronopose.metrics.mpii import PCKh
from chronopose.metrics.oks_ap import OKSAP
from chronopose.metrics.pck import LIMB_JOINTS, PCK
from chronopose.metrics.pdj import PCP, PDJ, AccuracyAtDistance
from chronopose.metrics.penn_jhmdb import ActionPCK
from chronopose.metrics.posetrack_map import PoseTrackAP
from chronopose.metrics.tracking import BoxTracking, PoseTracking


class Metric(Protocol):
    """What all metrics of sequences have in common."""

    def update(self, truth: LabelledSequence, predictions: LabelledSequence) -> None:
        """Add a sequence."""

    def compute(self) -> Any:
        """A result whose ``str`` is the table that papers print."""


@dataclass(frozen=True, kw_only=True)
class NamedMetric:
    """A metric under the name that users type.

    Args:
        told: What it measures, one line.
        make: Options and the joints of the labels -> a fresh metric.
        options: Names of the options that ``make`` understands.
    """

    told: str
    make: Callable[..., Any]
    options: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a metric said.

    Args:
        metric: Its name.
        table: The table that papers print.
        values: The whole result as plain values with full precision; None where there is no value.
        sequences: The same for every sequence on its own, in the order of the labels; a sequence
            that cannot be scored alone has an ``error``.
    """

    metric: str
    table: str
    values: Mapping[str, Any]
    sequences: tuple[Mapping[str, Any], ...]

    def as_json(self) -> dict[str, Any]:
        """Everything but the table."""
        return {"metric": self.metric, "result": self.values, "sequences": list(self.sequences)}


class Paired:
    """A metric of arrays of people, given files: people of a frame are paired, then scored.

    One labelled and one predicted person are a pair. Where both sides give ids to everybody and
    the labels' ids are all among the predicted ones, ids make the pairs. Otherwise people are
    paired for the least sum of mean joint distances. A labelled person without a partner is all
    misses; a prediction without one, and a crowd, do not count.

    Args:
        metric: Has ``update(pred_xy, true_xy, visible, **more)`` and ``compute()``.
        skeleton: Joints that it scores; both sides are converted by name.
        more: Frame of labels -> further arguments of ``update``.
        seen_only: Count joints that can be seen, instead of all that are labelled.
    """

    def __init__(
        self,
        metric: Any,
        skeleton: Skeleton,
        more: Callable[[LabelledFrame], dict[str, Any]] | None = None,
        *,
        seen_only: bool = False,
    ) -> None:
        self._metric, self._skeleton = metric, skeleton
        self._more, self._seen_only = more or (lambda _: {}), seen_only

    def update(self, truth: LabelledSequence, predictions: LabelledSequence) -> None:
        """Add a sequence; frames are found by image id, else by name, else by number.

        Raises:
            FormatError: none of these is unique, or no frame of the labels was predicted.
        """
        truth = truth.to_skeleton(self._skeleton)
        found = frames_by_key(truth, predictions.to_skeleton(self._skeleton))
        for frame, seen in zip(truth.frames, found, strict=True):
            if not frame.labelled or not len(frame):
                continue
            frame = frame.select(~frame.crowd)
            xy = np.full_like(frame.xy, np.nan)
            if seen is not None:
                rows, columns = pair_people(frame, seen)
                xy[rows] = seen.xy[columns]
            counted = frame.visible if self._seen_only else frame.known
            self._metric.update(xy, frame.xy, counted, **self._more(frame))

    def compute(self) -> Any:
        """What the metric says."""
        return self._metric.compute()


def _boxes(frame: LabelledFrame) -> dict[str, Any]:
    return {"boxes": np.nan_to_num(frame.boxes)}


def _head_boxes(frame: LabelledFrame) -> dict[str, Any]:
    return {"head_boxes": np.nan_to_num(frame.head_boxes)}


def _pck(
    skeleton: Skeleton, threshold: float = 0.2, normalise: str = "torso", joints: str = "all"
) -> Metric:
    if joints not in ("all", "limbs"):
        raise UsageError(f"joints is 'all' or 'limbs'; got {joints!r}.")
    counted = LIMB_JOINTS if joints == "limbs" else None
    metric = PCK(skeleton, threshold, normalise, counted)  # type: ignore[arg-type]
    return Paired(metric, skeleton, _boxes if normalise == "bbox" else None)


def _action_pck(rules: Literal["penn", "jhmdb"]) -> Callable[..., Metric]:
    def make(skeleton: Skeleton, **options: Any) -> Metric:
        metric = ActionPCK(rules, **options)
        boxes = None if options.get("normalise") == "torso" else _boxes
        return Paired(metric, metric.skeleton, boxes, seen_only=rules == "penn")

    return make


def pair_people(
    truth: LabelledFrame, found: LabelledFrame
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Rows of labels and of predictions that are the same person; see :class:`Paired`."""
    everybody = (truth.ids >= 0).all() and (found.ids >= 0).all()
    if len(truth) != 1 and everybody and np.isin(truth.ids, found.ids).all():
        return np.arange(len(truth)), np.array([int(np.argmax(found.ids == i)) for i in truth.ids])
    apart = np.linalg.norm(truth.xy[:, None] - found.xy[None], axis=-1)
    both = np.isfinite(apart)
    sums = np.where(both, apart, 0).sum(-1)
    mean = np.where(both.any(-1), sums / np.maximum(both.sum(-1), 1), 1e9)
    return linear_sum_assignment(mean)


def frames_by_key(
    truth: LabelledSequence, predictions: LabelledSequence
) -> list[LabelledFrame | None]:
    """The prediction of every labelled frame, None where there is none.

    Raises:
        FormatError: frames share no image id, name or number, or these are not unique.
    """
    places, _ = match_frames(truth, predictions)
    if all(place is None for place in places):
        raise FormatError(
            f"No frame of the labels {truth.name!r} is among the {len(predictions)} of the "
            f"predictions {predictions.name!r}: neither image ids nor names nor numbers agree."
        )
    return [None if place is None else predictions.frames[place] for place in places]


def _posetrack(kind: Callable[..., Metric], rules: str) -> Callable[..., Metric]:
    joints = POSETRACK15 if rules == "posetrack21" else POSETRACK15_POSEVAL

    def make(skeleton: Skeleton, **options: Any) -> Metric:
        return kind(joints, rules=rules, **options)

    return make


METRICS: dict[str, NamedMetric] = {
    "posetrack-ap": NamedMetric(
        told="AP of joints as poseval (PoseTrack17 and 18) has it",
        make=_posetrack(PoseTrackAP, "posetrack18"), options=("compat",),
    ),
    "posetrack-mota": NamedMetric(
        told="MOTA, MOTP, precision, recall and IDF1 of joints as poseval has them",
        make=_posetrack(PoseTracking, "posetrack18"), options=("compat",),
    ),
    "posetrack21-ap": NamedMetric(
        told="AP of joints by the rules of PoseTrack21",
        make=_posetrack(PoseTrackAP, "posetrack21"), options=("compat",),
    ),
    "posetrack21-mota": NamedMetric(
        told="MOTA and IDF1 of joints by the rules of PoseTrack21",
        make=_posetrack(PoseTracking, "posetrack21"), options=("compat",),
    ),
    "keypoint-hota": NamedMetric(
        told="keypoint HOTA of PoseTrack21",
        make=lambda skeleton, **options: KeypointHOTA(**options), options=("compat",),
    ),
    "box-mota": NamedMetric(
        told="MOTA and IDF1 of person boxes", make=lambda skeleton: BoxTracking(),
    ),
    "hieve-ap": NamedMetric(
        told="HiEve-like AP and w-AP, not the server's",
        make=lambda skeleton, **options: HiEveAP(**options), options=("alpha_mode",),
    ),
    "hieve-mota": NamedMetric(
        told="HiEve-like MOTA and w-MOTA, not the server's",
        make=lambda skeleton: HiEveTracking(),
    ),
    "oks": NamedMetric(
        told="AP and AR over object keypoint similarity, as COCO and CrowdPose have them",
        make=lambda skeleton, **options: OKSAP(skeleton, **options),
        options=("compat", "prediction_area", "max_people"),
    ),
    "pck": NamedMetric(
        told="percentage of correct keypoints, by torso or by box",
        make=_pck, options=("threshold", "normalise", "joints"),
    ),
    "pckh": NamedMetric(
        told="percentage of correct keypoints by the size of the head, as MPII has it",
        make=lambda skeleton, **options: Paired(
            PCKh(skeleton, **options), skeleton, _head_boxes
        ),
        options=("threshold", "compat"),
    ),
    "pdj": NamedMetric(
        told="percentage of detected joints over the distance in torsos, as FLIC has it",
        make=lambda skeleton, **options: Paired(PDJ(skeleton, **options), skeleton),
        options=("torso",),
    ),
    "accuracy-at-d": NamedMetric(
        told="share of joints within 0 to 20 pixels",
        make=lambda skeleton: Paired(AccuracyAtDistance(skeleton), skeleton),
    ),
    "pcp": NamedMetric(
        told="percentage of correct limbs",
        make=lambda skeleton, **options: Paired(PCP(skeleton, **options), skeleton),
        options=("threshold", "ends"),
    ),
    "penn-pck": NamedMetric(
        told="PCK as on Penn Action: visible joints, by box or torso, mean of 13 and of 7",
        make=_action_pck("penn"), options=("threshold", "normalise", "degenerate"),
    ),
    "jhmdb-pck": NamedMetric(
        told="PCK as on J-HMDB: by the box of the mask or by torso, mean of 13 and of 7",
        make=_action_pck("jhmdb"), options=("threshold", "normalise", "degenerate"),
    ),
}  # fmt: skip
"""Name -> metric of labelled sequences."""


def find_metric(name: str, among: Mapping[str, NamedMetric] = METRICS) -> NamedMetric:
    """The metric called ``name``.

    Raises:
        UsageError: there is none; the message names the nearest one.
    """
    if name in among:
        return among[name]
    near = get_close_matches(name, among, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"There is no metric {name!r}.{hint} Known: {', '.join(among)}.")


def check_options(name: str, metric: NamedMetric, options: Mapping[str, Any]) -> None:
    """Refuse options that the metric does not have.

    Raises:
        UsageError: there is one.
    """
    unknown = sorted(options.keys() - set(metric.options))
    if unknown:
        known = ", ".join(metric.options) or "none"
        raise UsageError(f"{name} has no option {unknown[0]!r}; its options: {known}.")


def score(
    predictions: Sequence[LabelledSequence],
    truth: Sequence[LabelledSequence],
    metric: str,
    **options: Any,
) -> Score:
    """Score predictions against labels.

    Args:
        predictions: Predicted sequences, in any order and any skeleton.
        truth: Labelled sequences; every one needs its prediction.
        metric: A name of :data:`METRICS`.
        **options: Options of the metric, e.g. ``compat="fixed"``.

    Raises:
        UsageError: there is no such metric or option.
        FormatError: a sequence has no prediction, or what the metric needs is not in the files.
        SkeletonMismatch: the predictions lack the labels' joints.
    """
    named = find_metric(metric)
    check_options(metric, named, options)
    if not truth:
        raise FormatError("There are no labels to score against.")
    pairs = pair_sequences(predictions, truth)
    whole = named.make(truth[0].skeleton, **options)
    for labels, found in pairs:
        whole.update(labels, _converted(found, labels))
    result = whole.compute()
    rows = [_alone(named, labels, found, options) for labels, found in pairs]
    return Score(
        metric=metric, table=str(result), values=plain_values(result), sequences=tuple(rows)
    )


def _converted(found: LabelledSequence, labels: LabelledSequence) -> LabelledSequence:
    return found.to_skeleton(labels.skeleton)


def _alone(
    named: NamedMetric, labels: LabelledSequence, found: LabelledSequence, options: dict[str, Any]
) -> dict[str, Any]:
    metric = named.make(labels.skeleton, **options)
    try:
        metric.update(labels, _converted(found, labels))
        return {"name": labels.name, **_without_sequences(plain_values(metric.compute()))}
    except UsageError as error:
        return {"name": labels.name, "error": str(error)}


def _without_sequences(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if k != "sequences"}


def pair_sequences(
    predictions: Sequence[LabelledSequence], truth: Sequence[LabelledSequence]
) -> list[tuple[LabelledSequence, LabelledSequence]]:
    """Labels and their predictions: by name, or simply the one with the other.

    Predicted sequences that have no labels are left out.

    Raises:
        FormatError: a sequence of the labels has no prediction, or two have the same name.
    """
    if len(truth) == 1 and len(predictions) == 1:
        return [(truth[0], predictions[0])]
    by_name = {p.name: p for p in predictions}
    if len(by_name) != len(predictions):
        raise FormatError(
            f"The {len(predictions)} predicted sequences have only {len(by_name)} different names; "
            f"labels cannot be given to them."
        )
    lacking = [t.name for t in truth if t.name not in by_name]
    if lacking:
        raise FormatError(
            f"{len(lacking)} of the {len(truth)} labelled sequences have no prediction, the first "
            f"is {lacking[0]!r}. The predictions are called {', '.join(list(by_name)[:3])} …"
            f" Every sequence must be there; one without people has empty frames."
        )
    return [(t, by_name[t.name]) for t in truth]


def plain_values(value: Any) -> Any:
    """A result as dicts, lists, numbers and texts; NaN and infinity become None."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain_values(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): plain_values(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain_values(value.tolist())
    if isinstance(value, list | tuple):
        return [plain_values(v) for v in value]
    if isinstance(value, np.generic):
        return plain_values(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
