"""BVH files: forward kinematics worked out by hand, all channel orders, damaged files."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from chronopose.errors import FormatError, ShapeError
from chronopose.io.bvh import BvhMotion, read_bvh, write_bvh

ARM = """HIERARCHY
ROOT shoulder
{
  OFFSET 1 2 3
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT elbow
  {
    OFFSET 0 10 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 5 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.0083333
0 0 0 0 0 0 0 0 0
10 0 0 90 0 0 0 90 0
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "arm.bvh"
    made.write_text(ARM)
    return made


def test_names_parents_and_frame_time_are_those_of_the_file(path: Path) -> None:
    motion = read_bvh(path)
    assert motion.joints == ("shoulder", "elbow", "elbow_end")
    assert motion.parents == (-1, 0, 1)
    assert motion.channels[1] == ("Zrotation", "Xrotation", "Yrotation")
    assert motion.channels[2] == ()
    assert motion.frame_time_s == 0.0083333
    assert len(motion) == 2


def test_without_angles_offsets_add_up(path: Path) -> None:
    places, turns = read_bvh(path).world()
    assert_allclose(places[0], [[1, 2, 3], [1, 12, 3], [1, 17, 3]])
    assert_allclose(turns[0], np.broadcast_to(np.eye(3), (3, 3, 3)))


def test_a_quarter_turn_at_the_shoulder_and_one_at_the_elbow(path: Path) -> None:
    # The root's position is added to its offset. About z, up (y) turns to -x: the elbow lies ten
    # to the left. About its own x, the forearm turns from up to z.
    places, _ = read_bvh(path).world()
    assert_allclose(places[1], [[11, 2, 3], [1, 2, 3], [1, 2, 8]], atol=1e-12)


@pytest.mark.parametrize("order", [*permutations("XYZ")])
def test_the_first_channel_is_the_leftmost_turn(path: Path, order: tuple[str, ...]) -> None:
    words = " ".join(f"{axis}rotation" for axis in order)
    path.write_text(ARM.replace("CHANNELS 3 Zrotation Xrotation Yrotation", f"CHANNELS 3 {words}"))
    angles = {"X": 30.0, "Y": 50.0, "Z": 70.0}
    motion = read_bvh(path)
    motion.values[0, 6:] = [angles[axis] for axis in order]
    _, turns = motion.world()
    want = np.eye(3)
    for axis in order:
        want = want @ by_hand(axis, np.radians(angles[axis]))
    assert_allclose(turns[0, 1], want, atol=1e-12)


def by_hand(axis: str, radians: float) -> np.ndarray:
    c, s = np.cos(radians), np.sin(radians)
    return np.array({
        "X": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "Y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "Z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }[axis])  # fmt: skip


def test_positions_of_a_joint_replace_its_offset(path: Path) -> None:
    text = ARM.replace(
        "CHANNELS 3 Zrotation Xrotation Yrotation", "CHANNELS 3 Xposition Yposition Zposition"
    )
    path.write_text(text.replace("90 0 0 0 90 0", "0 0 0 0 7 0"))
    places, _ = read_bvh(path).world()
    assert_allclose(places[1, 1] - places[1, 0], [0, 7, 0])


def test_case_line_ends_and_braces_on_the_same_line_do_not_matter(path: Path) -> None:
    plain = read_bvh(path)
    text = ARM.replace("ROOT shoulder\n{", "root shoulder {").replace("\n", "\r\n")
    path.write_bytes(text.replace("Zrotation", "ZROTATION").encode())
    assert_allclose(read_bvh(path).world()[0], plain.world()[0])


def test_what_is_written_is_read_again(path: Path, tmp_path: Path) -> None:
    motion = read_bvh(path)
    write_bvh(tmp_path / "again.bvh", motion)
    again = read_bvh(tmp_path / "again.bvh")
    assert again.joints == motion.joints
    assert again.channels == motion.channels
    assert_allclose(again.world()[0], motion.world()[0], atol=1e-5)


def test_joints_in_any_order_are_written_with_their_own_channels(tmp_path: Path) -> None:
    turn = ("Xrotation", "Yrotation", "Zrotation")
    motion = BvhMotion(
        ("a", "left", "right", "left_end"), (-1, 0, 0, 1),
        np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 2, 0]], float), (turn, turn, turn, ()),
        1 / 30, np.array([[0, 0, 0, 10, 0, 0, 20, 0, 0]], float),
    )  # fmt: skip
    write_bvh(tmp_path / "fork.bvh", motion)
    again = read_bvh(tmp_path / "fork.bvh")
    places, _ = motion.world()
    for place, name in enumerate(motion.joints):
        assert_allclose(again.world()[0][0, again.joints.index(name)], places[0, place], atol=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("HIERARCHY", "HIERARCHIE", 1, "HIERARCHY"),
        ("OFFSET 0 10 0", "OFFSET 0 ten 0", 8, "offset of elbow"),
        ("OFFSET 0 10 0", "OFFSET 0 nan 0", 8, "finite"),
        ("JOINT elbow", "JOINT shoulder", 6, "second joint"),
        ("CHANNELS 3 Z", "CHANNELS 3 W", 9, "Wrotation"),
        ("CHANNELS 3 Zrotation X", "CHANNELS 3 Zrotation Z", 9, "twice"),
        ("End Site", "Ende Site", 10, "JOINT, End Site, CHANNELS"),
        ("Frames: 2", "Frames: two", 17, "number of frames"),
        ("Frames: 2", "Frames: 3", 20, "3 frames are announced and 2"),
        ("Frame Time: 0.0083333", "Frame Time: 0", 18, "above 0"),
        ("10 0 0 90 0 0 0 90 0", "10 0 0 90 0 0 0 90", 20, "9 channels; got 8"),
        ("10 0 0 90 0 0 0 90 0", "10 0 0 90 0 0 0 90 x", 20, "numbers"),
        ("10 0 0 90 0 0 0 90 0", "10 0 0 90 0 0 0 90 inf", 20, "finite"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(
    path: Path, old: str, new: str, line: int, says: str
) -> None:
    path.write_text(ARM.replace(old, new, 1))
    with pytest.raises(FormatError, match=says) as caught:
        read_bvh(path)
    assert f"arm.bvh, line {line}:" in str(caught.value)


@pytest.mark.parametrize("keep", range(0, len(ARM) - 3, 11))
def test_a_file_that_was_cut_short_is_refused(path: Path, keep: int) -> None:
    path.write_text(ARM[:keep])
    with pytest.raises(FormatError, match=r"arm\.bvh"):
        read_bvh(path)


def test_no_file_is_a_format_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such file"):
        read_bvh(tmp_path / "none.bvh")


def test_a_motion_whose_numbers_do_not_fit_its_channels_is_refused(path: Path) -> None:
    motion = read_bvh(path)
    with pytest.raises(ShapeError, match="9 channels"):
        BvhMotion(
            motion.joints, motion.parents, motion.offsets, motion.channels, 0.1, np.zeros((2, 8))
        )


def test_several_roots_cannot_be_written(path: Path, tmp_path: Path) -> None:
    motion = BvhMotion(("a", "b"), (-1, -1), np.zeros((2, 3)), ((), ()), 0.1, np.zeros((1, 0)))
    with pytest.raises(FormatError, match="one root"):
        write_bvh(tmp_path / "two.bvh", motion)
    assert not (tmp_path / "two.bvh").exists()
