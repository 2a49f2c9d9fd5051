"""Joints in space come in through one door, whatever file holds them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from motion_trees import BYTES, numbered, save_npz, save_pickle

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import H36M17, HUMANEVA15, MPI_INF_3DHP17
from chronopose.core.tracks import FramePoses, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError
from chronopose.io.motion import Motion3D
from chronopose.io.performances import motions_of, read_motions, write_motions
from chronopose.io.poses import write_poses

WALK = Motion3D("S9", "Walking 1", numbered(4, 17, 3), H36M17, "mm", "camera", 50.0, "54138969")
SIT = replace(
    WALK, action="Sitting", xyz=numbered(2, 17, 3), valid=np.array([True, False]), fps=np.nan
)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    write_motions([WALK, SIT], tmp_path / "mine.npz")
    walk, sit = read_motions(tmp_path / "mine.npz")
    assert (walk.subject, walk.action, walk.camera) == ("S9", "Walking 1", "54138969")
    assert (walk.units, walk.space, walk.fps) == ("mm", "camera", 50.0)
    assert walk.skeleton is H36M17
    np.testing.assert_array_equal(walk.xyz, WALK.xyz)
    assert sit.valid is not None and sit.valid.tolist() == [True, False]
    assert np.isnan(sit.fps)


def test_a_file_of_plain_arrays_is_enough(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "mine.npz", names=[["S9", "Walking 1", ""]], joints=["Hip", "LHip", "RHip"],
        units="m", space="world", xyz_0=np.zeros((5, 3, 3)),
    )  # fmt: skip
    (found,) = read_motions(tmp_path / "mine.npz")
    assert found.skeleton.joints == ("hip", "left_hip", "right_hip")
    assert (len(found), found.units, found.space) == (5, "m", "world")
    assert np.isnan(found.fps)


@pytest.mark.parametrize(
    ("motions", "message"),
    [
        ([WALK, replace(WALK, action="x", units="m")], "one skeleton, unit and space"),
        ([], "got none"),
        ([WALK, WALK], "two performances are called 'S9 Walking 1 54138969'"),
    ],
)
def test_what_one_file_cannot_hold_is_refused(
    tmp_path: Path, motions: list[Motion3D], message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        write_motions(motions, tmp_path / "mine.npz")
    assert list(tmp_path.iterdir()) == []


def test_files_of_the_data_sets_are_told_by_their_content(tmp_path: Path) -> None:
    h36m = save_npz(tmp_path / "a.npz", positions_3d={"S9": {"Eating 1": numbered(3, 32, 3)}})
    humaneva = save_npz(
        tmp_path / "b.npz", positions_3d={"Validate/S1": {"Jog 1 chunk0": numbered(3, 15, 3)}}
    )
    record = {"data_2d": numbered(2, 17, 2), "data_3d": numbered(2, 17, 3)}
    test = save_npz(tmp_path / "c.npz", data={"TS1": {**record, "valid": np.array([1, 0])}})
    train = save_npz(tmp_path / "d.npz", data={"S1 Seq1": [{"0": record}, 25]})
    found = {p.stem: read_motions(p)[0] for p in (h36m, humaneva, test, train)}
    assert [m.skeleton for m in found.values()] == [
        H36M17, HUMANEVA15, MPI_INF_3DHP17, MPI_INF_3DHP17,
    ]  # fmt: skip
    assert [m.units for m in found.values()] == ["m", "m", "mm", "mm"]
    assert found["c"].valid is not None and found["c"].valid.tolist() == [True, False]
    assert found["d"].camera == "0"


def test_motionbert_is_read_in_the_millimetres_that_its_results_are_scored_in(
    tmp_path: Path,
) -> None:
    rows = {
        "joint_2d": numbered(3, 17, 2), "confidence": np.ones((3, 17), np.float32),
        "joint3d_image": numbered(3, 17, 3), "camera_name": ["54138969"] * 3,
        "source": ["s_09_a", "s_09_a", "s_09_b"], "2.5d_factor": np.array([2.0, 2.0, 3.0]),
        "joints_2.5d_image": numbered(3, 17, 3), "action": ["Eating", "Eating", "Walking"],
    }  # fmt: skip
    path = save_pickle(tmp_path / "x.pkl", {"train": rows, "test": rows})
    eating, walking = read_motions(path)
    assert (eating.subject, eating.action, len(eating)) == ("s_09_a", "Eating", 2)
    assert walking.xyz[0, 1, 0] == 3 * (100 * 1 + 2)
    del rows["2.5d_factor"]
    with pytest.raises(FormatError, match=r"no test part with .* 2\.5d_factor"):
        read_motions(save_pickle(tmp_path / "y.pkl", {"test": rows}))


def poses(frames: list[int], people: int = 1, looked_at: int = 6) -> VideoPoses:
    """People in space who are known in some of the frames that were looked at."""

    def frame(index: int) -> FramePoses:
        count = people if index in frames else 0
        xyz = np.repeat(numbered(index + 1, 17, 3)[-1:], count, 0)
        joints = Poses(xyz, np.ones((count, 17), np.float32), H36M17, "camera_mm")
        boxes = Boxes(np.zeros((count, 4), np.float32), np.ones(count, np.float32))
        return FramePoses(index, index / 25, np.arange(count) + 3, boxes, joints)

    info = VideoInfo("walk.mp4", (640, 480), rate_hz=25.0)
    return VideoPoses.from_frames(info, H36M17, [frame(i) for i in range(looked_at)])


def test_poses_in_space_are_a_performance_called_like_their_file(tmp_path: Path) -> None:
    write_poses(poses([1, 2]), tmp_path / "Walking 1.parquet")
    (found,) = read_motions(tmp_path / "Walking 1.parquet")
    assert (found.subject, found.action, found.units) == ("", "Walking 1", "mm")
    assert found.valid is not None
    assert found.valid.tolist() == [False, True, True, False, False, False]
    np.testing.assert_array_equal(found.xyz[1], numbered(2, 17, 3)[1])
    assert found.fps == 25.0


def test_a_folder_has_a_performance_a_file_and_person(tmp_path: Path) -> None:
    write_poses(poses([0, 1], people=2), tmp_path / "Sitting.parquet")
    write_poses(poses([0]), tmp_path / "Walking.parquet")
    found = read_motions(tmp_path)
    assert [(m.subject, m.action) for m in found] == [
        ("3", "Sitting"), ("4", "Sitting"), ("", "Walking"),
    ]  # fmt: skip
    with pytest.raises(FormatError, match="a folder without files"):
        (tmp_path / "empty").mkdir()
        read_motions(tmp_path / "empty")


def test_poses_of_a_picture_are_no_joints_in_space() -> None:
    flat = Poses(np.zeros((1, 17, 2)), np.ones((1, 17)), H36M17)
    boxes = Boxes(np.zeros((1, 4)), np.ones(1))
    video = VideoPoses.from_frames(
        VideoInfo("walk.mp4", (640, 480)), H36M17, [FramePoses(0, 0.0, np.array([1]), boxes, flat)]
    )
    with pytest.raises(FormatError, match="holds joints of a picture"):
        motions_of(video, "walk")
    with pytest.raises(FormatError, match="holds no person"):
        motions_of(replace(video, tracks=()), "walk")


GOOD: dict[str, Any] = {
    "names": np.array([["S9", "Walking 1", ""], ["S9", "Eating", ""]]),
    "joints": np.array(H36M17.joints), "units": np.array("mm"), "space": np.array("camera"),
    "fps": np.array([50.0, 50.0]), "xyz_0": numbered(4, 17, 3), "xyz_1": numbered(2, 17, 3),
}  # fmt: skip


def lame(frames: int) -> np.ndarray:
    xyz = numbered(frames, 17, 3)
    xyz[1, 4, 2] = np.inf
    return xyz


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": None}, "has no 'names'"),
        ({"joints": None}, "has no 'joints'"),
        ({"units": None}, "has no 'units'"),
        ({"space": None}, "has no 'space'"),
        ({"xyz_1": None}, "has no 'xyz_1'"),
        ({"units": np.array("cm")}, "units must be m or mm; got 'cm'"),
        ({"space": np.array("image")}, "space must be camera or world"),
        ({"names": np.array([["a", "b"], ["c", "d"]])}, r"names must be \(N, 3\)"),
        ({"names": np.zeros((2, 3))}, "names must be an array of texts"),
        ({"names": np.array([["a", "b", "c"]] * 2)}, "two performances are called the same"),
        ({"names": GOOD["names"][:1], "fps": np.ones(1)}, "has xyz_1, but names of only 1"),
        ({"joints": np.array(H36M17.joints[:16])}, r"without the joint of the other side"),
        ({"joints": np.array(["pelvis"] * 17)}, "names joints twice"),
        ({"fps": np.ones(3)}, "fps must be 2 numbers"),
        ({"xyz_0": numbered(4, 16, 3)}, r"xyz_0 must be \(frames, 17, 3\)"),
        ({"xyz_0": numbered(4, 17, 2)}, r"xyz_0 must be \(frames, 17, 3\)"),
        ({"xyz_0": np.array(H36M17.joints)}, "xyz_0 must be an array of numbers"),
        ({"xyz_1": lame(2)}, "xyz_1: frame 1 holds a coordinate that is no finite number"),
        ({"valid_0": np.ones(3, bool)}, "4 frames and 3 flags"),
        ({"valid_0": np.ones(4)}, "valid_0 must be a list of true and false"),
    ],
)
def test_each_bad_field_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    content = {n: v for n, v in {**GOOD, **change}.items() if v is not None}
    np.savez(tmp_path / "bad.npz", **content)
    with pytest.raises(FormatError, match=message) as told:
        read_motions(tmp_path / "bad.npz", "motion")
    assert "bad.npz" in str(told.value)


WITHOUT_TIME = {name: change for name, change in BYTES.items() if name != "a byte in the head"}
"""A byte in the head of an archive is the time at which it was made, which nobody reads."""


@pytest.mark.parametrize("damage", WITHOUT_TIME.values(), ids=WITHOUT_TIME)
def test_damaged_files_are_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "mine.npz"
    write_motions([WALK, SIT], path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FormatError, match=r"mine\.npz"):
        read_motions(path)


def test_a_frame_that_does_not_count_may_be_unknown(tmp_path: Path) -> None:
    content = {**GOOD, "xyz_1": lame(2), "valid_1": np.array([True, False])}
    np.savez(tmp_path / "mine.npz", **content)
    assert len(read_motions(tmp_path / "mine.npz")) == 2


def test_what_no_reader_knows_is_answered_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no format 'bvhx' for joints in space"):
        read_motions(tmp_path / "x.npz", "bvhx")
    np.savez(tmp_path / "x.npz", poses=np.zeros(3))
    with pytest.raises(FormatError, match="holds poses, which is no file of joints in space"):
        read_motions(tmp_path / "x.npz")
    with pytest.raises(FormatError, match="no such file"):
        read_motions(tmp_path / "nowhere.npz")


def test_joints_with_another_name_keep_their_own_skeleton(tmp_path: Path) -> None:
    stick = Skeleton("stick", ("pelvis", "tail"))
    write_motions([replace(WALK, xyz=numbered(1, 2, 3), skeleton=stick, valid=None)],
                  tmp_path / "a.npz")  # fmt: skip
    assert read_motions(tmp_path / "a.npz")[0].skeleton.joints == ("pelvis", "tail")
    assert os.listdir(tmp_path) == ["a.npz"]
