"""Motion files of three rigs become the same joints, metres, z up, seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from chronopose.errors import FormatError, UsageError
from chronopose.io.bvh import BvhMotion, write_bvh
from chronopose.synth.mocap import (
    DAZ,
    ICLONE,
    Layout,
    find_motions,
    parts_on_ground,
    read_motion,
)
from chronopose.synth.motion import MOTION_JOINTS, Motion

PLACES = {
    "hip": (0, 100, 0), "abdomen": (0, 120, 0), "neck": (0, 150, 0), "head": (0, 157, 0),
    "lShldr": (15, 148, 0), "lForeArm": (40, 148, 0), "lHand": (65, 148, 0), "lMid1": (73, 148, 0),
    "rShldr": (-15, 148, 0), "rForeArm": (-40, 148, 0), "rHand": (-65, 148, 0),
    "rMid1": (-73, 148, 0), "lThigh": (9, 102, 0), "lShin": (9, 60, 0), "lFoot": (9, 12, 0),
    "rThigh": (-9, 102, 0), "rShin": (-9, 60, 0), "rFoot": (-9, 12, 0),
}  # fmt: skip
"""A T pose in centimetres, y up, facing +z."""

ENDS = {"lFoot_end": (9, 4, 12), "rFoot_end": (-9, 4, 12)}


def rig(
    places: dict[str, tuple[float, float, float]], ends: dict[str, tuple[float, float, float]]
) -> BvhMotion:
    """All joints below the first, each with its own End Site where ``ends`` has one."""
    names, parents, offsets = [], [], []
    root = np.array(next(iter(places.values())), float)
    for name, place in places.items():
        names.append(name)
        parents.append(0 if offsets else -1)
        offsets.append(np.array(place, float) - (root if len(offsets) else 0))
        if f"{name}_end" in ends:
            names.append(f"{name}_end")
            parents.append(len(names) - 2)
            offsets.append(np.array(ends[f"{name}_end"], float) - np.array(place, float))
    channels = [() if n.endswith("_end") else ("Zrotation",) for n in names]
    channels[0] = ("Xposition", "Yposition", "Zposition", "Zrotation", "Xrotation", "Yrotation")
    count = sum(map(len, channels))
    return BvhMotion(
        tuple(names), tuple(parents), np.array(offsets), tuple(channels), 1 / 120,
        np.zeros((20, count)),
    )  # fmt: skip


@pytest.fixture
def daz(tmp_path: Path) -> Path:
    write_bvh(tmp_path / "martial_01.bvh", rig(PLACES, ENDS))
    return tmp_path / "martial_01.bvh"


def joint(motion: Motion, name: str) -> np.ndarray:
    return motion.xyz[:, MOTION_JOINTS.index(name)]


def test_centimetres_with_y_up_become_metres_with_z_up(daz: Path) -> None:
    # y is up and +z ahead in the file: z up and -y ahead here. The lowest joint, the toe, was at
    # 4 cm and is the ground.
    motion = read_motion(daz)
    assert_allclose(joint(motion, "left_knee")[0], [0.09, 0, 0.56], atol=1e-6)
    assert_allclose(joint(motion, "left_toe")[0], [0.09, -0.12, 0], atol=1e-6)
    assert_allclose(joint(motion, "right_wrist")[0], [-0.65, 0, 1.44], atol=1e-6)


def test_the_pelvis_lies_between_hip_and_abdomen_and_the_nose_ahead_of_the_head(daz: Path) -> None:
    motion = read_motion(daz)
    assert_allclose(joint(motion, "pelvis")[0], [0, 0, 1.06], atol=1e-6)
    assert_allclose(
        joint(motion, "nose")[0] - joint(motion, "head")[0], [0, -0.12, 0.07], atol=1e-6
    )


def test_six_frames_are_dropped_and_the_rate_is_120(daz: Path) -> None:
    motion = read_motion(daz)
    assert len(motion) == 14
    assert_allclose(motion.time_s, np.arange(14) / 120)
    assert (motion.key, motion.subject) == ("martial_01", "martial")


def test_salsa_is_60_frames_a_second_whatever_its_header_says(daz: Path) -> None:
    salsa = daz.rename(daz.with_name("salsa_07.bvh"))
    assert_allclose(np.diff(read_motion(salsa).time_s), 1 / 60)


def test_a_glitch_is_bridged_by_a_straight_line(daz: Path) -> None:
    motion = rig(PLACES, ENDS)
    motion.values[:, 0] = np.arange(20)
    motion.values[13, 0] = 80
    write_bvh(daz, motion)
    across = joint(read_motion(daz), "pelvis")[:, 0]
    assert_allclose(np.diff(across), 0.01, atol=1e-6)


def test_an_unknown_rig_is_refused_with_what_is_missing(daz: Path) -> None:
    places = {k: v for k, v in PLACES.items() if k not in ("abdomen", "rShin")}
    write_bvh(daz, rig(places, ENDS))
    with pytest.raises(FormatError, match="Nearest is daz, but it lacks abdomen, rShin"):
        read_motion(daz)


@pytest.mark.parametrize("layout", [DAZ, ICLONE])
def test_a_layout_places_every_joint(layout: Layout) -> None:
    assert set(layout.places) == set(MOTION_JOINTS)


def test_a_clip_of_nothing_but_its_start_is_refused(daz: Path) -> None:
    motion = rig(PLACES, ENDS)
    motion.values.resize((7, motion.values.shape[1]), refcheck=False)
    write_bvh(daz, motion)
    with pytest.raises(FormatError, match="too few frames: 8"):
        read_motion(daz)


def test_a_motion_without_its_skeleton_is_refused(tmp_path: Path) -> None:
    (tmp_path / "02_01.amc").write_text("1\nroot 0 0 0 0 0 0\n")
    with pytest.raises(FormatError, match=r"02\.asf is not beside it"):
        read_motion(tmp_path / "02_01.amc")


def test_motions_of_a_folder_are_named_by_their_place_in_it(daz: Path) -> None:
    below = daz.parent / "cmu" / "02"
    below.mkdir(parents=True)
    (below / "02_01.amc").write_text("")
    (below / "02.asf").write_text("")
    found = find_motions(daz.parent)
    assert [(m.key, m.subject) for m in found] == [
        ("cmu/02/02_01", "cmu/02/02"), ("martial_01", "martial"),
    ]  # fmt: skip


def test_a_folder_without_motions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"No \.bvh or \.amc"):
        find_motions(tmp_path)
    with pytest.raises(UsageError, match="no folder"):
        find_motions(tmp_path / "none")


def test_a_stretch_on_a_climbing_frame_is_left_out() -> None:
    # Ten seconds on the ground, ten 1 m above it, ten on the ground.
    time_s = np.arange(900) / 30
    xyz = np.zeros((900, len(MOTION_JOINTS), 3), np.float32)
    xyz[300:600, :, 2] = 1
    parts = parts_on_ground(Motion("k", "s", xyz, time_s))
    assert [p.key.split("@")[0] for p in parts] == ["k", "k"]
    assert_allclose([p.time_s[-1] for p in parts], 10, atol=1)
    assert all(p.xyz[30:-30, :, 2].max() == 0 for p in parts)
    whole = Motion("k", "s", xyz[:300], time_s[:300])
    assert parts_on_ground(whole) == [whole]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "frames", "speed_m_s"),
    [
        ("cmu_asfamc/02/02_01.amc", 343, 1.25),
        ("cmu_iclone_bvh/002_01.bvh", 171, 1.4),
        ("cmu_bvh/indian_06.bvh", 2509, None),
    ],
)
def test_real_files_of_all_layouts_have_constant_bones_and_human_speeds(
    shared_data: Path, name: str, frames: int, speed_m_s: float | None
) -> None:
    motion = read_motion(shared_data / "mocap" / name)
    assert len(motion) == frames
    for side in ("left", "right"):
        for start, end in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow")):
            bone = joint(motion, f"{side}_{start}") - joint(motion, f"{side}_{end}")
            assert np.linalg.norm(bone, axis=-1).std() < 1e-3
    assert 1.3 < np.median(joint(motion, "head")[:, 2]) < 1.7
    ahead = joint(motion, "nose") - joint(motion, "head")
    left = joint(motion, "left_shoulder") - joint(motion, "right_shoulder")
    assert np.median(np.cross(left, ahead)[:, 2]) < 0, "the face is on the side of the chest"
    if speed_m_s is not None:
        way = np.linalg.norm(joint(motion, "pelvis")[-1, :2] - joint(motion, "pelvis")[0, :2])
        assert_allclose(way / motion.time_s[-1], speed_m_s, rtol=0.15)
