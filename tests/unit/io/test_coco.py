"""COCO keypoints files: what COCO demands, conversion by name, and damaged files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import get_skeleton
from chronopose.core.tracks import FramePoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError, SkeletonMismatch
from chronopose.io.coco import CocoSink, read_coco

INFO = VideoInfo("clip.mp4", (640, 360))
BODY = Skeleton(
    "three", ("nose", "left_hand", "right_hand"), (("nose", "left_hand"), ("nose", "right_hand"))
)


def frame(index: int, ids: tuple[int, ...] = (1,)) -> FramePoses:
    """The nose is visible at (10.0004, 20), the left hand hidden, the right hand unknown."""
    count = len(ids)
    xy = np.tile(np.array([[10.0004, 20], [30, 40], [np.nan, np.nan]], np.float32), (count, 1, 1))
    visible = np.tile(np.array([True, False, False]), (count, 1))
    score = np.tile(np.array([0.8, 0.4, 0.1], np.float32), (count, 1))
    boxes = np.tile(np.array([5, 10, 45, 60], np.float32), (count, 1))
    poses = Poses(xy, score, BODY, visible=visible)
    return FramePoses(index, index / 25, np.array(ids), Boxes(boxes, np.full(count, 0.5)), poses)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Frame 4 holds persons 3 and 8, frame 5 nobody, frame 6 person 8."""
    path = tmp_path / "poses.json"
    with CocoSink(path, INFO, BODY) as sink:
        for f in (frame(4, (3, 8)), frame(5, ()), frame(6, (8,))):
            sink.write(f)
    return path


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_text())
    changed = change(content)
    path.write_text(json.dumps(content if changed is None else changed))


def test_an_image_is_a_frame_with_its_time(written: Path) -> None:
    images = json.loads(written.read_text())["images"]
    assert [i["frame_index"] for i in images] == [4, 5, 6]
    assert images[1] == {
        "id": 5, "file_name": "clip.mp4", "frame_index": 5, "time_s": 0.2,
        "width": 640, "height": 360,
    }  # fmt: skip


def test_an_annotation_is_what_coco_demands(written: Path) -> None:
    # score = box score 0.5 times the mean of the known joints' 0.8 and 0.4.
    assert json.loads(written.read_text())["annotations"][1] == {
        "id": 2, "image_id": 4, "category_id": 1, "track_id": 8,
        "bbox": [5.0, 10.0, 40.0, 50.0], "area": 2000.0, "iscrowd": 0, "num_keypoints": 2,
        "keypoints": [10.0, 20.0, 2, 30.0, 40.0, 1, 0.0, 0.0, 0],
        "keypoint_scores": [0.8, 0.4, 0.1], "box_score": 0.5, "score": 0.3,
    }  # fmt: skip


def test_limbs_count_joints_from_one(written: Path) -> None:
    category = json.loads(written.read_text())["categories"][0]
    assert category["keypoints"] == ["nose", "left_hand", "right_hand"]
    assert category["skeleton"] == [[1, 2], [1, 3]]


def test_ids_of_annotations_are_unique_and_never_zero(written: Path) -> None:
    annotations = json.loads(written.read_text())["annotations"]
    assert [a["id"] for a in annotations] == [1, 2, 3]


def test_numbers_are_plain_json(written: Path) -> None:
    def refuse(text: str) -> None:
        raise AssertionError(text)

    json.loads(written.read_text(), parse_constant=refuse)  # NaN and Infinity end up here.


def test_nothing_lies_beside_the_file_while_it_is_written(tmp_path: Path) -> None:
    sink = CocoSink(tmp_path / "poses.json", INFO, BODY)
    sink.write(frame(0))
    assert len(list(tmp_path.iterdir())) == 1
    sink.abort()


def test_frames_are_on_disk_before_the_file_is_closed(tmp_path: Path) -> None:
    sink = CocoSink(tmp_path / "poses.json", INFO, BODY)
    for i in range(200):
        sink.write(frame(i))
    assert next(tmp_path.iterdir()).stat().st_size > 30_000
    sink.abort()


def test_joints_are_converted_to_coco_by_name(tmp_path: Path) -> None:
    # jhmdb15 has no nose, eyes or ears under COCO's names; its left elbow is COCO's left elbow.
    jhmdb, coco = get_skeleton("jhmdb15"), get_skeleton("coco17")
    xy = np.arange(30, dtype=np.float32).reshape(1, 15, 2) + 1
    poses = Poses(xy, np.full((1, 15), 0.5), jhmdb)
    boxes = Boxes(np.array([[0, 0, 40, 40]]), np.ones(1))
    with CocoSink(tmp_path / "a.json", INFO, jhmdb, joints="coco17") as sink:
        sink.write(FramePoses(0, 0.0, np.array([1]), boxes, poses))
    after = read_coco(tmp_path / "a.json")
    assert after.skeleton == coco
    assert after.history[-1].settings == {"to": "coco17"}
    found = after.tracks[0].poses
    elbow = xy[0, jhmdb.index("left_elbow")]
    np.testing.assert_array_equal(found.xy[0, coco.index("left_elbow")], elbow)
    assert np.isnan(found.xy[0, coco.index("left_ear")]).all()
    keypoints = json.loads((tmp_path / "a.json").read_text())["annotations"][0]["keypoints"]
    assert keypoints[3 * coco.index("left_ear") :][:3] == [0.0, 0.0, 0]


def test_a_body_without_a_joint_of_coco_is_not_converted(tmp_path: Path) -> None:
    with pytest.raises(SkeletonMismatch, match="'wings' has no joint of coco17"):
        CocoSink(tmp_path / "a.json", INFO, Skeleton("wings", ("tip",)), joints="coco17")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_conversion_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="'native' or 'coco17'; got 'mpii'"):
        CocoSink(tmp_path / "a.json", INFO, BODY, joints="mpii")  # type: ignore[arg-type]


def test_a_file_of_another_tool_is_read_if_it_has_times_and_tracks(written: Path) -> None:
    edit(written, lambda c: c.pop("chronopose") and None)
    poses = read_coco(written)
    assert poses.skeleton.joints == BODY.joints
    assert poses.skeleton.limbs == BODY.limbs
    assert (poses.info.source, poses.info.size) == ("clip.mp4", (640, 360))
    assert poses.complete is False


def test_only_the_box_score_comes_back_as_score_of_the_box(written: Path) -> None:
    assert read_coco(written).tracks[0].boxes.score.tolist() == [0.5]


def annotate(**changes: Any) -> Callable[[Any], None]:
    """A change of the second annotation; None removes the field."""

    def change(content: Any) -> None:
        record = content["annotations"][1]
        for name, value in changes.items():
            record[name] = value
            if value is None:
                del record[name]

    return change


BROKEN: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a result list": (lambda c: c["annotations"], "a COCO result list names neither joints"),
    "a number": (lambda c: 5, "must be a JSON object with a 'categories'; got 5"),
    "no images": (lambda c: c.pop("images") and None, "has no field 'images'"),
    "no category with joints": (
        lambda c: c["categories"][0].pop("keypoints") and None, "does not name its joints"),
    "other joints in the category": (
        lambda c: c["categories"][0].update(keypoints=["nose", "left_paw", "right_paw"]),
        "other joints in its category .nose, left_paw, right_paw. than its skeleton 'three'"),
    "limbs from zero": (
        lambda c: c["categories"][0].update(skeleton=[[0, 1]]), r"from 1 to 3; got \[\[0, 1\]\]"),
    "an image without a time": (
        lambda c: c["images"][2].pop("time_s") and None, r"images\[2\] has no field 'time_s'"),
    "two images of a frame": (
        lambda c: c["images"][2].update(frame_index=4), r"images\[2\] is the second one"),
    "an unknown image": (annotate(image_id=99), r"annotations\[1\].image_id is 99, but no image"),
    "no track": (annotate(track_id=None), r"annotations\[1\] has no field 'track_id'"),
    "one track twice in a frame": (annotate(track_id=3), r"\[3, 3\] in frame 4 are not unique"),
    "too few joints": (annotate(keypoints=[1, 2, 2]), r"annotations\[1\].keypoints .* 9 numbers"),
    "a NaN joint": (
        annotate(keypoints=[float("nan")] * 9), r"annotations\[1\].keypoints must be a finite"),
    "a box of negative size": (annotate(bbox=[5, 5, -1, 9]), r"annotations\[1\].bbox .* negative"),
    "a huge box": (annotate(bbox=[0, 0, 10**400, 9]), r"annotations\[1\].bbox must be a finite"),
    "a score above one": (annotate(box_score=7), r"annotations\[1\].box_score .* got 7.0"),
    "a width in words": (
        lambda c: c.pop("chronopose") and c["images"][0].update(width="wide"),
        r"images\[0\].width must be a whole number; got 'wide'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_record_is_named(name: str, written: Path) -> None:
    change, message = BROKEN[name]
    edit(written, change)
    with pytest.raises(FormatError, match=message) as caught:
        read_coco(written)
    assert "poses.json" in str(caught.value)


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000, '{"a": \xff}'])
def test_what_is_not_json_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "poses.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(FormatError, match=r"poses\.json: it is not a JSON file, or it is damaged"):
        read_coco(path)
