"""HumanEva-I in VideoPose3D's layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from motion_trees import BYTES, SIDES, numbered, save_npz
from pose_damage import assert_refused

from chronopose.core.skeletons import COCO17, HUMANEVA15
from chronopose.io.humaneva import CAMERAS, read_humaneva_2d, read_humaneva_3d
from chronopose.io.motion import pair_motions


def pictures(joints: int = 15, cameras: int = 3) -> dict[str, Any]:
    views = [numbered(4, joints, 2)] * cameras
    return {"Train/S1": {"Walking 1 chunk0": views}, "Unlabeled/S4": {"Box 1 chunk3": views}}


def metadata(layout: str = "humaneva15", joints: int = 15) -> dict[str, Any]:
    return {"layout_name": layout, "num_joints": joints, "keypoints_symmetry": SIDES[layout]}


@pytest.fixture
def file_3d(tmp_path: Path) -> Path:
    tree = {"Train/S1": {"Walking 1 chunk0": numbered(4, 15, 3)}}
    return save_npz(tmp_path / "data_3d_humaneva15.npz", positions_3d=tree)


@pytest.fixture
def file_2d(tmp_path: Path) -> Path:
    return save_npz(
        tmp_path / "data_2d_humaneva15_gt.npz", positions_2d=pictures(), metadata=metadata()
    )


def test_a_subject_keeps_its_part_and_an_action_its_chunk(file_3d: Path) -> None:
    (found,) = read_humaneva_3d(file_3d)
    assert (found.subject, found.action) == ("Train/S1", "Walking 1 chunk0")
    assert found.skeleton is HUMANEVA15
    assert (found.units, found.space, found.fps) == ("m", "world", 60.0)


def test_three_cameras_see_it(file_3d: Path, file_2d: Path) -> None:
    pairs = pair_motions(read_humaneva_3d(file_3d), read_humaneva_2d(file_2d))
    assert [two.camera for _, two in pairs] == list(CAMERAS)
    assert {two.size for _, two in pairs} == {(640, 480)}


def test_detections_with_the_joints_of_coco_are_read(tmp_path: Path) -> None:
    path = save_npz(tmp_path / "d.npz", positions_2d=pictures(17), metadata=metadata("coco", 17))
    assert read_humaneva_2d(path)[0].skeleton is COCO17


TREES: dict[str, Callable[[], dict[str, Any]]] = {
    "20 joints": lambda: {"positions_3d": {"Train/S1": {"A": numbered(3, 20, 3)}}},
    "no subject": lambda: {"positions_3d": {}},
    "an action as text": lambda: {"positions_3d": {"Train/S1": {"A": "walk"}}},
    "an infinity": lambda: {"positions_3d": {"Train/S1": {"A": numbered(3, 15, 3) * np.inf}}},
    "the file of pictures": lambda: {"positions_2d": pictures(), "metadata": metadata()},
}


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_other_trees_are_refused_in_3d(tmp_path: Path, tree: Callable[[], Any]) -> None:
    path = save_npz(tmp_path / "d.npz", **tree())
    assert_refused(lambda: read_humaneva_3d(path), path)


VIEWS: dict[str, Callable[[], dict[str, Any]]] = {
    "four cameras": lambda: {"positions_2d": pictures(cameras=4), "metadata": metadata()},
    "other joints than announced": lambda: {"positions_2d": pictures(16), "metadata": metadata()},
    "no metadata": lambda: {"positions_2d": pictures()},
    "sides exchanged": lambda: {
        "positions_2d": pictures(),
        "metadata": metadata() | {"keypoints_symmetry": SIDES["humaneva15"][::-1]},
    },
    "no number of cameras": lambda: {"positions_2d": {"S": {"A": {}}}, "metadata": metadata()},
}


@pytest.mark.parametrize("tree", VIEWS.values(), ids=VIEWS)
def test_other_trees_are_refused_in_2d(tmp_path: Path, tree: Callable[[], Any]) -> None:
    path = save_npz(tmp_path / "d.npz", **tree())
    assert_refused(lambda: read_humaneva_2d(path), path)


@pytest.mark.parametrize("damage", BYTES.values(), ids=BYTES)
def test_damaged_files_are_refused(file_2d: Path, damage: Callable[[bytes], bytes]) -> None:
    file_2d.write_bytes(damage(file_2d.read_bytes()))
    assert_refused(lambda: read_humaneva_2d(file_2d), file_2d)
