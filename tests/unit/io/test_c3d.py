"""C3D files: subjects, units, missing markers, rates, and damaged files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pose_damage import INFO, assert_refused, poses

from chronopose.core.tracks import VideoPoses
from chronopose.errors import FormatError
from chronopose.io.c3d import read_c3d
from chronopose.io.poses import FormatLoss, read_poses, write_poses

ezc3d = pytest.importorskip("ezc3d")
pytestmark = pytest.mark.filterwarnings("ignore::chronopose.io.poses.FormatLoss")


def laboratory(path: Path, change: Callable[[Any], None] = lambda c: None) -> Path:
    """Three frames of two markers of "Ann", from frame 10, the second one lost in the middle."""
    file = ezc3d.c3d()
    point = file["parameters"]["POINT"]
    point["RATE"]["value"] = [100.0]
    point["UNITS"]["value"] = ["mm"]
    point["LABELS"]["value"] = ("Ann:LASI", "Ann:RASI")
    points = np.ones((4, 2, 3))
    points[:3, 0] = np.array([[100.0, 200.0, 900.0]]).T + np.arange(3)
    points[:3, 1] = np.array([[-100.0, 200.0, 900.0]]).T
    file["data"]["points"] = points
    file["data"]["meta_points"]["residuals"] = np.array([[[0.0, 0, 0], [0, -1, 0]]])
    file["header"]["points"]["first_frame"] = 10
    change(file)
    file.write(str(path))
    return path


def test_the_file_of_a_laboratory_is_read(tmp_path: Path) -> None:
    found = read_c3d(laboratory(tmp_path / "ann.c3d"))
    assert found.skeleton.joints == ("lasi", "rasi")
    assert found.frame_index.tolist() == [10, 11, 12]
    np.testing.assert_allclose(found.time_s, [0.1, 0.11, 0.12])
    poses_3d = found.person(0).poses
    assert poses_3d.space == "camera_mm"
    assert poses_3d.xy[1, 0].tolist() == [101.0, 201.0, 901.0]
    assert np.isnan(poses_3d.xy[1, 1]).all()


def test_metres_become_millimetres(tmp_path: Path) -> None:
    def metres(file: Any) -> None:
        file["parameters"]["POINT"]["UNITS"]["value"] = ["m"]

    found = read_c3d(laboratory(tmp_path / "ann.c3d", metres))
    assert found.person(0).poses.xy[0, 0, 0] == 100_000.0
    assert read_poses(tmp_path / "ann.c3d", units="mm").person(0).poses.xy[0, 0, 0] == 100.0


def test_our_file_states_subjects_units_and_axes(tmp_path: Path) -> None:
    write_poses(poses(space="camera_mm"), tmp_path / "p.c3d")
    file = ezc3d.c3d(str(tmp_path / "p.c3d"))
    parameters = file["parameters"]
    assert parameters["SUBJECTS"]["NAMES"]["value"] == ["3", "8"]
    assert parameters["POINT"]["LABELS"]["value"][3] == "8:nose"
    assert parameters["POINT"]["UNITS"]["value"] == ["mm"]
    assert parameters["POINT"]["RATE"]["value"][0] == 25.0
    assert parameters["POINT"]["Y_SCREEN"]["value"] == ["-Y"]
    assert file["data"]["points"][:3, 4, 1].tolist() == [811.0, 51.0, 4000.0]
    assert file["data"]["meta_points"]["residuals"][0, 5].tolist() == [-1.0, -1.0, -1.0]


def test_the_id_of_a_person_alone_comes_back(tmp_path: Path) -> None:
    write_poses(poses(ids=(7,)), tmp_path / "p.c3d")
    assert read_poses(tmp_path / "p.c3d").ids.tolist() == [7]


def test_more_than_255_markers_fit(tmp_path: Path) -> None:
    before = poses(ids=range(1, 101))
    write_poses(before, tmp_path / "p.c3d")
    after = read_poses(tmp_path / "p.c3d")
    assert after.ids.tolist() == list(range(1, 101))
    np.testing.assert_array_equal(after.person(100).poses.xy, before.person(100).poses.xy)


def with_times(times: list[float]) -> VideoPoses:
    video = poses()
    tracks = tuple(replace(t, time_s=np.array(times)) for t in video.tracks)
    return replace(video, tracks=tracks, time_s=np.array(times))


def test_times_that_are_no_rate_are_told(tmp_path: Path) -> None:
    with pytest.warns(FormatLoss, match=r"times \(fps=25, which differ .* by up to 20 ms\)"):
        write_poses(with_times([0.0, 0.06, 0.08]), tmp_path / "p.c3d")
    assert read_poses(tmp_path / "p.c3d").time_s.tolist() == [0.0, 0.04, 0.08]


def test_a_rate_that_the_video_states_wrongly_is_measured(tmp_path: Path) -> None:
    video = replace(poses(), info=replace(INFO, rate_hz=30.0))
    write_poses(video, tmp_path / "p.c3d")
    np.testing.assert_allclose(read_poses(tmp_path / "p.c3d").time_s, [0, 0.04, 0.08])


def test_more_frames_than_the_format_counts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"holds 1 to 65535 frames, and there are 65536"):
        write_poses(poses(ids=(1,), frames=(0, 65_535)), tmp_path / "p.c3d")
    assert list(tmp_path.iterdir()) == []


def test_no_frame_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="holds 1 to 65535 frames, and there are 0"):
        write_poses(poses(frames=()), tmp_path / "p.c3d")


def point(name: str, value: Any) -> Callable[[Any], None]:
    return lambda file: file["parameters"]["POINT"][name].__setitem__("value", value)


def coordinate(value: float) -> Callable[[Any], None]:
    return lambda file: file["data"]["points"].__setitem__((0, 0, 1), value)


WRONG: dict[str, Callable[[Any], None]] = {
    "no unit": point("UNITS", []),
    "an unknown unit": point("UNITS", ["furlong"]),
    "a marker twice": point("LABELS", ("a", "a")),
    "a marker without a name": point("LABELS", ("a", "")),
    "another number of markers": point("LABELS", ("1:a", "2:b")),
    "people mixed": point("LABELS", ("1:a", "b")),
    "an infinite coordinate": coordinate(np.inf),
    "x without y": coordinate(np.nan),
    "pixels with a depth": point("UNITS", ["px"]),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_wrong_content_is_refused(tmp_path: Path, change: Callable[[Any], None]) -> None:
    path = laboratory(tmp_path / "ann.c3d", change)
    assert_refused(lambda: read_c3d(path), path)


def word(at: int, value: int) -> Callable[[bytes], bytes]:
    """One 16-bit word of the head, counted from 1, replaced."""
    at = 2 * (at - 1)
    return lambda data: data[:at] + value.to_bytes(2, "little") + data[at + 2 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda d: b"",
    "one byte": lambda d: d[:1],
    "text": lambda d: b"hello, this is a long text" * 100,
    "zeros": lambda d: bytes(len(d)),
    "the head alone": lambda d: d[:512],
    "half of the parameters": lambda d: d[:900],
    "no data": lambda d: d[:1024],
    "data cut in the middle": lambda d: d[: -512 + 40],
    "another first byte": lambda d: b"\x00" + d[1:],
    "another mark": lambda d: d[:1] + b"\x51" + d[2:],
    "parameters in block 200": lambda d: b"\xc8" + d[1:],
    "data in block 900": word(9, 900),
    "thousands of frames announced": word(5, 9000),
    "thousands of points announced": word(2, 9000),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_files_are_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = laboratory(tmp_path / "ann.c3d")
    path.write_bytes(damage(path.read_bytes()))
    assert_refused(lambda: read_c3d(path), path)
