"""Where a box is expected, in real time."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.pipeline.motion import BoxMotion, to_centre, to_corners

BOX = np.array([0.0, 0.0, 40.0, 100.0])
SPEED_PX_S = 80.0
PX_A_SECOND = np.array([SPEED_PX_S, 0.0, SPEED_PX_S, 0.0])


def walk(times: list[float]) -> BoxMotion:
    motion = BoxMotion(times[0], BOX + times[0] * PX_A_SECOND)
    for t in times[1:]:
        motion.see(t, BOX + t * PX_A_SECOND)
    return motion


def test_centre_and_corners_are_inverse() -> None:
    np.testing.assert_allclose(to_centre(np.array([1, 2, 5, 12])), [3, 7, 4, 10])
    np.testing.assert_allclose(to_corners(to_centre(BOX)), BOX)


@pytest.mark.parametrize("rate_hz", [5, 25, 100])
def test_steady_walk_is_expected_where_it_goes_at_any_frame_rate(rate_hz: int) -> None:
    motion = walk([i / rate_hz for i in range(rate_hz + 1)])
    expected, _ = motion.at(1.0 + 0.04)
    # 80 px/s for 1.04 s; the left edge starts at 0.
    assert expected[0] == pytest.approx(83.2, abs=2.0)
    assert motion.velocity[0] == pytest.approx(SPEED_PX_S, rel=0.08)


def test_uneven_frame_times_give_the_same_velocity_as_even_ones() -> None:
    uneven = np.cumsum([0, 0.01, 0.1, 0.03, 0.2, 0.02, 0.15, 0.09, 0.1, 0.1, 0.2])
    motion = walk(uneven.tolist())
    assert motion.velocity[0] == pytest.approx(SPEED_PX_S, rel=0.08)


def test_two_unseen_steps_are_as_uncertain_as_one_long_step() -> None:
    motion = walk([0.0, 0.04, 0.08])
    half = motion._grown(0.1)
    motion._p00, motion._p01, motion._p11 = half
    twice = motion._grown(0.1)
    fresh = walk([0.0, 0.04, 0.08])
    once = fresh._grown(0.2)
    np.testing.assert_allclose(twice, once, rtol=1e-9)


def test_uncertainty_grows_while_nothing_is_seen() -> None:
    motion = walk([0.0, 0.04, 0.08])
    assert motion.at(1.0)[1] > 3 * motion.at(0.12)[1]


def test_an_unseen_box_does_not_run_away() -> None:
    motion = walk([i / 25 for i in range(26)])
    start, _ = motion.at(1.0)
    later, _ = motion.at(60.0)
    # At most the speed for 0.4 s + 0.7 s: 88 px.
    assert later[0] - start[0] < 92.0


def test_time_that_stands_still_or_runs_back_breaks_nothing() -> None:
    motion = walk([0.0, 0.04, 0.08])
    motion.see(0.08, BOX)
    motion.see(0.01, BOX)
    assert np.isfinite(motion.at(0.2)[0]).all()
    assert motion.time_s == 0.08
