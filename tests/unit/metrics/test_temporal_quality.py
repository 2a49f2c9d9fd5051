"""Quality in time: a falling body, a trembling knee, a person who leaves and comes back."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import ShapeError
from chronopose.metrics.temporal import TemporalQuality, TemporalResult, acceleration

TRUNK = Skeleton("trunk", ("left_shoulder", "right_shoulder", "left_hip", "right_hip"))
# Both diagonals are 50 px.
STAND = np.array([[30.0, 0.0], [0.0, 0.0], [30.0, 40.0], [0.0, 40.0]])
INFO = VideoInfo("made up", (640, 480))


def track(
    frames: list[int], shift: np.ndarray | float = 0.0, track_id: int = 1, rate_hz: float = 10.0
) -> PersonTrack:
    """A standing person moved right by ``shift`` pixels in each frame; box 80 x 100."""
    count = len(frames)
    xy = np.repeat(STAND[None], count, axis=0)
    xy[..., 0] += np.broadcast_to(shift, count)[:, None]
    boxes = Boxes(np.tile([0.0, 0.0, 80.0, 100.0], (count, 1)), np.ones(count))
    poses = Poses(xy, np.ones((count, 4)), TRUNK)
    return PersonTrack(track_id, np.array(frames), np.array(frames) / rate_hz, boxes, poses)


def video(*tracks: PersonTrack, frames: int = 10, rate_hz: float = 10.0) -> VideoPoses:
    index = np.arange(frames)
    return VideoPoses(INFO, TRUNK, tracks, frame_index=index, time_s=index / rate_hz)


def measure(poses: VideoPoses, **settings: object) -> TemporalResult:
    metric = TemporalQuality(**settings)  # type: ignore[arg-type]
    metric.update(poses)
    return metric.compute()


def test_free_fall_is_measured_exactly_at_uneven_times() -> None:
    # x = 3 t and y = 4 t^2: the acceleration is 8 px/s^2 down, whatever the steps.
    time = np.array([0.0, 0.1, 0.15, 0.4, 1.0])
    xy = np.stack([3 * time, 4 * time**2], axis=-1)
    np.testing.assert_allclose(acceleration(xy, time), [8, 8, 8])


def test_even_motion_at_uneven_times_has_no_acceleration() -> None:
    time = np.array([0.0, 0.1, 0.15, 0.4])
    np.testing.assert_allclose(acceleration(time[:, None] * [5.0, -2.0], time), 0, atol=1e-9)


def test_unknown_position_makes_its_three_windows_unknown() -> None:
    xy = np.zeros((6, 2))
    xy[3] = np.nan
    found = acceleration(xy, np.arange(6.0))
    assert np.isnan(found).tolist() == [False, True, True, True]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_two_frames_have_no_acceleration(count: int) -> None:
    assert acceleration(np.zeros((count, 17, 2)), np.arange(float(count))).shape == (0, 17)


def test_standing_time_is_refused() -> None:
    with pytest.raises(ShapeError, match="strictly rising"):
        acceleration(np.zeros((3, 2)), np.array([0.0, 1.0, 1.0]))


def test_times_of_another_length_are_refused() -> None:
    with pytest.raises(ShapeError, match="3 positions need as many times; got 2"):
        acceleration(np.zeros((3, 2)), np.arange(2.0))


def test_trembling_by_one_pixel_at_ten_frames_a_second() -> None:
    # 0 1 0 1 ...: every second difference is 2 px over 0.1^2 s^2 = 200 px/s^2; torso 50 px.
    result = measure(video(track(list(range(10)), np.arange(10) % 2)))
    assert result.jitter == pytest.approx(4.0, rel=1e-5)
    assert result.jitter_median == pytest.approx(4.0, rel=1e-5)
    assert result.tracks[0].size_px == pytest.approx(50)


def test_trembling_can_be_measured_by_the_box() -> None:
    # 200 px/s^2 over the longer side, 100 px.
    poses = video(track(list(range(10)), np.arange(10) % 2))
    assert measure(poses, normalise="bbox").jitter == pytest.approx(2.0, rel=1e-5)


def test_twice_the_size_trembling_twice_as_far_is_the_same_jitter() -> None:
    small = track(list(range(10)), np.arange(10) % 2)
    large = PersonTrack(
        1, small.frame_index, small.time_s, small.boxes,
        Poses(small.poses.xy * 2, small.poses.score, TRUNK),
    )  # fmt: skip
    assert measure(video(large)).jitter == pytest.approx(measure(video(small)).jitter)


def test_one_jump_moves_the_mean_and_not_the_median() -> None:
    shift = np.zeros(20)
    shift[10:] = 30
    result = measure(video(track(list(range(20)), shift), frames=20))
    # Two of 18 windows see the jump: 30 px / 0.01 s^2 / 50 px = 60.
    assert result.jitter == pytest.approx(60 * 2 / 18)
    assert result.jitter_median == 0.0


def test_walking_evenly_is_not_jitter() -> None:
    assert measure(video(track(list(range(10)), np.arange(10) * 7.0))).jitter == pytest.approx(
        0, abs=1e-3
    )


def test_absence_is_a_gap_and_not_a_jump() -> None:
    # Seen in 0 1 2, away for 3 4 5, seen elsewhere in 6 7 8 9.
    shift = np.array([0, 0, 0, 90, 90, 90, 90])
    result = measure(video(track([0, 1, 2, 6, 7, 8, 9], shift)))
    assert result.jitter == 0.0
    assert (result.gaps, result.missing_frames) == (1, 3)
    assert result.longest_gap_s == pytest.approx(0.4)  # from frame 2 to frame 6


def test_frames_that_nobody_looked_at_are_no_gap() -> None:
    frames = [0, 3, 6, 9]
    poses = VideoPoses(
        INFO, TRUNK, (track(frames, np.array([0, 1, 0, 1])),), frame_index=np.array(frames),
        time_s=np.array(frames) / 10,
    )  # fmt: skip
    result = measure(poses)
    assert result.gaps == 0
    # Steps of 0.3 s: 2 px / 0.09 s^2 / 50 px.
    assert result.jitter == pytest.approx(2 / 0.09 / 50, rel=1e-5)


def test_ids_that_appear_after_the_first_frame_are_births() -> None:
    # Ten frames at 10 Hz last 0.9 s; person 2 appears in frame 4, when person 1 disappears.
    poses = video(track([0, 1, 2, 3]), track([4, 5, 6, 7], track_id=2))
    result = measure(poses)
    assert [t.late for t in result.tracks] == [False, True]
    assert result.id_births == 1
    assert result.births_per_minute == pytest.approx(60 / 0.9)


def test_first_frame_without_people_counts_for_births() -> None:
    assert measure(video(track([1, 2, 3]))).id_births == 1


def test_unsure_joints_count_as_unknown() -> None:
    one = track([0, 1, 2, 3])
    one.poses.score[:2, 0] = 0.1
    result = measure(video(one), min_score=0.3)
    assert result.joint_coverage == 14 / 16
    assert result.jitter == 0.0


def test_track_without_torso_is_told_and_left_out() -> None:
    bare = track([0, 1, 2, 3], np.array([0, 5, 0, 5]))
    bare.poses.xy[:, :2] = np.nan
    result = measure(video(bare, track([0, 1, 2], track_id=2)))
    assert result.unmeasured == 1
    assert np.isnan(result.tracks[0].jitter) and np.isnan(result.tracks[0].size_px)
    assert result.jitter == 0.0


def test_track_of_two_frames_has_no_jitter() -> None:
    result = measure(video(track([0, 1])))
    assert np.isnan(result.jitter)
    assert result.unmeasured == 1


def test_videos_add_up() -> None:
    metric = TemporalQuality()
    metric.update(video(track([0, 1, 2, 5])))
    metric.update(video(track([3, 4, 9])))
    result = metric.compute()
    assert (len(result.tracks), result.gaps, result.missing_frames) == (2, 2, 6)
    assert result.births_per_minute == pytest.approx(60 / 1.8)


def test_video_without_people_is_nothing_to_measure() -> None:
    result = measure(video())
    assert (result.tracks, result.gaps, result.id_births, result.births_per_minute) == ((), 0, 0, 0)
    assert np.isnan(result.jitter) and np.isnan(result.joint_coverage)


def test_unknown_normaliser_is_refused() -> None:
    with pytest.raises(ShapeError, match="by 'torso' or 'bbox'; got 'head'"):
        TemporalQuality(normalise="head")  # type: ignore[arg-type]


def mirrored(person: PersonTrack, frames: list[int]) -> PersonTrack:
    """The track with left and right names exchanged in some of its frames."""
    poses = person.poses
    xy = poses.xy.copy()
    xy[frames] = xy[frames][:, poses.skeleton.flip_index]
    return PersonTrack(
        person.track_id, person.frame_index, person.time_s, person.boxes,
        Poses(xy, poses.score, poses.skeleton),
    )  # fmt: skip


def test_sides_exchanged_for_one_frame_are_two_swaps_of_two_pairs() -> None:
    # Shoulders and hips are 30 px apart, the torso is 50: there and back, two pairs each.
    result = measure(video(mirrored(track(list(range(10))), [4])))
    assert result.side_swaps == result.tracks[0].side_swaps == 4
    assert measure(video(track(list(range(10))))).side_swaps == 0


def test_legs_that_pass_each_other_are_no_swap() -> None:
    # From 30 px apart to -30 px, 3.3 px a leg and frame: in the middle crossed names fit exactly,
    # but save 6.7 px only, less than a quarter of the torso of about 43 px.
    person = track(list(range(10)))
    xy = person.poses.xy.copy()
    half = np.linspace(30, -30, 10) / 2
    xy[:, 2, 0], xy[:, 3, 0] = 15 + half, 15 - half
    poses = Poses(xy, person.poses.score, TRUNK)
    walker = PersonTrack(1, person.frame_index, person.time_s, person.boxes, poses)
    assert measure(video(walker)).side_swaps == 0


def test_swap_across_a_gap_is_not_told() -> None:
    person = mirrored(track([0, 1, 2, 5, 6, 7]), [3, 4, 5])
    assert measure(video(person)).side_swaps == 0


def exchanged(frames: int, at: int) -> VideoPoses:
    """Two people 200 px apart who take each other's id in frame ``at``."""
    place = np.where(np.arange(frames) < at, 0.0, 200.0)
    one = track(list(range(frames)), shift=place)
    two = track(list(range(frames)), shift=200.0 - place, track_id=2)
    return video(one, two, frames=frames)


def test_two_people_who_take_each_others_id_are_one_exchange() -> None:
    result = measure(exchanged(10, 5))
    assert (result.id_switches, result.id_exchanges, result.id_renames) == (1, 1, 0)


def test_two_people_who_keep_apart_are_no_exchange() -> None:
    result = measure(video(track(list(range(10))), track(list(range(10)), 200.0, 2)))
    assert result.id_switches == 0


def test_lost_and_found_in_the_same_place_is_a_rename() -> None:
    # 0.2 s and 40 px apart: within 0.5 s and one torso of 50 px.
    result = measure(video(track([0, 1, 2, 3]), track([5, 6, 7], 40.0, 2)))
    assert (result.id_switches, result.id_exchanges, result.id_renames) == (1, 0, 1)


@pytest.mark.parametrize(
    ("frames", "shift"), [([5, 6, 7], 51.0), ([9], 0.0)], ids=["too far", "too late"]
)
def test_somebody_else_is_no_rename(frames: list[int], shift: float) -> None:
    result = measure(video(track([0, 1, 2, 3]), track(frames, shift, 2)))
    assert result.id_renames == 0


def test_one_lost_person_is_renamed_once() -> None:
    result = measure(
        video(track([0, 1, 2]), track([4, 5], 10.0, 2), track([4, 5], 20.0, 3), frames=6)
    )
    assert result.id_renames == 1


def test_printed_quality_names_its_units() -> None:
    told = str(measure(exchanged(10, 5)))
    assert "sizes/s²" in told and "1: 1 exchanged, 0 renamed" in told
