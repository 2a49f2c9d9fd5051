"""SLEAP analysis files: the tool's own layout and its other axis orders, and damaged files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pose_damage import HISTORY, assert_refused, poses

from chronopose.errors import FormatError
from chronopose.io.poses import read_poses, write_poses
from chronopose.io.sleap import read_sleap

h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.filterwarnings("ignore::chronopose.io.poses.FormatLoss")

FRAMES, TRACKS, NODES = 4, 2, 3
XY = np.arange(FRAMES * TRACKS * NODES * 2).reshape(FRAMES, TRACKS, NODES, 2) + 10.0
SCORE = np.linspace(0.1, 0.9, FRAMES * TRACKS * NODES).reshape(FRAMES, TRACKS, NODES)
AXES = ("frame", "track", "node", "xy")


def save(path: Path, order: tuple[str, ...] = ("track", "xy", "node", "frame")) -> Path:
    """A file as the tool writes it; ``order`` of the axes, named if it is not the usual one."""

    def placed(array: Any, axes: tuple[str, ...]) -> Any:
        return np.transpose(array, [axes.index(a) for a in order if a in axes])

    sure = np.where(np.isnan(XY).all((2, 3)), np.nan, 0.5)
    with h5py.File(path, "w") as file:
        file["tracks"] = placed(XY, AXES)
        file["track_occupancy"] = np.ones((FRAMES, TRACKS), np.uint8)
        file["point_scores"] = placed(SCORE, AXES[:3])
        file["instance_scores"] = placed(sure, AXES[:2])
        file["tracking_scores"] = placed(sure, AXES[:2])
        file["track_names"] = np.array([b"track_4", b"track_9"])
        file["node_names"] = np.array([b"head", b"thorax", b"abdomen"])
        file["edge_names"] = np.array([[b"head", b"thorax"]])
        file["edge_inds"] = np.array([[0, 1]])
        file["video_path"] = "flies.mp4"
        file["video_ind"] = 0
        file["labels_path"] = ""
        file["provenance"] = "{}"
        if order != ("track", "xy", "node", "frame"):
            file["tracks"].attrs["dims"] = json.dumps(order)
    return path


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return save(tmp_path / "flies.analysis.h5")


@pytest.mark.parametrize(
    "order", [("track", "xy", "node", "frame"), AXES, ("node", "xy", "frame", "track")]
)
def test_the_file_of_the_tool_is_read_in_every_axis_order(
    tmp_path: Path, order: tuple[str, ...]
) -> None:
    found = read_sleap(save(tmp_path / "a.h5", order), fps=20.0)
    assert found.skeleton.joints == ("head", "thorax", "abdomen")
    assert found.skeleton.limbs == (("head", "thorax"),)
    assert found.ids.tolist() == [4, 9]
    assert found.info.source == "flies.mp4"
    np.testing.assert_allclose(found.time_s, [0, 0.05, 0.1, 0.15])
    np.testing.assert_array_equal(found.person(9).poses.xy, XY[:, 1])
    np.testing.assert_allclose(found.person(9).poses.score, SCORE[:, 1], rtol=1e-6)
    np.testing.assert_array_equal(found.person(9).boxes.score, 0.5)


def test_frames_without_a_track_are_frames_without_the_person(written: Path) -> None:
    with h5py.File(written, "r+") as file:
        file["tracks"][1, :, :, 2] = np.nan
    found = read_sleap(written, fps=20.0)
    assert found.person(9).frame_index.tolist() == [0, 1, 3]
    assert found.frame_index.tolist() == [0, 1, 2, 3]


def test_a_file_without_tracks_holds_one_person(written: Path) -> None:
    with h5py.File(written, "r+") as file:
        for name in ("tracks", "point_scores", "instance_scores"):
            kept = file[name][:1]
            del file[name]
            file[name] = kept
        del file["track_names"]
        file["track_names"] = np.zeros(0, "S1")
    assert read_sleap(written, fps=20.0).ids.tolist() == [0]


def test_our_file_has_the_layout_of_the_tool_and_keeps_times(tmp_path: Path) -> None:
    before = poses(frames=(0, 1, 5))
    write_poses(before, tmp_path / "p.analysis.h5")
    with h5py.File(tmp_path / "p.analysis.h5") as file:
        assert file["tracks"].shape == (2, 2, 3, 6)
        assert file["track_occupancy"][:].tolist() == [[1, 1]] * 2 + [[0, 0]] * 3 + [[1, 1]]
        assert file["tracks"][0, 0, 1, :2].tolist() == [310.0, 311.0]
        assert file["track_names"][:].tolist() == [b"track_3", b"track_8"]
        assert file["edge_inds"][:].tolist() == [[0, 1], [0, 2]]
    after = read_poses(tmp_path / "p.analysis.h5")
    assert after.frame_index.tolist() == [0, 1, 5]
    assert after.time_s.tolist() == before.time_s.tolist()
    assert after.history == HISTORY


def drop(name: str) -> Callable[[Any], None]:
    return lambda file: file.__delitem__(name)


def put(name: str, value: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        if name in file:
            del file[name]
        file[name] = value

    return change


def tracks(value: float) -> Callable[[Any], None]:
    return lambda file: file["tracks"].__setitem__((0, 0, 0, 0), value)


DAMAGE: dict[str, Callable[[Any], None]] = {
    "no tracks": drop("tracks"),
    "no nodes": drop("node_names"),
    "no track names": drop("track_names"),
    "tracks a group": lambda f: f.move("tracks", "apart") or f.create_group("tracks"),
    "tracks as text": put("tracks", np.full((2, 2, 3, 4), b"x")),
    "tracks with three axes": put("tracks", np.ones((2, 2, 3))),
    "tracks in 3D": put("tracks", np.ones((2, 3, 3, 4))),
    "a track too many": put("tracks", np.ones((3, 2, 3, 4))),
    "a node too many": put("tracks", np.ones((2, 2, 4, 4))),
    "tracks huge": put("tracks", h5py.Empty("f")),
    "an infinite coordinate": tracks(np.inf),
    "x without y": tracks(np.nan),
    "fractions": put("tracks", np.full((2, 2, 3, 4), 0.5)),
    "scores of another shape": put("point_scores", np.ones((2, 3, 5))),
    "scores with two axes": put("point_scores", np.ones((2, 3))),
    "an infinite score": put("point_scores", np.full((2, 3, 4), np.inf)),
    "instance scores of another shape": put("instance_scores", np.ones((2, 5))),
    "a node name too few": put("node_names", np.array([b"head", b"thorax"])),
    "a node name twice": put("node_names", np.array([b"head", b"head", b"tail"])),
    "node names by number": put("node_names", np.arange(3)),
    "a node name no UTF-8": put("node_names", np.array([b"\xff", b"a", b"b"])),
    "edges of a node that is not": put("edge_names", np.array([[b"head", b"wing"]])),
    "edges of three": put("edge_names", np.array([[b"head", b"thorax", b"abdomen"]])),
    "axes that are not": lambda f: f["tracks"].attrs.__setitem__("dims", '["a", "b", "c", "d"]'),
    "axes no JSON": lambda f: f["tracks"].attrs.__setitem__("dims", "frame, track"),
    "a time too few": put("time_s", np.arange(3.0)),
    "times backwards": put("time_s", np.arange(4.0)[::-1]),
    "no time for a frame with people": put("time_s", np.array([0, np.nan, 1, 2])),
    "a description that is none": put("chronopose", "{}"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_files_are_refused(written: Path, damage: Callable[[Any], None]) -> None:
    with h5py.File(written, "r+") as file:
        damage(file)
        timed = "time_s" in file
    fps = None if timed else 20.0
    assert_refused(lambda: read_sleap(written, fps=fps), written)


def test_a_claim_of_a_huge_array_is_not_believed(written: Path) -> None:
    with h5py.File(written, "r+") as file:
        del file["tracks"]
        file.create_dataset("tracks", (2, 2, 3, 10**9), "f8", chunks=(1, 1, 1, 1024))
    with pytest.raises(FormatError, match=r"tracks claims the shape .* damaged"):
        read_sleap(written, fps=20.0)
