"""3DPCK and AUC: strict bounds, 31 thresholds, 14 of 17 joints, sequences by their frames."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.skeletons import H36M17, MPI_INF_3DHP17
from chronopose.errors import ShapeError
from chronopose.metrics.mpi_inf_3dhp import PCK3D, THRESHOLDS_MM

BODY = np.random.default_rng(0).normal(0, 300, (4, 17, 3))


def moved(truth: np.ndarray = BODY, **mm: float) -> np.ndarray:
    """The truth with some joints moved away by so many millimetres."""
    found = truth.copy()
    for joint, distance in mm.items():
        found[:, MPI_INF_3DHP17.index(joint), 2] += distance
    return found


def score(pred: np.ndarray, truth: np.ndarray = BODY) -> PCK3D:
    metric = PCK3D()
    metric.update(pred, truth, "TS1")
    return metric


def test_labels_as_predictions_are_found_but_for_the_threshold_of_zero() -> None:
    total = score(BODY).compute().total
    assert (total.pck, total.mpjpe_mm) == (100, 0)
    # Nothing is strictly below 0 mm: 30 of 31 thresholds.
    assert total.auc == pytest.approx(100 * 30 / 31)


def test_there_are_31_thresholds_from_0_to_150() -> None:
    assert THRESHOLDS_MM.tolist() == list(range(0, 151, 5))


def test_bound_itself_is_a_miss() -> None:
    # Whole coordinates, so that the distance of 150 mm is exact.
    truth = np.round(BODY)
    result = score(moved(truth, left_wrist=150.0, right_wrist=149.999), truth).compute().total
    assert result.groups["Wrist"] == 50
    assert result.pck == pytest.approx(100 * 13 / 14)


@pytest.mark.parametrize("joint", ["spine", "head"])
def test_spine_and_head_count_for_the_mean_error_only(joint: str) -> None:
    result = score(moved(**{joint: 170.0})).compute().total
    assert result.pck == 100
    assert result.mpjpe_mm == pytest.approx(10)  # 170 mm over 17 joints


def test_root_is_subtracted_and_counts_with_no_error() -> None:
    result = score(moved(pelvis=17.0)).compute().total
    # All other 16 joints are 17 mm off then; the root is 0.
    assert result.mpjpe_mm == pytest.approx(16)


def test_area_under_the_curve_counts_thresholds_above_the_error() -> None:
    # 14 joints 100 mm off: below 105, ..., 150, ten thresholds of 31.
    joints = [j for j in MPI_INF_3DHP17.joints if j != "pelvis"]
    result = score(moved(np.round(BODY), **dict.fromkeys(joints, 100.0)), np.round(BODY)).compute()
    assert result.total.auc == pytest.approx(100 * 10 / 31)


def test_groups_weigh_by_their_joints() -> None:
    # Head has one joint and wrists two: 1 of 14 and 2 of 14.
    assert score(moved(head_top=999.0)).compute().total.pck == pytest.approx(100 * 13 / 14)
    both = score(moved(left_wrist=999.0, right_wrist=999.0)).compute().total
    assert both.pck == pytest.approx(100 * 12 / 14)
    assert both.groups["Wrist"] == 0 and both.groups["Head"] == 100


def test_total_weighs_sequences_by_their_frames() -> None:
    metric = PCK3D()
    metric.update(moved(head=170.0), BODY, "TS1")
    metric.update(BODY[:1], BODY[:1], "TS2")
    result = metric.compute()
    assert result.sequences["TS1"].mpjpe_mm == pytest.approx(10)
    assert result.sequences["TS2"].mpjpe_mm == 0
    assert result.total.mpjpe_mm == pytest.approx(8)  # 4 frames of 10, 1 of 0
    assert result.total.frames == 5


def test_two_parts_of_a_sequence_are_one() -> None:
    noisy = BODY + np.random.default_rng(1).normal(0, 90, BODY.shape)
    parts = PCK3D()
    for part in (slice(0, 1), slice(1, None)):
        parts.update(noisy[part], BODY[part], "TS1")
    whole = score(noisy).compute().total
    assert parts.compute().total.auc == pytest.approx(whole.auc)
    assert 0 < whole.auc < 90


def test_invalid_frames_are_left_out_even_if_they_are_not_finite() -> None:
    pred = BODY.copy()
    pred[2] = np.nan
    metric = PCK3D()
    metric.update(pred, BODY, "TS1", np.array([True, True, False, True]))
    assert (metric.compute().total.pck, metric.compute().total.frames) == (100, 3)


def test_sequence_without_valid_frames_is_nan_and_weighs_nothing() -> None:
    metric = score(BODY)
    metric.update(BODY, BODY, "TS2", np.zeros(4, bool))
    result = metric.compute()
    assert np.isnan(result.sequences["TS2"].pck)
    assert result.total.pck == 100


def test_nothing_added_is_nan() -> None:
    total = PCK3D().compute().total
    assert np.isnan([total.pck, total.auc, total.mpjpe_mm]).all()


def test_printed_table_has_a_row_for_each_sequence_and_the_total() -> None:
    lines = str(score(BODY).compute()).splitlines()
    assert lines[1].split()[:4] == ["PCK", "AUC", "MPJPE", "Head"]
    assert [line.split()[0] for line in lines[2:]] == ["TS1", "total"]


def test_joint_without_a_group_is_refused() -> None:
    with pytest.raises(ShapeError, match="neck_nose, thorax of 'h36m17' belong to no group"):
        PCK3D(H36M17)


def test_shapes_are_checked() -> None:
    with pytest.raises(ShapeError, match=r"\(frames, 17, 3\)"):
        PCK3D().update(BODY[:, :16], BODY)
    with pytest.raises(ShapeError, match="validity of each frame"):
        PCK3D().update(BODY, BODY, valid=np.ones(3, bool))
