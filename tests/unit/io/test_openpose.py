"""OpenPose folders: the tool's own files, conversion by name, and damaged files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pose_damage import BODY, INFO, assert_refused, edit_json, poses

from chronopose.core.skeletons import BODY25, COCO17, COCO18, get_skeleton
from chronopose.errors import FormatError, SkeletonMismatch
from chronopose.io.openpose import OpenPoseSink, read_openpose
from chronopose.io.poses import FormatLoss, read_poses, write_poses

pytestmark = pytest.mark.filterwarnings("ignore::chronopose.io.poses.FormatLoss")


def person(joints: int = 25, x: float = 100.0, ident: int = -1) -> dict[str, Any]:
    """As the tool writes one: the second joint was not found."""
    flat = [v for k in range(joints) for v in (x + k, 200.5, 0.75)]
    flat[3:6] = [0, 0, 0]
    return {
        "person_id": [ident], "pose_keypoints_2d": flat, "face_keypoints_2d": [],
        "hand_left_keypoints_2d": [], "hand_right_keypoints_2d": [], "pose_keypoints_3d": [],
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Frames 0, 1 and 3 as the tool writes them; nobody in frame 1."""
    made = tmp_path / "json"
    made.mkdir()
    for frame, people in ((0, [person(), person(x=300)]), (1, []), (3, [person(x=110)])):
        name = f"walk_1080p_{frame:012d}_keypoints.json"
        (made / name).write_text(json.dumps({"version": 1.3, "people": people}))
    return made


def test_the_files_of_the_tool_are_read(folder: Path) -> None:
    with pytest.warns(FormatLoss, match="no track ids"):
        found = read_openpose(folder, fps=30.0)
    assert found.skeleton is BODY25
    assert found.frame_index.tolist() == [0, 1, 3]
    np.testing.assert_allclose(found.time_s, [0, 1 / 30, 0.1])
    first = found.person(0)
    assert first.poses.xy[0, 0].tolist() == [100.0, 200.5]
    assert np.isnan(first.poses.xy[0, 1]).all()
    assert first.poses.score[0, 1] == 0
    np.testing.assert_allclose(first.boxes.xyxy[0], [100, 200.5, 124, 200.5])
    np.testing.assert_allclose(first.boxes.score, 0.75)
    assert found.person(1).poses.xy[0, 0, 0] == 300


@pytest.mark.parametrize(("joints", "skeleton"), [(25, BODY25), (18, COCO18), (17, COCO17)])
def test_the_number_of_joints_tells_the_model(folder: Path, joints: int, skeleton: object) -> None:
    for file in folder.iterdir():
        edit_json(file, lambda c: {"people": [person(joints)]})
    assert read_openpose(folder, fps=30.0).skeleton is skeleton


def test_sides_are_those_of_the_tool() -> None:
    # Output documentation of the tool: 2 RShoulder, 5 LShoulder, 8 MidHip, 11 RAnkle, 19 LBigToe.
    named = [BODY25.joints[i] for i in (2, 5, 8, 11, 19, 24)]
    assert named == [
        "right_shoulder", "left_shoulder", "pelvis", "right_ankle", "left_big_toe", "right_heel",
    ]  # fmt: skip
    assert [COCO18.joints[i] for i in (2, 8, 14, 17)] == [
        "right_shoulder", "right_hip", "right_eye", "left_ear",
    ]  # fmt: skip


def test_ids_of_tools_that_track_are_kept(folder: Path) -> None:
    for file in folder.iterdir():
        edit_json(file, lambda c: {"people": [person(ident=4), person(x=300, ident=2)]})
    assert read_openpose(folder, fps=30.0).ids.tolist() == [2, 4]


def test_a_file_a_frame_is_written_under_the_name_of_the_video(tmp_path: Path) -> None:
    write_poses(poses(), tmp_path / "out", "openpose", joints="native")
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names[0] == "clip_000000000000_keypoints.json"
    assert len(names) == 3
    record = json.loads((tmp_path / "out" / names[1]).read_text())["people"][0]
    assert record["person_id"] == [3]
    assert record["pose_keypoints_2d"] == [301.0, 50.0, 0.9, 311.0, 51.0, 0.45, 0.0, 0.0, 0.0]


def test_joints_are_converted_by_name_and_the_rest_is_told(tmp_path: Path) -> None:
    video = poses(skeleton=get_skeleton("posetrack15"))
    with pytest.warns(FormatLoss, match="the joints head_bottom, head_top"):
        write_poses(video, tmp_path / "out_openpose")
    after = read_poses(tmp_path / "out_openpose", fps=25.0)
    place = video.skeleton.index("left_wrist")
    np.testing.assert_allclose(
        after.person(3).poses.xy[:, BODY25.index("left_wrist")],
        video.person(3).poses.xy[:, place],
    )
    assert np.isnan(after.person(3).poses.xy[:, BODY25.index("left_heel")]).all()


def test_joints_that_are_made_from_others_are_told(tmp_path: Path) -> None:
    with pytest.warns(FormatLoss, match="neck, pelvis are made from other joints"):
        write_poses(poses(skeleton=COCO17), tmp_path / "out_openpose")
    after = read_poses(tmp_path / "out_openpose", fps=25.0)
    # The shoulders, joints 5 and 6 of person 3, are at x 350 and 360.
    assert after.person(3).poses.xy[0, BODY25.index("neck"), 0] == 355.0


def test_a_skeleton_without_a_common_joint_is_refused(tmp_path: Path) -> None:
    hands = type(BODY)("hands", ("left_thumb", "right_thumb"))
    with pytest.raises(SkeletonMismatch, match="no joint of body25"):
        OpenPoseSink(tmp_path / "out", INFO, hands)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_such_files_is_replaced(tmp_path: Path) -> None:
    write_poses(poses(frames=range(5)), tmp_path / "out", "openpose")
    write_poses(poses(frames=range(2)), tmp_path / "out", "openpose")
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "out" / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("years of work")
    with pytest.raises(FormatError, match=r"other files \(thesis\.txt\), which would be lost"):
        write_poses(poses(), tmp_path / "out", "openpose")
    assert mine.read_text() == "years of work"


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(FormatError, match="it is a file"):
        write_poses(poses(), tmp_path / "out", "openpose")


def one(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """A change of the first file."""
    return lambda folder: edit_json(min(folder.iterdir()), change)


def in_person(**fields: Any) -> Callable[[Path], None]:
    return one(lambda c: c["people"][0].update(fields))


def text(content: str) -> Callable[[Path], None]:
    return lambda folder: min(folder.iterdir()).write_text(content) and None


def emptied(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def renamed(name: str) -> Callable[[Path], None]:
    return lambda folder: min(folder.iterdir()).rename(folder / name) and None


DAMAGE: dict[str, Callable[[Path], None]] = {
    "no file at all": emptied,
    "an empty file": text(""),
    "a file cut short": text('{"version": 1.3, "people": [{"person'),
    "no JSON": text("people"),
    "a list": text("[]"),
    "no people": text('{"version": 1.3}'),
    "people no list": text('{"people": {}}'),
    "a person no object": text('{"people": [3]}'),
    "no joints": one(lambda c: c["people"][0].pop("pose_keypoints_2d")),
    "joints no list": in_person(pose_keypoints_2d="1,2,3"),
    "a number too few": one(lambda c: c["people"][0]["pose_keypoints_2d"].pop()),
    "an unknown number of joints": in_person(pose_keypoints_2d=[1.0, 2.0, 0.5] * 11),
    "other joints in one person": one(lambda c: c["people"][1].update(person(18))),
    "a text among the joints": one(
        lambda c: c["people"][0]["pose_keypoints_2d"].__setitem__(0, "x")
    ),
    "a NaN": one(lambda c: c["people"][0]["pose_keypoints_2d"].__setitem__(0, float("nan"))),
    "an infinity": one(lambda c: c["people"][0]["pose_keypoints_2d"].__setitem__(0, 1e39)),
    "fractions": lambda folder: [
        edit_json(f, lambda c: {"people": [person(x=0.1) | {"pose_keypoints_2d": [0.5] * 75}]})
        for f in folder.iterdir()
    ] and None,
    "an id no number": in_person(person_id=["bob"]),
    "two ids": in_person(person_id=[1, 2]),
    "an id of one only": in_person(person_id=[7]),
    "an id twice": one(lambda c: [p.update(person_id=[7]) for p in c["people"]] and None),
    "a file without a number": renamed("walk_keypoints.json"),
    "two files of one frame": renamed("other_000000000003_keypoints.json"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_files_are_refused(folder: Path, damage: Callable[[Path], None]) -> None:
    if damage is DAMAGE["an id twice"] or damage is DAMAGE["an id of one only"]:
        for file in sorted(folder.iterdir())[1:]:
            file.unlink()
    damage(folder)
    assert_refused(lambda: read_openpose(folder, fps=30.0), folder)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_a_senseless_rate_is_refused(folder: Path, fps: float) -> None:
    with pytest.raises(FormatError, match="fps must be above 0"):
        read_openpose(folder, fps=fps)
