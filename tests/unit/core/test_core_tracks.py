"""Tracks and videos of poses: two people cross a short video, one leaves for a while."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import COCO17, POSETRACK15
from chronopose.core.tracks import (
    FramePoses,
    HistoryStep,
    PersonTrack,
    VideoPoses,
    frames_to_table,
    table_to_frames,
)
from chronopose.core.video import VideoInfo
from chronopose.errors import ShapeError

INFO = VideoInfo("two people cross", (64, 48))
PAIR = Skeleton("pair", ("nose", "left_hip", "right_hip"))
TIMES = {0: 0.0, 1: 0.04, 2: 0.10, 5: 0.20}
PRESENT = {0: [7, 3], 1: [7], 2: [], 5: [3, 7]}


def frame(index: int, skeleton: Skeleton = PAIR) -> FramePoses:
    """Person p of frame f has x = 10 p + f and y = joint number."""
    ids = np.array(PRESENT[index], np.int64)
    xy = np.zeros((len(ids), len(skeleton), 2))
    xy[..., 0] = 10 * ids[:, None] + index
    xy[..., 1] = np.arange(len(skeleton))
    score = np.full(xy.shape[:2], 0.25)
    boxes = np.tile(np.array([0.0, 0.0, 1.0, 2.0]), (len(ids), 1)) + ids[:, None]
    return FramePoses(
        index, TIMES[index], ids, Boxes(boxes, 0.5 + ids / 100), Poses(xy, score, skeleton)
    )


def video() -> VideoPoses:
    return VideoPoses.from_frames(INFO, PAIR, [frame(i) for i in TIMES], (HistoryStep("made"),))


def test_frames_become_one_track_a_person_ordered_by_id() -> None:
    tracks = video().tracks
    assert [t.track_id for t in tracks] == [3, 7]
    assert tracks[0].frame_index.tolist() == [0, 5]
    assert tracks[1].time_s.tolist() == [0.0, 0.04, 0.2]
    # Person 7 in frame 5: x = 70 + 5 for every joint.
    assert tracks[1].poses.xy[2].tolist() == [[75, 0], [75, 1], [75, 2]]
    assert tracks[1].boxes.xyxy[2].tolist() == [7, 7, 8, 9]
    assert tracks[1].boxes.score[2] == pytest.approx(0.57)


def test_frames_come_back_in_time_order_with_the_empty_one() -> None:
    frames = list(video().frames())
    assert [f.frame_index for f in frames] == [0, 1, 2, 5]
    assert [f.time_s for f in frames] == [0.0, 0.04, 0.1, 0.2]
    assert [f.ids.tolist() for f in frames] == [[3, 7], [7], [], [3, 7]]
    assert frames[3].keypoints[0, 0].tolist() == [35, 0]


def test_frames_of_a_video_make_the_same_video() -> None:
    first = video()
    again = VideoPoses.from_frames(INFO, PAIR, first.frames())
    for a, b in zip(first.tracks, again.tracks, strict=True):
        np.testing.assert_array_equal(a.poses.xy, b.poses.xy)
        np.testing.assert_array_equal(a.poses.visible, b.poses.visible)  # type: ignore[arg-type]
        np.testing.assert_array_equal(a.boxes.xyxy, b.boxes.xyxy)
        np.testing.assert_array_equal(a.time_s, b.time_s)
    np.testing.assert_array_equal(first.time_s, again.time_s)


def test_frames_are_known_from_tracks_alone() -> None:
    alone = VideoPoses(INFO, PAIR, video().tracks)
    assert [f.frame_index for f in alone.frames()] == [0, 1, 5]


def test_table_has_one_row_a_joint() -> None:
    table = video().to_table()
    # Five appearances of three joints.
    assert {len(column) for column in table.values()} == {15}
    assert list(table) == [
        "frame", "time_s", "person_id", "joint", "x", "y", "score", "visible",
        "box_x1", "box_y1", "box_x2", "box_y2", "box_score",
    ]  # fmt: skip
    row = {name: column[4] for name, column in table.items()}
    assert (row["frame"], row["person_id"], row["joint"]) == (0, 7, "left_hip")
    assert (row["x"], row["y"], row["score"], row["visible"]) == (70, 1, 0.25, True)
    assert (row["box_x1"], row["box_y2"]) == (7, 9)


def test_table_and_back_keeps_every_track() -> None:
    first = video()
    again = VideoPoses.from_table(INFO, PAIR, first.to_table(), first.history)
    assert again.ids.tolist() == [3, 7]
    assert again.history == first.history
    for a, b in zip(first.tracks, again.tracks, strict=True):
        np.testing.assert_array_equal(a.poses.xy, b.poses.xy)
        np.testing.assert_array_equal(a.poses.score, b.poses.score)
        np.testing.assert_array_equal(a.boxes.xyxy, b.boxes.xyxy)
        np.testing.assert_array_equal(a.boxes.score, b.boxes.score)
        np.testing.assert_array_equal(a.frame_index, b.frame_index)
        np.testing.assert_array_equal(a.time_s, b.time_s)


def test_unknown_joints_survive_the_table() -> None:
    one = frame(1)
    one.poses.xy[0, 1] = np.nan
    (back,) = table_to_frames(frames_to_table([one], PAIR), PAIR)
    assert np.isnan(back.keypoints[0]).any(-1).tolist() == [False, True, False]


def test_poses_in_space_have_a_z_column_and_come_back_with_it() -> None:
    xyz = np.arange(9.0).reshape(1, 3, 3)
    poses = Poses(xyz, np.ones((1, 3)), PAIR, "camera_mm")
    lifted = FramePoses(0, 0.0, np.array([1]), Boxes(np.zeros((1, 4)), np.ones(1)), poses)
    table = frames_to_table([lifted], PAIR)
    assert table["z"].tolist() == [2, 5, 8]
    (back,) = table_to_frames(table, PAIR)
    assert back.poses.space == "camera_mm"
    np.testing.assert_array_equal(back.poses.xy, xyz)


def test_table_of_a_video_without_people_is_empty_and_readable() -> None:
    table = frames_to_table([frame(2)], PAIR)
    assert {len(column) for column in table.values()} == {0}
    assert list(table_to_frames(table, PAIR)) == []


def test_table_of_another_skeleton_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"15 joints of 'posetrack15'.*names other joints"):
        list(table_to_frames(frames_to_table([frame(0)] * 5, PAIR), POSETRACK15))


def test_table_with_a_lost_row_is_refused() -> None:
    table = {name: column[:-1] for name, column in video().to_table().items()}
    with pytest.raises(ShapeError, match="14 rows are no multiple of 3"):
        list(table_to_frames(table, PAIR))


def test_table_that_tears_a_person_apart_is_refused() -> None:
    table = dict(video().to_table())
    table["person_id"] = table["person_id"].copy()
    table["person_id"][1] = 99
    with pytest.raises(ShapeError, match="not beside each other"):
        list(table_to_frames(table, PAIR))


def test_table_without_times_is_refused() -> None:
    table = {k: v for k, v in video().to_table().items() if k != "time_s"}
    with pytest.raises(ShapeError, match="no column time_s"):
        list(table_to_frames(table, PAIR))


def test_between_takes_the_start_and_leaves_the_end() -> None:
    part = video().between(0.04, 0.2)
    assert part.frame_index.tolist() == [1, 2]
    assert part.ids.tolist() == [7]
    assert part.tracks[0].frame_index.tolist() == [1]


def test_between_nothing_is_an_empty_video() -> None:
    part = video().between(5.0, 6.0)
    assert (len(part), list(part.frames())) == (0, [])


def test_empty_video_answers_everything_with_nothing() -> None:
    empty = VideoPoses(INFO, PAIR, ())
    assert list(empty.frames()) == []
    assert empty.ids.tolist() == []
    assert len(empty.to_table()["x"]) == 0
    assert len(VideoPoses.from_frames(INFO, PAIR, [])) == 0


def test_person_is_found_by_id() -> None:
    assert video().person(7).frame_index.tolist() == [0, 1, 5]
    with pytest.raises(ShapeError, match=r"No person 8; the ids are \[3, 7\]"):
        video().person(8)


def test_history_grows_by_a_step() -> None:
    history = video().with_step("smooth", {"cutoff_hz": 6}, "1.0").history
    assert [h.step for h in history] == ["made", "smooth"]
    assert history[1].settings == {"cutoff_hz": 6}


def test_converting_a_video_is_written_into_its_history() -> None:
    frames = [frame(i, COCO17) for i in TIMES]
    converted = VideoPoses.from_frames(INFO, COCO17, frames).to_skeleton(POSETRACK15)
    assert converted.tracks[0].poses.xy.shape == (2, 15, 2)
    assert converted.history[-1] == HistoryStep("to_skeleton", {"to": "posetrack15"})


def test_tracks_are_put_in_order_of_their_ids() -> None:
    assert VideoPoses(INFO, PAIR, video().tracks[::-1]).ids.tolist() == [3, 7]


def test_video_can_be_pickled() -> None:
    again = pickle.loads(pickle.dumps(video()))
    np.testing.assert_array_equal(again.person(7).poses.xy, video().person(7).poses.xy)


def test_track_is_cut_by_a_slice() -> None:
    part = video().person(7).select(slice(1, None))
    assert (part.frame_index.tolist(), len(part.boxes), len(part.poses)) == ([1, 5], 2, 2)


def track(frames: list[int], times: list[float], track_id: int = 1) -> PersonTrack:
    count = len(frames)
    poses = Poses(np.zeros((count, 3, 2)), np.ones((count, 3)), PAIR)
    boxes = Boxes(np.zeros((count, 4)), np.ones(count))
    return PersonTrack(track_id, np.array(frames), np.array(times), boxes, poses)


@pytest.mark.parametrize(
    ("frames", "times"), [([4, 4], [0.0, 1.0]), ([4, 5], [1.0, 1.0]), ([4, 5], [0.0, np.nan])]
)
def test_track_must_move_forward(frames: list[int], times: list[float]) -> None:
    with pytest.raises(ShapeError, match="Track 1 does not move forward: frame 4 at"):
        track(frames, times)


def test_track_needs_a_time_for_every_frame() -> None:
    with pytest.raises(ShapeError, match="Track 1 has 2 frames, 1 times, 2 boxes and 2 poses"):
        track([0, 1], [0.0])


def test_an_id_belongs_to_one_track() -> None:
    with pytest.raises(ShapeError, match=r"unique in a video; got \[1, 1\]"):
        VideoPoses(INFO, PAIR, (track([0], [0.0]), track([5], [0.2])))


def test_all_tracks_share_the_joints_of_the_video() -> None:
    with pytest.raises(ShapeError, match="is a 'pair' skeleton in a video of 'coco17' poses"):
        VideoPoses(INFO, COCO17, (track([0], [0.0]),))


def test_an_id_comes_once_in_a_frame() -> None:
    two = frame(0)
    with pytest.raises(ShapeError, match=r"Frame 0 has a person id twice: \[4, 4\]"):
        FramePoses(0, 0.0, np.array([4, 4]), two.boxes, two.poses)


def test_frame_needs_a_box_for_every_person() -> None:
    two = frame(0)
    with pytest.raises(ShapeError, match="Frame 0 has 2 ids, 0 boxes and 2 poses"):
        FramePoses(0, 0.0, two.ids, Boxes.empty(), two.poses)


def test_frame_needs_an_axis_of_people() -> None:
    alone = Poses(np.zeros((3, 2)), np.ones(3), PAIR)
    with pytest.raises(ShapeError, match=r"must be \(people, joints, 2 or 3\); got \(3, 2\)"):
        FramePoses(0, 0.0, np.arange(3), Boxes(np.zeros((3, 4)), np.ones(3)), alone)
