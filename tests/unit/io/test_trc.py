"""TRC files: the layout of other tools, units and axes, and damaged files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pose_damage import assert_refused, poses

from chronopose.errors import FormatError
from chronopose.io.poses import FormatLoss, read_poses, write_poses
from chronopose.io.trc import read_trc

pytestmark = pytest.mark.filterwarnings("ignore::chronopose.io.poses.FormatLoss")

HEAD = (
    "PathFileType\t4\t(X/Y/Z)\twalk_0-2.trc\n"
    "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\t"
    "OrigNumFrames\n"
    "60\t60\t3\t2\tm\t60\t0\t3\n"
    "Frame#\tTime\tRHip\t\t\tLHip\t\t\t\n"
    "\t\tX1\tY1\tZ1\tX2\tY2\tZ2\t\n"
)
ROWS = (
    "0\t0.0\t0.1\t0.9\t0.3\t-0.1\t0.9\t0.25\n"
    "1\t0.016666\t0.11\t0.91\t0.3\t\t\t\n"
    "2\t0.033333\t0.12\t0.92\t0.3\t-0.08\t0.92\t0.25\n"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "walk.trc"
    made.write_text(HEAD + ROWS)
    return made


def test_metres_with_y_up_become_millimetres_with_y_down(path: Path) -> None:
    found = read_trc(path)
    assert found.skeleton.joints == ("right_hip", "left_hip")
    track = found.person(0)
    assert track.poses.space == "camera_mm"
    np.testing.assert_allclose(track.poses.xy[0, 0], [100, -900, -300])
    assert np.isnan(track.poses.xy[1, 1]).all()
    assert track.time_s.tolist() == [0.0, 0.016666, 0.033333]
    assert track.frame_index.tolist() == [0, 1, 2]
    assert found.info.rate_hz == 60.0


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("cm", 10), ("m", 1000)])
def test_every_unit_of_length_is_known(path: Path, unit: str, factor: int) -> None:
    path.write_text(path.read_text().replace("\tm\t", f"\t{unit}\t"))
    np.testing.assert_allclose(read_trc(path).person(0).poses.xy[0, 0, 0], 0.1 * factor)


def test_frames_counted_from_1_and_a_blank_line_are_as_good(path: Path) -> None:
    rows = (
        ROWS.replace("2\t0.03", "3\t0.03")
        .replace("1\t0.01", "2\t0.01")
        .replace("0\t0.0\t", "1\t0.0\t")
    )
    path.write_text(HEAD + "\n" + rows)
    assert read_trc(path).frame_index.tolist() == [0, 1, 2]


def test_pixels_under_the_unit_of_metres_are_refused_unless_they_are_called_pixels(
    path: Path,
) -> None:
    rows = "0\t0.0\t512.5\t300\t0\t420\t301\t0\n"
    path.write_text(HEAD.replace("\t3\t2\t", "\t1\t2\t") + rows)
    with pytest.raises(FormatError, match=r"512 m from the origin, so the unit is wrong.*px"):
        read_trc(path)
    found = read_poses(path, units="px")
    assert found.person(0).poses.space == "image_px"
    assert found.person(0).poses.xy[0].tolist() == [[512.5, 300.0], [420.0, 301.0]]


def test_a_file_has_five_lines_of_head_and_tabs(tmp_path: Path) -> None:
    write_poses(poses(ids=(0,), frames=(4,), space="camera_mm"), tmp_path / "p.trc")
    lines = (tmp_path / "p.trc").read_text().splitlines()
    assert lines[0] == "PathFileType\t4\t(X/Y/Z)\tp.trc"
    assert lines[2].split("\t") == ["25", "25", "1", "3", "m", "25", "5", "1"]
    assert lines[3] == "Frame#\tTime\tnose\t\t\tleft_hand\t\t\tright_hand\t\t"
    assert lines[4] == "\t\tX1\tY1\tZ1\tX2\tY2\tZ2\tX3\tY3\tZ3"
    # Joint 1 of person 0 in frame 4 is at x 14, y 51, z 4000 mm; y and z change their signs.
    assert lines[5] == "5\t0.16\t0.004\t-0.05\t-4\t0.014\t-0.051\t-4\t\t\t"


def test_several_people_have_their_ids_before_the_markers(tmp_path: Path) -> None:
    before = poses()
    write_poses(before, tmp_path / "p.trc")
    assert "\t8:left_hand\t" in (tmp_path / "p.trc").read_text()
    after = read_poses(tmp_path / "p.trc")
    assert after.ids.tolist() == [3, 8]
    np.testing.assert_array_equal(after.person(8).poses.xy, before.person(8).poses.xy)


def test_what_is_lost_is_told(tmp_path: Path) -> None:
    with pytest.warns(FormatLoss, match="boxes; joint scores; history; the person's id 3"):
        write_poses(poses(ids=(3,)), tmp_path / "p.trc")


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


DAMAGE: dict[str, Callable[[str], str]] = {
    "empty": lambda t: "",
    "another file": lambda t: "hello\n",
    "the head cut": lambda t: "\n".join(t.splitlines()[:3]) + "\n",
    "no rate": replaced("DataRate\t", "Rate\t"),
    "the rate as text": replaced("60\t60", "fast\t60"),
    "no number of markers": replaced("NumMarkers", "Markers"),
    "too many markers announced": replaced("\t3\t2\t", "\t3\t5\t"),
    "too many frames announced": replaced("\t3\t2\t", "\t4\t2\t"),
    "no unit": replaced("\tm\t", "\t\t"),
    "an unknown unit": replaced("\tm\t", "\tinch\t"),
    "no frame column": replaced("Frame#", "Number"),
    "no time column": replaced("\tTime\t", "\tt\t"),
    "a marker without a name": replaced("LHip", ""),
    "a marker twice": replaced("LHip", "RHip"),
    "a person without a marker": replaced("RHip", "1:RHip"),
    "a line cut": replaced("0.12\t0.92\t0.3\t-0.08\t0.92\t0.25\n", "0.12\t0.9"),
    "a coordinate too many": replaced("0.25\n", "0.25\t7\n"),
    "a text among the numbers": replaced("0.11", "left"),
    "x without y": replaced("\t0.11\t0.91", "\t0.11\t"),
    "an infinity": replaced("0.11", "inf"),
    "a time missing": replaced("0.016666", ""),
    "a time twice": replaced("0.016666", "0.0"),
    "times backwards": replaced("0.033333", "0.001"),
    "a frame twice": replaced("\n2\t", "\n1\t"),
    "a frame with a fraction": replaced("\n2\t", "\n2.5\t"),
    "a negative frame": replaced("\n0\t0.0", "\n-1\t0.0"),
    "pixels with a depth": replaced("\tm\t", "\tpx\t"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_files_are_refused(path: Path, damage: Callable[[str], str]) -> None:
    path.write_text(damage(path.read_text()))
    assert_refused(lambda: read_trc(path), path)
