"""People who swing their arms and legs, as performances, clips and BVH files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chronopose.core.skeletons import H36M17
from chronopose.data.cmu_lift import FOUR_VIEWS, Performance, film
from chronopose.data.lift import LiftClip
from chronopose.io.bvh import BvhMotion, write_bvh
from chronopose.io.motion import Motion3D

STANDING = {
    "pelvis": (0, 0, 1.0), "right_hip": (-0.1, 0, 1.0), "right_knee": (-0.1, 0, 0.55),
    "right_ankle": (-0.1, 0, 0.1), "left_hip": (0.1, 0, 1.0), "left_knee": (0.1, 0, 0.55),
    "left_ankle": (0.1, 0, 0.1), "spine": (0, 0, 1.25), "thorax": (0, 0, 1.5),
    "neck_nose": (0, 0, 1.6), "head": (0, 0, 1.72), "left_shoulder": (0.2, 0, 1.5),
    "left_elbow": (0.2, 0, 1.2), "left_wrist": (0.2, 0, 0.95), "right_shoulder": (-0.2, 0, 1.5),
    "right_elbow": (-0.2, 0, 1.2), "right_wrist": (-0.2, 0, 0.95),
}  # fmt: skip
"""Metres, z up, facing -y, the person's left at +x."""
TOP = (0, 0, 1.8)


def performance(frames: int = 30, action: str = "Stand", walk_m: float = 0.0) -> Performance:
    """Somebody who stands, or glides ``walk_m`` to their left."""
    xyz = np.tile(np.array([STANDING[j] for j in H36M17.joints], np.float32), (frames, 1, 1))
    top = np.tile(np.array(TOP, np.float32), (frames, 1))
    way = np.linspace(0, walk_m, frames, dtype=np.float32)
    xyz[..., 0] += way[:, None]
    top[:, 0] += way
    return Performance(Motion3D("S", action, xyz, H36M17, "m", "world", 50.0), top)


def clips(frames: int = 30, action: str = "Stand", walk_m: float = 0.0) -> tuple[LiftClip, ...]:
    """The same, seen by the four cameras."""
    return film(performance(frames, action, walk_m), FOUR_VIEWS)


def write_swinging(path: Path, frames: int = 60, seed: int = 0) -> None:
    """A BVH file for Daz of somebody who swings all limbs, each at a pace of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = {
        "hip": ("", (0, 100, 0)), "abdomen": ("hip", (0, 20, 0)), "neck": ("abdomen", (0, 30, 0)),
        "head": ("neck", (0, 7, 0)),
    }  # fmt: skip
    for mark, sign in (("l", 1), ("r", -1)):
        tree |= {
            f"{mark}Shldr": ("abdomen", (15 * sign, 28, 0)),
            f"{mark}ForeArm": (f"{mark}Shldr", (0, -27, 0)),
            f"{mark}Hand": (f"{mark}ForeArm", (0, -25, 0)),
            f"{mark}Mid1": (f"{mark}Hand", (0, -8, 0)),
            f"{mark}Thigh": ("hip", (9 * sign, 2, 0)),
            f"{mark}Shin": (f"{mark}Thigh", (0, -42, 0)),
            f"{mark}Foot": (f"{mark}Shin", (0, -42, 0)),
            f"{mark}Foot_end": (f"{mark}Foot", (0, -8, 12)),
        }
    names = list(tree)
    parents = tuple(names.index(p) if p else -1 for p, _ in tree.values())
    ends = [n.endswith("_end") for n in names]
    turns = ("Zrotation", "Xrotation", "Yrotation")
    channels = [() if end else turns for end in ends]
    channels[0] = ("Xposition", "Yposition", "Zposition", *turns)
    rng = np.random.default_rng(seed)
    count = sum(map(len, channels))
    time_s = np.arange(frames)[:, None] / 120
    pace, start = rng.uniform(0.5, 2, count), rng.uniform(0, 6, count)
    values = 25 * np.sin(2 * np.pi * pace * time_s + start)
    values[:, :3] = 0
    write_bvh(
        path,
        BvhMotion(
            tuple(names), parents, np.array([o for _, o in tree.values()], float),
            tuple(channels), 1 / 120, values,
        ),
    )  # fmt: skip
