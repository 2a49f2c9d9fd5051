"""A stick person with constant bones: from a few controls over time to joint positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from chronopose.synth._turns import Array, about, unit
from chronopose.synth.motion import MOTION_JOINTS

SIDES = (("left", 1.0), ("right", -1.0))
BALL_M = 0.02
"""Height of the ball of a standing foot."""

REACH = 0.998
"""Part of its whole length that a leg is stretched to at most."""


@dataclass(frozen=True)
class Proportions:
    """Lengths of a person, metres.

    Source: D. Winter, "Biomechanics and Motor Control of Human Movement", table of segment lengths
    as parts of the stature (Drillis and Contini).
    """

    thigh: float
    shin: float
    foot: float
    ankle: float
    hip: float
    lumbar: float
    thorax: float
    neck: float
    head: float
    shoulder: float
    upper_arm: float
    forearm: float
    hand: float

    @staticmethod
    def draw(rng: np.random.Generator) -> Proportions:
        """A grown person between 1.50 and 1.95 m."""
        stature = rng.uniform(1.5, 1.95)
        legs = (0.245, 0.246, 0.075, 0.045, 0.052)
        trunk = (0.115, 0.165, 0.06, 0.13, 0.115)
        parts = (*legs, *trunk, 0.18, 0.15, 0.06)
        return Proportions(*(stature * p * rng.uniform(0.95, 1.05) for p in parts))

    @property
    def leg(self) -> float:
        """From hip to ankle, stretched."""
        return self.thigh + self.shin

    @property
    def stand(self) -> float:
        """Height of the hips when standing on nearly straight legs."""
        return self.leg * 0.995 + self.ankle


@dataclass
class Controls:
    """What moves the stick person; T frames, angles in radians, left before right.

    Args:
        hips: ``(T, 3)`` middle of the hips.
        yaw: ``(T,)`` heading; 0 faces -y, positive turns left.
        pelvis, chest: ``(T, 3)`` lean forward, lean to the left, turn to the left, from upright at
            the heading.
        head: ``(T, 2)`` nod and turn to the left, from upright at the heading.
        ball: ``(T, 2, 3)`` balls of the feet.
        foot: ``(T, 2, 2)`` heading of the foot against ``yaw``, and pitch, toes down above 0.
        arm: ``(T, 2, 4)`` raise forward, raise to the side, turn outward, bend of the elbow.
        wrist: ``(T, 2)`` bend of the wrist, in the plane of the elbow.
    """

    hips: Array
    yaw: Array
    pelvis: Array
    chest: Array
    head: Array
    ball: Array
    foot: Array
    arm: Array
    wrist: Array

    @staticmethod
    def standing(size: Proportions, count: int, spread_m: float, toe_out: float) -> Controls:
        """Someone who stands still at the origin, feet ``spread_m`` apart, arms hanging."""
        made = Controls(
            np.zeros((count, 3)), np.zeros(count), np.zeros((count, 3)), np.zeros((count, 3)),
            np.zeros((count, 2)), np.zeros((count, 2, 3)), np.zeros((count, 2, 2)),
            np.zeros((count, 2, 4)), np.zeros((count, 2)),
        )  # fmt: skip
        made.hips[:, 2] = size.stand
        for place, (_, sign) in enumerate(SIDES):
            made.ball[:, place] = sign * spread_m / 2, -0.6 * size.foot, BALL_M
            made.foot[:, place, 0] = sign * toe_out
        made.arm[:, :, 1] = 0.12
        made.arm[:, :, 3] = 0.25
        return made


def _lean(angles: Array) -> Array:
    """Turns by lean forward, lean left and turn left; the last is applied last."""
    return about("z", angles[:, 2]) @ about("y", -angles[:, 1]) @ about("x", angles[:, 0])


def _along(turns: Array, x: float, y: float, z: float) -> Array:
    moved: Array = turns @ np.array([x, y, z])
    return moved


def joints(size: Proportions, controls: Controls) -> Array:
    """``(T, N, 3)`` positions of :data:`MOTION_JOINTS`, metres.

    Bones keep their lengths: where a foot is out of reach, the hips come down if that helps, and
    else the foot comes nearer.
    """
    heading = about("z", controls.yaw)
    pelvis = heading @ _lean(controls.pelvis)
    chest = heading @ _lean(controls.chest)
    nod, turn = controls.head.T
    head = heading @ _lean(np.stack([nod, np.zeros_like(nod), turn], -1))
    ankles, feet = _ankles(size, controls)
    hips = _within_reach(size, controls.hips, pelvis, ankles)
    at = {"pelvis": hips + _along(pelvis, 0, 0, 0.6 * size.lumbar)}
    at["chest"] = hips + _along(pelvis, 0, 0, size.lumbar)
    at["neck"] = at["chest"] + _along(chest, 0, 0, size.thorax)
    at["head"] = at["neck"] + _along((chest + head) / 2, 0, -0.1 * size.neck, size.neck)
    at["head_top"] = at["head"] + _along(head, 0, 0, size.head)
    at["nose"] = at["head"] + _along(head, 0, -0.8 * size.head, 0.3 * size.head)
    for place, (side, sign) in enumerate(SIDES):
        hip = hips + _along(pelvis, sign * size.hip, 0, 0)
        hinge = _along(about("z", controls.yaw + controls.foot[:, place, 0]), 1, 0, 0)
        knee, ankle = _knee(size, hip, ankles[:, place], hinge)
        toe = ankle + _along(feet[place], 0, -size.foot, BALL_M - size.ankle)
        at |= {f"{side}_hip": hip, f"{side}_knee": knee, f"{side}_ankle": ankle}
        at[f"{side}_toe"] = toe
        shoulder = at["neck"] + _along(chest, sign * size.shoulder, 0, -0.15 * size.shoulder)
        ahead, aside, twist, elbow = controls.arm[:, place].T
        upper = chest @ about("x", -ahead) @ about("y", -sign * aside) @ about("z", sign * twist)
        lower = upper @ about("x", -elbow)
        hand = lower @ about("x", -controls.wrist[:, place])
        at[f"{side}_shoulder"] = shoulder
        at[f"{side}_elbow"] = shoulder + _along(upper, 0, 0, -size.upper_arm)
        at[f"{side}_wrist"] = at[f"{side}_elbow"] + _along(lower, 0, 0, -size.forearm)
        at[f"{side}_hand"] = at[f"{side}_wrist"] + _along(hand, 0, 0, -size.hand)
    return np.stack([at[name] for name in MOTION_JOINTS], 1)


def _ankles(size: Proportions, controls: Controls) -> tuple[Array, list[Array]]:
    """``(T, 2, 3)`` ankles over the balls of the feet, and the turns of both feet."""
    ankles, feet = np.empty_like(controls.ball), []
    for place in range(2):
        yaw, pitch = controls.foot[:, place].T
        feet.append(about("z", controls.yaw + yaw) @ about("x", pitch))
        to_ball = _along(feet[-1], 0, -size.foot, BALL_M - size.ankle)
        ankles[:, place] = controls.ball[:, place] - to_ball
    return ankles, feet


def _within_reach(size: Proportions, hips: Array, pelvis: Array, ankles: Array) -> Array:
    """The hips, lowered smoothly so that both legs reach their ankles where they can."""
    excess = np.zeros(len(hips))
    for place, (_, sign) in enumerate(SIDES):
        gap = ankles[:, place] - hips - _along(pelvis, sign * size.hip, 0, 0)
        flat = np.minimum((gap[:, :2] ** 2).sum(-1), (REACH * size.leg) ** 2)
        excess = np.maximum(excess, -gap[:, 2] - np.sqrt((REACH * size.leg) ** 2 - flat))
    window = 5
    lowered = uniform_filter1d(maximum_filter1d(excess, window, mode="nearest"), window)
    moved = hips.copy()
    moved[:, 2] -= lowered
    return moved


def _knee(size: Proportions, hip: Array, ankle: Array, hinge: Array) -> tuple[Array, Array]:
    """Knee that bends backwards about ``hinge``, and the ankle, drawn nearer if out of reach."""
    way = ankle - hip
    far = np.maximum(np.linalg.norm(way, axis=-1, keepdims=True), 1e-6)
    way = way / far
    far = np.clip(far, 1.02 * abs(size.thigh - size.shin) + 1e-3, REACH * size.leg)
    along = (far**2 + size.thigh**2 - size.shin**2) / (2 * far)
    out = np.sqrt(np.maximum(size.thigh**2 - along**2, 0))
    return hip + along * way + out * unit(np.cross(way, hinge)), hip + far * way
