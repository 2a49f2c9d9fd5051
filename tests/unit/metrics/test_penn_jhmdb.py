"""PCK on Penn Action and J-HMDB: boxes, torsos, the belly and three kinds of mean."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.skeletons import JHMDB15, PENN13
from chronopose.errors import ShapeError, UsageError
from chronopose.metrics.penn_jhmdb import ActionPCK, mean_of_splits, with_belly

RNG = np.random.default_rng(0)
PENN, JHMDB = RNG.uniform(0, 300, (1, 13, 2)), RNG.uniform(0, 300, (1, 15, 2))
# The longer side is 100 px, so the bound is 20 px.
BOX = np.array([[0.0, 0.0, 100.0, 60.0]])
SEEN = np.ones((1, 13), bool)
PENN[0, PENN13.index("left_shoulder")] = 60, 0
PENN[0, PENN13.index("right_hip")] = 0, 80


def moved(truth: np.ndarray, **px: float) -> np.ndarray:
    """The truth with some joints moved down by so many pixels."""
    skeleton = PENN13 if truth.shape[1] == 13 else JHMDB15
    found = truth.copy()
    for joint, distance in px.items():
        found[0, skeleton.index(joint), 1] += distance
    return found


@pytest.mark.parametrize("normalise", ["bbox", "torso"])
def test_labels_as_predictions_score_a_hundred(normalise: str) -> None:
    penn = ActionPCK("penn", normalise=normalise)  # type: ignore[arg-type]
    penn.update(PENN, PENN, SEEN, BOX)
    jhmdb = ActionPCK("jhmdb", normalise=normalise)  # type: ignore[arg-type]
    jhmdb.update(JHMDB, JHMDB, boxes=BOX)
    for metric in (penn, jhmdb):
        result = metric.compute()
        assert (result.mean13, result.mean7, result.pooled13, result.pooled) == (100,) * 4


def test_bound_is_a_fifth_of_the_longer_side() -> None:
    metric = ActionPCK("penn")
    metric.update(moved(PENN, head=20.0, left_knee=20.01), PENN, SEEN, BOX)
    result = metric.compute()
    assert (result.per_joint["head"], result.per_joint["left_knee"]) == (100, 0)


def test_three_means_of_the_same_hits() -> None:
    # The head missed in one of one, a knee in one of two frames.
    visible = np.ones((2, 13), bool)
    visible[1, PENN13.index("head")] = False
    pred = np.concatenate([moved(PENN, head=99, left_knee=99), PENN])
    metric = ActionPCK("penn")
    metric.update(pred, np.repeat(PENN, 2, 0), visible, np.repeat(BOX, 2, 0))
    result = metric.compute()
    assert result.mean13 == pytest.approx(100 * 11.5 / 13)  # joints 0, 0.5 and 11 x 1
    assert result.mean7 == pytest.approx(100 * 5.75 / 7)  # groups 0, 0.75 and 5 x 1
    assert result.pooled13 == pytest.approx(100 * 23 / 25)  # 13 + 12 labels, two missed
    assert result.published == result.pooled13


def test_invisible_joints_of_penn_do_not_count_but_may_span_the_torso() -> None:
    visible = SEEN.copy()
    visible[0, [PENN13.index("left_shoulder"), PENN13.index("head")]] = False
    metric = ActionPCK("penn", normalise="torso")
    # The torso is 100 px although the shoulder is hidden.
    metric.update(moved(PENN, head=99, left_knee=20.0, right_knee=20.01), PENN, visible)
    result = metric.compute()
    assert result.counts["head"] == 0
    assert (result.per_joint["left_knee"], result.per_joint["right_knee"]) == (100, 0)


def test_torso_below_a_pixel_is_measured_on_the_prediction() -> None:
    truth = PENN.copy()
    shoulder, hip = PENN13.index("left_shoulder"), PENN13.index("right_hip")
    truth[0, hip] = truth[0, shoulder] + [0.5, 0]
    pred = truth.copy()
    pred[0, hip] = truth[0, shoulder] + [50.0, 0]  # 50 px: the bound is 10 px
    pred[0, PENN13.index("head"), 0] += 10.0
    pred[0, PENN13.index("left_knee"), 0] += 10.1
    metric = ActionPCK("penn", normalise="torso")
    metric.update(pred, truth, SEEN)
    result = metric.compute()
    assert (result.per_joint["head"], result.per_joint["left_knee"]) == (100, 0)
    assert result.per_joint["right_hip"] == 0


def test_neck_and_belly_are_listed_but_not_in_the_means() -> None:
    metric = ActionPCK("jhmdb")
    metric.update(moved(JHMDB, neck=99, belly=99), JHMDB, boxes=BOX)
    result = metric.compute()
    assert (result.per_joint["neck"], result.per_joint["belly"]) == (0, 0)
    assert (result.mean13, result.mean7, result.pooled13) == (100, 100, 100)
    assert result.pooled == pytest.approx(100 * 13 / 15)
    assert result.published == result.mean13


def test_visibility_is_not_looked_at_on_jhmdb() -> None:
    metric = ActionPCK("jhmdb")
    metric.update(moved(JHMDB, face=99), JHMDB, np.zeros((1, 15), bool), BOX)
    result = metric.compute()
    assert result.counts["face"] == 1
    assert result.groups["Head"] == 0


def test_unpredicted_belly_lies_between_shoulders_and_hips() -> None:
    xy = np.full((1, 15, 2), np.nan)
    for joint, place in {
        "left_shoulder": (40, 100), "right_shoulder": (0, 120),
        "left_hip": (30, 200), "right_hip": (10, 220),
    }.items():  # fmt: skip
        xy[0, JHMDB15.index(joint)] = place
    # x: (40 + 0 + 30 + 10) / 4; y: from 110 to 210, 0.65 of the way.
    np.testing.assert_allclose(with_belly(xy)[0, JHMDB15.index("belly")], [20, 175])


def test_predicted_belly_is_left_alone() -> None:
    np.testing.assert_array_equal(with_belly(JHMDB), JHMDB)


@pytest.mark.parametrize("box", [[5, 5, 5, 50], [50, 0, 10, 40], [np.nan, 0, 1, 1]])
def test_degenerate_box_is_skipped_or_replaced_by_the_joints(box: list[float]) -> None:
    extent = PENN[0].max(0) - PENN[0].min(0)
    for degenerate, people in (("skip", 0), ("extent", 1)):
        metric = ActionPCK("penn", degenerate=degenerate)  # type: ignore[arg-type]
        metric.update(moved(PENN, head=0.2 * extent.max()), PENN, SEEN, np.array([box]))
        result = metric.compute()
        assert (result.people, result.skipped, result.degenerate) == (people, 1 - people, 1)
        assert degenerate == "skip" or result.per_joint["head"] == 100


def test_splits_are_averaged_whatever_their_length() -> None:
    results = []
    for frames, distance in ((1, 0.0), (9, 99.0)):
        metric = ActionPCK("jhmdb")
        truth = np.repeat(JHMDB, frames, 0)
        metric.update(truth + distance, truth, boxes=np.repeat(BOX, frames, 0))
        results.append(metric.compute())
    mean = mean_of_splits(results)
    assert (mean["mean13"], mean["mean7"], mean["Head"]) == (50, 50, 50)


def test_splits_of_different_kinds_are_refused() -> None:
    with pytest.raises(UsageError, match="results of one kind"):
        mean_of_splits([ActionPCK("penn").compute(), ActionPCK("jhmdb").compute()])
    with pytest.raises(UsageError, match="got none"):
        mean_of_splits([])


def test_printed_table_names_rules_and_means() -> None:
    metric = ActionPCK("penn")
    metric.update(PENN, PENN, SEEN, BOX)
    lines = str(metric.compute()).splitlines()
    assert lines[0] == "PCK@0.2 (bbox, rules=penn), 1 frames"
    assert lines[1].split()[-3:] == ["mean7", "mean13", "pooled13"]


@pytest.mark.parametrize(
    "settings", [{"rules": "flic"}, {"normalise": "head"}, {"degenerate": "guess"}]
)
def test_unknown_settings_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"is '.*' or '.*'; got"):
        ActionPCK(**({"rules": "penn"} | settings))  # type: ignore[arg-type]


def test_what_is_missing_is_asked_for() -> None:
    with pytest.raises(ShapeError, match="visible"):
        ActionPCK("penn").update(PENN, PENN, boxes=BOX)
    with pytest.raises(ShapeError, match="needs boxes"):
        ActionPCK("penn").update(PENN, PENN, SEEN)
    with pytest.raises(ShapeError, match=r"\(N, 15, 2\) of 'jhmdb15'"):
        ActionPCK("jhmdb").update(PENN, PENN, boxes=BOX)
