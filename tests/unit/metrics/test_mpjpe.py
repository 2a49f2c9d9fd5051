"""3D errors in millimetres: alignments with known answers, weights of clips and actions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import H36M17
from chronopose.errors import ShapeError, SkeletonMismatch
from chronopose.metrics.mpjpe import (
    COLUMNS,
    MPJPE,
    joint_errors,
    procrustes,
    rescaled,
    velocity_errors,
)

TWO = Skeleton("two", ("pelvis", "head"))
RNG = np.random.default_rng(0)
BODY = RNG.normal(0, 300, (5, 17, 3))


def clip(*heads: tuple[float, float, float]) -> np.ndarray:
    """Frames with the root in the origin and the head in the given places."""
    return np.array([[(0.0, 0.0, 0.0), head] for head in heads])


def test_labels_as_predictions_have_no_error() -> None:
    metric = MPJPE()
    metric.update(BODY, BODY, "Walking 1")
    result = metric.compute()
    np.testing.assert_allclose([result.mean[c] for c in COLUMNS], 0, atol=1e-9)
    assert max(result.per_joint.values()) < 1e-9


def test_error_is_the_distance_in_millimetres() -> None:
    np.testing.assert_allclose(joint_errors(clip((3, 4, 12)), clip((0, 0, 0))), [[0, 13]])


def test_procrustes_undoes_scale_rotation_and_translation() -> None:
    turn = Rotation.from_euler("xyz", [20, -50, 130], degrees=True).as_matrix()
    moved = 2.5 * BODY @ turn + np.array([100.0, -30.0, 4000.0])
    np.testing.assert_allclose(procrustes(moved, BODY), BODY, atol=1e-9)


def test_procrustes_does_not_mirror() -> None:
    # A mirror image is no similar figure: the best rotation leaves an error ...
    mirror = BODY * np.array([-1.0, 1.0, 1.0])
    aligned = procrustes(mirror, BODY)
    assert joint_errors(aligned, BODY).mean() > 50
    # ... and is the best of all: no rotation of a random search comes closer in the squared sense.
    centre = BODY - BODY.mean(1, keepdims=True)
    loss = ((aligned - BODY) ** 2).sum()
    for turn in Rotation.random(200, rng=np.random.default_rng(1)).as_matrix():
        turned = (mirror - mirror.mean(1, keepdims=True)) @ turn
        scale = np.maximum(0, (turned * centre).sum((1, 2)) / (turned**2).sum((1, 2)))
        assert ((scale[:, None, None] * turned - centre) ** 2).sum() > loss


def test_procrustes_of_a_flat_figure_may_turn_it_over() -> None:
    # A flat figure's mirror image is a rotation of it about an axis in the plane.
    flat = BODY * np.array([1.0, 1.0, 0.0])
    np.testing.assert_allclose(procrustes(flat * np.array([-1.0, 1, 1]), flat), flat, atol=1e-6)


def test_point_lands_on_the_centre() -> None:
    aligned = procrustes(np.ones((5, 17, 3)), BODY)
    expected = np.broadcast_to(BODY.mean(1, keepdims=True), BODY.shape)
    np.testing.assert_allclose(aligned, expected)


def test_scale_is_the_least_squares_one_of_each_frame() -> None:
    # (1, 1, 0) against (2, 0, 0): <t, p> / <p, p> = 2 / 2 = 1. (2, 0, 0) against (6, 0, 0): 3.
    found = rescaled(clip((1, 1, 0), (2, 0, 0)), clip((2, 0, 0), (6, 0, 0)))
    np.testing.assert_allclose(found[:, 1], [[1, 1, 0], [6, 0, 0]])


def test_velocity_is_the_difference_of_steps() -> None:
    # The prediction stands, the label moves by (3, 4, 0).
    errors = velocity_errors(clip((9, 9, 9), (9, 9, 9)), clip((0, 0, 0), (3, 4, 0)))
    np.testing.assert_allclose(errors, [[0, 5]])


def score(**settings: object) -> MPJPE:
    return MPJPE(TWO, **settings)  # type: ignore[arg-type]


def test_both_sides_are_made_relative_to_the_root() -> None:
    metric = score()
    metric.update(clip((10, 0, 0)) + 500.0, clip((0, 0, 0)) - 80.0)
    assert metric.compute().mean["MPJPE"] == pytest.approx(5)  # 0 and 10 mm


def test_root_may_be_left_out_of_the_mean() -> None:
    metric = score(count_root=False)
    metric.update(clip((10, 0, 0)), clip((0, 0, 0)))
    assert metric.compute().mean["MPJPE"] == pytest.approx(10)


def test_mean_over_seventeen_is_sixteen_seventeenths_of_the_mean_over_sixteen() -> None:
    noisy = BODY + RNG.normal(0, 30, BODY.shape)
    every, others = MPJPE(), MPJPE(count_root=False)
    for metric in (every, others):
        metric.update(noisy, BODY)
    ratio = others.compute().mean["MPJPE"] / every.compute().mean["MPJPE"]
    assert ratio == pytest.approx(17 / 16)


def test_absolute_positions_are_kept_without_a_root() -> None:
    metric = score(root=None)
    metric.update(clip((0, 0, 0)) + np.array([0, 0, 7.0]), clip((0, 0, 0)))
    assert metric.compute().mean["MPJPE"] == pytest.approx(7)


def test_clips_weigh_by_frames_and_actions_alike() -> None:
    # Walking: one frame of 2 mm and three of 10 mm in the mean (halves of the head's): 8 mm.
    metric = score()
    metric.update(clip((4, 0, 0)), clip((0, 0, 0)), "Walking 1")
    metric.update(clip(*[(20, 0, 0)] * 3), clip(*[(0, 0, 0)] * 3), "Walking")
    metric.update(clip((8, 0, 0)), clip((0, 0, 0)), "Sitting 2")  # 4 mm
    result = metric.compute()
    errors = {name: row["MPJPE"] for name, row in result.actions.items()}
    assert errors == {"Walking": pytest.approx(8), "Sitting": pytest.approx(4)}
    assert result.mean["MPJPE"] == pytest.approx(6)
    assert result.over_frames["MPJPE"] == pytest.approx((2 + 3 * 10 + 4) / 5)
    assert result.frames == {"Walking": 4, "Sitting": 1}
    assert result.per_joint == {"pelvis": 0, "head": pytest.approx((4 + 3 * 20 + 8) / 5)}


def test_velocity_does_not_reach_over_the_ends_of_clips() -> None:
    metric = score()
    metric.update(clip((0, 0, 0), (0, 0, 0)), clip((0, 0, 0), (2, 0, 0)), "Walking 1")  # 1 mm
    metric.update(clip(*[(0, 0, 0)] * 6), clip(*[(900, 0, 0)] * 6), "Walking 2")  # 0 mm
    metric.update(clip((0, 0, 0)), clip((0, 0, 0)), "Walking 3")  # one frame has no velocity
    # Weights are frames: (2 * 1 + 6 * 0) / 8.
    assert metric.compute().mean["MPJVE"] == pytest.approx(0.25)


def test_nothing_added_is_nan() -> None:
    result = MPJPE().compute()
    assert np.isnan(list(result.mean.values())).all()
    assert np.isnan(list(result.over_frames.values())).all()
    assert result.actions == {}


def test_single_frames_have_no_velocity_but_errors() -> None:
    metric = score()
    metric.update(clip((4, 0, 0)), clip((0, 0, 0)))
    result = metric.compute()
    assert np.isnan(result.mean["MPJVE"]) and result.mean["MPJPE"] == 2


def test_printed_table_has_a_row_for_each_action() -> None:
    metric = score()
    metric.update(clip((4, 0, 0), (4, 0, 0)), clip((3, 0, 0), (3, 0, 0)), "Eating 1")
    lines = str(metric.compute()).splitlines()
    assert lines[1].split() == list(COLUMNS)
    assert [line.split()[0] for line in lines[2:]] == ["Eating", "mean", "all"]


def test_missing_coordinate_is_refused_with_its_place() -> None:
    pred = BODY.copy()
    pred[3, 2, 1] = np.nan
    with pytest.raises(ShapeError, match=r"Predictions hold nan at \(3, 2, 1\)"):
        MPJPE().update(pred, BODY)


def test_shapes_are_checked() -> None:
    with pytest.raises(ShapeError, match=r"one shape \(\.\.\., joints, 3\)"):
        joint_errors(BODY, BODY[:, :3])
    with pytest.raises(ShapeError, match="A clip of 'h36m17' is"):
        MPJPE().update(BODY[:, :16], BODY[:, :16])
    with pytest.raises(ShapeError, match="at least one frame"):
        MPJPE().update(BODY[:0], BODY[:0])
    with pytest.raises(SkeletonMismatch, match="no joint 'tail'"):
        MPJPE(H36M17, root="tail")
