"""The Parquet table: what other tools see, flat memory, and damaged files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import get_skeleton
from chronopose.core.tracks import FramePoses, HistoryStep
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError
from chronopose.io.parquet import ParquetSink, read_parquet

SRC = Path(__file__).resolve().parents[3] / "src"
COCO = get_skeleton("coco17")
INFO = VideoInfo("clip.mp4", (640, 360))
COLUMNS = [
    "video", "frame", "time_s", "person_id", "joint", "x", "y", "score", "visible",
    "box_x1", "box_y1", "box_x2", "box_y2", "box_score",
]  # fmt: skip


def frame(index: int, ids: tuple[int, ...] = (1,)) -> FramePoses:
    """People whose joint k lies at (frame + k, id)."""
    count = len(ids)
    xy = np.zeros((count, 17, 2), np.float32)
    xy[..., 0] = index + np.arange(17)
    xy[..., 1] = np.array(ids, np.float32).reshape(-1, 1)
    boxes = np.tile(np.array([index, 0, index + 20, 10], np.float32), (count, 1))
    poses = Poses(xy, np.full((count, 17), 0.5), COCO)
    return FramePoses(index, index / 25, np.array(ids), Boxes(boxes, np.full(count, 0.75)), poses)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Frames 0, 1 and 3 hold persons 1 and 4; frame 2 is empty."""
    path = tmp_path / "poses.parquet"
    with ParquetSink(path, INFO, COCO, (HistoryStep("predict", {"conf": 0.3}, "0.1"),)) as sink:
        for i in range(4):
            sink.write(frame(i, () if i == 2 else (1, 4)))
    return path


def edit(path: Path, table: pa.Table) -> None:
    """Write a changed table in the file's place, keeping its description."""
    pq.write_table(table.replace_schema_metadata(pq.ParquetFile(path).metadata.metadata), path)


def describe(path: Path, **changes: object) -> None:
    """Change keys of the file's description."""
    table = pq.read_table(path)
    value = json.loads(pq.ParquetFile(path).metadata.metadata[b"chronopose"]) | changes
    pq.write_table(table.replace_schema_metadata({"chronopose": json.dumps(value)}), path)


def test_columns_are_the_documented_ones(written: Path) -> None:
    assert pq.read_table(written).column_names == COLUMNS


def test_a_row_is_a_joint_of_a_person_in_a_frame(written: Path) -> None:
    # Frame 1, person 4, right_wrist (joint 10): two people a frame make row 2*17 + 17 + 10.
    row = pq.read_table(written).slice(2 * 17 + 17 + 10, 1).to_pylist()[0]
    assert row == {
        "video": "clip.mp4", "frame": 1, "time_s": 0.04, "person_id": 4, "joint": "right_wrist",
        "x": 11.0, "y": 4.0, "score": 0.5, "visible": True,
        "box_x1": 1.0, "box_y1": 0.0, "box_x2": 21.0, "box_y2": 10.0, "box_score": 0.75,
    }  # fmt: skip


def test_an_unknown_coordinate_is_null_for_other_tools(tmp_path: Path) -> None:
    hidden = frame(0)
    hidden.poses.xy[0, 2] = np.nan
    with ParquetSink(tmp_path / "a.parquet", INFO, COCO) as sink:
        sink.write(hidden)
    assert pq.read_table(tmp_path / "a.parquet")["x"].null_count == 1


def test_names_are_dictionaries_and_pages_are_zstd(written: Path) -> None:
    file = pq.ParquetFile(written)
    assert pa.types.is_dictionary(file.schema_arrow.field("joint").type)
    assert pa.types.is_dictionary(file.schema_arrow.field("video").type)
    group = file.metadata.row_group(0)
    assert {group.column(c).compression for c in range(group.num_columns)} == {"ZSTD"}


def test_the_description_is_plain_json(written: Path) -> None:
    value = json.loads(pq.ParquetFile(written).metadata.metadata[b"chronopose"])
    assert value["skeleton"]["joints"][0] == "nose"
    assert value["history"] == [{"step": "predict", "settings": {"conf": 0.3}, "version": "0.1"}]
    assert value["complete"] is True
    assert value["empty_frames"]["runs"] == [[2, 1]]


def test_a_hundred_thousand_rows_go_out_in_row_groups(tmp_path: Path) -> None:
    # 3000 frames of 2 people: 102,000 rows, a group each 1024 frames (34,816 rows).
    path = tmp_path / "long.parquet"
    with ParquetSink(path, INFO, COCO) as sink:
        for i in range(3000):
            sink.write(frame(i, (1, 2)))
    data = pq.ParquetFile(path).metadata
    groups = [data.row_group(g).num_rows for g in range(data.num_row_groups)]
    assert groups == [34_816, 34_816, 32_368]
    assert (np.diff(pq.read_table(path)["frame"].to_numpy()) >= 0).all()


def test_a_crowd_fills_a_row_group_before_a_thousand_frames(tmp_path: Path) -> None:
    # 200 people are 3400 rows a frame; the limit of 65,536 is reached by the 20th.
    path = tmp_path / "crowd.parquet"
    with ParquetSink(path, INFO, COCO) as sink:
        for i in range(21):
            sink.write(frame(i, tuple(range(200))))
    data = pq.ParquetFile(path).metadata
    assert [data.row_group(g).num_rows for g in range(data.num_row_groups)] == [68_000, 3_400]


def test_frames_without_people_cost_a_few_bytes(tmp_path: Path) -> None:
    path, nobody = tmp_path / "empty.parquet", frame(0, ())
    with ParquetSink(path, INFO, COCO) as sink:
        for i in range(4000):
            sink.write(replace(nobody, frame_index=2 * i, time_s=i / 12.5))
    assert path.stat().st_size < 8 * 4000
    assert read_parquet(path).frame_index.tolist() == list(range(0, 8000, 2))


def test_rows_may_come_in_any_order(written: Path) -> None:
    before = read_parquet(written)
    table = pq.read_table(written)
    edit(written, table.take(np.random.default_rng(0).permutation(len(table))))
    after = read_parquet(written)
    np.testing.assert_array_equal(after.tracks[1].poses.xy, before.tracks[1].poses.xy)


def test_a_joint_whose_row_was_removed_is_unknown(written: Path) -> None:
    table = pq.read_table(written)
    edit(written, table.slice(1))  # The first row is the nose of person 1 in frame 0.
    poses = read_parquet(written).tracks[0].poses
    assert np.isnan(poses.xy[0, 0]).all()
    assert (poses.score[0, 0], bool(poses.visible[0, 0])) == (0.0, False)
    assert poses.xy[0, 1].tolist() == [1.0, 1.0]


def test_a_table_without_description_is_read_by_its_joint_names(written: Path) -> None:
    pq.write_table(pq.read_table(written).replace_schema_metadata(None), written)
    poses = read_parquet(written)
    assert (poses.skeleton.name, poses.info.source) == ("coco17", "clip.mp4")
    assert poses.complete is False


def test_wide_numbers_of_other_tools_are_taken(written: Path) -> None:
    table = pq.read_table(written)
    wide = table.set_column(5, "x", table["x"].cast(pa.float64()))
    edit(written, wide.set_column(4, "joint", table["joint"].cast(pa.string())))
    assert read_parquet(written).tracks[0].poses.xy[1, 10].tolist() == [11.0, 1.0]


def test_strange_joints_without_description_name_the_known_skeletons(written: Path) -> None:
    table = pq.read_table(written)
    names = pa.array([f"wing_{i % 17}" for i in range(len(table))])
    changed = table.set_column(4, "joint", names).replace_schema_metadata(None)
    pq.write_table(changed, written)
    with pytest.raises(FormatError, match=r"none that is known: wing_0, .* Known: .*coco17"):
        read_parquet(written)


def test_a_joint_that_the_skeleton_lacks_is_named(written: Path) -> None:
    table = pq.read_table(written)
    names = ["tail", *table["joint"].to_pylist()[1:]]
    edit(written, table.set_column(4, "joint", pa.array(names)))
    with pytest.raises(FormatError, match="has joint 'tail', which its skeleton 'coco17' does not"):
        read_parquet(written)


def test_a_known_skeleton_with_other_joints_is_refused(written: Path) -> None:
    names = ["beak", *COCO.joints[1:]]
    skeleton = {"name": "coco17", "joints": names, "limbs": [], "sigmas": []}
    describe(written, skeleton=skeleton)
    with pytest.raises(FormatError, match=r"calls its skeleton 'coco17', .*'beak', 'nose'"):
        read_parquet(written)


def test_a_skeleton_of_ones_own_comes_back(written: Path) -> None:
    limbs = [["nose", "left_eye"]]
    skeleton = {"name": "mine", "joints": list(COCO.joints), "limbs": limbs, "sigmas": []}
    describe(written, skeleton=skeleton)
    found = read_parquet(written).skeleton
    assert (found.name, found.joints, found.limbs) == ("mine", COCO.joints, (("nose", "left_eye"),))


@pytest.mark.parametrize("column", ["x", "person_id", "box_score"])
def test_a_missing_column_is_named(column: str, written: Path) -> None:
    edit(written, pq.read_table(written).drop_columns([column]))
    with pytest.raises(FormatError, match=f"poses.parquet has no column {column}; a table of"):
        read_parquet(written)


def test_a_column_of_words_is_named(written: Path) -> None:
    table = pq.read_table(written)
    edit(written, table.set_column(5, "x", pa.array(["left"] * len(table))))
    with pytest.raises(FormatError, match=r"column 'x' must be float, .* string .* cannot"):
        read_parquet(written)


def test_an_empty_cell_in_a_needed_column_is_named(written: Path) -> None:
    table = pq.read_table(written)
    holes = pa.array([None, *table["frame"].to_pylist()[1:]])
    edit(written, table.set_column(1, "frame", holes))
    with pytest.raises(FormatError, match="column 'frame' is empty in 1 rows"):
        read_parquet(written)


def test_double_rows_are_named(written: Path) -> None:
    table = pq.read_table(written)
    edit(written, pa.concat_tables([table, table.slice(3, 1)]))
    with pytest.raises(FormatError, match="'left_ear' of person 1 in frame 0 twice"):
        read_parquet(written)


def test_a_box_that_is_not_finite_is_named(written: Path) -> None:
    table = pq.read_table(written)
    left = table["box_x1"].to_numpy().copy()
    left[17:34] = np.inf
    edit(written, table.set_column(9, "box_x1", pa.array(left)))
    with pytest.raises(FormatError, match=r"of person 4 in frame 0 is \[inf, 0.0, 20.0, 10.0\]"):
        read_parquet(written)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"layout": 2}, "has layout 2; this version reads 1"),
        ({"space": "furlongs"}, "space 'furlongs'"),
        ({"video": {}}, "no 'source'"),
        ({"skeleton": 5}, "description of video and skeleton is damaged"),
        ({"empty_frames": {"step": 1, "runs": [[0, 9]], "time_s": ""}}, "is damaged"),
        ({"empty_frames": {"step": 1, "runs": [[0, 10**15]], "time_s": "eJwDAAAAAAE="}},
         "1000000000000000 empty frames, 0 times"),
    ],
)  # fmt: skip
def test_a_damaged_description_says_what_is_wrong(
    changes: dict[str, object], reason: str, written: Path
) -> None:
    describe(written, **changes)
    with pytest.raises(FormatError, match=reason):
        read_parquet(written)


def test_a_truncated_file_is_a_clear_error(written: Path) -> None:
    written.write_bytes(written.read_bytes()[:-100])
    with pytest.raises(FormatError, match="is not a Parquet file, or it is damaged or cut short"):
        read_parquet(written)


def test_a_damaged_page_is_a_clear_error(written: Path) -> None:
    data = bytearray(written.read_bytes())
    data[4:400] = bytes(396)
    written.write_bytes(data)
    with pytest.raises(FormatError, match=r"Cannot read .*poses\.parquet"):
        read_parquet(written)


WRITE = """
import resource, sys, os, signal
import numpy as np
from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import get_skeleton
from chronopose.core.tracks import FramePoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError
from chronopose.io.poses import open_sink

coco, random = get_skeleton("coco17"), np.random.default_rng(0)
if sys.argv[1] == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    sink = open_sink(sys.argv[2], None, VideoInfo("clip.mp4", (640, 360)), coco)
    for i in range(1100):
        poses = Poses(random.uniform(0, 99, (1, 17, 2)), random.uniform(0, 1, (1, 17)), coco)
        sink.write(FramePoses(i, i / 25, np.array([1]), Boxes([[0, 0, 9, 9]], [1]), poses))
    if sys.argv[1] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    sink.close()
except FormatError as error:
    print(error)
"""


def write_elsewhere(how: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WRITE, how, str(path)],
        env={**os.environ, "PYTHONPATH": str(SRC)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".json"])
def test_a_killed_writer_leaves_no_target_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"poses{suffix}"
    assert write_elsewhere("kill", path).returncode == -signal.SIGKILL
    assert not path.exists()


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".json"])
def test_a_full_disk_names_the_file_and_leaves_nothing(suffix: str, tmp_path: Path) -> None:
    # A limit on the size of files makes the system refuse in the middle, as a full disk does.
    path = tmp_path / f"poses{suffix}"
    done = write_elsewhere("full", path)
    assert done.stdout.startswith(f"Cannot write {path}: the disk or its quota is full")
    assert done.stderr == ""
    assert os.listdir(tmp_path) == []
