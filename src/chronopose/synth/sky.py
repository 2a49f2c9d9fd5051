"""Places made by code alone: light and background for tests, examples and where no panoramas are.

Under the open sky: ground with its texture, buildings, trees, hills, clouds, a sun whose shadows
agree with it. Indoors: rooms with windows, lamps and furniture. They look like a simple game;
photographed panoramas (:mod:`chronopose.synth.hdri`) look better.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import UsageError
from chronopose.synth.hdri import environment_from_panorama
from chronopose.synth.scene import Environment
from chronopose.synth.sky_indoor import indoor_panorama
from chronopose.synth.sky_outdoor import outdoor_panorama

Split = Literal["train", "test"]
Place = Literal["any", "outdoor", "indoor"]

_OUTDOOR_SHARE = 0.6


def procedural_environment(
    seed: int, split: Split = "train", *, place: Place = "any", height: int = 512
) -> Environment:
    """A place that follows from its seed: the same bytes on every machine of one kind.

    Args:
        seed: Which place, not negative.
        split: Places for training and for testing are different ones.
        place: ``outdoor``, ``indoor``, or ``any``: about three of five are outdoors.
        height: Rows of the panorama, at least 16; twice as many columns.

    Returns:
        The environment, seen from 1.5 m above the ground; people may stand within 2 m indoors and
        8 m outdoors.

    Raises:
        UsageError: The split or place is unknown, the seed negative or the height too small.
    """
    if height < 16:
        raise UsageError(f"A place needs a height of at least 16; got {height}.")
    outdoor, rng = _drawn(seed, split, place)
    paint = outdoor_panorama if outdoor else indoor_panorama
    return environment_from_panorama(_key(outdoor, seed, split), _soften(paint(rng, height)))


def procedural_key(seed: int, split: Split = "train", *, place: Place = "any") -> str:
    """Name of the environment that :func:`procedural_environment` paints, without painting it.

    Raises:
        UsageError: The split or place is unknown, or the seed negative.
    """
    return _key(_drawn(seed, split, place)[0], seed, split)


def _drawn(seed: int, split: str, place: str) -> tuple[bool, np.random.Generator]:
    """Whether a place is under the open sky, and what draws the rest of it."""
    if split not in get_args(Split) or place not in get_args(Place):
        raise UsageError(
            f"There is no split {split!r} or no place {place!r}. Splits: "
            f"{', '.join(get_args(Split))}; places: {', '.join(get_args(Place))}."
        )
    if seed < 0:
        raise UsageError(f"A place needs a seed of at least 0; got {seed}.")
    rng = np.random.default_rng([seed, get_args(Split).index(split)])
    outdoor = bool(rng.random() < _OUTDOOR_SHARE)
    return outdoor if place == "any" else place == "outdoor", rng


def _key(outdoor: bool, seed: int, split: str) -> str:
    return f"{'outdoor' if outdoor else 'indoor'}/{split}/{seed}"


def _soften(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Edges as a lens draws them: a sixth of each neighbour; columns wrap."""
    across = (np.roll(picture, 1, 1) + np.roll(picture, -1, 1)) / 6 + picture * (2 / 3)
    padded = np.pad(across, ((1, 1), (0, 0), (0, 0)), mode="edge")
    return ((padded[:-2] + padded[2:]) / 6 + across * (2 / 3)).astype(np.float32)
