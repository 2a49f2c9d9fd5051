"""Dressed adults and occluders made by code alone: no assets, a fraction of a second each.

For tests, for the package's own examples and as other people in the background; the bank of
:mod:`chronopose.synth.bank` looks better.
"""

from __future__ import annotations

import numpy as np

from chronopose.errors import UsageError
from chronopose.synth._patches import Patch, Ring, ball, mirror, tube, unite
from chronopose.synth._plain_frame import make_frame
from chronopose.synth._plain_head import head
from chronopose.synth._plain_limbs import arm, leg
from chronopose.synth._plain_looks import CLOTHS, DARK, draw_looks
from chronopose.synth._plain_trunk import skirt, trunk
from chronopose.synth.body import BONES, Body

SOLIDS = ("box", "pole", "board", "plant")
"""Kinds that :func:`solid` makes."""

_STILL = {"pelvis": 1.0}


def plain_body(seed: int) -> Body:
    """A dressed adult, 1.50 to 1.95 m tall, of about 3,000 vertices in closed pieces.

    Height, build, skin, hair and clothes follow from ``seed``: the same bytes on every machine.
    Colours are painted on the vertices; there are no textures. A joint's landmark is the mean of
    the ring of vertices around it, so it stays on the joint in every pose. The arms hang halfway
    (:mod:`chronopose.synth._plain_frame`), elbows and knees are slightly bent.

    Raises:
        UsageError: the seed is negative.
    """
    if seed < 0:
        raise UsageError(f"Bodies are numbered from 0; got {seed}.")
    looks = draw_looks(seed)
    frame = make_frame(looks)
    left = [*arm(frame), *leg(frame)]
    middle = [trunk(frame), *head(frame), *([skirt(frame)] if looks.skirt else [])]
    patches = [*middle, *left, *(mirror(p) for p in left)]
    return unite(f"plain/{seed}", _speckled(patches, seed, 0.025), frame.joints)


def solid(kind: str, size: tuple[float, float, float], seed: int) -> Body:
    """A thing that stands in the way: an occluder without landmarks.

    Args:
        kind: One of :data:`SOLIDS`: ``box``, ``pole``, ``board`` (a thin panel across x), ``plant``
            (a pot and a cloud of leaves).
        size: Extent along x, y and z, metres, each above zero.
        seed: Picks colours and the shape of leaves.

    Returns:
        A body whose only moving bone is ``pelvis``; its joint lies in the middle of the footprint,
        on the ground, so ``BonePoses.root`` says where the thing stands.

    Raises:
        UsageError: the kind is unknown or a size is not above zero.
    """
    if kind not in SOLIDS:
        raise UsageError(f"There is no solid {kind!r}. Choose one of: {', '.join(SOLIDS)}.")
    if not all(np.isfinite(s) and s > 0 for s in size):
        raise UsageError(f"A {kind} needs three sizes above zero, metres; got {size}.")
    rng = np.random.default_rng(seed)
    wide, deep, tall = size
    if kind == "plant":
        patches = _plant(size, rng)
    else:
        power = 2.0 if kind == "pole" else 24.0
        patches = [_post(wide / 2, deep / 2, tall, power, rng)]
    key = f"{kind}/{seed}/{wide:g}x{deep:g}x{tall:g}"
    return unite(key, _speckled(patches, seed, 0.04), np.zeros((len(BONES), 3)))


def _speckled(patches: list[Patch], seed: int, amount: float) -> list[Patch]:
    """Slightly uneven colours, so that surfaces are not perfectly flat."""
    rng = np.random.default_rng([seed, 1])
    for patch in patches:
        patch.colours[:] += amount * (rng.random((len(patch.colours), 1)) - 0.5)
    return patches


def _post(wide: float, deep: float, tall: float, power: float, rng: np.random.Generator) -> Patch:
    """A straight upright, four-cornered for a large ``power``; half sizes in metres."""
    palette = (*CLOTHS, *DARK)
    one, other = (palette[int(rng.integers(len(palette)))] for _ in range(2))
    striped = rng.random() < 0.4
    rings = []
    for number, place in enumerate(np.linspace(0.0, tall, 9).tolist()):
        colour = other if striped and number % 2 else one
        rings.append(Ring((0.0, 0.0, place), (wide, deep), _STILL, colour, "thing", power))
    return tube(rings, 24, (0.0, 1.0, 0.0), axis=(0.0, 0.0, 1.0))


def _plant(size: tuple[float, float, float], rng: np.random.Generator) -> list[Patch]:
    """A pot of a quarter of the height and lumps of leaves above it."""
    wide, deep, tall = size
    pot = rng.random(3) * 0.3 + (0.45, 0.3, 0.2)
    clay = float(pot[0]), float(pot[1]), float(pot[2])
    rows = ((0.0, 0.22), (0.22, 0.30), (0.25, 0.30), (0.26, 0.08), (0.6, 0.05))
    rings = [
        Ring((0.0, 0.0, z * tall), (r * wide, r * deep), _STILL, clay, "thing") for z, r in rows
    ]
    patches = [tube(rings, 12, (0.0, 1.0, 0.0), axis=(0.0, 0.0, 1.0))]
    for _ in range(22):
        x, y, z = rng.random(3).tolist()
        radii = (0.08 + 0.10 * rng.random(3)) * (wide, deep, 0.6 * tall)
        spread = np.array([wide / 2 - radii[0], deep / 2 - radii[1]])
        low, high = 0.32 * tall + radii[2], tall - radii[2]
        centre = (2 * x - 1) * spread[0], (2 * y - 1) * spread[1], low + z * (high - low)
        green = 0.08 + 0.25 * rng.random(), 0.25 + 0.35 * rng.random(), 0.06 + 0.14 * rng.random()
        patches.append(
            ball(centre, (radii[0], radii[2], radii[1]), (0.0, 1.0, 0.0), _STILL, green, "thing")
        )
    return patches
