"""Pictures on surfaces, read in numpy at a size that fits the distance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chronopose.synth.hdri import from_srgb


def pyramid(texture: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """The picture in linear light with coverage, ``(h, w, 4)``, then halved down to one pixel."""
    level: NDArray[np.float32] = np.divide(texture, 255, dtype=np.float32)
    level[..., :3] = from_srgb(level[..., :3])
    levels: list[NDArray[np.float32]] = [level]
    while max(level.shape[:2]) > 1:
        height, width = level.shape[:2]
        grow = ((0, height % 2), (0, width % 2), (0, 0))
        even = np.pad(level, grow, mode="edge")
        wide = (even[::2] + even[1::2]) * np.float32(0.5)
        level = (wide[:, ::2] + wide[:, 1::2]) * np.float32(0.5)
        levels.append(level)
    return levels


def read_picture(
    levels: list[NDArray[np.float32]], uv: NDArray[np.floating], detail: NDArray[np.floating]
) -> NDArray[np.float32]:
    """``(n, 4)`` linear colour and coverage at ``(n, 2)`` uv, v up, repeated outside.

    Args:
        levels: From :func:`pyramid`.
        uv: Where.
        detail: ``(n,)`` pixels of the picture that fall on one pixel of the screen, along one axis.
    """
    wanted = np.log2(np.maximum(detail, 1e-6)).round()
    level = np.clip(wanted, 0, len(levels) - 1).astype(np.int64)
    found = np.empty((len(uv), 4), np.float32)
    for number in np.unique(level):
        mine = level == number
        found[mine] = _bilinear(levels[number], uv[mine])
    return found


def _bilinear(picture: NDArray[np.float32], uv: NDArray[np.floating]) -> NDArray[np.float32]:
    height, width = picture.shape[:2]
    x, y = uv[:, 0] * width - 0.5, (1 - uv[:, 1]) * height - 0.5
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    across, down = (x - left)[:, None], (y - top)[:, None]
    left, right, top, below = left % width, (left + 1) % width, top % height, (top + 1) % height
    above = picture[top, left] * (1 - across) + picture[top, right] * across
    under = picture[below, left] * (1 - across) + picture[below, right] * across
    return (above * (1 - down) + under * down).astype(np.float32)
