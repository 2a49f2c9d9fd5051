"""Colours that people with any colour vision can tell apart.

Source: the palette of Okabe and Ito, "Color Universal Design", in an order that keeps neighbours
apart; the heat ramp rises in lightness throughout, so it also reads in grey.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]

PERSON_COLOURS: tuple[Colour, ...] = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
)
"""RGB: sky blue, orange, green, pink, yellow, blue, vermilion."""

_HEAT = np.array(
    [(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], np.float64
)


def person_colour(track_id: int) -> Colour:
    """The colour of a person: the same for the same id in every frame and every run."""
    return PERSON_COLOURS[int(track_id) % len(PERSON_COLOURS)]


@cache
def side_tint(colour: Colour, side: str) -> Colour:
    """A person's colour for one side of the body, told apart by lightness alone.

    Args:
        side: ``"left"`` is lighter, ``"right"`` is darker, anything else is the colour itself.
    """
    if side == "left":
        return _mix(colour, 255, 0.6)
    if side == "right":
        return _mix(colour, 0, 0.25)
    return colour


def text_colour(background: Colour) -> Colour:
    """Black or white, whichever reads better on ``background``."""
    red, green, blue = background
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 120 else (255, 255, 255)


def heat(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """``(...)`` values in [0, 1] -> ``(..., 3)`` RGB in [0, 255], dark purple to pale yellow."""
    at = np.clip(values, 0.0, 1.0) * (len(_HEAT) - 1)
    channels = [np.interp(at, np.arange(len(_HEAT)), _HEAT[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def _mix(colour: Colour, other: int, share: float) -> Colour:
    red, green, blue = (round(c + (other - c) * share) for c in colour)
    return red, green, blue
