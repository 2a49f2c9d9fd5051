"""PCKh: head sizes, MPII's weighted mean and the threshold that is read one entry too far."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.core.skeletons import MPII16
from chronopose.errors import ShapeError, UsageError
from chronopose.metrics.mpii import PCKh

# A head box of 30 x 40 px has a diagonal of 50, so the head size is 30 px.
HEAD = np.array([[100.0, 100.0, 130.0, 140.0]])
TRUTH = np.random.default_rng(0).uniform(0, 500, (1, 16, 2))
ALL = np.ones((1, 16), bool)


def moved(**px: float) -> np.ndarray:
    """The truth with some joints moved down by so many pixels."""
    found = TRUTH.copy()
    for joint, distance in px.items():
        found[0, MPII16.index(joint), 1] += distance
    return found


def score(pred: np.ndarray, visible: np.ndarray = ALL, **settings: object) -> PCKh:
    metric = PCKh(**settings)  # type: ignore[arg-type]
    metric.update(pred, TRUTH, visible, HEAD)
    return metric


def test_labels_as_predictions_score_a_hundred() -> None:
    result = score(TRUTH).compute()
    assert (result.mean, result.fine, result.auc) == (100, 100, 100)
    assert set(result.groups.values()) == {100.0}


def test_half_a_head_is_a_hit_and_a_hair_more_is_not() -> None:
    # Half of 30 px.
    result = score(moved(left_wrist=15.0, right_wrist=15.001)).compute()
    assert (result.per_joint["left_wrist"], result.per_joint["right_wrist"]) == (100, 0)
    assert result.groups["Wrist"] == 50


def test_pelvis_and_thorax_are_listed_but_not_in_the_mean() -> None:
    result = score(moved(pelvis=99, thorax=99)).compute()
    assert (result.per_joint["pelvis"], result.per_joint["thorax"]) == (0, 0)
    assert result.mean == 100
    assert score(moved(left_knee=99)).compute().mean == pytest.approx(100 * 13 / 14)


def test_mean_weighs_joints_by_their_labels() -> None:
    # Knees are labelled once, ankles twice: one of 2 knees and three of 4 ankles hit.
    names = ("left_knee", "right_knee", "left_ankle", "right_ankle")
    first, second = np.zeros((2, 1, 16), bool)
    first[0, [MPII16.index(n) for n in names]] = True
    second[0, [MPII16.index(n) for n in names[2:]]] = True
    metric = PCKh()
    metric.update(moved(left_knee=99, left_ankle=99), TRUTH, first, HEAD)
    metric.update(TRUTH, TRUTH, second, HEAD)
    result = metric.compute()
    assert (result.groups["Knee"], result.groups["Ankle"]) == (50, 75)
    assert result.mean == pytest.approx(100 * 4 / 6)
    assert np.isnan(result.groups["Hip"])


def test_column_at_a_tenth_is_read_at_eleven_hundredths() -> None:
    # 0.105 of 30 px lies between the two thresholds.
    pred = moved(head_top=0.105 * 30)
    published, fixed = score(pred).compute(), score(pred, compat="fixed").compute()
    assert (published.fine, published.fine_threshold) == (100, 0.11)
    assert (fixed.fine, fixed.fine_threshold) == (pytest.approx(100 * 13 / 14), 0.1)


def test_area_under_the_curve_has_fifty_one_thresholds() -> None:
    # One joint of 14 is 6 px = 0.2 heads off: hit at 0.20 ... 0.50, 31 of 51 thresholds.
    expected = 100 * (13 + 31 / 51) / 14
    assert score(moved(head_top=6.0)).compute().auc == pytest.approx(expected)


def test_head_is_its_top_alone() -> None:
    result = score(moved(upper_neck=99)).compute()
    assert result.groups["Head"] == 100
    assert result.mean == pytest.approx(100 * 13 / 14)


def test_sizes_of_precomputed_files_are_not_multiplied_again() -> None:
    metric = PCKh()
    metric.update(moved(left_wrist=15.0), TRUTH, ALL, head_sizes=np.array([30.0]))
    assert metric.compute().mean == 100
    metric.update(moved(left_wrist=15.0), TRUTH, ALL, head_sizes=np.array([18.0]))
    assert metric.compute().mean == pytest.approx(100 * 27 / 28)


def test_person_without_a_head_size_is_skipped_and_counted() -> None:
    metric = PCKh()
    metric.update(TRUTH, TRUTH, ALL, np.array([[5.0, 5.0, 5.0, 5.0]]))
    result = metric.compute()
    assert (result.people, result.skipped) == (0, 1)
    assert np.isnan(result.mean) and np.isnan(result.auc)


def test_boxes_may_be_boxes() -> None:
    metric = PCKh()
    metric.update(TRUTH, TRUTH, ALL, Boxes(HEAD, np.ones(1)))
    assert metric.compute().mean == 100


def test_missing_prediction_is_a_miss() -> None:
    pred = TRUTH.copy()
    pred[0, MPII16.index("left_hip")] = np.nan
    assert score(pred).compute().groups["Hip"] == 50


def test_printed_table_names_mode_and_columns() -> None:
    lines = str(score(TRUTH).compute()).splitlines()
    assert lines[0] == "PCKh@0.5 (compat=hrnet: the column @0.1 is at 0.11), 1 people"
    assert lines[1].split()[:2] == ["Head", "Shoulder"]
    assert lines[1].split()[-3:] == ["Mean", "@0.1", "AUC"]


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(UsageError, match="'hrnet' or 'fixed'; got 'mpii'"):
        PCKh(compat="mpii")  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [{}, {"head_boxes": HEAD, "head_sizes": np.ones(1)}])
def test_exactly_one_of_boxes_and_sizes_is_needed(given: dict[str, np.ndarray]) -> None:
    with pytest.raises(ShapeError, match="either head_boxes or head_sizes"):
        PCKh().update(TRUTH, TRUTH, ALL, **given)  # type: ignore[arg-type]
