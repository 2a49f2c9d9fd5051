"""Penn Action: true sides, small integers, boxes that are short or empty."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_worlds import assert_same, frame
from scipy.io import savemat

from chronopose.core.labels import LabelledSequence, Visibility
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import FormatError
from chronopose.io.penn_action import read_penn_action, write_penn_action

PENN = get_skeleton("penn13")


def by_hand(**changes: Any) -> dict[str, Any]:
    """Three frames; joint k of frame t at (100 + k, 50 + t), as small integers."""
    x = np.tile(100 + np.arange(13, dtype=np.uint8), (3, 1))
    y = np.tile(50 + np.arange(3, dtype=np.uint8)[:, None], (1, 13))
    content = {
        "x": x, "y": y, "visibility": np.ones((3, 13), np.uint8),
        "bbox": np.array([[10, 20, 200, 220]] * 3, np.uint8),
        "dimensions": np.array([[270, 480, 3]], np.uint16), "nframes": np.uint8(3),
        "train": np.int16(1), "action": "bowl", "pose": "back",
    }  # fmt: skip
    return content | changes


def read_one(tmp_path: Path, **changes: Any) -> LabelledSequence:
    content = {k: v for k, v in by_hand(**changes).items() if v is not None}
    savemat(tmp_path / "0001.mat", content)
    return read_penn_action(tmp_path / "0001.mat")[0]


def test_the_joint_after_the_head_is_the_right_shoulder(tmp_path: Path) -> None:
    found = read_one(tmp_path).frames[0]
    assert PENN.joints[1] == "right_shoulder"
    assert found.xy[0, PENN.index("right_shoulder")].tolist() == [101, 50]
    assert found.xy[0, PENN.index("left_ankle")].tolist() == [112, 50]


def test_small_integers_do_not_wrap(tmp_path: Path) -> None:
    frames = read_one(tmp_path).frames
    assert frames[0].xy.dtype == np.float64
    assert (frames[0].xy[0, 0] - frames[0].xy[0, 12]).tolist() == [-12, 0]
    assert (frames[0].boxes[0, :2] - frames[0].boxes[0, 2:]).tolist() == [-190, -200]


def test_coordinates_are_as_stored_unless_told(tmp_path: Path) -> None:
    assert read_one(tmp_path).frames[0].xy[0, 0].tolist() == [100, 50]
    shifted = read_penn_action(tmp_path / "0001.mat", base=1)[0].frames[0]
    assert shifted.xy[0, 0].tolist() == [99, 49]
    assert shifted.boxes[0].tolist() == [9, 19, 199, 219]


def test_pictures_are_numbered_from_one(tmp_path: Path) -> None:
    frames = read_one(tmp_path).frames
    assert [(f.name, f.frame_index) for f in frames][:2] == [("000001.jpg", 1), ("000002.jpg", 2)]
    assert frames[0].size == (480, 270)


def test_invisible_joints_are_occluded_or_not_labelled(tmp_path: Path) -> None:
    x, y = by_hand()["x"].copy(), by_hand()["y"].copy()
    seen = np.ones((3, 13), np.uint8)
    seen[0, :3] = 0
    x[0, 1], y[0, 1] = 1, 1
    x[0, 2], y[0, 2] = 0, 40
    found = read_one(tmp_path, x=x, y=y, visibility=seen).frames[0]
    assert found.visibility[0, :4].tolist() == [
        Visibility.OCCLUDED, Visibility.ABSENT, Visibility.OCCLUDED, Visibility.VISIBLE,
    ]  # fmt: skip


def test_a_list_of_boxes_one_short_repeats_its_last(tmp_path: Path) -> None:
    boxes = np.array([[10, 20, 200, 220], [11, 20, 200, 220]], float)
    assert read_one(tmp_path, bbox=boxes).frames[2].boxes.tolist() == [[11, 20, 200, 220]]


def test_a_list_of_boxes_two_short_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="bbox has 1 rows for 3 frames"):
        read_one(tmp_path, bbox=np.array([[10, 20, 200, 220]], float))


def test_a_box_without_an_area_is_none_and_is_kept(tmp_path: Path) -> None:
    boxes = np.array([[10, 20, 200, 220], [50, 20, 50, 220], [60, 20, 50, 220]], float)
    frames = read_one(tmp_path, bbox=boxes).frames
    assert [bool(np.isnan(f.boxes).all()) for f in frames] == [False, True, True]
    assert frames[2].extra["degenerate_box"] == [60, 20, 50, 220]


def test_action_viewpoint_and_split_are_kept(tmp_path: Path) -> None:
    assert read_one(tmp_path).extra == {"action": "bowl", "viewpoint": "back", "split": "train"}
    assert read_one(tmp_path, train=np.int16(-1)).extra["split"] == "test"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nframes": np.uint8(4)}, "nframes is 4, but x has 3 rows"),
        ({"dimensions": np.array([[270, 480, 9]])}, "9 frames"),
        ({"dimensions": np.array([[0, 480, 3]])}, "0 rows"),
        ({"y": np.zeros((2, 13))}, r"y must have the shape \(3, 13\); got \(2, 13\)"),
        ({"x": np.full((3, 13), np.nan)}, "x holds nan"),
        ({"x": np.zeros((3, 14))}, r"x must have the shape \(any, 13\)"),
        ({"visibility": np.full((3, 13), 2)}, "visibility must hold 0 and 1"),
        ({"train": np.int16(7)}, "train must be 1 or -1; got 7"),
        ({"bbox": None}, "no variable 'bbox'"),
        ({"x": "far"}, "x must hold numbers"),
    ],
)
def test_a_broken_variable_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        read_one(tmp_path, **changes)
    assert "0001.mat" in str(caught.value)


def test_labels_come_back(tmp_path: Path) -> None:
    frames = [
        frame(PENN, n, ids=(-1,), name=f"{n:06d}.jpg", size=(480, 270), boxes=np.array([box]))
        for n, box in ((1, [1.5, 2, 30, 40]), (2, [np.nan] * 4), (3, [5, 6, 7, 8.25]))
    ]
    frames[1] = replace(frames[1], extra={"degenerate_box": [4.0, 4.0, 4.0, 9.0]})
    extra = {"action": "squat", "viewpoint": "left", "split": "test"}
    wanted = LabelledSequence("0007", PENN, tuple(frames), extra=extra)
    write_penn_action([wanted], tmp_path)
    found = read_penn_action(tmp_path)[0]
    assert_same(found, wanted)
    assert found.extra == extra
    assert found.frames[1].extra == frames[1].extra


@pytest.mark.data
def test_the_real_clip_comes_back(shared_data: Path, tmp_path: Path) -> None:
    found = read_penn_action(shared_data / "penn_action" / "0502.mat")
    assert (found[0].extra["action"], found[0].extra["viewpoint"]) == ("bowl", "back")
    assert (len(found[0]), found[0].frames[0].size) == (58, (480, 360))
    # The bowler holds the ball in his right hand, which the file stores at place 5.
    hand = found[0].frames[0].xy[0, PENN.index("right_wrist")]
    assert hand.tolist() == [130.5, 150.0]
    write_penn_action(found, tmp_path)
    assert_same(read_penn_action(tmp_path)[0], found[0])
