"""MPII in its four files: one pixel, head boxes, squares, names of joints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from label_worlds import assert_same, frame, write_json
from scipy.io import loadmat, savemat

from chronopose.core.labels import LabelledSequence, Visibility
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import FormatError
from chronopose.io._mat import struct_array
from chronopose.io.mpii import (
    person_square,
    read_mpii,
    read_mpii_eval,
    read_mpii_h5,
    read_mpii_hrnet,
    write_mpii,
    write_mpii_eval,
    write_mpii_hrnet,
)

MPII = get_skeleton("mpii16")
NOTHING = np.zeros((0, 0))


def release(path: Path, **rect: Any) -> Path:
    """A picture of one person for training and one for testing without people."""
    points = [
        {"x": 101.0, "y": 51.0, "id": 9.0, "is_visible": NOTHING},
        {"x": 61.0, "y": 201.0, "id": 0.0, "is_visible": 0.0},
        {"x": 81.0, "y": 202.0, "id": 5.0, "is_visible": "1"},
    ]
    person = {
        "x1": 80.0, "y1": 40.0, "x2": 121.0, "y2": 91.0, "scale": 2.0,
        "objpos": {"x": 111.0, "y": 151.0}, "annopoints": {"point": struct_array(points)}, **rect,
    }  # fmt: skip
    annolist = [
        {"image": {"name": "a.jpg"}, "annorect": struct_array([person]), "frame_sec": 3.0,
         "vididx": 2.0},
        {"image": {"name": "b.jpg"}, "annorect": NOTHING, "frame_sec": NOTHING, "vididx": NOTHING},
    ]  # fmt: skip
    videos = np.array([["first", "second"]], dtype=object)
    savemat(path, {"RELEASE": {"annolist": struct_array(annolist), "img_train": [[1, 0]],
                               "video_list": videos, "version": "12"}})  # fmt: skip
    return path


def test_coordinates_and_head_boxes_count_from_zero_after_reading(tmp_path: Path) -> None:
    found = read_mpii(release(tmp_path / "mpii.mat"))[0].frames[0]
    assert found.xy[0, MPII.index("head_top")].tolist() == [100, 50]
    assert found.head_boxes.tolist() == [[79, 39, 120, 90]]


def test_a_head_point_without_visibility_is_visible(tmp_path: Path) -> None:
    seen = read_mpii(release(tmp_path / "mpii.mat"))[0].frames[0].visibility[0]
    ankles = [MPII.index("right_ankle"), MPII.index("left_ankle")]
    assert seen[MPII.index("head_top")] == Visibility.VISIBLE
    assert seen[ankles].tolist() == [Visibility.OCCLUDED, Visibility.VISIBLE]
    assert (seen > 0).sum() == 3


def test_the_person_s_box_is_the_square_that_hrnet_cuts(tmp_path: Path) -> None:
    # 200 x 2 pixels about (111, 151 + 15 x 2), counted from 1.
    found = read_mpii(release(tmp_path / "mpii.mat"))[0].frames[0]
    assert found.boxes.tolist() == [[110 - 200, 180 - 200, 110 + 200, 180 + 200]]
    assert found.extra["people"] == [{"center": [111, 151], "scale": 2}]


def test_pictures_for_testing_are_not_labelled(tmp_path: Path) -> None:
    found = read_mpii(release(tmp_path / "mpii.mat"))[0]
    assert [(f.name, f.labelled, len(f)) for f in found] == [
        ("a.jpg", True, 1),
        ("b.jpg", False, 0),
    ]
    assert found.frames[0].extra["video"] == "second"


def test_no_position_means_no_box() -> None:
    assert person_square([-1, -1], -1) is None


@pytest.mark.parametrize(
    ("rect", "message"),
    [
        ({"x1": 300.0}, r"annorect\(1\), fields x1 y1 x2 y2 has a negative size"),
        ({"scale": -2.0}, r"annorect\(1\).scale must not be negative"),
        ({"scale": "tall"}, r"annorect\(1\).scale must"),
        ({"objpos": {"x": 1.0}}, r"annorect\(1\) has no field 'y'"),
        ({"annopoints": {"point": struct_array([{"x": 1.0, "y": 1.0, "id": 16.0}])}}, "id is 16"),
        ({"annopoints": {"point": struct_array([{"x": np.nan, "y": 1.0, "id": 1.0}])}},
         "x holds nan"),
    ],
)  # fmt: skip
def test_a_broken_person_is_named(rect: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        read_mpii(release(tmp_path / "mpii.mat", **rect))
    assert "mpii.mat: annolist(1)" in str(caught.value)


def stills(name: str, people: int = 1) -> LabelledSequence:
    frames = []
    for at in range(3):
        head = np.array([[5.5, 6, 30, 40], [7, 8, 50, 60]])[:people]
        one = frame(MPII, at, ids=(-1,) * people, name=f"{at}.jpg", boxes=None, head_boxes=head)
        people_extra = [{"center": [50.0 + r, 60.5], "scale": 1.25} for r in range(people)]
        boxes = [person_square(p["center"], p["scale"]) for p in people_extra]
        frames.append(replace(one, boxes=np.array(boxes), extra={"people": people_extra}))
    return LabelledSequence(name, MPII, tuple(frames), is_video=False)


def test_the_release_comes_back(tmp_path: Path) -> None:
    wanted = stills("mine", people=2)
    wanted = replace(wanted, frames=(*wanted.frames[:2], replace(wanted.frames[2], labelled=False)))
    write_mpii([wanted], tmp_path / "mine.mat")
    assert_same(read_mpii(tmp_path / "mine.mat")[0], wanted)


def test_a_box_becomes_a_position_and_a_scale_and_back(tmp_path: Path) -> None:
    bare = tuple(replace(f, extra={}) for f in stills("mine"))
    write_mpii([replace(stills("mine"), frames=bare)], tmp_path / "mine.mat")
    found = read_mpii(tmp_path / "mine.mat")[0]
    for ours, theirs in zip(found, bare, strict=True):
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=1e-9)


def hrnet(**changes: Any) -> dict[str, Any]:
    joints = [[101.0, 51.0]] * 15 + [[-1.0, -1.0]]
    return {"image": "a.jpg", "joints": joints, "joints_vis": [1] * 15 + [0],
            "center": [111.0, 151.0], "scale": 2.0, **changes}  # fmt: skip


def test_hrnet_s_json_counts_from_one_too(tmp_path: Path) -> None:
    found = read_mpii_hrnet(write_json(tmp_path / "a.json", [hrnet()]))[0].frames[0]
    assert found.xy[0, 0].tolist() == [100, 50]
    assert found.visibility[0, 14:].tolist() == [Visibility.VISIBLE, Visibility.ABSENT]
    assert found.boxes.tolist() == [[-90, -20, 310, 380]]


def test_hrnet_s_json_has_a_frame_for_each_person_in_its_order(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", [hrnet(), hrnet(image="b.jpg"), hrnet()])
    assert [f.name for f in read_mpii_hrnet(path)[0]] == ["a.jpg", "b.jpg", "a.jpg"]


def test_hrnet_s_json_comes_back(tmp_path: Path) -> None:
    wanted = stills("mine")
    seen = tuple(replace(f, visibility=np.where(f.known, 2, 0), head_boxes=None) for f in wanted)
    wanted = replace(wanted, frames=seen)
    write_mpii_hrnet([wanted], tmp_path / "mine.json")
    assert_same(read_mpii_hrnet(tmp_path / "mine.json")[0], wanted)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joints": [[1, 2]] * 15}, "joints has 15 joints"),
        ({"joints": [[1, 2, 3]] * 16}, r"joints\[0\] must be a list of 2"),
        ({"joints_vis": [1] * 15 + [2]}, "joints_vis must hold 0 and 1"),
        ({"scale": -2.0}, "scale must not be negative"),
        ({"center": [1e9, 1]}, "no place in a picture"),
        ({"image": 5}, "image must be a text"),
    ],
)
def test_a_broken_record_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        read_mpii_hrnet(write_json(tmp_path / "a.json", [hrnet(), hrnet(**changes)]))
    assert "a.json: record 1" in str(caught.value)


def evaluation(path: Path, names: list[str]) -> Path:
    """Two people; joint number k of the file lies at (10 + k, 20), counted from 1."""
    joints = np.zeros((16, 2, 2))
    joints[:, 0], joints[:, 1] = 10 + np.arange(16)[:, None], 20
    missing = np.zeros((16, 2))
    missing[names.index("pelvis"), 1] = 1
    heads = np.array([[[11.0, 12], [13, 14]], [[31, 32], [43, 44]]])
    savemat(path, {"dataset_joints": np.array([names], dtype=object), "jnt_missing": missing,
                   "pos_gt_src": joints, "headboxes_src": heads})  # fmt: skip
    return path


EVAL_NAMES = [
    "rank", "rkne", "rhip", "lhip", "lkne", "lank", "pelvis", "thorax", "neck", "head", "rwri",
    "relb", "rsho", "lsho", "lelb", "lwri",
]  # fmt: skip


def test_the_evaluation_file_names_its_joints(tmp_path: Path) -> None:
    turned = EVAL_NAMES[::-1]
    found = read_mpii_eval(evaluation(tmp_path / "gt.mat", turned))[0].frames[0]
    assert found.xy[0, MPII.index("left_wrist")].tolist() == [9, 19]
    assert found.xy[0, MPII.index("right_ankle")].tolist() == [24, 19]


def test_the_evaluation_file_has_head_boxes_and_missing_joints(tmp_path: Path) -> None:
    frames = read_mpii_eval(evaluation(tmp_path / "gt.mat", EVAL_NAMES))[0].frames
    assert frames[0].head_boxes.tolist() == [[10, 12, 30, 42]]
    assert frames[1].head_boxes.tolist() == [[11, 13, 31, 43]]
    assert [f.visibility[0, MPII.index("pelvis")] for f in frames] == [2, 0]


def test_joints_of_another_set_are_refused(tmp_path: Path) -> None:
    names = ["tail", *EVAL_NAMES[1:]]
    with pytest.raises(FormatError, match="not MPII's"):
        read_mpii_eval(evaluation(tmp_path / "gt.mat", names))


def test_the_evaluation_file_comes_back(tmp_path: Path) -> None:
    wanted = stills("gt")
    frames = [replace(f, visibility=np.where(f.known, 2, 0), name=f"{f.frame_index:05d}",
                      boxes=None) for f in wanted]  # fmt: skip
    wanted = replace(wanted, frames=tuple(frames))
    write_mpii_eval([wanted], tmp_path / "gt.mat")
    assert_same(read_mpii_eval(tmp_path / "gt.mat")[0], wanted)
    assert loadmat(tmp_path / "gt.mat")["pos_gt_src"].shape == (16, 2, 3)


def copies(path: Path, **changes: Any) -> Path:
    part = np.zeros((2, 16, 2))
    part[:, :15] = 21.0
    codes = np.zeros((2, 12))
    for row, name in enumerate(("a.jpg", "0123.jpg")):
        codes[row, : len(name)] = np.frombuffer(name.encode(), np.uint8)
    content = {
        "part": part, "visible": np.repeat([[1.0], [0.0]], 16, 1), "normalize": [24.5, 30.0],
        "center": np.array([[50.0, 60], [70, 80]]), "scale": np.array([1.0, 2]),
        "person": np.array([1.0, 1]), "imgname": codes, "index": np.array([1.0, 2]), **changes,
    }  # fmt: skip
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            if value is not None:
                file[name] = value
    return path


def test_h5_copies_count_from_one_and_keep_the_size_of_the_head(tmp_path: Path) -> None:
    frames = read_mpii_h5(copies(tmp_path / "a.h5"))[0].frames
    assert frames[0].xy[0, 0].tolist() == [20, 20]
    assert frames[0].extra["people"][0]["head_size_px"] == 24.5
    assert np.isnan(frames[0].head_boxes).all()
    assert [f.name for f in frames] == ["a.jpg", "0123.jpg"]
    assert [f.visibility[0, [0, 15]].tolist() for f in frames] == [[2, 0], [1, 0]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"part": None}, "no array 'part'"),
        ({"part": np.zeros((2, 14, 2))}, r"part must have the shape \(any, 16, 2\)"),
        ({"visible": np.full((2, 16), 3.0)}, "visible must hold 0 and 1"),
        ({"imgname": np.full((2, 4), 999.0)}, "character codes"),
        ({"imgname": np.zeros((3, 4))}, "3 rows for 2 people"),
        ({"scale": np.array([1.0, -1])}, "nothing negative"),
    ],
)
def test_a_broken_array_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        read_mpii_h5(copies(tmp_path / "a.h5", **changes))
    assert "a.h5" in str(caught.value)


@pytest.mark.data
def test_real_records_of_hrnet_come_back(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "samples" / "mpii" / "test_mpii.json"
    write_mpii_hrnet(read_mpii_hrnet(path), tmp_path / "a.json")
    was, now = json.loads(path.read_text()), json.loads((tmp_path / "a.json").read_text())
    for theirs, ours in zip(was, now, strict=True):
        labelled = np.array(theirs["joints_vis"]) == 1
        places = [np.array(record.pop("joints"))[labelled] for record in (ours, theirs)]
        np.testing.assert_array_equal(*places)
        assert ours == theirs
