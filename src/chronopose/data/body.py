"""A jointed body for generated people: proportions, forward kinematics, and ways to move.

Body axes are (left, up, forward), a right-handed frame; angles are radians. All functions take a
whole run of times at once and are pure functions of time, so any frame of an endless video can be
had without the frames before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronopose.core.skeleton import Skeleton

Array = NDArray[np.float64]

_SIDED = (
    "eye", "ear", "shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle", "heel", "big_toe",
)  # fmt: skip
_MIDDLE = (
    "pelvis", "belly", "spine", "thorax", "chest", "neck", "head_bottom", "upper_neck", "face",
    "neck_nose", "nose", "head", "head_top",
)  # fmt: skip

BODY = Skeleton(
    "procedural",
    _MIDDLE + tuple(f"{side}_{name}" for name in _SIDED for side in ("left", "right")),
)
"""Every joint that a generated person is labelled with; other skeletons are picked by name."""

ANGLES = (
    "yaw", "pitch", "roll", "lift", "bend", "side", "twist", "nod", "turn",
    *(f"{s}_{a}" for s in ("left", "right")
      for a in ("arm_swing", "arm_raise", "arm_twist", "elbow", "leg_swing", "leg_raise",
                "leg_twist", "knee", "foot")),
)  # fmt: skip
"""Degrees of freedom. ``lift`` is metres above the ground, all others radians."""

_INDEX = {name: i for i, name in enumerate(ANGLES)}


@dataclass(frozen=True, kw_only=True)
class Build:
    """Proportions of one person.

    Args:
        height_m: Standing height, metres.
        width: Factor on the breadth of the body, about 1.
        limbs: Factor on the length of arms and legs, about 1.
    """

    height_m: float = 1.72
    width: float = 1.0
    limbs: float = 1.0


def rotation(axis: int, angle: Array) -> Array:
    """``(T, 3, 3)`` right-handed rotations about body axis 0 (left), 1 (up) or 2 (forward)."""
    cos, sin = np.cos(angle), np.sin(angle)
    out = np.zeros((len(angle), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out[:, axis, axis] = 1
    out[:, i, i] = out[:, j, j] = cos
    out[:, i, j], out[:, j, i] = -sin, sin
    return out


def pose_body(build: Build, angles: Array) -> dict[str, Array]:
    """Forward kinematics.

    Args:
        build: Proportions.
        angles: ``(T, len(ANGLES))``.

    Returns:
        Name -> ``(T, 3)`` metres in (left, up, forward) axes of a person facing forward at yaw 0,
        the lowest foot at ``up = lift``. Holds the joints of :data:`BODY` and a few points on the
        surface (``chest_front``, ``belly_front``, ``hair``, ``skull``, ...) for drawing.
    """
    unit = build.height_m / 1.72
    wide, long = unit * build.width, unit * build.limbs

    def angle(name: str) -> Array:
        return angles[:, _INDEX[name]]

    root = rotation(1, angle("yaw")) @ rotation(0, angle("pitch")) @ rotation(2, angle("roll"))
    spine = root @ rotation(0, angle("bend") / 2) @ rotation(2, angle("side") / 2)
    chest = (
        spine
        @ rotation(0, angle("bend") / 2)
        @ rotation(2, angle("side") / 2)
        @ rotation(1, angle("twist"))
    )
    head = chest @ rotation(0, angle("nod")) @ rotation(1, angle("turn"))
    points: dict[str, Array] = {"pelvis": np.zeros((len(angles), 3))}

    def put(name: str, start: str, frame: Array, left: float, up: float, forward: float) -> None:
        points[name] = points[start] + frame @ np.array([left, up, forward])

    put("spine", "pelvis", spine, 0, 0.23 * unit, 0)
    put("thorax", "spine", chest, 0, 0.22 * unit, 0)
    put("neck", "thorax", chest, 0, 0.05 * unit, 0)
    _trunk_surface(points, put, root, chest, unit, wide)
    _head(points, put, chest, head, unit)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        _arm(points, put, chest, angle, side, sign, wide, long)
        _leg(points, put, root, angle, side, sign, wide, long)
    for copy, name in (("chest", "thorax"), ("upper_neck", "head_bottom"), ("face", "nose")):
        points[copy] = points[name]
    points["belly"] = points["spine"]
    feet = [
        points[f"{s}_{n}"][:, 1] for s in ("left", "right") for n in ("heel", "big_toe", "hand")
    ]
    floor = angle("lift") - np.min(np.stack([*feet, points["head_top"][:, 1]]), axis=0)
    for name, xyz in points.items():
        points[name] = xyz + np.stack([0 * floor, floor, 0 * floor], -1)
    return points


Put = Callable[[str, str, Array, float, float, float], None]


def _trunk_surface(
    points: dict[str, Array], put: Put, root: Array, chest: Array, unit: float, wide: float
) -> None:
    put("chest_front", "thorax", chest, 0, -0.04 * unit, 0.12 * wide)
    put("belly_front", "spine", chest, 0, -0.06 * unit, 0.115 * wide)
    put("belt_front", "pelvis", root, 0, 0.03 * unit, 0.12 * wide)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        put(f"{side}_rib", "thorax", chest, sign * 0.085 * wide, -0.03 * unit, 0)
        put(f"{side}_waist", "pelvis", root, sign * 0.075 * wide, 0.02 * unit, 0)


def _head(points: dict[str, Array], put: Put, chest: Array, head: Array, unit: float) -> None:
    put("head_bottom", "neck", chest, 0, 0.07 * unit, 0.01 * unit)
    put("neck_nose", "head_bottom", head, 0, 0.05 * unit, 0.05 * unit)
    put("head", "head_bottom", head, 0, 0.11 * unit, 0.02 * unit)
    put("head_top", "head", head, 0, 0.125 * unit, 0)
    put("nose", "head", head, 0, -0.015 * unit, 0.105 * unit)
    put("skull", "head", head, 0, 0.02 * unit, 0)
    put("jaw", "head", head, 0, -0.05 * unit, 0.02 * unit)
    put("hair", "head", head, 0, 0.035 * unit, -0.022 * unit)
    put("nape", "head", head, 0, -0.03 * unit, -0.035 * unit)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        put(f"{side}_eye", "head", head, sign * 0.035 * unit, 0.02 * unit, 0.09 * unit)
        put(f"{side}_ear", "head", head, sign * 0.085 * unit, 0, 0)


def _arm(
    points: dict[str, Array],
    put: Put,
    chest: Array,
    angle: Callable[[str], Array],
    side: str,
    sign: float,
    wide: float,
    long: float,
) -> None:
    upper = (
        chest
        @ rotation(2, sign * angle(f"{side}_arm_raise"))
        @ rotation(0, -angle(f"{side}_arm_swing"))
        @ rotation(1, sign * angle(f"{side}_arm_twist"))
    )
    lower = upper @ rotation(0, -angle(f"{side}_elbow"))
    put(f"{side}_shoulder", "thorax", chest, sign * 0.17 * wide, 0.01, 0)
    put(f"{side}_elbow", f"{side}_shoulder", upper, 0, -0.28 * long, 0)
    put(f"{side}_wrist", f"{side}_elbow", lower, 0, -0.25 * long, 0)
    put(f"{side}_hand", f"{side}_wrist", lower, 0, -0.09 * long, 0)


def _leg(
    points: dict[str, Array],
    put: Put,
    root: Array,
    angle: Callable[[str], Array],
    side: str,
    sign: float,
    wide: float,
    long: float,
) -> None:
    upper = (
        root
        @ rotation(2, sign * angle(f"{side}_leg_raise"))
        @ rotation(0, -angle(f"{side}_leg_swing"))
        @ rotation(1, sign * angle(f"{side}_leg_twist"))
    )
    lower = upper @ rotation(0, angle(f"{side}_knee"))
    foot = lower @ rotation(0, angle(f"{side}_foot"))
    put(f"{side}_hip", "pelvis", root, sign * 0.095 * wide, -0.02, 0)
    put(f"{side}_knee", f"{side}_hip", upper, 0, -0.42 * long, 0)
    put(f"{side}_ankle", f"{side}_knee", lower, 0, -0.41 * long, 0)
    put(f"{side}_heel", f"{side}_ankle", foot, 0, -0.06 * long, -0.05 * long)
    put(f"{side}_big_toe", f"{side}_ankle", foot, sign * 0.02, -0.065 * long, 0.18 * long)


@dataclass(frozen=True, kw_only=True)
class Motion:
    """One person's way of moving; all numbers are drawn once from a generator.

    Args:
        kind: A name of :data:`MOTIONS`.
        seed: Decides the key poses of ``"poses"``.
        rate_hz: Cycles a second.
        phase: Where in the cycle time 0 falls, radians.
        strength: Factor on the size of the movement, about 1.
    """

    kind: str
    seed: int
    rate_hz: float = 0.9
    phase: float = 0.0
    strength: float = 1.0

    def angles(self, time_s: Array) -> Array:
        """``(T, len(ANGLES))`` at the given times, seconds."""
        out = np.zeros((len(time_s), len(ANGLES)))
        MOTIONS[self.kind](self, np.asarray(time_s, np.float64), out)
        breath = 0.03 * np.sin(2 * np.pi * 0.3 * time_s + self.phase)
        out[:, _INDEX["bend"]] += breath
        out[:, _INDEX["turn"]] += 0.25 * np.sin(0.9 * time_s + 2 * self.phase)
        return out

    def cycle(self, time_s: Array) -> Array:
        """Phase of the cycle, radians."""
        return 2 * np.pi * self.rate_hz * time_s + self.phase


def _set(out: Array, values: Mapping[str, Array | float]) -> None:
    for name, value in values.items():
        out[:, _INDEX[name]] = value


def _walk(motion: Motion, time_s: Array, out: Array) -> None:
    phase, s = motion.cycle(time_s), motion.strength
    for side, shift in (("left", 0.0), ("right", np.pi)):
        p = phase + shift
        _set(
            out,
            {
                f"{side}_leg_swing": 0.5 * s * np.sin(p) + 0.05,
                f"{side}_knee": 0.15 + 0.55 * s * np.clip(np.sin(p + 1.9), 0, None),
                f"{side}_foot": -0.25 * np.sin(p + 0.6),
                f"{side}_arm_swing": -0.55 * s * np.sin(p),
                f"{side}_arm_raise": 0.12,
                f"{side}_elbow": 0.35 + 0.25 * s * (1 - np.sin(p)),
            },
        )
    _set(out, {"bend": 0.06 * s, "twist": -0.12 * np.sin(phase), "lift": 0.0})


def _run(motion: Motion, time_s: Array, out: Array) -> None:
    phase, s = motion.cycle(time_s) * 1.6, motion.strength
    for side, shift in (("left", 0.0), ("right", np.pi)):
        p = phase + shift
        _set(
            out,
            {
                f"{side}_leg_swing": 0.25 + 0.75 * s * np.sin(p),
                f"{side}_knee": 0.3 + 0.75 * s * (1 + np.sin(p + 2.2)),
                f"{side}_arm_swing": -0.8 * s * np.sin(p),
                f"{side}_arm_raise": 0.2,
                f"{side}_elbow": 1.5,
            },
        )
    _set(out, {"bend": 0.2, "twist": -0.2 * np.sin(phase), "lift": 0.06 * (1 + np.sin(2 * phase))})


def _wave(motion: Motion, time_s: Array, out: Array) -> None:
    phase, s = motion.cycle(time_s), motion.strength
    for side, shift in (("left", 0.0), ("right", 1.3)):
        p = phase + shift
        _set(
            out,
            {
                f"{side}_arm_raise": 1.5 + 1.1 * s * np.sin(0.6 * p),
                f"{side}_arm_swing": 0.4 * np.sin(0.5 * p),
                f"{side}_elbow": 0.7 + 0.6 * s * np.sin(1.7 * p),
                f"{side}_leg_raise": 0.1,
                f"{side}_knee": 0.08,
            },
        )
    _set(out, {"side": 0.12 * np.sin(phase), "roll": 0.04 * np.sin(phase)})


def _jump(motion: Motion, time_s: Array, out: Array) -> None:
    up = np.sin(motion.cycle(time_s))
    squat, air = np.clip(-up, 0, None), np.clip(up, 0, None)
    s = motion.strength
    for side in ("left", "right"):
        _set(
            out,
            {
                f"{side}_leg_swing": 1.1 * s * squat,
                f"{side}_knee": 0.05 + 1.9 * s * squat,
                f"{side}_leg_raise": 0.08 + 0.45 * s * air,
                f"{side}_arm_raise": 0.15 + 2.3 * s * air,
                f"{side}_arm_swing": -0.7 * squat,
                f"{side}_elbow": 0.2 + 0.5 * squat,
            },
        )
    _set(out, {"bend": 0.7 * squat, "lift": 0.35 * s * air})


def _stoop(motion: Motion, time_s: Array, out: Array) -> None:
    down = 0.5 - 0.5 * np.cos(motion.cycle(time_s) * 0.6)
    s = motion.strength
    for side in ("left", "right"):
        _set(
            out,
            {
                f"{side}_leg_swing": 0.35 * down,
                f"{side}_knee": 0.1 + 0.6 * down,
                f"{side}_arm_swing": 0.2 + 1.3 * s * down,
                f"{side}_arm_raise": 0.15,
                f"{side}_elbow": 0.3,
            },
        )
    _set(out, {"bend": 1.5 * s * down, "pitch": 0.35 * s * down, "nod": -0.3 * down})


_POSE_LIMITS: dict[str, tuple[float, float]] = {
    "bend": (-0.4, 1.2), "side": (-0.5, 0.5), "twist": (-0.6, 0.6), "nod": (-0.4, 0.5),
    "turn": (-0.7, 0.7), "arm_swing": (-0.8, 2.6), "arm_raise": (0.0, 2.6),
    "arm_twist": (-1.2, 1.2), "elbow": (0.0, 2.3), "leg_swing": (-0.6, 1.7),
    "leg_raise": (-0.1, 0.9), "leg_twist": (-0.4, 0.4), "knee": (0.0, 2.1), "foot": (-0.5, 0.4),
}  # fmt: skip


def _key_pose(seed: int, number: int) -> Array:
    rng = np.random.default_rng([seed, number + 1_000_000])
    pose = np.zeros(len(ANGLES))
    for name, i in _INDEX.items():
        limits = _POSE_LIMITS.get(name.removeprefix("left_").removeprefix("right_"))
        if limits is not None:
            middle = np.clip(0.1, *limits)
            pose[i] = middle + (rng.uniform(*limits) - middle) * rng.random() ** 0.5
    if rng.random() < 0.25:
        pose[_INDEX["pitch"]], pose[_INDEX["roll"]] = rng.uniform(-1.5, 1.5), rng.uniform(-2.5, 2.5)
    pose[_INDEX["lift"]] = max(0.0, rng.uniform(-0.4, 0.3))
    return pose


def _poses(motion: Motion, time_s: Array, out: Array) -> None:
    place = motion.cycle(time_s) / (2 * np.pi)
    number = np.floor(place).astype(int)
    share = place - number
    ease = (share**2 * (3 - 2 * share))[:, None]
    known = {int(k): _key_pose(motion.seed, int(k)) for n in np.unique(number) for k in (n, n + 1)}
    start = np.stack([known[int(n)] for n in number])
    end = np.stack([known[int(n) + 1] for n in number])
    out += start + (end - start) * ease


MOTIONS: dict[str, Callable[[Motion, Array, Array], None]] = {
    "walk": _walk, "run": _run, "wave": _wave, "jump": _jump, "stoop": _stoop, "poses": _poses,
}  # fmt: skip
"""Name -> function that fills in the angles."""
