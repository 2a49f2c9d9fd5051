"""Detections of many pictures: the val_boxes.json convention of PoseTrack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from label_worlds import write_json

from chronopose.errors import FormatError
from chronopose.io.detections import read_detections
from chronopose.io.posetrack import read_posetrack


def record(**changes: Any) -> dict[str, Any]:
    return {
        "image_name": "images/val/a/000000.jpg", "bbox": [10, 20, 30, 40], "score": 0.9,
        "category_id": 1, "nframes": 140, "frame_id": 10000170000, **changes,
    }  # fmt: skip


def test_boxes_go_by_the_name_of_their_picture_in_the_order_of_the_file(tmp_path: Path) -> None:
    other = "images/val/b/000000.jpg"
    listed = [record(), record(image_name=other, bbox=[1, 2, 3, 4], score=0.1)]
    found = read_detections(write_json(tmp_path / "val_boxes.json", listed))
    assert [(d.image, d.box, d.score) for d in found] == [
        ("images/val/a/000000.jpg", (10, 20, 40, 60), 0.9), (other, (1, 2, 4, 6), 0.1),
    ]  # fmt: skip


def test_boxes_that_overlap_all_stay(tmp_path: Path) -> None:
    assert len(read_detections(write_json(tmp_path / "a.json", [record(), record()]))) == 2


def test_other_categories_are_passed_over(tmp_path: Path) -> None:
    listed = [record(category_id=3), record(score=0.5)]
    assert [d.score for d in read_detections(write_json(tmp_path / "a.json", listed))] == [0.5]
    with pytest.raises(FormatError, match="holds no box of a person"):
        read_detections(write_json(tmp_path / "b.json", listed[:1]))


def test_a_picture_may_be_known_by_its_number_or_by_another_name(tmp_path: Path) -> None:
    bare = {k: v for k, v in record().items() if k != "image_name"}
    listed = [{**bare, "image_id": 7}, {**bare, "file_name": "a.jpg"}, {**bare, "image_id": "b"}]
    found = read_detections(write_json(tmp_path / "a.json", listed))
    assert [d.image for d in found] == [7, "a.jpg", "b"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bbox": [1, 2, -3, 4]}, "bbox"),
        ({"score": "sure"}, "score must be a number"),
        ({"score": 1.5}, "score must be between 0 and 1"),
        ({"image_name": 5}, "image_name"),
        ({"image_name": ""}, "does not name its picture"),
        ({"image_name": None, "image_id": 1.5}, "image_id"),
        ({"bbox": [1, 2, float("nan"), 4]}, "bbox"),
    ],
)
def test_a_broken_record_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        read_detections(write_json(tmp_path / "boxes.json", [record(), record(**changes)]))
    assert "boxes.json: record 1" in str(caught.value)


@pytest.mark.data
def test_real_detections_belong_to_the_labelled_pictures(shared_data: Path) -> None:
    folder = shared_data / "posetrack18" / "annotations"
    ids = {f.image_id for s in read_posetrack(folder / "val") for f in s}
    found = read_detections(folder / "test_posetrack18_human_detections.json")
    assert {d.image for d in found} == ids
    assert len(found) == 278
