"""The looks of generated people: where they stand, what they wear, what capsules they are.

Left and right wear the same, as in reality; what tells them apart is the front of the body: face,
hair, buttons, belt buckle, toes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronopose.data.body import MOTIONS, Build, Motion
from chronopose.data.raster import Capsule
from chronopose.data.scenery import Camera
from chronopose.errors import UsageError

Rng = np.random.Generator

Part = tuple[str, str, float, float, str]

_LIMBS: tuple[Part, ...] = (
    ("{}_hip", "{}_knee", 0.088, 0.06, "legs"),
    ("{}_knee", "{}_ankle", 0.058, 0.042, "shins"),
    ("{}_heel", "{}_big_toe", 0.04, 0.036, "shoes"),
    ("{}_ankle", "{}_heel", 0.045, 0.04, "shoes"),
    ("{}_shoulder", "{}_elbow", 0.058, 0.046, "arms"),
    ("{}_elbow", "{}_wrist", 0.044, 0.034, "forearms"),
    ("{}_wrist", "{}_hand", 0.036, 0.036, "skin"),
    ("{}_rib", "{}_waist", 0.115, 0.105, "top"),
    ("{}_rib", "{}_shoulder", 0.095, 0.062, "top"),
    ("{}_waist", "{}_hip", 0.1, 0.09, "hips"),
    ("{}_eye", "{}_eye", 0.014, 0.014, "eyes"),
    ("{}_ear", "{}_ear", 0.022, 0.022, "skin"),
)
_TRUNK: tuple[Part, ...] = (
    ("thorax", "pelvis", 0.12, 0.11, "top"),
    ("neck", "head_bottom", 0.055, 0.052, "skin"),
    ("jaw", "skull", 0.082, 0.1, "skin"),
    ("nape", "hair", 0.085, 0.108, "hair"),
    ("nose", "nose", 0.017, 0.017, "nose"),
    ("chest_front", "belly_front", 0.016, 0.016, "zip"),
    ("belt_front", "belt_front", 0.03, 0.03, "buckle"),
)
PARTS: tuple[Part, ...] = _TRUNK + tuple(
    (a.format(side), b.format(side), start, end, cloth)
    for a, b, start, end, cloth in _LIMBS
    for side in ("left", "right")
)
"""Capsules of a body: two points, two radii (metres, at 1.72 m height), piece of clothing."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """One generated person.

    Args:
        build: Proportions.
        motion: How they move.
        colours: Piece of clothing -> RGB 0..255.
        stripes: Piece of clothing -> bands along each part.
        depth_m: Distance from the camera.
        centre_x_m: Where they are on average, metres to the right of the camera.
        ground_m: Height of the ground below the camera.
        reach_m: How far they wander to each side.
        wander_hz: How often.
        phase: Where they are at time 0, radians.
        yaw: Direction they face when standing; 0 faces the camera.
        turn_hz: How often they turn round when standing.
    """

    build: Build
    motion: Motion
    colours: dict[str, NDArray[np.float64]]
    stripes: dict[str, float]
    depth_m: float
    centre_x_m: float
    ground_m: float
    reach_m: float
    wander_hz: float
    phase: float
    yaw: float
    turn_hz: float

    def path(self, times: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """``(T, 3)`` point on the ground, metres in camera axes, and ``(T,)`` yaw, radians.

        Walkers face where they go; others turn slowly.
        """
        angle = 2 * np.pi * self.wander_hz * times + self.phase
        x = self.centre_x_m + self.reach_m * np.sin(angle)
        z = self.depth_m * (1 + 0.1 * np.cos(1.3 * angle + self.phase))
        base = np.stack([x, np.full_like(x, self.ground_m), z], -1)
        if self.motion.kind in ("walk", "run"):
            facing = np.pi / 2 * np.tanh(3 * np.cos(angle))
            return base, facing + 0.3 * np.sin(self.yaw)
        return base, self.yaw + 0.8 * np.sin(2 * np.pi * self.turn_hz * times + self.phase)


def draw_people(
    rng: Rng,
    count: int,
    motions: tuple[str, ...] | None,
    fill: tuple[float, float],
    spread: float,
    camera: Camera,
) -> list[Person]:
    """Draw people who stand apart in depth, so that they can cross without touching.

    Raises:
        UsageError: a kind of motion does not exist.
    """
    kinds = tuple(MOTIONS) if motions is None else motions
    unknown = [k for k in kinds if k not in MOTIONS]
    if unknown or not kinds:
        raise UsageError(f"No motion {unknown or kinds!r}: choose from {', '.join(MOTIONS)}.")
    people = []
    for place in range(count):
        height = float(rng.uniform(1.5, 1.95))
        share = rng.uniform(*fill) * 0.94**place
        depth = height * camera.focal_px / (share * camera.size[1])
        half_width = camera.size[0] / 2 * depth / camera.focal_px
        clothes, stripes = _dress(rng)
        lane = 0.0 if count == 1 else (place + 0.5) / count * 2 - 1
        people.append(
            Person(
                build=Build(
                    height_m=height,
                    width=float(rng.uniform(0.88, 1.2)),
                    limbs=float(rng.uniform(0.94, 1.07)),
                ),
                motion=Motion(
                    kind=str(rng.choice(kinds)),
                    seed=int(rng.integers(0, 2**31)),
                    rate_hz=float(rng.uniform(0.6, 1.2)),
                    phase=float(rng.uniform(0, 2 * np.pi)),
                    strength=float(rng.uniform(0.7, 1.2)),
                ),
                colours=clothes,
                stripes=stripes,
                depth_m=float(depth),
                centre_x_m=float(half_width * (lane * 0.55 + rng.uniform(-spread, spread) / 2)),
                ground_m=_ground(rng, camera, height, depth),
                reach_m=float(half_width * 2 * spread * rng.random()),
                wander_hz=float(rng.uniform(0.04, 0.12)),
                phase=float(rng.uniform(0, 2 * np.pi)),
                yaw=float(rng.uniform(-np.pi, np.pi)),
                turn_hz=float(rng.uniform(0.02, 0.15)),
            )
        )
    return people


def _ground(rng: Rng, camera: Camera, height: float, depth: float) -> float:
    """Ground level that puts the standing person's middle near the middle of the picture."""
    visible = camera.size[1] * depth / camera.focal_px
    return float(height / 2 + visible * rng.uniform(-0.02, 0.06))


def _dress(rng: Rng) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
    skin = np.array([232.0, 190.0, 160.0]) * rng.uniform(0.35, 1.05) * rng.uniform(0.93, 1.07, 3)
    top, legs = rng.uniform(15, 245, 3), rng.uniform(15, 220, 3)
    if rng.random() < 0.2:
        legs = top * rng.uniform(0.7, 1.2)
    sleeves, trousers = rng.random(), rng.random()
    colours = {
        "skin": skin,
        "nose": skin * 0.86,
        "eyes": np.full(3, 25.0),
        "hair": rng.choice([[30, 24, 20], [90, 60, 35], [205, 170, 100], [150, 150, 150]])
        * rng.uniform(0.8, 1.2),
        "top": top,
        "hips": legs,
        "legs": legs,
        "arms": top if sleeves < 0.8 else skin,
        "forearms": top if sleeves < 0.4 else skin,
        "shins": legs if trousers < 0.6 else skin,
        "shoes": rng.uniform(10, 250, 3),
        "zip": np.clip(255 - top, 0, 255),
        "buckle": np.array([215.0, 205.0, 130.0]),
    }
    stripes = {"top": 4.0} if rng.random() < 0.25 else {}
    if rng.random() < 0.15:
        stripes["legs"] = stripes["shins"] = 3.0
    return {name: np.clip(c, 0, 255) for name, c in colours.items()}, stripes


_RADII = np.array([[a, b] for _, _, a, b, _ in PARTS])


def person_capsules(
    person: Person,
    body: dict[str, NDArray[np.float64]],
    camera: Camera,
    owner: int,
    times: NDArray[np.float64],
) -> list[Capsule]:
    """The capsules of one body.

    Args:
        person: Whose clothes they get.
        body: Point name -> ``(2, 3)`` metres in camera axes, now and one frame later.
        camera: Projects them.
        owner: Id for the identity layer.
        times: ``(2,)`` seconds, now and one frame later.
    """
    unit = person.build.height_m / 1.72
    radii = (_RADII * unit * (0.5 + 0.5 * person.build.width)).reshape(-1)
    points = np.stack([body[name] for a, b, *_ in PARTS for name in (a, b)])
    sway = camera.sway(times)
    now = camera.ends(points[:, 0], radii, sway[0]).reshape(-1, 2, 4)
    later = camera.ends(points[:, 1], radii, sway[1]).reshape(-1, 2, 4)
    return [
        Capsule(now[i], later[i], person.colours[part], owner, person.stripes.get(part, 0.0), 0.35)
        for i, (_, _, _, _, part) in enumerate(PARTS)
    ]
