"""The CSV table: readable by everybody, with its description in two comment lines."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import get_skeleton
from chronopose.core.tracks import FramePoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError
from chronopose.io.csv import CsvSink, read_csv

COCO = get_skeleton("coco17")


def frame(index: int, ids: tuple[int, ...] = (1,)) -> FramePoses:
    """People whose joint k lies at (frame + k, id)."""
    count = len(ids)
    xy = np.zeros((count, 17, 2), np.float32)
    xy[..., 0] = index + np.arange(17)
    xy[..., 1] = np.array(ids, np.float32).reshape(-1, 1)
    boxes = np.tile(np.array([index, 0, index + 20, 10], np.float32), (count, 1))
    poses = Poses(xy, np.full((count, 17), 0.1), COCO)
    return FramePoses(index, index / 3, np.array(ids), Boxes(boxes, np.full(count, 0.75)), poses)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Frames 0 and 2 hold person 1, whose nose is unknown in frame 0; frame 1 is empty."""
    path = tmp_path / "poses.csv"
    first = frame(0)
    first.poses.xy[0, 0] = np.nan
    first.poses.visible[0, 0] = False  # type: ignore[index]
    with CsvSink(path, VideoInfo('my "#1", clip.mp4', (640, 360)), COCO) as sink:
        for f in (first, frame(1, ()), frame(2)):
            sink.write(f)
    return path


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_only_the_first_and_the_last_line_are_comments(written: Path) -> None:
    assert [i for i, t in enumerate(lines(written)) if t.startswith("#")] == [0, 1 + 1 + 2 * 17]


def test_a_plain_csv_reader_sees_the_rows(written: Path) -> None:
    plain = [t for t in lines(written) if not t.startswith("#")]
    rows = list(csv.DictReader(plain))
    assert rows[17 + 10] == {
        "video": 'my "#1", clip.mp4', "frame": "2", "time_s": "0.6666666666666666",
        "person_id": "1", "joint": "right_wrist", "x": "12", "y": "1", "score": "0.1",
        "visible": "true", "box_x1": "2", "box_y1": "0", "box_x2": "22", "box_y2": "10",
        "box_score": "0.75",
    }  # fmt: skip


def test_an_unknown_coordinate_is_an_empty_cell(written: Path) -> None:
    row = lines(written)[2].split('"nose",')[1].split(",")
    assert row[:4] == ["", "", "0.1", "false"]


def test_the_comments_are_json(written: Path) -> None:
    first, last = lines(written)[0], lines(written)[-1]
    assert json.loads(first.removeprefix("# chronopose "))["skeleton"]["name"] == "coco17"
    assert json.loads(last.removeprefix("# end "))["empty_frames"]["runs"] == [[1, 1]]


def test_without_the_first_line_the_joint_names_decide(written: Path) -> None:
    written.write_text("\n".join(lines(written)[1:-1]) + "\n", encoding="utf-8")
    poses = read_csv(written)
    assert (poses.skeleton.name, poses.info.source) == ("coco17", 'my "#1", clip.mp4')
    assert poses.complete is False


def test_without_the_last_line_the_file_is_not_complete(written: Path) -> None:
    written.write_text("\n".join(lines(written)[:-1]) + "\n", encoding="utf-8")
    poses = read_csv(written)
    assert poses.complete is False
    assert poses.frame_index.tolist() == [0, 2]


def test_a_first_line_that_a_spreadsheet_changed_is_named(written: Path) -> None:
    edit(written, '# chronopose {"layout"', '# chronopose {""layout""')
    with pytest.raises(
        FormatError, match=r"description of video and skeleton is damaged .* remove"
    ):
        read_csv(written)


def test_a_line_cut_short_is_named_with_its_number(written: Path) -> None:
    written.write_text("\n".join(lines(written)[:5])[:-30], encoding="utf-8")
    with pytest.raises(FormatError, match=r"poses\.csv: .* Row #4: Expected 14 columns"):
        read_csv(written)


def test_a_word_among_the_numbers_is_named(written: Path) -> None:
    edit(written, '"right_wrist",12,1', '"right_wrist",here,1')
    with pytest.raises(FormatError, match=r"Row #29: CSV conversion error to float: .* 'here'"):
        read_csv(written)


def test_a_missing_column_is_named(written: Path) -> None:
    edit(written, '"person_id"', '"player"')
    with pytest.raises(FormatError, match="has no column person_id; a table of poses needs video"):
        read_csv(written)


def test_a_joint_that_the_skeleton_lacks_is_named(written: Path) -> None:
    edit(written, '"right_wrist",12', '"right_wing",12')
    with pytest.raises(FormatError, match="has joint 'right_wing', which its skeleton 'coco17'"):
        read_csv(written)


def test_an_empty_person_id_is_named(written: Path) -> None:
    edit(written, ',1,"right_wrist",12', ',,"right_wrist",12')
    with pytest.raises(FormatError, match="column 'person_id' is empty in 1 rows"):
        read_csv(written)


def test_a_file_of_comments_alone_is_refused(written: Path) -> None:
    written.write_text(lines(written)[0] + "\n", encoding="utf-8")
    with pytest.raises(FormatError, match="no line of column names"):
        read_csv(written)
