"""HiEve: person boxes, the exchanged sense of its flag, submissions, boxes of track 1."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_worlds import assert_same, frame, scored, write_json

from chronopose.core.labels import NO_ID, LabelledSequence, Visibility
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import FormatError, SkeletonMismatch
from chronopose.io import hieve
from chronopose.io.hieve import (
    read_hieve,
    read_hieve_boxes,
    read_hieve_frames,
    write_hieve,
    write_hieve_boxes,
    write_hieve_submission,
)

HIEVE = get_skeleton("hieve14")
NOSE, CHEST, WRIST = (HIEVE.index(j) for j in ("nose", "chest", "left_wrist"))


def by_hand() -> dict[str, Any]:
    points = [
        {"id": [0], "x": [50], "y": [20], "score": [0.9]},
        {"id": [7], "x": [30.5], "y": [80], "score": [0.4]},
        {"id": [13], "x": [0], "y": [0], "score": [0]},
    ]
    person = {
        "x1": [10], "y1": [5], "x2": [90], "y2": [205], "score": [0.75], "track_id": [3],
        "annopoints": [{"point": points}],
    }  # fmt: skip
    return {"annolist": [{"image": [{"name": "000123.jpg"}], "annorect": [person]}]}


def test_the_rectangle_is_the_person_not_the_head(tmp_path: Path) -> None:
    found = read_hieve(write_json(tmp_path / "1.json", by_hand()))[0].frames[0]
    assert found.boxes[0].tolist() == [10, 5, 90, 205]
    assert np.isnan(found.head_boxes).all()


def test_frames_are_numbered_by_their_pictures(tmp_path: Path) -> None:
    found = read_hieve(write_json(tmp_path / "1.json", by_hand()))[0]
    assert (found.name, found.frames[0].frame_index) == ("1", 123)


def test_joints_not_listed_and_joints_filled_up_are_absent(tmp_path: Path) -> None:
    found = read_hieve(write_json(tmp_path / "1.json", by_hand()))[0].frames[0]
    assert np.flatnonzero(found.known[0]).tolist() == [NOSE, WRIST]
    assert found.score[0, [NOSE, WRIST]].tolist() == [0.9, 0.4]
    assert found.person_score[0] == 0.75


def all_in_one(**joints: str) -> dict[str, Any]:
    box = {"xmin": "10", "ymin": "5", "xmax": "90", "ymax": "205"}
    return {"object": [{"name": "person", "id": "4", "bndbox": box, "action": "2", **joints}]}


def flags(**joints: str) -> Any:
    return {"Nose": "50,20,0", "LeftWrist": "30,80,1", "chest": "-1,-1,-1", **joints}


def assert_flags(found: LabelledSequence) -> None:
    person = found.frames[0]
    assert person.visibility[0, [NOSE, WRIST, CHEST]].tolist() == [
        Visibility.VISIBLE, Visibility.OCCLUDED, Visibility.ABSENT,
    ]  # fmt: skip
    assert person.xy[0, [NOSE, WRIST]].tolist() == [[50, 20], [30, 80]]
    assert person.boxes[0].tolist() == [10, 5, 90, 205]
    assert person.ids.tolist() == [4]
    assert person.extra["people"][0]["action"] == "2"


def test_flag_zero_is_visible_and_one_is_not_in_json(tmp_path: Path) -> None:
    write_json(tmp_path / "000007.json", all_in_one(**flags()))
    found = read_hieve_frames(tmp_path)[0]
    assert_flags(found)
    assert found.frames[0].frame_index == 7


def test_flag_zero_is_visible_and_one_is_not_in_xml(tmp_path: Path) -> None:
    joints = "".join(f"<{n}>{v}</{n}>" for n, v in flags().items())
    box = "<bndbox><xmin>10</xmin><ymin>5</ymin><xmax>90</xmax><ymax>205</ymax></bndbox>"
    text = f"<id>4</id><action>2</action>{box}<keypoints>{joints}</keypoints>"
    (tmp_path / "000000.xml").write_text(f"<annotation><object>{text}</object></annotation>")
    assert_flags(read_hieve_frames(tmp_path)[0])


@pytest.mark.parametrize(
    ("joints", "message"),
    [
        ({"Nose": "50,20,2"}, r"object 0.Nose has the flag 2"),
        ({"Nose": "50,20"}, "must be 'x,y,flag'"),
        ({"Nose": "nan,20,0"}, "finite"),
        ({"LeftPaw": "50,20,0"}, "LeftPaw is no joint of HiEve"),
    ],
)
def test_a_broken_joint_is_named(joints: dict[str, str], message: str, tmp_path: Path) -> None:
    write_json(tmp_path / "000000.json", all_in_one(**joints))
    with pytest.raises(FormatError, match=message):
        read_hieve_frames(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY b "cc">]><annotation>&b;</annotation>',
        "<annotation><object>",
        "<html></html>",
        "",
    ],
)
def test_xml_that_is_no_label_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "000000.xml").write_text(text)
    with pytest.raises(FormatError, match=r"000000\.xml"):
        read_hieve_frames(tmp_path)


def labels(name: str = "1") -> LabelledSequence:
    frames = [
        frame(HIEVE, 0, name="000000.jpg"),
        frame(HIEVE, 1, ids=(), name="000001.jpg"),
        frame(HIEVE, 2, ids=(NO_ID,), name="000002.jpg"),
    ]
    frames = [replace(f, visibility=np.where(f.known, 2, 0)) for f in frames]
    return LabelledSequence(name, HIEVE, tuple(frames))


def test_labels_come_back(tmp_path: Path) -> None:
    write_hieve([labels("2"), labels("10")], tmp_path)
    found = read_hieve(tmp_path)
    assert [s.name for s in found] == ["2", "10"]
    assert_same(found[0], labels("2"))


def test_other_joints_are_refused(tmp_path: Path) -> None:
    coco = get_skeleton("coco17")
    with pytest.raises(SkeletonMismatch, match="no chest"):
        write_hieve([LabelledSequence("1", coco, (frame(coco, 0),))], tmp_path)


def predictions(name: str) -> LabelledSequence:
    frames = [replace(f, **scored(f)) for f in labels(name)]
    frames[2] = replace(frames[2], ids=np.array([0]))
    return LabelledSequence(name, HIEVE, tuple(frames))


def test_a_submission_is_a_zip_of_the_thirteen_test_videos(tmp_path: Path) -> None:
    wanted = [predictions(str(n)) for n in range(20, 33)]
    write_hieve_submission(wanted, tmp_path / "mine.zip")
    with zipfile.ZipFile(tmp_path / "mine.zip") as archive:
        assert sorted(archive.namelist()) == [f"{n}.json" for n in range(20, 33)]
    for ours, theirs in zip(read_hieve(tmp_path / "mine.zip"), wanted, strict=True):
        assert_same(ours, theirs)


def test_a_submission_with_a_video_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="not so for 32"):
        write_hieve_submission([predictions(str(n)) for n in range(20, 32)], tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == []


def test_other_videos_can_be_written_on_demand(tmp_path: Path) -> None:
    write_hieve_submission([predictions("3")], tmp_path / "3.json", partial=True)
    listed = json.loads((tmp_path / "3.json").read_text())["annolist"]
    assert listed[1]["annorect"] == []
    assert set(listed[0]["annorect"][0]) == {
        "x1", "y1", "x2", "y2", "score", "track_id", "annopoints",
    }  # fmt: skip


def zipped(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return path


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "empty zip"),
        ({"..__20.json": "{}"}, "nothing else"),
        ({"20.txt": "{}"}, "nothing else"),
        ({"20.json": "{"}, "no zip of JSON"),
        ({"20.json": "[]"}, "annolist"),
    ],
)
def test_a_strange_zip_is_refused(members: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message):
        read_hieve(zipped(tmp_path / "a.zip", **members))


def test_a_zip_that_unfolds_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hieve, "LARGEST_ZIP", 100)
    with pytest.raises(FormatError, match="unfolds to more"):
        read_hieve(zipped(tmp_path / "a.zip", **{"20.json": json.dumps(by_hand())}))


def test_boxes_of_track_one(tmp_path: Path) -> None:
    path = tmp_path / "1.txt"
    path.write_text("3,7,10,20,30,40,1,-1,-1,-1\n3,8,0,0,5,6,0,-1,-1,-1\n5,7,11,20,30,40,1\n")
    found = read_hieve_boxes(path)[0]
    assert [f.frame_index for f in found] == [3, 5]
    assert found.frames[0].boxes.tolist() == [[10, 20, 40, 60]]
    assert found.frames[0].ids.tolist() == [7]
    assert found.frames[0].ignore[0].tolist() == [[0, 0], [5, 0], [5, 6], [0, 6]]


def test_boxes_of_track_one_come_back(tmp_path: Path) -> None:
    lines = "3,7,10.5,20,30,40,1.0,-1,-1,-1\n3,8,0.0,0.0,5.0,6.0,0.0,-1,-1,-1\n"
    (tmp_path / "a.txt").write_text(lines)
    first = read_hieve_boxes(tmp_path / "a.txt")
    write_hieve_boxes(first, tmp_path / "b.txt")
    second = read_hieve_boxes(tmp_path / "b.txt")
    assert_same(replace(second[0], name="a"), first[0])


def test_results_of_track_one_have_scores(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("3,7,10,20,30,40,0.25,-1,-1,-1\n")
    assert read_hieve_boxes(tmp_path / "a.txt")[0].frames[0].person_score.tolist() == [0.25]
