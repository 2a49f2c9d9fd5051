"""A motion on another body: directions kept, hinges that neither flip nor break, feet on the
ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from chronopose.errors import UsageError
from chronopose.synth.body import BONES, PARENTS, Body, BonePoses
from chronopose.synth.calibrate import Calibration, calibrate, lean, trunk_frames
from chronopose.synth.gait import KINDS, procedural_motion
from chronopose.synth.mocap import find_motions, read_motion
from chronopose.synth.motion import MOTION_JOINTS, Motion
from chronopose.synth.retarget import clearance, retarget

LIMBS = {
    "upper_arm": ("shoulder", "elbow"), "forearm": ("elbow", "wrist"),
    "thigh": ("hip", "knee"), "shin": ("knee", "ankle"),
}  # fmt: skip
NEXT = {"upper_arm": "forearm", "forearm": "hand", "thigh": "shin", "shin": "foot"}


def stick_body(arms_deg: float = 45.0, leg: float = 1.0) -> Body:
    """A body of joints and soles that holds its arms ``arms_deg`` below the horizontal."""
    down = np.array([np.cos(np.radians(arms_deg)), 0, -np.sin(np.radians(arms_deg))])
    hip = 0.08 + 0.8 * leg
    at = {
        "pelvis": (0, 0, hip + 0.02), "spine": (0, 0, hip + 0.1), "chest": (0, 0, hip + 0.22),
        "neck": (0, 0, hip + 0.5), "head": (0, 0, hip + 0.58),
    }  # fmt: skip
    for side, sign in (("left", 1), ("right", -1)):
        shoulder = np.array([0.17, 0, hip + 0.46])
        for name, place in (
            ("clavicle", np.array([0.02, 0, hip + 0.46])), ("upper_arm", shoulder),
            ("forearm", shoulder + 0.28 * down), ("hand", shoulder + 0.53 * down),
            ("thigh", np.array([0.09, 0, hip])), ("shin", np.array([0.09, 0, 0.08 + 0.4 * leg])),
            ("foot", np.array([0.09, 0, 0.08])), ("toes", np.array([0.09, -0.13, 0.02])),
        ):  # fmt: skip
            at[f"{side}_{name}"] = (sign * place[0], place[1], place[2])
    joints = np.array([at[bone] for bone in BONES], np.float32)
    soles = [(BONES.index(f"{side}_{bone}"), (sign * 0.09, y, 0.0))
             for side, sign in (("left", 1), ("right", -1))
             for bone, y in (("foot", 0.05), ("foot", -0.13), ("toes", -0.2))]  # fmt: skip
    vertices = np.concatenate([joints, np.array([p for _, p in soles], np.float32)])
    owners = np.array([*range(len(BONES)), *(bone for bone, _ in soles)], np.uint8)
    bones = np.zeros((len(vertices), 4), np.uint8)
    bones[:, 0] = owners
    weights = np.zeros((len(vertices), 4), np.float32)
    weights[:, 0] = 1
    nothing = np.zeros((len(vertices), 2), np.float32)
    return Body(
        "stick", vertices, np.zeros((0, 3), np.int32), nothing, np.zeros_like(vertices), bones,
        weights, joints, (), {},
    )  # fmt: skip


def joints_of(body: Body, poses: BonePoses) -> dict[str, np.ndarray]:
    matrices = body.skin_matrices(poses)
    turned = np.einsum("tjab,jb->tja", matrices[..., :3], body.joints) + matrices[..., 3]
    return dict(zip(BONES, np.moveaxis(turned, 1, 0).astype(np.float64), strict=True))


def performed(body: Body, poses: BonePoses, subject: str = "someone") -> Motion:
    """What a motion file of this body would say."""
    at = joints_of(body, poses)
    turns = dict(zip(BONES, np.moveaxis(poses.rotations, 1, 0), strict=True))
    places = {
        "pelvis": at["pelvis"] + turns["pelvis"] @ np.array([0, 0, 0.08]),
        "chest": at["chest"], "neck": at["neck"], "head": at["head"],
        "head_top": at["head"] + turns["head"] @ np.array([0, 0, 0.2]),
        "nose": at["head"] + turns["head"] @ np.array([0, -0.1, 0.05]),
    }  # fmt: skip
    rest = dict(zip(BONES, body.joints, strict=True))
    for side in ("left", "right"):
        names = {
            "shoulder": "upper_arm", "elbow": "forearm", "wrist": "hand", "hip": "thigh",
            "knee": "shin", "ankle": "foot", "toe": "toes",
        }  # fmt: skip
        places |= {f"{side}_{joint}": at[f"{side}_{bone}"] for joint, bone in names.items()}
        arm = rest[f"{side}_hand"] - rest[f"{side}_forearm"]
        places[f"{side}_hand"] = at[f"{side}_hand"] + turns[f"{side}_hand"] @ (0.3 * arm)
    xyz = np.stack([places[name] for name in MOTION_JOINTS], 1).astype(np.float32)
    return Motion("test", subject, xyz, poses.time_s)


def moving(body: Body, frames: int = 60) -> BonePoses:
    """Everything turns: trunk, head, arms about the shoulders, bent knees and elbows."""
    time_s = np.arange(frames) / 30
    wave = np.sin(2 * time_s)
    local = {bone: np.zeros((frames, 3)) for bone in BONES}
    local["pelvis"] = np.stack([0.2 * wave, 0.1 * wave, time_s], -1)
    local["chest"][:, 0] = 0.3 * wave
    local["head"][:, 2] = 0.5 * wave
    for side, sign in (("left", 1), ("right", -1)):
        local[f"{side}_thigh"] = np.stack([-0.7 - 0.5 * sign * wave, 0.1 * wave, 0 * wave], -1)
        local[f"{side}_shin"][:, 0] = 0.9 + 0.3 * wave
        local[f"{side}_foot"][:, 0] = -0.2
        local[f"{side}_upper_arm"] = np.stack([-0.6 + 0.4 * wave, 0.3 * sign * wave, 0 * wave], -1)
        # Out of arms held 45 degrees down with palms down, elbows bend about this axis.
        axis = np.array([-np.sin(np.pi / 4), 0, -sign * np.cos(np.pi / 4)])
        local[f"{side}_forearm"] = (0.9 + 0.4 * wave)[:, None] * axis
    turns = np.empty((frames, len(BONES), 3, 3), np.float32)
    for place, (bone, parent) in enumerate(zip(BONES, PARENTS, strict=True)):
        own = Rotation.from_rotvec(local[bone]).as_matrix()
        turns[:, place] = own if parent < 0 else turns[:, parent] @ own
    root = np.stack([0.5 * time_s, 0 * time_s, np.full(frames, 0.9)], -1).astype(np.float32)
    return BonePoses(turns, root, time_s)


def between_deg(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    sine = np.linalg.norm(np.cross(first, second), axis=-1)
    return np.degrees(np.arctan2(sine, (first * second).sum(-1)))


def turn_deg(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.degrees(Rotation.from_matrix(np.swapaxes(first, -1, -2) @ second).magnitude())


def step_deg(poses: BonePoses, bone: str) -> np.ndarray:
    turns = poses.rotations[:, BONES.index(bone)].astype(np.float64)
    return turn_deg(turns[:-1], turns[1:])


def limb_errors_deg(motion: Motion, body: Body, poses: BonePoses) -> dict[str, np.ndarray]:
    at, found = joints_of(body, poses), {}
    source = {n: motion.xyz[:, i].astype(np.float64) for i, n in enumerate(MOTION_JOINTS)}
    for side in ("left", "right"):
        for bone, (start, end) in LIMBS.items():
            mine = at[f"{side}_{NEXT[bone]}"] - at[f"{side}_{bone}"]
            theirs = source[f"{side}_{end}"] - source[f"{side}_{start}"]
            found[f"{side}_{bone}"] = between_deg(mine, theirs)
    return found


def bend_deg(body: Body, poses: BonePoses, side: str) -> np.ndarray:
    """Bend of the knee, below zero where it bends forwards."""
    at = joints_of(body, poses)
    thigh = at[f"{side}_shin"] - at[f"{side}_thigh"]
    shin = at[f"{side}_foot"] - at[f"{side}_shin"]
    axis = poses.rotations[:, BONES.index(f"{side}_thigh"), :, 0]
    return between_deg(thigh, shin) * np.sign((np.cross(thigh, shin) * axis).sum(-1))


def test_a_body_that_repeats_its_own_motion_turns_every_bone_as_before() -> None:
    body = stick_body()
    poses = moving(body)
    again = retarget(performed(body, poses), body, calibration=Calibration())
    for bone in BONES:
        if bone in ("spine", "neck") or bone.endswith(("clavicle", "foot", "toes")):
            continue
        place = BONES.index(bone)
        error = turn_deg(poses.rotations[:, place], again.rotations[:, place])
        assert error.max() < 3, (bone, error.max())


@pytest.mark.parametrize("arms_deg", [0.0, 45.0, 80.0])
def test_limbs_of_another_body_point_where_the_performers_do(arms_deg: float) -> None:
    body = stick_body()
    motion = performed(body, moving(body))
    other = stick_body(arms_deg, leg=1.3)
    poses = retarget(motion, other)
    for limb, error in limb_errors_deg(motion, other, poses).items():
        assert error.max() < 0.5, limb


def test_who_has_legs_half_as_long_again_goes_half_as_far_again() -> None:
    body = stick_body()
    motion = performed(body, moving(body))
    near, far = retarget(motion, body), retarget(motion, stick_body(leg=1.5))
    ways = [p.root[-1, 0] - p.root[0, 0] for p in (near, far)]
    assert_allclose(ways[1] / ways[0], 1.5, rtol=0.02)


def test_a_knee_that_the_file_bends_forwards_is_laid_straight() -> None:
    body = stick_body()
    poses = moving(body)
    shin, foot, toes = (BONES.index(f"left_{b}") for b in ("shin", "foot", "toes"))
    thigh = poses.rotations[:, BONES.index("left_thigh")]
    angles = np.where(np.arange(60) < 30, 1.0, -0.1)
    for bone in (shin, foot, toes):
        poses.rotations[:, bone] = thigh @ Rotation.from_euler("x", angles[:, None]).as_matrix()
    source = bend_deg(body, poses, "left")
    assert_allclose(source[30:], np.degrees(-0.1), atol=0.05)
    again = retarget(performed(body, poses), body)
    bent = bend_deg(body, again, "left")
    assert_allclose(bent[:25], np.degrees(1.0), atol=0.5)
    assert_allclose(bent[35:], 0, atol=0.5)


def test_an_elbow_that_goes_straight_and_bends_in_another_plane_does_not_jump() -> None:
    # Half a second bent forwards, half a second straight, half a second bent the other way round,
    # as after turning the arm inward: its axis turns over while nobody sees it.
    body = stick_body()
    poses = moving(body, 60)
    upper, lower, hand = (BONES.index(f"left_{b}") for b in ("upper_arm", "forearm", "hand"))
    bend = np.interp(np.arange(60), [0, 20, 25, 35, 40, 60], [1, 1, 0, 0, -1, -1])
    axis = np.array([-np.sin(np.pi / 4), 0, -np.cos(np.pi / 4)])
    turns = poses.rotations[:, upper] @ Rotation.from_rotvec(bend[:, None] * axis).as_matrix()
    poses.rotations[:, lower] = poses.rotations[:, hand] = turns
    motion = performed(body, poses)
    again = retarget(motion, body)
    assert limb_errors_deg(motion, body, again)["left_forearm"].max() < 0.5
    assert step_deg(again, "left_upper_arm").max() < 40
    assert step_deg(again, "left_forearm").max() < 40


def test_the_rig_of_a_performer_is_calibrated_over_walking() -> None:
    # The joint over the hips lies 3 cm behind them and 10 cm above: a rig that leans back by
    # atan(0.3) = 16.7 degrees. Half of the walk, the performer bows.
    walk = procedural_motion("walk", 1, 4.0)
    upright = retarget(walk, stick_body())
    xyz = walk.xyz.copy()
    frames = trunk_frames(walk)["pelvis"]
    hips = (xyz[:, MOTION_JOINTS.index("left_hip")] + xyz[:, MOTION_JOINTS.index("right_hip")]) / 2
    xyz[:, MOTION_JOINTS.index("pelvis")] = hips + frames @ np.array([0, 0.03, 0.1])
    rig = Motion("x", "x", xyz, walk.time_s)
    found = calibrate([rig])
    assert_allclose(np.degrees(found.pelvis), -16.7, atol=1)
    poses = retarget(rig, stick_body())
    pelvis = BONES.index("pelvis")
    error = turn_deg(upright.rotations[:, pelvis], poses.rotations[:, pelvis])
    assert error.max() < 4


def test_lean_is_the_angle_forward_whatever_the_heading() -> None:
    headings = Rotation.from_euler("z", np.linspace(0, 6, 7)[:, None])
    frames = (headings * Rotation.from_euler("x", 0.3)).as_matrix()
    assert_allclose(lean(frames), 0.3, atol=1e-12)


def test_a_calibration_is_of_one_subject() -> None:
    walk = procedural_motion("walk", 1, 1.0)
    with pytest.raises(UsageError, match="one subject"):
        calibrate([walk, Motion("k", "another", walk.xyz, walk.time_s)])
    with pytest.raises(UsageError, match="none"):
        calibrate([])


@pytest.mark.parametrize("kind", KINDS)
def test_made_motions_stand_on_the_ground(kind: str) -> None:
    body = stick_body()
    motion = procedural_motion(kind, 2, 3.0)
    poses = retarget(motion, body)
    heights = clearance(body, poses)
    assert_allclose(heights.min(), 0, atol=1e-3)
    assert heights.min() > -1e-3
    if kind not in ("run", "jumping_jack"):
        assert np.quantile(heights, 0.9) < 0.02
    for side in ("left", "right"):
        assert bend_deg(body, poses, side).min() > -0.5
    for limb, error in limb_errors_deg(motion, body, poses).items():
        assert np.quantile(error, 0.99) < 1.5, limb


def test_soles_of_someone_who_stands_are_level() -> None:
    body = stick_body()
    poses = retarget(procedural_motion("idle", 4, 2.0), body)
    for bone in ("left_foot", "right_foot"):
        up = poses.rotations[:, BONES.index(bone), :, 2]
        assert between_deg(up, np.array([0, 0, 1.0])).max() < 2


def test_a_jump_keeps_its_height() -> None:
    # Standing, half a second in the air up to 40 cm, standing.
    idle = procedural_motion("idle", 1, 3.0)
    rise = 0.4 * np.sin(np.pi * np.clip((idle.time_s - 1) / 0.5, 0, 1))
    xyz = idle.xyz.copy()
    xyz[..., 2] += rise[:, None].astype(np.float32)
    body = stick_body()
    motion = Motion("jump", idle.subject, xyz, idle.time_s)
    heights = clearance(body, retarget(motion, body))
    leg = sum(
        np.linalg.norm(xyz[0, MOTION_JOINTS.index(a)] - xyz[0, MOTION_JOINTS.index(b)])
        for a, b in (("left_hip", "left_knee"), ("left_knee", "left_ankle"))
    )
    assert_allclose(heights.max(), 0.4 * 0.8 / leg, atol=0.03)
    assert heights[idle.time_s < 0.9].max() < 5e-3


def test_one_height_for_the_whole_clip_where_nothing_is_followed() -> None:
    body = stick_body()
    motion = procedural_motion("walk", 3, 2.0)
    free, held = (retarget(motion, body, follow_m=m) for m in (0.1, 0.0))
    assert_allclose(clearance(body, held).min(), 0, atol=1e-3)
    assert clearance(body, held).mean() > clearance(body, free).mean()


def test_a_single_frame_is_a_motion_too() -> None:
    walk = procedural_motion("walk", 3, 2.0)
    body = stick_body()
    poses = retarget(Motion("k", "s", walk.xyz[:1], walk.time_s[:1]), body)
    assert np.isfinite(poses.rotations).all()
    assert_allclose(clearance(body, poses), 0, atol=1e-3)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "toe_steps_deg"),
    [
        ("cmu_asfamc/02/02_01", 25), ("cmu_asfamc/02/02_04", 25), ("cmu_bvh/salsa_03", 35),
        ("cmu_bvh/martial_09", 35), ("cmu_iclone_bvh/002_01", 40),
    ],
)  # fmt: skip
def test_real_motion_walks_dances_and_fights_on_another_body(
    shared_data: Path, name: str, toe_steps_deg: float
) -> None:
    files = {m.key: m for m in find_motions(shared_data / "mocap")}
    mine = files[name]
    subject = [
        read_motion(m.path, key=m.key, subject=m.subject)
        for m in list(files.values())
        if m.subject == mine.subject and m.path.stat().st_size < 6e5
    ]
    motion = read_motion(mine.path, key=mine.key, subject=mine.subject)
    body = stick_body()
    poses = retarget(motion, body, calibration=calibrate([*subject, motion]))
    assert np.isfinite(poses.rotations).all() and np.isfinite(poses.root).all()
    heights = clearance(body, poses)
    assert_allclose(heights.min(), 0, atol=2e-3)
    assert np.median(heights) < 0.01
    assert heights.min() > -2e-3
    for side in ("left", "right"):
        assert bend_deg(body, poses, side).min() > -1
    for limb, error in limb_errors_deg(motion, body, poses).items():
        assert np.quantile(error, 0.98) < 2, limb
    for bone in BONES:
        most = toe_steps_deg if bone.endswith(("toes", "foot", "hand")) else 20
        assert step_deg(poses, bone).max() < most, bone
    upright = poses.rotations[:, BONES.index("chest"), 2, 2]
    assert np.median(upright) > np.cos(np.radians(20)), "people must not hunch"
