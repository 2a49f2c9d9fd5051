"""Cameras and pictures in MMPose's layouts, on made-up files and on real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from motion_trees import BYTES, numbered, save_pickle
from pose_damage import assert_refused

from chronopose.core.skeletons import H36M17, MPI_INF_3DHP17
from chronopose.errors import FormatError, ShapeError
from chronopose.io.motion import Motion2D, Motion3D, pair_motions, read_cameras, read_pictures_3d


def camera(**fields: Any) -> dict[str, Any]:
    """It stands at (1, 2, 3) and looks along the world's y; z of the world is up."""
    axes = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    return {
        "R": axes, "T": np.array([[1.0], [2.0], [3.0]]), "c": np.array([[512.5], [515.5]]),
        "f": np.array([[1145.0], [1144.0]]), "k": np.array([[-0.2], [0.2], [0.0]]),
        "p": np.array([[-0.001], [-0.002]]), "w": 1000, "h": 1002, "name": "camera1",
    } | fields  # fmt: skip


def test_a_camera_of_human36m_is_read(tmp_path: Path) -> None:
    path = save_pickle(tmp_path / "cameras.pkl", {("S1", "54138969"): camera()})
    found = read_cameras(path)["S1 54138969"]
    assert found.focal_px.tolist() == [1145.0, 1144.0]
    assert found.size == (1000, 1002)
    assert found.radial.tolist() == [-0.2, 0.2, 0.0]
    # 4 m in front of it and 1 m above: z 4, y -1.
    np.testing.assert_allclose(found.to_camera(np.array([1.0, 6.0, 4.0])), [0, -1, 4])


def test_a_camera_without_a_place_is_read_and_says_so(tmp_path: Path) -> None:
    plain = {k: v for k, v in camera().items() if k in "cfwh"}
    found = read_cameras(save_pickle(tmp_path / "cameras.pkl", {"TS1": plain}))["TS1"]
    assert found.radial.tolist() == [0.0, 0.0, 0.0]
    with pytest.raises(FormatError, match="Nobody knows where camera TS1 stands"):
        found.to_camera(np.zeros(3))


CAMERAS: dict[str, Callable[[], Any]] = {
    "a list": lambda: [camera()],
    "nothing": dict,
    "a camera as a number": lambda: {"a": 3},
    "no focal length": lambda: {"a": {k: v for k, v in camera().items() if k != "f"}},
    "a focal length of three": lambda: {"a": camera(f=[1, 2, 3])},
    "a focal length NaN": lambda: {"a": camera(f=[np.nan, 1])},
    "a centre as text": lambda: {"a": camera(c="middle")},
    "a width of zero": lambda: {"a": camera(w=0)},
    "a width with a fraction": lambda: {"a": camera(w=10.5)},
    "a rotation of four": lambda: {"a": camera(R=np.ones(4))},
    "a position of two": lambda: {"a": camera(T=np.ones(2))},
}


@pytest.mark.parametrize("content", CAMERAS.values(), ids=CAMERAS)
def test_other_cameras_are_refused(tmp_path: Path, content: Callable[[], Any]) -> None:
    path = save_pickle(tmp_path / "cameras.pkl", content())
    assert_refused(lambda: read_cameras(path), path)


def arrays(**fields: Any) -> dict[str, Any]:
    return {
        "imgname": np.array(["a.jpg", "b.jpg"]), "center": np.ones((2, 2)), "scale": np.ones(2),
        "part": numbered(2, 17, 3, np.float64), "S": numbered(2, 17, 4, np.float64),
    } | fields  # fmt: skip


PICTURES: dict[str, dict[str, Any]] = {
    "16 joints": {"part": numbered(2, 16, 3)},
    "no flags": {"part": numbered(2, 17, 2)},
    "3D without flags": {"S": numbered(2, 17, 3)},
    "a name too few": {"imgname": np.array(["a.jpg"])},
    "names by number": {"imgname": np.arange(2)},
    "a scale too many": {"scale": np.ones(3)},
    "a centre NaN": {"center": np.full((2, 2), np.nan)},
    "a joint NaN": {"S": numbered(2, 17, 4) * np.nan},
    "joints as text": {"part": np.full((2, 17, 3), "x")},
    "a picture too few in 3D": {"S": numbered(1, 17, 4)},
    "a list of dicts": {"part": np.array([{"x": 1}, {"y": 2}])},
}


@pytest.mark.parametrize("fields", PICTURES.values(), ids=PICTURES)
def test_other_pictures_are_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, **arrays(**fields))
    assert_refused(lambda: read_pictures_3d(path, H36M17), path)


@pytest.mark.parametrize("damage", BYTES.values(), ids=BYTES)
def test_damaged_pictures_are_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "d.npz"
    np.savez_compressed(path, **arrays())
    path.write_bytes(damage(path.read_bytes()))
    assert_refused(lambda: read_pictures_3d(path, H36M17), path)


# A pickle has no check sum: a changed byte inside an array is another number.
CUTS = {n: c for n, c in BYTES.items() if n != "a byte in the middle"}


@pytest.mark.parametrize("damage", CUTS.values(), ids=CUTS)
def test_damaged_cameras_are_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = save_pickle(tmp_path / "cameras.pkl", {("S1", "54138969"): camera()})
    path.write_bytes(damage(path.read_bytes()))
    assert_refused(lambda: read_cameras(path), path)


def test_a_motion_must_fit_its_skeleton() -> None:
    with pytest.raises(ShapeError, match=r"\(frames, 17, 3\); got \(4, 16, 3\)"):
        Motion3D("S1", "A", numbered(4, 16, 3), H36M17, "m", "world", 50.0)


def test_files_of_two_data_sets_have_no_pairs() -> None:
    three = Motion3D("S1", "A", numbered(4, 17, 3), H36M17, "m", "world", 50.0)
    two = Motion2D("S9", "A", "c", numbered(4, 17, 2), H36M17, 50.0)
    with pytest.raises(FormatError, match="None of 1 3D and 1 2D performances"):
        pair_motions([three], [two])


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "count", "first", "height_m"),
    [
        ("h36m/cameras.pkl", 44, "S1 54138969", 1.56),
        ("mpi_inf_3dhp/cameras_test.pkl", 6, "TS1", None),
    ],
)
def test_real_cameras_are_read(
    shared_data: Path, name: str, count: int, first: str, height_m: float | None
) -> None:
    found = read_cameras(shared_data / "samples" / name)
    assert len(found) == count
    assert 1000 < found[first].focal_px[0] < 2000
    if height_m is not None:
        position, rotation = found[first].position, found[first].rotation
        assert position is not None
        assert rotation is not None
        assert position[2] == pytest.approx(height_m, abs=0.01)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
        # The picture's y axis points to the floor.
        assert rotation[2, 1] < -0.9


@pytest.mark.data
def test_real_pictures_of_human36m_project_onto_their_labels(shared_data: Path) -> None:
    folder = shared_data / "samples" / "h36m"
    found = read_pictures_3d(folder / "test_h36m_body3d.npz", H36M17)
    cameras = read_cameras(folder / "cameras.pkl")
    for name, xy, xyz in zip(found.names, found.xy, found.xyz_m, strict=True):
        subject, place = name.split("/")[0], name.split("/")[1]
        lens = cameras[f"{subject} {place.split('.')[1]}"]
        flat = lens.focal_px * (xyz[:, :2] / xyz[:, 2:]) + lens.centre_px
        assert np.abs(flat - xy).max() < 12  # distortion is left out here


@pytest.mark.data
def test_real_pictures_of_3dhp_have_their_head_above_their_feet(shared_data: Path) -> None:
    path = shared_data / "samples" / "mpi_inf_3dhp" / "test_3dhp_test.npz"
    found = read_pictures_3d(path, MPI_INF_3DHP17)
    head, foot = (MPI_INF_3DHP17.index(n) for n in ("head_top", "left_ankle"))
    assert (found.xyz_m[:, head, 1] < found.xyz_m[:, foot, 1]).all()
    assert (found.xy[:, head, 1] < found.xy[:, foot, 1]).all()
