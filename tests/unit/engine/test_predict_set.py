"""Predictions for a whole set: who is shown to the function that links people, and what it says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chronopose.core.labels import NO_ID, LabelledFrame, LabelledSequence
from chronopose.core.skeletons import COCO17, POSETRACK17SLOT
from chronopose.core.tracks import FramePoses
from chronopose.data.datasets._find import find_dataset
from chronopose.engine.predict_set import predict_set
from chronopose.io.labels import write_labels

VIDEO = "000001_mpii_test"
NAME = f"images/val/{VIDEO}/{{:06d}}.jpg"
SIZE = (96, 64)


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    Image.fromarray(noise).save(path)


def person(joints: int) -> np.ndarray:
    k = np.arange(joints, dtype=float)
    return np.stack([20 + 2 * (k % 5), 10 + 6 * (k // 5)], -1)[None]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Five frames with one labelled person, the second one not labelled; two boxes a frame."""
    frames, boxes = [], []
    for n in range(5):
        picture(tmp_path / NAME.format(n))
        frame = LabelledFrame(
            NAME.format(n), n, POSETRACK17SLOT, person(17), ids=[7], boxes=[[18, 8, 32, 30]],
            head_boxes=[[18, 8, 24, 14]], image_id=10000010000 + n, labelled=n != 1,
        )  # fmt: skip
        frames.append(frame if n != 1 else frame.select([]))
        boxes += [{"image_name": NAME.format(n), "bbox": [left, 8, 14, 22], "score": 0.5}
                  for left in (18, 50)]  # fmt: skip
    write_labels(
        [LabelledSequence(VIDEO, POSETRACK17SLOT, tuple(frames))],
        tmp_path / "annotations" / "val", "posetrack18",
    )  # fmt: skip
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    return tmp_path


class Remembering:
    """Links nobody: the person at place p of frame f gets the id 100 f + p."""

    def __init__(self) -> None:
        self.seen: list[tuple[list[FramePoses], tuple[int, int]]] = []

    def __call__(self, frames: Sequence[FramePoses], size: tuple[int, int]) -> list[np.ndarray]:
        self.seen.append((list(frames), size))
        return [100 * f.frame_index + np.arange(len(f)) for f in frames]


def test_a_video_is_linked_in_one_go_in_seconds_and_pixels(video: Path, make_small) -> None:
    link = Remembering()
    (found,) = predict_set(
        make_small(), find_dataset("posetrack18", video), boxes=video / "boxes.json", link=link
    )
    ((frames, size),) = link.seen
    assert size == SIZE  # the labels do not tell it, the pictures do
    assert [f.frame_index for f in frames] == [0, 2, 3, 4]
    assert [f.time_s for f in frames] == [0.0, 2 / 25, 3 / 25, 4 / 25]
    for frame in frames:
        assert frame.boxes.xyxy.tolist() == [[18, 8, 32, 30], [50, 8, 64, 30]]
        assert frame.poses.xy.shape == (2, 14, 2)
    assert [f.ids.tolist() for f in found] == [[0, 1], [], [200, 201], [300, 301], [400, 401]]


def test_without_link_people_of_detected_boxes_have_no_ids(video: Path, make_small) -> None:
    data = find_dataset("posetrack18", video)
    (found,) = predict_set(make_small(), data, boxes=video / "boxes.json")
    assert [f.ids.tolist() for f in found] == [[NO_ID] * 2, [], *[[NO_ID] * 2] * 3]


def test_people_of_labelled_boxes_keep_the_labels_ids(video: Path, make_small) -> None:
    link = Remembering()
    (found,) = predict_set(make_small(), find_dataset("posetrack18", video), link=link)
    assert link.seen == []
    assert [f.ids.tolist() for f in found] == [[7], [], [7], [7], [7]]


def test_joints_that_the_model_lacks_are_made_from_others_or_absent(
    video: Path, make_small
) -> None:
    # lsp14 has no nose, eyes or ears; its neck stands for the bottom of the head.
    (found,) = predict_set(make_small(), find_dataset("posetrack18", video))
    known = dict(zip(POSETRACK17SLOT.joints, found.frames[0].known[0], strict=True))
    assert not known["nose"] and not known["left_ear"]
    assert known["head_bottom"] and known["head_top"]


def test_stills_have_nobody_to_link(tmp_path: Path, make_small) -> None:
    picture(tmp_path / "val2017" / "000000000009.jpg")
    frame = LabelledFrame(
        "000000000009.jpg", 0, COCO17, person(17), boxes=[[18, 8, 32, 30]], area=[300.0],
        image_id=9, size=SIZE,
    )  # fmt: skip
    (tmp_path / "annotations").mkdir()
    write_labels(
        [LabelledSequence("val", COCO17, (frame,), is_video=False)],
        tmp_path / "annotations" / "person_keypoints_val2017.json", "coco",
    )  # fmt: skip
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([{"image_id": 9, "bbox": [18, 8, 14, 22], "score": 0.9}]))
    link = Remembering()
    (found,) = predict_set(make_small(), find_dataset("coco", tmp_path), boxes=boxes, link=link)
    assert link.seen == []
    assert found.frames[0].ids.tolist() == [NO_ID]
