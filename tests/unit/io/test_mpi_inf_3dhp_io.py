"""MPI-INF-3DHP in P-STMO's layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from motion_trees import BYTES, numbered, save_npz
from pose_damage import assert_refused

from chronopose.core.skeletons import MPI_INF_3DHP17
from chronopose.io.mpi_inf_3dhp import read_3dhp_test, read_3dhp_train


def view(frames: int = 4, **fields: Any) -> dict[str, Any]:
    return {"data_2d": numbered(frames, 17, 2), "data_3d": numbered(frames, 17, 3)} | fields


def train(**fields: Any) -> dict[str, Any]:
    return {"S1 Seq1": [{"0": view(), "8": view(**fields)}, 25], "S3 Seq2": [{"2": view(3)}, 50]}


def challenge(**fields: Any) -> dict[str, Any]:
    valid = np.array([[1], [0], [1], [1]], np.uint8)
    return {"TS1": view(valid=valid) | fields, "TS6": view(valid=valid.ravel())}


@pytest.fixture
def train_file(tmp_path: Path) -> Path:
    return save_npz(tmp_path / "data_train_3dhp.npz", data=train())


@pytest.fixture
def test_file(tmp_path: Path) -> Path:
    return save_npz(tmp_path / "data_test_3dhp.npz", data=challenge())


def test_a_sequence_is_seen_by_its_cameras_at_its_rate(train_file: Path) -> None:
    found = read_3dhp_train(train_file)
    assert [(t.subject, t.action, t.camera, t.fps) for t, _ in found] == [
        ("S1", "Seq1", "0", 25.0), ("S1", "Seq1", "8", 25.0), ("S3", "Seq2", "2", 50.0),
    ]  # fmt: skip
    three, two = found[0]
    assert three.skeleton is MPI_INF_3DHP17
    assert (three.units, three.space) == ("mm", "camera")
    assert three.xyz[1, 14].tolist() == [1401.0, 1014.0, 4000.0]
    assert MPI_INF_3DHP17.joints[14] == "pelvis"
    assert two.xy[1, 14].tolist() == [1401.0, 1014.0]
    assert two.size == (2048, 2048)


def test_frames_that_are_not_scored_are_marked(test_file: Path) -> None:
    found = read_3dhp_test(test_file)
    assert [(t.subject, two.size) for t, two in found] == [
        ("TS1", (2048, 2048)), ("TS6", (1920, 1080)),
    ]  # fmt: skip
    for three, _ in found:
        assert three.valid is not None
        assert three.valid.tolist() == [True, False, True, True]


TRAIN: dict[str, Callable[[], Any]] = {
    "a list": lambda: [train()],
    "nothing": dict,
    "a sequence without a rate": lambda: {"S1 Seq1": [{"0": view()}]},
    "a rate of 30": lambda: {"S1 Seq1": [{"0": view()}, 30]},
    "a rate as text": lambda: {"S1 Seq1": [{"0": view()}, "25 fps"]},
    "a sequence as a number": lambda: {"S1 Seq1": 4},
    "no camera": lambda: {"S1 Seq1": [{}, 25]},
    "a camera as an array": lambda: {"S1 Seq1": [{"0": np.ones(3)}, 25]},
    "no 3D": lambda: {"S1 Seq1": [{"0": {"data_2d": numbered(4, 17, 2)}}, 25]},
    "fewer frames in 2D": lambda: train(data_2d=numbered(3, 17, 2)),
    "28 joints": lambda: train(data_3d=numbered(4, 28, 3)),
    "a NaN": lambda: train(data_3d=numbered(4, 17, 3) * np.nan),
    "texts": lambda: train(data_2d=np.full((4, 17, 2), "x")),
}


@pytest.mark.parametrize("tree", TRAIN.values(), ids=TRAIN)
def test_other_training_trees_are_refused(tmp_path: Path, tree: Callable[[], Any]) -> None:
    path = save_npz(tmp_path / "d.npz", data=tree())
    assert_refused(lambda: read_3dhp_train(path), path)


TEST: dict[str, Callable[[], Any]] = {
    "no flags": lambda: {"TS1": view()},
    "too few flags": lambda: challenge(valid=np.ones(3)),
    "flags as text": lambda: challenge(valid=np.array(["a", "b", "c", "d"])),
    "flags of 2": lambda: challenge(valid=np.full(4, 2)),
    "flags by name": lambda: challenge(valid={"a": 1}),
    "no 2D": lambda: {"TS1": {"data_3d": numbered(4, 17, 3), "valid": np.ones(4)}},
    "a part as a list": lambda: {"TS1": [view()]},
}


@pytest.mark.parametrize("tree", TEST.values(), ids=TEST)
def test_other_test_trees_are_refused(tmp_path: Path, tree: Callable[[], Any]) -> None:
    path = save_npz(tmp_path / "d.npz", data=tree())
    assert_refused(lambda: read_3dhp_test(path), path)


@pytest.mark.parametrize("damage", BYTES.values(), ids=BYTES)
def test_damaged_files_are_refused(test_file: Path, damage: Callable[[bytes], bytes]) -> None:
    test_file.write_bytes(damage(test_file.read_bytes()))
    assert_refused(lambda: read_3dhp_test(test_file), test_file)


@pytest.mark.data
def test_the_real_file_of_another_layout_is_refused_by_name(shared_data: Path) -> None:
    path = shared_data / "samples" / "mpi_inf_3dhp" / "test_3dhp_train.npz"
    assert_refused(lambda: read_3dhp_train(path), path)
