"""fill_gaps: short gaps between known places, nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import LSP14
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import UsageError
from chronopose.refine import EditLog, FillGapsSettings, fill_gaps, undo

RATE = 25.0


def walk(lost: dict[int, list[int]], rows: list[int], frames: int = 20) -> VideoPoses:
    """A person whose joint k is at (10 k + f**2, 3 f); joints and whole frames are missing.

    Args:
        lost: Joint -> frames in which it is unknown.
        rows: Frames in which the person is.
        frames: Frames that were looked at.
    """
    f = np.arange(frames, dtype=np.float32)
    x = 10 * np.arange(14)[None] + f[:, None] ** 2
    xy = np.stack([x, np.broadcast_to(3 * f[:, None], x.shape)], -1).astype(np.float32)
    score = np.full((frames, 14), 0.9, np.float32)
    for k, where in lost.items():
        xy[where, k], score[where, k] = np.nan, 0.0
    boxes = np.stack([f, f, f + 100, f + 200], -1).astype(np.float32)
    track = PersonTrack(
        3, np.array(rows), np.array(rows) / RATE, Boxes(boxes[rows], np.full(len(rows), 0.9)),
        Poses(xy[rows], score[rows], LSP14),
    )  # fmt: skip
    every = np.arange(frames)
    return VideoPoses(VideoInfo("v", (640, 360)), LSP14, (track,), (), every, every / RATE)


ALL = list(range(20))


def xy(poses: VideoPoses) -> NDArray[np.float32]:
    return poses.person(3).poses.xy


def test_a_line_is_drawn_through_a_gap_and_marked() -> None:
    before, log = walk({2: [5, 6]}, ALL), EditLog()
    after = fill_gaps(before, log=log)
    # Between x = 20 + 16 at frame 4 and x = 20 + 49 at frame 7: 36 + 33 / 3 and 36 + 66 / 3.
    np.testing.assert_allclose(xy(after)[[5, 6], 2], [[47.0, 15.0], [58.0, 18.0]], rtol=1e-6)
    track = after.person(3)
    np.testing.assert_allclose(track.poses.score[[5, 6], 2], 0.2)
    assert not np.asarray(track.poses.visible)[[5, 6], 2].any()
    assert log.counts() == {("fill_gaps", "filled"): 2}
    assert after.history[-1].step == "fill_gaps"
    np.testing.assert_array_equal(xy(undo(after, log)), xy(before))


def test_a_cubic_goes_through_a_parabola() -> None:
    after = fill_gaps(walk({2: [5, 6]}, ALL), FillGapsSettings(method="cubic"))
    np.testing.assert_allclose(xy(after)[[5, 6], 2], [[45.0, 15.0], [56.0, 18.0]], rtol=1e-5)


def test_a_cubic_with_one_place_on_a_side_is_a_line() -> None:
    for lost in ([1, 2], [17, 18]):
        line, cubic = (
            xy(fill_gaps(walk({2: lost}, ALL), FillGapsSettings(method=how)))[lost, 2]
            for how in ("linear", "cubic")
        )
        np.testing.assert_array_equal(line, cubic)


def test_kalman_fills_with_the_motion_around_and_leaves_the_known_alone() -> None:
    before = walk({2: [5, 6]}, ALL)
    after = fill_gaps(before, FillGapsSettings(method="kalman", noise_px=0.1))
    np.testing.assert_allclose(xy(after)[[5, 6], 2, 0], [45.0, 56.0], atol=1.0)
    known = np.isfinite(xy(before))
    np.testing.assert_array_equal(xy(after)[known], xy(before)[known])


@pytest.mark.parametrize("method", ["linear", "cubic", "kalman"])
def test_the_limit_is_the_time_between_the_known_places(method: Any) -> None:
    # Frames 4 and 9 are 0.2 s apart.
    before = walk({2: [5, 6, 7, 8]}, ALL)
    for limit, filled in ((0.2, 4), (0.199, 0)):
        log = EditLog()
        fill_gaps(before, FillGapsSettings(method=method, max_gap_s=limit), log=log)
        assert len(log) == filled


@pytest.mark.parametrize("method", ["linear", "cubic", "kalman"])
def test_nothing_is_continued_beyond_the_ends(method: Any) -> None:
    before = walk({2: [0, 1, 18, 19], 5: ALL}, ALL)
    after = fill_gaps(before, FillGapsSettings(method=method))
    np.testing.assert_array_equal(xy(after), xy(before))


def test_a_person_who_is_missing_for_a_moment_is_put_back() -> None:
    rows = [f for f in ALL if f not in (8, 9)]
    before, log = walk({}, rows), EditLog()
    after = fill_gaps(before, log=log)
    track = after.person(3)
    assert track.frame_index.tolist() == ALL
    np.testing.assert_allclose(track.time_s, np.arange(20) / RATE)
    # Joint 0 from x = 49 to 100 within three frames; the box lies between the neighbours'.
    np.testing.assert_allclose(track.poses.xy[[8, 9], 0, 0], [66.0, 83.0], rtol=1e-6)
    np.testing.assert_allclose(track.boxes.xyxy[8], [8, 8, 108, 208], rtol=1e-6)
    np.testing.assert_allclose(track.boxes.score[[8, 9]], 0.2)
    assert log.counts() == {("fill_gaps", "inserted"): 28}
    assert undo(after, log).person(3).frame_index.tolist() == rows


def test_a_person_is_not_put_into_frames_that_nobody_looked_at() -> None:
    before = walk({}, [0, 2, 4])
    every_other = np.array([0, 2, 4])
    looked = VideoPoses(before.info, LSP14, before.tracks, (), every_other, every_other / RATE)
    assert fill_gaps(looked).person(3).frame_index.tolist() == [0, 2, 4]


def test_a_person_is_not_put_where_somebody_stands_under_another_id() -> None:
    # The tracker called person 3 by the name of 4 for two frames.
    rows = [f for f in ALL if f not in (8, 9)]
    lost, renamed = walk({}, rows), walk({}, [8, 9])
    four = replace(renamed.tracks[0], track_id=4)
    both = replace(lost, tracks=(*lost.tracks, four))
    assert fill_gaps(both).person(3).frame_index.tolist() == rows
    assert len(fill_gaps(both, FillGapsSettings(same_pose=1.1)).person(3)) == 20
    aside = replace(four, poses=replace(four.poses, xy=four.poses.xy + 300))
    assert len(fill_gaps(replace(lost, tracks=(*lost.tracks, aside))).person(3)) == 20


def test_a_gap_that_would_have_to_be_crossed_too_fast_stays() -> None:
    # Boxes of 100 x 200 px: 141 px a size, 566 px a second, 67.9 px in the 0.12 s of a gap of two.
    for x, filled in ((67.0, True), (69.0, False)):
        before = walk({2: [5, 6]}, ALL)
        before.person(3).poses.xy[7, 2] = before.person(3).poses.xy[4, 2] + np.array([x, 0.0])
        assert np.isfinite(xy(fill_gaps(before))[5, 2]).all() == filled


def test_a_person_most_of_whose_joints_jumped_meanwhile_is_not_put_back() -> None:
    rows = [f for f in ALL if f not in (8, 9)]
    for jumped, frames in ((7, ALL), (8, rows)):
        before = walk({}, rows)
        before.person(3).poses.xy[8:, :jumped, 1] += 300.0
        after = fill_gaps(before).person(3)
        assert after.frame_index.tolist() == frames
    before.person(3).poses.xy[8:, 7, 1] -= 300.0
    known = np.isfinite(fill_gaps(before).person(3).poses.xy[8]).all(-1)
    assert known.tolist() == [False] * 7 + [True] * 7


def test_a_long_absence_stays() -> None:
    before = walk({}, [*range(5), *range(15, 20)])
    assert fill_gaps(before).person(3).frame_index.tolist() == before.person(3).frame_index.tolist()


def test_unsure_joints_are_filled_when_asked() -> None:
    before = walk({}, ALL)
    before.person(3).poses.score[7, 4] = 0.05
    before.person(3).poses.xy[7, 4] = 999.0
    np.testing.assert_array_equal(xy(fill_gaps(before)), xy(before))
    after = fill_gaps(before, FillGapsSettings(min_score=0.3))
    np.testing.assert_allclose(xy(after)[7, 4], [40 + (36 + 64) / 2, 21.0], rtol=1e-6)


def test_whole_tracks_stay_as_they_are() -> None:
    before, log = walk({}, ALL), EditLog()
    after = fill_gaps(before, log=log)
    assert after.tracks[0] is before.tracks[0]
    assert len(log) == 0


def test_nobody_and_one_frame_pass() -> None:
    assert len(fill_gaps(VideoPoses(VideoInfo("v", (9, 9)), LSP14, ()))) == 0
    assert len(fill_gaps(walk({}, [4])).person(3)) == 1


@pytest.mark.parametrize("wrong", [{"max_gap_s": 0}, {"method": "spline"}, {"filled_score": 2}])
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=str(next(iter(wrong.values())))):
        FillGapsSettings(**wrong)
