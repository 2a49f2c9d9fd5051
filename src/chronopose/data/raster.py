"""A small capsule rasteriser: shaded, smooth-edged, depth-tested, with exact labels.

Plain numpy, no graphics driver. A capsule is a segment with a radius at each end, given twice:
where it is now and where it will be one frame later. From the pair the optical flow of each of its
pixels follows exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Capsule:
    """A projected capsule.

    Args:
        ends: ``(2, 4)``: x and y in pixels, depth in metres, radius in pixels, of both ends.
        next_ends: The same one frame later.
        colour: ``(3,)`` RGB 0..255.
        owner: Id of the person, -1 for an object.
        stripes: Bands along the capsule; 0 for a plain one.
        stripe_depth: Darkening in the bands, 0..1.
    """

    ends: NDArray[np.float64]
    next_ends: NDArray[np.float64]
    colour: NDArray[np.float64]
    owner: int
    stripes: float = 0.0
    stripe_depth: float = 0.0


class Canvas:
    """Layers that capsules are drawn into.

    Args:
        background: ``(3, H, W)`` float32 RGB 0..255, taken over and drawn on.
        background_flow: ``(2,)`` pixels that the background moves until the next frame.
        focal_px: Pixels a metre at one metre of depth.
        light: ``(3,)`` direction towards the light; x right, y down, z away.
        ambient: Brightness of surfaces that face away from the light, 0..1.
    """

    def __init__(
        self,
        background: Array,
        background_flow: NDArray[np.float64],
        focal_px: float,
        light: NDArray[np.float64],
        ambient: float = 0.45,
    ) -> None:
        height, width = background.shape[1:]
        self.image = background
        self.depth = np.full((height, width), np.inf, np.float32)
        self.owner = np.full((height, width), -2, np.int16)
        self.flow = np.empty((2, height, width), np.float32)
        self.flow[:] = np.asarray(background_flow, np.float32)[:, None, None]
        self._x = np.arange(width, dtype=np.float32)
        self._y = np.arange(height, dtype=np.float32)
        self._focal, self._light, self._ambient = focal_px, light, ambient

    def draw(self, capsules: list[Capsule]) -> None:
        """Draw far capsules first, so that smooth edges blend with what lies behind."""
        for capsule in sorted(capsules, key=lambda c: -float(c.ends[:, 2].min())):
            if capsule.ends[:, 2].min() > 0.1:
                self._draw(capsule)

    def _draw(self, capsule: Capsule) -> None:
        (ax, ay, az, ar), (bx, by, bz, br) = capsule.ends.tolist()
        reach_a, reach_b = ar + 1, br + 1
        height, width = self.depth.shape
        x0, x1 = _span(min(ax - reach_a, bx - reach_b), max(ax + reach_a, bx + reach_b), width)
        y0, y1 = _span(min(ay - reach_a, by - reach_b), max(ay + reach_a, by + reach_b), height)
        if x0 >= x1 or y0 >= y1:
            return
        window = (slice(y0, y1), slice(x0, x1))
        ex, ey = bx - ax, by - ay
        length2 = max(ex * ex + ey * ey, 1e-6)
        dx, dy = self._x[None, x0:x1] - ax, self._y[y0:y1, None] - ay
        u = np.clip((dx * ex + dy * ey) / np.float32(length2), 0, 1)
        off_x, off_y = dx - u * ex, dy - u * ey
        distance = np.sqrt(off_x * off_x + off_y * off_y)
        radius = ar + u * (br - ar)
        cover = np.clip(radius - distance + 0.5, 0, 1)
        bulge = np.sqrt(np.clip(1 - (distance / radius) ** 2, 0, 1))
        mid_depth = az + u * (bz - az)
        depth = mid_depth - bulge * radius * mid_depth / self._focal
        cover *= depth < self.depth[window]
        solid = cover > 0.5
        self._paint(capsule, window, cover, u, off_x / radius, off_y / radius, bulge)
        self.depth[window][solid] = depth[solid]
        self.owner[window][solid] = capsule.owner
        if solid.any():
            flow = _capsule_flow(capsule, u, off_x, off_y, radius, dx + ax, dy + ay)
            for axis in (0, 1):
                self.flow[axis][window][solid] = flow[axis][solid]

    def _paint(
        self,
        capsule: Capsule,
        window: tuple[slice, slice],
        cover: Array,
        u: Array,
        nx: Array,
        ny: Array,
        bulge: Array,
    ) -> None:
        lx, ly, lz = self._light.tolist()
        lit = np.clip(nx * lx + ny * ly - bulge * lz, 0, None)
        shade = self._ambient + (1.05 - self._ambient) * lit
        if capsule.stripes:
            band = np.sin(u * np.float32(2 * np.pi * capsule.stripes)) > 0
            shade = shade * (1 - np.float32(capsule.stripe_depth) * band)
        for channel in range(3):
            layer = self.image[channel][window]
            layer += cover * (shade * np.float32(capsule.colour[channel]) - layer)


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    return max(0, int(np.floor(low))), min(size, int(np.ceil(high)) + 1)


def _capsule_flow(
    capsule: Capsule, u: Array, off_x: Array, off_y: Array, radius: Array, x: Array, y: Array
) -> tuple[Array, Array]:
    """Where each pixel of a capsule goes: same share of the axis, same place across it."""
    (ax, ay, *_), (bx, by, *_) = capsule.ends.tolist()
    (cx, cy, _, cr), (dx, dy, _, dr) = capsule.next_ends.tolist()
    ex, ey, gx, gy = bx - ax, by - ay, dx - cx, dy - cy
    length, next_length = np.hypot(ex, ey), np.hypot(gx, gy)
    cos, sin = 1.0, 0.0
    if length > 1e-3 and next_length > 1e-3:
        cos = (ex * gx + ey * gy) / (length * next_length)
        sin = (ex * gy - ey * gx) / (length * next_length)
    grow = (cr + u * (dr - cr)) / radius
    turned_x = (off_x * np.float32(cos) - off_y * np.float32(sin)) * grow
    turned_y = (off_x * np.float32(sin) + off_y * np.float32(cos)) * grow
    return cx + u * gx + turned_x - x, cy + u * gy + turned_y - y


def motion_blur(image: Array, flow: Array, shutter: float, taps: int = 5) -> Array:
    """Average a picture along its flow, centred on the frame's own time.

    Movements of less than a pixel while the shutter is open are left sharp.

    Args:
        image: ``(3, H, W)``.
        flow: ``(2, H, W)`` pixels a frame.
        shutter: Share of the frame time that the shutter is open, 0..1.
        taps: Samples along the way, odd.
    """
    if shutter * float(np.abs(flow).max()) < 1.0:
        return image
    height, width = image.shape[1:]
    columns, rows = np.arange(width)[None], np.arange(height)[:, None]
    flat = image.reshape(3, -1)
    total = np.zeros_like(flat)
    for share in np.linspace(-shutter / 2, shutter / 2, taps):
        x = np.clip(np.rint(columns - flow[0] * share), 0, width - 1).astype(np.int32)
        y = np.clip(np.rint(rows - flow[1] * share), 0, height - 1).astype(np.int32)
        total += flat[:, (y * width + x).ravel()]
    total *= np.float32(1 / taps)
    return total.reshape(image.shape)
