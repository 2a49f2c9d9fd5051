"""PCK: distances, sizes and shares worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import LSP14, SKELETONS
from chronopose.errors import ShapeError, SkeletonMismatch
from chronopose.metrics.pck import LIMB_JOINTS, PCK, limb_groups

TRUNK = Skeleton("trunk", ("left_shoulder", "right_shoulder", "left_hip", "right_hip"))
# Left shoulder (60, 0) to right hip (0, 80) is 100 px; the other diagonal is 50 px.
TRUTH = np.array([[[60.0, 0.0], [0.0, 0.0], [30.0, 40.0], [0.0, 80.0]]])
ALL = np.ones((1, 4), bool)
HEAD = Skeleton("head", ("nose", "left_hip", "right_hip"))


def score(pred: np.ndarray, visible: np.ndarray = ALL, **settings: object) -> PCK:
    metric = PCK(TRUNK, **settings)  # type: ignore[arg-type]
    metric.update(pred, TRUTH, visible)
    return metric


def moved(*distances: float) -> np.ndarray:
    """The truth with each joint moved right by so many pixels."""
    return TRUTH + np.array([[d, 0.0] for d in distances])


def test_perfect_prediction_is_a_hundred_percent() -> None:
    result = score(TRUTH).compute()
    assert (result.mean, result.pooled, result.people, result.skipped) == (100, 100, 1, 0)


def test_bound_itself_is_a_hit_and_a_hair_more_is_a_miss() -> None:
    # Torso 100 px, threshold 0.2: 20 px.
    result = score(moved(20.0, 20.001, 0.0, 19.999)).compute()
    assert list(result.per_joint.values()) == [100, 0, 100, 100]
    assert result.pooled == 75


@pytest.mark.parametrize("hundredths", range(1, 51))
def test_every_hundredth_is_inclusive(hundredths: int) -> None:
    pred = moved(float(hundredths), 0, 0, 0)
    assert score(pred, threshold=hundredths * 0.01).compute().pooled == 100


def test_mean_weighs_joints_alike_and_pooled_weighs_labels_alike() -> None:
    metric = PCK(TRUNK)
    metric.update(moved(99, 0, 0, 0), TRUTH, ALL)
    # A second person with the two joints of the diagonal only; the shoulder is hit now.
    metric.update(TRUTH, TRUTH, np.array([[True, False, False, True]]))
    result = metric.compute()
    assert result.per_joint == {
        "left_shoulder": 50, "right_shoulder": 100, "left_hip": 100, "right_hip": 100,
    }  # fmt: skip
    assert result.counts == {
        "left_shoulder": 2, "right_shoulder": 1, "left_hip": 1, "right_hip": 2,
    }  # fmt: skip
    assert result.mean == 87.5
    assert result.pooled == pytest.approx(100 * 5 / 6)


def test_missing_shoulder_moves_the_torso_to_the_other_diagonal() -> None:
    visible = np.array([[False, True, True, True]])
    # The other diagonal is 50 px, so the bound is 10 px.
    result = score(moved(0, 10, 10.01, 0), visible).compute()
    assert result.per_joint["right_shoulder"] == 100
    assert result.per_joint["left_hip"] == 0
    assert np.isnan(result.per_joint["left_shoulder"])


def test_person_without_a_torso_is_skipped_and_counted() -> None:
    # Both shoulders only: neither diagonal.
    result = score(TRUTH, np.array([[True, True, False, False]])).compute()
    assert (result.people, result.skipped) == (0, 1)
    assert np.isnan(result.mean) and np.isnan(result.pooled)


def test_torso_of_no_length_is_no_torso() -> None:
    truth = TRUTH.copy()
    truth[0, 3] = truth[0, 0]  # right hip on the left shoulder: use the other diagonal, 50 px
    metric = PCK(TRUNK)
    metric.update(truth + np.array([10.0, 0.0]), truth, ALL)
    metric.update(truth + np.array([10.1, 0.0]), truth, ALL)
    assert metric.compute().pooled == 50


def test_person_without_labels_is_neither_scored_nor_skipped() -> None:
    result = score(TRUTH, ~ALL).compute()
    assert (result.people, result.skipped) == (0, 0)


def test_nan_prediction_is_a_miss() -> None:
    pred = TRUTH.copy()
    pred[0, 1] = np.nan
    result = score(pred).compute()
    assert result.per_joint["right_shoulder"] == 0
    assert result.counts["right_shoulder"] == 1


def test_nan_label_does_not_count_even_if_called_visible() -> None:
    truth = TRUTH.copy()
    truth[0, 1] = np.nan
    metric = PCK(TRUNK)
    metric.update(TRUTH, truth, ALL)
    assert metric.compute().counts["right_shoulder"] == 0


def test_box_normaliser_is_the_longer_side() -> None:
    # 200 x 50: the bound is 0.2 * 200 = 40 px.
    metric = PCK(TRUNK, normalise="bbox")
    boxes = Boxes(np.array([[0, 0, 200, 50]]), np.ones(1))
    metric.update(moved(40, 40.01, 0, 0), TRUTH, ALL, boxes)
    assert metric.compute().pooled == 75


@pytest.mark.parametrize("box", [[5, 5, 5, 50], [50, 0, 10, 40], [np.nan, 0, 1, 1]])
def test_degenerate_box_is_skipped(box: list[float]) -> None:
    metric = PCK(TRUNK, normalise="bbox")
    metric.update(TRUTH, TRUTH, ALL, np.array([box]))
    assert metric.compute().skipped == 1


def test_only_the_asked_joints_count() -> None:
    metric = PCK(TRUNK, joints=("left_hip",))
    metric.update(moved(99, 99, 0, 99), TRUTH, ALL)
    result = metric.compute()
    assert result.per_joint == {"left_hip": 100}
    assert (result.mean, result.pooled) == (100, 100)


def test_torso_is_measured_with_joints_that_do_not_count() -> None:
    metric = PCK(TRUNK, joints=("left_hip",))
    metric.update(moved(0, 0, 20, 0), TRUTH, ALL)
    assert metric.compute().pooled == 100


def test_the_twelve_limb_joints_leave_out_the_head_of_leeds_sports() -> None:
    assert set(LSP14.joints) - set(LIMB_JOINTS) == {"neck", "head_top"}
    assert len(LIMB_JOINTS) == 12


WHOLE_BODIES = sorted(n for n, s in SKELETONS.items() if set(LIMB_JOINTS) <= set(s.joints))


@pytest.mark.parametrize("name", WHOLE_BODIES)
def test_every_whole_body_of_the_registry_has_a_torso(name: str) -> None:
    assert PCK(SKELETONS[name], joints=LIMB_JOINTS).joints == LIMB_JOINTS


def test_only_the_upper_bodies_are_no_whole_bodies() -> None:
    assert set(SKELETONS) - set(WHOLE_BODIES) <= {"flic11", "upper7"}


def test_named_diagonal_has_no_substitute() -> None:
    # The other diagonal is 50 px long and labelled, but it was not asked for.
    visible = np.array([[False, True, True, True]])
    result = score(TRUTH, visible, torso=[("left_shoulder", "right_hip")]).compute()
    assert (result.people, result.skipped) == (0, 1)
    other = score(TRUTH, visible, torso=[("right_shoulder", "left_hip")]).compute()
    assert (other.people, other.pooled) == (1, 100)


def test_sizes_of_ones_own_and_people_without_one() -> None:
    metric = PCK(TRUNK, 0.5, "size")
    pair, both = np.repeat(TRUTH, 2, axis=0), np.ones((2, 4), bool)
    metric.update(pair + np.array([3.0, 4.0]), pair, both, sizes=np.array([10.0, np.nan]))
    result = metric.compute()
    assert (result.pooled, result.people, result.skipped) == (100, 1, 1)


def test_sizes_are_asked_for() -> None:
    with pytest.raises(ShapeError, match=r"one size a person, \(1,\)"):
        PCK(TRUNK, normalise="size").update(TRUTH, TRUTH, ALL)


def test_curve_shows_each_joint_at_each_threshold() -> None:
    # Torso 100 px; joints 0, 10, 20 and 30 px off.
    metric = score(moved(0, 10, 20, 30))
    curve = metric.curve([0.0, 0.1, 0.2])
    np.testing.assert_array_equal(curve, [[100, 100, 100], [0, 100, 100], [0, 0, 100], [0, 0, 0]])
    np.testing.assert_array_equal(metric.pooled([0.0, 0.1, 0.2]), [25, 50, 75])


def test_groups_are_means_of_both_sides_and_one_head() -> None:
    result = score(moved(0, 99, 99, 99)).compute()
    groups = result.groups()
    assert (groups["Shoulder"], groups["Hip"]) == (50, 0)
    assert np.isnan(groups["Head"]) and np.isnan(groups["Knee"])
    values = {"head_top": 40.0, "neck": 80.0}
    assert limb_groups(values)["Head"] == 40
    assert limb_groups(values, ("head_top", "neck"))["Head"] == 60


def test_area_under_the_curve_counts_thresholds_from_zero() -> None:
    # One joint 10 px off a 100 px torso: hit at 0.10 ... 0.20, 11 of 21 thresholds.
    metric = PCK(TRUNK, joints=("left_hip",))
    metric.update(moved(0, 0, 10, 0), TRUTH, ALL)
    assert metric.auc() == pytest.approx(100 * 11 / 21)


def test_area_under_the_curve_to_another_bound() -> None:
    # To 0.5 in steps of 0.01: 0.10 ... 0.50 are 41 of 51.
    metric = PCK(TRUNK, joints=("left_hip",))
    metric.update(moved(0, 0, 10, 0), TRUTH, ALL)
    assert metric.auc(0.5) == pytest.approx(100 * 41 / 51)


def test_nothing_added_is_nan_and_not_zero() -> None:
    metric = PCK(TRUNK)
    result = metric.compute()
    assert np.isnan([result.mean, result.pooled, *result.per_joint.values()]).all()
    assert np.isnan(metric.auc())


def test_one_batch_and_two_halves_score_the_same() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat(TRUTH, 20, axis=0)
    pred = truth + rng.normal(0, 15, truth.shape)
    visible = rng.random((20, 4)) < 0.8
    whole, halves = PCK(TRUNK), PCK(TRUNK)
    whole.update(pred, truth, visible)
    for part in (slice(0, 7), slice(7, None)):
        halves.update(pred[part], truth[part], visible[part])
    assert str(whole.compute()) == str(halves.compute())
    assert 0 < whole.compute().pooled < 100


def test_printed_result_names_what_was_measured() -> None:
    lines = str(score(moved(99, 0, 0, 0)).compute()).splitlines()
    assert lines[0] == "PCK@0.2 (torso), 1 people"
    assert lines[1].split() == ["left_shoulder", "0.0", "of", "1"]
    assert lines[-1].split() == ["pooled", "75.0", "of", "4"]


def test_skeleton_without_shoulders_has_no_torso() -> None:
    with pytest.raises(SkeletonMismatch, match="no joint 'left_shoulder'"):
        PCK(HEAD)
    assert PCK(HEAD, normalise="bbox").joints == HEAD.joints


def test_unknown_joint_is_refused() -> None:
    with pytest.raises(SkeletonMismatch, match="no joint 'nose'"):
        PCK(TRUNK, joints=("nose",))


def test_boxes_are_asked_for() -> None:
    with pytest.raises(ShapeError, match=r"needs boxes: update\(\.\.\., boxes="):
        PCK(TRUNK, normalise="bbox").update(TRUTH, TRUTH, ALL)


def test_shapes_are_checked() -> None:
    with pytest.raises(ShapeError, match=r"needs predictions and labels \(N, 4, 2\).*\(1, 3, 2\)"):
        PCK(TRUNK).update(TRUTH[:, :3], TRUTH, ALL)


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan")])
def test_threshold_must_be_positive(threshold: float) -> None:
    with pytest.raises(ShapeError, match="must be above zero"):
        PCK(TRUNK, threshold=threshold)


def test_unknown_normaliser_is_refused() -> None:
    with pytest.raises(ShapeError, match="by 'torso' or 'bbox'; got 'head'"):
        PCK(TRUNK, normalise="head")  # type: ignore[arg-type]
