"""Axes that knees and elbows bend about, for every frame of a clip, without jumps.

A bone's direction leaves its twist open. Where a knee or elbow is clearly bent, the plane of both
bones gives the axis. The axis of the other frames is the one that is constant within the clip in
the frame of the parent (pelvis or chest), carried along with the bone by the shortest turn. The
twist d of the axis away from that constant one is spread over time: it solves

    (w + e - s D) d = w d_bent

with w the trust in the bend, e a small trust in the constant axis, and s D the second difference in
time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solveh_banded

from chronopose.synth._turns import Array, across, dot, smoothstep, swing, unit

BENT_DEG = (12.0, 35.0)
"""Bends below the first say nothing about the axis, above the second all."""

CALM_S = 0.04
"""Seconds over which the axis of clearly bent frames is smoothed."""

CONSTANT_TRUST = 0.01
"""Weight of the constant axis beside that of a clear bend."""


@dataclass(frozen=True)
class Hinge:
    """How a limb bends, for a person who faces -y.

    Args:
        bone: Direction of the upper bone that ``axis`` belongs to; never nearly the opposite of a
            direction that the bone can have.
        axis: The axis there; bending turns the lower bone about it by the right-hand rule.
        rest_bone, rest_axis: The same in the plainest of rest poses.
        swivels: Whether the upper bone can twist by more than a right angle (arms).
    """

    bone: tuple[float, float, float]
    axis: tuple[float, float, float]
    rest_bone: tuple[float, float, float]
    rest_axis: tuple[float, float, float]
    swivels: bool


def _elbow(side: int) -> Hinge:
    """Out of the T pose with palms down, where elbows bend forwards in the horizontal plane."""
    bone, rest_bone, rest_axis = (0.6 * side, -0.3, -0.75), (side, 0.0, 0.0), (0.0, 0.0, -side)
    axis = swing(rest_bone, bone) @ np.array(rest_axis)
    carried = (float(axis[0]), float(axis[1]), float(axis[2]))
    return Hinge(bone, carried, rest_bone, rest_axis, swivels=True)


KNEE = Hinge(
    (0.0, -0.5, -0.8660254), (1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0), swivels=False
)
LEFT_ELBOW, RIGHT_ELBOW = _elbow(1), _elbow(-1)


def resting_axis(hinge: Hinge, upper: Array, lower: Array, least_deg: float) -> Array:
    """The bending axis of a body at rest.

    Args:
        hinge: The limb.
        upper: ``(3,)`` direction of the upper bone.
        lower: ``(3,)`` direction of the lower bone.
        least_deg: A bend of at least this, and not the wrong way round, says where the axis is;
            else it is the usual one.

    Returns:
        ``(3,)`` of length one.
    """
    usual = swing(hinge.rest_bone, upper) @ np.array(hinge.rest_axis)
    plane = np.cross(upper, lower)
    clear = np.linalg.norm(plane) > np.sin(np.radians(least_deg))
    return unit(plane) if clear and unit(plane) @ usual > 0.5 else usual


def hinge_axes(hinge: Hinge, upper: Array, lower: Array, step_s: float) -> Array:
    """The bending axis of every frame.

    Args:
        hinge: The limb.
        upper: ``(T, 3)`` directions of the upper bone in the parent's frame.
        lower: ``(T, 3)`` directions of the lower bone in the parent's frame.
        step_s: Seconds from frame to frame.

    Returns:
        ``(T, 3)`` unit vectors at right angles to ``upper``, in the parent's frame.
    """
    upper, lower = unit(upper), unit(lower)
    plane = np.cross(upper, lower)
    bend_deg = np.degrees(np.arctan2(np.linalg.norm(plane, axis=-1), dot(upper, lower)))
    measured = unit(plane)
    turn = swing(hinge.bone, upper)
    usual = turn @ np.array(hinge.axis)
    trust = smoothstep(bend_deg, *BENT_DEG) * smoothstep(180 - bend_deg, 5, 15)
    if not hinge.swivels:
        trust = trust * smoothstep(dot(measured, usual), 0.0, 0.3)
    home = np.einsum("tba,tb->ta", turn, measured)
    constant = turn @ _constant(home, trust, np.array(hinge.axis))
    twist = np.arctan2(dot(np.cross(constant, measured), upper), dot(constant, measured))
    twist = spread(trust, _unwound(twist, trust), (CALM_S / step_s) ** 2)[:, None]
    return across(np.cos(twist) * constant + np.sin(twist) * np.cross(upper, constant), upper)


def _constant(home: Array, trust: Array, usual: Array) -> Array:
    """The axis at the reference direction: the mean of the bent frames, or the usual one."""
    if trust.sum() < 5:
        return usual
    mean = (home * trust[:, None]).sum(0)
    agreed = np.linalg.norm(mean) / trust.sum()
    return unit(mean) if agreed > 0.5 and mean @ usual > 0 else usual


def _unwound(twist: Array, trust: Array) -> Array:
    """Twists of trusted frames without full turns between them, rather near zero than far."""
    found = twist.copy()
    turns = 2 * np.pi * np.arange(-2, 3)
    before = 0.0
    for frame in np.flatnonzero(trust > 0.01):
        ways = twist[frame] + turns
        before = found[frame] = ways[(np.abs(ways - before) + 0.3 * np.abs(ways)).argmin()]
    return found


def spread(trust: Array, values: Array, stiffness: float) -> Array:
    """Values where they are trusted, smooth between, zero far from any trust.

    Args:
        trust: ``(T,)`` in [0, 1].
        values: ``(T,)``, any where not trusted.
        stiffness: How much is smoothed: frames squared.

    Returns:
        ``(T,)``, the solution of the equation at the top of this file.
    """
    diagonal = trust + CONSTANT_TRUST
    if len(diagonal) == 1:
        return trust * values / diagonal
    steps = np.full(len(diagonal), 2 * stiffness)
    steps[[0, -1]] = stiffness
    bands = np.zeros((2, len(diagonal)))
    bands[0, 1:], bands[1] = -stiffness, diagonal + steps
    solved: Array = solveh_banded(bands, trust * values)
    return solved
