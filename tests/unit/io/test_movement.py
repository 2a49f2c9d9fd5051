"""Files of the movement package: its data set, both spellings of its dimensions, damaged files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pose_damage import HISTORY, assert_refused, poses

from chronopose.errors import FormatError
from chronopose.io.movement import read_movement
from chronopose.io.poses import read_poses, write_poses

xarray = pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")
pytestmark = pytest.mark.filterwarnings("ignore::chronopose.io.poses.FormatLoss")

DIMS = ("time", "space", "keypoints", "individuals")


def dataset(frames: int = 4, unit: str = "seconds", **attrs: Any) -> Any:
    """A data set as the package makes it: x of keypoint k of individual p in frame f is 100 + …"""
    f, s, k, p = np.ogrid[:frames, :2, :3, :2]
    position = 100.0 + f + 1000 * s + 10 * k + 100 * p
    confidence = np.full((frames, 3, 2), 0.75)
    time = np.arange(frames) / 20 if unit == "seconds" else np.arange(frames)
    return xarray.Dataset(
        {"position": (DIMS, position), "confidence": ((DIMS[0], *DIMS[2:]), confidence)},
        {
            "time": time, "space": ["x", "y"], "keypoints": ["snout", "centre", "tail"],
            "individuals": ["id_0", "id_1"],
        },
        {"fps": 20.0, "time_unit": unit, "ds_type": "poses", "source_software": "SLEAP"} | attrs,
    )  # fmt: skip


def save(path: Path, data: Any) -> Path:
    data.to_netcdf(path, engine="h5netcdf")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mouse.nc"


def test_the_file_of_the_package_is_read(path: Path) -> None:
    found = read_movement(save(path, dataset()))
    assert found.skeleton.joints == ("snout", "centre", "tail")
    assert found.ids.tolist() == [0, 1]
    assert found.time_s.tolist() == [0.0, 0.05, 0.1, 0.15]
    assert found.frame_index.tolist() == [0, 1, 2, 3]
    assert found.info.rate_hz == 20.0
    assert found.person(1).poses.xy[2, 1].tolist() == [212.0, 1212.0]
    assert found.person(1).poses.score[2, 1] == 0.75


def test_dimensions_may_be_in_the_singular(path: Path) -> None:
    data = dataset().rename(keypoints="keypoint", individuals="individual")
    assert read_movement(save(path, data)).ids.tolist() == [0, 1]


def test_dimensions_may_have_any_order(path: Path) -> None:
    data = dataset().transpose("individuals", "space", "time", "keypoints")
    assert read_movement(save(path, data)).person(1).poses.xy[2, 1].tolist() == [212.0, 1212.0]


def test_a_cut_in_time_keeps_the_frame_numbers(path: Path) -> None:
    found = read_movement(save(path, dataset().isel(time=slice(2, 4))))
    assert found.frame_index.tolist() == [2, 3]


def test_time_in_frames_takes_the_rate_from_the_file_or_from_the_caller(path: Path) -> None:
    save(path, dataset(unit="frames"))
    assert read_movement(path).time_s.tolist() == [0.0, 0.05, 0.1, 0.15]
    assert read_movement(path, fps=10.0).time_s.tolist() == [0.0, 0.1, 0.2, 0.3]
    data = dataset(unit="frames")
    del data.attrs["fps"]
    with pytest.raises(FormatError, match="hold no times"):
        read_movement(save(path, data))


def test_our_file_is_a_data_set_of_the_package(tmp_path: Path) -> None:
    write_poses(poses(frames=(0, 1, 5)), tmp_path / "p.nc")
    data = xarray.load_dataset(tmp_path / "p.nc", engine="h5netcdf")
    assert data.position.dims == DIMS
    assert data.confidence.dims == ("time", "keypoints", "individuals")
    assert data.sizes == {"time": 3, "space": 2, "keypoints": 3, "individuals": 2}
    assert data.individuals.values.tolist() == ["id_3", "id_8"]
    chosen = data.position.sel(individuals="id_8", keypoints="left_hand", space="x")
    assert chosen.values.tolist() == [810.0, 811.0, 815.0]
    assert data.time.values.tolist() == [0.0, 0.04, 0.2]
    assert (data.attrs["fps"], data.attrs["time_unit"], data.attrs["ds_type"]) == (
        25.0, "seconds", "poses",
    )  # fmt: skip


def test_history_and_frames_come_back(tmp_path: Path) -> None:
    write_poses(poses(frames=(0, 1, 5)), tmp_path / "p.nc")
    after = read_poses(tmp_path / "p.nc")
    assert after.history == HISTORY
    assert after.frame_index.tolist() == [0, 1, 5]


def changed(**attrs: Any) -> Callable[[Any], Any]:
    return lambda d: d.assign_attrs(attrs)


def position(value: float) -> Callable[[Any], Any]:
    def change(data: Any) -> Any:
        data.position[1, 0, 1, 1] = value
        return data

    return change


DAMAGE: dict[str, Callable[[Any], Any]] = {
    "no position": lambda d: d.drop_vars("position"),
    "no time": lambda d: d.drop_vars("time"),
    "no names of keypoints": lambda d: d.drop_vars("keypoints"),
    "no names of individuals": lambda d: d.drop_vars("individuals"),
    "no space": lambda d: d.drop_vars("space"),
    "position without individuals": lambda d: d.isel(individuals=0, drop=True),
    "confidence over space": lambda d: d.assign(confidence=d.position),
    "position as text": lambda d: d.assign(position=d.position.astype(str)),
    "confidence as text": lambda d: d.assign(confidence=d.confidence.astype(str)),
    "space y, x": lambda d: d.assign_coords(space=["y", "x"]),
    "one coordinate": lambda d: d.isel(space=[0]),
    "a keypoint twice": lambda d: d.assign_coords(keypoints=["a", "a", "b"]),
    "a keypoint without a name": lambda d: d.assign_coords(keypoints=["a", "", "b"]),
    "an individual twice": lambda d: d.assign_coords(individuals=["a", "a"]),
    "boxes": changed(ds_type="bboxes"),
    "another unit of time": changed(time_unit="hours"),
    "frames with a fraction": lambda d: d.assign_attrs(time_unit="frames"),
    "time as text": lambda d: d.assign_coords(time=list("abcd")),
    "time backwards": lambda d: d.assign_coords(time=[3.0, 2.0, 1.0, 0.0]),
    "a time NaN": lambda d: d.assign_coords(time=[0.0, np.nan, 1.0, 2.0]),
    "x without y": position(np.nan),
    "an infinite coordinate": position(np.inf),
    "a coordinate far too large": position(1e300),
    "an infinite confidence": lambda d: d.assign(confidence=d.confidence * np.inf),
    "fractions": lambda d: d.assign(position=d.position / 10_000),
    "a description that is none": changed(chronopose="hello"),
    "a rate as text": changed(fps="fast"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_files_are_refused(path: Path, damage: Callable[[Any], Any]) -> None:
    save(path, damage(dataset()))
    assert_refused(lambda: read_movement(path), path)


def test_a_netcdf_3_file_is_named_as_such(path: Path) -> None:
    path.write_bytes(b"CDF\x01" + bytes(64))
    with pytest.raises(FormatError, match=r"netCDF-3 file.*engine='h5netcdf'"):
        read_movement(path)
