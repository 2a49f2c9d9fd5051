"""PoseTrack AP and MOTA once more, word by word from their rules and without any cleverness.

Everything is a loop over people and joints. It is what the fast metrics are measured and checked
against, so it shares no code with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeletons import POSETRACK15_POSEVAL

JOINTS = POSETRACK15_POSEVAL.joints
Pairs = Iterable[tuple[LabelledSequence, LabelledSequence]]


@dataclass
class PlainPerson:
    """One person as a dictionary of points."""

    points: dict[str, Any]
    """Joint -> x and y, pixels."""
    scores: dict[str, float]
    head_size: float
    track: int


def plain_frames(
    truth: LabelledSequence, predictions: LabelledSequence, rules: str
) -> list[tuple[list[PlainPerson], list[PlainPerson]]]:
    """Labelled and predicted people of the frames that count, after the preparation of the rules.

    Args:
        truth: Labels.
        predictions: The same frames in the same order, in a skeleton with the 15 joints.
        rules: ``"posetrack18"`` or ``"posetrack21"``.
    """
    frames = []
    for label, found in zip(truth.frames, predictions.frames, strict=True):
        if rules == "posetrack18" and len(label) == 0:
            continue
        if rules == "posetrack21" and not label.labelled:
            continue
        sides = []
        for frame in (label, found):
            people = []
            for row in range(len(frame)):
                person = _person(frame, row, label.ignore, rules)
                if person.points:
                    people.append(person)
            sides.append(people)
        frames.append((sides[0], sides[1]))
    return frames


def _person(frame: LabelledFrame, row: int, ignore: Sequence[Any], rules: str) -> PlainPerson:
    points, scores = {}, {}
    for joint in JOINTS:
        column = frame.skeleton.joints.index(joint)
        if frame.visibility[row, column] == 0:
            continue
        x, y = frame.xy[row, column]
        if rules == "posetrack21" and not (x > 0 and y > 0):
            continue
        if any(inside(x, y, polygon) for polygon in ignore):
            continue
        points[joint] = (x, y)
        score = frame.score[row, column]
        scores[joint] = -9999.0 if np.isnan(score) else score
    x1, y1, x2, y2 = frame.head_boxes[row]
    size = 0.6 * float(np.linalg.norm(np.subtract((x2, y2), (x1, y1))))
    return PlainPerson(points, scores, size, int(frame.ids[row]))


def inside(x: float, y: float, polygon: Any) -> bool:
    """Whether a point is inside a polygon; the boundary is outside."""
    crossings = 0
    for number in range(len(polygon)):
        (ax, ay), (bx, by) = polygon[number], polygon[(number + 1) % len(polygon)]
        side = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        if side == 0 and min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
            return False
        if (ay > y) != (by > y) and (side > 0) == (by > ay):
            crossings += 1
    return crossings % 2 == 1


def distance(label: PlainPerson, found: PlainPerson, joint: str) -> float:
    """Between a joint that both have, in head sizes; infinite where the head has no size."""
    if label.head_size == 0:
        return float("inf")
    step = np.subtract(label.points[joint], found.points[joint])
    return float(np.linalg.norm(step) / label.head_size)


def slow_ap(pairs: Pairs, rules: str = "posetrack18", compat: str = "poseval") -> dict[str, float]:
    """Joint -> average precision, percent, over all sequences."""
    scores: dict[str, list[float]] = {joint: [] for joint in JOINTS}
    hits: dict[str, list[bool]] = {joint: [] for joint in JOINTS}
    labelled = dict.fromkeys(JOINTS, 0)
    for truth, predictions in pairs:
        for labels, found in plain_frames(truth, predictions, rules):
            for label in labels:
                for joint in label.points:
                    labelled[joint] += 1
            owner = _assign(labels, found)
            for number, person in enumerate(found):
                for joint in person.points:
                    right = False
                    own = owner[number]
                    if own is not None and joint in own.points:
                        right = distance(own, person, joint) <= 0.5
                    scores[joint].append(person.scores[joint])
                    hits[joint].append(right)
    ap = {}
    for joint in JOINTS:
        count: float = labelled[joint]
        if rules == "posetrack21" and compat == "poseval":
            count = max(count, 1)
        ap[joint] = _area(scores[joint], hits[joint], count)
        if compat == "fixed" and labelled[joint] == 0:
            ap[joint] = float("nan")
    return ap


def _assign(labels: list[PlainPerson], found: list[PlainPerson]) -> list[PlainPerson | None]:
    """The label of each prediction."""
    share = [[0.0] * len(labels) for _ in found]
    for p, person in enumerate(found):
        for g, label in enumerate(labels):
            matched = 0
            for joint in JOINTS:
                both = joint in label.points and joint in person.points
                if both and distance(label, person, joint) <= 0.5:
                    matched += 1
            share[p][g] = matched / len(label.points)
    for p in range(len(found)):
        if labels:
            best = share[p].index(max(share[p]))
            share[p] = [share[p][g] if g == best else 0.0 for g in range(len(labels))]
    owner: list[PlainPerson | None] = [None] * len(found)
    for g in range(len(labels)):
        column = [share[p][g] for p in range(len(found))]
        if column and max(column) > 0:
            owner[column.index(max(column))] = labels[g]
    return owner


def _area(scores: list[float], hits: list[bool], labelled: float) -> float:
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    recall, precision, right = [0.0], [0.0], 0
    for rank, number in enumerate(order):
        if hits[number]:
            right += 1
        recall.append(right / labelled if labelled else float("nan"))
        precision.append(right / (rank + 1))
    recall.append(1.0)
    precision.append(0.0)
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    area = 0.0
    for i in range(1, len(recall)):
        area += (recall[i] - recall[i - 1]) * precision[i]
    return 100 * area


def slow_tracking(
    pairs: Pairs, rules: str = "posetrack18", compat: str = "poseval"
) -> dict[str, dict[str, float]]:
    """``mota``, ``motp``, ``precision`` and ``recall`` of every joint, percent."""
    names = ("objects", "predicted", "matches", "switches", "distance")
    sums = {joint: dict.fromkeys(names, 0.0) for joint in JOINTS}
    for truth, predictions in pairs:
        frames = plain_frames(truth, predictions, rules)
        if compat == "poseval":
            frames = frames[:-1]
        for joint in JOINTS:
            _track_joint(joint, frames, sums[joint], dummies=compat == "poseval")
    values: dict[str, dict[str, float]] = {n: {} for n in ("mota", "motp", "precision", "recall")}
    for joint, s in sums.items():
        missed, wrong = s["objects"] - s["matches"], s["predicted"] - s["matches"]
        objects = s["objects"] or float("nan")
        values["mota"][joint] = 100 * (1 - (missed + wrong + s["switches"]) / objects)
        values["recall"][joint] = 100 * s["matches"] / objects
        values["precision"][joint] = 100 * s["matches"] / (s["predicted"] or float("nan"))
        nothing = 100.0 if compat == "poseval" else float("nan")
        mean = 100 * s["distance"] / s["matches"] if s["matches"] else nothing
        values["motp"][joint] = 100 - mean
        if compat == "fixed" and not s["objects"]:
            for of_joint in values.values():
                of_joint[joint] = float("nan")
    return values


def _track_joint(
    joint: str,
    frames: list[tuple[list[PlainPerson], list[PlainPerson]]],
    sums: dict[str, float],
    *,
    dummies: bool,
) -> None:
    last: dict[int, int] = {}
    for labels, found in frames:
        if dummies and not (labels and found):
            sums["objects"] += 1
            sums["predicted"] += 1
            continue
        rows = [person for person in labels if joint in person.points]
        columns = [person for person in found if joint in person.points]
        sums["objects"] += len(rows)
        sums["predicted"] += len(columns)
        cost = np.full((len(rows), len(columns)), np.inf)
        for r, label in enumerate(rows):
            for c, person in enumerate(columns):
                d = distance(label, person, joint)
                if d <= 0.5:
                    cost[r, c] = d
        for r, c in _correspond(rows, columns, cost, last):
            own, other = rows[r].track, columns[c].track
            sums["matches"] += 1
            sums["distance"] += cost[r, c]
            sums["switches"] += own in last and last[own] != other
            last[own] = other


def _correspond(
    rows: list[PlainPerson], columns: list[PlainPerson], cost: Any, last: dict[int, int]
) -> list[tuple[int, int]]:
    """Pairs of one frame: first the ones of before, then as many and as near as possible."""
    pairs: list[tuple[int, int]] = []
    for r, label in enumerate(rows):
        for c, person in enumerate(columns):
            used = any(c == other for _, other in pairs)
            if last.get(label.track) == person.track and cost[r, c] < np.inf and not used:
                pairs.append((r, c))
    left = cost.copy()
    for r, c in pairs:
        left[r, :] = np.inf
        left[:, c] = np.inf
    if not (left < np.inf).any():
        return pairs
    far = 10.0 * (len(rows) + len(columns))
    chosen = linear_sum_assignment(np.where(left < np.inf, left, far))
    for r, c in zip(*chosen, strict=True):
        if left[r, c] < np.inf:
            pairs.append((int(r), int(c)))
    return pairs
