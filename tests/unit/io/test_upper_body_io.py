"""Tables of seven joints and Caffe label lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from label_worlds import assert_same, frame
from scipy.io import savemat

from chronopose.core.labels import LabelledSequence, Visibility
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import FormatError
from chronopose.io._mat import struct_array
from chronopose.io.upper_body import (
    read_caffe_lines,
    read_upper_body,
    write_caffe_lines,
    write_upper_body,
)

UPPER = get_skeleton("upper7")
PLACES = ",".join(f"{10 * k},{10 * k + 1}" for k in range(7))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_order_is_head_wrists_elbows_shoulders_right_first(tmp_path: Path) -> None:
    found = read_upper_body(write(tmp_path / "a.txt", f"3,{PLACES}\n4,{PLACES}\n"))[0]
    assert [f.frame_index for f in found] == [3, 4]
    assert found.frames[0].xy[0, UPPER.index("right_wrist")].tolist() == [10, 11]
    assert found.frames[0].xy[0, UPPER.index("left_shoulder")].tolist() == [60, 61]


def test_a_header_decides_the_order(tmp_path: Path) -> None:
    names = [f"{j}_{c}" for j in UPPER.joints[::-1] for c in "xy"]
    text = " ".join(["frame", *names]) + "\n0 " + PLACES.replace(",", " ") + "\n"
    found = read_upper_body(write(tmp_path / "a.txt", text))[0].frames[0]
    assert found.xy[0, UPPER.index("left_shoulder")].tolist() == [0, 1]


def test_short_names_of_joints_are_understood(tmp_path: Path) -> None:
    joints = ["head", "r_wri", "l_wri", "r_elb", "l_elb", "r_sho", "l_sho"]
    header = ",".join(["frame", *(f"{j}_{c}" for j in joints for c in "xy")])
    found = read_upper_body(write(tmp_path / "a.csv", f"{header}\n0,{PLACES}\n"))[0].frames[0]
    assert found.xy[0, UPPER.index("left_elbow")].tolist() == [40, 41]


def test_nan_is_absent(tmp_path: Path) -> None:
    text = "0,nan,nan," + PLACES.split(",", 2)[2]
    found = read_upper_body(write(tmp_path / "a.txt", text))[0].frames[0]
    assert found.visibility[0, :2].tolist() == [Visibility.ABSENT, Visibility.VISIBLE]


def test_a_struct_of_videos_is_read(tmp_path: Path) -> None:
    locs = np.zeros((2, 7, 3))
    locs[0], locs[1] = 10 * np.arange(7)[:, None], np.arange(3)
    videos = [{"name": n, "locs": locs, "frame": np.array([[5.0, 9, 12]])} for n in ("one", "two")]
    savemat(tmp_path / "bbcpose.mat", {"bbcpose": struct_array(videos)})
    found = read_upper_body(tmp_path / "bbcpose.mat")
    assert [(s.name, [f.frame_index for f in s]) for s in found] == [
        ("one", [5, 9, 12]), ("two", [5, 9, 12]),
    ]  # fmt: skip
    assert found[1].frames[2].xy[0, 3].tolist() == [30, 2]


def seven(number: int, name: str) -> LabelledSequence:
    seen = np.full((1, 7), Visibility.VISIBLE)
    seen[0, 2] = Visibility.ABSENT
    one = frame(UPPER, number, ids=(-1,), boxes=None, visibility=seen, name=name)
    return LabelledSequence("a", UPPER, (one,))


def test_a_table_comes_back(tmp_path: Path) -> None:
    write_upper_body([seven(17, "17")], tmp_path / "a.csv")
    assert_same(read_upper_body(tmp_path / "a.csv")[0], seven(17, "17"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (f"0,{PLACES},5", r"line 1 has 16 numbers"),
        (f"0,{PLACES}\n1,{PLACES}x", r"line 2 must hold numbers; got '61x'"),
        (f"0.5,{PLACES}", "frame must be a whole number"),
        (f"0,{PLACES}\n0,{PLACES}", "are both frame 0"),
        ("frame,head_x,head_y\n1,2,3", "header must name frame and x, y of seven joints"),
        (f"0,nan,{PLACES.split(',', 1)[1]}", "only one of its two coordinates"),
        (f"0,1e9,{PLACES.split(',', 1)[1]}", "no place in a picture"),
    ],
)
def test_a_broken_line_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        read_upper_body(write(tmp_path / "a.txt", text))
    assert "a.txt" in str(caught.value)


def test_a_caffe_line_is_file_joints_crop_cluster(tmp_path: Path) -> None:
    line = f"train/FILE.jpg {PLACES} 372.296,720,1,480,0.53333 4\n"
    found = read_caffe_lines(write(tmp_path / "a.txt", line))[0]
    assert found.frames[0].name == "train/FILE.jpg"
    assert found.frames[0].xy[0, 1].tolist() == [10, 11]
    assert found.frames[0].extra == {"crop": [372.296, 720, 1, 480, 0.53333], "cluster": 4}
    assert not found.is_video


def test_caffe_lines_of_other_joints_need_their_skeleton(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "a.jpg 1,2,3,4,5,6 0 0\n")
    with pytest.raises(FormatError, match=r"line 1 has 6 coordinates.*skeleton="):
        read_caffe_lines(path)


def test_caffe_lines_come_back(tmp_path: Path) -> None:
    wanted = seven(0, "train/a.jpg")
    write_caffe_lines([wanted], tmp_path / "a.txt")
    found = read_caffe_lines(tmp_path / "a.txt")[0]
    assert_same(found, wanted)
    assert found.frames[0].extra == {"crop": [0.0], "cluster": 0}


def test_a_name_with_a_blank_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="has a blank in it"):
        write_caffe_lines([seven(0, "my file.jpg")], tmp_path / "a.txt")
