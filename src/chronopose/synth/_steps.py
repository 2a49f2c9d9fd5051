"""Feet that step: planted where the body passes over them, never sliding while on the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from chronopose.synth._figure import BALL_M, SIDES, Controls, Proportions
from chronopose.synth._turns import Array

WALK_PITCH = ((0.0, -0.3), (0.08, 0.0), (0.4, 0.0), (0.62, 0.95), (0.76, 0.5), (0.93, -0.22))
"""Pitch of the foot over a step, from heel strike to heel strike, radians."""

RUN_PITCH = ((0.0, -0.05), (0.05, 0.0), (0.18, 0.0), (0.36, 1.0), (0.55, 1.35), (0.8, 0.4))


@dataclass(frozen=True)
class Gait:
    """How someone goes.

    Args:
        period_s: From one left heel strike to the next.
        stance: Part of the period that a foot is on the ground.
        speed: Metres per second, ahead.
        turning: Radians per second, to the left.
        spread_m: Distance between the tracks of both feet.
        lift_m: Height of the ball of a swinging foot.
        pitch: Keys of the foot's pitch over the period.
        toe_out: Radians.
        start: Part of the period that has gone by at the first frame.
        heading: Radians at the first frame.
    """

    period_s: float
    stance: float
    speed: float
    turning: float
    spread_m: float
    lift_m: float
    pitch: tuple[tuple[float, float], ...]
    toe_out: float
    start: float
    heading: float


def periodic(keys: tuple[tuple[float, float], ...], phase: Array) -> Array:
    """A smooth curve through keys ``(phase in [0, 1), value)`` that repeats with period 1."""
    at = np.array(keys)
    turns = np.arange(-2, 3)
    times = (at[None, :, 0] + turns[:, None]).ravel()
    found: Array = PchipInterpolator(times, np.tile(at[:, 1], len(turns)))(np.mod(phase, 1))
    return found


def step_feet(size: Proportions, controls: Controls, gait: Gait, time_s: Array) -> Array:
    """Set place and heading of the hips and both feet of someone who goes.

    Returns:
        ``(T,)`` phase of the left foot: 0 at its heel strike, 0.5 at the right one's.
    """
    phase = time_s / gait.period_s + gait.start
    fine = np.arange(time_s[0] - 2 * gait.period_s, time_s[-1] + 2 * gait.period_s, 0.005)
    yaw = gait.heading + gait.turning * fine
    steps = gait.speed * 0.005 * np.stack([np.sin(yaw), -np.cos(yaw)], -1)
    path = np.cumsum(steps, 0)
    path -= [np.interp(time_s[0], fine, column) for column in path.T]

    def passes(seconds: Array) -> tuple[Array, Array]:
        place = np.stack([np.interp(seconds, fine, column) for column in path.T], -1)
        return place, np.interp(seconds, fine, yaw)

    controls.hips[:, :2], controls.yaw[:] = passes(time_s)
    for foot, (_, sign) in enumerate(SIDES):
        own = phase - 0.5 * foot
        count, part = np.floor(own), np.mod(own, 1)
        swing = np.clip((part - gait.stance) / (1 - gait.stance), 0, 1)
        spots, headings = [], []
        for ahead in (0, 1):
            over = (count + ahead + gait.stance / 2 + 0.5 * foot - gait.start) * gait.period_s
            place, facing = passes(over)
            aside = sign * gait.spread_m / 2
            shift = np.stack([np.cos(facing), np.sin(facing)], -1) * aside
            front = np.stack([np.sin(facing), -np.cos(facing)], -1) * 0.6 * size.foot
            spots.append(place + shift + front)
            headings.append(facing)
        eased = swing**3 * (10 - 15 * swing + 6 * swing**2)
        controls.ball[:, foot, :2] = spots[0] + eased[:, None] * (spots[1] - spots[0])
        pitch = periodic(gait.pitch, own)
        raised = 1.5 * size.foot * np.sin(np.maximum(-pitch, 0))
        bump = np.sin(np.pi * swing**0.75) ** 2
        controls.ball[:, foot, 2] = BALL_M + raised + gait.lift_m * bump
        facing = headings[0] + eased * (headings[1] - headings[0])
        controls.foot[:, foot, 0] = facing - controls.yaw + sign * gait.toe_out
        controls.foot[:, foot, 1] = pitch
    return phase
