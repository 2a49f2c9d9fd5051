"""Where the sun reaches, in numpy: a depth map seen from far along the sun's direction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chronopose.synth.camera import Camera
from chronopose.synth.raster import rasterise

_AWAY_M = 20_000.0


class SunMap:
    """Depths from the sun, seen from so far away that its rays are parallel.

    Args:
        world: ``(V, 3)`` places of the vertices, metres; at least one.
        faces: ``(F, 3)``.
        both: ``(F,)`` faces that stop light from behind too.
        sun: ``(3,)`` direction to the sun, of length one.
        texels: Width and height of the map.
    """

    def __init__(
        self,
        world: NDArray[np.floating],
        faces: NDArray[np.integer],
        both: NDArray[np.bool_],
        sun: NDArray[np.floating],
        texels: int,
    ) -> None:
        axes = sun_axes(sun)
        seen = world @ axes.T
        low, high = seen.min(0), seen.max(0)
        extent = float((high - low)[:2].max()) + 0.04
        place = ((low + high) / 2) @ axes + _AWAY_M * np.asarray(sun, np.float64)
        focal, centre = texels / extent * _AWAY_M, (texels - 1) / 2
        intrinsics = np.array([[focal, 0, centre], [0, focal, centre], [0, 0, 1.0]])
        self.texel_m = extent / texels
        self._camera = Camera(intrinsics, axes, -axes @ place, (texels, texels))
        flat, depth = self._camera.project(world)
        corners = np.concatenate([flat * depth[:, None], depth[:, None]], 1)[faces]
        found = rasterise(corners, (texels, texels), 1.0, both)
        self._depth = np.full(texels * texels, np.inf)
        self._depth[found.pixel] = found.depth

    def seen(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """``(n,)`` share of the sun that reaches points ``(n, 3)``: 3×3 compared neighbours."""
        texels = self._camera.size[0]
        flat, depth = self._camera.project(points)
        corner = np.floor(flat).astype(np.int64)
        part = flat - corner
        total = np.zeros(len(points))
        for row in range(-1, 3):
            down = _tent(row, part[:, 1])
            for column in range(-1, 3):
                x, y = corner[:, 0] + column, corner[:, 1] + row
                inside = (x >= 0) & (x < texels) & (y >= 0) & (y < texels)
                stop = self._depth[np.where(inside, y * texels + x, 0)]
                total += np.where(inside & (depth > stop), 0, down * _tent(column, part[:, 0]))
        return (total / 9).astype(np.float32)


def sun_axes(sun: NDArray[np.floating]) -> NDArray[np.float64]:
    """``(3, 3)`` rows: right, down and forward of one who looks along the sun's rays."""
    forward = -np.asarray(sun, np.float64)
    up = (0.0, 0.0, 1.0) if abs(forward[2]) < 0.95 else (0.0, 1.0, 0.0)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])


def _tent(step: int, part: NDArray[np.floating]) -> NDArray[np.floating]:
    """Weight along one axis of a texel in three bilinear taps, one texel apart; they sum to 3."""
    if step == -1:
        return 1 - part
    return part if step == 2 else np.ones_like(part)
