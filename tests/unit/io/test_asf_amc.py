"""ASF/AMC: bones with axes of their own, worked out by hand; damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from chronopose.errors import FormatError
from chronopose.io.asf_amc import read_amc, read_asf

ASF = """# a leg
:version 1.10
:name VICON
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
   text about :nothing
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name femur
     direction 0 -1 0
     length 4.5
     axis 0 0 90  XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0 70.0)
  end
  begin
     id 2
     name tibia
     direction 0 -2 0
     length 9
     axis 0 0 0  XYZ
    dof rx
    limits (-10.0 170.0)
  end
  begin
     id 3
     name foot
     direction 0 0 1
     length 0.9
     axis 0 0 0  XYZ
  end
:hierarchy
  begin
    root femur
    femur tibia
    tibia foot
  end
"""
AMC = """#!OML:ASF H:\\\\x.ASF
:FULLY-SPECIFIED
:DEGREES
1
root 0.45 0 0 0 0 0
femur 0 0 0
tibia 0
2
root 0 0 0 0 90 0
femur 0 0 0
tibia 90
3
root 0 0 0 0 0 0
femur 90 0 0
tibia 0
"""
INCH = 0.0254


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "leg.asf").write_text(ASF)
    (tmp_path / "leg_01.amc").write_text(AMC)
    return tmp_path / "leg.asf", tmp_path / "leg_01.amc"


def test_the_skeleton_is_in_metres_with_directions_of_length_one(
    files: tuple[Path, Path],
) -> None:
    skeleton = read_asf(files[0])
    assert skeleton.bones == ("root", "femur", "tibia", "foot")
    assert skeleton.parents == (-1, 0, 1, 2)
    assert skeleton.dof == (("tx", "ty", "tz", "rx", "ry", "rz"), ("rx", "ry", "rz"), ("rx",), ())
    # 4.5 / 0.45 = 10 inches; the tibia's direction is given twice as long and its length 20 inches.
    want = [[0, 0, 0], [0, -10, 0], [0, -20, 0], [0, 0, 2]]
    assert_allclose(skeleton.ends, np.array(want) * INCH, atol=1e-12)


def test_at_rest_a_point_is_the_end_of_its_bone(files: tuple[Path, Path]) -> None:
    motion = read_amc(files[1], read_asf(files[0]))
    want = [[1, 0, 0], [1, -10, 0], [1, -30, 0], [1, -30, 2]]
    assert_allclose(motion.positions[0], np.array(want) * INCH, atol=1e-12)


def test_root_and_knee_turn_by_a_quarter(files: tuple[Path, Path]) -> None:
    # About x, the tibia turns from down to -z (y to z means -y to -z); about y by 90 degrees, -z
    # turns to -x. The foot, along z, turns with the knee to -y.
    motion = read_amc(files[1], read_asf(files[0]))
    want = [[0, 0, 0], [0, -10, 0], [-20, -10, 0], [-20, -12, 0]]
    assert_allclose(motion.positions[1], np.array(want) * INCH, atol=1e-12)


def test_a_bone_turns_about_its_own_axes(files: tuple[Path, Path]) -> None:
    # The femur's x axis is the world's y (90 degrees about z). Turning about the length of the
    # femur leaves femur and tibia where they are and takes the foot from z to x.
    motion = read_amc(files[1], read_asf(files[0]))
    want = [[0, 0, 0], [0, -10, 0], [0, -30, 0], [2, -30, 0]]
    assert_allclose(motion.positions[2], np.array(want) * INCH, atol=1e-12)
    assert_allclose(motion.rotations[2, 1] @ [0, 0, 1], [1, 0, 0], atol=1e-12)


def test_axis_triples_turn_about_fixed_x_first(files: tuple[Path, Path]) -> None:
    files[0].write_text(ASF.replace("axis 0 0 90  XYZ", "axis 90 0 90  XYZ"))
    turn = read_asf(files[0]).axes[1]
    # z goes to -y by the turn about x, and -y to x by the turn about z.
    assert_allclose(turn @ [0, 0, 1], [1, 0, 0], atol=1e-12)


def test_radians_are_believed(files: tuple[Path, Path]) -> None:
    skeleton = read_asf(files[0])
    degrees = read_amc(files[1], skeleton).positions
    half = "1.5707963267948966"
    text = AMC.replace(":DEGREES", ":RADIANS").replace(" 90", " " + half)
    files[1].write_text(text)
    assert_allclose(read_amc(files[1], skeleton).positions, degrees, atol=1e-9)


def test_a_bone_that_a_frame_leaves_out_is_at_rest(files: tuple[Path, Path]) -> None:
    files[1].write_text(AMC.replace("tibia 90\n", ""))
    motion = read_amc(files[1], read_asf(files[0]))
    want = np.array([0, -30, 0]) * INCH
    assert_allclose(motion.positions[1, 2], want, atol=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("length 4.5", "length long", 20, "a length"),
        ("length 4.5", "length inf", 20, "finite"),
        ("direction 0 -1 0", "direction 0 0 0", 26, "no length or direction"),
        ("axis 0 0 90  XYZ", "axis 0 0 90  XXZ", 21, "order of an axis"),
        ("dof rx ry rz", "dof rx l", 22, "only rx ry rz"),
        ("angle deg", "angle grad", 7, "deg or rad"),
        ("length 0.45", "length 0", 6, "unit of length"),
        ("name tibia", "name femur", 35, "name of its own"),
        ("tibia foot", "tibia toe", 47, "'toe' is no bone"),
        ("tibia foot", "femur tibia", 47, "two parents"),
        ("    tibia foot\n", "", 47, "not joined to the root: foot"),
        (":hierarchy", ":nothing", 48, ":hierarchy"),
        ("     id 2\n", "  begin\n", 28, "begins inside"),
    ],
)
def test_a_malformed_skeleton_is_refused_with_its_line(
    files: tuple[Path, Path], old: str, new: str, line: int, says: str
) -> None:
    files[0].write_text(ASF.replace(old, new, 1))
    with pytest.raises(FormatError, match=says) as caught:
        read_asf(files[0])
    assert f"leg.asf, line {line}:" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("femur 0 0 0", "femur 0 0", 6, "3 values; got 2"),
        ("femur 0 0 0", "femur 0 0 x", 6, "numbers"),
        ("femur 0 0 0", "femur 0 0 nan", 6, "finite"),
        ("femur 0 0 0", "thigh 0 0 0", 6, "'thigh'"),
        ("tibia 90", "femur 0 0 0", 11, "twice"),
        ("1\nroot", "root", 4, "before the first frame"),
        ("root 0.45 0 0 0 0 0\n", "", 7, "does not say where the root is"),
        (AMC[AMC.index("3\n") :], "3\n", 12, "before the root of its last frame"),
    ],
)
def test_a_malformed_motion_is_refused_with_its_line(
    files: tuple[Path, Path], old: str, new: str, line: int, says: str
) -> None:
    files[1].write_text(AMC.replace(old, new, 1))
    with pytest.raises(FormatError, match=says) as caught:
        read_amc(files[1], read_asf(files[0]))
    assert f"leg_01.amc, line {line}:" in str(caught.value)


def test_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such file"):
        read_asf(tmp_path / "none.asf")


@pytest.mark.data
def test_a_real_subject_walks_upright_at_a_human_size(shared_data: Path) -> None:
    folder = shared_data / "mocap" / "cmu_asfamc" / "02"
    skeleton = read_asf(folder / "02.asf")
    motion = read_amc(folder / "02_01.amc", skeleton)
    at = {name: motion.positions[:, i] for i, name in enumerate(skeleton.bones)}
    # 7.59371 units of the file are 7.59371 / 0.45 inches.
    femur = np.linalg.norm(at["lfemur"] - at["lhipjoint"], axis=-1)
    assert_allclose(femur, 7.59371 / 0.45 * 0.0254, rtol=1e-6)
    height = at["head"][:, 1] - np.minimum(at["lfoot"], at["rfoot"])[:, 1]
    assert 1.4 < np.median(height) < 1.7
    assert len(motion) == 343
