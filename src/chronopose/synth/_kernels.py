"""Blur in linear light: kernels, convolution, and the tables between bytes and light."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from chronopose.synth.hdri import from_srgb, to_srgb

Image = NDArray[np.float32]

LEAST_PX = 0.5
"""Kernels that reach less than this are no blur at all."""

_FEW_TAPS = 12
_OVERSAMPLE = 8


@lru_cache(maxsize=1)
def _tables() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    light = from_srgb(np.arange(256) / 255)
    return light, to_srgb(np.arange(65536) / 65535)


def to_light(frame: NDArray[np.uint8]) -> Image:
    """Bytes of sRGB -> linear light in [0, 1], same shape."""
    return _tables()[0][frame]


def to_bytes(light: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Linear light -> sRGB bytes; clipped. The inverse of :func:`to_light`."""
    steps = np.clip(light, 0, 1) * np.float32(65535) + np.float32(0.5)
    return _tables()[1][steps.astype(np.uint16)]


def disc(radius_px: float) -> NDArray[np.float32]:
    """``(k, k)`` even disc of any radius, edges smoothed; sums to one, its middle in the middle."""
    reach = max(int(np.ceil(radius_px - 0.5)), 0)
    fine = (np.arange((2 * reach + 1) * _OVERSAMPLE) + 0.5) / _OVERSAMPLE - reach - 0.5
    inside = (fine[:, None] ** 2 + fine**2) <= max(radius_px, LEAST_PX) ** 2
    size = 2 * reach + 1
    kernel = inside.reshape(size, _OVERSAMPLE, size, _OVERSAMPLE).sum((1, 3)).astype(np.float32)
    return kernel / kernel.sum()


def trail(points: NDArray[np.float64]) -> NDArray[np.float32]:
    """``(k, k)`` kernel of a path ``(S, 2)`` in pixels, each point shared by four pixels.

    The path is moved so that its mean lies in the middle: blur by it leaves things in place.
    """
    places = points - points.mean(0)
    reach = int(np.ceil(np.abs(places).max())) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    low = np.floor(places).astype(int)
    part = places - low
    for dx in (0, 1):
        for dy in (0, 1):
            share = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
            np.add.at(kernel, (low[:, 1] + dy + reach, low[:, 0] + dx + reach), share)
    return (kernel / kernel.sum()).astype(np.float32)


def convolve(light: Image, kernel: NDArray[np.float32]) -> Image:
    """``(H, W, C)`` spread by an odd ``(k, k)`` kernel; edges repeat.

    A lit pixel becomes the kernel, middle on it, turned neither way.
    """
    reach = len(kernel) // 2
    rows, columns = np.nonzero(kernel)
    if len(rows) == 1 and kernel[reach, reach] > 0:
        return light
    height, width = light.shape[:2]
    padded = np.pad(light, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    if len(rows) <= _FEW_TAPS:
        total = np.zeros_like(light)
        for row, column in zip(rows, columns, strict=True):
            top, left = 2 * reach - row, 2 * reach - column
            total += kernel[row, column] * padded[top : top + height, left : left + width]
        return total
    shape = _smooth(padded.shape[0]), _smooth(padded.shape[1])
    spread = np.fft.rfft2(padded, shape, axes=(0, 1)) * np.fft.rfft2(kernel, shape)[..., None]
    full = np.fft.irfft2(spread, shape, axes=(0, 1))
    return full[2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width].astype(np.float32)


def _smooth(least: int) -> int:
    """The smallest number from ``least`` on without prime factors above 5: fast to transform."""
    while True:
        rest = least
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return least
        least += 1
