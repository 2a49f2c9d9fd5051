"""Human3.6M in VideoPose3D's layout: joints, names, cameras, cuts, and damaged files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from motion_trees import BYTES, SIDES, numbered, save_npz
from pose_damage import assert_refused

from chronopose.core.skeletons import H36M17, get_skeleton
from chronopose.errors import FormatError
from chronopose.io.h36m import CAMERAS, KEPT, action_name, read_h36m_2d, read_h36m_3d
from chronopose.io.motion import pair_motions

DROPPED = [4, 5, 9, 10, 11, 16, 20, 21, 22, 23, 24, 28, 29, 30, 31]


def world() -> dict[str, dict[str, Any]]:
    return {
        "S1": {"Directions 1": numbered(5, 32, 3), "TakingPhoto": numbered(4, 32, 3)},
        "S11": {"Directions": numbered(3, 32, 3), "Directions 1": numbered(3, 32, 3)},
    }


def pictures(frames: int = 6, joints: int = 17) -> dict[str, dict[str, Any]]:
    views = [numbered(frames, joints, 2) + i for i in range(4)]
    return {"S1": {"Directions 1": views, "WalkingDog 1": views}, "S11": {"Directions": views}}


def metadata(layout: str = "h36m", joints: int = 17) -> dict[str, Any]:
    return {"layout_name": layout, "num_joints": joints, "keypoints_symmetry": SIDES[layout]}


@pytest.fixture
def file_3d(tmp_path: Path) -> Path:
    return save_npz(tmp_path / "data_3d_h36m.npz", positions_3d=world())


@pytest.fixture
def file_2d(tmp_path: Path) -> Path:
    return save_npz(tmp_path / "data_2d_h36m_gt.npz", positions_2d=pictures(), metadata=metadata())


def test_17_of_the_32_joints_are_kept(file_3d: Path) -> None:
    found = read_h36m_3d(file_3d)[0]
    assert sorted(KEPT + tuple(DROPPED)) == list(range(32))
    assert found.skeleton is H36M17
    assert found.xyz[0, :, 0].tolist() == [100.0 * k for k in KEPT]
    # Joint 25 of the 32 is the right shoulder, 17 the left one.
    assert found.xyz[0, H36M17.index("right_shoulder"), 0] == 2500.0
    assert found.xyz[0, H36M17.index("left_shoulder"), 0] == 1700.0
    assert (found.units, found.space, found.fps) == ("m", "world", 50.0)


def test_the_damaged_performance_is_left_out_and_names_are_those_of_the_field(
    file_3d: Path,
) -> None:
    names = [(m.subject, m.action) for m in read_h36m_3d(file_3d)]
    assert names == [("S1", "Directions 1"), ("S1", "Photo"), ("S11", "Directions 1")]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("WalkingDog 1", "WalkDog 1"), ("Walking 1", "Walking 1"), ("TakingPhoto", "Photo")],
)
def test_actions_are_renamed_by_their_whole_first_word(given: str, wanted: str) -> None:
    assert action_name(given) == wanted


def test_views_belong_to_the_cameras_in_their_order(file_2d: Path) -> None:
    found = read_h36m_2d(file_2d)
    assert [m.camera for m in found[:4]] == list(CAMERAS)
    assert [m.size for m in found[:4]] == [(1000, 1002), (1000, 1000), (1000, 1000), (1000, 1002)]
    assert [m.xy[0, 0, 0] for m in found[:4]] == [0.0, 1.0, 2.0, 3.0]
    assert ("S11", "Directions") not in {(m.subject, m.action) for m in found}


@pytest.mark.parametrize(
    ("layout", "joints", "name"),
    [("h36m", 17, "h36m17"), ("coco", 17, "coco17"), ("mpii", 16, "mpii16")],
)
def test_sides_tell_which_joints_they_are(
    tmp_path: Path, layout: str, joints: int, name: str
) -> None:
    path = save_npz(
        tmp_path / "d.npz", positions_2d=pictures(joints=joints), metadata=metadata(layout, joints)
    )
    assert read_h36m_2d(path)[0].skeleton is get_skeleton(name)


def test_the_file_without_a_name_of_its_layout_is_read(tmp_path: Path) -> None:
    facts = metadata()
    del facts["layout_name"]
    path = save_npz(tmp_path / "d.npz", positions_2d=pictures(), metadata=facts)
    assert read_h36m_2d(path)[0].skeleton is H36M17


def test_pairs_are_cut_to_the_motion_capture(file_3d: Path, file_2d: Path) -> None:
    pairs = pair_motions(read_h36m_3d(file_3d), read_h36m_2d(file_2d))
    assert len(pairs) == 4
    assert {(len(three), len(two)) for three, two in pairs} == {(5, 5)}


def test_pictures_that_end_before_the_motion_do_not_belong_to_it(
    file_3d: Path, tmp_path: Path
) -> None:
    short = save_npz(tmp_path / "d.npz", positions_2d=pictures(4), metadata=metadata())
    with pytest.raises(FormatError, match="4 frames in 2D and 5 in 3D"):
        pair_motions(read_h36m_3d(file_3d), read_h36m_2d(short))


def with_array(array: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"positions_3d": {"S1": {"Walking": array}}}


def nan() -> Any:
    array = numbered(3, 32, 3)
    array[1, 2, 0] = np.nan
    return array


TREES_3D: dict[str, Callable[[], dict[str, Any]]] = {
    "another key": lambda: {"positions": world()},
    "a list of subjects": lambda: {"positions_3d": [world()]},
    "no subject": lambda: {"positions_3d": {}},
    "a subject without actions": lambda: {"positions_3d": {"S1": {}}},
    "an action as a list": with_array([[1.0, 2.0, 3.0]]),
    "an array of texts": with_array(np.full((3, 32, 3), "x")),
    "31 joints": with_array(numbered(3, 31, 3)),
    "two coordinates": with_array(numbered(3, 32, 2)),
    "two axes": with_array(np.ones((32, 3))),
    "a NaN": with_array(nan()),
}


@pytest.mark.parametrize("tree", TREES_3D.values(), ids=TREES_3D)
def test_other_trees_are_refused_in_3d(tmp_path: Path, tree: Callable[[], Any]) -> None:
    path = save_npz(tmp_path / "d.npz", **tree())
    assert_refused(lambda: read_h36m_3d(path), path)


def about(**fields: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"positions_2d": pictures(), "metadata": metadata() | fields}


def views(*arrays: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"positions_2d": {"S1": {"A": list(arrays)}}, "metadata": metadata()}


ONE = numbered(3, 17, 2)
TREES_2D: dict[str, Callable[[], dict[str, Any]]] = {
    "no metadata": lambda: {"positions_2d": pictures()},
    "no positions": lambda: {"metadata": metadata()},
    "no sides": lambda: {"positions_2d": pictures(), "metadata": {"num_joints": 17}},
    "sides exchanged": about(keypoints_symmetry=SIDES["h36m"][::-1]),
    "sides of another layout": about(keypoints_symmetry=SIDES["coco"], num_joints=16),
    "one side": about(keypoints_symmetry=[[1, 2, 3]]),
    "sides by name": about(keypoints_symmetry=[["left"], ["right"]]),
    "sides that are none": about(keypoints_symmetry=4),
    "another number of joints": about(num_joints=18),
    "three cameras": views(ONE, ONE, ONE),
    "five cameras": views(ONE, ONE, ONE, ONE, ONE),
    "a camera without pictures": views(ONE, ONE, ONE, None),
    "a camera with other joints": views(ONE, ONE, ONE, numbered(3, 16, 2)),
    "a camera with infinities": views(ONE, ONE, ONE, ONE * np.inf),
    "views as one number": lambda: {"positions_2d": {"S1": {"A": 4}}, "metadata": metadata()},
}


@pytest.mark.parametrize("tree", TREES_2D.values(), ids=TREES_2D)
def test_other_trees_are_refused_in_2d(tmp_path: Path, tree: Callable[[], Any]) -> None:
    path = save_npz(tmp_path / "d.npz", **tree())
    assert_refused(lambda: read_h36m_2d(path), path)


@pytest.mark.parametrize("damage", BYTES.values(), ids=BYTES)
def test_damaged_files_are_refused(file_3d: Path, damage: Callable[[bytes], bytes]) -> None:
    file_3d.write_bytes(damage(file_3d.read_bytes()))
    assert_refused(lambda: read_h36m_3d(file_3d), file_3d)


@pytest.mark.data
def test_the_real_file_of_another_layout_is_refused_by_name(shared_data: Path) -> None:
    path = shared_data / "samples" / "h36m" / "test_h36m_body3d.npz"
    with pytest.raises(FormatError, match=r"has no 'positions_3d' \(it has imgname"):
        read_h36m_3d(path)
