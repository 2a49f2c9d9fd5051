"""Every writer of poses: what is written is what is read, up to the stated precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import get_skeleton
from chronopose.core.tracks import FramePoses, HistoryStep, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError, SkeletonMismatch
from chronopose.io.poses import FORMATS, PoseSink, open_sink, read_poses, write_poses

PIXEL_ERROR = {"parquet": 0.0, "csv": 0.0, "coco": 0.0005 + 1e-5}
"""Stated precision of coordinates, pixels; 1e-5 is the last bit of a float32 near 100."""
SCORE_ERROR = {"parquet": 0.0, "csv": 0.0, "coco": 0.00005 + 1e-7}

SKELETON = get_skeleton("posetrack15")
INFO = VideoInfo("street, #4.mp4", (640, 360), 1 / 90000, 29.97, 12, 0.4, 90, "h264")
HISTORY = (
    HistoryStep("predict", {"model": "tdmi:lite", "conf": 0.3, "flip_test": False}, "0.1.0"),
    HistoryStep("smooth", {"cutoff_hz": 6.5, "joints": ["left_wrist"]}),
)
K = len(SKELETON)


def people(index: int, time_s: float, centres: dict[int, float], seed: int = 0) -> FramePoses:
    """A frame with a person of each id around a column, with odd digits in every number."""
    random = np.random.default_rng([seed, index])
    count = len(centres)
    xy = np.zeros((count, K, 2), np.float32)
    boxes = np.zeros((count, 4), np.float32)
    for row, x in enumerate(centres.values()):
        xy[row] = np.array([x, 100.0]) + random.uniform(-40, 40, (K, 2))
        boxes[row] = [x - 45.1, 50.7, x + 45.3, 150.9]
    poses = Poses(xy, random.uniform(0, 1, (count, K)), SKELETON)
    ids = np.array(list(centres), np.int64)
    return FramePoses(index, time_s, ids, Boxes(boxes, random.uniform(0, 1, count)), poses)


def video(frames: list[FramePoses], complete: bool = True) -> VideoPoses:
    return VideoPoses.from_frames(INFO, SKELETON, frames, HISTORY, complete)


def two_people_cross() -> VideoPoses:
    return video([people(i, i / 25, {3: 100.0 + 10 * i, 7: 200.0 - 10 * i}) for i in range(11)])


def one_joint_leaves_the_frame() -> VideoPoses:
    frames = []
    for i in range(4):
        frame = people(i, i / 25, {1: 60.0})
        xy, visible = frame.poses.xy.copy(), np.ones((1, K), bool)
        wrist = SKELETON.index("left_wrist")
        xy[0, wrist] = (-5.25 * i, 80.0) if i < 3 else (np.nan, np.nan)
        visible[0, wrist] = i == 0
        poses = replace(frame.poses, xy=xy, visible=visible)
        frames.append(replace(frame, poses=poses))
    return video(frames)


def nobody_there() -> VideoPoses:
    return video([people(i, i / 25, {}) for i in range(5)])


def nobody_for_a_while() -> VideoPoses:
    here = [0, 1, 5, 6, 9]
    return video([people(i, i / 25, {2: 90.0} if i in here else {}) for i in range(11)])


def variable_frame_rate() -> VideoPoses:
    times = np.cumsum([0.0, 1 / 30, 1 / 30, 0.5, 1 / 3, 1e-4, 1 / 60])
    return video([people(3 * i, t, {1: 70.0} if i % 3 else {}) for i, t in enumerate(times)])


def the_video_breaks_off() -> VideoPoses:
    return video([people(i, i / 25, {1: 50.0 + i}) for i in range(3)], complete=False)


def not_a_single_frame() -> VideoPoses:
    return video([])


WORLDS: list[Callable[[], VideoPoses]] = [
    two_people_cross,
    one_joint_leaves_the_frame,
    nobody_there,
    nobody_for_a_while,
    variable_frame_rate,
    the_video_breaks_off,
    not_a_single_frame,
]

every_format = pytest.mark.parametrize("name", list(FORMATS))
every_world = pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.__name__)


def through(poses: VideoPoses, name: str, folder: Path) -> VideoPoses:
    path = folder / ("poses" + FORMATS[name].suffix)
    write_poses(poses, path)
    return read_poses(path)


@every_format
@every_world
def test_people_come_back(name: str, world: Callable[[], VideoPoses], tmp_path: Path) -> None:
    before, pixel, score = world(), PIXEL_ERROR[name], SCORE_ERROR[name]
    after = through(before, name, tmp_path)
    assert [t.track_id for t in after.tracks] == [t.track_id for t in before.tracks]
    for was, now in zip(before.tracks, after.tracks, strict=True):
        np.testing.assert_array_equal(now.frame_index, was.frame_index)
        np.testing.assert_array_equal(now.time_s, was.time_s)
        np.testing.assert_allclose(now.poses.xy, was.poses.xy, rtol=0, atol=pixel)
        np.testing.assert_allclose(now.poses.score, was.poses.score, rtol=0, atol=score)
        np.testing.assert_array_equal(now.poses.visible, was.poses.visible)
        np.testing.assert_allclose(now.boxes.xyxy, was.boxes.xyxy, rtol=0, atol=pixel)
        np.testing.assert_allclose(now.boxes.score, was.boxes.score, rtol=0, atol=score)
        assert now.poses.space == "image_px"


@every_format
@every_world
def test_all_frames_come_back_with_their_times(
    name: str, world: Callable[[], VideoPoses], tmp_path: Path
) -> None:
    before = world()
    after = through(before, name, tmp_path)
    np.testing.assert_array_equal(after.frame_index, before.frame_index)
    np.testing.assert_array_equal(after.time_s, before.time_s)


@every_format
@every_world
def test_the_description_comes_back(
    name: str, world: Callable[[], VideoPoses], tmp_path: Path
) -> None:
    before = world()
    after = through(before, name, tmp_path)
    assert (after.info, after.skeleton) == (before.info, before.skeleton)
    assert (after.history, after.complete) == (before.history, before.complete)


@every_format
def test_unknown_facts_of_the_video_stay_unknown(name: str, tmp_path: Path) -> None:
    poses = replace(nobody_there(), info=VideoInfo("rtsp", (640, 360)))
    after = through(poses, name, tmp_path).info
    assert np.isnan(after.rate_hz)
    assert np.isnan(after.duration_s)


@every_format
def test_a_name_that_is_no_utf8_can_be_written(name: str, tmp_path: Path) -> None:
    poses = replace(nobody_there(), info=VideoInfo("caf\udce9.mp4", (640, 360)))
    assert through(poses, name, tmp_path).info.source == "caf\ufffd.mp4"


@every_format
def test_streaming_writes_the_same_bytes_as_writing_at_once(name: str, tmp_path: Path) -> None:
    poses, suffix = nobody_for_a_while(), FORMATS[name].suffix
    at_once, streamed = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    write_poses(poses, at_once)
    with open_sink(streamed, name, INFO, SKELETON, HISTORY) as sink:  # type: ignore[attr-defined]
        for frame in poses.frames():
            sink.write(frame)
    assert streamed.read_bytes() == at_once.read_bytes()


@every_format
def test_every_sink_keeps_the_protocol(name: str, tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "poses", name, INFO, SKELETON)
    assert isinstance(sink, PoseSink)
    sink.abort()


@every_format
def test_abort_leaves_the_folder_empty(name: str, tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "poses", name, INFO, SKELETON)
    sink.write(people(0, 0.0, {1: 80.0}))
    sink.abort()
    sink.close()
    assert list(tmp_path.iterdir()) == []


@every_format
def test_nothing_has_the_name_before_close(name: str, tmp_path: Path) -> None:
    path = tmp_path / "poses"
    sink = open_sink(path, name, INFO, SKELETON)
    sink.write(people(0, 0.0, {1: 80.0}))
    assert not path.exists()
    sink.close()
    assert [p.name for p in tmp_path.iterdir()] == ["poses"]


@every_format
def test_frames_out_of_order_are_refused_and_nothing_stays(name: str, tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "poses", name, INFO, SKELETON)
    sink.write(people(4, 0.4, {}))
    with pytest.raises(FormatError, match=r"Cannot write frame 4 to .*poses after frame 4"):
        sink.write(people(4, 0.5, {1: 80.0}))
    assert list(tmp_path.iterdir()) == []


@every_format
def test_a_frame_without_a_time_is_refused(name: str, tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "poses", name, INFO, SKELETON)
    with pytest.raises(FormatError, match="its time is nan"):
        sink.write(people(0, float("nan"), {}))


@every_format
def test_a_score_that_is_no_number_is_refused(name: str, tmp_path: Path) -> None:
    frame = people(0, 0.0, {1: 80.0})
    frame.poses.score[0, 2] = np.nan
    sink = open_sink(tmp_path / "poses", name, INFO, SKELETON)
    with pytest.raises(FormatError, match="a score is not a finite number"):
        sink.write(frame)


@every_format
def test_two_people_of_one_id_are_refused(name: str, tmp_path: Path) -> None:
    frame = people(0, 0.0, {1: 80.0, 2: 200.0})
    frame.ids[:] = 5
    sink = open_sink(tmp_path / "poses", name, INFO, SKELETON)
    with pytest.raises(FormatError, match=r"\[5, 5\] name a person twice"):
        sink.write(frame)


@every_format
def test_poses_of_another_skeleton_are_refused(name: str, tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "poses", name, INFO, get_skeleton("coco17"))
    with pytest.raises(SkeletonMismatch, match=r"'posetrack15' poses to .* which holds 'coco17'"):
        sink.write(people(0, 0.0, {1: 80.0}))


@every_format
def test_a_closed_sink_takes_no_more(name: str, tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "poses", name, INFO, SKELETON)
    sink.close()
    with pytest.raises(FormatError, match="closed already"):
        sink.write(people(0, 0.0, {}))


@every_format
def test_a_missing_folder_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"the folder .*nowhere does not exist"):
        open_sink(tmp_path / "nowhere" / "poses", name, INFO, SKELETON)


@every_format
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"gone.*: there is no such file"):
        read_poses(tmp_path / "gone", name)


@every_format
@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"PAR1", b"\xff\xfe{", b"hello\n1\n"])
def test_a_file_of_something_else_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "strange"
    path.write_bytes(content)
    with pytest.raises(FormatError, match="strange"):
        read_poses(path, name)


@every_format
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_file_cut_short_is_never_read_as_whole(name: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / "poses"
    write_poses(two_people_cross(), path, name)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    try:
        complete = read_poses(path, name).complete
    except FormatError as error:
        assert str(path) in str(error)
    else:
        assert complete is False


@pytest.mark.parametrize("space", ["camera_mm", "root_mm"])
@pytest.mark.parametrize("name", ["parquet", "csv"])
def test_millimetres_come_back(name: str, space: str, tmp_path: Path) -> None:
    flat = two_people_cross()
    tracks = []
    for track in flat.tracks:
        xyz = np.concatenate([track.poses.xy, track.poses.xy[..., :1] * 10], axis=-1)
        tracks.append(replace(track, poses=replace(track.poses, xy=xyz, space=space)))
    after = through(replace(flat, tracks=tuple(tracks)), name, tmp_path)
    assert after.tracks[1].poses.space == space
    np.testing.assert_array_equal(after.tracks[1].poses.xy, tracks[1].poses.xy)


def test_coco_holds_pixels_only(tmp_path: Path) -> None:
    flat = two_people_cross()
    xyz = np.zeros((11, K, 3), np.float32)
    track = flat.tracks[0]
    deep = replace(track, poses=Poses(xyz, track.poses.score, SKELETON, "camera_mm"))
    with pytest.raises(FormatError, match="Cannot write poses in camera_mm"):
        write_poses(replace(flat, tracks=(deep,)), tmp_path / "poses.json")


def test_an_unknown_suffix_names_the_formats(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"'\.xlsx' .* parquet \(\.parquet\), coco \(\.json\)"):
        write_poses(nobody_there(), tmp_path / "poses.xlsx")


def test_an_unknown_format_names_the_formats(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"no format 'c3d' .* csv \(\.csv\)"):
        write_poses(nobody_there(), tmp_path / "poses", "c3d")


def test_an_option_of_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"ParquetSink has no option 'joints'\. It has: space"):
        write_poses(nobody_there(), tmp_path / "poses.parquet", joints="coco17")
