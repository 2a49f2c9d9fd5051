"""The jointed body of generated people."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.skeletons import SKELETONS
from chronopose.data.body import ANGLES, BODY, MOTIONS, Build, Motion, pose_body

BONES = (
    ("left_hip", "left_knee"), ("right_knee", "right_ankle"), ("left_shoulder", "left_elbow"),
    ("right_elbow", "right_wrist"), ("pelvis", "spine"), ("head", "head_top"),
)  # fmt: skip


def standing(**angles: float) -> dict[str, np.ndarray]:
    values = np.zeros((1, len(ANGLES)))
    for name, value in angles.items():
        values[0, ANGLES.index(name)] = value
    return {name: xyz[0] for name, xyz in pose_body(Build(), values).items()}


def test_a_standing_person_stands_on_the_ground():
    body = standing()
    assert min(body[n][1] for n in ("left_big_toe", "right_big_toe", "left_heel")) == 0.0
    assert 1.55 < body["head_top"][1] < 1.9


def test_lift_raises_the_whole_body():
    np.testing.assert_allclose(standing(lift=0.3)["nose"] - standing()["nose"], [0, 0.3, 0])


def test_the_left_side_lies_to_the_left_and_mirrors_the_right():
    body = standing()
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "eye"):
        left, right = body[f"left_{joint}"], body[f"right_{joint}"]
        assert left[0] > 0
        np.testing.assert_allclose(left * [-1, 1, 1], right, atol=1e-12)


def test_the_nose_and_the_toes_point_forward():
    body = standing()
    assert body["nose"][2] > body["head"][2]
    assert body["left_big_toe"][2] > body["left_heel"][2]


@pytest.mark.parametrize(
    ("angle", "joint", "axis", "sign"),
    [
        ("left_leg_swing", "left_knee", 2, 1),
        ("right_knee", "right_ankle", 2, -1),
        ("left_arm_raise", "left_wrist", 0, 1),
        ("right_arm_raise", "right_wrist", 0, -1),
        ("right_elbow", "right_wrist", 2, 1),
        ("bend", "nose", 2, 1),
    ],
)
def test_joints_bend_the_way_people_do(angle: str, joint: str, axis: int, sign: int):
    moved = standing(**{angle: 0.5})[joint] - standing()[joint]
    assert moved[axis] * sign > 0.03


def test_a_quarter_turn_brings_the_nose_to_the_left():
    np.testing.assert_allclose(
        standing(yaw=np.pi / 2)["nose"][[0, 2]], [standing()["nose"][2], 0], atol=1e-12
    )


@pytest.mark.parametrize("kind", MOTIONS)
def test_bones_keep_their_length_in_every_motion(kind: str):
    motion = Motion(kind=kind, seed=3)
    body = pose_body(Build(), motion.angles(np.arange(0, 4, 0.1)))
    for a, b in BONES:
        length = np.linalg.norm(body[a] - body[b], axis=-1)
        np.testing.assert_allclose(length, length[0], rtol=1e-9)


@pytest.mark.parametrize("kind", MOTIONS)
def test_motion_is_a_smooth_function_of_time(kind: str):
    motion = Motion(kind=kind, seed=3)
    body = pose_body(Build(), motion.angles(np.arange(0, 5, 0.01)))
    speed = np.linalg.norm(np.diff(body["left_wrist"], axis=0), axis=-1) / 0.01
    assert 0.05 < speed.max() < 25


@pytest.mark.parametrize("name", SKELETONS)
def test_every_registered_skeleton_can_be_labelled_but_for_small_toes(name: str):
    assert set(BODY.map_to(SKELETONS[name]).missing) <= {"left_small_toe", "right_small_toe"}
