"""Speed of the metrics: PoseTrack AP and MOTA against plain loops, OKS AP against its rival.

Both sides see the same made-up people in one run, and must agree.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chronopose.bench._scenes import SIZE, SceneSettings, make_pair, make_pictures
from chronopose.bench._slow_twin import slow_ap, slow_tracking
from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.errors import ChronoposeError, UsageError
from chronopose.metrics.posetrack_map import PoseTrackAP, PoseTrackAPResult
from chronopose.metrics.tracking import PoseTracking, PoseTrackingResult

AGREEMENT = 1e-6
"""Largest difference between two ways to the same number, percentage points."""


@dataclass(frozen=True, kw_only=True)
class PoseTrackReport:
    """PoseTrack AP and MOTA of many sequences, and a sample of them by plain loops."""

    sequences: int
    labels: int
    """Labelled poses."""
    predictions: int
    """Predicted poses."""
    seconds: float
    """AP and tracking of everything, without making it up; by the clock."""
    processor_s: float
    """The same in processor time."""
    sample: int
    """Sequences that the plain loops scored as well."""
    fast_s: float
    """The sample, processor time: others who share the machine do not count."""
    slow_s: float
    """The sample by plain loops, processor time."""
    difference: float
    """Largest difference between the two on the sample, percentage points."""

    @property
    def ratio(self) -> float:
        """How many times faster than plain loops."""
        return self.slow_s / self.fast_s

    def __str__(self) -> str:
        return "\n".join(
            [
                f"PoseTrack AP and tracking, {self.sequences} sequences, {self.labels} labelled "
                f"and {self.predictions} predicted poses: {self.seconds:.2f} s by the clock, "
                f"{self.processor_s:.2f} s of processor time",
                f"{'':22}{'chronopose':>12}{'plain loops':>12}{'ratio':>8}",
                f"{f'{self.sample} sequences, s':22}{self.fast_s:12.3f}{self.slow_s:12.2f}"
                f"{self.ratio:8.1f}",
                f"largest difference {self.difference:.1e} percentage points",
            ]
        )


@dataclass(frozen=True, kw_only=True)
class OKSReport:
    """OKS AP of many pictures here and with faster-coco-eval."""

    pictures: int
    people: int
    own_s: tuple[float, ...]
    """Time of every repetition, seconds."""
    rival_s: tuple[float, ...]
    difference: float
    """Between the two APs, percentage points."""

    @property
    def ratio(self) -> float:
        """Median over repetitions of the rival's time over ours."""
        pairs = zip(self.rival_s, self.own_s, strict=True)
        return statistics.median(r / o for r, o in pairs)

    def __str__(self) -> str:
        return "\n".join(
            [
                f"OKS AP, {self.pictures} pictures, {self.people} people, {len(self.own_s)} "
                f"repetitions by turns",
                f"{'':22}{'chronopose':>12}{'faster-coco-eval':>18}{'ratio':>8}",
                f"{'median, s':22}{statistics.median(self.own_s):12.3f}"
                f"{statistics.median(self.rival_s):18.3f}{self.ratio:8.2f}",
                f"difference {self.difference:.1e} percentage points",
            ]
        )


def bench_metrics(
    sequences: int = 170,
    *,
    sample: int = 3,
    pictures: int = 5000,
    repeats: int = 3,
    quiet: bool = False,
) -> tuple[PoseTrackReport, OKSReport | None]:
    """Time the metrics and compare them.

    Args:
        sequences: Made-up videos of 140 frames and about seven people.
        sample: How many of them the plain loops score too.
        pictures: Made-up pictures for OKS AP.
        repeats: Interleaved repetitions of OKS AP.
        quiet: Do not print the reports.

    Returns:
        Both reports; None for OKS AP where faster-coco-eval is not installed.

    Raises:
        UsageError: a number is below one.
        ChronoposeError: the two sides disagree.
    """
    if min(sequences, sample, pictures, repeats) < 1:
        raise UsageError(
            f"The benchmark needs at least one of each; got {sequences} sequences, a sample of "
            f"{sample}, {pictures} pictures and {repeats} repeats."
        )
    tracked = bench_posetrack(sequences, sample=sample)
    if not quiet:
        print(tracked, flush=True)
    found = bench_oks(pictures, repeats=repeats)
    if not quiet:
        print("OKS AP: faster-coco-eval is not installed" if found is None else found)
    return tracked, found


def bench_posetrack(
    sequences: int, *, sample: int = 3, settings: SceneSettings | None = None
) -> PoseTrackReport:
    """Time PoseTrack AP and tracking.

    Args:
        sequences: How many.
        sample: How many of them the plain loops score too.
        settings: What a sequence is like.

    Raises:
        ChronoposeError: the two sides disagree.
    """
    ap, tracking = PoseTrackAP(), PoseTracking()
    labels, predictions, spent = 0, 0, np.zeros(2)
    for number in range(sequences):
        pair = make_pair(number, settings)
        labels += sum(map(len, pair[0]))
        predictions += sum(map(len, pair[1]))
        spent += _update(ap, tracking, [pair])
    started = _clocks()
    ap.compute(), tracking.compute()
    spent += _clocks() - started
    few = [make_pair(number, settings) for number in range(min(sample, sequences))]
    # Once before and once after the loops, so that a busy machine slows both alike.
    before_s, ours = _score(few)
    started = _clocks()
    theirs = slow_ap(few), slow_tracking(few)
    slow_s = float((_clocks() - started)[1])
    fast_s = (before_s + _score(few)[0]) / 2
    return PoseTrackReport(
        sequences=sequences, labels=labels, predictions=predictions, seconds=float(spent[0]),
        processor_s=float(spent[1]), sample=len(few), fast_s=fast_s, slow_s=slow_s,
        difference=_agree(ours, theirs),
    )  # fmt: skip


Pair = tuple[LabelledSequence, LabelledSequence]


def _clocks() -> np.ndarray:
    """Time by the clock and of the processor, seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def _update(ap: PoseTrackAP, tracking: PoseTracking, pairs: Iterable[Pair]) -> np.ndarray:
    started = _clocks()
    for truth, found in pairs:
        ap.update(truth, found)
        tracking.update(truth, found)
    return _clocks() - started


def _score(pairs: list[Pair]) -> tuple[float, tuple[PoseTrackAPResult, PoseTrackingResult]]:
    started = _clocks()
    ap, tracking = PoseTrackAP(), PoseTracking()
    _update(ap, tracking, pairs)
    results = ap.compute(), tracking.compute()
    return float((_clocks() - started)[1]), results


def _agree(
    ours: tuple[PoseTrackAPResult, PoseTrackingResult],
    theirs: tuple[dict[str, float], dict[str, dict[str, float]]],
) -> float:
    """The largest difference."""
    columns = {"AP": (ours[0].ap, theirs[0])}
    columns |= {name: (getattr(ours[1], name), values) for name, values in theirs[1].items()}
    worst = 0.0
    for name, (own, other) in columns.items():
        pairs = np.array([(own[j], other[j]) for j in other])
        gaps = np.where(np.isnan(pairs).all(1), 0.0, np.abs(pairs[:, 0] - pairs[:, 1]))
        if not (gaps <= AGREEMENT).all():
            raise ChronoposeError(
                f"{name} of the fast metrics and of plain loops differ by {np.max(gaps)} "
                f"percentage points on made-up sequences: one of them is wrong."
            )
        worst = max(worst, float(gaps.max()))
    return worst


def bench_oks(pictures: int, *, repeats: int = 3) -> OKSReport | None:
    """Time OKS AP here and with faster-coco-eval, from records in memory to the numbers.

    Returns:
        None where faster-coco-eval is not installed.

    Raises:
        ChronoposeError: the two sides disagree.
    """
    try:
        import faster_coco_eval  # noqa: F401
    except ImportError:
        return None
    from chronopose.metrics.oks_ap import OKSAP

    truth, found = make_pictures(0, pictures)
    labels, results = coco_records(truth), coco_results(found)
    own_s, rival_s = [], []
    own = rival = float("nan")
    for _ in range(repeats):
        started = time.perf_counter()
        metric = OKSAP(truth.skeleton)
        metric.update(truth, found)
        own = metric.compute().scores["AP"]
        own_s.append(time.perf_counter() - started)
        started = time.perf_counter()
        rival = rival_ap(labels, results)
        rival_s.append(time.perf_counter() - started)
    if not abs(own - rival) <= AGREEMENT:
        raise ChronoposeError(
            f"OKS AP is {own} here and {rival} with faster-coco-eval on made-up pictures: one of "
            f"them is wrong."
        )
    return OKSReport(
        pictures=pictures, people=sum(map(len, truth)), own_s=tuple(own_s),
        rival_s=tuple(rival_s), difference=abs(own - rival),
    )  # fmt: skip


def coco_records(truth: LabelledSequence) -> dict[str, Any]:
    """Labels as the content of a COCO keypoint file."""
    annotations: list[dict[str, Any]] = []
    for frame in truth:
        for row in range(len(frame)):
            x1, y1, x2, y2 = frame.boxes[row].tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": frame.image_id,
                    "category_id": 1,
                    "keypoints": _triplets(frame, row, frame.visibility[row].astype(float)),
                    "num_keypoints": int(frame.known[row].sum()),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": float(frame.area[row]),
                    "iscrowd": int(frame.crowd[row]),
                }
            )
    joints = list(truth.skeleton.joints)
    return {
        "info": {},
        "images": [{"id": f.image_id, "width": SIZE[0], "height": SIZE[1]} for f in truth],
        "categories": [{"id": 1, "name": "person", "keypoints": joints, "skeleton": []}],
        "annotations": annotations,
    }


def coco_results(found: LabelledSequence) -> list[dict[str, Any]]:
    """Predictions as the content of a COCO result file."""
    return [
        {
            "image_id": frame.image_id,
            "category_id": 1,
            "keypoints": _triplets(frame, row, frame.score[row]),
            "score": float(frame.person_score[row]),
        }
        for frame in found
        for row in range(len(frame))
    ]


def _triplets(frame: LabelledFrame, row: int, third: np.ndarray) -> list[float]:
    values = np.concatenate([np.nan_to_num(frame.xy[row]), third[:, None]], axis=1)
    return [float(v) for v in values.ravel()]


def rival_ap(labels: dict[str, Any], results: list[dict[str, Any]]) -> float:
    """AP of faster-coco-eval, percent; it prints nothing."""
    from faster_coco_eval import COCO, COCOeval_faster

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(labels)
        evaluation = COCOeval_faster(truth, truth.loadRes(results), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return 100 * float(evaluation.stats[0])
