"""Fast video-pose metrics against plain loops over their rules, and against motmetrics."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from chronopose.bench._scenes import SceneSettings, make_pair
from chronopose.bench._slow_twin import (
    JOINTS,
    PlainPerson,
    distance,
    plain_frames,
    slow_ap,
    slow_tracking,
)
from chronopose.core.labels import LabelledSequence
from chronopose.core.skeletons import POSETRACK15
from chronopose.io.posetrack import read_posetrack
from chronopose.metrics.hota import ALPHAS, KeypointHOTA
from chronopose.metrics.posetrack_map import PoseTrackAP
from chronopose.metrics.tracking import BoxTracking, PoseTracking

Pair = tuple[LabelledSequence, LabelledSequence]
SMALL = SceneSettings(frames=14, people=4, regions=0.5, swaps=0.15, empty_frames=0.08)
CROWDED = SceneSettings(
    frames=10, people=8, room=(40, 30), body=0.3, noise=0.3, missed_people=0.2,
    false_people=0.3, swaps=0.4, regions=0.3,
)  # fmt: skip
LAZY = SceneSettings(
    frames=12, people=3, unlabelled_frames=0.3, empty_frames=0.3, never=("nose", "left_knee")
)
WORLDS = {"small": SMALL, "crowded": CROWDED, "lazy": LAZY}
RULES = "posetrack18"
MODES = list(itertools.product((RULES, "posetrack21"), ("poseval", "fixed")))


def pairs(world: str, seed: int, count: int = 2) -> list[Pair]:
    return [make_pair(1000 * seed + i, WORLDS[world]) for i in range(count)]


def same(own: Any, other: dict[str, float]) -> None:
    assert set(own) == set(other)
    left, right = ([values[j] for j in JOINTS] for values in (own, other))
    np.testing.assert_allclose(left, right, rtol=0, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize(("rules", "compat"), MODES)
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("seed", range(3))
def test_average_precision_is_that_of_plain_loops(
    world: str, seed: int, rules: Any, compat: Any
) -> None:
    metric = PoseTrackAP(rules=rules, compat=compat)
    for truth, found in pairs(world, seed):
        metric.update(truth, found)
    same(metric.compute().ap, slow_ap(pairs(world, seed), rules, compat))


@pytest.mark.parametrize(("rules", "compat"), MODES)
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("seed", range(3))
def test_tracking_is_that_of_plain_loops(world: str, seed: int, rules: Any, compat: Any) -> None:
    metric = PoseTracking(rules=rules, compat=compat)
    for truth, found in pairs(world, seed):
        metric.update(truth, found)
    result = metric.compute()
    plain = slow_tracking(pairs(world, seed), rules, compat)
    for name in ("mota", "motp", "precision", "recall"):
        same(getattr(result, name), plain[name])


def test_the_worlds_hold_every_kind_of_trouble() -> None:
    frames = [
        (label, found)
        for world in WORLDS
        for truth, predictions in pairs(world, 0)
        for label, found in zip(truth, predictions, strict=True)
    ]
    scores = np.concatenate([found.score[found.known] for _, found in frames])
    assert any(not label.labelled for label, _ in frames)
    assert any(label.labelled and not len(label) for label, _ in frames)
    assert any(len(label) and not len(found) for label, found in frames)
    assert any(label.ignore for label, _ in frames)
    assert np.isnan(scores).any() and len(np.unique(scores)) < len(scores) / 2
    metric = PoseTracking(compat="fixed")
    for pair in pairs("crowded", 0):
        metric.update(*pair)
    counts = metric.compute().counts["right_wrist"]
    assert min(counts.values()) > 0


def test_in_the_crowd_several_people_are_within_reach() -> None:
    frames = [f for s in range(3) for p in pairs("crowded", s) for f in plain_frames(*p, RULES)]
    near = [
        sum(distance(label, person, "right_wrist") <= 0.5 for person in found
            if "right_wrist" in person.points)
        for labels, found in frames for label in labels if "right_wrist" in label.points
    ]  # fmt: skip
    assert sum(n > 1 for n in near) > len(near) / 5


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("seed", range(3))
def test_joint_tracking_is_that_of_motmetrics(world: str, seed: int) -> None:
    motmetrics = pytest.importorskip("motmetrics", reason="motmetrics is not installed")
    truth, found = pairs(world, seed, 1)[0]
    metric = PoseTracking(compat="fixed")
    metric.update(truth, found)
    result = metric.compute()
    frames = plain_frames(truth, found, RULES)
    for joint in JOINTS[::4]:
        seen = _accumulated(motmetrics, joint, frames)
        own = result.counts[joint]
        for ours, theirs in (
            ("objects", "num_objects"), ("matches", "num_detections"), ("misses", "num_misses"),
            ("false_positives", "num_false_positives"), ("switches", "num_switches"),
        ):  # fmt: skip
            assert own[ours] == seen[theirs], (joint, ours)
        if own["objects"]:
            assert result.mota[joint] == pytest.approx(100 * seen["mota"], abs=1e-6)
            assert result.idf1[joint] == pytest.approx(100 * seen["idf1"], abs=1e-6)
            assert result.motp[joint] == pytest.approx(100 * (1 - seen["motp"]), abs=1e-6)


def _accumulated(
    motmetrics: Any, joint: str, frames: list[tuple[list[PlainPerson], list[PlainPerson]]]
) -> dict[str, float]:
    book = motmetrics.MOTAccumulator(auto_id=True)
    for labels, found in frames:
        rows = [p for p in labels if joint in p.points]
        columns = [p for p in found if joint in p.points]
        cost = np.array([[distance(r, c, joint) for c in columns] for r in rows])
        cost = np.where(cost <= 0.5, cost, np.nan).reshape(len(rows), len(columns))
        book.update([p.track for p in rows], [p.track for p in columns], cost)
    names = [
        "num_objects", "num_detections", "num_misses", "num_false_positives", "num_switches",
        "mota", "motp", "idf1",
    ]  # fmt: skip
    return motmetrics.metrics.create().compute(book, metrics=names, return_dataframe=False)


@pytest.mark.parametrize("seed", range(4))
def test_box_tracking_is_that_of_motmetrics(seed: int) -> None:
    motmetrics = pytest.importorskip("motmetrics", reason="motmetrics is not installed")
    # Frames marked as unlabelled are dropped here; regions have rules of their own.
    settings = SceneSettings(frames=20, people=5, noise=0.5, swaps=0.3, regions=0.0)
    truth, found = (_shaken_boxes(s, seed) for s in make_pair(seed, settings))
    metric = BoxTracking()
    metric.update(truth, found)
    result = metric.compute()
    book = motmetrics.MOTAccumulator(auto_id=True)
    for label, guess in zip(truth, found, strict=True):
        if label.labelled:
            iou = np.array([[_iou(a, b) for b in guess.boxes] for a in label.boxes])
            cost = np.where(iou >= 0.5, 1 - iou, np.nan).reshape(len(label), len(guess))
            book.update(label.ids.tolist(), guess.ids.tolist(), cost)
    names = ["num_switches", "mota", "motp", "idf1"]
    seen = motmetrics.metrics.create().compute(book, metrics=names, return_dataframe=False)
    assert result.counts["switches"] == seen["num_switches"] > 0
    assert result.mota == pytest.approx(100 * seen["mota"], abs=1e-6)
    assert result.motp == pytest.approx(100 * (1 - seen["motp"]), abs=1e-6)
    assert result.idf1 == pytest.approx(100 * seen["idf1"], abs=1e-6)


def _shaken_boxes(sequence: LabelledSequence, seed: int) -> LabelledSequence:
    dice = np.random.default_rng(seed + len(sequence.frames[0].boxes))
    frames = [replace(f, boxes=f.boxes + dice.normal(0, 8, f.boxes.shape)) for f in sequence]
    return replace(sequence, frames=tuple(frames))


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    overlap = max(width, 0) * max(height, 0)
    return overlap / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - overlap)


@pytest.mark.parametrize("compat", ["fixed", "posetrack21"])
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("seed", range(2))
def test_hota_is_that_of_plain_loops(world: str, seed: int, compat: Any) -> None:
    truth, found = pairs(world, seed, 1)[0]
    metric = KeypointHOTA(compat=compat)
    metric.update(truth, found)
    result = metric.compute()
    frames = plain_frames(truth, found, "posetrack21")
    for joint in ("nose", "right_wrist", "left_ankle"):
        plain = _slow_hota(joint, frames, published=compat == "posetrack21")
        own = [getattr(result, n)[joint] for n in ("hota", "fa_hota", "det_a", "ass_a", "frag_a")]
        if compat == "fixed" and not any(joint in p.points for f in frames for p in f[0]):
            plain = [np.nan] * 5
        np.testing.assert_allclose(own, plain, rtol=0, atol=1e-6, equal_nan=True)


def _slow_hota(
    joint: str, frames: list[tuple[list[PlainPerson], list[PlainPerson]]], *, published: bool
) -> list[float]:
    sides = [[p for f in frames for p in f[side] if joint in p.points] for side in (0, 1)]
    sizes = [{t: sum(p.track == t for p in s) for t in {p.track for p in s}} for s in sides]
    rows = []
    for alpha in ALPHAS:
        tp = fn = fp = 0
        runs: list[list[Any]] = []
        current: dict[int, list[Any]] = {}
        for labels, found in frames:
            if published and not labels:
                fp += len(sides[1])
                continue
            if published and not found:
                fn += len(sides[0])
                continue
            own = [p for p in labels if joint in p.points]
            other = [p for p in found if joint in p.points]
            alike = np.zeros((len(own), len(other)))
            for (g, a), (p, b) in itertools.product(enumerate(own), enumerate(other)):
                alike[g, p] = max(0.0, 1 - distance(a, b, joint) / 0.5001)
            chosen = linear_sum_assignment(alike, maximize=True)
            matches = [(own[g], other[p]) for g, p in zip(*chosen, strict=True)
                       if alike[g, p] >= alpha - np.finfo(float).eps]  # fmt: skip
            tp, fn, fp = tp + len(matches), fn + len(own), fp + len(other)
            fn, fp = fn - len(matches), fp - len(matches)
            for a, b in matches:
                run = current.get(a.track)
                if run is None or run[1] != b.track:
                    run = [a.track, b.track, 0]
                    runs.append(run)
                    current[a.track] = run
                run[2] += 1
        together: dict[tuple[int, int], int] = {}
        for a, b, length in runs:
            together[a, b] = together.get((a, b), 0) + length
        union = {(a, b): sizes[0][a] + sizes[1][b] - n for (a, b), n in together.items()}
        ass = sum(n * n / union[k] for k, n in together.items()) / max(tp, 1)
        frag = sum(n * n / union[a, b] for a, b, n in runs) / max(tp, 1)
        det = tp / max(tp + fn + fp, 1)
        rows.append([np.sqrt(det * ass), np.sqrt(det * np.sqrt(ass * frag)), det, ass, frag])
    return (100 * np.mean(rows, axis=0)).tolist()


@pytest.mark.data
def test_official_frames_given_as_predictions_score_a_hundred(shared_data: Path) -> None:
    folder = shared_data / "posetrack18" / "annotations" / "val"
    if not folder.is_dir():
        pytest.skip("needs real data: shared/data/posetrack18")
    sequences = [s for file in sorted(folder.glob("*.json")) for s in read_posetrack(file)]
    assert sum(len(f) for s in sequences for f in s) == 14
    ap, kit = PoseTrackAP(), PoseTrackAP(POSETRACK15, rules="posetrack21")
    tracking, hota = PoseTracking(compat="fixed"), KeypointHOTA()
    for truth in sequences:
        for metric in (ap, kit, tracking, hota):
            metric.update(truth, truth)
    assert ap.compute().groups == pytest.approx(dict.fromkeys(ap.compute().groups, 100.0))
    assert kit.compute().total == pytest.approx(100)
    assert tracking.compute().groups == pytest.approx(dict.fromkeys(ap.compute().groups, 100.0))
    assert hota.compute().total == pytest.approx(dict.fromkeys(hota.compute().total, 100.0))
