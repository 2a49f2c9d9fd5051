"""Score joints in space: performances against measured ones, by the name of a metric.

The metrics are in ``metrics/``. Here predictions find their performance, both sides get the same
joints and the same unit, and what cannot be compared is refused: another number of frames, another
space, a unit that its file is wrong about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import HUMANEVA15
from chronopose.engine.score import NamedMetric, Score, check_options, find_metric, plain_values
from chronopose.errors import FormatError, SkeletonMismatch, UsageError
from chronopose.io.motion import Camera, Motion3D
from chronopose.metrics.mpi_inf_3dhp import JOINT_GROUPS, PCK3D, UNCOUNTED
from chronopose.metrics.mpjpe import COLUMNS, MPJPE

Floats = NDArray[np.float64]

MM = {"m": 1000.0, "mm": 1.0}
"""Millimetres in a unit."""
IMPLAUSIBLE = 50.0
"""Predicted people this many times larger or smaller than measured ones have another unit."""
ANY_SPACE = ("p-mpjpe",)
"""Metrics that turn predictions before they measure, so that axes may differ."""
ANY_SCALE = ("p-mpjpe", "n-mpjpe")
"""Metrics that scale predictions before they measure, so that units may be anything."""


@dataclass(frozen=True)
class Compared:
    """A prediction and its labels, ready to be measured.

    Args:
        labels: What was measured; its names name the rows of a table.
        pred_mm: ``(F, K, 3)`` mm, in the labels' joints.
        true_mm: ``(F, K, 3)`` mm.
    """

    labels: Motion3D
    pred_mm: Floats
    true_mm: Floats

    def runs(self) -> Iterator[slice]:
        """Neighbouring frames that are to be scored."""
        edges = np.flatnonzero(np.diff(np.r_[0, np.asarray(self.labels.valid, np.int8), 0]))
        for start, end in edges.reshape(-1, 2).tolist():
            yield slice(start, end)


class ActionErrors:
    """MPJPE and its relatives of performances, a row for each action.

    Args:
        skeleton: Joints of the labels.
        columns: Which of :data:`~chronopose.metrics.mpjpe.COLUMNS` are wanted.
        root: Joint that is subtracted; ``"none"`` takes coordinates as they are.
        count_root: 1 counts the root with its error of 0 among the joints, 0 leaves it out.
        rows: ``"action"`` pools the subjects, ``"subject"`` has a row for each subject and action;
            by default as papers on the data set do (HumanEva: subject).

    Raises:
        UsageError: the skeleton has no such root, or rows are something else.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        columns: Sequence[str] = COLUMNS,
        *,
        root: str = "pelvis",
        count_root: int = 1,
        rows: str = "",
    ) -> None:
        self._columns = columns
        self._rows = rows or ("subject" if skeleton.joints == HUMANEVA15.joints else "action")
        if self._rows not in ("action", "subject"):
            raise UsageError(f"rows is 'action' or 'subject'; got {rows!r}.")
        _check_root(root, skeleton)
        own = None if root == "none" else root
        self._metric = MPJPE(skeleton, own, count_root=bool(count_root))

    def update(self, pair: Compared) -> None:
        """Add a performance."""
        labels = pair.labels
        row = labels.action or labels.subject or "all"
        if self._rows == "subject" and labels.subject:
            row = f"{labels.subject}/{row}"
        for run in pair.runs():
            self._metric.update(pair.pred_mm[run], pair.true_mm[run], row)

    def compute(self) -> Any:
        """The wanted columns of everything added so far."""
        return self._metric.compute().only(self._columns)


class SubjectPCK:
    """3DPCK and its AUC of performances, a row for each subject (3DHP: for each sequence).

    Args:
        skeleton: Joints of the labels; those without a group in the table are not counted.
        columns: Columns of the table; empty for all.
        root: Joint that is subtracted; ``"none"`` takes coordinates as they are.

    Raises:
        UsageError: the skeleton has no such root.
    """

    def __init__(
        self, skeleton: Skeleton, columns: Sequence[str] = (), *, root: str = "pelvis"
    ) -> None:
        _check_root(root, skeleton)
        grouped = {j for joints in JOINT_GROUPS.values() for j in joints}
        loose = [j for j in skeleton.joints if j not in grouped]
        self._columns = columns
        self._metric = PCK3D(skeleton, None if root == "none" else root, (*UNCOUNTED, *loose))

    def update(self, pair: Compared) -> None:
        """Add a performance."""
        labels = pair.labels
        row = labels.subject or labels.action or "all"
        self._metric.update(pair.pred_mm, pair.true_mm, row, np.asarray(labels.valid))

    def compute(self) -> Any:
        """Everything added so far."""
        return self._metric.compute().only(self._columns)


def _check_root(root: str, skeleton: Skeleton) -> None:
    if root != "none" and root not in skeleton:
        raise UsageError(
            f"The labels are {skeleton.name!r} and have no joint {root!r} to measure from. Name "
            f"another with root=JOINT, or root=none for coordinates as they are."
        )


def _errors(*columns: str) -> Callable[..., ActionErrors]:
    return lambda skeleton, **options: ActionErrors(skeleton, columns, **options)


def _correct(*columns: str) -> Callable[..., SubjectPCK]:
    return lambda skeleton, **options: SubjectPCK(skeleton, columns, **options)


_ROWS = ("root", "count_root", "rows")

METRICS_3D: dict[str, NamedMetric] = {
    "mpjpe": NamedMetric(
        told="3D errors in mm by action: protocols 1, 2 and 3, and velocity",
        make=_errors(*COLUMNS), options=_ROWS,
    ),
    "p-mpjpe": NamedMetric(
        told="3D errors after the best scale, rotation and translation: protocol 2",
        make=_errors("P-MPJPE"), options=_ROWS,
    ),
    "n-mpjpe": NamedMetric(
        told="3D errors after the best scale: protocol 3", make=_errors("N-MPJPE"), options=_ROWS,
    ),
    "mpjve": NamedMetric(
        told="errors of 3D steps between frames", make=_errors("MPJVE"), options=_ROWS,
    ),
    "pck3d": NamedMetric(
        told="3D joints within 150 mm, its AUC and MPJPE, as MPI-INF-3DHP has them",
        make=_correct(), options=("root",),
    ),
    "auc3d": NamedMetric(
        told="area under the curve of 3DPCK, 0 to 150 mm", make=_correct("AUC"), options=("root",),
    ),
}  # fmt: skip
"""Name -> metric of joints in space."""


def score_3d(
    predictions: Sequence[Motion3D],
    truth: Sequence[Motion3D],
    metric: str,
    *,
    cameras: Mapping[str, Camera] | None = None,
    subjects: Sequence[str] = (),
    **options: Any,
) -> Score:
    """Score joints in space.

    Args:
        predictions: Predicted performances, in any order and either unit.
        truth: Measured ones; every one needs its prediction.
        metric: A name of :data:`METRICS_3D`.
        cameras: Name -> camera; labels in the room are looked at from every one of their subject's,
            see :func:`through_cameras`.
        subjects: Whose labels count; everybody's if empty.
        **options: Options of the metric, e.g. ``count_root=0``.

    Returns:
        The table, plain values, and a row of values for each performance.

    Raises:
        UsageError: there is no such metric or option.
        FormatError: a performance has no prediction, or the two differ in frames, space or scale.
        SkeletonMismatch: the predictions lack joints of the labels.
    """
    named = find_metric(metric, METRICS_3D)
    check_options(metric, named, options)
    wanted = [m for m in truth if not subjects or m.subject in subjects]
    absent = [s for s in subjects if s not in {m.subject for m in truth}]
    if absent or not wanted:
        people = ", ".join(dict.fromkeys(m.subject for m in truth)) or "nobody"
        raise FormatError(f"The labels have no subject {', '.join(absent)}; they have {people}.")
    if cameras is not None:
        wanted = through_cameras(wanted, cameras)
    skeletons = {m.skeleton.joints for m in wanted}
    if len(skeletons) > 1:
        raise SkeletonMismatch(f"The labels have {len(skeletons)} lists of joints; score them one "
                               f"by one.")  # fmt: skip
    pairs = [
        compare(found, labels, any_space=metric in ANY_SPACE, any_scale=metric in ANY_SCALE)
        for labels, found in pair_performances(predictions, wanted)
    ]
    whole, rows = named.make(wanted[0].skeleton, **options), []
    for pair in pairs:
        alone = named.make(pair.labels.skeleton, **options)
        whole.update(pair)
        alone.update(pair)
        rows.append({"name": name_of(pair.labels), **plain_values(alone.compute())})
    result = whole.compute()
    return Score(
        metric=metric, table=str(result), values=plain_values(result), sequences=tuple(rows)
    )


def name_of(motion: Motion3D) -> str:
    """Subject, action and camera, as far as there are any."""
    return " ".join(p for p in (motion.subject, motion.action, motion.camera) if p)


def through_cameras(motions: Sequence[Motion3D], cameras: Mapping[str, Camera]) -> list[Motion3D]:
    """Performances in the room as each camera sees them: camera axes, metres.

    Args:
        motions: In the room; one in camera axes stays as it is.
        cameras: ``"SUBJECT CAMERA"`` -> camera, as
            :func:`~chronopose.io.motion.read_cameras` reads those of Human3.6M.

    Raises:
        FormatError: a subject has no camera, or nobody knows where it stands.
    """
    found = []
    for motion in motions:
        if motion.space == "camera":
            found.append(motion)
            continue
        own = {n.removeprefix(f"{motion.subject} "): c for n, c in cameras.items()
               if n.startswith(f"{motion.subject} ")}  # fmt: skip
        if not own:
            raise FormatError(
                f"There is no camera of {motion.subject!r}; there are {', '.join(cameras)[:200]}."
            )
        metres = motion.xyz.astype(np.float64) * (MM[motion.units] / 1000.0)
        for name, camera in own.items():
            xyz = camera.to_camera(metres).astype(np.float32)
            found.append(replace(motion, xyz=xyz, units="m", space="camera", camera=name))
    return found


def pair_performances(
    predictions: Sequence[Motion3D], truth: Sequence[Motion3D]
) -> list[tuple[Motion3D, Motion3D]]:
    """Labels and their predictions, by subject, action and camera, or simply the one and the other.

    Where one side does not name cameras, subject and action decide. Predictions that have no labels
    are left out.

    Raises:
        FormatError: a performance has no prediction, or more than one.
    """
    if len(truth) == 1 and len(predictions) == 1:
        return [(truth[0], predictions[0])]
    named = all(m.camera for m in truth) and all(m.camera for m in predictions)

    def key(motion: Motion3D) -> tuple[str, ...]:
        camera = (motion.camera,) if named else ()
        return (motion.subject, motion.action, *camera)

    by_key: dict[tuple[str, ...], Motion3D] = {}
    for side in (truth, predictions):
        by_key = {key(m): m for m in side}
        if len(by_key) != len(side):
            whose = "labels" if side is truth else "predictions"
            what = "subject, action and camera" if named else "subject and action"
            raise FormatError(
                f"The {len(side)} {whose} have only {len(by_key)} different names ({what}), so "
                f"predictions cannot be given to labels. Name every performance, and cameras on "
                f"both sides or on none."
            )
    lacking = [m for m in truth if key(m) not in by_key]
    if lacking:
        near = ", ".join(name_of(m) for m in predictions[:3])
        raise FormatError(
            f"{len(lacking)} of the {len(truth)} labelled performances have no prediction, the "
            f"first is {name_of(lacking[0])!r}. The predictions are called {near} … To score some "
            f"people alone, name them: subjects=S9,S11."
        )
    return [(m, by_key[key(m)]) for m in truth]


def compare(
    found: Motion3D, labels: Motion3D, *, any_space: bool = False, any_scale: bool = False
) -> Compared:
    """Bring a prediction into the joints and the unit of its labels.

    Args:
        found: The prediction.
        labels: What was measured.
        any_space: Whether the axes may differ, for metrics that turn predictions first.
        any_scale: Whether the sizes may differ, for metrics that scale predictions first.

    Raises:
        SkeletonMismatch: the prediction lacks joints of the labels.
        FormatError: the two differ in frames, space or scale, or a predicted frame is not finite.
    """
    name = name_of(labels) or "the performance"
    plan = found.skeleton.map_to(labels.skeleton, approximate=False)
    if plan.missing:
        raise SkeletonMismatch(
            f"{name}: cannot score {found.skeleton.name!r} joints against {labels.skeleton.name!r} "
            f"labels: no {', '.join(plan.missing)}. 3D errors take no joint that is made from "
            f"others; predict these, or convert the labels to fewer joints."
        )
    if len(found) != len(labels):
        raise FormatError(
            f"{name} has {len(labels)} labelled frames and {len(found)} predicted ones. Predict "
            f"every frame, in order."
        )
    if found.space != labels.space and not any_space:
        raise FormatError(
            f"{name}: the labels are in {_axes(labels.space)} and the predictions in "
            f"{_axes(found.space)}. Give the cameras (cameras=cameras.pkl turns labels in the room "
            f"into camera axes), or measure p-mpjpe, which turns predictions first."
        )
    chosen = plan.weights.argmax(1)
    pred = found.xyz[:, chosen].astype(np.float64) * MM[found.units]
    true = labels.xyz.astype(np.float64) * MM[labels.units]
    valid = np.asarray(labels.valid)
    lost = valid & ~(np.isfinite(pred).all((1, 2)) & np.asarray(found.valid))
    if lost.any():
        raise FormatError(
            f"{name}: {int(lost.sum())} of {int(valid.sum())} frames to be scored have no whole "
            f"prediction, the first is frame {int(np.flatnonzero(lost)[0])}. Fill the gaps first; "
            f"a frame that is left out would be a better number than was measured."
        )
    if not any_scale:
        _check_scale(pred[valid], true[valid], found.units, name)
    return Compared(labels, pred, true)


def _axes(space: Literal["world", "camera"]) -> str:
    return "the axes of the room" if space == "world" else "the axes of a camera"


def _check_scale(pred: Floats, true: Floats, units: str, name: str) -> None:
    """Refuse people of another order of magnitude; one without any size may be a bad prediction."""
    sizes = [float(np.sqrt(((s - s.mean(1, keepdims=True)) ** 2).mean())) if len(s) else 0.0
             for s in (pred, true)]  # fmt: skip
    if not all(sizes):
        return
    ratio = sizes[0] / sizes[1]
    if not 1 / IMPLAUSIBLE < ratio < IMPLAUSIBLE:
        raise FormatError(
            f"{name}: predicted people are {ratio:.3g} times as large as measured ones, so the "
            f"predictions are hardly in {units}, as their file says. Correct its units."
        )
