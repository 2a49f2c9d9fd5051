"""Blur by discs of any radius, in the time of a few sums; pictures as planes ``(C, H, W)``.

Large discs are drawn at half the resolution, which they leave nothing of to see, and what is summed
is runs of pixels from running sums.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chronopose.synth._kernels import LEAST_PX, disc

Planes = NDArray[np.float32]

SMALL_PX = 2.5
"""Discs up to this have smooth edges; larger ones are whole pixels."""
COARSE_PX = 6.0
"""Discs from this on are drawn at half the resolution."""


def spread(planes: Planes, radius_px: float) -> Planes:
    """Every pixel of ``(C, H, W)`` becomes a disc; edges repeat."""
    if radius_px < LEAST_PX:
        return planes
    if radius_px >= COARSE_PX:
        # A half-size picture, enlarged again, has the spread (variance) of a disc of two pixels.
        coarse = _runs(shrink(planes, 2), float(np.sqrt(radius_px**2 - 4)) / 2)
        return double(coarse, planes.shape[1:])
    return _runs(planes, radius_px) if radius_px > SMALL_PX else _taps(planes, disc(radius_px))


def _runs(planes: Planes, radius_px: float) -> Planes:
    """Spread by the pixels whose centres lie in a disc."""
    reach = int(radius_px)
    height, width = planes.shape[1:]
    halves = [int(np.sqrt(radius_px**2 - row * row)) for row in range(reach + 1)]
    count = sum((2 * half + 1) * (2 if row else 1) for row, half in enumerate(halves))
    total = np.zeros_like(planes)
    sums = np.empty((height + 2 * reach, width + 2 * reach + 1), np.float32)
    both = np.empty((height, sums.shape[1]), np.float32)
    # Plane by plane, in the same memory: what is worked on stays in the processor's cache.
    for plane, found in zip(planes, total, strict=True):
        _pad(plane, reach, sums[:, 1:])
        sums[:, 0] = 0
        np.cumsum(sums, 1, out=sums)
        for row, half in enumerate(halves):
            pair = sums[reach + row : reach + row + height]
            if row:
                pair = np.add(pair, sums[reach - row : reach - row + height], out=both)
            found += pair[:, reach + half + 1 : reach + half + 1 + width]
            found -= pair[:, reach - half : reach - half + width]
        found *= np.float32(1 / count)
    return total


def _taps(planes: Planes, kernel: NDArray[np.float32]) -> Planes:
    """Spread by an odd kernel that is its own mirror image, both ways."""
    reach = len(kernel) // 2
    height, width = planes.shape[1:]
    total = np.zeros_like(planes)
    padded = np.empty((height + 2 * reach, width + 2 * reach), np.float32)
    rows = np.empty((height, padded.shape[1]), np.float32)
    part = np.empty((height, width), np.float32)
    for plane, found in zip(planes, total, strict=True):
        _pad(plane, reach, padded)
        for row in range(reach + 1):
            pair = padded[reach + row : reach + row + height]
            if row:
                pair = np.add(pair, padded[reach - row : reach - row + height], out=rows)
            for column in range(reach + 1):
                weight = kernel[reach + row, reach + column]
                if weight <= 0:
                    continue
                right = pair[:, reach + column : reach + column + width]
                if column:
                    left = pair[:, reach - column : reach - column + width]
                    right = np.add(right, left, out=part)
                found += np.multiply(right, weight, out=part)
    return total


def _pad(plane: Planes, reach: int, out: Planes) -> None:
    """Repeat the edges of ``(H, W)`` on all sides."""
    inner = slice(reach, out.shape[0] - reach), slice(reach, out.shape[1] - reach)
    out[inner] = plane
    out[inner[0], :reach], out[inner[0], out.shape[1] - reach :] = plane[:, :1], plane[:, -1:]
    out[:reach], out[out.shape[0] - reach :] = out[reach], out[-reach - 1]


def shrink(planes: Planes, times: int) -> Planes:
    """Means of squares of ``times`` pixels; the last ones are filled up with the edge."""
    height, width = planes.shape[1:]
    more = -height % times, -width % times
    if any(more):
        planes = np.pad(planes, ((0, 0), (0, more[0]), (0, more[1])), mode="edge")
    rows = planes[:, ::times].copy()
    for row in range(1, times):
        rows += planes[:, row::times]
    total = rows[..., ::times].copy()
    for column in range(1, times):
        total += rows[..., column::times]
    total *= np.float32(1 / (times * times))
    return total


def double(planes: Planes, shape: tuple[int, ...]) -> Planes:
    """Planes of :func:`shrink` by two back at the size ``(H, W)``, bilinear; nothing moves."""
    height, width = planes.shape[1:]
    grown = np.empty((len(planes), 2 * height, 2 * width), np.float32)
    tall = np.empty((2 * height, width + 2), np.float32)
    wide = np.empty((height + 2, width), np.float32)
    for plane, found in zip(planes, grown, strict=True):
        wide[1:-1], wide[0], wide[-1] = plane, plane[0], plane[-1]
        _between(wide, tall[::2, 1:-1], tall[1::2, 1:-1])
        tall[:, 0], tall[:, -1] = tall[:, 1], tall[:, -2]
        _between(tall.T, found[:, ::2].T, found[:, 1::2].T)
    return grown[:, : shape[0], : shape[1]]


def _between(wide: Planes, even: Planes, odd: Planes) -> None:
    """Two rows for each inner one of ``wide``: a quarter of the way to either neighbour."""
    middle = 0.75 * wide[1:-1]
    np.multiply(wide[:-2], np.float32(0.25), out=even)
    np.multiply(wide[2:], np.float32(0.25), out=odd)
    even += middle
    odd += middle
