"""A motion on another body, from joint positions alone.

Every part of the performer gets an anatomical frame: pelvis, chest and head from their left and up
axes, limbs from the bone and the axis that its knee or elbow bends about, hands and feet likewise.
The same frame is built in the rest pose of the body, and the bone turns by

    G(t) = F_performer(t) F_rest^T

so that no rest pose of the performer's rig is needed. Limbs of the body point exactly where the
performer's do, except that knees and elbows never bend the wrong way.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from chronopose.synth._hinges import (
    KNEE,
    LEFT_ELBOW,
    RIGHT_ELBOW,
    Hinge,
    hinge_axes,
    resting_axis,
    spread,
)
from chronopose.synth._turns import (
    Array,
    about,
    across,
    angle,
    between,
    bone_frame,
    dot,
    smoothstep,
    swing,
    turn_vector,
    unit,
    vector_turn,
)
from chronopose.synth.body import BONES, Body, BonePoses
from chronopose.synth.calibrate import (
    SIDES,
    UP,
    Calibration,
    calibrate,
    floor_under,
    points,
    step_s,
    trunk_frames,
    upright,
)
from chronopose.synth.motion import Motion

GROUND_S = 0.8
"""Some vertex touches the ground within any stretch of this length; no jump lasts longer."""

CLAVICLE_DEG = 35.0
"""The most that a clavicle turns against the chest."""

WRIST_DEG = 75.0
"""The most that a hand turns against the forearm."""

TOES_DEG = 50.0
"""The most that toes turn against the foot."""

CONTACT_M = (0.03, 0.09)
"""Heights of the toe over the floor: below the first the foot is on it, above the second free."""

CALM_S = 0.08
"""Stretch of time that the roll of feet and the bend of wrists are averaged over."""

FOLLOW_S = 0.04
"""Stretch of time over which the height of a standing body follows its lowest vertex."""

_ARMS = {"left": LEFT_ELBOW, "right": RIGHT_ELBOW}
_DIRECTIONS = 64


def retarget(
    motion: Motion, body: Body, *, calibration: Calibration | None = None, follow_m: float = 0.1
) -> BonePoses:
    """Poses that make a body do what a performer did.

    Args:
        motion: The performance, best the whole clip: axes of knees and elbows are found over all
            frames.
        body: Who shall do it.
        calibration: Of the performer's subject, from all motions there are; None: from this one.
        follow_m: The lowest vertex of the clip lies on the ground; where it hovers over it by up to
            this for longer than a jump takes, the body is lowered. 0: one height for the whole
            clip.

    Returns:
        As many frames as the motion has, at its times.
    """
    known = calibrate([motion]) if calibration is None else calibration
    at, count = points(motion), len(motion)
    turns = np.broadcast_to(np.eye(3), (count, len(BONES), 3, 3)).copy()
    made = dict(zip(BONES, np.moveaxis(turns, 1, 0), strict=True))
    frames = trunk_frames(motion)
    for part in ("pelvis", "chest", "head"):
        made[part][:] = upright(frames[part], getattr(known, part))
    made["spine"][:] = between(made["pelvis"], made["chest"], 0.5)
    made["neck"][:] = between(made["chest"], made["head"], 0.5)
    floor = floor_under(motion)
    for number, side in enumerate(SIDES):
        _arm(side, at, made, body, known.hands[number], step_s(motion))
        _leg(side, at, made, body, step_s(motion))
        _foot(side, at, made, body, known.toes[number], floor, step_s(motion))
    root = _root(at, made["pelvis"], body)
    poses = BonePoses(turns.astype(np.float32), root.astype(np.float32), motion.time_s)
    root[:, 2] -= _hover(clearance(body, poses), _contact(at, floor), step_s(motion), follow_m)
    return BonePoses(poses.rotations, root.astype(np.float32), motion.time_s)


def clearance(body: Body, poses: BonePoses) -> Array:
    """``(T,)`` height of the lowest vertex of each frame over the ground, metres.

    Only vertices that are outermost in their bone in one of many directions are looked at.
    """
    matrices = body.skin_matrices(poses).astype(np.float64)
    if not len(body.vertices):
        return _joint_heights(body, matrices).min(1)
    chosen = _outermost(body)
    vertices = body.vertices[chosen].astype(np.float64)
    bones, weights = body.bones[chosen], body.weights[chosen].astype(np.float64)
    # Height is linear in a bone's matrix: one weight for each vertex, bone and column.
    points = np.concatenate([vertices, np.ones((len(vertices), 1))], 1)
    rows = np.repeat(np.arange(len(points)), 4)
    shares = np.zeros((len(points), len(BONES), 4))
    np.add.at(shares, (rows, bones.ravel()), (weights[..., None] * points[:, None]).reshape(-1, 4))
    heights = matrices[:, :, 2].reshape(len(matrices), -1) @ shares.reshape(len(points), -1).T
    lowest: Array = heights.min(1)
    return lowest


def _joint_heights(body: Body, matrices: Array) -> Array:
    turned = np.einsum("tjb,jb->tj", matrices[:, :, 2, :3], body.joints)
    heights: Array = turned + matrices[:, :, 2, 3]
    return heights


def _outermost(body: Body) -> Array:
    """Vertices that are farthest from their bone's others in some direction (Fibonacci sphere)."""
    at = np.arange(_DIRECTIONS) + 0.5
    tilt, spin = np.arccos(1 - 2 * at / _DIRECTIONS), np.pi * (1 + 5**0.5) * at
    ways = np.stack([np.cos(spin) * np.sin(tilt), np.sin(spin) * np.sin(tilt), np.cos(tilt)])
    main = body.bones[np.arange(len(body.bones)), body.weights.argmax(1)]
    chosen = [
        mine[(body.vertices[mine] @ ways).round(9).argmax(0)]
        for bone in range(len(BONES))
        if len(mine := np.flatnonzero(main == bone))
    ]
    return np.unique(np.concatenate(chosen))


def _contact(at: dict[str, Array], floor: Array) -> Array:
    """1 where one of the performer's feet is on the floor, 0 in flight, smooth between."""
    heights = [at[f"{side}_{joint}"][:, 2] for side in SIDES for joint in ("toe", "ankle")]
    return 1 - smoothstep(np.min(heights, 0) - floor, 0.02, 0.06)


def _hover(lowest: Array, contact: Array, seconds: float, follow_m: float) -> Array:
    """What to lower each frame by: the least of ``lowest``, followed smoothly up to ``follow_m``.

    Without contact: the mean over windows that all hold a frame, of minima over windows of the same
    length, which is never above that frame's own height. With contact: down to the ground. Nothing
    sinks into it.
    """
    least = lowest.min()
    if follow_m <= 0:
        return np.full(len(lowest), least)
    window = 2 * (round(GROUND_S / seconds / 2)) + 1
    under = np.minimum(minimum_filter1d(lowest, window), least + follow_m)
    under = np.minimum(uniform_filter1d(under, window), lowest)
    more = np.minimum(lowest - under, follow_m)
    found: Array = under + spread(contact, more, (FOLLOW_S / seconds) ** 2)
    return np.minimum(found, lowest)


def _rest(body: Body, start: str, end: str) -> Array:
    """Direction between two joints at rest."""
    return unit(
        body.joints[BONES.index(end)].astype(np.float64)
        - body.joints[BONES.index(start)].astype(np.float64)
    )


def _unbroken(upper: Array, lower: Array, axis: Array) -> Array:
    """The lower bone, laid straight where it bends the wrong way about the axis."""
    ahead = np.cross(axis, upper)
    wrong = np.minimum(dot(lower, ahead), 0)
    return unit(lower - wrong[:, None] * ahead)


def _apply(turns: Array, vectors: Array) -> Array:
    moved: Array = np.einsum("tab,tb->ta", turns, vectors)
    return moved


def _bent_limb(
    hinge: Hinge, parent: Array, upper: Array, lower: Array, seconds: float
) -> tuple[Array, Array]:
    """World axis and corrected lower bone of a limb whose directions are given in the world."""
    inside = np.swapaxes(parent, -1, -2)
    axis = hinge_axes(hinge, _apply(inside, upper), _apply(inside, lower), seconds)
    axis = _apply(parent, axis)
    return axis, _unbroken(upper, lower, axis)


def _arm(
    side: str, at: dict[str, Array], made: dict[str, Array], body: Body, hand: Array, seconds: float
) -> None:
    """Turn clavicle, upper arm, forearm and hand of one side."""
    shoulder, elbow, wrist, knuckles = (
        at[f"{side}_{joint}"] for joint in ("shoulder", "elbow", "wrist", "hand")
    )
    chest = made["chest"]
    made[f"{side}_clavicle"][:] = chest @ _shrug(chest, shoulder - at["neck"])
    upper, lower = unit(elbow - shoulder), unit(wrist - elbow)
    axis, lower = _bent_limb(_ARMS[side], chest, upper, lower, seconds)
    bones = f"{side}_upper_arm", f"{side}_forearm", f"{side}_hand"
    rest_upper, rest_lower = _rest(body, *bones[:2]), _rest(body, *bones[1:])
    rest_axis = resting_axis(_ARMS[side], rest_upper, rest_lower, 8.0)
    forearm = bone_frame(lower, axis)
    rest_forearm = bone_frame(rest_lower, rest_axis)
    made[bones[0]][:] = bone_frame(upper, axis) @ bone_frame(rest_upper, rest_axis).T
    made[bones[1]][:] = forearm @ rest_forearm.T
    along = np.array([0.0, 1.0, 0.0])
    bend = swing(along, _apply(np.swapaxes(forearm, -1, -2), unit(knuckles - wrist)))
    bend = vector_turn(_calmed(turn_vector(bend @ swing(hand, along)), seconds))
    bend = _limited(bend, WRIST_DEG)
    made[bones[2]][:] = forearm @ bend @ rest_forearm.T


def _shrug(chest: Array, girdle: Array) -> Array:
    """How the line from neck to shoulder turns against the chest, away from its median."""
    inside = unit(_apply(np.swapaxes(chest, -1, -2), girdle))
    return _limited(swing(np.median(inside, 0), inside), CLAVICLE_DEG)


def _limited(turns: Array, most_deg: float) -> Array:
    part = np.minimum(np.radians(most_deg) / np.maximum(angle(turns), 1e-6), 1)
    return between(np.eye(3), turns, part)


def _leg(
    side: str, at: dict[str, Array], made: dict[str, Array], body: Body, seconds: float
) -> None:
    """Turn thigh and shin of one side."""
    hip, knee, ankle = (at[f"{side}_{joint}"] for joint in ("hip", "knee", "ankle"))
    upper, lower = unit(knee - hip), unit(ankle - knee)
    axis, lower = _bent_limb(KNEE, made["pelvis"], upper, lower, seconds)
    bones = f"{side}_thigh", f"{side}_shin", f"{side}_foot"
    rest_upper, rest_lower = _rest(body, *bones[:2]), _rest(body, *bones[1:])
    rest_axis = resting_axis(KNEE, rest_upper, rest_lower, 15.0)
    made[bones[0]][:] = bone_frame(upper, axis) @ bone_frame(rest_upper, rest_axis).T
    made[bones[1]][:] = bone_frame(lower, axis) @ bone_frame(rest_lower, rest_axis).T


def _foot(
    side: str,
    at: dict[str, Array],
    made: dict[str, Array],
    body: Body,
    rise: float | None,
    floor: Array,
    seconds: float,
) -> None:
    """Turn foot and toes of one side: soles flat on the floor where the performer's are."""
    ankle, toe = at[f"{side}_ankle"], at[f"{side}_toe"]
    touch = 1 - smoothstep(toe[:, 2] - floor, *CONTACT_M)
    rest = _rest(body, f"{side}_foot", f"{side}_toes")
    rest_frame = bone_frame(rest, np.cross(UP, rest))
    rest_rise = float(np.arcsin(rest[2]))
    along = unit(toe - ankle)
    sideways = _sideways(along, made[f"{side}_shin"], rest_frame, touch, seconds)
    more = 0.0 if rise is None else rest_rise - rise
    along = np.cos(more) * along - np.sin(more) * np.cross(sideways, along)
    foot = bone_frame(along, sideways) @ rest_frame.T
    made[f"{side}_foot"][:] = foot
    ahead = np.cross(sideways, UP)
    heading = np.arctan2(ahead[:, 0], -ahead[:, 1]) - np.arctan2(rest[0], -rest[1])
    flat = about("z", heading)
    dip = rest_rise - np.arcsin(np.clip(along[:, 2], -1, 1))
    way = np.swapaxes(foot, -1, -2) @ flat
    most = np.radians(TOES_DEG) / np.maximum(angle(way), 1e-6)
    part = np.minimum(touch * smoothstep(np.degrees(dip), 0.0, 15.0), most)
    made[f"{side}_toes"][:] = between(foot, flat, part)


def _sideways(along: Array, shin: Array, rest_frame: Array, touch: Array, seconds: float) -> Array:
    """The axis that a foot pitches about: level on the floor, in the air as the shin carries it.

    A foot that points straight down has no level axis of its own.
    """
    side, rest = rest_frame[:, 0], rest_frame[:, 1]
    carried = _apply(swing(shin @ rest, along) @ shin, np.broadcast_to(side, along.shape))
    level = np.cross(UP, along)
    clear = smoothstep(np.linalg.norm(level, axis=-1), 0.4, 0.7)
    level, third = unit(level), np.cross(along, carried)
    clear = clear * smoothstep(dot(level, carried), 0.0, 0.4)
    roll = np.arctan2(dot(level, third), dot(level, carried)) * touch * clear
    roll = _calmed(roll, seconds)[:, None]
    return across(np.cos(roll) * carried + np.sin(roll) * third, along)


def _calmed(values: Array, seconds: float) -> Array:
    """A running mean over time, of :data:`CALM_S`, taken twice."""
    window = max(round(CALM_S / seconds), 1)
    once = uniform_filter1d(values, window, axis=0, mode="nearest")
    found: Array = uniform_filter1d(once, window, axis=0, mode="nearest")
    return found


def _root(at: dict[str, Array], pelvis: Array, body: Body) -> Array:
    """``(T, 3)`` pelvis joint: the middle of the hips follows the performer's, by leg length."""
    joints = {bone: body.joints[i].astype(np.float64) for i, bone in enumerate(BONES)}
    mine = theirs = 0.0
    for side in SIDES:
        hip, knee, ankle = (at[f"{side}_{j}"] for j in ("hip", "knee", "ankle"))
        thigh, shin, foot = (joints[f"{side}_{b}"] for b in ("thigh", "shin", "foot"))
        theirs += float(np.median(np.linalg.norm(hip - knee, axis=-1)))
        theirs += float(np.median(np.linalg.norm(knee - ankle, axis=-1)))
        mine += float(np.linalg.norm(thigh - shin) + np.linalg.norm(shin - foot))
    hips = (joints["left_thigh"] + joints["right_thigh"]) / 2
    return at["hips"] * (mine / theirs) + pelvis @ (joints["pelvis"] - hips)
