"""Projection, other bones, detectors' mistakes and derived trunks, by hand."""

from __future__ import annotations

import numpy as np
from lift_worlds import STANDING, TOP
from numpy.testing import assert_allclose

from chronopose.core.skeletons import H36M17
from chronopose.data.lift_noise import (
    derive_trunk,
    disturb,
    fill_dropouts,
    project,
    scale_bones,
)

NONE3, NONE2 = np.zeros(3), np.zeros(2)
F, C = np.array([1000.0, 1000.0]), np.array([500.0, 400.0])


def test_a_point_a_quarter_aside_is_a_quarter_of_the_focal_length_off_the_centre() -> None:
    # (1, 0.5, 4): u = (0.25, 0.125).
    pixels = project(np.array([1.0, 0.5, 4.0]), F, C, NONE3, NONE2)
    assert_allclose(pixels, [750, 525])


def test_distortion_bends_as_the_formula_says() -> None:
    # u = (0.5, 0), r^2 = 0.25: 0.5 * (1 + 0.2 * 0.25 + 0.1 * 0.5) + 0.1 * 0.25 = 0.575 and
    # 0 + 0.3 * 0.25 = 0.075.
    pixels = project(np.array([1.0, 0.0, 2.0]), F, C, np.array([0.2, 0, 0]), np.array([0.1, 0.3]))
    assert_allclose(pixels, [500 + 575, 400 + 75])


def test_points_far_outside_are_held_at_one() -> None:
    assert_allclose(project(np.array([9.0, -9.0, 3.0]), F, C, NONE3, NONE2), [1500, -600])


def line() -> np.ndarray:
    """One joint that moves 10 px a frame, 6 frames: ``(6, 1, 2)``."""
    return np.stack([10.0 * np.arange(6), np.zeros(6)], -1)[:, None]


def test_gaps_are_filled_by_straight_lines_and_ends_stay() -> None:
    seen = np.array([False, True, False, False, True, False])[:, None]
    wrong = line()
    wrong[~seen[:, 0]] = 999
    assert_allclose(fill_dropouts(wrong, seen)[:, 0, 0], [10, 10, 20, 30, 40, 40])


def test_a_joint_that_is_never_seen_is_left_alone() -> None:
    assert_allclose(fill_dropouts(line(), np.zeros((6, 1), bool)), line())


def test_noise_has_the_spread_that_was_asked_for_and_gaps_their_share() -> None:
    rng = np.random.default_rng(1)
    still = np.zeros((200, 50, 4, 2))
    noisy, seen = disturb(still, 5.0, 0.02, rng)
    assert_allclose(1 - seen.mean(), 0.02, atol=0.002)
    assert_allclose(noisy[seen].std(), 5.0, rtol=0.02)
    # A filled joint is the mean of two noisy ones, or one held at an end: never wilder.
    assert noisy[~seen].std() < 5.0


def test_lasting_noise_keeps_its_spread_and_stays_within_a_window() -> None:
    rng = np.random.default_rng(1)
    noisy, _ = disturb(np.zeros((400, 9, 5, 2)), 2.0, 0.0, rng, 0.5)
    assert_allclose(noisy.std(), 2.0, rtol=0.03)
    # Half the power lasts: the mean of 9 frames has variance 4 * (1/2 + 1/2 / 9) = 2.222.
    assert_allclose(noisy.mean(1).var(), 2.222, rtol=0.05)


def test_the_trunk_is_made_of_hips_shoulders_and_the_top_of_the_head() -> None:
    xyz = np.array([STANDING[j] for j in H36M17.joints])
    broken = xyz.copy()
    for joint in ("pelvis", "spine", "thorax", "neck_nose", "head"):
        broken[H36M17.index(joint)] = 99
    found = derive_trunk(broken, np.array(TOP), H36M17, (0.25, 0.5))
    height = {j: found[H36M17.index(j), 2] for j in H36M17.joints}
    # Hips at 1.0, shoulders at 1.5, the top at 1.8.
    assert_allclose([height[j] for j in ("pelvis", "spine", "thorax")], [1.0, 1.25, 1.5])
    assert_allclose([height["neck_nose"], height["head"]], [1.575, 1.65])
    assert_allclose(height["left_wrist"], 0.95)


def test_longer_shins_lower_the_ankles_and_nothing_else() -> None:
    xyz = np.array([STANDING[j] for j in H36M17.joints])
    found = scale_bones(xyz, H36M17.joints, {"ankle": np.array([1.2])})
    lower = {H36M17.joints[k] for k in np.flatnonzero(np.abs(found - xyz).max(-1) > 1e-9)}
    assert lower == {"left_ankle", "right_ankle"}
    # The shin of 0.45 m is 0.09 m longer.
    assert_allclose(found[H36M17.index("left_ankle")], [0.1, 0, 0.01], atol=1e-12)


def test_a_longer_thigh_carries_the_shin_along() -> None:
    xyz = np.array([STANDING[j] for j in H36M17.joints])
    found = scale_bones(xyz, H36M17.joints, {"knee": np.array([2.0])})
    assert_allclose(found[H36M17.index("right_ankle")], [-0.1, 0, -0.35], atol=1e-12)
