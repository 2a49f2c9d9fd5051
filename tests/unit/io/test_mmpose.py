"""MMPose files: both layouts of the tool, what we add to them, and damaged files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pose_damage import BODY, HISTORY, assert_refused, edit_json, poses

from chronopose.core.skeletons import COCO17, get_skeleton
from chronopose.errors import FormatError
from chronopose.io.mmpose import read_mmpose
from chronopose.io.poses import FormatLoss, read_poses, write_poses

pytestmark = pytest.mark.filterwarnings("ignore::chronopose.io.poses.FormatLoss")


def instance(x: float = 100.0) -> dict[str, Any]:
    """As the tool writes one: the box is a list in a list."""
    return {
        "keypoints": [[x + k, 200.5] for k in range(17)],
        "keypoint_scores": [0.75] * 17,
        "bbox": [[x - 10, 150.0, x + 50, 330.0]],
        "bbox_score": 0.875,
    }


def names() -> dict[str, Any]:
    ids = {str(i): j for i, j in enumerate(COCO17.joints)}
    return {"dataset_name": "coco", "keypoint_id2name": ids, "skeleton_links": [[15, 13]]}


def save(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def wrapped(tmp_path: Path) -> Path:
    """As a demo writes it: frames from 1."""
    frames = [
        {"frame_id": 1, "instances": [instance(), instance(300)]},
        {"frame_id": 2, "instances": []},
    ]
    return save(tmp_path / "results.json", {"meta_info": names(), "instance_info": frames})


def test_the_wrapped_layout_names_its_joints_and_counts_from_1(wrapped: Path) -> None:
    with pytest.warns(FormatLoss, match="no track ids"):
        found = read_mmpose(wrapped, fps=25.0)
    assert found.skeleton is COCO17
    assert found.frame_index.tolist() == [0, 1]
    assert found.time_s.tolist() == [0.0, 0.04]
    assert found.person(1).poses.xy[0, 0].tolist() == [300.0, 200.5]
    assert found.person(0).boxes.xyxy[0].tolist() == [90.0, 150.0, 150.0, 330.0]
    assert found.person(0).boxes.score[0] == 0.875


def test_the_bare_layout_counts_from_0_and_needs_its_joints(tmp_path: Path) -> None:
    path = save(tmp_path / "walk.json", [{"frame_id": 0, "instances": [instance()]}])
    with pytest.raises(FormatError, match=r"bare layout .* does not name its joints.*--joints"):
        read_poses(path, fps=25.0)
    found = read_poses(path, fps=25.0, skeleton=COCO17)
    assert found.frame_index.tolist() == [0]


def test_joints_are_found_by_name_whatever_their_order(wrapped: Path) -> None:
    def turned(content: Any) -> None:
        ids = content["meta_info"]["keypoint_id2name"]
        ids["0"], ids["16"] = ids["16"], ids["0"]

    edit_json(wrapped, turned)
    found = read_mmpose(wrapped, fps=25.0).to_skeleton(COCO17)
    assert found.person(0).poses.xy[0, 0].tolist() == [116.0, 200.5]


def test_names_of_the_tool_for_human36m_are_known(wrapped: Path) -> None:
    joints = [
        "root", "right_hip", "right_knee", "right_foot", "left_hip", "left_knee", "left_foot",
        "spine", "thorax", "neck_base", "head", "left_shoulder", "left_elbow", "left_wrist",
        "right_shoulder", "right_elbow", "right_wrist",
    ]  # fmt: skip
    edit_json(
        wrapped,
        lambda c: c["meta_info"].update(
            keypoint_id2name=dict(enumerate(joints)), skeleton_links=[]
        ),
    )
    assert read_mmpose(wrapped, fps=25.0).skeleton is get_skeleton("h36m17")


def test_our_file_keeps_everything(tmp_path: Path) -> None:
    before = poses()
    write_poses(before, tmp_path / "p.mmpose.json")
    after = read_poses(tmp_path / "p.mmpose.json")
    assert after.history == HISTORY
    assert after.complete
    assert after.time_s.tolist() == before.time_s.tolist()
    content = json.loads((tmp_path / "p.mmpose.json").read_text())
    assert content["meta_info"]["keypoint_id2name"] == dict(zip("012", BODY.joints, strict=True))
    assert [f["frame_id"] for f in content["instance_info"]] == [1, 2, 3]
    assert content["instance_info"][0]["instances"][0]["bbox"] == [[5.0, 10.0, 45.0, 60.0]]


def person(**fields: Any) -> Callable[[Any], Any]:
    return lambda c: c["instance_info"][0]["instances"][0].update(fields)


def frame(**fields: Any) -> Callable[[Any], Any]:
    return lambda c: c["instance_info"][0].update(fields)


def meta(**fields: Any) -> Callable[[Any], Any]:
    return lambda c: c["meta_info"].update(fields)


DAMAGE: dict[str, Callable[[Any], Any]] = {
    "a text": lambda c: "hello",
    "no frames": lambda c: c.pop("instance_info") and None,
    "no names": lambda c: c.pop("meta_info") and None,
    "names a list": meta(keypoint_id2name=["nose"]),
    "names without 0": meta(keypoint_id2name={"1": "nose"}),
    "names by text": meta(keypoint_id2name={"first": "nose"}),
    "a name twice": meta(keypoint_id2name={"0": "nose", "1": "nose"}),
    "a side alone": meta(keypoint_id2name={"0": "left_eye"}, skeleton_links=[]),
    "a limb of a joint that is not": meta(skeleton_links=[[0, 40]]),
    "a limb of one joint": meta(skeleton_links=[[0]]),
    "frames no list": lambda c: c.update(instance_info={}),
    "a frame no object": lambda c: c.update(instance_info=[1]),
    "a frame without a number": lambda c: c["instance_info"][0].pop("frame_id") and None,
    "frame 0 where they begin with 1": frame(frame_id=0),
    "a frame twice": frame(frame_id=2),
    "a time in one frame only": frame(time_s=0.0),
    "no instances": lambda c: c["instance_info"][0].pop("instances") and None,
    "a joint too few": lambda c: c["instance_info"][0]["instances"][0]["keypoints"].pop() and None,
    "a joint of one number": person(keypoints=[[1.0]] * 17),
    "3D joints": person(keypoints=[[1.0, 2.0, 3.0]] * 17),
    "a joint as text": person(keypoints=[["a", "b"]] * 17),
    "a joint NaN": person(keypoints=[[float("nan"), 1.0]] * 17),
    "scores missing": lambda c: (
        c["instance_info"][0]["instances"][0].pop("keypoint_scores") and None
    ),
    "a score too few": person(keypoint_scores=[0.5] * 16),
    "a box of three": person(bbox=[[1, 2, 3]]),
    "a box that ends before it begins": person(bbox=[[50, 2, 3, 4]]),
    "an id in one person only": person(track_id=4),
    "fractions": lambda c: c["instance_info"].__setitem__(
        slice(None), [{"frame_id": 1, "instances": [instance() | {"keypoints": [[0.5, 0.5]] * 17}]}]
    ),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_files_are_refused(wrapped: Path, damage: Callable[[Any], Any]) -> None:
    edit_json(wrapped, damage)
    assert_refused(lambda: read_mmpose(wrapped, fps=25.0), wrapped)


def test_joints_of_another_skeleton_are_not_forced_on_a_file_with_names(wrapped: Path) -> None:
    with pytest.raises(FormatError, match=r"names its joints itself \(coco17.*leave out"):
        read_mmpose(wrapped, fps=25.0, skeleton=get_skeleton("h36m17"))


def test_scores_beyond_1_are_kept(wrapped: Path) -> None:
    edit_json(wrapped, person(keypoint_scores=[1.25] * 17))
    found = read_mmpose(wrapped, fps=25.0)
    np.testing.assert_array_equal(found.person(0).poses.score, np.float32(1.25))
