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
from chronopose.io.poses import (
    FORMATS,
    FormatLoss,
    PoseSink,
    find_format,
    open_sink,
    read_poses,
    write_poses,
)

pytestmark = pytest.mark.filterwarnings("ignore::chronopose.io.poses.FormatLoss")

ROUNDED = {"coco", "openpose", "alphapose", "mmpose"}
PIXEL_ERROR = {name: 0.0005 + 1e-5 if name in ROUNDED else 0.0 for name in FORMATS}
"""Stated precision of coordinates, pixels; 1e-5 is the last bit of a float32 near 100."""
SCORE_ERROR = {name: 0.00005 + 1e-7 if name in ROUNDED else 0.0 for name in FORMATS}

DESCRIBED = {"parquet", "csv", "coco", "mmpose", "sleap", "movement"}
"""Formats with a place for our description of video, skeleton and history."""
TIMED = DESCRIBED | {"trc"}
BOXED = {"parquet", "csv", "coco", "mmpose", "alphapose"}
HIDING = {"parquet", "csv", "coco", "mmpose"}
"""Formats that say which joints cannot be seen."""
SURE = set(FORMATS) - {"trc", "c3d"}
"""Formats with joint scores."""
UNKNOWN_SURE = SURE - {"openpose", "alphapose", "mmpose"}
"""Formats with a score for a joint without coordinates."""
EVERY_FRAME = {"deeplabcut", "c3d"}
"""Formats with a row for every frame, also for those that nobody looked at."""
PEOPLED = {"alphapose"}
"""Formats in which a frame without people does not exist."""
ANONYMOUS = {"deeplabcut", "trc"}
"""Formats that have no name for a person who is alone."""
NEVER_EMPTY = {"openpose", "c3d"}
"""Formats that cannot be there without a frame."""

SKELETON = get_skeleton("posetrack15")
INFO = VideoInfo("street, #4.mp4", (640, 360), 1 / 90000, 29.97, 12, 0.4, 90, "h264")
HISTORY = (
    HistoryStep("predict", {"model": "tdmi:lite", "conf": 0.3, "flip_test": False}, "0.1.0"),
    HistoryStep("smooth", {"cutoff_hz": 6.5, "joints": ["left_wrist"]}),
)
K = len(SKELETON)
FPS = 25.0
WRITING: dict[str, dict[str, str]] = {n: {"joints": "native"} for n in ("openpose", "alphapose")}
READING: dict[str, dict[str, object]] = {
    "openpose": {"fps": FPS, "skeleton": SKELETON},
    "alphapose": {"fps": FPS, "skeleton": SKELETON},
    "deeplabcut": {"fps": FPS},
}
READABLE = [name for name, found in FORMATS.items() if found.reader]


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
every_reader = pytest.mark.parametrize("name", READABLE)
every_described = pytest.mark.parametrize("name", sorted(DESCRIBED))
every_world = pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.__name__)


def read(path: Path, name: str) -> VideoPoses:
    return read_poses(path, name, **READING.get(name, {}))  # type: ignore[arg-type]


def through(poses: VideoPoses, name: str, folder: Path) -> VideoPoses:
    path = folder / ("poses" + FORMATS[name].suffix)
    write_poses(poses, path, name, **WRITING.get(name, {}))
    return read(path, name)


def skip_if_it_cannot_be(name: str, world: Callable[[], VideoPoses]) -> VideoPoses:
    if name in NEVER_EMPTY and world is not_a_single_frame:
        pytest.skip("this format has no way to say that there is no frame")
    if name == "c3d" and world is variable_frame_rate:
        pytest.skip("its one rate is tested in test_c3d")
    return world()


@every_reader
@every_world
def test_people_come_back(name: str, world: Callable[[], VideoPoses], tmp_path: Path) -> None:
    before, pixel = skip_if_it_cannot_be(name, world), PIXEL_ERROR[name]
    after = through(before, name, tmp_path)
    alone = name in ANONYMOUS and len(before) == 1
    assert [t.track_id for t in after.tracks] == ([0] if alone else before.ids.tolist())
    for was, now in zip(before.tracks, after.tracks, strict=True):
        np.testing.assert_array_equal(now.frame_index, was.frame_index)
        np.testing.assert_allclose(now.poses.xy, was.poses.xy, rtol=0, atol=pixel)
        assert now.poses.space == "image_px"


@every_reader
@every_world
def test_scores_and_boxes_come_back_where_there_is_a_place_for_them(
    name: str, world: Callable[[], VideoPoses], tmp_path: Path
) -> None:
    before, pixel, score = skip_if_it_cannot_be(name, world), PIXEL_ERROR[name], SCORE_ERROR[name]
    after = through(before, name, tmp_path)
    for was, now in zip(before.tracks, after.tracks, strict=True):
        known = np.isfinite(was.poses.xy).all(-1)
        compared = np.ones_like(known) if name in UNKNOWN_SURE else known
        expected = was.poses.score if name in SURE else np.ones_like(was.poses.score)
        np.testing.assert_allclose(
            now.poses.score[compared], expected[compared], rtol=0, atol=score
        )
        visible = was.poses.visible if name in HIDING else known
        np.testing.assert_array_equal(now.poses.visible, visible)
        box = was.boxes.xyxy if name in BOXED else was.poses.extent()
        np.testing.assert_allclose(now.boxes.xyxy, box, rtol=0, atol=pixel)
        if name in BOXED:
            np.testing.assert_allclose(now.boxes.score, was.boxes.score, rtol=0, atol=score)


@every_reader
@every_world
def test_all_frames_come_back_with_their_times(
    name: str, world: Callable[[], VideoPoses], tmp_path: Path
) -> None:
    before = skip_if_it_cannot_be(name, world)
    after = through(before, name, tmp_path)
    index = before.frame_index
    if name in EVERY_FRAME:
        index = np.arange(int(index.max(initial=-1)) + 1)
    if name in PEOPLED:
        index = np.unique([i for t in before.tracks for i in t.frame_index]).astype(np.int64)
    np.testing.assert_array_equal(after.frame_index, index)
    expected = before.time_s if name in TIMED else index / FPS
    np.testing.assert_allclose(after.time_s, expected, rtol=0 if name in TIMED else 1e-6)


@every_described
@every_world
def test_the_description_comes_back(
    name: str, world: Callable[[], VideoPoses], tmp_path: Path
) -> None:
    before = world()
    after = through(before, name, tmp_path)
    assert (after.info, after.skeleton) == (before.info, before.skeleton)
    assert (after.history, after.complete) == (before.history, before.complete)


@pytest.mark.parametrize("name", sorted(set(READABLE) - DESCRIBED))
def test_a_file_that_cannot_say_that_it_is_complete_is_not(name: str, tmp_path: Path) -> None:
    after = through(two_people_cross(), name, tmp_path)
    assert not after.complete
    assert after.history[0].step == "read"
    assert after.skeleton.joints == SKELETON.joints


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"parquet", "csv", "coco", "mmpose"}))
def test_what_a_format_cannot_hold_is_told(name: str, tmp_path: Path) -> None:
    path = tmp_path / ("poses" + FORMATS[name].suffix)
    options = WRITING.get(name, {})
    with pytest.warns(FormatLoss, match=r"poses.* files cannot hold .*(boxes|times|joints)"):
        write_poses(one_joint_leaves_the_frame(), path, name, **options)


@every_described
def test_unknown_facts_of_the_video_stay_unknown(name: str, tmp_path: Path) -> None:
    poses = replace(nobody_there(), info=VideoInfo("rtsp", (640, 360)))
    after = through(poses, name, tmp_path).info
    assert np.isnan(after.rate_hz)
    assert np.isnan(after.duration_s)


@every_described
def test_a_name_that_is_no_utf8_can_be_written(name: str, tmp_path: Path) -> None:
    poses = replace(nobody_there(), info=VideoInfo("caf\udce9.mp4", (640, 360)))
    assert through(poses, name, tmp_path).info.source == "caf\ufffd.mp4"


def content(path: Path) -> dict[str, bytes]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    name = b"a" + path.suffix.encode(), b"b" + path.suffix.encode()
    return {f.name if path.is_dir() else "": f.read_bytes().replace(*name) for f in files}


@every_format
def test_streaming_writes_the_same_bytes_as_writing_at_once(name: str, tmp_path: Path) -> None:
    poses, suffix = nobody_for_a_while(), FORMATS[name].suffix
    at_once, streamed = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    write_poses(poses, at_once, name)
    with open_sink(streamed, name, INFO, SKELETON, HISTORY) as sink:  # type: ignore[attr-defined]
        for frame in poses.frames():
            sink.write(frame)
    assert content(streamed) == content(at_once)


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
    sink.write(people(0, 0.0, {}))
    sink.close()
    with pytest.raises(FormatError, match="closed already"):
        sink.write(people(1, 0.1, {}))


@every_format
def test_a_missing_folder_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"the folder .*nowhere does not exist"):
        open_sink(tmp_path / "nowhere" / "poses", name, INFO, SKELETON)


@every_reader
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"gone.*: there is no such file"):
        read(tmp_path / "gone", name)


@every_reader
@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"PAR1", b"\xff\xfe{", b"hello\n1\n"])
def test_a_file_of_something_else_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "strange"
    path.write_bytes(content)
    with pytest.raises(FormatError, match="strange"):
        read(path, name)


@every_reader
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_file_cut_short_is_never_read_as_whole(name: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / "poses"
    write_poses(two_people_cross(), path, name, **WRITING.get(name, {}))
    file = sorted(path.iterdir())[4] if path.is_dir() else path
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    try:
        complete = read(path, name).complete
    except FormatError as error:
        assert str(path) in str(error)
    else:
        assert complete is False


@pytest.mark.parametrize("space", ["camera_mm", "root_mm"])
@pytest.mark.parametrize("name", ["parquet", "csv", "movement", "trc", "c3d"])
def test_millimetres_come_back(name: str, space: str, tmp_path: Path) -> None:
    flat = two_people_cross()
    tracks = []
    for track in flat.tracks:
        xyz = np.concatenate([track.poses.xy, track.poses.xy[..., :1] * 10], axis=-1)
        tracks.append(replace(track, poses=replace(track.poses, xy=xyz, space=space)))
    after = through(replace(flat, tracks=tuple(tracks)), name, tmp_path)
    kept = "camera_mm" if name in ("trc", "c3d") else space
    assert after.tracks[1].poses.space == kept
    np.testing.assert_array_equal(after.tracks[1].poses.xy, tracks[1].poses.xy)


FLAT = sorted(set(FORMATS) - {"parquet", "csv", "movement", "trc", "c3d"})


@pytest.mark.parametrize("name", FLAT)
def test_flat_formats_hold_pixels_only(name: str, tmp_path: Path) -> None:
    flat = two_people_cross()
    xyz = np.zeros((11, K, 3), np.float32)
    track = flat.tracks[0]
    deep = replace(track, poses=Poses(xyz, track.poses.score, SKELETON, "camera_mm"))
    with pytest.raises(FormatError, match="Cannot write poses in camera_mm"):
        write_poses(replace(flat, tracks=(deep,)), tmp_path / "poses", name)


def test_an_unknown_suffix_names_the_formats(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"'\.xlsx' .* parquet \(\.parquet\), coco \(\.json\)"):
        write_poses(nobody_there(), tmp_path / "poses.xlsx")


def test_an_unknown_format_names_the_formats(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"no format 'xlsx' .* csv \(\.csv\)"):
        write_poses(nobody_there(), tmp_path / "poses", "xlsx")


def test_an_option_of_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"ParquetSink has no option 'joints'\. It has: space"):
        write_poses(nobody_there(), tmp_path / "poses.parquet", joints="coco17")


@every_reader
def test_a_reader_finds_out_which_format_it_is(name: str, tmp_path: Path) -> None:
    written = tmp_path / ("poses" + FORMATS[name].suffix)
    write_poses(two_people_cross(), written, name, **WRITING.get(name, {}))
    plain = tmp_path / f"x{written.suffix}"
    written.rename(plain)
    after = read_poses(plain, **READING.get(name, {}))  # type: ignore[arg-type]
    assert after.ids.tolist() == [3, 7]


def test_a_writer_goes_by_the_longest_ending_that_fits(tmp_path: Path) -> None:
    names = {
        "a.json": "coco", "a.mmpose.json": "mmpose", "a.csv": "csv", "a.dlc.h5": "deeplabcut",
        "a.analysis.h5": "sleap", "a.txt": "mot", "walk_openpose": "openpose",
    }  # fmt: skip
    assert {n: find_format(n) for n in names} == {n: FORMATS[f] for n, f in names.items()}


def test_an_ending_of_two_formats_must_be_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"'\.h5' of .* deeplabcut and sleap\. Give the format"):
        write_poses(nobody_there(), tmp_path / "poses.h5")


def test_boxes_are_not_read_as_poses(tmp_path: Path) -> None:
    write_poses(two_people_cross(), tmp_path / "walk.mot.txt")
    with pytest.raises(FormatError, match=r"boxes and no joints.*--detector boxes:"):
        read_poses(tmp_path / "walk.mot.txt")


@pytest.mark.parametrize("name", ["openpose", "alphapose", "deeplabcut"])
def test_a_format_without_times_asks_for_them(name: str, tmp_path: Path) -> None:
    path = tmp_path / ("poses" + FORMATS[name].suffix)
    write_poses(two_people_cross(), path, name)
    with pytest.raises(FormatError, match=r"hold no times.*read_poses\(path, fps=\.\.\.\)"):
        read_poses(path, name)


@pytest.mark.parametrize("name", ["parquet", "csv", "coco", "mmpose", "sleap", "movement", "trc"])
def test_a_format_with_times_takes_no_others(name: str, tmp_path: Path) -> None:
    path = tmp_path / ("poses" + FORMATS[name].suffix)
    write_poses(two_people_cross(), path, name)
    with pytest.raises(FormatError, match=r"(?i)leave (it|fps) out"):
        read_poses(path, name, fps=30.0)
