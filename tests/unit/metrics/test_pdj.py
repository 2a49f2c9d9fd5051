"""PDJ and accuracy@d curves and PCP: distances worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import FLIC11, LSP14
from chronopose.errors import ShapeError, SkeletonMismatch
from chronopose.metrics.pdj import FLIC_JOINTS, PCP, PDJ, AccuracyAtDistance

TRUNK = Skeleton(
    "trunk", ("left_shoulder", "right_shoulder", "left_hip", "right_hip"),
    (("left_shoulder", "left_hip"), ("right_shoulder", "right_hip")),
)  # fmt: skip
# Left shoulder (60, 0) to right hip (0, 80) is 100 px; the other diagonal is 50 px.
TRUTH = np.array([[[60.0, 0.0], [0.0, 0.0], [30.0, 40.0], [0.0, 80.0]]])
ALL = np.ones((1, 4), bool)


def moved(*distances: float) -> np.ndarray:
    return TRUTH + np.array([[d, 0.0] for d in distances])


def test_labels_as_predictions_are_on_top_from_zero_on() -> None:
    for metric in (PDJ(TRUNK), AccuracyAtDistance(TRUNK)):
        metric.update(TRUTH, TRUTH, ALL)
        result = metric.compute()
        assert result.mean().tolist() == [100.0] * 21
        assert result.auc() == 100
    parts = PCP(TRUNK)
    parts.update(TRUTH, TRUTH, ALL)
    assert parts.compute().mean == 100


def test_curve_rises_where_the_joint_lies() -> None:
    metric = PDJ(TRUNK, [0.0, 0.05, 0.1, 0.5])
    metric.update(moved(0, 5, 10, 50.1), TRUTH, ALL)
    result = metric.compute()
    curves = {joint: curve.tolist() for joint, curve in result.per_joint.items()}
    assert curves == {
        "left_shoulder": [100, 100, 100, 100],
        "right_shoulder": [0, 100, 100, 100],
        "left_hip": [0, 0, 100, 100],
        "right_hip": [0, 0, 0, 0],
    }
    assert result.mean().tolist() == [25, 50, 75, 75]
    assert result.at(0.1) == 75
    assert result.groups(0.1)["Shoulder"] == 100


def test_default_thresholds_go_to_a_fifth_in_hundredths() -> None:
    metric = PDJ(TRUNK)
    metric.update(moved(0, 0, 3, 0), TRUTH, ALL)
    result = metric.compute()
    np.testing.assert_allclose(result.thresholds, np.arange(21) / 100)
    # 3 of 100 px is exactly 0.03: 18 of 21 thresholds.
    assert result.auc(["left_hip"]) == pytest.approx(100 * 18 / 21)


def test_other_diagonal_halves_the_measure() -> None:
    # 6 px are 0.06 of one diagonal and 0.12 of the other.
    for torso, hit in (("left_shoulder-right_hip", 100), ("right_shoulder-left_hip", 0)):
        metric = PDJ(TRUNK, [0.1], torso=torso)  # type: ignore[arg-type]
        metric.update(moved(0, 0, 6, 0), TRUTH, ALL)
        assert metric.compute().at(0.1, ["left_hip"]) == hit


def test_missing_hip_skips_the_person_unless_either_diagonal_will_do() -> None:
    visible = np.array([[True, True, True, False]])
    strict, either = PDJ(TRUNK), PDJ(TRUNK, torso="either")
    for metric in (strict, either):
        metric.update(TRUTH, TRUTH, visible)
    assert (strict.compute().people, strict.compute().skipped) == (0, 1)
    assert (either.compute().people, either.compute().skipped) == (1, 0)


def test_flic_curve_is_the_mean_of_wrists_and_elbows() -> None:
    truth = np.random.default_rng(0).uniform(0, 100, (1, 11, 2))
    truth[0, FLIC11.index("left_shoulder")] = 60, 0
    truth[0, FLIC11.index("right_hip")] = 0, 80
    pred = truth.copy()
    pred[0, FLIC11.index("left_wrist")] += 50
    pred[0, FLIC11.index("nose")] += 50
    metric = PDJ(FLIC11)
    metric.update(pred, truth, np.ones((1, 11), bool))
    assert metric.compute().mean(FLIC_JOINTS)[-1] == 75


def test_leeds_sports_groups_take_neck_and_head_top() -> None:
    truth = np.random.default_rng(1).uniform(0, 300, (1, 14, 2))
    truth[0, LSP14.index("left_shoulder")] = 60, 0
    truth[0, LSP14.index("right_hip")] = 0, 80
    pred = truth.copy()
    pred[0, LSP14.index("neck")] += 90
    metric = PDJ(LSP14)
    metric.update(pred, truth, np.ones((1, 14), bool))
    result = metric.compute()
    assert result.groups(0.2, ("neck", "head_top"))["Head"] == 50
    assert result.at(0.2) == pytest.approx(100 * 13 / 14)


def test_accuracy_counts_pixels_and_skips_what_is_not_labelled() -> None:
    metric = AccuracyAtDistance(TRUNK)
    metric.update(moved(0, 5, 20, 20.5), TRUTH, np.array([[False, True, True, True]]))
    result = metric.compute()
    assert np.isnan(result.per_joint["left_shoulder"]).all()
    assert result.at(4) == 0
    assert result.at(5) == pytest.approx(100 / 3)
    assert result.at(20) == pytest.approx(200 / 3)


def test_accuracy_needs_no_torso() -> None:
    metric = AccuracyAtDistance(Skeleton("face", ("nose",)), [1.0])
    metric.update(np.zeros((2, 1, 2)), np.ones((2, 1, 2)) * 0.5, np.ones((2, 1), bool))
    assert metric.compute().at(1) == 100


def test_nothing_added_is_nan() -> None:
    result = PDJ(TRUNK).compute()
    assert np.isnan(result.mean()).all() and np.isnan(result.auc())
    assert np.isnan(PCP(TRUNK).compute().mean)


def test_unknown_joint_and_threshold_are_refused() -> None:
    result = PDJ(TRUNK).compute()
    with pytest.raises(SkeletonMismatch, match="no curve of nose"):
        result.mean(["nose"])
    with pytest.raises(ShapeError, match=r"no point at 0\.3"):
        result.at(0.3)


@pytest.mark.parametrize("thresholds", [[], [0.2, 0.1], [-0.1, 0.1], [[0.1]]])
def test_curves_need_rising_distances(thresholds: list[float]) -> None:
    with pytest.raises(ShapeError, match="rising distances"):
        PDJ(TRUNK, thresholds)


def test_unknown_torso_is_refused() -> None:
    with pytest.raises(ShapeError, match="torso is one of"):
        PDJ(TRUNK, torso="spine")  # type: ignore[arg-type]


def test_printed_curve_ends_with_the_mean() -> None:
    metric = PDJ(TRUNK)
    metric.update(moved(0, 0, 0, 99), TRUTH, ALL)
    lines = str(metric.compute()).splitlines()
    assert lines[0] == "PDJ (torso left_shoulder-right_hip) from 0 to 0.2, 1 people"
    assert lines[-1].split()[:2] == ["mean", "75.0"]


def test_part_is_correct_if_both_ends_are_within_half_its_length() -> None:
    # Left side: (60, 0) to (30, 40) is 50 px, so 25 px; right side: 80 px, so 40 px.
    metric = PCP(TRUNK)
    metric.update(moved(25, 40, 25, 40.1), TRUTH, ALL)
    result = metric.compute()
    assert list(result.per_limb.values()) == [100, 0]
    assert (result.mean, list(result.counts.values())) == (50, [1, 1])


def test_loose_parts_let_one_end_pay_for_the_other() -> None:
    # Ends 0 and 50 px off: the mean is 25 px, just within half of 50 px.
    for ends, hit in (("both", 0), ("mean", 100)):
        metric = PCP(TRUNK, [("left_shoulder", "left_hip")], ends=ends)  # type: ignore[arg-type]
        metric.update(moved(0, 0, 50, 0), TRUTH, ALL)
        assert metric.compute().mean == hit


def test_part_with_an_unlabelled_end_does_not_count_and_an_unpredicted_end_misses() -> None:
    metric = PCP(TRUNK)
    pred = TRUTH.copy()
    pred[0, 3] = np.nan
    metric.update(pred, TRUTH, np.array([[False, True, True, True]]))
    result = metric.compute()
    assert result.counts[("left_shoulder", "left_hip")] == 0
    assert np.isnan(result.per_limb[("left_shoulder", "left_hip")])
    assert result.mean == 0


def test_shapes_and_settings_of_parts_are_checked() -> None:
    with pytest.raises(ShapeError, match="PCP of 'trunk' needs"):
        PCP(TRUNK).update(TRUTH[:, :3], TRUTH, ALL)
    with pytest.raises(ShapeError, match="above zero"):
        PCP(TRUNK, threshold=0)
    with pytest.raises(ShapeError, match="'both' ends or their 'mean'"):
        PCP(TRUNK, ends="one")  # type: ignore[arg-type]
