"""What is particular to one performer's rig: how far its trunk, head, feet and hands point away
from where a person's do.

Rigs disagree about where a joint lies: the line through the hips and the next joint of one rig
leans back by twenty degrees while its performer stands straight. Walking people hold pelvis, chest
and head as at rest (measured on bodies: without this they hunch), their feet stand flat, and their
hands go on where the forearm ends. So each of these is turned by what its median is off by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import minimum_filter1d

from chronopose.errors import UsageError
from chronopose.synth._hinges import LEFT_ELBOW, RIGHT_ELBOW, hinge_axes
from chronopose.synth._turns import Array, about, bone_frame, dot, trunk_frame, unit
from chronopose.synth.motion import MOTION_JOINTS, PROCEDURAL, Motion

SIDES = ("left", "right")
UP = np.array([0.0, 0.0, 1.0])

WALKING_M_S = (0.5, 2.3)
"""Speeds over the ground that count as walking."""

LEAST_FRAMES = 20
"""Frames that a median is taken of, at least."""

_SPEED_S = 0.5
_RIGID_M = 0.04


@dataclass(frozen=True)
class Calibration:
    """Medians of one performer, in radians; zeros for a rig that points as people do.

    Args:
        pelvis, chest, head: Lean forward.
        toes: Rise of the line from ankle to toe over the ground while the foot stands flat, left
            and right; None where it is not known.
        hands: ``(3,)`` directions of the hand in the frame of the forearm, left and right.
    """

    pelvis: float = 0.0
    chest: float = 0.0
    head: float = 0.0
    toes: tuple[float | None, float | None] = (None, None)
    hands: tuple[Array, Array] = field(
        default_factory=lambda: (np.array([0.0, 1.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    )


def points(motion: Motion) -> dict[str, Array]:
    """``(T, 3)`` of every joint by name, and ``hips``, the middle of both."""
    found = {n: motion.xyz[:, i].astype(np.float64) for i, n in enumerate(MOTION_JOINTS)}
    found["hips"] = (found["left_hip"] + found["right_hip"]) / 2
    return found


def trunk_frames(motion: Motion) -> dict[str, Array]:
    """``(T, 3, 3)`` frames (left, back, up) of ``pelvis``, ``chest`` and ``head`` as the rig says.

    The pelvis points up from the middle of the hips to the joint ``pelvis``, or to ``chest`` where
    those two are one.
    """
    at = points(motion)
    rise = at["pelvis"] - at["hips"]
    if np.median(np.linalg.norm(rise, axis=-1)) < _RIGID_M:
        rise = at["chest"] - at["hips"]
    up = unit(at["head_top"] - at["head"])
    face = at["nose"] - at["head"]
    return {
        "pelvis": trunk_frame(at["left_hip"] - at["right_hip"], rise, keep="left"),
        "chest": trunk_frame(
            at["left_shoulder"] - at["right_shoulder"], at["neck"] - at["chest"], keep="up"
        ),
        "head": trunk_frame(np.cross(up, face), up, keep="up"),
    }


def lean(frames: Array) -> Array:
    """How far each frame leans forward about its own left axis, radians; 0 when upright."""
    left, up = frames[..., :, 0], frames[..., :, 2]
    forward = unit(np.cross(left, UP))
    return np.arctan2(dot(up, forward), up[..., 2])


def upright(frames: Array, lean_rad: float) -> Array:
    """Frames with a constant lean about their own left axis taken away."""
    return frames @ about("x", -lean_rad)


def calibrate(motions: Sequence[Motion]) -> Calibration:
    """The calibration of one performer from all motions that there are of them.

    Trunk and head: the median lean over walking frames; without any, over frames upright on
    straight legs; without any, none. Motions of the subject ``procedural`` keep their trunk.

    Args:
        motions: Of one subject and one rig.

    Raises:
        UsageError: no motion, or several subjects.
    """
    subjects = {m.subject for m in motions}
    if len(subjects) != 1:
        raise UsageError(
            f"A calibration needs motions of one subject; got {sorted(subjects) or 'none'}. "
            f"Calibrate each subject apart."
        )
    trunk = {"pelvis": 0.0, "chest": 0.0, "head": 0.0}
    frames = [trunk_frames(m) for m in motions]
    if subjects != {PROCEDURAL}:
        chosen = _calm_frames(motions)
        if chosen is not None:
            for part in trunk:
                angles = [lean(f[part][c]) for f, c in zip(frames, chosen, strict=True)]
                trunk[part] = float(np.median(np.concatenate(angles)))
    chests = [upright(f["chest"], trunk["chest"]) for f in frames]
    left, right = (_hand(motions, chests, side) for side in SIDES)
    toes = _toe_rise(motions, "left"), _toe_rise(motions, "right")
    return Calibration(**trunk, toes=toes, hands=(left, right))


def _calm_frames(motions: Sequence[Motion]) -> list[Array] | None:
    """For each motion its frames of walking, or else of standing upright; None without any."""
    walking, standing = [], []
    for motion in motions:
        at = points(motion)
        trunk = unit(at["neck"] - at["hips"])
        straight = trunk[:, 2] > np.cos(np.radians(35))
        for side in SIDES:
            hip, knee, ankle = (at[f"{side}_{j}"] for j in ("hip", "knee", "ankle"))
            leg = np.linalg.norm(hip - knee, axis=-1) + np.linalg.norm(knee - ankle, axis=-1)
            straight &= np.linalg.norm(hip - ankle, axis=-1) > 0.8 * leg
            straight &= (hip - ankle)[:, 2] > 0.7 * leg
        speed = _speed(motion, at["hips"])
        walking.append(straight & (speed > WALKING_M_S[0]) & (speed < WALKING_M_S[1]))
        standing.append(straight)
    for chosen in (walking, standing):
        if sum(int(c.sum()) for c in chosen) >= LEAST_FRAMES:
            return chosen
    return None


def _speed(motion: Motion, places: Array) -> Array:
    """Speed over the ground, averaged over half a second, m/s."""
    time = motion.time_s
    first = np.searchsorted(time, time - _SPEED_S / 2).clip(0, len(time) - 1)
    last = (np.searchsorted(time, time + _SPEED_S / 2, side="right") - 1).clip(0)
    way = np.linalg.norm(places[last, :2] - places[first, :2], axis=-1)
    speed: Array = way / np.maximum(time[last] - time[first], 1e-6)
    return speed


def step_s(motion: Motion) -> float:
    """Seconds from frame to frame: the median; 1/30 for a single frame."""
    return float(np.median(np.diff(motion.time_s))) if len(motion) > 1 else 1 / 30


def floor_under(motion: Motion, seconds: float = 1.5) -> Array:
    """``(T,)`` height of the lowest toe or ankle in the time around each frame, metres."""
    at = points(motion)
    lowest = np.min([at[f"{s}_{j}"][:, 2] for s in SIDES for j in ("toe", "ankle")], axis=0)
    found: Array = minimum_filter1d(lowest, max(round(seconds / step_s(motion)), 1))
    return found


def _toe_rise(motions: Sequence[Motion], side: str) -> float | None:
    rises, heights = [], []
    for motion in motions:
        at = points(motion)
        foot = at[f"{side}_toe"] - at[f"{side}_ankle"]
        still = np.ones(len(motion), bool)
        for joint in ("toe", "ankle"):
            place = at[f"{side}_{joint}"]
            if len(motion) > 1:
                rate = np.gradient(place, motion.time_s, axis=0)
                still &= np.linalg.norm(rate, axis=-1) < 0.25
        low = at[f"{side}_toe"][:, 2] - floor_under(motion) < 0.04
        rises.append(np.arctan2(foot[:, 2], np.linalg.norm(foot[:, :2], axis=-1))[still & low])
        heights.append(at[f"{side}_ankle"][:, 2][still & low])
    rise, height = np.concatenate(rises), np.concatenate(heights)
    if len(rise) < LEAST_FRAMES:
        return None
    flat = height < np.quantile(height, 0.2) + 0.03
    return float(np.median(rise[flat]))


def _hand(motions: Sequence[Motion], chests: list[Array], side: str) -> Array:
    hinge = LEFT_ELBOW if side == "left" else RIGHT_ELBOW
    found = []
    for motion, chest in zip(motions, chests, strict=True):
        at = points(motion)
        shoulder, elbow, wrist, hand = (
            at[f"{side}_{j}"] for j in ("shoulder", "elbow", "wrist", "hand")
        )
        inside = np.swapaxes(chest, -1, -2)
        upper, lower, palm = (
            (inside @ unit(v)[..., None])[..., 0]
            for v in (elbow - shoulder, wrist - elbow, hand - wrist)
        )
        frame = bone_frame(lower, hinge_axes(hinge, upper, lower, step_s(motion)))
        found.append(np.einsum("tba,tb->ta", frame, palm))
    return unit(np.median(np.concatenate(found), 0))
