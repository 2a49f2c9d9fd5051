"""Detections of many pictures: the val_boxes.json convention of PoseTrack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_worlds import write_json

from chronopose.errors import FormatError
from chronopose.io.boxes import read_image_boxes
from chronopose.io.posetrack import read_posetrack


def record(**changes: Any) -> dict[str, Any]:
    return {
        "image_name": "images/val/a/000000.jpg", "bbox": [10, 20, 30, 40], "score": 0.9,
        "category_id": 1, "nframes": 140, "frame_id": 10000170000, **changes,
    }  # fmt: skip


def test_boxes_go_by_the_name_of_their_picture(tmp_path: Path) -> None:
    other = "images/val/b/000000.jpg"
    listed = [record(), record(image_name=other, bbox=[1, 2, 3, 4]), record(bbox=[0, 0, 5, 5])]
    found = read_image_boxes(write_json(tmp_path / "val_boxes.json", listed))
    assert list(found) == ["images/val/a/000000.jpg", other]
    assert found["images/val/a/000000.jpg"].xyxy.tolist() == [[10, 20, 40, 60], [0, 0, 5, 5]]
    assert found[other].xyxy.tolist() == [[1, 2, 4, 6]]


def test_a_fifth_is_enough_and_less_is_not(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", [record(score=0.2), record(score=0.1999)])
    assert [len(b) for b in read_image_boxes(path).values()] == [1]
    assert [len(b) for b in read_image_boxes(path, min_score=0).values()] == [2]


def test_a_picture_whose_boxes_are_all_too_weak_is_still_there(tmp_path: Path) -> None:
    found = read_image_boxes(write_json(tmp_path / "a.json", [record(score=0.1)]))
    assert [len(b) for b in found.values()] == [0]


def test_other_categories_are_passed_over(tmp_path: Path) -> None:
    assert read_image_boxes(write_json(tmp_path / "a.json", [record(category_id=3)])) == {}


def test_picture_ids_need_names(tmp_path: Path) -> None:
    bare = {k: v for k, v in record(image_id=7).items() if k != "image_name"}
    path = write_json(tmp_path / "a.json", [bare])
    assert list(read_image_boxes(path, names={7: "a.jpg"})) == ["a.jpg"]
    with pytest.raises(FormatError, match="record 0 names its picture by image_id 7"):
        read_image_boxes(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bbox": [1, 2, -3, 4]}, "negative size"),
        ({"score": 1.5}, "field 'score' must be between 0 and 1"),
        ({"image_name": 5}, "field 'image_name' must be a text"),
        ({"bbox": [1, 2, float("nan"), 4]}, "finite"),
    ],
)
def test_a_broken_record_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        read_image_boxes(write_json(tmp_path / "boxes.json", [record(), record(**changes)]))
    assert "boxes.json: record 1" in str(caught.value)


@pytest.mark.data
def test_real_detections_belong_to_the_labelled_pictures(shared_data: Path) -> None:
    folder = shared_data / "posetrack18" / "annotations"
    labels = read_posetrack(folder / "val")
    names = {f.image_id: f.name for s in labels for f in s if f.image_id is not None}
    found = read_image_boxes(folder / "test_posetrack18_human_detections.json", names=names)
    assert set(found) == set(names.values())
    assert sum(len(b) for b in found.values()) < 278
    assert min(float(np.min(b.score)) for b in found.values()) >= 0.2
