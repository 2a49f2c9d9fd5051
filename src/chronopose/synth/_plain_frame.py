"""Where the joints of a plain body are, and how its parts are cut into skin and cloth.

Lengths are fractions of the height, after the body segments of Drillis and Contini (1966).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from chronopose.synth._patches import Array, smooth
from chronopose.synth._plain_looks import Colour, Looks
from chronopose.synth.body import BONES

ARM_DROP_DEG = 48.0
ELBOW_DEG = 14.0
"""The arms hang ARM_DROP below the horizontal, the forearms turned forwards by ELBOW: a rest pose
halfway between most poses, with an elbow that shows its hinge."""


@dataclass(frozen=True)
class Frame:
    """Joints of one body at rest.

    Args:
        looks: Who it is.
        at: Bone name -> ``(3,)`` where the bone begins, metres; also ``chin`` and ``crown``.
    """

    looks: Looks
    at: Mapping[str, Array]

    @property
    def joints(self) -> Array:
        """``(J, 3)`` in the order of :data:`BONES`, metres."""
        return np.stack([self.at[name] for name in BONES])

    @property
    def head_height(self) -> float:
        """Chin to crown, metres."""
        return float(self.at["crown"][2] - self.at["chin"][2])


@dataclass(frozen=True)
class Layer:
    """What covers a stretch of a limb or of the trunk.

    Args:
        first, last: Where it begins and ends, in the measure of the part.
        colour: sRGB.
        look: Name of the surface.
        room: How far it stands off the body, metres.
    """

    first: float
    last: float
    colour: Colour
    look: str
    room: float = 0.0


def make_frame(looks: Looks) -> Frame:
    """The joints of a body of these measures."""
    tall, straight = looks.height, 1 - looks.curve
    middle = {
        "pelvis": (0.0, 0.0, 0.520), "spine": (0.0, 0.006, 0.575), "chest": (0.0, 0.008, 0.660),
        "neck": (0.0, 0.010, 0.828), "head": (0.0, 0.006, 0.882),
    }  # fmt: skip
    hip = 0.050 + 0.003 * looks.curve
    drop, bend = np.deg2rad(ARM_DROP_DEG), np.deg2rad(ELBOW_DEG)
    upper = np.array([np.cos(drop), 0.0, -np.sin(drop)])
    lower = np.cos(bend) * upper + np.sin(bend) * np.array([0.0, -1.0, 0.0])
    shoulder = np.array([0.101 + 0.010 * straight, 0.006, 0.806])
    elbow = shoulder + 0.172 * upper
    left = {
        "clavicle": (0.014, 0.0, 0.808), "upper_arm": shoulder, "forearm": elbow,
        "hand": elbow + 0.150 * lower, "thigh": (hip, 0.0, 0.520), "shin": (hip, -0.004, 0.283),
        "foot": (hip + 0.003, 0.008, 0.045), "toes": (hip + 0.016, -0.079, 0.014),
    }  # fmt: skip
    at = {name: tall * np.array(place) for name, place in middle.items()}
    for name, place in left.items():
        at[f"left_{name}"] = tall * np.array(place)
        at[f"right_{name}"] = at[f"left_{name}"] * (-1, 1, 1)
    at["crown"] = np.array([0.0, 0.004 * tall, tall])
    at["chin"] = at["crown"] - (0, 0, 0.085 + 0.080 * tall)
    return Frame(looks, at)


def cut(places: Sequence[float], layers: Sequence[Layer]) -> list[tuple[float, Layer]]:
    """Where rings go: every layer gets its own first and last ring, so that hems are sharp.

    Args:
        places: Rings wanted anyway, rising.
        layers: One after the other; each begins where the last one ends.
    """
    rings = []
    for layer in layers:
        inner = [p for p in places if layer.first + 1e-6 < p < layer.last - 1e-6]
        rings += [(p, layer) for p in (layer.first, *inner, layer.last)]
    return rings


def bands(layer: Layer, colours: Sequence[Colour], width: float) -> list[Layer]:
    """The layer in stripes of ``width``, the colours taking turns."""
    count = max(round((layer.last - layer.first) / width), 1)
    edges = [layer.first + (layer.last - layer.first) * i / count for i in range(count + 1)]
    return [
        Layer(a, b, colours[i % len(colours)], layer.look, layer.room)
        for i, (a, b) in enumerate(pairwise(edges))
    ]


def chain_shares(
    place: float, names: Sequence[str], joints: Sequence[float], widths: Sequence[float]
) -> dict[str, float]:
    """Shares of a chain of bones at ``place`` along it; one half each on a joint.

    Args:
        place: Where, in the measure of ``joints``.
        names: Bones in order.
        joints: Where each bone but the first begins, rising.
        widths: Half the length over which each joint is blended.
    """
    rises = [smooth(place, j - w, j + w) for j, w in zip(joints, widths, strict=True)]
    shares = {}
    for i, name in enumerate(names):
        before = float(np.prod(rises[:i]))
        shares[name] = before * (1 - rises[i] if i < len(rises) else 1.0)
    return shares
