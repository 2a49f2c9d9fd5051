"""Motion without any file: people who walk, run, wave, squat, sit down, dance.

Feet are planted by construction and limbs keep their lengths, so that everything that learns or is
tested on generated video works where no motion capture may be used. It is less varied than people
are: prefer :mod:`chronopose.synth.mocap` where its terms allow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy.interpolate import PchipInterpolator

from chronopose.errors import UsageError
from chronopose.synth._figure import BALL_M, Controls, Proportions, joints
from chronopose.synth._steps import RUN_PITCH, WALK_PITCH, Gait, periodic, step_feet
from chronopose.synth._turns import Array, smoothstep
from chronopose.synth.motion import PROCEDURAL, Motion

Split = Literal["train", "test"]

_PARTS = {"train": (0.0, 0.7), "test": (0.78, 1.0)}


class Dice:
    """Random style; the two splits never throw the same value.

    Args:
        rng: Where randomness comes from.
        split: Which part of every range is thrown.
    """

    def __init__(self, rng: np.random.Generator, split: Split) -> None:
        self.rng = rng
        self._low, self._high = _PARTS[split]

    def __call__(self, low: float, high: float) -> float:
        """A value of the split's part of [low, high]."""
        part = self._low + (self._high - self._low) * self.rng.random()
        return float(low + part * (high - low))

    def sign(self) -> int:
        """-1 or 1, in either split."""
        return int(self.rng.integers(2)) * 2 - 1

    def phase(self) -> float:
        """[0, 2 pi), in either split."""
        return float(self.rng.uniform(0, 2 * np.pi))


def _keyed(time_s: Array, keys: list[tuple[float, float]]) -> Array:
    """A smooth curve through ``(seconds, value)``, held at the ends."""
    at = np.array(keys)
    found: Array = PchipInterpolator(at[:, 0], at[:, 1])(np.clip(time_s, at[0, 0], at[-1, 0]))
    return found


def _repeated(time_s: Array, period_s: float, rise: float, hold: float, phase: float) -> Array:
    """0 to 1 and back again and again: ``rise`` and ``hold`` are parts of the period."""
    part = np.mod(time_s / period_s + phase, 1)
    down = smoothstep(part, rise + hold, min(2 * rise + hold, 1.0))
    return smoothstep(part, 0.0, rise) - down


def _go(
    size: Proportions, dice: Dice, time_s: Array, gait: Gait, *, run: float, low: float
) -> Controls:
    """Walking, running and what lies between; ``run`` in [0, 1], ``low`` metres of crouching."""
    made = Controls.standing(size, len(time_s), gait.spread_m, gait.toe_out)
    phase = 2 * np.pi * step_feet(size, made, gait, time_s)
    middle = 2 * np.pi * gait.stance
    bob = dice(0.012, 0.03) * (1 - run) - dice(0.03, 0.055) * run
    made.hips[:, 2] += bob * (np.cos(2 * phase - middle) - 1) - low - 0.05 * size.leg * run
    sway = dice(0.008, 0.03) * np.cos(phase - middle / 2) * (gait.spread_m > 0)
    made.hips[:, 0] += sway * np.cos(made.yaw)
    made.hips[:, 1] += sway * np.sin(made.yaw)
    swing = dice(0.04, 0.14)
    made.pelvis[:, 2] = -swing * np.cos(phase)
    made.pelvis[:, 1] = dice(0.0, 0.06) * np.cos(phase - middle / 2)
    made.chest[:, 2] = dice(0.5, 1.2) * swing * np.cos(phase)
    made.chest[:, 0] = dice(0.0, 0.08) + 0.2 * run
    made.head[:, 0] = dice(-0.05, 0.12)
    made.head[:, 1] = dice(0.0, 0.35) * np.sin(time_s * dice(0.4, 1.2) + dice.phase())
    reach, base = dice(0.2, 0.6) + 0.25 * run, dice(0.1, 0.4) + 1.2 * run
    for place, sign in ((0, -1), (1, 1)):
        ahead = sign * np.cos(phase)
        made.arm[:, place, 0] = reach * ahead + 0.02 - 0.1 * run
        made.arm[:, place, 1] = dice(0.08, 0.25)
        made.arm[:, place, 2] = -dice(0.0, 0.4)
        made.arm[:, place, 3] = base + dice(0.1, 0.35) * (1 + ahead) / 2
    return made


def _walk(size: Proportions, dice: Dice, time_s: Array) -> Controls:
    speed = dice(0.8, 1.7)
    gait = Gait(
        period_s=(1.35 - 0.24 * speed) * dice(0.95, 1.1), stance=0.62,
        speed=speed * size.leg / 0.88, turning=dice.sign() * dice(0.0, 0.3),
        spread_m=dice(0.08, 0.2), lift_m=dice(0.04, 0.1),
        pitch=WALK_PITCH, toe_out=dice(0.0, 0.25), start=dice.rng.random(), heading=dice.phase(),
    )  # fmt: skip
    return _go(size, dice, time_s, gait, run=0.0, low=0.0)


def _run(size: Proportions, dice: Dice, time_s: Array) -> Controls:
    gait = Gait(
        period_s=dice(0.65, 0.8), stance=0.36, speed=dice(2.2, 4.0) * size.leg / 0.88,
        turning=dice.sign() * dice(0.0, 0.4), spread_m=dice(0.04, 0.12), lift_m=dice(0.22, 0.4),
        pitch=RUN_PITCH, toe_out=dice(0.0, 0.15), start=dice.rng.random(), heading=dice.phase(),
    )  # fmt: skip
    return _go(size, dice, time_s, gait, run=1.0, low=0.0)


def _crouch(size: Proportions, dice: Dice, time_s: Array) -> Controls:
    gait = Gait(
        period_s=dice(1.1, 1.6), stance=0.66, speed=dice(0.3, 0.8), turning=dice(-0.3, 0.3),
        spread_m=dice(0.16, 0.3), lift_m=dice(0.05, 0.1), pitch=WALK_PITCH,
        toe_out=dice(0.1, 0.4), start=dice.rng.random(), heading=dice.phase(),
    )  # fmt: skip
    made = _go(size, dice, time_s, gait, run=0.0, low=dice(0.2, 0.36) * size.leg)
    made.pelvis[:, 0] += dice(0.2, 0.5)
    made.chest[:, 0] += dice(0.35, 0.8)
    made.head[:, 0] += dice(0.0, 0.3)
    made.arm[:, :, 0] += dice(0.2, 0.8)
    made.arm[:, :, 3] += dice(0.2, 0.8)
    return made


def _turn(size: Proportions, dice: Dice, time_s: Array) -> Controls:
    gait = Gait(
        period_s=dice(0.9, 1.2), stance=0.68, speed=0.0, turning=dice.sign() * dice(0.6, 1.6),
        spread_m=dice(0.16, 0.28), lift_m=dice(0.04, 0.09),
        pitch=((0.0, 0.0), (0.5, 0.0), (0.72, 0.4), (0.95, 0.0)), toe_out=dice(0.05, 0.25),
        start=dice.rng.random(), heading=dice.phase(),
    )  # fmt: skip
    made = _go(size, dice, time_s, gait, run=0.0, low=0.01)
    made.arm[:, :, 0] *= 0.4
    made.head[:, 1] += 0.35 * np.sign(gait.turning)
    return made


def _idle(size: Proportions, dice: Dice, time_s: Array) -> Controls:
    made = Controls.standing(size, len(time_s), dice(0.14, 0.42), dice(0.0, 0.35))
    slow, weight = dice(0.5, 1.1), dice(0.01, 0.045)
    shift = np.tanh(2 * np.sin(time_s * slow + dice.phase()))
    made.hips[:, 0] = weight * shift
    made.hips[:, 1] = 0.012 * np.sin(time_s * 1.7 * slow + dice.phase())
    made.hips[:, 2] -= dice(0.0, 0.01) * size.leg
    made.pelvis[:, 1] = -dice(0.0, 0.09) * shift
    made.pelvis[:, 2] = dice(0.0, 0.1) * np.sin(time_s * slow * 0.7 + dice.phase())
    made.chest[:, 0] = dice(0.0, 0.1) + 0.015 * np.sin(time_s * 1.6)
    made.chest[:, 1] = -0.6 * made.pelvis[:, 1]
    made.chest[:, 2] = dice(0.0, 0.25) * np.sin(time_s * slow * 0.8 + dice.phase())
    made.head[:, 0] = dice(-0.05, 0.2) + 0.05 * np.sin(time_s * 1.3 + dice.phase())
    made.head[:, 1] = dice(0.1, 0.7) * np.tanh(1.5 * np.sin(time_s * dice(0.5, 1) + dice.phase()))
    for place in range(2):
        made.arm[:, place, 0] = dice(-0.05, 0.2) + 0.05 * np.sin(time_s * slow + dice.phase())
        made.arm[:, place, 1] = dice(0.08, 0.25)
        made.arm[:, place, 2] = -dice(0.0, 0.5)
        made.arm[:, place, 3] = dice(0.1, 0.7) + 0.06 * np.sin(time_s * 1.2 + dice.phase())
    return made


def _wave(size: Proportions, dice: Dice, time_s: Array) -> Controls:
    made = _idle(size, dice, time_s)
    side, lasts = int(dice.rng.integers(2)), dice(2.5, 5.0)
    up = _repeated(time_s, lasts, 0.2, 0.5, dice.rng.random())[:, None]
    beat = np.sin(time_s * dice(5.0, 10.0))
    aim = np.stack(np.broadcast_arrays(
        dice(0.1, 0.5), dice(1.1, 1.9), dice(1.2, 1.7), 1.1 + dice(0.25, 0.5) * beat,
    ), -1)  # fmt: skip
    made.arm[:, side] += up * (aim - made.arm[:, side])
    made.wrist[:, side] = 0.3 * up[:, 0] * beat
    return made


def _squat(size: Proportions, dice: Dice, time_s: Array) -> Controls:
    made = _idle(size, dice, time_s)
    made.ball[:, 0, 0] = 0.5 * dice(0.28, 0.5)
    made.ball[:, 1, 0] = -made.ball[:, 0, 0]
    down = _repeated(time_s, dice(2.0, 3.6), 0.35, 0.12, dice.rng.random())
    made.hips[:, 2] -= down * dice(0.3, 0.6) * size.leg
    made.hips[:, 1] += down * dice(0.18, 0.26)
    made.pelvis[:, 0] += down * dice(0.3, 0.6)
    made.chest[:, 0] += down * dice(0.35, 0.7)
    forward = dice(0.3, 1.5)
    for place in range(2):
        made.arm[:, place, 0] += down * forward
        made.arm[:, place, 3] *= 1 - 0.5 * down
    return made


def _reach(size: Proportions, dice: Dice, time_s: Array) -> Controls:
    made = _idle(size, dice, time_s)
    side, sign = (0, 1) if dice.sign() > 0 else (1, -1)
    out = _repeated(time_s, dice(2.0, 4.0), 0.3, 0.2, dice.rng.random())
    height, aside = dice(0.3, 2.6), dice(-0.2, 0.7)
    bow = max(0.0, 1.0 - height) * dice(0.5, 1.0)
    aim = np.array([height, aside, 0.0, dice(0.05, 0.3)])
    made.arm[:, side] += out[:, None] * (aim - made.arm[:, side])
    made.chest[:, 2] -= sign * out * dice(0.1, 0.5)
    made.chest[:, 0] += out * (0.1 + bow)
    made.pelvis[:, 0] += out * 0.6 * bow
    made.hips[:, 1] += out * 0.15 * bow
    made.hips[:, 2] -= out * 0.15 * bow * size.leg
    made.head[:, 0] += out * np.clip(0.8 - 0.6 * height, -0.5, 0.5)
    return made


def _jumping_jack(size: Proportions, dice: Dice, time_s: Array) -> Controls:
    made = _idle(size, dice, time_s)
    period = dice(0.95, 1.4)
    part = np.mod(time_s / period + dice.rng.random(), 1)
    out = smoothstep(part, 0.1, 0.4) - smoothstep(part, 0.6, 0.9)
    hop = np.sin(np.pi * np.clip((part - 0.1) / 0.3, 0, 1))
    hop = hop + np.sin(np.pi * np.clip((part - 0.6) / 0.3, 0, 1))
    near, wide, high = 0.05, dice(0.26, 0.4), dice(0.05, 0.12)
    for place, sign in ((0, 1), (1, -1)):
        made.ball[:, place, 0] = sign * (near + (wide - near) * out + 0.04)
        made.ball[:, place, 2] = BALL_M + high * hop
        made.foot[:, place, 1] = 0.7 * hop
        made.arm[:, place, 0] = 0.1
        made.arm[:, place, 1] = 0.15 + dice(2.2, 2.8) * out
        made.arm[:, place, 2] = 1.2 * out
        made.arm[:, place, 3] = 0.25
    made.hips[:, :2] = 0
    made.hips[:, 2] = size.stand + 0.9 * high * hop - 0.03 * size.leg * (1 - hop)
    return made


def _sit(size: Proportions, dice: Dice, time_s: Array) -> Controls:
    made = _idle(size, dice, time_s)
    lasts = float(time_s[-1])
    away, rise = dice(0.1, 0.3) * lasts, dice(0.9, 1.6)
    up = max(lasts - away * 0.5 - rise, away + rise + 0.2)
    keys = [(0.0, 0.0), (away, 0.0), (away + rise, 1.0), (up, 1.0), (up + rise, 0.0)]
    down = _keyed(time_s, keys)
    seat = size.ankle + size.shin * dice(0.95, 1.08)
    moving = np.sin(np.pi * down)
    made.hips[:, 2] += down * (seat - made.hips[:, 2])
    made.hips[:, 1] += down * (0.9 * size.thigh)
    made.pelvis[:, 0] += 0.35 * moving - 0.1 * down
    made.chest[:, 0] += dice(0.5, 0.8) * moving + dice(-0.05, 0.2) * down
    made.arm[:, :, 0] += dice(0.3, 0.8) * down[:, None]
    made.arm[:, :, 3] += dice(0.3, 0.9) * down[:, None]
    return made


def _kick(size: Proportions, dice: Dice, time_s: Array) -> Controls:
    made = _idle(size, dice, time_s)
    leg, sign = (0, 1) if dice.sign() > 0 else (1, -1)
    part = np.mod(time_s / dice(1.8, 2.8) + dice.rng.random(), 1)
    lean = smoothstep(part, 0.0, 0.15) - smoothstep(part, 0.8, 1.0)
    back = np.sin(np.pi * np.clip((part - 0.1) / 0.25, 0, 1)) ** 2
    out = smoothstep(part, 0.28, 0.45) - smoothstep(part, 0.5, 0.75)
    far, high = dice(0.5, 0.8) * size.leg, dice(0.3, 1.0) * size.leg
    stand = made.ball[:, 1 - leg]
    made.hips[:, 0] += lean * (stand[:, 0] - made.hips[:, 0])
    made.hips[:, 2] -= 0.02 * size.leg * lean
    made.ball[:, leg, 0] += lean * (-sign * 0.06)
    made.ball[:, leg, 1] += 0.3 * back - far * out
    made.ball[:, leg, 2] += 0.1 * lean + 0.18 * back + high * out
    made.foot[:, leg, 1] += 0.7 * back + 0.2 * out
    made.pelvis[:, 0] -= 0.25 * out
    made.chest[:, 0] += 0.15 * back - dice(0.1, 0.35) * out
    made.chest[:, 2] += sign * dice(0.1, 0.5) * (out - back)
    made.arm[:, :, 1] += dice(0.2, 0.7) * lean[:, None]
    made.arm[:, :, 3] += dice(0.2, 1.2) * lean[:, None]
    made.arm[:, 1 - leg, 0] += 0.6 * out
    return made


def _dance(size: Proportions, dice: Dice, time_s: Array) -> Controls:
    beat = dice(0.45, 0.75)
    gait = Gait(
        period_s=2 * beat, stance=0.7, speed=0.0, turning=dice.sign() * dice(0.0, 0.8),
        spread_m=dice(0.18, 0.34), lift_m=dice(0.03, 0.14),
        pitch=((0.0, 0.1), (0.1, 0.0), (0.45, 0.0), (0.72, dice(0.2, 0.8)), (0.95, 0.2)),
        toe_out=dice(0.1, 0.3), start=dice.rng.random(), heading=dice.phase(),
    )  # fmt: skip
    made = _go(size, dice, time_s, gait, run=0.0, low=dice(0.03, 0.1) * size.leg)
    phase = time_s / beat
    made.hips[:, 2] -= 0.02 * (1 + np.cos(2 * np.pi * phase))
    made.pelvis[:, 1] += dice(0.06, 0.2) * np.cos(np.pi * phase)
    made.pelvis[:, 2] += dice(0.1, 0.3) * np.sin(np.pi * phase)
    made.chest[:, 1] -= 0.6 * made.pelvis[:, 1]
    made.chest[:, 2] -= dice(0.0, 0.4) * np.sin(np.pi * phase)
    count = int(np.ceil(time_s[-1] / (2 * beat))) + 2
    cycle = np.arange(count) * 2 * beat
    for place in range(2):
        for which, (low, high) in enumerate(((-0.3, 1.6), (0.15, 1.7), (-0.6, 1.2), (0.3, 1.9))):
            keys = [(float(at), dice(low, high)) for at in cycle]
            made.arm[:, place, which] = _keyed(time_s, keys)
    made.head[:, 1] += 0.3 * periodic(((0.0, -1.0), (0.5, 1.0)), phase / 4)
    return made


_KINDS: dict[str, Callable[[Proportions, Dice, Array], Controls]] = {
    "walk": _walk, "run": _run, "crouch": _crouch, "turn": _turn, "idle": _idle, "wave": _wave,
    "squat": _squat, "reach": _reach, "jumping_jack": _jumping_jack, "sit": _sit, "kick": _kick,
    "dance": _dance,
}  # fmt: skip

KINDS = tuple(_KINDS)
"""What :func:`procedural_motion` knows."""


def procedural_motion(
    kind: str, seed: int, seconds: float, fps: float = 30.0, *, split: Split = "train"
) -> Motion:
    """Someone who walks, waves, sits down, ...

    Args:
        kind: One of :data:`KINDS`.
        seed: Another seed, another person with another style; the same seed, the same numbers.
        seconds: Length, above 0.
        fps: Frames per second.
        split: ``"train"`` and ``"test"`` draw every trait of style from parts of its range that
            do not overlap.

    Returns:
        A motion of the subject ``procedural``, which needs no calibration of its trunk.

    Raises:
        UsageError: no such kind or split, or no positive length or rate.
    """
    if kind not in _KINDS or split not in _PARTS:
        raise UsageError(
            f"There is no motion {kind!r} for {split!r}. Kinds: {', '.join(KINDS)}; "
            f"splits: {', '.join(_PARTS)}."
        )
    if not (seconds > 0 and fps > 0 and np.isfinite(seconds * fps)):
        raise UsageError(f"A motion needs seconds and fps above 0; got {seconds} and {fps}.")
    rng = np.random.default_rng([KINDS.index(kind), seed, tuple(_PARTS).index(split)])
    time_s = np.arange(max(round(seconds * fps), 2)) / fps
    size = Proportions.draw(rng)
    xyz = joints(size, _KINDS[kind](size, Dice(rng, split), time_s))
    name = f"{PROCEDURAL}/{kind}-{seed}" + ("" if split == "train" else f"-{split}")
    return Motion(name, PROCEDURAL, xyz.astype(np.float32), time_s)
