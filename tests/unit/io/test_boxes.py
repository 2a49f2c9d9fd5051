"""Boxes of other tools: frame numbers from 0, ids where there are any, and named complaints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import get_skeleton
from chronopose.core.tracks import FramePoses, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError
from chronopose.io.boxes import BoxTable, read_boxes
from chronopose.io.poses import write_poses

INFO = VideoInfo("clip.mp4", (640, 360), num_frames=100)
BOX = {"bbox": [10, 20, 30, 40], "score": 0.5}


def read(folder: Path, name: str, content: Any, info: VideoInfo | None = INFO) -> BoxTable:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_boxes(path, info)


def dict_file(images: list[dict[str, Any]], *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"images": images, "annotations": list(annotations)}


def test_a_coco_list_counts_frames_from_zero(tmp_path: Path) -> None:
    table = read(tmp_path, "b.json", [{**BOX, "image_id": 2}, {**BOX, "image_id": 0}])
    assert list(table) == [0, 2]
    boxes, ids = table[2]
    assert boxes.xyxy.tolist() == [[10, 20, 40, 60]]
    assert boxes.score.tolist() == [0.5]
    assert ids is None


@pytest.mark.parametrize(
    "fields",
    [
        {"frame": 7, "image_id": 3},
        {"frame_index": 7},
        {"frame_id": 7, "image_name": "x/000001.jpg"},
        {"image_id": "take2/000007.png"},
        {"image_name": "val/0123/000007.jpg"},
    ],
)
def test_a_coco_list_names_its_frame(fields: dict[str, Any], tmp_path: Path) -> None:
    assert list(read(tmp_path, "b.json", [{**BOX, **fields}])) == [7]


def test_track_ids_are_used_where_every_box_of_a_frame_has_one(tmp_path: Path) -> None:
    other = {"bbox": [100, 20, 30, 40]}
    records = [
        {**BOX, "image_id": 0, "track_id": 9},
        {**other, "image_id": 0, "track_id": 4},
        {**BOX, "image_id": 1, "track_id": 9},
        {**other, "image_id": 1},
    ]
    table = read(tmp_path, "b.json", records)
    assert table[0][1].tolist() == [9, 4]  # type: ignore[union-attr]
    assert table[1][1] is None


def test_other_categories_are_passed_over(tmp_path: Path) -> None:
    records = [{**BOX, "image_id": 0, "category_id": c} for c in (1, 3)]
    assert len(read(tmp_path, "b.json", records)[0][0]) == 1


def test_a_coco_dict_lists_frames_without_people(tmp_path: Path) -> None:
    images = [{"id": 11, "frame_index": 0}, {"id": 12, "frame_index": 1}]
    table = read(tmp_path, "b.json", dict_file(images, {**BOX, "image_id": 12}))
    assert [len(boxes) for boxes, _ in table.values()] == [0, 1]


def test_a_frame_number_that_repeats_the_image_id_is_not_the_frame(tmp_path: Path) -> None:
    # PoseTrack18: frame_id is the global number of the image, the file name holds the frame.
    image = {"id": 10034180004, "frame_id": 10034180004, "file_name": "images/val/x/000004.jpg"}
    content = dict_file([image], {**BOX, "image_id": image["id"]})
    assert list(read(tmp_path, "b.json", content)) == [4]


@pytest.mark.parametrize(("names", "frames"), [((0, 1, 4), [0, 1, 4]), ((1, 2, 5), [0, 1, 4])])
def test_pictures_that_count_from_one_are_shifted(
    names: tuple[int, ...], frames: list[int], tmp_path: Path
) -> None:
    images = [{"id": n, "file_name": f"img1/{n:06d}.jpg"} for n in names]
    assert list(read(tmp_path, "b.json", dict_file(images, {**BOX, "image_id": 1}))) == frames


def test_the_person_category_is_found_by_its_name(tmp_path: Path) -> None:
    content = dict_file(
        [{"id": 1, "frame_index": 0}],
        {**BOX, "image_id": 1, "category_id": 7},
        {**BOX, "image_id": 1, "category_id": 1},
    )
    content["categories"] = [{"id": 1, "name": "ball"}, {"id": 7, "name": "person"}]
    assert len(read(tmp_path, "b.json", content)[0][0]) == 1


def test_mot_counts_from_one(tmp_path: Path) -> None:
    table = read(tmp_path, "b.txt", "1,5,10,20,30,40,0.9,-1,-1,-1\n3,5,11.5,20,30,40,0.8\n")
    assert list(table) == [0, 2]
    assert table[2][0].xyxy.tolist() == [[11.5, 20, 41.5, 60]]
    assert table[2][1].tolist() == [5]  # type: ignore[union-attr]


def test_mot_detections_have_no_ids(tmp_path: Path) -> None:
    table = read(tmp_path, "b.txt", "1,-1,10,20,30,40,0.9\n1,-1,50,20,30,40,-1\n")
    boxes, ids = table[0]
    assert ids is None
    np.testing.assert_allclose(boxes.score, [0.9, 1.0])


def test_mot_lines_marked_to_be_ignored_are_passed_over(tmp_path: Path) -> None:
    table = read(tmp_path, "b.txt", "1,1,10,20,30,40,1,1,1\n\n1,2,10,20,30,40,0,8,1\n")
    assert len(table[0][0]) == 1


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".json"])
def test_files_of_poses_give_their_boxes_and_ids(suffix: str, tmp_path: Path) -> None:
    coco = get_skeleton("coco17")
    poses = Poses(np.zeros((1, 17, 2)), np.ones((1, 17)), coco)
    here = FramePoses(3, 0.1, np.array([6]), Boxes([[10, 20, 40, 60]], [0.5]), poses)  # type: ignore[arg-type]
    gone = FramePoses(4, 0.2, np.zeros(0, np.int64), Boxes.empty(), poses.select(slice(0)))
    write_poses(VideoPoses.from_frames(INFO, coco, [here, gone]), tmp_path / f"p{suffix}")
    table = read_boxes(tmp_path / f"p{suffix}", INFO)
    assert [len(boxes) for boxes, _ in table.values()] == [1, 0]
    boxes, ids = table[3]
    assert (boxes.xyxy.tolist(), boxes.score.tolist()) == ([[10, 20, 40, 60]], [0.5])
    assert ids is not None
    assert ids.tolist() == [6]


COMPLAINTS: dict[str, tuple[str, Any, str]] = {
    "not JSON": ("b.json", "{", "it is not a JSON file"),
    "a text": ("b.json", '"boxes"', "must be a JSON object with a 'images'; got 'boxes'"),
    "no box": ("b.json", [], "holds no box at all"),
    "no box in any image": ("b.json", dict_file([{"id": 1, "frame_index": 0}]), "no box at all"),
    "no line": ("b.txt", "\n", "holds no box at all"),
    "a NaN": (
        "b.json", [{**BOX, "image_id": 0}, {"image_id": 0, "bbox": [float("nan"), 5, 4, 5]}],
        "record 1, field 'bbox' must be a finite number; got nan"),
    "a negative size": (
        "b.json", [{"image_id": 0, "bbox": [5, 5, -40, 50]}],
        r"record 0, field 'bbox' is \[left, top, width, height\] and has a negative size"),
    "a sum that overflows": (
        "b.json", [{"image_id": 0, "bbox": [3e38, 5, 3e38, 50]}], "'bbox' must be a finite number"),
    "three numbers": (
        "b.json", [{"image_id": 0, "bbox": [5, 5, 40]}], "'bbox' must be a list of 4 numbers"),
    "no bbox": ("b.json", [{"image_id": 0}], r"record 0 has no field 'bbox' \(it has image_id\)"),
    "a record that is a list": ("b.json", [[1, 2, 3, 4]], "record 0 must be a JSON object"),
    "no frame": ("b.json", [BOX], "record 0 does not say which frame"),
    "a name without a number": (
        "b.json", [{**BOX, "image_name": "cover.jpg"}], "'cover.jpg' is no picture name"),
    "the name of a video": (
        "b.json", dict_file([{"id": 1, "file_name": "clip01.mp4"}]), "'clip01.mp4' is no picture"),
    "half a frame": (
        "b.json", [{**BOX, "image_id": 0.5}], "'image_id' must be a whole number; got 0.5"),
    "a frame before the first": ("b.json", [{**BOX, "frame": -1}], "'frame' must be at least 0"),
    "a score above one": (
        "b.json", [{**BOX, "image_id": 0, "score": 98}], "'score' must be between 0 and 1; got 98"),
    "one id twice": (
        "b.json", [{**BOX, "image_id": 3, "track_id": 5}] * 2, "id 5 occurs twice in frame 3"),
    "two videos in one file": (
        "b.json", dict_file([{"id": 1, "file_name": "a/0.jpg"}, {"id": 2, "file_name": "b/0.jpg"}]),
        r"images\[1\] is the second one with id 2 or frame 0"),
    "an unknown image": (
        "b.json", dict_file([{"id": 1, "frame_index": 0}], {**BOX, "image_id": 8}),
        r"annotations\[0\], field 'image_id' is 8, but no image has that id"),
    "MOT from zero": (
        "b.txt", "0,1,10,20,30,40,1", r"line 1, field 'frame' \(MOT counts from 1\) must be at l"),
    "MOT with words": (
        "b.txt", "1,1,10,20,30,40,1\n2,1,10,x,30,40,1", "line 2, field 'top' .* 'x'"),
    "MOT with NaN": ("b.txt", "1,1,10,nan,30,40,1", "line 1, field 'top' must be a finite number"),
    "MOT with a negative size": ("b.txt", "1,1,10,10,30,-40,1", "line 1, fields .* negative size"),
    "MOT with spaces": (
        "b.txt", "1 1 10 10 30 40 1", "line 1 has 1 fields, and MOT needs frame,id"),
    "MOT with a score above one": (
        "b.txt", "1,1,10,10,30,40,62.5", "line 1, field 'confidence' must be between 0 and 1"),
    "bytes that are no text": ("b.txt", "\udcff\udcfe", "it is not a text file of MOT boxes"),
    "fractions of the frame": (
        "b.json", [{"image_id": 0, "bbox": [0.1, 0.2, 0.5, 0.6]}], "seem to be fractions"),
    "boxes beside the picture": (
        "b.json", [{"image_id": 0, "bbox": [900, 5, 40, 50]}], "lie outside the 640x360 pixels"),
    "another size": (
        "b.json",
        dict_file([{"id": 1, "frame_index": 0, "width": 1280, "height": 720}]),
        r"images\[0\] is 1280x720 pixels, but clip.mp4 is 640x360"),
    "frames after the end": (
        "b.json", [{**BOX, "image_id": 10034180000}], "the first box is in frame 10034180000"),
    "an unknown suffix": ("b.xml", "<boxes/>", r"suffix '\.xml' .* no format of boxes"),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPLAINTS)
def test_a_complaint_names_file_record_and_field(name: str, tmp_path: Path) -> None:
    file, content, message = COMPLAINTS[name]
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / file).write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(FormatError, match=message) as caught:
        read_boxes(tmp_path / file, INFO)
    assert file in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"gone\.json: there is no such file"):
        read_boxes(tmp_path / "gone.json")


@pytest.mark.data
def test_a_real_posetrack_file_is_read(shared_data: Path) -> None:
    # One labelled frame, 000000.jpg, of video 12834 with 11 persons.
    path = shared_data / "posetrack18" / "annotations" / "val" / "012834_mpii_test.json"
    boxes, ids = read_boxes(path)[0]
    assert len(boxes) == 11
    assert ids is not None
    assert ids.tolist() == list(range(11))
