"""AlphaPose lists: the tool's own files in three variants, and damaged files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pose_damage import assert_refused, edit_json, poses

from chronopose.core.skeletons import COCO17, COCO18, HALPE26
from chronopose.errors import FormatError
from chronopose.io.alphapose import read_alphapose
from chronopose.io.poses import FormatLoss, read_poses, write_poses

pytestmark = pytest.mark.filterwarnings("ignore::chronopose.io.poses.FormatLoss")


def record(image: str, x: float = 100.0, joints: int = 17, **fields: Any) -> dict[str, Any]:
    """As the tool writes one; its score goes beyond 1."""
    flat = [v for k in range(joints) for v in (x + k, 200.5, 0.75)]
    return {
        "image_id": image, "category_id": 1, "keypoints": flat, "score": 2.9375,
        "box": [x - 10, 150, 60, 180], "idx": 1, **fields,
    }  # fmt: skip


def save(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def written(tmp_path: Path) -> Path:
    people = [record("0.jpg"), record("0.jpg", 300, idx=2), record("2.jpg", 104, idx=[1.0])]
    return save(tmp_path / "alphapose-results.json", people)


def test_the_list_of_the_tool_is_read(written: Path) -> None:
    found = read_alphapose(written, fps=50.0)
    assert found.skeleton is COCO17
    assert found.ids.tolist() == [1, 2]
    assert found.frame_index.tolist() == [0, 2]
    assert found.time_s.tolist() == [0.0, 0.04]
    first = found.person(1)
    assert first.poses.xy[1, 0].tolist() == [104.0, 200.5]
    assert first.boxes.xyxy[0].tolist() == [90.0, 150.0, 150.0, 330.0]
    assert first.boxes.score[0] == np.float32(2.9375)


def test_halpe_is_told_by_its_26_joints(tmp_path: Path) -> None:
    path = save(tmp_path / "r.json", [record("0.jpg", joints=26)])
    assert read_alphapose(path, fps=25.0).skeleton is HALPE26


def test_another_number_of_joints_needs_a_name(tmp_path: Path) -> None:
    path = save(tmp_path / "r.json", [record("0.jpg", joints=3)])
    with pytest.raises(FormatError, match=r"9 numbers, .* for 3 joints.*--joints NAME"):
        read_alphapose(path, fps=25.0)
    skeleton = poses().skeleton
    assert read_alphapose(path, fps=25.0, skeleton=skeleton).skeleton is skeleton


@pytest.mark.parametrize(
    ("people", "joints"), [("bodies", "joints"), ("people", "pose_keypoints_2d")]
)
def test_the_variants_cmu_and_open_are_read(tmp_path: Path, people: str, joints: str) -> None:
    body = {joints: record("", joints=18)["keypoints"]}
    content = {
        "0.jpg": {"version": "AlphaPose v0.3", people: [body, body]},
        "1.jpg": {"version": "AlphaPose v0.3", people: []},
    }
    path = save(tmp_path / "r.json", content)
    with pytest.warns(FormatLoss, match="no track ids"):
        found = read_poses(path, fps=25.0)
    assert found.skeleton is COCO18
    assert found.frame_index.tolist() == [0, 1]
    assert found.ids.tolist() == [0, 1]


def test_a_record_has_the_fields_of_the_tool(tmp_path: Path) -> None:
    write_poses(poses(frames=(7,)), tmp_path / "p.alphapose.json", joints="native")
    first = json.loads((tmp_path / "p.alphapose.json").read_text())[0]
    assert first == {
        "image_id": "7.jpg", "category_id": 1,
        "keypoints": [307.0, 50.0, 0.9, 317.0, 51.0, 0.45, 0.0, 0.0, 0.0],
        "score": 0.5, "box": [5.0, 10.0, 40.0, 50.0], "idx": 3,
    }  # fmt: skip


def test_frames_without_people_are_told(tmp_path: Path) -> None:
    with pytest.warns(FormatLoss, match="frames without people"):
        write_poses(poses(ids=()), tmp_path / "p.alphapose.json", joints="native")


def first(**fields: Any) -> Callable[[Any], Any]:
    return lambda c: c[0].update(fields)


def joint(value: object) -> Callable[[Any], Any]:
    return lambda c: c[0]["keypoints"].__setitem__(4, value)


DAMAGE: dict[str, Callable[[Any], Any]] = {
    "a text": lambda c: "hello",
    "a number": lambda c: 3,
    "records no objects": lambda c: [1, 2],
    "no image": lambda c: c[0].pop("image_id") and None,
    "an image by number": first(image_id=4),
    "an image without a number": first(image_id="picture.jpg"),
    "no joints": lambda c: c[0].pop("keypoints") and None,
    "joints no list": first(keypoints={"nose": [1, 2]}),
    "a number too few": lambda c: c[0]["keypoints"].pop() and None,
    "another number of joints": first(keypoints=[5.0] * 39),
    "two numbers of joints": first(keypoints=[5.0] * 78),
    "a joint as text": joint("12"),
    "a joint null": joint(None),
    "a joint NaN": joint(float("nan")),
    "a joint infinite": joint(float("inf")),
    "a joint far too large": joint(1e300),
    "a box of three": first(box=[1, 2, 3]),
    "a box of negative width": first(box=[1, 2, -3, 4]),
    "a score as text": first(score="high"),
    "an id as text": first(idx="bob"),
    "an id with a fraction": first(idx=1.5),
    "an id twice in a frame": first(idx=2),
    "one without an id": lambda c: c[0].pop("idx") and None,
    "a variant without people": lambda c: {"0.jpg": {"version": "AlphaPose v0.3"}},
    "a variant of numbers": lambda c: {"0.jpg": {"bodies": [4]}},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_files_are_refused(written: Path, damage: Callable[[Any], Any]) -> None:
    edit_json(written, damage)
    assert_refused(lambda: read_alphapose(written, fps=25.0), written)
