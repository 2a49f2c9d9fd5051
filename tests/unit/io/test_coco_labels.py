"""COCO keypoint labels and results, CrowdPose."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_worlds import assert_same, frame, scored, write_json

from chronopose.core.labels import LabelledSequence, Visibility
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import FormatError
from chronopose.io.coco_labels import (
    read_coco_labels,
    read_coco_results,
    write_coco_labels,
    write_coco_results,
)

COCO, CROWD = get_skeleton("coco17"), get_skeleton("crowdpose14")


def by_hand(**person: Any) -> dict[str, Any]:
    """The nose can be seen, the left eye cannot, the rest is not labelled."""
    annotation = {
        "id": 77, "image_id": 9, "category_id": 1, "iscrowd": 0, "area": 812.5,
        "bbox": [10, 20, 30, 40], "num_keypoints": 2, "segmentation": [[1, 2, 3, 4, 5, 6]],
        "keypoints": [12, 25, 2, 14, 23, 1, *[0, 0, 0] * 15], **person,
    }  # fmt: skip
    images = [
        {"id": 9, "file_name": "000000000009.jpg", "width": 640, "height": 480, "license": 3},
        {"id": 11, "file_name": "000000000011.jpg", "width": 640, "height": 427},
    ]
    category = {"id": 1, "name": "person", "keypoints": list(COCO.joints), "skeleton": [[16, 14]]}
    return {"images": images, "annotations": [annotation], "categories": [category]}


def read_one(tmp_path: Path, content: Any) -> LabelledSequence:
    return read_coco_labels(write_json(tmp_path / "labels.json", content))[0]


def test_visibility_is_coco_s(tmp_path: Path) -> None:
    found = read_one(tmp_path, by_hand()).frames[0]
    assert found.visibility[0, :3].tolist() == [
        Visibility.VISIBLE, Visibility.OCCLUDED, Visibility.ABSENT,
    ]  # fmt: skip
    assert found.xy[0, 1].tolist() == [14, 23]


def test_a_place_that_is_not_labelled_is_not_taken_for_one(tmp_path: Path) -> None:
    found = read_one(tmp_path, by_hand(keypoints=[12, 25, 0, *[0, 0, 2] * 16])).frames[0]
    assert np.isnan(found.xy[0, 0]).all()
    assert found.xy[0, 1].tolist() == [0, 0]


def test_a_picture_without_people_is_a_frame(tmp_path: Path) -> None:
    found = read_one(tmp_path, by_hand())
    assert [(len(f), f.image_id, f.size) for f in found] == [
        (1, 9, (640, 480)),
        (0, 11, (640, 427)),
    ]
    assert not found.is_video


def test_box_area_and_ids_are_kept_and_segments_are_not(tmp_path: Path) -> None:
    found = read_one(tmp_path, by_hand(iscrowd=1)).frames[0]
    assert (found.boxes.tolist(), found.area.tolist()) == ([[10, 20, 40, 60]], [812.5])
    assert found.crowd.tolist() == [True]
    assert found.extra == {"license": 3, "people": [{"id": 77}]}


def test_a_count_of_joints_that_means_something_else_is_kept(tmp_path: Path) -> None:
    found = read_one(tmp_path, by_hand(num_keypoints=0))
    assert found.frames[0].extra["people"][0]["num_keypoints"] == 0
    write_coco_labels([found], tmp_path / "b.json")
    assert json.loads((tmp_path / "b.json").read_text())["annotations"][0]["num_keypoints"] == 0


def stills() -> LabelledSequence:
    frames = [
        frame(COCO, 0, name="a.jpg", image_id=30, size=(64, 48), area=[5.25, np.nan],
              crowd=[False, True], ids=(4, 6)),
        frame(COCO, 1, ids=(), name="b.jpg", image_id=31),
    ]  # fmt: skip
    return LabelledSequence("labels", COCO, tuple(frames), is_video=False)


def test_labels_come_back(tmp_path: Path) -> None:
    write_coco_labels([stills()], tmp_path / "labels.json")
    found = read_coco_labels(tmp_path / "labels.json")[0]
    assert_same(found, stills())
    assert [(f.image_id, f.size) for f in found] == [(30, (64, 48)), (31, None)]


def test_pictures_without_an_id_get_one(tmp_path: Path) -> None:
    bare = replace(stills(), frames=tuple(replace(f, image_id=None) for f in stills()))
    write_coco_labels([bare], tmp_path / "labels.json")
    assert [f.image_id for f in read_coco_labels(tmp_path / "labels.json")[0]] == [1, 2]


def test_crowdpose_calls_the_top_of_the_head_head(tmp_path: Path) -> None:
    crowd = LabelledSequence(
        "labels", CROWD, (frame(CROWD, 0, name="a.jpg", extra={"crowdIndex": 0.33}),),
        is_video=False,
    )  # fmt: skip
    write_coco_labels([crowd], tmp_path / "labels.json")
    names = json.loads((tmp_path / "labels.json").read_text())["categories"][0]["keypoints"]
    assert names[-2:] == ["head", "neck"]
    found = read_coco_labels(tmp_path / "labels.json")[0]
    assert found.skeleton is CROWD
    assert found.frames[0].extra["crowdIndex"] == 0.33
    assert_same(found, crowd)


BROKEN = {
    "a score for a visibility": ({"keypoints": [1, 2, 0.5] * 17}, "has the visibility 0.5"),
    "too many counted": ({"num_keypoints": 18}, "num_keypoints is 18, and there are 17"),
    "a negative area": ({"area": -3}, "area must not be negative"),
    "an unknown picture": ({"image_id": 3}, "image_id 3, but no image"),
    "whole-body joints": ({"keypoints": [1, 2, 2] * 133}, "list of 51 numbers"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_record_is_named(name: str, tmp_path: Path) -> None:
    person, message = BROKEN[name]
    with pytest.raises(FormatError, match=message) as caught:
        read_one(tmp_path, by_hand(**person))
    assert "labels.json" in str(caught.value)


def results() -> LabelledSequence:
    frames = [replace(f, **scored(f), image_id=f.image_id, size=None) for f in stills()]
    seen = [np.where(f.known, Visibility.VISIBLE, Visibility.ABSENT) for f in frames]
    kept = replace(frames[0], visibility=seen[0], area=None, crowd=None, name="30")
    return replace(stills(), frames=(kept,), name="results")


def test_results_come_back(tmp_path: Path) -> None:
    write_coco_results([results()], tmp_path / "results.json")
    found = read_coco_results(tmp_path / "results.json")[0]
    assert_same(found, results())
    assert found.frames[0].image_id == 30


def test_a_result_is_what_the_evaluation_wants(tmp_path: Path) -> None:
    write_coco_results([results()], tmp_path / "results.json")
    record = json.loads((tmp_path / "results.json").read_text())[0]
    assert {"image_id", "category_id", "keypoints", "score"} <= set(record)
    assert (record["image_id"], record["category_id"], len(record["keypoints"])) == (30, 1, 51)


def test_results_may_go_by_file_names(tmp_path: Path) -> None:
    record = {"image_id": "12.jpg", "category_id": 1, "keypoints": [1, 2, 0.5] * 17, "score": 2.5}
    found = read_coco_results(write_json(tmp_path / "a.json", [record]))[0].frames[0]
    assert (found.name, found.image_id, found.person_score[0]) == ("12.jpg", None, 2.5)


def test_fourteen_joints_are_crowdpose_s_unless_told(tmp_path: Path) -> None:
    record = {"image_id": 1, "keypoints": [1, 2, 0.5] * 14, "score": 1}
    path = write_json(tmp_path / "a.json", [record])
    assert read_coco_results(path)[0].skeleton is CROWD
    hieve = get_skeleton("hieve14")
    assert read_coco_results(path, skeleton=hieve)[0].skeleton is hieve


def test_joints_without_names_and_of_another_count_must_be_told(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", [{"image_id": 1, "keypoints": [1, 2, 3], "score": 1}])
    with pytest.raises(FormatError, match="skeleton="):
        read_coco_results(path)


def test_labels_are_not_written_as_results(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="has no score"):
        write_coco_results([stills()], tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.data
def test_real_coco_labels_come_back(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "coco_mini" / "person_keypoints.json"
    labels = read_coco_labels(path)
    assert (len(labels[0]), sum(map(len, labels[0]))) == (28, 147)
    write_coco_labels(labels, tmp_path / path.name)
    was, now = json.loads(path.read_text()), json.loads((tmp_path / path.name).read_text())
    assert now["images"] == was["images"]
    theirs = {a["id"]: a for a in was["annotations"]}
    for ours in now["annotations"]:
        for name in ("keypoints", "num_keypoints", "area", "iscrowd", "image_id", "category_id"):
            assert ours[name] == theirs[ours["id"]][name]
        np.testing.assert_allclose(ours["bbox"], theirs[ours["id"]]["bbox"], atol=1e-9)


@pytest.mark.data
def test_real_crowdpose_labels_know_their_crowd_index(shared_data: Path) -> None:
    found = read_coco_labels(shared_data / "samples" / "crowdpose" / "test_crowdpose.json")[0]
    assert found.skeleton is CROWD
    assert [(f.name, f.extra["crowdIndex"], len(f)) for f in found] == [
        ("106848.jpg", 0.33, 3), ("103319.jpg", 0.39, 2),
    ]  # fmt: skip
