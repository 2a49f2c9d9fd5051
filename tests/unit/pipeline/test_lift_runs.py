"""Tracks cut into runs without gaps, and resampled in time."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import PersonTrack
from chronopose.pipeline.lift_runs import at_times, runs_of, steady_times

TWO = Skeleton("two", ("pelvis", "head"))


def track(times: list[float], head_x: list[float], score: list[float] | None = None) -> PersonTrack:
    """The pelvis stays at 0; NaN is an unknown head."""
    count = len(times)
    xy = np.zeros((count, 2, 2), np.float32)
    xy[:, 1, 0] = head_x
    scores = np.ones((count, 2), np.float32)
    if score is not None:
        scores[:, 1] = score
    boxes = Boxes(np.tile([0, 0, 9, 9.0], (count, 1)), np.ones(count))
    return PersonTrack(0, np.arange(count), np.array(times), boxes, Poses(xy, scores, TWO))


def test_a_short_gap_is_filled_by_the_time_that_passed() -> None:
    # 0.3 of the 0.4 s between 0 and 8.
    (run,) = runs_of(track([0.0, 0.1, 0.4, 0.5], [0, 0, np.nan, 8]), max_gap_s=0.5)
    np.testing.assert_allclose(run.xy[:, 1, 0], [0, 0, 6, 8], atol=1e-6)
    assert run.filled[:, 1].tolist() == [False, False, True, False]
    assert run.score[2, 1] == pytest.approx(0.2)
    assert not run.filled[:, 0].any()


def test_a_long_gap_cuts_the_track_and_stays_empty() -> None:
    times = [0.0, 0.1, 0.2, 0.5, 0.8, 0.9]
    first, last = runs_of(track(times, [1, 2, np.nan, np.nan, 5, 6]), max_gap_s=0.5)
    assert first.rows.tolist() == [0, 1]
    assert last.rows.tolist() == [4, 5]


def test_time_without_the_person_cuts_too() -> None:
    runs = runs_of(track([0.0, 0.1, 0.2, 1.2, 1.3], [1, 2, 3, 4, 5]), max_gap_s=0.5)
    assert [r.rows.tolist() for r in runs] == [[0, 1, 2], [3, 4]]


def test_slow_video_is_not_cut_at_every_frame() -> None:
    (run,) = runs_of(track([0.0, 1.0, 2.0, 3.0], [1, 2, 3, 4]), max_gap_s=0.5)
    assert len(run) == 4


def test_the_end_of_what_is_known_is_held_for_as_long() -> None:
    nan = np.nan
    times = [0.0, 0.2, 0.4, 0.6, 0.8]
    (run,) = runs_of(track(times, [nan, 3, 4, nan, nan]), max_gap_s=0.3)
    # 0.6 s is 0.2 s behind the last known place, 0.8 s is 0.4 s.
    assert run.rows.tolist() == [0, 1, 2, 3]
    assert run.xy[:, 1, 0].tolist() == [3, 3, 4, 4]


def test_joints_of_low_score_are_unknown_where_asked() -> None:
    poses = track([0.0, 0.1, 0.2], [0, 50, 2], [0.9, 0.1, 0.9])
    assert runs_of(poses)[0].xy[1, 1, 0] == 50
    np.testing.assert_allclose(runs_of(poses, min_score=0.3)[0].xy[1, 1, 0], 1, atol=1e-6)


def test_a_joint_that_is_never_known_leaves_nothing() -> None:
    assert runs_of(track([0.0, 0.1], [np.nan, np.nan])) == []


def test_steady_times_reach_the_last_one() -> None:
    np.testing.assert_allclose(
        steady_times(np.array([1.0, 1.1]), 50), [1, 1.02, 1.04, 1.06, 1.08, 1.1]
    )
    np.testing.assert_allclose(steady_times(np.array([0.0, 0.05]), 50), [0, 0.02, 0.04, 0.06])
    np.testing.assert_allclose(steady_times(np.array([7.0]), 50), [7])


def test_straight_lines_pass_resampling_there_and_back_at_any_rate() -> None:
    times = np.array([0.0, 0.03, 0.07, 0.11, 0.2])
    line = np.stack([3 * times, 1 - times], axis=-1)
    grid = steady_times(times, 50)
    there = at_times(line, times, grid)
    # The last grid point lies on the last time, so nothing is held.
    np.testing.assert_allclose(at_times(there, grid, times), line, atol=1e-12)


def test_values_between_times_by_hand() -> None:
    values = np.array([[0.0], [10.0], [40.0]])
    found = at_times(values, np.array([0.0, 1.0, 3.0]), np.array([-1.0, 0.25, 2.0, 9.0]))
    assert found[:, 0].tolist() == [0, 2.5, 25, 40]
